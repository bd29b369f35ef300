//! The writer threads: they own every recording, and all file I/O of the worker happens on them.
//!
//! An engagement opens a [`WriterHandle`], hands over [`Batch`]es, and finishes. Each handle is bound to one thread, so
//! a recording is only ever touched by one. The queue to a thread is bounded, and what an engagement has in it counts
//! against the engagement's byte budget; whoever has no room left waits, then drops (see [`WriterHandle::submit`]).
//! What has ended is finished on threads of its own (see [`finisher`]).

mod batch;
mod closer;
mod counts;
mod disk;
mod finisher;
mod slot;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rtms_protocol::{MediaSet, UnixMillis};
use rtms_recorder::{Manifest, People, Progress, RecordError, RecordingEnd, RecordingSpec, StoredManifest};
use rtms_service::time::unix_millis;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub(crate) use batch::{Batch, Item};
pub(crate) use disk::Disk;
pub(crate) use slot::lost;

/// Writer threads. Two, so that one slow write does not hold up all; files are mostly page cache.
const THREADS: usize = 2;
/// Jobs that may wait for a thread, over all its engagements: more than ten seconds of a thousand streams each, as a disk
/// takes while hundreds of recordings begin. What they hold is bounded by the budgets.
const QUEUE: usize = 64 * 1024;
/// Bytes of media messages that one engagement may have waiting for the disk.
const BUDGET_BYTES: u32 = 4 * 1024 * 1024;
/// How long an engagement stops reading from Zoom when its budget is used up, before it drops. Far below the 10 s
/// between keep-alives, of which Zoom forgives two.
const PATIENCE: Duration = Duration::from_secs(2);

/// Work for a writer thread. `at` is when it was asked for: what arrived by then was handed over before it.
enum Job {
    Open {
        key: u64,
        origin: Origin,
        at: UnixMillis,
    },
    Batch {
        key: u64,
        batch: Batch,
        at: UnixMillis,
        _budget: OwnedSemaphorePermit,
    },
    Flush {
        key: u64,
        at: UnixMillis,
    },
    Progress {
        key: u64,
        answer: oneshot::Sender<Progress>,
    },
    Finish {
        key: u64,
        last: Batch,
        end: RecordingEnd,
        answer: oneshot::Sender<Result<Box<Manifest>, RecordError>>,
    },
    HandOver {
        key: u64,
        last: Batch,
        at: UnixMillis,
        answer: oneshot::Sender<Result<(), RecordError>>,
    },
}

/// Where a recording comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// It is a new one.
    New(Box<RecordingSpec>),
    /// An earlier process left it; `spec` is for a new one, should it be beyond going on.
    Left {
        /// What was left.
        stored: Box<StoredManifest>,
        /// What a new recording would be.
        spec: Box<RecordingSpec>,
    },
}

impl Origin {
    /// Whether an earlier process had got into the stream: Zoom had granted it media.
    pub(crate) fn was_joined(&self) -> bool {
        match self {
            Self::New(_) => false,
            Self::Left { stored, .. } => stored
                .manifest
                .in_progress
                .as_ref()
                .is_some_and(|left| left.granted.kinds() != MediaSet::EMPTY),
        }
    }

    /// Whose video an earlier process had chosen.
    pub(crate) fn video_user_id(&self) -> Option<String> {
        match self {
            Self::New(_) => None,
            Self::Left { stored, .. } => stored.manifest.in_progress.as_ref()?.video_user_id.clone(),
        }
    }

    /// Who is known from before.
    pub(crate) fn people(&self) -> People {
        match self {
            Self::New(_) => People::default(),
            Self::Left { stored, .. } => {
                let left = stored.manifest.in_progress.as_ref();
                let turns = left.map(|left| left.turns.clone()).unwrap_or_default();
                People::resume(stored.manifest.participants.clone(), turns)
            }
        }
    }

    fn spec(&self) -> &RecordingSpec {
        match self {
            Self::New(spec) | Self::Left { spec, .. } => spec,
        }
    }
}

/// The threads.
#[derive(Debug)]
pub(crate) struct Writers {
    queues: Vec<mpsc::Sender<Job>>,
    next: AtomicU64,
    disk: Arc<Disk>,
}

/// Why an engagement's media could not be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubmitError {
    /// The disk does not keep up and the budget is used up; the batch is dropped.
    #[error("the disk does not keep up")]
    Full,
    /// The thread is gone.
    #[error("the writer thread is gone")]
    Gone,
}

