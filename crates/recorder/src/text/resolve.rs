//! What JSON lines come to: interim texts replaced by what followed them, corrections made, deletions carried out.
//!
//! The lines themselves are never changed; whoever wants the result reads them through [`each_shown`]. One utterance is
//! known by its id, where Zoom gives one, else by who said it and when it began. Its rules:
//!
//! | known | comes | shown |
//! |---|---|---|
//! | interim | anything | what comes |
//! | final | final | both: two texts that both stand, unless they have the same id |
//! | final, correction | correction, or final after a correction | what comes, in the same place |
//! | anything | deletion | nothing of it any more |
//! | final, correction, deletion | interim | what is known: it came late, or again |
//!
//! Only places and times of the utterances are in memory, and of at most [`HELD`] at a time.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::FileExt;

use rtms_protocol::{UnixMillis, WireId};

use super::readback::{Line, each_line};
use super::status::Status;

/// Most utterances that are held at a time: days of talk, some MB. What is beyond is resolved by itself.
const HELD: usize = 100_000;

/// Which utterance a message belongs to, as a hash; for this process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    hash: u64,
    by_id: bool,
}

impl Key {
    /// By `id` where there is one, else by who said it and when it began.
    pub(crate) fn of(id: Option<&WireId<'_>>, source: Option<&WireId<'_>>, start: UnixMillis) -> Self {
        let mut hasher = DefaultHasher::new();
        match id {
            Some(id) => (true, id.to_string()).hash(&mut hasher),
            None => (false, source.map(ToString::to_string), start).hash(&mut hasher),
        }
        Self { hash: hasher.finish(), by_id: id.is_some() }
    }

    /// By an `id` that the sender chose: it speaks of messages of that sender only, so that nobody can change what
    /// others wrote.
    pub(crate) fn of_sender(id: &WireId<'_>, sender: Option<&WireId<'_>>) -> Self {
        let mut hasher = DefaultHasher::new();
        (2_u8, id.to_string(), sender.map(ToString::to_string)).hash(&mut hasher);
        Self { hash: hasher.finish(), by_id: true }
    }
}

/// What becomes of a message whose utterance is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing.
    None,
    /// It takes the place of what is known.
    Replaces,
    /// Both are shown.
    Adds,
}

/// What a message with `new` does to an utterance that is `known`.
pub(crate) fn effect(known: Status, new: Status, key: Key) -> Effect {
    match (known, new) {
        (Status::Deletion, _) | (Status::Final | Status::Correction, Status::Interim) => Effect::None,
        (Status::Final, Status::Final) if !key.by_id => Effect::Adds,
        _ => Effect::Replaces,
    }
}

/// In which order utterances are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they came.
    Arrival,
    /// As they began.
    Time,
}

/// Where an utterance's text is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// When its first message was sent that was more than interim.
    said_at: UnixMillis,
    starts: UnixMillis,
    offset: u64,
    length: usize,
    status: Status,
}

/// Utterances so far.
#[derive(Debug, Default)]
struct Resolver {
    places: Vec<Place>,
    known: HashMap<u64, usize>,
}

impl Resolver {
    fn take(&mut self, key: Key, place: Place) {
        let known = self.known.get(&key.hash).and_then(|index| self.places.get_mut(*index));
        let effect = known.as_ref().map_or(Effect::Adds, |known| effect(known.status, place.status, key));
        match (effect, known) {
            (Effect::Replaces, Some(known)) => {
                let said_at = if known.status == Status::Interim { place.said_at } else { known.said_at };
                *known = Place { said_at, ..place };
            }
            (Effect::Adds, _) => {
                self.known.insert(key.hash, self.places.len());
                self.places.push(place);
            }
            _ => {}
        }
    }

    /// Hands everything held to `take`, and forgets it.
    fn hand_out(
        &mut self,
        source: &File,
        order: Order,
        take: &mut impl FnMut(UnixMillis, &Line<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.known.clear();
        if order == Order::Time {
            self.places.sort_by_key(|place| place.starts);
        }
        let mut bytes = Vec::new();
        for place in self.places.drain(..) {
            read_line(source, place.offset, place.length, &mut bytes)?;
            if let Ok(line) = serde_json::from_slice::<Line<'_>>(&bytes) {
                take(place.said_at, &line)?;
            }
        }
        Ok(())
    }
}

/// Reads the line of `length` bytes at `offset` into `bytes`.
///
/// # Errors
/// The disk refused.
pub(crate) fn read_line(source: &File, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(length, 0);
    source.read_exact_at(bytes, offset)
}

/// Hands every utterance that is left to `take`, with when it was said; deleted ones too, with their status, because a
/// chat tells of them. Lines at the places in `hidden` are passed over as if they had not come.
///
/// # Errors
/// The disk refused, or `take` did.
pub(crate) fn each_shown(
    source: &File,
    hidden: &[u64],
    order: Order,
    mut take: impl FnMut(UnixMillis, &Line<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut resolver = Resolver::default();
    each_line(source, |line, offset, length| {
        if hidden.contains(&offset) {
            return Ok(());
        }
        let (said_at, starts, status) = (line.timestamp, line.cue_start, line.status());
        resolver.take(line.key(), Place { said_at, starts, offset, length, status });
        if resolver.places.len() >= HELD {
            resolver.hand_out(source, order, &mut take)?;
        }
        Ok(())
    })?;
    resolver.hand_out(source, order, &mut take)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn shown(lines: &[(i64, Option<&str>, &str, &str)], order: Order) -> Vec<String> {
        let mut file = tempfile::tempfile().expect("file");
        for (start, id, attribute, text) in lines {
            let line = json!({"timestamp": start, "channel_id": 1, "attribute": attribute, "message_id": id,
                "speaker": "A", "text": text, "cue_start": start, "cue_end": start + 1});
            writeln!(file, "{line}").expect("written");
        }
        // As the file is read from its beginning.
        let file = reopened(&file);
        let mut got = Vec::new();
        each_shown(&file, &[], order, |_, line| {
            if line.status() != Status::Deletion {
                got.push(line.text.to_string());
            }
            Ok(())
        })
        .expect("read");
        got
    }

    fn reopened(file: &File) -> File {
        use std::io::Seek;
        let mut file = file.try_clone().expect("cloned");
        file.rewind().expect("rewound");
        file
    }

    #[test]
    fn interims_give_way_and_corrections_take_the_place() {
        let lines = [
            (10, None, "interim", "Hel"),
            (20, None, "final", "other"),
            (10, None, "interim", "Hello"),
            (10, None, "final", "Hello you."),
            (10, None, "interim", "late"),
            (20, None, "corrected", "Other!"),
            (30, None, "interim", "never finished"),
        ];
        assert_eq!(shown(&lines, Order::Arrival), ["Hello you.", "Other!", "never finished"]);
    }

    #[test]
    fn two_finals_both_stand_unless_they_are_the_same_message() {
        let lines = [
            (10, None, "", "one"),
            (10, None, "", "two"),
            (5, Some("x"), "", "three"),
            (6, Some("x"), "", "3"),
        ];
        assert_eq!(shown(&lines, Order::Arrival), ["one", "two", "3"]);
        assert_eq!(shown(&lines, Order::Time), ["3", "one", "two"]);
    }

    #[test]
    fn what_is_deleted_stays_so() {
        let lines = [
            (10, None, "", "one"),
            (10, None, "deleted", ""),
            (10, None, "", "one"),
            (10, None, "update", "1"),
        ];
        assert_eq!(shown(&lines, Order::Arrival), Vec::<String>::new());
    }
}
