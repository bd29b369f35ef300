//! How long to wait before the next attempt.

use std::time::Duration;

/// The first wait; with jitter it stays below half a second.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait: a started stream waits a minute for a connection, so a worker that is back must be
/// found soon.
const LONGEST: Duration = Duration::from_secs(5);

/// The wait after `failures` failures in a row (1 or more): doubling, at most 5 s, 80 to 120 % of it by
/// `chance` (0 to 1), not shorter than what the worker asked for (which counts for at most 5 s).
pub(super) fn backoff(failures: u32, retry_after: Option<Duration>, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(1));
    let jittered = doubled.min(LONGEST).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0));
    jittered.max(retry_after.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_at_first_and_capped() {
        assert!(backoff(1, None, 1.0) <= Duration::from_millis(500));
        assert_eq!(backoff(2, None, 0.5), Duration::from_millis(500));
        for failures in [6, 10, 100, u32::MAX] {
            assert!(backoff(failures, None, 1.0) <= Duration::from_secs(6));
        }
    }

    #[test]
    fn a_worker_may_ask_for_more_but_not_for_an_hour() {
        assert_eq!(backoff(1, Some(Duration::from_secs(2)), 0.5), Duration::from_secs(2));
        assert_eq!(backoff(1, Some(Duration::from_secs(3600)), 0.5), Duration::from_secs(5));
    }
}
