//! The open connections of a listener, so that a full house makes room instead of shutting its door.
//!
//! When there are as many connections as allowed, the one that has stayed longest as it is, waiting for
//! a request or with one in work, is closed for the newcomer; a request in work counts as a little
//! younger than it is. Thousands of idle or crawling senders therefore push out each other, and not the
//! next honest request, which sends at once and is done within milliseconds.
//!
//! It refuses to prefer requests in work for longer than that: whoever held every place with requests
//! that crawl could otherwise push out each newcomer before its first byte was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// By so much a request in work counts as younger than it is: honest ones are done by then.
const WORKING_GRACE: Duration = Duration::from_millis(250);

/// What a connection does, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Waiting for a request head.
    Waiting(Instant),
    /// Reading a body, or working.
    Working(Instant),
}

impl Doing {
    /// Whoever has the earliest is evicted first.
    fn rank(self) -> Instant {
        match self {
            Self::Waiting(since) => since,
            Self::Working(since) => since + WORKING_GRACE,
        }
    }
}

struct Entry {
    doing: Doing,
    evict: CancellationToken,
}

/// The connections of one listener.
#[derive(Default)]
pub(super) struct Connections {
    entries: Mutex<HashMap<u64, Entry>>,
}

/// A connection's place in the table; leaving scope leaves the table.
pub(super) struct Place {
    id: u64,
    connections: Arc<Connections>,
    /// Cancelled when the connection must go.
    pub(super) evict: CancellationToken,
}

impl Connections {
    /// Adds connection `id`; with `limit` or more open, another one is told to go first.
    /// Returns its place and whether one was evicted.
    pub(super) fn enter(self: &Arc<Self>, id: u64, limit: usize, now: Instant) -> (Place, bool) {
        let evict = CancellationToken::new();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let full = entries.len() >= limit;
        if full {
            let oldest =
                entries.iter().min_by_key(|(id, entry)| (entry.doing.rank(), **id)).map(|(id, _)| *id);
            if let Some(gone) = oldest.and_then(|oldest| entries.remove(&oldest)) {
                gone.evict.cancel();
            }
        }
        entries.insert(id, Entry { doing: Doing::Waiting(now), evict: evict.clone() });
        (Place { id, connections: Arc::clone(self), evict }, full)
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn note(&self, id: u64, doing: Doing) {
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
            entry.doing = doing;
        }
    }
}

impl Place {
    /// A request's head has arrived.
    pub(super) fn working(&self) {
        self.connections.note(self.id, Doing::Working(Instant::now()));
    }

    /// Its answer is ready.
    pub(super) fn waiting(&self) {
        self.connections.note(self.id, Doing::Waiting(Instant::now()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_longest_waiting_goes_first_and_fresh_work_last() {
        let connections = Arc::new(Connections::default());
        let start = Instant::now();
        let (a, _) = connections.enter(1, 3, start);
        let (b, _) = connections.enter(2, 3, start + Duration::from_millis(1));
        let (c, evicted) = connections.enter(3, 3, start + Duration::from_millis(2));
        assert!(!evicted);
        a.working();
        let (d, evicted) = connections.enter(4, 3, start + Duration::from_millis(3));
        assert!(evicted && b.evict.is_cancelled() && !a.evict.is_cancelled());
        c.working();
        d.working();
        let (e, _) = connections.enter(5, 3, start + Duration::from_millis(4));
        assert!(a.evict.is_cancelled(), "all work: the one that began first goes");
        drop((a, b, c, d, e));
        assert_eq!(connections.open(), 0);
    }

    #[test]
    fn requests_that_crawl_do_not_push_out_a_newcomer() {
        let connections = Arc::new(Connections::default());
        let start = Instant::now();
        let crawlers: Vec<_> = (0..3).map(|id| connections.enter(id, 3, start).0).collect();
        (0..3).for_each(|id| connections.note(id, Doing::Working(start)));
        let later = start + Duration::from_secs(1);
        let (honest, _) = connections.enter(10, 3, later);
        // More of the same come before the honest one's first byte was read.
        let more: Vec<_> = (11..13).map(|id| connections.enter(id, 3, later).0).collect();
        assert!(crawlers.iter().all(|crawler| crawler.evict.is_cancelled()));
        assert!(!honest.evict.is_cancelled() && more.len() == 2);
    }
}
