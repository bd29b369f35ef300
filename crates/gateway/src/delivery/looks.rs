//! Whether any task has asked the outbox for events since some moment.
//!
//! It knows nothing of streams: a look for any of them counts for all. They are rare, because most events are at hand
//! when they are written, and a moment that is refused for nothing costs one look more.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the looks of all tasks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A moment at which nobody was looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u64);

/// A look that has begun; it ends with its scope.
pub(super) struct Look<'a>(&'a Looks);

impl Looks {
    /// Somebody looks, from now until the end of the returned scope.
    pub(super) fn look(&self) -> Look<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Look(self)
    }

    /// This moment, unless somebody is looking.
    pub(super) fn moment(&self) -> Option<Moment> {
        // In this order: what has ended by the first is at most what has begun by the second.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (ended == begun).then_some(Moment(begun))
    }

    /// Whether nobody has looked since then.
    pub(super) fn none_since(&self, moment: Moment) -> bool {
        self.begun.load(Ordering::SeqCst) == moment.0
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_ends_the_moments_before_it_and_there_is_none_during_it() {
        let looks = Looks::default();
        let before = looks.moment().unwrap();
        assert!(looks.none_since(before));
        let one = looks.look();
        let other = looks.look();
        assert!(!looks.none_since(before));
        assert_eq!(looks.moment(), None);
        drop(one);
        assert_eq!(looks.moment(), None);
        drop(other);
        let after = looks.moment().unwrap();
        assert!(looks.none_since(after) && !looks.none_since(before));
    }
}
