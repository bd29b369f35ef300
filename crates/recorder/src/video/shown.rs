//! Who is in the picture, and when: of the active speaker's video, or of the participant that was chosen.
//!
//! Each message carries the id of its sender. Only changes are kept, up to a limit; the events tell the rest.

use rtms_protocol::{MediaPacket, UnixMillis, WireId};

use crate::manifest::ShownEntry;

/// Most changes that a manifest holds.
const CHANGES_KEPT: usize = 1_000;
/// Longest name that is kept, characters, and id, bytes.
const TEXT_CHARS: usize = 256;

/// Who was shown since when, on the recording's clock.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    changes: Vec<(UnixMillis, ShownEntry)>,
    /// Who is shown now; kept also beyond the limit.
    now: Option<String>,
}

impl Shown {
    /// As another process left it. `zero` is the time zero that `entries` count from.
    pub(crate) fn resume(entries: &[ShownEntry], zero: UnixMillis) -> Self {
        let changes = entries.iter().map(|entry| (zero.plus(entry.from_ms), entry.clone())).collect();
        // Who is in the picture after the way back is told by the next message.
        Self { changes, now: None }
    }

    /// Whether this packet shows somebody else than the last one did. A packet without an id says nothing.
    pub(crate) fn changes_with(&self, packet: &MediaPacket<'_>) -> bool {
        self.now.as_ref().zip(sender(packet)).is_some_and(|(now, id)| !id.is(now))
    }

    /// Notes who is in a picture that was recorded at `at`.
    pub(crate) fn note(&mut self, at: UnixMillis, packet: &MediaPacket<'_>) {
        let Some(id) = sender(packet) else { return };
        if self.now.as_ref().is_some_and(|now| id.is(now)) {
            return;
        }
        let id = id.to_string();
        let known = self.changes.last().is_some_and(|(_, last)| last.user_id == id);
        if !known && self.changes.len() < CHANGES_KEPT {
            let display_name = packet.user_name.as_deref().filter(|name| !name.is_empty()).map(cut);
            let entry = ShownEntry { from_ms: 0, user_id: id.clone(), display_name };
            self.changes.push((at, entry));
        }
        self.now = Some(id);
    }

    /// For the manifest, counted from `zero`.
    pub(crate) fn entries(&self, zero: Option<UnixMillis>) -> Vec<ShownEntry> {
        self.changes
            .iter()
            .map(|(at, entry)| ShownEntry { from_ms: zero.map_or(0, |zero| at.since(zero)), ..entry.clone() })
            .collect()
    }
}

/// Who sent a packet. 0 is nobody, and what is longer than any id is none.
fn sender<'p>(packet: &'p MediaPacket<'_>) -> Option<&'p WireId<'p>> {
    let is_long = |id: &WireId<'_>| matches!(id, WireId::Text(text) if text.len() > TEXT_CHARS);
    packet.user_id.as_ref().filter(|id| !id.is_zero() && !is_long(id))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use rtms_protocol::MediaKind;

    use super::*;

    fn packet(id: i64) -> MediaPacket<'static> {
        let mut packet = MediaPacket::new(MediaKind::Video, UnixMillis(0), "");
        packet.user_id = Some(WireId::Number(id));
        packet
    }

    #[test]
    fn only_changes_are_kept_and_not_without_end() {
        let mut shown = Shown::default();
        for n in 0..3_000 {
            shown.note(UnixMillis(n * 10), &packet(n / 2 + 1));
        }
        let entries = shown.entries(Some(UnixMillis(5)));
        assert_eq!(entries.len(), CHANGES_KEPT);
        assert_eq!((entries[1].from_ms, entries[1].user_id.as_str()), (15, "2"));
        assert!(!shown.changes_with(&packet(1_500)) && shown.changes_with(&packet(1)));
        let again = Shown::resume(&entries, UnixMillis(5));
        assert_eq!(again.entries(Some(UnixMillis(5))), entries);
    }

    #[test]
    fn nobody_and_absurd_ids_are_no_change() {
        let mut shown = Shown::default();
        shown.note(UnixMillis(0), &packet(7));
        let mut long = packet(0);
        long.user_id = Some(WireId::Text("x".repeat(1_000).into()));
        for odd in [packet(0), long] {
            assert!(!shown.changes_with(&odd));
            shown.note(UnixMillis(1), &odd);
        }
        assert_eq!(shown.entries(None).len(), 1);
    }
}
