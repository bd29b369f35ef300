//! When to try again: soon at first, then ever less often, never in step with others.

use std::time::Duration;

/// Wait before the second and later retries starts at this, and doubles.
const BASE: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);

/// Counts failed attempts of one socket and says how long to wait after each.
///
/// Zoom publishes 3 s doubling to 30 s; a faster first retry (100 to 400 ms) loses less of what is not buffered.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure; returns the wait before the next attempt.
    pub(super) fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        if failures == 0 {
            return Duration::from_millis(rng.u64(100..=400));
        }
        let doubled = BASE.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST);
        let wait = u64::try_from(doubled.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(rng.u64(wait * 3 / 4..=wait))
    }

    /// Failures since the last success.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_then_doubling_to_ten_seconds() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::default();
            let waits: Vec<_> = (0..12).map(|_| backoff.next(&mut rng)).collect();
            assert!(waits[0] <= Duration::from_millis(400));
            for (index, longest) in [500, 1000, 2000, 4000, 8000, 10_000, 10_000].into_iter().enumerate() {
                let longest = Duration::from_millis(longest);
                assert!(waits[index + 1] <= longest && waits[index + 1] >= longest * 3 / 4, "{waits:?}");
            }
            backoff.reset();
            assert!(backoff.next(&mut rng) <= Duration::from_millis(400));
        }
    }
}
