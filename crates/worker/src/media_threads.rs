//! The threads that engagements run on, each with a runtime of its own.
//!
//! A packet is a small piece of work, and there are tens of thousands a second. On a runtime with many threads each of
//! them would wake a second thread to look for more, and most of the cost would be threads that wake each other. Here a
//! stream stays on the thread that it began on: one that wakes finds all its sockets that have something, and nobody is
//! told. Whoever answers webhooks or listeners runs elsewhere, and is not held up by a storm of handshakes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The threads, and how many engagements each has. Dropping them ends what still runs there.
#[derive(Debug)]
pub(crate) struct MediaThreads {
    threads: Vec<Thread>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    engagements: Arc<AtomicUsize>,
}

/// One engagement's place on a thread.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many processors this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl MediaThreads {
    /// Starts one for each processor.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_many(processors())
    }

    fn start_many(count: usize) -> io::Result<Self> {
        let mut started = Self { threads: Vec::with_capacity(count), stop: CancellationToken::new() };
        for index in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let stop = started.stop.clone();
            std::thread::Builder::new()
                .name(format!("media-{index}"))
                .spawn(move || runtime.block_on(stop.cancelled_owned()))?;
            started.threads.push(Thread { runtime: handle, engagements: Arc::default() });
        }
        Ok(started)
    }

    /// Runs an engagement on the thread that has the fewest.
    pub(crate) fn spawn(&self, tasks: &TaskTracker, engagement: impl Future<Output = ()> + Send + 'static) {
        let fewest = self.threads.iter().min_by_key(|thread| thread.engagements.load(Ordering::Relaxed));
        let Some(thread) = fewest else { return };
        thread.engagements.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&thread.engagements));
        // What an async block awaits it holds twice: once as it came and once as it is awaited. So only a pointer of it.
        let engagement = Box::pin(engagement);
        tasks.spawn_on(
            async move {
                let _place = place;
                engagement.await;
            },
            &thread.runtime,
        );
    }
}

impl Drop for MediaThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use tokio::sync::Barrier;

    use super::*;

    /// Runs `count` engagements that wait for each other; how many each thread had.
    async fn spread(threads: &MediaThreads, count: usize) -> HashMap<String, usize> {
        let (tasks, together) = (TaskTracker::new(), Arc::new(Barrier::new(count)));
        let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        for _ in 0..count {
            let (together, seen) = (Arc::clone(&together), Arc::clone(&seen));
            threads.spawn(&tasks, async move {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                *seen.lock().unwrap().entry(name).or_default() += 1;
                together.wait().await;
            });
        }
        tasks.close();
        tasks.wait().await;
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    #[tokio::test]
    async fn engagements_are_spread_evenly_and_places_are_given_back() {
        let threads = MediaThreads::start_many(3).unwrap();
        let expected =
            HashMap::from([("media-0".to_owned(), 4), ("media-1".to_owned(), 4), ("media-2".to_owned(), 4)]);
        assert_eq!(spread(&threads, 12).await, expected);
        assert_eq!(spread(&threads, 12).await, expected);
    }

    #[tokio::test]
    async fn what_still_runs_ends_with_them() {
        let threads = MediaThreads::start_many(1).unwrap();
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        threads.spawn(&TaskTracker::new(), async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        drop(threads);
        assert!(gone.await.is_err());
    }

    #[tokio::test]
    async fn a_fault_in_one_engagement_leaves_the_others() {
        let threads = MediaThreads::start_many(1).unwrap();
        let tasks = TaskTracker::new();
        threads.spawn(&tasks, async { std::panic::resume_unwind(Box::new("a fault")) });
        assert_eq!(spread(&threads, 2).await, HashMap::from([("media-0".to_owned(), 2)]));
    }
}
