//! What happened around the media: events, interruptions, jumps of the clock, packets that were lost.
//!
//! All of it ends up in the manifest, which is rewritten while the call lasts, so all of it is bounded; what is beyond
//! the bounds is counted.

use rtms_protocol::{Event, UnixMillis};

use crate::counters::{DropReason, Dropped};
use crate::manifest::{EventEntry, InterruptionEntry, JumpEntry, Manifest};

/// Most events of one recording, and most bytes of their JSON.
const EVENTS_KEPT: usize = 10_000;
const EVENT_BYTES_KEPT: usize = 2 * 1024 * 1024;
/// Most interruptions and jumps of one recording.
const NOTES_KEPT: usize = 1_000;
/// Longest cause of an interruption, characters.
const CAUSE_CHARS: usize = 200;
/// How long after its first sound other parties may still tell more of what was lost, ms. Also what the first sound
/// may come later than the resumption and still speak for everything before it.
const SETTLING_MS: i64 = 3_000;

/// A hole in the sound, on the recording's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    /// Where the sound ends; of several parties who were heard, the one whose sound ends first.
    pub(crate) from: UnixMillis,
    /// What was live when the connection was back: what comes later was not lost.
    pub(crate) until: UnixMillis,
}

/// How the interruptions stand; changes seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    count: usize,
    away: bool,
    last_lost_ms: i64,
}

/// An interruption that lasts, or whose cost is not known yet.
#[derive(Debug, Clone)]
enum Open {
    /// No connection. `inherited`: it began in another process, so the first media ends it, said or not.
    Away { inherited: bool },
    /// The connection is back, and its first sound will tell what was lost.
    Back { hole: Option<Hole>, first: Option<First> },
}

/// The first sound after an interruption.
#[derive(Debug, Clone)]
struct First {
    /// The earliest of the parties' first packets, on the recording's clock; it may be one that Zoom repeats.
    from: UnixMillis,
    /// The tracks that were heard. What a track says after its first packet says nothing about the hole.
    tracks: Vec<usize>,
    /// When the first one came, our clock.
    at: UnixMillis,
}

/// The notes of one recording.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) events: Vec<EventEntry>,
    pub(crate) interruptions: Vec<InterruptionEntry>,
    pub(crate) jumps: Vec<JumpEntry>,
    pub(crate) dropped: Dropped,
    event_bytes: usize,
    open: Option<Open>,
}

impl Journal {
    /// The notes as another process left them.
    pub(crate) fn resume(manifest: &Manifest) -> Self {
        let away = manifest.interruptions.last().is_some_and(|entry| entry.resumed_at.is_none());
        Self {
            event_bytes: manifest.events.iter().map(|event| event.json().len()).sum(),
            events: manifest.events.clone(),
            interruptions: manifest.interruptions.clone(),
            jumps: manifest.jumps.clone(),
            dropped: manifest.dropped,
            open: away.then_some(Open::Away { inherited: true }),
        }
    }

    pub(crate) fn event(&mut self, event: &Event, heard_at: UnixMillis) {
        let Ok(entry) = EventEntry::of(event, heard_at) else { return };
        let bytes = entry.json().len();
        if self.events.len() >= EVENTS_KEPT || self.event_bytes + bytes > EVENT_BYTES_KEPT {
            self.dropped.count(DropReason::ManifestFull);
            return;
        }
        self.event_bytes += bytes;
        self.events.push(entry);
    }

    pub(crate) fn jump(&mut self, jump: JumpEntry) {
        if self.jumps.len() < NOTES_KEPT {
            self.jumps.push(jump);
        }
    }

    /// A connection is gone. Further causes while it lasts belong to the same interruption.
    pub(crate) fn interrupted(&mut self, at: UnixMillis, cause: &str) {
        if self.is_away() {
            return;
        }
        self.open = None;
        if self.interruptions.len() >= NOTES_KEPT {
            self.dropped.count(DropReason::ManifestFull);
            return;
        }
        let cause = cause.chars().take(CAUSE_CHARS).collect();
        self.interruptions.push(InterruptionEntry { at, cause, length_ms: 0, lost_ms: 0, resumed_at: None });
        self.open = Some(Open::Away { inherited: false });
    }

    /// The process that recorded was killed at `at` or a little later: an interruption that was still going on ends
    /// there, because from there on this is the cause.
    pub(crate) fn killed(&mut self, at: UnixMillis, cause: &str) {
        self.resumed(at, None);
        self.interrupted(at, cause);
        if let Some(Open::Away { inherited }) = &mut self.open {
            *inherited = true;
        }
    }

