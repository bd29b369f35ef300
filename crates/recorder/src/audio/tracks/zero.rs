//! Time zero moves back, where a second party's first packet lies before the first one's.

use rtms_protocol::UnixMillis;

use super::AudioTracks;
use crate::audio::lead::LeadCopy;
use crate::clock::StreamClock;
use crate::error::RecordError;

/// How far time zero may move back, ms.
pub(super) const LEAD_MS: i64 = 60_000;
/// Time zero moves back only while no track is longer, ms: what is to be rewritten is then small.
const LEAD_WHILE_MS: i64 = 150_000;

impl AudioTracks {
    /// Moves time zero back to `at`, if that is a new party's first packet, a little before zero, at the beginning.
    pub(super) fn move_zero_back(
        &mut self,
        index: usize,
        at: UnixMillis,
        clock: &mut StreamClock,
    ) -> Result<(), RecordError> {
        let Some(zero) = clock.zero() else { return Ok(()) };
        let lead_ms = zero.since(at);
        let first_of_track = self.tracks.get(index).is_some_and(|track| track.line.frames() == 0);
        let long = self.tracks.iter().any(|track| track.line.millis(track.line.frames()) > LEAD_WHILE_MS);
        if !(1..=LEAD_MS).contains(&lead_ms) || !first_of_track || long {
            return Ok(());
        }
        let mut result = Ok(());
        for (place, copy) in self.copies_with_lead(at, zero)? {
            if let Some(track) = self.tracks.get_mut(place) {
                let frames = copy.frames();
                // A copy that cannot take the file's place yet does so later; its positions count from now on.
                result = result.and(track.sink.adopt(copy));
                track.line.shift(frames);
            }
        }
        clock.move_zero_back(at);
        result
    }

    /// Copies of all tracks with the silence from `at` to `zero` in front: all of them, or none. Each with the track's
    /// index.
    fn copies_with_lead(
        &mut self,
        at: UnixMillis,
        zero: UnixMillis,
    ) -> Result<Vec<(usize, LeadCopy)>, RecordError> {
        let mut copies: Vec<(usize, LeadCopy)> = Vec::new();
        for (place, track) in self.tracks.iter_mut().enumerate().filter(|(_, t)| t.line.frames() > 0) {
            let frames = u64::try_from(track.line.position_of(at, zero)).unwrap_or(0);
            match track.sink.copy_to_zero(frames, at) {
                Ok(copy) => copies.push((place, copy)),
                Err(error) => {
                    copies.into_iter().for_each(|(_, copy)| copy.discard());
                    return Err(error);
                }
            }
        }
        Ok(copies)
    }
}
