//! Words: transcripts as text, JSON lines and captions; chat as JSON lines and text.
//!
//! The JSON lines are the record and keep every message as it came. The other forms show what is left once interim texts
//! are finished, corrections made and deletions carried out: see [`resolve`].
//!
//! Text comes from people, so it is never trusted with the layout of a file: see [`plain`].

pub(crate) mod append;
pub(crate) mod bidi;
pub(crate) mod captions;
pub(crate) mod chat;
pub(crate) mod line;
pub(crate) mod pending;
pub(crate) mod readback;
pub(crate) mod repeats;
pub(crate) mod resolve;
pub(crate) mod srt;
pub(crate) mod status;
pub(crate) mod transcript;
pub(crate) mod vtt;

/// `text` on one line: control characters and Unicode's line breaks become spaces, so that nobody's name or words can
/// forge a line. Marks that force a direction on what follows are left out: with one in a name, what somebody said could
/// be shown before who said it. Letters bring their own direction, so right-to-left text is as it was.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !bidi::forces(*c))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::plain;

    proptest! {
        #[test]
        fn a_line_stays_a_line(text in any::<String>()) {
            let plain = plain(&text);
            let breaks = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}', '\0', '\u{1b}'];
            prop_assert!(!plain.contains(breaks));
            let forced = plain.chars().any(super::bidi::forces);
            prop_assert!(!forced);
        }
    }

    #[test]
    fn scripts_marks_and_emoji_stay_as_they_are() {
        for text in [
            "שלום, עולם!",
            "مرحبا بك ١٢٣",
            "e\u{301}\u{328}",
            "👩\u{200d}👩\u{200d}👧 🏳\u{fe0f}",
            "\u{200f}(א)",
            "กำลัง",
        ] {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain("pay \u{202e}001\u{202c} now"), "pay 001 now");
    }
}
