//! Captions as SubRip (`.srt`), for players and editors that do not know WebVTT.
//!
//! SubRip has no escapes and no speakers. The speaker stands in front of the words, and what players would take for a time
//! line or for formatting is made harmless: `-->` becomes an arrow, braces (some players hide what is in them, or obey it)
//! become parentheses, and an invisible word joiner behind `<` keeps it from beginning a tag.

use rtms_protocol::UnixMillis;

use super::{bidi, plain, vtt};

/// One cue with its number, from 1, and its blank line.
pub(crate) fn cue(
    number: u64,
    zero: UnixMillis,
    start: UnixMillis,
    end: UnixMillis,
    speaker: &str,
    text: &str,
) -> String {
    let (from, until) = vtt::span(zero, start, end);
    let (speaker, text) = (harmless(speaker), harmless(text));
    let speaker = bidi::set_apart(&speaker, &text);
    format!("{number}\n{} --> {}\n{speaker}: {text}\n\n", vtt::time(from, ','), vtt::time(until, ','))
}

fn harmless(text: &str) -> String {
    plain(text).replace("-->", "→").replace('<', "<\u{2060}").replace('{', "(").replace('}', ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_numbered_timed_and_plain() {
        let (zero, start, end) = (UnixMillis(1_000), UnixMillis(3_724_005), UnixMillis(3_725_000));
        assert_eq!(
            cue(7, zero, start, end, "Ann & Co", "yes\nno"),
            "7\n01:02:03,005 --> 01:02:04,000\nAnn & Co: yes no\n\n"
        );
        let forged = cue(1, zero, start, end, "00:00:01,000 --> 00:00:02,000", "a <b>b{\\an8}");
        assert_eq!(forged.matches("-->").count(), 1);
        assert!(forged.ends_with("02,000: a <\u{2060}b>b(\\an8)\n\n"), "{forged}");
    }
}
