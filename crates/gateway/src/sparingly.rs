//! At most one log line a minute about what strangers can cause: they must not be able to fill the log. What is not
//! logged is counted all the same, by the metrics.

use std::sync::atomic::{AtomicI64, Ordering};

use rtms_protocol::UnixMillis;

/// Between two lines, ms.
const PAUSE_MS: i64 = 60_000;

/// Remembers when it last said yes.
#[derive(Debug)]
pub(crate) struct Sparingly {
    last: AtomicI64,
}

impl Default for Sparingly {
    fn default() -> Self {
        Self { last: AtomicI64::new(i64::MIN) }
    }
}

impl Sparingly {
    /// Whether a line is due at `now`; the next one is a minute later. A clock that was set back counts as due.
    pub(crate) fn is_due(&self, now: UnixMillis) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let due = !(0..PAUSE_MS).contains(&now.since(UnixMillis(last)));
        // Of several at the same moment one wins.
        due && self.last.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute() {
        let line = Sparingly::default();
        let due: Vec<_> =
            [0, 1, 59_999, 60_000, 60_001, 10].into_iter().map(|ms| line.is_due(UnixMillis(ms))).collect();
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
