//! The listener's door: counts who comes in, before anybody knows for which stream, and lets some of them stand there.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Connections that were accepted, and those that are to be stalled.
#[derive(Debug)]
pub(super) struct Door {
    accepted: AtomicU64,
    stalled: Mutex<Vec<Range<u64>>>,
    open: watch::Sender<bool>,
}

impl Default for Door {
    fn default() -> Self {
        Self { accepted: AtomicU64::new(0), stalled: Mutex::default(), open: watch::Sender::new(true) }
    }
}

impl Door {
    /// Opens it, or lets all who come wait before it.
    pub(super) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Waits until it is open.
    pub(super) async fn opened(&self) {
        // It is not dropped while somebody holds it.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// How many connections were accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Plans to stall these connections, counted from now.
    pub(super) fn stall(&self, planned: &Range<u64>) {
        if !planned.is_empty() {
            let now = self.accepted();
            let range = now.saturating_add(planned.start)..now.saturating_add(planned.end);
            self.stalled.lock().unwrap_or_else(PoisonError::into_inner).push(range);
        }
    }

    /// Lets a connection in; whether it is one to be stalled.
    pub(super) fn enter(&self) -> bool {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        stalled.retain(|range| range.end > number);
        stalled.iter().any(|range| range.contains(&number))
    }
}

/// Reads and says nothing until the client goes.
pub(super) async fn hold(mut tcp: TcpStream) {
    let mut rubbish = [0; 4096];
    while tcp.read(&mut rubbish).await.is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_from_when_they_were_planned() {
        let door = Door::default();
        assert!(!door.enter());
        door.stall(&(1..3));
        let stalled: Vec<_> = (0..4).map(|_| door.enter()).collect();
        assert_eq!(stalled, [false, true, true, false]);
        assert_eq!(door.accepted(), 5);
    }
}
