//! What is said and written: transcript lines, also while they are still being said, and chat messages.

use rtms_protocol::Language;

use super::Scenario;
use crate::content::{Caption, Content};

/// Zoom's transcript comes this long after the words, as speech recognition takes its time.
const TRANSCRIPT_DELAY_MS: i64 = 300;
/// Of speech between two interim texts.
const INTERIM_EVERY_MS: i64 = 600;
/// From a final text to its correction.
const CORRECTION_DELAY_MS: i64 = 900;
/// Every so many utterances one is corrected.
const CORRECTED_EVERY: usize = 3;

/// What a transcript line is to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CueState {
    /// It comes once, and says nothing about it, as Zoom's usually do.
    Only,
    /// Its speaker goes on; what follows from the same begin replaces it.
    Interim,
    /// It stands.
    Final,
    /// It replaces a final one.
    Correction,
}

impl CueState {
    /// The `attribute` on the wire. Zoom documents no words; these are ours.
    #[must_use]
    pub const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Only => None,
            Self::Interim => Some("interim"),
            Self::Final => Some("final"),
            Self::Correction => Some("correction"),
        }
    }
}

/// One transcript line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// When it is sent.
    pub due_ms: i64,
    /// Begin of the utterance; also its timestamp on the wire.
    pub start_ms: i64,
    /// End of the utterance.
    pub end_ms: i64,
    /// Index of the party that speaks.
    pub party: usize,
    /// The words.
    pub text: String,
    /// What it is to those before it.
    pub state: CueState,
    /// In which language.
    pub language: Language,
}

/// What a chat message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatAction {
    /// It is a new one.
    New,
    /// It changes an earlier one.
    Update,
    /// It takes an earlier one away.
    Delete,
}

impl ChatAction {
    /// The `attribute` on the wire. Zoom documents no words; these are ours.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One chat message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatLine {
    /// When it is sent; also its timestamp on the wire.
    pub at_ms: i64,
    /// Index of the party that writes.
    pub party: usize,
    /// Which message it is, or changes.
    pub id: String,
    /// What it does.
    pub action: ChatAction,
    /// What is written, empty where it deletes.
    pub text: String,
}

/// The content's captions as often as the scenario is long, each with its round and number in the round.
fn rounds<'c>(
    scenario: &'c Scenario,
    content: &Content,
    captions: &'c [Caption],
) -> impl Iterator<Item = (i64, usize, Caption)> + 'c {
    let length = content.length_ms().max(1);
    (0..=scenario.duration_ms / length).flat_map(move |round| {
        captions.iter().enumerate().map(move |(number, caption)| {
            let shift = round * length;
            let (start_ms, end_ms) = (caption.start_ms + shift, caption.end_ms + shift);
            (round, number, Caption { start_ms, end_ms, ..caption.clone() })
        })
    })
}

/// Who of this name says something now.
fn speaker(scenario: &Scenario, name: &str, at_ms: i64) -> Option<usize> {
    scenario.parties.iter().position(|party| party.speaker == name && party.is_speaking(at_ms))
}

/// Everything that is said, in the order in which it is sent.
pub(super) fn cues(scenario: &Scenario, content: &Content) -> Vec<Cue> {
    let (mut cues, mut utterances) = (Vec::new(), 0);
    for (_, _, caption) in rounds(scenario, content, &content.captions) {
        let Some(party) = speaker(scenario, &caption.speaker, caption.start_ms) else { continue };
        if caption.end_ms > scenario.duration_ms {
            continue;
        }
        let last = Cue {
            due_ms: caption.end_ms + TRANSCRIPT_DELAY_MS,
            start_ms: caption.start_ms,
            end_ms: caption.end_ms,
            party,
            text: caption.text,
            state: CueState::Only,
            language: caption.language.unwrap_or(Language::English),
        };
        utterances += 1;
        if scenario.interim {
            cues.extend(developing(&last, utterances % CORRECTED_EVERY == 2));
        } else {
            cues.push(last);
        }
    }
    for cue in &mut cues {
        cue.due_ms = cue.due_ms.min(scenario.duration_ms);
    }
    cues.sort_by_key(|cue| cue.due_ms);
    cues
}

