//! How many frames a connection may bring: a bucket of tokens, without a clock of its own.
//!
//! The bucket is kept as one point in time, that at which it will be full again. It may go into debt by what one read
//! brings, and then nothing is read before the debt is paid. Nothing is lost: the peer waits.

use std::time::Duration;

use tokio::time::Instant;

/// Frames a second, and how many may come at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    interval: Duration,
    burst: Duration,
}

impl Rate {
    /// `per_second` frames for ever, `burst` at once. Zero counts as one.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, burst: interval * burst.max(1) }
    }
}

/// What is left of a [`Rate`].
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, full_at: now }
    }

    /// Takes `frames` out.
    pub(crate) fn take(&mut self, now: Instant, frames: u32) {
        if frames > 0 {
            self.full_at = self.full_at.max(now) + self.rate.interval * frames;
        }
    }

    /// When the debt is paid; `None` where there is none.
    pub(crate) fn debt(&self, now: Instant) -> Option<Instant> {
        let paid = self.full_at.checked_sub(self.rate.burst)?;
        (paid > now).then_some(paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now() + 100 * SECOND;
        let mut bucket = Bucket::new(Rate::new(1_000, 5_000), start);
        bucket.take(start, 5_000);
        assert_eq!(bucket.debt(start), None, "the burst is free");
        bucket.take(start, 2_000);
        assert_eq!(bucket.debt(start), Some(start + 2 * SECOND));
        assert_eq!(bucket.debt(start + 2 * SECOND), None);
    }

    #[test]
    fn who_keeps_to_the_rate_never_waits_and_saves_no_more_than_a_burst() {
        let start = Instant::now() + 100 * SECOND;
        let mut bucket = Bucket::new(Rate::new(1_000, 500), start);
        for second in 1..=100 {
            let now = start + SECOND * second;
            bucket.take(now, 500);
            assert_eq!(bucket.debt(now), None);
        }
        let much_later = start + 1_000 * SECOND;
        bucket.take(much_later, 501);
        assert_eq!(bucket.debt(much_later), Some(much_later + SECOND / 1_000));
    }
}
