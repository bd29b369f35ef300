//! The outbox as an SQLite file, on a thread of its own.
//!
//! One fsync costs milliseconds, and webhooks come in bursts, so requests that wait together share one
//! transaction (group commit): the thread takes everything that has queued up, executes it, commits once,
//! and answers all. If the commit fails, all are told so. The queue is bounded; when it is full, the
//! caller hears `Busy` instead of waiting in a line that Zoom's patience does not outlast.
//!
//! Only what was promised waits for the disk: that an event is kept, and whom a stream is with before it is
//! started there. That an event was delivered does not; should a power cut undo it, it is delivered again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rtms_protocol::UnixMillis;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub use super::schema::OpenError;
use super::{
    Appended, Assignment, EventId, Kept, NewEvent, Outbox, OutboxError, Pending, Waiting, database, schema,
};

/// Requests that may wait for the thread; beyond it callers hear `Busy`.
const QUEUE: usize = 2048;
/// Requests that share one transaction at most.
const BATCH: usize = 256;
/// "No event waits", in [`Shared::oldest`].
const NONE: i64 = i64::MAX;

type Reply<T> = oneshot::Sender<Result<T, OutboxError>>;

enum Request {
    Append(Option<String>, NewEvent, UnixMillis, Reply<Kept>),
    Next(String, Reply<Option<Waiting>>),
    Settled(EventId, Reply<()>),
    Delivered(String, EventId, Option<Assignment>, Reply<Option<Waiting>>),
    Assign(String, Assignment, Reply<()>),
    WaitingStreams(usize, Reply<Vec<String>>),
    Maintain(UnixMillis, Reply<()>),
}

/// What anybody may read without asking the thread.
struct Shared {
    events: AtomicU64,
    oldest: AtomicI64,
    writable: AtomicBool,
}

