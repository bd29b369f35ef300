//! Starts a task for each stream that has something waiting, never two for one.
//!
//! A notice can bring the stream's oldest event with it, so that its task need not ask the outbox. It is believed only
//! where no task has asked the outbox since before the event was written: the event cannot have been given to another task
//! meanwhile, which may have delivered it. That a delivery hands out the stream's next event does no harm: an event that
//! was the oldest when it was written came after all such steps of its stream.
//!
//! A notice that does not fit into the channel is not lost: the events are on disk, and a sweep looks for
//! streams without a task every few seconds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rtms_service::CancellationToken;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};

use super::looks::{Looks, Moment};
use super::stream::deliver;
use super::workers::{Condition, Workers};
use crate::outbox::{Action, Outbox, Waiting};

/// Notices on their way; beyond it the sweep finds the stream.
const NOTICES: usize = 4096;
/// Streams that are worked on at the same time; the rest waits on disk.
const MOST_STREAMS: usize = 4096;
/// How often to look for streams that no notice told of.
const SWEEP: Duration = Duration::from_secs(5);
/// How long attempts in flight may take once the gateway stops; an attempt that is cut off is made again.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// What the intake has of the deliveries: it says that an event was accepted, and hears whom a new stream would go to.
#[derive(Clone)]
pub struct Notifier {
    notices: mpsc::Sender<Notice>,
    workers: Arc<Workers>,
    looks: Arc<Looks>,
}

/// Something waits for a stream.
struct Notice {
    stream: String,
    /// The oldest event that waits, as it stood at that time.
    first: Option<(Waiting, Moment)>,
}

impl Notifier {
    /// The worker for a stream that begins, so that it can be written down with its first event instead of after it.
    /// `None` for other events, and while no worker is well: then it is chosen when the event's turn comes.
    pub fn worker_for(&self, action: Action) -> Option<String> {
        if action != Action::Started {
            return None;
        }
        let worker = self.workers.choose(&HashSet::new()).filter(|w| w.condition() <= Condition::Degraded)?;
        worker.give();
        Some(worker.base.clone())
    }

    /// The moment before an event is written, for [`Self::accepted`].
    pub(crate) fn moment(&self) -> Option<Moment> {
        self.looks.moment()
    }

    /// An event of `stream` is in the outbox, `first` where it is the oldest of the stream; it was written after `before`.
    /// Never waits.
    pub(crate) fn accepted(&self, stream: String, first: Option<Waiting>, before: Option<Moment>) {
        if self.notices.try_send(Notice { stream, first: first.zip(before) }).is_err() {
            tracing::debug!("many events at once; the sweep picks this one up");
        }
    }
}

/// Owns all delivery tasks.
pub struct Dispatcher<O> {
    outbox: Arc<O>,
    workers: Arc<Workers>,
    notices: mpsc::Receiver<Notice>,
    looks: Arc<Looks>,
    tasks: JoinSet<()>,
    /// Streams with a task; true when an event came since the task began to look.
    active: HashMap<String, bool>,
    names: HashMap<Id, String>,
    stop: CancellationToken,
}

impl<O: Outbox> Dispatcher<O> {
    /// A dispatcher and the handle to notify it.
    pub fn new(outbox: Arc<O>, workers: Arc<Workers>) -> (Self, Notifier) {
        let (sender, notices) = mpsc::channel(NOTICES);
        let looks = Arc::<Looks>::default();
        let notifier = Notifier { notices: sender, workers: Arc::clone(&workers), looks: Arc::clone(&looks) };
        let dispatcher = Self {
            outbox,
            workers,
            notices,
            looks,
            tasks: JoinSet::new(),
            active: HashMap::new(),
            names: HashMap::new(),
            stop: CancellationToken::new(),
        };
        (dispatcher, notifier)
    }

