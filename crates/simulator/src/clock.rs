//! A stream's time: an absolute schedule that lateness cannot shift.
//!
//! What is due at offset `t` is due at `began + t / speed`, and carries the timestamp `time zero + t`, whenever it really
//! leaves. A speed above 1 shortens the waiting and nothing else: timestamps on the wire stay those of a real call.

use std::time::Duration;

use rtms_protocol::UnixMillis;
use tokio::time::Instant;

/// The clock of one stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamClock {
    /// The stream's first timestamp on the wire.
    pub time_zero: UnixMillis,
    began: Instant,
    speed: f64,
}

impl StreamClock {
    /// A clock that begins now. A `speed` that is no positive number counts as 1.
    #[must_use]
    pub fn begin(time_zero: UnixMillis, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { time_zero, began: Instant::now(), speed }
    }

    /// When what belongs to this offset (ms from time zero) is due.
    #[must_use]
    pub fn due(&self, offset_ms: i64) -> Instant {
        let real_ms = offset_ms.max(0) as f64 / self.speed;
        self.began + Duration::try_from_secs_f64(real_ms / 1000.0).unwrap_or(Duration::MAX / 4)
    }

    /// How far the stream is, in ms from time zero.
    #[must_use]
    pub fn offset(&self) -> i64 {
        (self.began.elapsed().as_secs_f64() * self.speed * 1000.0) as i64
    }

    /// Real time since the stream began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The timestamp on the wire for an offset.
    #[must_use]
    pub const fn timestamp(&self, offset_ms: i64) -> UnixMillis {
        self.time_zero.plus(offset_ms)
    }
}

/// Now, as Zoom writes it.
#[must_use]
pub fn unix_now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn speed_shortens_the_waiting_only() {
        let clock = StreamClock::begin(UnixMillis(1_000_000), 4.0);
        let start = Instant::now();
        assert_eq!(clock.due(2_000) - start, Duration::from_millis(500));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.offset(), 1_000);
        assert_eq!(clock.timestamp(20), UnixMillis(1_000_020));
        assert_eq!(
            StreamClock::begin(UnixMillis(0), f64::NAN).due(1_000) - Instant::now(),
            Duration::from_secs(1)
        );
    }
}