/// The SQLite outbox. Dropping it lets the thread finish what was queued and close the file.
pub struct SqliteOutbox {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteOutbox {
    /// Opens, or creates, the outbox in `folder`, for this process alone.
    ///
    /// # Errors
    /// When the folder or the file cannot be used; one line for the operator.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let file = OpenFile::open(folder)?;
        let problem = |source| OpenError::Database { path: folder.to_owned(), source };
        let oldest = database::oldest(&file.connection).map_err(problem)?;
        let shared = Arc::new(Shared {
            events: AtomicU64::new(file.events),
            oldest: AtomicI64::new(oldest.map_or(NONE, |at| at.0)),
            writable: AtomicBool::new(true),
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let keeper = Keeper { folder: folder.to_owned(), file: Some(file), shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || keeper.serve(queue))
            .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        Ok(Self { requests, shared, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until everything queued is written and the file is closed (its log folded in). Every other
    /// holder must have let go of the outbox.
    pub async fn close(self) {
        let Self { requests, thread, .. } = self;
        drop(requests);
        let thread = thread.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread {
            // Joining blocks; a join error means that the thread panicked, which it reported itself.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| OutboxError::Closed)?;
        answer.await.map_err(|_| OutboxError::Closed)?
    }
}

impl Outbox for SqliteOutbox {
    async fn append_for(
        &self,
        worker: Option<String>,
        event: NewEvent,
        now: UnixMillis,
    ) -> Result<Kept, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request::Append(worker, event, now, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => OutboxError::Busy,
            mpsc::error::TrySendError::Closed(_) => OutboxError::Closed,
        })?;
        answer.await.map_err(|_| OutboxError::Closed)?
    }

    async fn next(&self, stream: &str) -> Result<Option<Waiting>, OutboxError> {
        self.ask(|reply| Request::Next(stream.to_owned(), reply)).await
    }

    async fn settled(&self, id: EventId) -> Result<(), OutboxError> {
        self.ask(|reply| Request::Settled(id, reply)).await
    }

    async fn delivered(
        &self,
        stream: &str,
        id: EventId,
        taker: Option<Assignment>,
    ) -> Result<Option<Waiting>, OutboxError> {
        self.ask(|reply| Request::Delivered(stream.to_owned(), id, taker, reply)).await
    }

    async fn assign(&self, stream: &str, assignment: Assignment) -> Result<(), OutboxError> {
        self.ask(|reply| Request::Assign(stream.to_owned(), assignment, reply)).await
    }

    async fn waiting_streams(&self, limit: usize) -> Result<Vec<String>, OutboxError> {
        self.ask(|reply| Request::WaitingStreams(limit, reply)).await
    }

    async fn maintain(&self, now: UnixMillis) -> Result<(), OutboxError> {
        self.ask(|reply| Request::Maintain(now, reply)).await
    }

    fn pending(&self) -> Pending {
        let oldest = self.shared.oldest.load(Ordering::Acquire);
        Pending {
            events: self.shared.events.load(Ordering::Acquire),
            oldest: (oldest != NONE).then_some(UnixMillis(oldest)),
        }
    }

    fn writable(&self) -> bool {
        self.shared.writable.load(Ordering::Acquire)
    }
}

/// An answer that waits for the commit.
type Answer = Box<dyn FnOnce(Option<&OutboxError>) + Send>;

/// The file, and what this connection knows of it; it holds the file alone, so nobody else can change that.
struct OpenFile {
    connection: Connection,
    /// Events that wait: counted when the file is opened and at each upkeep, kept in step between.
    events: u64,
    /// Whether commits wait for the disk, as far as the connection was told.
    waits: Option<bool>,
}

impl OpenFile {
    fn open(folder: &Path) -> Result<Self, OpenError> {
        let connection = schema::open(folder)?;
        let events = database::count(&connection)
            .map_err(|source| OpenError::Database { path: folder.to_owned(), source })?;
        Ok(Self { connection, events, waits: None })
    }

    /// Makes commits wait for the disk, or not.
    fn wait_for_disk(&mut self, wait: bool) -> rusqlite::Result<()> {
        if self.waits != Some(wait) {
            database::sync(&self.connection, wait)?;
            self.waits = Some(wait);
        }
        Ok(())
    }
}

/// The thread's side: the only one that touches the file.
struct Keeper {
    folder: PathBuf,
    /// None after a failure: opened anew for the next batch, since the disk may be back.
    file: Option<OpenFile>,
    shared: Arc<Shared>,
}

impl Keeper {
    fn serve(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
            // Where this thread took the processor from those who ask, as happens on few of them, they get it back first:
            // what they were about to ask then shares this commit instead of waiting for it.
            std::thread::yield_now();
            while batch.len() < BATCH
                && let Ok(request) = queue.try_recv()
            {
                batch.push(request);
            }
            self.execute(&mut batch);
        }
        if let Some(file) = self.file.take()
            && let Err((_, error)) = file.connection.close()
        {
            tracing::warn!(%error, "the outbox did not close cleanly; its log is read at the next start");
        }
    }

    /// Executes a batch in one transaction, then answers; the batch is empty afterwards.
    fn execute(&mut self, batch: &mut Vec<Request>) {
        let mut answers = Vec::with_capacity(batch.len());
        let lasting = batch.iter().filter_map(Request::lasting).max();
        let mut batch = batch.drain(..);
        match self.transaction(&mut batch, lasting, &mut answers) {
            Ok(proven) => {
                if proven && !self.shared.writable.swap(true, Ordering::AcqRel) {
                    tracing::info!("the outbox can be written again");
                }
                answers.into_iter().for_each(|answer| answer(None));
            }
            Err(problem) => {
                if self.shared.writable.swap(false, Ordering::AcqRel) {
                    tracing::error!(
                        folder = %self.folder.display(), error = %problem,
                        "the outbox cannot be written: Zoom gets 503 and delivers again; check disk space and permissions"
                    );
                }
                self.file = None;
                let error = OutboxError::Storage(problem);
                answers.into_iter().for_each(|answer| answer(Some(&error)));
                batch.for_each(|request| request.refuse(&error));
            }
        }
    }

    /// Whether something was written and the disk has it: neither reading nor writing to the page cache proves that
    /// a disk takes anything.
    fn transaction(
        &mut self,
        batch: &mut impl Iterator<Item = Request>,
        lasting: Option<bool>,
        answers: &mut Vec<Answer>,
    ) -> Result<bool, String> {
        let text = |error: rusqlite::Error| error.to_string();
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenFile::open(&self.folder).map_err(|error| error.to_string())?,
        };
        let file = self.file.insert(file);
        if let Some(wait) = lasting {
            file.wait_for_disk(wait).map_err(text)?;
        }
        let (db, before) = (&file.connection, file.connection.total_changes());
        database::begin(db).map_err(text)?;
        let mut events = file.events;
        for request in batch {
            answers.push(request.execute(db, &mut events).map_err(|(error, answer)| {
                answer(Some(&OutboxError::Storage(error.clone())));
                error
            })?);
        }
        let wrote = db.total_changes() != before;
        let oldest = if wrote { database::oldest(db).map_err(text)? } else { None };
        database::commit(db).map_err(text)?;
        if wrote {
            file.events = events;
            self.shared.events.store(events, Ordering::Release);
            self.shared.oldest.store(oldest.map_or(NONE, |at| at.0), Ordering::Release);
        }
        Ok(wrote && lasting == Some(true))
    }
}

/// Pairs a result with the reply it is for; sent once the commit is known.
fn later<T: Send + 'static>(
    result: rusqlite::Result<T>,
    reply: Reply<T>,
) -> Result<Answer, (String, Answer)> {
    // A caller that gave up waiting is no reason to stop.
    match result {
        Ok(value) => Ok(Box::new(move |error| {
            let _ = reply.send(error.map_or(Ok(value), |error| Err(error.clone())));
        })),
        Err(problem) => Err((
            problem.to_string(),
            Box::new(move |error| {
                let _ = reply.send(Err(error.cloned().unwrap_or(OutboxError::Closed)));
            }),
        )),
    }
}

impl Request {
    /// Whether what it writes was promised, so that its commit must wait for the disk; `None` when it only reads.
    fn lasting(&self) -> Option<bool> {
        match self {
            Self::Append(..) | Self::Assign(..) | Self::Maintain(..) => Some(true),
            Self::Settled(..) | Self::Delivered(..) => Some(false),
            Self::Next(..) | Self::WaitingStreams(..) => None,
        }
    }

