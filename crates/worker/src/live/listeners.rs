//! Everyone who listens, over all engagements: how many may, and that they are gone before the process is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rtms_protocol::UnixMillis;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hall::{Feed, Hall, NoPlace};
use super::ring::{Item, Ring};
use crate::metrics;

/// After the end was told and connections were cut: how long their tasks may take to see it.
const CUT: Duration = Duration::from_secs(1);

/// The listeners of a process.
#[derive(Debug)]
pub(crate) struct Listeners {
    most: usize,
    most_each: usize,
    count: AtomicUsize,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Why somebody may not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// `RTMS_LIVE_LISTENERS` is reached.
    #[error("as many listen as may (RTMS_LIVE_LISTENERS)")]
    Full,
    /// `RTMS_LIVE_LISTENERS_EACH` is reached.
    #[error("as many listen to this stream as may (RTMS_LIVE_LISTENERS_EACH)")]
    StreamFull,
    /// The stream is over, its recording being finished.
    #[error("no such stream is active")]
    Ended,
}

/// One listener's place. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Listener {
    listeners: Arc<Listeners>,
    hall: Arc<Hall>,
    feed: Feed,
    ring: Arc<Ring>,
}

impl Listeners {
    /// At most `most` listeners, `most_each` of them to one engagement.
    pub(crate) fn new(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_each,
            count: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// A place for somebody who wants to listen to `feed`. `time_zero` is for the hello.
    pub(crate) fn enter(
        self: &Arc<Self>,
        hall: &Arc<Hall>,
        feed: Feed,
        time_zero: Option<UnixMillis>,
    ) -> Result<Listener, Refused> {
        let free = |count: usize| (count < self.most).then_some(count + 1);
        if self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_err() {
            return Err(Refused::Full);
        }
        let ring = hall.enter(feed, self.most_each, time_zero).map_err(|no_place| {
            self.count.fetch_sub(1, Ordering::Relaxed);
            match no_place {
                NoPlace::Full => Refused::StreamFull,
                NoPlace::Ended => Refused::Ended,
            }
        })?;
        ::metrics::gauge!(metrics::LIVE_LISTENERS, "feed" => feed.word()).increment(1.0);
        Ok(Listener { listeners: Arc::clone(self), hall: Arc::clone(hall), feed, ring })
    }

    /// Runs what serves a listener; it must end soon after `stop` is cancelled.
    pub(crate) fn spawn<F>(&self, serve: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(serve(self.stop.clone()));
    }

    /// Waits until everyone has been told the end, then cuts who is left.
    pub(crate) async fn leave(&self, patience: Duration) {
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::debug!(left = self.tasks.len(), "some listeners did not take the end of their stream");
        self.stop.cancel();
        // What cannot even be cut ends with the process.
        let _ = tokio::time::timeout(CUT, self.tasks.wait()).await;
    }
}

impl Listener {
    /// Waits for items and adds them to `taken`; false when nothing follows any more.
    ///
    /// # Cancel safety
    /// Safe: what was not taken stays.
    pub(super) async fn take(&self, taken: &mut Vec<Item>) -> bool {
        self.ring.take(taken).await
    }

    /// Counts and logs a listener that was given up because it takes nothing.
    pub(super) fn given_up(&self, why: &'static str) {
        ::metrics::counter!(metrics::LIVE_GIVEN_UP, "feed" => self.feed.word()).increment(1);
        let stream = self.hall.stream_id();
        tracing::info!(%stream, feed = self.feed.word(), why, "a listener was given up");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hall.leave(self.feed, &self.ring);
        self.listeners.count.fetch_sub(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::LIVE_LISTENERS, "feed" => self.feed.word()).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::message::End;
    use crate::live::message::tests::identity;

    fn hall() -> Arc<Hall> {
        Arc::new(Hall::new(identity(), UnixMillis(1)))
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let listeners = Listeners::new(3, 2);
        let (one, two) = (hall(), hall());
        let first = listeners.enter(&one, Feed::Audio, None).unwrap();
        let second = listeners.enter(&one, Feed::Transcript, None).unwrap();
        assert_eq!(listeners.enter(&one, Feed::Audio, None).unwrap_err(), Refused::StreamFull);
        let third = listeners.enter(&two, Feed::Audio, None).unwrap();
        assert_eq!(listeners.enter(&two, Feed::Audio, None).unwrap_err(), Refused::Full);
        drop(first);
        assert!(!one.is_heard(Feed::Audio) && one.is_heard(Feed::Transcript));
        drop(listeners.enter(&two, Feed::Audio, None).unwrap());
        drop((second, third));
        let all = [&one, &one, &two].map(|hall| listeners.enter(hall, Feed::Audio, None).unwrap());
        drop(all);
    }

    #[test]
    fn nobody_is_let_in_after_the_end() {
        let (listeners, hall) = (Listeners::new(1, 1), hall());
        hall.end(End::LEFT);
        assert_eq!(listeners.enter(&hall, Feed::Audio, None).unwrap_err(), Refused::Ended);
        assert_eq!(listeners.count.load(Ordering::Relaxed), 0);
    }
}
