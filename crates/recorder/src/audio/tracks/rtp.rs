//! Sound in RTP packets: in order again, then placed like any other.

use rtms_protocol::{MediaPacket, RtpPacket, UnixMillis};

use super::{AudioOutcome, AudioTracks, Outcomes, Surroundings};
use crate::counters::DropReason;
use crate::error::RecordError;

impl AudioTracks {
    pub(super) fn rtp_packet(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        around: &mut Surroundings<'_>,
        outcomes: &mut Outcomes,
    ) {
        match self.hold(now, packet, payload, around) {
            Ok(Ok(index)) => self.put_ready(index, around, outcomes),
            Ok(Err(outcome)) => outcomes.push(Ok(outcome)),
            Err(error) => outcomes.push(Err(error)),
        }
    }

    /// Gives a packet to its track's window; the track, or what became of the packet.
    fn hold(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        around: &mut Surroundings<'_>,
    ) -> Result<Result<usize, AudioOutcome>, RecordError> {
        let rtp = RtpPacket::parse(payload)?;
        let index = match self.welcome(now, packet, rtp.payload, around)? {
            Ok(index) => index,
            Err(reason) => return Ok(Err(AudioOutcome::Dropped(reason))),
        };
        let at = packet.timestamp;
        let Some(track) = self.tracks.get_mut(index) else {
            return Ok(Err(AudioOutcome::Dropped(DropReason::TooManyTracks)));
        };
        let length = (track.format.frames_in(rtp.payload), track.format.spec().rate);
        match track.reorder.push((now, at), &rtp, length, &mut self.ready) {
            Ok(()) => Ok(Ok(index)),
            Err(DropReason::Repeat) => Ok(Err(AudioOutcome::Repeat { track: index, from: at })),
            Err(reason) => Ok(Err(self.dropped(index, reason))),
        }
    }

    /// Places what waited too long for a packet before it; with `now` at `None` everything that waits.
    pub(crate) fn release(
        &mut self,
        now: Option<UnixMillis>,
        around: &mut Surroundings<'_>,
        outcomes: &mut Outcomes,
    ) {
        for index in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(index) else { return };
            match now {
                Some(now) => track.reorder.due(now, &mut self.ready),
                None => track.reorder.release(&mut self.ready),
            }
            self.put_ready(index, around, outcomes);
        }
    }

    fn put_ready(&mut self, index: usize, around: &mut Surroundings<'_>, outcomes: &mut Outcomes) {
        let mut ready = std::mem::take(&mut self.ready);
        for held in ready.drain(..) {
            outcomes.push(self.put(index, (held.arrived, held.at, held.fine), &held.payload, around));
        }
        self.ready = ready;
    }
}
