//! How late the simulator's own packets left, so that a load test shows when the generator, not the client, is the limit.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// Buckets of 1 ms; the last one holds everything from there on.
const BUCKETS: usize = 2_001;

/// A histogram that all sockets share. Packets that were buffered on purpose do not count.
#[derive(Debug)]
pub struct Lateness {
    buckets: Vec<AtomicU64>,
    worst_ms: AtomicU64,
    recent_ms: AtomicU64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            worst_ms: AtomicU64::new(0),
            recent_ms: AtomicU64::new(0),
        }
    }
}

impl Lateness {
    /// Counts one packet that left `late_ms` (real time) after it was due.
    pub fn record(&self, late_ms: u64) {
        let bucket = usize::try_from(late_ms).unwrap_or(usize::MAX).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.worst_ms.fetch_max(late_ms, Ordering::Relaxed);
        self.recent_ms.fetch_max(late_ms, Ordering::Relaxed);
    }

    /// Packets counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The worst of all, ms.
    #[must_use]
    pub fn worst_ms(&self) -> u64 {
        self.worst_ms.load(Ordering::Relaxed)
    }

    /// The worst since this was last asked, ms.
    pub fn take_recent_ms(&self) -> u64 {
        self.recent_ms.swap(0, Ordering::Relaxed)
    }

    /// The lateness in ms that this share (0 to 1) of the packets does not exceed, counted to 2 s.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> u64 {
        let wanted = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (late_ms, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            if seen >= wanted.max(1) {
                return late_ms as u64;
            }
        }
        0
    }

    /// Median, 99 %, 99.9 % and the worst, for `--json`.
    #[must_use]
    pub fn summary(&self) -> Value {
        json!({"packets": self.count(), "p50_ms": self.percentile_ms(0.5), "p99_ms": self.percentile_ms(0.99),
            "p999_ms": self.percentile_ms(0.999), "max_ms": self.worst_ms()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_count_packets() {
        let lateness = Lateness::default();
        assert_eq!(lateness.percentile_ms(0.5), 0);
        (0..99).for_each(|_| lateness.record(1));
        lateness.record(50_000);
        assert_eq!(
            (lateness.percentile_ms(0.5), lateness.percentile_ms(0.99), lateness.percentile_ms(1.0)),
            (1, 1, 2_000)
        );
        assert_eq!((lateness.count(), lateness.worst_ms()), (100, 50_000));
        assert_eq!((lateness.take_recent_ms(), lateness.take_recent_ms()), (50_000, 0));
    }
}
