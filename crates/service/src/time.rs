//! The wall clock, for the edges of a service; logic gets the time as an argument.

use jiff::Timestamp;

/// Milliseconds since 1970, now.
pub fn unix_millis() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Now, as `2025-12-11T10:30:00.000Z`.
pub fn iso_now() -> String {
    iso(Timestamp::now())
}

/// A moment as `2025-12-11T10:30:00.000Z`; milliseconds are cut, not rounded.
pub fn iso(moment: Timestamp) -> String {
    let whole = Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment);
    format!("{whole:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_has_three_digits_and_a_z() {
        for (ms, text) in
            [(1_765_449_000_000, "2025-12-11T10:30:00.000Z"), (1_765_449_000_123, "2025-12-11T10:30:00.123Z")]
        {
            assert_eq!(Timestamp::from_millisecond(ms).map(iso).unwrap(), text);
        }
    }
}
