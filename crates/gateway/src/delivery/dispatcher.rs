//! Starts a task for each stream that has something waiting, never two for one.
//!
//! A notice that does not fit into the channel is not lost: the events are on disk, and a sweep looks for
//! streams without a task every few seconds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rtms_service::CancellationToken;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};

use super::stream::deliver;
use super::workers::{Condition, Workers};
use crate::outbox::{Action, Outbox};

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
    notices: mpsc::Sender<String>,
    workers: Arc<Workers>,
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

    /// An event of `stream` is in the outbox. Never waits.
    pub fn accepted(&self, stream: String) {
        if self.notices.try_send(stream).is_err() {
            tracing::debug!("many events at once; the sweep picks this one up");
        }
    }
}

/// Owns all delivery tasks.
pub struct Dispatcher<O> {
    outbox: Arc<O>,
    workers: Arc<Workers>,
    notices: mpsc::Receiver<String>,
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
        let notifier = Notifier { notices: sender, workers: Arc::clone(&workers) };
        let dispatcher = Self {
            outbox,
            workers,
            notices,
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
                Some(stream) = self.notices.recv() => self.look(stream),
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

    /// A stream has something waiting.
    fn look(&mut self, stream: String) {
        if let Some(more) = self.active.get_mut(&stream) {
            *more = true;
        } else if self.active.len() < MOST_STREAMS {
            self.start(stream);
        }
    }

    fn start(&mut self, stream: String) {
        let (outbox, workers) = (Arc::clone(&self.outbox), Arc::clone(&self.workers));
        let (name, stop) = (stream.clone(), self.stop.clone());
        let task = self.tasks.spawn(async move { deliver(&*outbox, &workers, &name, &stop).await });
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
            self.start(stream);
        }
    }

    async fn sweep(&mut self) {
        match self.outbox.waiting_streams(MOST_STREAMS.saturating_mul(2)).await {
            Ok(streams) => {
                for stream in streams {
                    if !self.active.contains_key(&stream) {
                        self.look(stream);
                    }
                }
            }
            Err(problem) => tracing::debug!(error = %problem, "the outbox cannot be read, trying again"),
        }
    }
}