    /// Executes it within a transaction; `events` is kept in step with the table.
    fn execute(self, db: &Connection, events: &mut u64) -> Result<Answer, (String, Answer)> {
        match self {
            Self::Append(worker, event, now, reply) => {
                let kept = database::append(db, &event, worker.as_deref(), now);
                *events += u64::from(matches!(kept, Ok(Kept { appended: Appended::New, .. })));
                later(kept, reply)
            }
            Self::Next(stream, reply) => later(database::next(db, &stream), reply),
            Self::Settled(id, reply) => later(settle(db, id, events), reply),
            Self::Delivered(stream, id, taker, reply) => {
                let done = settle(db, id, events)
                    .and_then(|()| taker.map_or(Ok(()), |taker| database::assign(db, &stream, &taker)))
                    .and_then(|()| database::next(db, &stream));
                later(done, reply)
            }
            Self::Assign(stream, to, reply) => later(database::assign(db, &stream, &to), reply),
            Self::WaitingStreams(limit, reply) => later(database::waiting_streams(db, limit), reply),
            Self::Maintain(now, reply) => later(maintain(db, now, events), reply),
        }
    }

    fn refuse(self, error: &OutboxError) {
        let error = error.clone();
        // As above: a caller may be gone.
        match self {
            Self::Append(_, _, _, reply) => drop(reply.send(Err(error))),
            Self::Next(_, reply) | Self::Delivered(_, _, _, reply) => drop(reply.send(Err(error))),
            Self::WaitingStreams(_, reply) => drop(reply.send(Err(error))),
            Self::Settled(_, reply) | Self::Assign(_, _, reply) | Self::Maintain(_, reply) => {
                drop(reply.send(Err(error)));
            }
        }
    }
}

/// Deletes an event and counts it out.
fn settle(db: &Connection, id: EventId, events: &mut u64) -> rusqlite::Result<()> {
    let gone = database::settled(db, id)?;
    *events = events.saturating_sub(gone as u64);
    Ok(())
}

/// Upkeep; what waits is counted anew, so that a count that is wrong does not stay so.
fn maintain(db: &Connection, now: UnixMillis, events: &mut u64) -> rusqlite::Result<()> {
    database::maintain(db, now)?;
    let counted = database::count(db)?;
    if counted != *events {
        tracing::error!(counted, kept = *events, "events were miscounted; please report it");
        *events = counted;
    }
    Ok(())
}
