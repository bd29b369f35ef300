//! Who has a Contact Center channel, and since when.
//!
//! A channel is a line, not a person: after a transfer another agent may speak on the one that the first had. What is
//! said on it from then on is theirs. Turns are in order; somebody may get a channel back and has several then.

use rtms_protocol::UnixMillis;
use serde::{Deserialize, Serialize};

/// Most turns that are kept for one recording.
const TURNS_KEPT: usize = 1_000;

/// Since when somebody has a channel that several had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Zoom's id of the channel.
    pub channel_id: String,
    /// Since when, Zoom's clock; `None` for the first who had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
    /// Who: the place among the participants.
    pub participant: usize,
}

/// The turns of all channels that changed hands. Most recordings have none.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Vec<Turn>);

impl Turns {
    /// As another process knew them.
    pub(super) fn resume(turns: Vec<Turn>) -> Self {
        Self(turns)
    }

    pub(super) fn all(&self) -> &[Turn] {
        &self.0
    }

    /// Who has the channel at `at`, or has it last; `None` for a channel that never changed hands.
    pub(super) fn holder(&self, channel_id: &str, at: Option<UnixMillis>) -> Option<usize> {
        let began = |turn: &&Turn| at.is_none_or(|at| turn.since.is_none_or(|since| since <= at));
        self.of(channel_id).filter(began).last().map(|turn| turn.participant)
    }

    /// Who has had the channel since `since`.
    pub(super) fn began(&self, channel_id: &str, since: Option<UnixMillis>) -> Option<usize> {
        self.of(channel_id).find(|turn| turn.since == since).map(|turn| turn.participant)
    }

    /// Since when `participant` has had the channel for the first time; `None` for the first of all.
    pub(super) fn first(&self, channel_id: &str, participant: usize) -> Option<UnixMillis> {
        self.of(channel_id).find(|turn| turn.participant == participant)?.since
    }

    /// The channel goes from one to another at `at`, or just after it last did. False where too many turns are kept.
    pub(super) fn pass_on(&mut self, channel_id: &str, from: usize, to: usize, at: UnixMillis) -> bool {
        if self.0.len() + 2 > TURNS_KEPT {
            return false;
        }
        let turn = |since, participant| Turn { channel_id: channel_id.to_owned(), since, participant };
        let last = match self.of(channel_id).last() {
            Some(last) => last.since,
            None => {
                self.0.push(turn(None, from));
                None
            }
        };
        self.0.push(turn(Some(last.map_or(at, |last| at.max(last.plus(1)))), to));
        true
    }

    fn of(&self, channel_id: &str) -> impl Iterator<Item = &Turn> {
        self.0.iter().filter(move |turn| turn.channel_id == channel_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Option<UnixMillis> {
        Some(UnixMillis(ms))
    }

    #[test]
    fn a_channel_goes_on_and_back() {
        let mut turns = Turns::default();
        assert_eq!(turns.holder("2", None), None);
        assert!(turns.pass_on("2", 0, 1, UnixMillis(100)));
        assert!(turns.pass_on("2", 1, 0, UnixMillis(200)));
        let held: Vec<_> = [-5, 99, 100, 199, 200, 999].iter().map(|ms| turns.holder("2", at(*ms))).collect();
        assert_eq!(held, [0, 0, 1, 1, 0, 0].map(Some));
        assert_eq!((turns.first("2", 0), turns.first("2", 1)), (None, at(100)));
        assert_eq!((turns.began("2", None), turns.began("2", at(100))), (Some(0), Some(1)));
        assert_eq!((turns.holder("3", None), turns.began("3", None)), (None, None));
    }

    #[test]
    fn turns_never_go_back_and_are_bounded() {
        let mut turns = Turns::default();
        assert!(turns.pass_on("2", 0, 1, UnixMillis(100)));
        assert!(turns.pass_on("2", 1, 2, UnixMillis(50)));
        assert_eq!(turns.first("2", 2), at(101));
        let kept = (0..2 * TURNS_KEPT).filter(|n| turns.pass_on("2", 1, 2, UnixMillis(*n as i64))).count();
        assert!(kept < TURNS_KEPT && turns.all().len() <= TURNS_KEPT);
    }
}