/// An utterance as it becomes known: word for word, and perhaps at first without its last word.
fn developing(whole: &Cue, corrected: bool) -> Vec<Cue> {
    let words: Vec<&str> = whole.text.split_whitespace().collect();
    let said = |count: usize| words[..count].join(" ");
    let length = (whole.end_ms - whole.start_ms).max(1);
    let mut cues = Vec::new();
    for end_ms in (1..).map(|n| whole.start_ms + n * INTERIM_EVERY_MS).take_while(|at| *at < whole.end_ms) {
        let share = words.len() as i64 * (end_ms - whole.start_ms) / length;
        let text = said(usize::try_from(share).unwrap_or(0).clamp(1.min(words.len()), words.len()));
        cues.push(Cue {
            due_ms: end_ms + TRANSCRIPT_DELAY_MS / 2,
            end_ms,
            text,
            state: CueState::Interim,
            ..whole.clone()
        });
    }
    if corrected && words.len() > 1 {
        cues.push(Cue { text: said(words.len() - 1), state: CueState::Final, ..whole.clone() });
        let due_ms = whole.due_ms + CORRECTION_DELAY_MS;
        cues.push(Cue { due_ms, state: CueState::Correction, ..whole.clone() });
    } else {
        cues.push(Cue { state: CueState::Final, ..whole.clone() });
    }
    cues
}

/// Everything that is written, in order of time. Whoever is not there at the time is passed over; nobody has to be heard.
pub(super) fn chat(scenario: &Scenario, content: &Content) -> Vec<ChatLine> {
    let mut lines: Vec<ChatLine> = Vec::new();
    for (round, number, caption) in rounds(scenario, content, &content.chat) {
        let Some(party) = scenario.parties.iter().position(|p| p.speaker == caption.speaker) else {
            continue;
        };
        if caption.start_ms > scenario.duration_ms {
            continue;
        }
        let own = if caption.id.is_empty() { format!("n{number}") } else { caption.id };
        let id = if round == 0 { own } else { format!("{own}-{}", round + 1) };
        let known = lines.iter().any(|line| line.id == id);
        let action = match (known, caption.text.is_empty()) {
            (_, true) => ChatAction::Delete,
            (true, false) => ChatAction::Update,
            (false, false) => ChatAction::New,
        };
        lines.push(ChatLine { at_ms: caption.start_ms, party, id, action, text: caption.text });
    }
    lines
}

#[cfg(test)]
mod tests {
    use rtms_protocol::Product;

    use super::*;

    #[test]
    fn words_develop_and_are_corrected() {
        let scenario = Scenario::of(Product::Phone, 24_000).with_interim();
        let content = Content::built_in();
        let cues = cues(&scenario, &content);
        let first: Vec<&Cue> = cues.iter().filter(|c| c.start_ms == cues[0].start_ms).collect();
        assert!(first.len() > 2);
        for pair in first.windows(2) {
            assert!(pair[0].due_ms <= pair[1].due_ms && pair[1].text.starts_with(&pair[0].text));
        }
        let last = first[first.len() - 1].state;
        assert_eq!((first[0].state, last), (CueState::Interim, CueState::Final));
        let count = |state| cues.iter().filter(|c| c.state == state).count();
        assert_eq!((count(CueState::Final), count(CueState::Correction)), (9, 3));
    }

    #[test]
    fn a_chat_message_is_new_changed_and_deleted() {
        let scenario = Scenario::of(Product::Meeting, 24_000);
        let lines = chat(&scenario, &Content::built_in());
        let did: Vec<_> = lines.iter().map(|l| (l.id.as_str(), l.action)).collect();
        let expected = [
            ("m1", ChatAction::New),
            ("m2", ChatAction::New),
            ("m2", ChatAction::Update),
            ("m3", ChatAction::New),
            ("m3", ChatAction::Delete),
            ("m4", ChatAction::New),
        ];
        assert_eq!(did, expected);
    }

    #[test]
    fn a_second_round_has_messages_of_its_own() {
        let scenario = Scenario::of(Product::Meeting, 60_000);
        let lines = chat(&scenario, &Content::built_in());
        assert_eq!(
            (lines[6].id.as_str(), lines[6].action, lines[6].at_ms),
            ("m1-2", ChatAction::New, 25_500)
        );
    }
}
