//! Where accepted events wait until a worker has them.
//!
//! [`Outbox`] is the seam: today an SQLite file ([`SqliteOutbox`]), later perhaps a message broker. What
//! it promises: an event that `append` accepted survives the death of the process, comes out in the order
//! of its stream, and the same bytes are accepted once within [`DEDUP_MS`].
//!
//! Time is an argument everywhere, as Unix milliseconds.

mod database;
mod schema;
mod sqlite;

use std::future::Future;

use bytes::Bytes;
use rtms_protocol::UnixMillis;

pub use sqlite::{OpenError, SqliteOutbox};

/// How long the same bytes are recognised, in ms: Zoom's last repetition comes 85 minutes after the first.
pub const DEDUP_MS: i64 = 2 * 60 * 60 * 1000;
/// How long it is remembered which worker has a stream and that it stopped, in ms, since its last event.
pub const STREAM_MEMORY_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// What an event asks of the worker, as far as the gateway cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Join the stream. Worthless once the stream is over.
    Started,
    /// The stream is over. Never given up lightly: a revocation is one.
    Stopped,
    /// Anything else about a stream, such as an interruption. Worthless once the stream is over.
    Other,
}

impl Action {
    /// A word for logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Other => "other",
        }
    }
}

/// A verified event, to be kept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The key of its order: events of one stream are delivered one after the other.
    pub stream: String,
    /// What it asks.
    pub action: Action,
    /// When it happened, by Zoom's clock.
    pub event_ts: UnixMillis,
    /// Zoom's body, byte for byte.
    pub body: Bytes,
}

/// What became of an `append`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on disk.
    New,
    /// The same bytes were accepted before; nothing was added.
    Duplicate,
}

/// What an `append` did, and what came of it at once.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Whether it was added.
    pub appended: Appended,
    /// The event, where it is the oldest of its stream that waits: whoever delivers it need not ask for it. Never a large
    /// one, so that many may be on their way.
    pub first: Option<Waiting>,
}

/// A waiting event's number: unique, growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub i64);

/// The oldest waiting event of a stream, and what is known of the stream.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its number.
    pub id: EventId,
    /// What it asks.
    pub action: Action,
    /// When the gateway accepted it.
    pub received: UnixMillis,
    /// Zoom's body.
    pub body: Bytes,
    /// A stop that is not older is known: starting this stream now would leave a zombie.
    pub over: bool,
    /// The worker the stream is with.
    pub assignment: Option<Assignment>,
}

/// Which worker has a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The worker's base URL.
    pub worker: String,
    /// Whether it took an event of this stream; before that, the stream may go elsewhere.
    pub confirmed: bool,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Events that wait.
    pub events: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<UnixMillis>,
}

/// Why the outbox could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OutboxError {
    /// More requests wait than are worth queueing.
    #[error("the outbox is overloaded")]
    Busy,
    /// The disk did not take it.
    #[error("the outbox cannot be written: {0}")]
    Storage(String),
    /// The outbox was closed.
    #[error("the outbox is closed")]
    Closed,
}

/// A durable queue of events, in order for each stream.
pub trait Outbox: Send + Sync + 'static {
    /// Keeps an event; returns when it would survive a power cut.
    ///
    /// # Errors
    /// Nothing was promised then; after a timeout on the caller's side it may still be kept.
    fn append(
        &self,
        event: NewEvent,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Appended, OutboxError>> + Send {
        async move { Ok(self.append_for(None, event, now).await?.appended) }
    }

    /// The same; a stream that has no worker yet is given `worker` in the same write, unconfirmed.
    ///
    /// # Errors
    /// As those of [`Self::append`].
    fn append_for(
        &self,
        worker: Option<String>,
        event: NewEvent,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Kept, OutboxError>> + Send;

    /// The oldest event of a stream that waits.
    fn next(&self, stream: &str) -> impl Future<Output = Result<Option<Waiting>, OutboxError>> + Send;

    /// The event is pointless: its body is deleted. After a power cut it may be here again.
    fn settled(&self, id: EventId) -> impl Future<Output = Result<(), OutboxError>> + Send;

    /// A worker took the event: its body is deleted, `taker` is noted where it is news, and the stream's next event
    /// comes back, all in one step. After a power cut the event may be here again, and is delivered once more; the
    /// death of the process takes nothing back.
    fn delivered(
        &self,
        stream: &str,
        id: EventId,
        taker: Option<Assignment>,
    ) -> impl Future<Output = Result<Option<Waiting>, OutboxError>> + Send;

    /// Remembers which worker a stream is with; returns when that would survive a power cut.
    fn assign(
        &self,
        stream: &str,
        assignment: Assignment,
    ) -> impl Future<Output = Result<(), OutboxError>> + Send;

    /// Streams with waiting events, those that wait longest first, at most `limit`.
    fn waiting_streams(&self, limit: usize) -> impl Future<Output = Result<Vec<String>, OutboxError>> + Send;

    /// Forgets what is old, and proves by it that the disk still takes writes.
    fn maintain(&self, now: UnixMillis) -> impl Future<Output = Result<(), OutboxError>> + Send;

    /// How much waits; answered at once, from memory.
    fn pending(&self) -> Pending;

    /// Whether the last write succeeded.
    fn writable(&self) -> bool;
}
