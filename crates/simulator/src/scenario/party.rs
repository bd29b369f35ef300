//! Somebody in a stream: names, ids, and when there is anything to hear of them.

use std::ops::Range;

use rtms_protocol::WireId;

/// Somebody in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The name people see at first.
    pub name: String,
    /// Other names, and from when on (ms); in order of time.
    pub renames: Vec<(i64, String)>,
    /// The id on the wire, a number or a text.
    pub user_id: WireId<'static>,
    /// Events write the id in the other form: a number as text.
    pub id_differs_in_events: bool,
    /// The audio channel, in Contact Center.
    pub channel_id: Option<String>,
    /// The speaker in the captions whose words are this party's.
    pub speaker: String,
    /// Which of the content's voices is theirs; `None` for somebody without a microphone.
    pub voice: Option<usize>,
    /// When the party is heard. Outside of it neither sound nor words are sent: on hold, muted, not there yet.
    pub heard: Vec<Range<i64>>,
}

impl Party {
    /// Somebody who is called and heard like this.
    #[must_use]
    pub fn new(name: &str, user_id: WireId<'static>, voice: Option<usize>, heard: Range<i64>) -> Self {
        Self {
            name: name.to_owned(),
            renames: Vec::new(),
            user_id,
            id_differs_in_events: false,
            channel_id: None,
            speaker: String::new(),
            voice,
            heard: std::iter::once(heard).collect(),
        }
    }

    /// Whether words that begin at this offset are sent.
    #[must_use]
    pub fn is_speaking(&self, offset_ms: i64) -> bool {
        self.heard.iter().any(|span| span.contains(&offset_ms))
    }

    /// Whether a packet that begins at this offset is sent.
    #[must_use]
    pub fn is_heard(&self, offset_ms: i64) -> bool {
        self.voice.is_some() && self.is_speaking(offset_ms)
    }

    /// Which name the party has: how many renames lie before this offset.
    #[must_use]
    pub fn name_number(&self, offset_ms: i64) -> usize {
        self.renames.partition_point(|(from, _)| *from <= offset_ms)
    }

    /// The name of this number.
    #[must_use]
    pub fn name(&self, number: usize) -> &str {
        let renamed = number.checked_sub(1).and_then(|at| self.renames.get(at));
        renamed.map_or(&self.name, |(_, name)| name)
    }

    /// The name at this offset.
    #[must_use]
    pub fn name_at(&self, offset_ms: i64) -> &str {
        self.name(self.name_number(offset_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_until_the_next() {
        let mut party = Party::new("A", WireId::Number(1), None, 0..10);
        party.renames = vec![(5, "B".into()), (9, "C".into())];
        let names: Vec<_> = [0, 4, 5, 8, 9, 99].into_iter().map(|at| party.name_at(at)).collect();
        assert_eq!(names, ["A", "A", "B", "B", "C", "C"]);
        assert!(party.is_speaking(9) && !party.is_heard(9) && !party.is_speaking(10));
    }
}