impl Writers {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Arc<Self>> {
        let disk = Arc::new(Disk::default());
        let finisher = Arc::new(finisher::Finisher::start(&disk)?);
        let closer = closer::start()?;
        let mut queues = Vec::with_capacity(THREADS);
        for index in 0..THREADS {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let helpers = thread::Helpers {
                disk: Arc::clone(&disk),
                finisher: Arc::clone(&finisher),
                closer: closer.clone(),
            };
            std::thread::Builder::new()
                .name(format!("writer-{index}"))
                .spawn(move || thread::run(receiver, &helpers))?;
            queues.push(sender);
        }
        Ok(Arc::new(Self { queues, next: AtomicU64::new(0), disk }))
    }

    /// How the disk does.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Begins a recording on one of the threads.
    pub(crate) async fn open(&self, origin: Origin) -> Result<WriterHandle, SubmitError> {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let index = usize::try_from(key).unwrap_or_default() % self.queues.len().max(1);
        let queue = self.queues.get(index).ok_or(SubmitError::Gone)?.clone();
        queue.send(Job::Open { key, origin, at: now() }).await.map_err(|_| SubmitError::Gone)?;
        let budget = Arc::new(Semaphore::new(BUDGET_BYTES as usize));
        Ok(WriterHandle { key, queue, budget, shedding: false })
    }
}

/// One recording, from outside its thread.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    key: u64,
    queue: mpsc::Sender<Job>,
    budget: Arc<Semaphore>,
    /// Whether the last batch was dropped: until there is room again, no time is spent on waiting.
    shedding: bool,
}

impl WriterHandle {
    /// Hands a batch over. Waits at most [`PATIENCE`] for room.
    ///
    /// # Errors
    /// The batch comes back when there is no room; events and transcripts in it deserve another try.
    pub(crate) async fn submit(&mut self, batch: Batch) -> Result<(), (SubmitError, Batch)> {
        let at = now();
        let bytes = u32::try_from(batch.bytes()).unwrap_or(BUDGET_BYTES).min(BUDGET_BYTES);
        let room = async {
            let budget = Arc::clone(&self.budget).acquire_many_owned(bytes).await.ok()?;
            Some((budget, self.queue.reserve().await.ok()?))
        };
        let patience = if self.shedding { Duration::ZERO } else { PATIENCE };
        match tokio::time::timeout(patience, room).await {
            Ok(Some((budget, place))) => {
                place.send(Job::Batch { key: self.key, batch, at, _budget: budget });
                // One that only tells what was lost finds room where nothing else does.
                self.shedding &= bytes == 0;
                Ok(())
            }
            refused => {
                self.shedding = true;
                let error = if refused.is_ok() { SubmitError::Gone } else { SubmitError::Full };
                Err((error, batch))
            }
        }
    }

    /// Whether there was no room for the last batch of media, nor was any found since.
    pub(crate) const fn is_shedding(&self) -> bool {
        self.shedding
    }

    /// Asks for a flush without anything new; dropped when the queue is full, since then one is coming anyway.
    pub(crate) fn flush(&self) {
        drop(self.queue.try_send(Job::Flush { key: self.key, at: now() }));
    }

    /// How far the recording is; `None` when the thread is busy or gone.
    pub(crate) async fn progress(&self, patience: Duration) -> Option<Progress> {
        let (answer, receiver) = oneshot::channel();
        let asked = async {
            self.queue.send(Job::Progress { key: self.key, answer }).await.ok()?;
            receiver.await.ok()
        };
        tokio::time::timeout(patience, asked).await.ok().flatten()
    }

    /// Ends the recording and returns its manifest; `None` when there is no recording because the disk never took it.
    /// `last` is what found no room before; it is small once it has been shed.
    pub(crate) async fn finish(
        self,
        last: Batch,
        end: RecordingEnd,
    ) -> Option<Result<Box<Manifest>, RecordError>> {
        let (answer, receiver) = oneshot::channel();
        self.queue.send(Job::Finish { key: self.key, last, end, answer }).await.ok()?;
        receiver.await.ok()
    }

    /// Leaves the recording for the next process; `None` when there is none because the disk never took it. `last` as
    /// for [`Self::finish`].
    pub(crate) async fn hand_over(self, last: Batch, at: UnixMillis) -> Option<Result<(), RecordError>> {
        let (answer, receiver) = oneshot::channel();
        self.queue.send(Job::HandOver { key: self.key, last, at, answer }).await.ok()?;
        receiver.await.ok()
    }
}

fn now() -> UnixMillis {
    UnixMillis(unix_millis())
}