    /// Delivers until `until`, then lets attempts in flight finish.
    pub async fn run(mut self, until: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = until.cancelled() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(&ended),
                Some(notice) = self.notices.recv() => self.notice(notice),
                // The first tick is at once: what an earlier run left behind.
                _ = sweep.tick() => self.sweep().await,
            }
        }
        self.stop.cancel();
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, all_ended).await.is_err() {
            tracing::warn!("attempts in flight were cut off; they are made again after the next start");
            self.tasks.shutdown().await;
        }
    }

    fn notice(&mut self, notice: Notice) {
        let first = notice.first.filter(|(_, moment)| self.looks.none_since(*moment)).map(|(first, _)| first);
        self.look(notice.stream, first);
    }

    /// A stream has something waiting, `first` before all else where that is known.
    fn look(&mut self, stream: String, first: Option<Waiting>) {
        if let Some(more) = self.active.get_mut(&stream) {
            *more = true;
        } else if self.active.len() < MOST_STREAMS {
            self.start(stream, first);
        }
    }

    fn start(&mut self, stream: String, first: Option<Waiting>) {
        let (outbox, workers, looks) =
            (Arc::clone(&self.outbox), Arc::clone(&self.workers), Arc::clone(&self.looks));
        let (name, stop) = (stream.clone(), self.stop.clone());
        let task =
            self.tasks.spawn(async move { deliver(&*outbox, &workers, &looks, &name, first, &stop).await });
        self.names.insert(task.id(), stream.clone());
        self.active.insert(stream, false);
    }

    fn ended(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(problem) => {
                tracing::error!(error = %problem, "a delivery task failed; the sweep starts it again");
                problem.id()
            }
        };
        let Some(stream) = self.names.remove(&id) else { return };
        // An event that came after the task's last look would otherwise wait for the sweep.
        if self.active.remove(&stream) == Some(true) && ended.is_ok() {
            self.start(stream, None);
        }
    }

    async fn sweep(&mut self) {
        match self.outbox.waiting_streams(MOST_STREAMS.saturating_mul(2)).await {
            Ok(streams) => {
                for stream in streams {
                    if !self.active.contains_key(&stream) {
                        self.look(stream, None);
                    }
                }
            }
            Err(problem) => tracing::debug!(error = %problem, "the outbox cannot be read, trying again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use bytes::Bytes;
    use rtms_protocol::UnixMillis;
    use rtms_service::time::unix_millis;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;
    use crate::outbox::{NewEvent, SqliteOutbox};

    type Bodies = Arc<Mutex<Vec<Bytes>>>;

    async fn take(State(bodies): State<Bodies>, body: Bytes) {
        bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
    }

    /// A dispatcher that does nothing on its own, its outbox, and what its worker got.
    struct Stage {
        dispatcher: Dispatcher<SqliteOutbox>,
        notifier: Notifier,
        bodies: Bodies,
        _folder: TempDir,
    }

    impl Stage {
        async fn set() -> Self {
            let bodies = Bodies::default();
            let routes = Router::new().route("/webhook", post(take)).with_state(Arc::clone(&bodies));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, routes).await });
            let folder = tempfile::tempdir().unwrap();
            let outbox = Arc::new(SqliteOutbox::open(folder.path()).unwrap());
            let workers = Arc::new(Workers::new(&[base], None).unwrap());
            let (dispatcher, notifier) = Dispatcher::new(outbox, workers);
            Self { dispatcher, notifier, bodies, _folder: folder }
        }

        /// Keeps an event, as the intake does; the notice of it.
        async fn keep(&self, body: &'static str) -> Notice {
            let event = NewEvent {
                stream: "s".to_owned(),
                action: Action::Started,
                event_ts: UnixMillis(1),
                body: Bytes::from(body),
            };
            let before = self.notifier.moment();
            let kept =
                self.dispatcher.outbox.append_for(None, event, UnixMillis(unix_millis())).await.unwrap();
            Notice { stream: "s".to_owned(), first: kept.first.zip(before) }
        }

        /// Waits for the end of all tasks.
        async fn finish(&mut self) {
            while let Some(ended) = self.dispatcher.tasks.join_next_with_id().await {
                self.dispatcher.ended(&ended);
            }
            assert_eq!(self.dispatcher.outbox.pending().events, 0);
        }

        fn bodies(&self) -> Vec<Bytes> {
            self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    #[tokio::test]
    async fn an_event_that_comes_with_its_notice_is_not_asked_for() {
        let mut stage = Stage::set().await;
        for body in ["a", "b"] {
            let notice = stage.keep(body).await;
            stage.dispatcher.notice(notice);
            stage.finish().await;
        }
        assert_eq!(stage.bodies(), ["a", "b"]);
        assert!(Looks::default().moment().is_some_and(|start| stage.dispatcher.looks.none_since(start)));
    }

    #[tokio::test]
    async fn a_notice_that_comes_after_the_delivery_delivers_nothing_again() {
        let mut stage = Stage::set().await;
        let late = stage.keep("a").await;
        assert!(late.first.is_some());
        // A sweep was faster.
        stage.dispatcher.look("s".to_owned(), None);
        stage.finish().await;
        stage.dispatcher.notice(late);
        stage.finish().await;
        assert_eq!(stage.bodies(), ["a"]);
    }

    #[tokio::test]
    async fn a_later_event_that_is_noticed_first_does_not_overtake() {
        let mut stage = Stage::set().await;
        let earlier = stage.keep("a").await;
        let later = stage.keep("b").await;
        assert!(later.first.is_none());
        stage.dispatcher.notice(later);
        stage.finish().await;
        stage.dispatcher.notice(earlier);
        stage.finish().await;
        assert_eq!(stage.bodies(), ["a", "b"]);
    }
}
