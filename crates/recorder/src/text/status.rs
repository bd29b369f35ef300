//! What a message is to the ones before it: new, not finished yet, a better version, or a deletion.
//!
//! Zoom describes an `attribute` of transcript and chat messages, not its values. So the words that speech engines and
//! chat systems use for these things are understood, however they are written, and every other word means that the text
//! stands as it is: a text that nobody could classify must not vanish.

use serde::{Deserialize, Serialize};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// The speaker goes on; a later message replaces this one.
    Interim,
    /// It stands.
    #[default]
    Final,
    /// It replaces an earlier message.
    Correction,
    /// It takes an earlier message away.
    Deletion,
}

const INTERIM: &[&str] = &[
    "interim",
    "partial",
    "intermediate",
    "provisional",
    "preliminary",
    "temporary",
    "tentative",
    "unstable",
    "hypothesis",
    "inprogress",
    "ongoing",
    "incomplete",
    "nonfinal",
    "notfinal",
    "isfinalfalse",
    "finalfalse",
];
const CORRECTION: &[&str] = &[
    "correction",
    "correct",
    "corrected",
    "revision",
    "revised",
    "replace",
    "replaced",
    "replacement",
    "update",
    "updated",
    "edit",
    "edited",
    "modify",
    "modified",
    "change",
    "changed",
    "amended",
];
const DELETION: &[&str] =
    &["delete", "deleted", "deletion", "remove", "removed", "retract", "retracted", "recall", "recalled"];

impl Status {
    /// What Zoom's word means, whatever its case and punctuation.
    pub(crate) fn of(attribute: Option<&str>) -> Self {
        // No word is longer; somebody's essay is not copied.
        let Some(attribute) = attribute.filter(|word| word.len() <= 64) else { return Self::Final };
        let letters = attribute.chars().filter(char::is_ascii_alphanumeric);
        let word: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        let is = |words: &[&str]| words.contains(&word.as_str());
        if is(INTERIM) {
            Self::Interim
        } else if is(CORRECTION) {
            Self::Correction
        } else if is(DELETION) {
            Self::Deletion
        } else {
            Self::Final
        }
    }

    /// The word for what a chat message does: `new`, `update` or `delete`.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Interim | Self::Final => "new",
            Self::Correction => "update",
            Self::Deletion => "delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_however_they_are_written() {
        for (word, status) in [
            ("interim", Status::Interim),
            ("PARTIAL", Status::Interim),
            ("in-progress", Status::Interim),
            ("is_final=false", Status::Interim),
            ("Corrected", Status::Correction),
            ("update", Status::Correction),
            ("DELETED", Status::Deletion),
            ("final", Status::Final),
            ("complete", Status::Final),
            ("2", Status::Final),
            ("", Status::Final),
            ("whatever comes", Status::Final),
        ] {
            assert_eq!(Status::of(Some(word)), status, "{word}");
        }
        assert_eq!(Status::of(None), Status::Final);
        assert_eq!(Status::of(Some(&"interim".repeat(100_000))), Status::Final);
    }
}
