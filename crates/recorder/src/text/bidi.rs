//! The direction of text, as far as captions need it.
//!
//! Players take the direction of a line from its first letter (in WebVTT by its specification, in SRT because they apply
//! Unicode's bidirectional algorithm with its defaults). In WebVTT the speaker is no part of the line, so the words decide.
//! In SRT the speaker stands in front, and a Latin name would turn an Arabic sentence around: its full stop would come to
//! lie on the wrong side. There the name is put into an isolate, which the algorithm passes over when it looks for the
//! first letter. Only where the two differ, so that everything else stays free of invisible characters.

/// First-strong isolate, and the end of it.
const ISOLATE: char = '\u{2068}';
const END_OF_ISOLATE: char = '\u{2069}';

/// Which way text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    LeftToRight,
    RightToLeft,
}

/// Whether a character forces a direction on the text behind it: embeddings, overrides, isolates and their ends.
pub(crate) fn forces(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `speaker`, isolated where it runs the other way than `text`. Both are plain.
pub(crate) fn set_apart(speaker: &str, text: &str) -> String {
    match (direction(speaker), direction(text)) {
        (Some(own), Some(other)) if own != other => format!("{ISOLATE}{speaker}{END_OF_ISOLATE}"),
        _ => speaker.to_owned(),
    }
}

/// The direction of the first letter; `None` without letters.
fn direction(text: &str) -> Option<Direction> {
    text.chars().find_map(|c| match c {
        '\u{200e}' => Some(Direction::LeftToRight),
        '\u{200f}' | '\u{61c}' => Some(Direction::RightToLeft),
        c if !c.is_alphabetic() => None,
        c if is_right_to_left(c) => Some(Direction::RightToLeft),
        _ => Some(Direction::LeftToRight),
    })
}

/// The blocks that Unicode sets aside for scripts that run from right to left.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_set_apart_only_from_text_of_the_other_direction() {
        assert_eq!(set_apart("Ann", "Hello."), "Ann");
        assert_eq!(set_apart("שרה", "שלום."), "שרה");
        assert_eq!(set_apart("Ann", "שלום."), "\u{2068}Ann\u{2069}");
        assert_eq!(set_apart("سارة", "12 Hello"), "\u{2068}سارة\u{2069}");
        assert_eq!(set_apart("Ann", "12 ١٢!"), "Ann", "digits have no direction of their own");
        assert_eq!(direction("\u{200f}Ann"), Some(Direction::RightToLeft));
    }
}
