//! Captions: WebVTT cues with speakers, relative to time zero.

use rtms_protocol::UnixMillis;

use super::plain;

/// What every WebVTT file begins with.
pub(crate) const HEADER: &str = "WEBVTT\n\n";
/// Reading speed where Zoom gives no end, ms a character, and its bounds, ms.
const MS_PER_CHARACTER: i64 = 60;
const SHORTEST_MS: i64 = 1_000;
const LONGEST_MS: i64 = 7_000;

/// How long a cue without a known end is shown, ms.
pub(crate) fn reading_time_ms(text: &str) -> i64 {
    let characters = i64::try_from(text.chars().count()).unwrap_or(LONGEST_MS);
    characters.saturating_mul(MS_PER_CHARACTER).clamp(SHORTEST_MS, LONGEST_MS)
}

/// One cue with its blank line.
pub(crate) fn cue(zero: UnixMillis, start: UnixMillis, end: UnixMillis, speaker: &str, text: &str) -> String {
    let (from, until) = span(zero, start, end);
    format!("{} --> {}\n<v {}>{}\n\n", time(from, '.'), time(until, '.'), escaped(speaker), escaped(text))
}

/// From when to when a cue is shown, ms after time zero: never before it, and never without length.
pub(crate) fn span(zero: UnixMillis, start: UnixMillis, end: UnixMillis) -> (i64, i64) {
    let from = start.since(zero).max(0);
    (from, end.since(zero).max(from.saturating_add(1)))
}

/// `ms` on a clock with hours, and `point` before the milliseconds.
pub(crate) fn time(ms: i64, point: char) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}{point}{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, ms % 1000)
}

/// Text on one line that cannot be taken for markup or for a cue's time line.
fn escaped(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_escaped_and_timed() {
        let got =
            cue(UnixMillis(1_000), UnixMillis(3_724_005), UnixMillis(3_725_000), "A <b>", "1 --> 2\n& so");
        assert_eq!(got, "01:02:03.005 --> 01:02:04.000\n<v A &lt;b&gt;>1 --&gt; 2 &amp; so\n\n");
    }

    #[test]
    fn a_cue_before_zero_or_without_length_is_still_one() {
        let got = cue(UnixMillis(5_000), UnixMillis(1_000), UnixMillis(900), "A", "x");
        assert!(got.starts_with("00:00:00.000 --> 00:00:00.001\n"));
        assert_eq!(reading_time_ms(""), SHORTEST_MS);
        assert_eq!(reading_time_ms(&"x".repeat(1_000)), LONGEST_MS);
    }
}
