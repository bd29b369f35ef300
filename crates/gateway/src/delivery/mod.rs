//! From the outbox to a worker: in order for each stream, streams side by side, until it succeeded or has
//! become pointless.
//!
//! [`Dispatcher`] has one task for each stream with waiting events; the task takes the oldest, tries it,
//! waits, tries again. What it waits for and whom it asks is decided in `stream` and `workers`; what
//! one attempt means is in `attempt`, how it gets there in `connections`. Nothing is kept in memory that is not in the outbox, so killing
//! the process at any moment loses nothing; it can only deliver an event twice, which workers tolerate.

mod attempt;
mod backoff;
mod connections;
mod dispatcher;
mod looks;
mod stream;
mod workers;

pub use dispatcher::{Dispatcher, Notifier};
pub use workers::Workers;
