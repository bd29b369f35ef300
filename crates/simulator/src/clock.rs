//! A stream's time: an absolute schedule that lateness cannot shift.
//!
//! What is due at offset `t` is due at `began + t / speed`, and carries the timestamp `time zero + t`, whenever it really
//! leaves. A speed above 1 shortens the waiting and nothing else: timestamps on the wire stay those of a real call.
//!
//! Whoever conducts the stream can let the clock stand still at an offset. Then nothing beyond it has happened yet, and
//! when the clock goes on, all the rest is later by as much.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rtms_protocol::UnixMillis;
use tokio::time::Instant;

/// Later than anything: when something is due while the clock stands still before it.
const FAR: Duration = Duration::from_secs(86_400);

/// The clock of one stream.
#[derive(Debug)]
pub struct StreamClock {
    /// The stream's first timestamp on the wire.
    pub time_zero: UnixMillis,
    announced: Instant,
    speed: f64,
    course: Mutex<Course>,
}

/// How the clock goes.
#[derive(Debug)]
struct Course {
    /// When offset 0 was, less the time for which the clock has stood still.
    began: Instant,
    /// Where it stands still once it is there, ms.
    stop: i64,
}

impl StreamClock {
    /// A clock that begins now. A `speed` that is no positive number counts as 1.
    #[must_use]
    pub fn begin(time_zero: UnixMillis, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        let announced = Instant::now();
        let course = Mutex::new(Course { began: announced, stop: i64::MAX });
        Self { time_zero, announced, speed, course }
    }

    /// The same, standing still at its beginning until it is told where to.
    #[must_use]
    pub fn standing(time_zero: UnixMillis, speed: f64) -> Self {
        let mut clock = Self::begin(time_zero, speed);
        clock.course.get_mut().unwrap_or_else(PoisonError::into_inner).stop = 0;
        clock
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a clock would be that never stands still, in ms.
    fn passed(&self, course: &Course) -> i64 {
        (course.began.elapsed().as_secs_f64() * self.speed * 1000.0) as i64
    }

    /// How much real time belongs to an offset.
    fn real(&self, offset_ms: i64) -> Duration {
        let real_ms = offset_ms.max(0) as f64 / self.speed;
        Duration::try_from_secs_f64(real_ms / 1000.0).unwrap_or(Duration::MAX / 4)
    }

    /// When what belongs to this offset (ms from time zero) is due. While the clock stands still before it, nobody knows:
    /// whoever waits must be woken.
    #[must_use]
    pub fn due(&self, offset_ms: i64) -> Instant {
        let course = self.course();
        if offset_ms > course.stop && self.passed(&course) >= course.stop {
            return Instant::now() + FAR;
        }
        course.began + self.real(offset_ms)
    }

    /// How far the stream is, in ms from time zero.
    #[must_use]
    pub fn offset(&self) -> i64 {
        let course = self.course();
        self.passed(&course).min(course.stop)
    }

    /// Lets the clock stand still at this offset, at once where it is later already; `None` lets it go on. Whether it
    /// stood still until now and goes on.
    pub fn stop_at(&self, offset_ms: Option<i64>) -> bool {
        let mut course = self.course();
        let passed = self.passed(&course);
        let stood = passed >= course.stop;
        if stood {
            course.began = Instant::now().checked_sub(self.real(course.stop)).unwrap_or(course.began);
        }
        let here = passed.min(course.stop);
        course.stop = offset_ms.map_or(i64::MAX, |offset| offset.max(here));
        stood && course.stop > here
    }

    /// Real time since the stream began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.announced.elapsed()
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

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_a_standstill_is_later_by_as_much() {
        let clock = StreamClock::standing(UnixMillis(0), 2.0);
        tokio::time::advance(Duration::from_secs(3)).await;
        let start = Instant::now();
        assert!(clock.stop_at(Some(1_000)), "it begins");
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!((clock.offset(), clock.due(1_020) - start), (800, Duration::from_millis(510)));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!((clock.offset(), clock.due(1_000) - start), (1_000, Duration::from_millis(500)));
        assert!(clock.due(1_020) > Instant::now() + Duration::from_secs(3_600), "nobody knows when");
        assert!(clock.stop_at(None), "it goes on");
        assert_eq!((clock.offset(), clock.due(1_020) - Instant::now()), (1_000, Duration::from_millis(10)));
        tokio::time::advance(Duration::from_millis(50)).await;
        assert!(!clock.stop_at(Some(500)), "it went on before");
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(clock.offset(), 1_100, "it never goes back");
        assert_eq!(clock.age(), Duration::from_millis(10_500));
    }
}
