//! Zoom's clock: Unix time in milliseconds.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time as Zoom writes it: milliseconds since 1970-01-01T00:00:00Z.
///
/// Displayed as `2025-12-11T10:30:00.000Z`, always with three decimals. Arithmetic saturates, so that a hostile
/// timestamp can be compared and subtracted without care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Milliseconds from `earlier` to `self`; negative when `self` is the earlier one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time plus `ms` milliseconds (which may be negative).
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The form of file names, without characters that some file systems refuse: `2025-12-11T10-30-00-000Z`.
    #[must_use]
    pub fn file_stamp(self) -> String {
        self.to_string().replace([':', '.'], "-")
    }

    /// The day, `2025-12-11` (UTC).
    #[must_use]
    pub fn date(self) -> String {
        let mut text = self.to_string();
        text.truncate(text.find('T').unwrap_or(text.len()));
        text
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            // Beyond the year 9999 no calendar form exists; the number is the honest answer.
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// A point on the monotonic clock of one process: the time since an origin that the driver chose.
///
/// The state machine only compares and adds these, so tests count from zero and the client from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub Duration);

impl Instant {
    /// `ms` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Time since `earlier`, zero when that lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_three_decimals_and_makes_file_names() {
        let t = UnixMillis(1_765_449_000_000);
        assert_eq!(t.to_string(), "2025-12-11T10:30:00.000Z");
        assert_eq!(UnixMillis(1_765_449_000_120).to_string(), "2025-12-11T10:30:00.120Z");
        assert_eq!(t.file_stamp(), "2025-12-11T10-30-00-000Z");
        assert_eq!(t.date(), "2025-12-11");
    }

    #[test]
    fn hostile_times_are_only_numbers() {
        assert_eq!(UnixMillis(i64::MAX).to_string(), "9223372036854775807ms");
        assert_eq!(UnixMillis(i64::MAX).since(UnixMillis(i64::MIN)), i64::MAX);
        assert_eq!(UnixMillis(i64::MIN).plus(-1), UnixMillis(i64::MIN));
    }
}