    /// How the interruptions stand.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            count: self.interruptions.len(),
            away: self.is_away(),
            last_lost_ms: self.interruptions.last().map_or(0, |entry| entry.lost_ms),
        }
    }

    /// Whether there is no connection.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.open, Some(Open::Away { .. }))
    }

    /// Whether media would end an interruption that another process noted.
    pub(crate) fn awaits_media(&self) -> bool {
        matches!(self.open, Some(Open::Away { inherited: true }))
    }

    /// Media may flow again. `hole` is what would be missing if it went on live; `None` where nobody was heard.
    pub(crate) fn resumed(&mut self, at: UnixMillis, hole: Option<Hole>) {
        let (Some(Open::Away { .. }), Some(entry)) = (&self.open, self.interruptions.last_mut()) else {
            return;
        };
        entry.length_ms = at.since(entry.at).max(0);
        entry.resumed_at = Some(at);
        self.open = Some(Open::Back { hole, first: None });
    }

    /// Since when nothing was heard, where the sound ends at `end`: the beginning of the last interruption, or of an
    /// earlier one after which no sound came. `live` translates our clock into the recording's.
    pub(crate) fn silent_since(
        &self,
        end: UnixMillis,
        live: impl Fn(UnixMillis) -> UnixMillis,
    ) -> Option<UnixMillis> {
        let mut since = None;
        for entry in self.interruptions.iter().rev() {
            let heard_after = entry.resumed_at.is_some_and(|at| end >= live(at));
            if since.is_some() && heard_after {
                break;
            }
            since = Some(entry.at);
        }
        since
    }

    /// Sound of a track that begins at `from` on the recording's clock came at `now`, new or repeated.
    pub(crate) fn sound(&mut self, now: UnixMillis, track: usize, from: UnixMillis) {
        let Some(Open::Back { hole, first }) = &mut self.open else { return };
        let first = match first {
            Some(first) if now.since(first.at) > SETTLING_MS => {
                self.open = None;
                return;
            }
            Some(first) if first.tracks.contains(&track) => return,
            Some(first) => first,
            slot => slot.insert(First { from, tracks: Vec::new(), at: now }),
        };
        first.tracks.push(track);
        first.from = first.from.min(from);
        let (Some(hole), Some(entry)) = (*hole, self.interruptions.last_mut()) else { return };
        let until = if first.from.since(hole.until) > SETTLING_MS { hole.until } else { first.from };
        entry.lost_ms = until.since(hole.from).max(0);
    }

    /// The recording ends: an interruption that lasts has its length, and where no sound came after one, all that may
    /// have been said is lost.
    pub(crate) fn finish(&mut self, at: UnixMillis, hole: Option<Hole>) {
        self.resumed(at, hole);
        if let (Some(Open::Back { hole: Some(hole), first: None }), Some(entry)) =
            (&self.open, self.interruptions.last_mut())
        {
            entry.lost_ms = hole.until.since(hole.from).max(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: i64) -> UnixMillis {
        UnixMillis(at)
    }

    fn hole(from: i64, until: i64) -> Option<Hole> {
        Some(Hole { from: ms(from), until: ms(until) })
    }

    #[test]
    fn what_zoom_kept_is_not_lost() {
        let mut journal = Journal::default();
        journal.interrupted(ms(1_010), "socket reset");
        journal.interrupted(ms(1_020), "again");
        journal.resumed(ms(3_010), hole(1_000, 3_000));
        journal.sound(ms(3_020), 0, ms(960));
        assert_eq!(journal.interruptions.len(), 1);
        assert_eq!((journal.interruptions[0].length_ms, journal.interruptions[0].lost_ms), (2_000, 0));
    }

    #[test]
    fn a_hole_is_measured_from_the_earliest_sound_of_any_party() {
        let mut journal = Journal::default();
        journal.interrupted(ms(1_010), "socket reset");
        journal.resumed(ms(3_010), hole(1_000, 3_000));
        journal.sound(ms(3_020), 0, ms(2_500));
        journal.sound(ms(3_020), 1, ms(1_500));
        // Out of order: it finds no place in the file any more.
        journal.sound(ms(3_040), 1, ms(1_200));
        journal.sound(ms(9_000), 2, ms(1_000));
        assert_eq!(journal.interruptions[0].lost_ms, 500);
    }

    #[test]
    fn silence_of_people_is_not_lost_sound() {
        let mut journal = Journal::default();
        journal.interrupted(ms(1_010), "socket reset");
        journal.resumed(ms(3_010), hole(1_000, 3_000));
        journal.sound(ms(60_000), 0, ms(59_000));
        assert_eq!(journal.interruptions[0].lost_ms, 2_000, "nothing after the connection was back");
    }

    #[test]
    fn one_that_lasts_to_the_end_has_a_length() {
        let mut journal = Journal::default();
        journal.interrupted(ms(10), "x");
        journal.finish(ms(70), None);
        assert_eq!((journal.interruptions[0].length_ms, journal.interruptions[0].lost_ms), (60, 0));
        journal.interrupted(ms(80), "y");
        journal.resumed(ms(90), hole(80, 90));
        journal.finish(ms(100), None);
        assert_eq!(journal.interruptions[1].lost_ms, 10);
    }

    #[test]
    fn interruptions_without_sound_between_them_are_one_silence() {
        let mut journal = Journal::default();
        for (at, back) in [(1_000, 2_000), (5_000, 6_000), (6_500, 7_000)] {
            journal.interrupted(ms(at), "x");
            journal.resumed(ms(back), None);
        }
        assert_eq!(journal.silent_since(ms(4_980), |at| at), Some(ms(5_000)));
        assert_eq!(journal.silent_since(ms(6_490), |at| at), Some(ms(6_500)));
        assert_eq!(Journal::default().silent_since(ms(1), |at| at), None);
    }
}
