//! The memory that large messages of all connections may take together while they come in.
//!
//! A message holds its part from its first frame until it has been handed to the session; from there on the recorder's
//! budget for each stream counts. Who finds no room does not wait (one peer that stops in mid-message could make
//! everybody wait): that message is skipped and counted.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// From this size on, in bytes, a message is counted. Sound and most pictures stay below it.
pub(super) const LARGE: u64 = 64 * 1024;

/// What is left for large messages; shared by all clones.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0.available_permits()
    }
}

/// What one connection holds of it; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Grows to `bytes`; false, and nothing changed, where there is no room.
    pub(super) fn grow_to(&mut self, room: &Room, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes());
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(permit) = Arc::clone(&room.0).try_acquire_many_owned(more) else { return false };
        self.add(Some(permit));
        true
    }

    /// Takes over what another one held.
    pub(super) fn merge(&mut self, other: &mut Self) {
        self.add(other.0.take());
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }

    fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |permit| permit.num_permits() as u64)
    }

    fn add(&mut self, more: Option<OwnedSemaphorePermit>) {
        match (&mut self.0, more) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
    }
}
