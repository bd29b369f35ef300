//! Interim texts that wait for what follows them, and what is known of the last utterances.
//!
//! While a transcript grows, an interim text is held back: what follows it is shown in its place, mostly a second later.
//! Only its place in the JSON lines is remembered, so that a megabyte of words costs no more than one. One that nothing
//! follows is shown as it is after [`PATIENCE_MS`], when the speaker begins something else, and at the end.

use std::collections::VecDeque;

use rtms_protocol::UnixMillis;

use super::resolve::{Effect, Key, effect};
use super::status::Status;

/// How long an interim text waits for what follows it, ms of our clock.
pub(crate) const PATIENCE_MS: i64 = 10_000;
/// Most interim texts that wait, and most utterances that are remembered. A file that is made anew needs neither.
const KEPT: usize = 256;

/// A line of the JSON form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) offset: u64,
    pub(crate) length: usize,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    source: u64,
    line: Placed,
    /// When it is shown as it is, our clock.
    until: UnixMillis,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    /// It is shown behind the others.
    Append,
    /// It waits.
    Wait,
    /// What is shown already changes: the forms are to be made anew.
    Rewrite,
    /// It changes nothing that is shown.
    Nothing,
}

/// Interim texts and utterances of one transcript.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Vec<Waiting>,
    known: VecDeque<(Key, Status)>,
}

impl Pending {
    /// Takes a message of `status`, at `line`, that came at `now` from `source` (a hash).
    pub(crate) fn take(
        &mut self,
        key: Key,
        source: u64,
        status: Status,
        line: Placed,
        now: UnixMillis,
    ) -> Showing {
        let waited = self.waiting.iter().position(|waiting| waiting.key == key);
        if status == Status::Interim {
            return self.interim(waited, Waiting { key, source, line, until: now.plus(PATIENCE_MS) });
        }
        if let Some(index) = waited {
            self.waiting.swap_remove(index);
        }
        let known = self.known(key);
        self.remember(key, status);
        let effect = known.map(|known| effect(known, status, key));
        match (status, effect) {
            (_, Some(Effect::None)) => Showing::Nothing,
            (_, Some(Effect::Replaces)) => Showing::Rewrite,
            (Status::Deletion, _) if waited.is_some() => Showing::Nothing,
            // What they are about may be older than what is remembered.
            (Status::Correction | Status::Deletion, _) if waited.is_none() => Showing::Rewrite,
            _ => Showing::Append,
        }
    }

    fn interim(&mut self, waited: Option<usize>, new: Waiting) -> Showing {
        match self.known(new.key) {
            Some(Status::Interim) => return Showing::Rewrite,
            Some(_) => return Showing::Nothing,
            None => {}
        }
        if let Some(waiting) = waited.and_then(|index| self.waiting.get_mut(index)) {
            *waiting = new;
            return Showing::Wait;
        }
        // Nobody says two things at a time: what went before is not finished any more.
        for older in self.waiting.iter_mut().filter(|older| older.source == new.source) {
            older.until = UnixMillis(i64::MIN);
        }
        if self.waiting.len() >= KEPT {
            self.waiting.clear();
            return Showing::Rewrite;
        }
        self.waiting.push(new);
        Showing::Wait
    }

    /// Takes out what has waited long enough at `now`, in the order in which it came.
    pub(crate) fn due(&mut self, now: UnixMillis) -> Vec<Placed> {
        let mut due = Vec::new();
        self.waiting.retain(|waiting| {
            let stays = waiting.until > now;
            if !stays {
                due.push((waiting.key, waiting.line));
            }
            stays
        });
        due.iter().for_each(|(key, _)| self.remember(*key, Status::Interim));
        let mut lines: Vec<Placed> = due.into_iter().map(|(_, line)| line).collect();
        lines.sort_unstable_by_key(|line| line.offset);
        lines
    }

    /// Where the lines are that wait.
    pub(crate) fn hidden(&self) -> Vec<u64> {
        self.waiting.iter().map(|waiting| waiting.line.offset).collect()
    }

    /// Remembers an utterance that is shown.
    pub(crate) fn remember(&mut self, key: Key, status: Status) {
        if let Some(known) = self.known.iter_mut().find(|(known, _)| *known == key) {
            // What is deleted stays so.
            if known.1 != Status::Deletion && status != Status::Interim {
                known.1 = status;
            }
            return;
        }
        if self.known.len() == KEPT {
            self.known.pop_front();
        }
        self.known.push_back((key, status));
    }

    fn known(&self, key: Key) -> Option<Status> {
        self.known.iter().rev().find(|(known, _)| *known == key).map(|(_, status)| *status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(start: i64) -> Key {
        Key::of(None, None, UnixMillis(start))
    }

    fn at(offset: u64) -> Placed {
        Placed { offset, length: 1 }
    }

    const NOW: UnixMillis = UnixMillis(0);

    #[test]
    fn an_interim_waits_for_its_final() {
        let mut pending = Pending::default();
        assert_eq!(pending.take(key(1), 1, Status::Interim, at(0), NOW), Showing::Wait);
        assert_eq!(pending.take(key(1), 1, Status::Interim, at(9), NOW), Showing::Wait);
        assert_eq!(pending.hidden(), [9]);
        assert_eq!(pending.take(key(1), 1, Status::Final, at(20), NOW), Showing::Append);
        assert_eq!(pending.take(key(1), 1, Status::Interim, at(30), NOW), Showing::Nothing, "it came late");
        assert_eq!(pending.due(UnixMillis(i64::MAX)), []);
    }

    #[test]
    fn one_that_nothing_follows_is_shown_and_can_still_be_replaced() {
        let mut pending = Pending::default();
        pending.take(key(1), 1, Status::Interim, at(0), NOW);
        assert_eq!(pending.due(NOW.plus(PATIENCE_MS - 1)), []);
        pending.take(key(2), 2, Status::Interim, at(5), NOW);
        pending.take(key(3), 1, Status::Interim, at(10), NOW);
        assert_eq!(pending.due(NOW), [at(0)], "its speaker went on");
        assert_eq!(pending.due(NOW.plus(PATIENCE_MS)), [at(5), at(10)]);
        assert_eq!(pending.take(key(1), 1, Status::Final, at(20), NOW), Showing::Rewrite);
    }

    #[test]
    fn corrections_change_what_is_shown() {
        let mut pending = Pending::default();
        assert_eq!(
            pending.take(key(1), 1, Status::Correction, at(0), NOW),
            Showing::Rewrite,
            "perhaps forgotten"
        );
        assert_eq!(pending.take(key(1), 1, Status::Final, at(1), NOW), Showing::Rewrite);
        assert_eq!(pending.take(key(1), 1, Status::Final, at(2), NOW), Showing::Append, "both stand");
        assert_eq!(pending.take(key(1), 1, Status::Deletion, at(3), NOW), Showing::Rewrite);
        assert_eq!(pending.take(key(1), 1, Status::Final, at(4), NOW), Showing::Nothing);
    }

    #[test]
    fn neither_interims_nor_utterances_take_more_than_their_place() {
        let mut pending = Pending::default();
        for n in 0..10_000_i64 {
            pending.take(key(n), n.unsigned_abs(), Status::Interim, at(n.unsigned_abs()), NOW);
            pending.take(key(-n - 1), 0, Status::Final, at(0), NOW);
        }
        assert!(pending.waiting.len() <= KEPT && pending.known.len() <= KEPT);
    }
}
