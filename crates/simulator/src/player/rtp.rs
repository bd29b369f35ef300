//! RTP headers of one audio track, and what a network does to its packets.
//!
//! Sequence numbers count the packets of the track, so that silence which is not sent leaves no hole in them; timestamps
//! count the codec's clock from the stream's time zero. Both begin anywhere, as they do in life, and are the same after a
//! reconnection: a packet that is repeated is the same packet.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rtms_protocol::rtp::RtpPacket;
use rtms_protocol::{AudioCodec, AudioContent, AudioParams};

use crate::faults::RtpFaults;
use crate::render::RTP_HEADER;

/// What makes the headers of one track.
#[derive(Debug, Clone)]
pub(super) struct Headers {
    payload_type: u8,
    ticks_per_ms: u32,
    ssrc: u32,
    first_sequence: u16,
    first_timestamp: u32,
    /// Packets of the track so far, sent or lost.
    packets: u64,
    /// Where the last packet ended, ms.
    until_ms: Option<i64>,
}

impl Headers {
    /// The headers of a track of which so many packets came before. `None` where packets travel without.
    pub(super) fn of(
        params: &AudioParams,
        stream_id: &str,
        party: Option<usize>,
        packets: u64,
    ) -> Option<Self> {
        if params.content_type != AudioContent::Rtp {
            return None;
        }
        // RFC 3551; 111 is what is usual for Opus. G.722 has 16,000 samples a second and, by an old mistake that stayed,
        // a clock of 8,000.
        let (payload_type, ticks_per_ms) = match params.codec {
            AudioCodec::G711 => (8, 8),
            AudioCodec::G722 => (9, 8),
            _ => (111, params.sample_rate.hz().unwrap_or(48_000) / 1000),
        };
        let mut hasher = DefaultHasher::new();
        (stream_id, party).hash(&mut hasher);
        let [a, b, c, d, e, f, g, h] = hasher.finish().to_be_bytes();
        Some(Self {
            payload_type,
            ticks_per_ms,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            first_sequence: u16::from_be_bytes([e, f]),
            first_timestamp: u32::from_be_bytes([g, h, a, e]),
            packets,
            until_ms: None,
        })
    }

    /// The header of the next packet, which begins at this offset and is `step_ms` long.
    pub(super) fn next(&mut self, offset_ms: i64, step_ms: i64) -> [u8; RTP_HEADER] {
        let marker = self.until_ms.replace(offset_ms + step_ms) != Some(offset_ms);
        // The lower bits are what is wanted: both wrap.
        let ticks = offset_ms.unsigned_abs() as u32;
        let header = RtpPacket {
            marker,
            payload_type: self.payload_type,
            sequence: self.first_sequence.wrapping_add(self.packets as u16),
            timestamp: self.first_timestamp.wrapping_add(ticks.wrapping_mul(self.ticks_per_ms)),
            ssrc: self.ssrc,
            ..RtpPacket::default()
        };
        self.packets += 1;
        let mut bytes = Vec::with_capacity(RTP_HEADER);
        header.write(&mut bytes);
        bytes.try_into().unwrap_or_default()
    }
}

/// Whether this packet of a track, counted from the stream's time zero, is one of every so many; 0 is none.
const fn is_nth(number: u64, every: u32) -> bool {
    every > 0 && number % every as u64 == every as u64 - 1
}

/// Whether a packet never arrives.
pub(crate) fn is_lost(faults: &RtpFaults, params: &AudioParams, number: u64) -> bool {
    params.content_type == AudioContent::Rtp && is_nth(number, faults.lose_every)
}

/// Whether a packet arrives after the next one.
pub(super) fn is_late(faults: &RtpFaults, params: &AudioParams, number: u64) -> bool {
    params.content_type == AudioContent::Rtp && is_nth(number, faults.delay_every)
}

/// Whether a packet arrives twice.
pub(super) fn is_doubled(faults: &RtpFaults, params: &AudioParams, number: u64) -> bool {
    params.content_type == AudioContent::Rtp && is_nth(number, faults.double_every)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtms_protocol::rtp::{sequence_since, timestamp_since};

    fn params(codec: AudioCodec) -> AudioParams {
        let asked = AudioParams { content_type: AudioContent::Rtp, codec, ..AudioParams::default() };
        AudioParams { content_type: AudioContent::Rtp, ..asked.nearest() }
    }

    #[test]
    fn silence_leaves_a_hole_in_time_and_none_in_the_count() {
        for (codec, ticks) in [(AudioCodec::Opus, 48), (AudioCodec::G711, 8), (AudioCodec::G722, 8)] {
            let mut headers = Headers::of(&params(codec), "stream", Some(1), 65_530).unwrap();
            let headers = [0, 20, 1_000].map(|offset| headers.next(offset, 20));
            let [a, b, c] = headers.each_ref().map(|h| RtpPacket::parse(h).unwrap());
            assert_eq!((a.marker, b.marker, c.marker), (true, false, true));
            assert_eq!(
                (sequence_since(b.sequence, a.sequence), sequence_since(c.sequence, b.sequence)),
                (1, 1)
            );
            assert_eq!(timestamp_since(b.timestamp, a.timestamp), 20 * ticks);
            assert_eq!(timestamp_since(c.timestamp, b.timestamp), 980 * ticks);
            assert_eq!(a.ssrc, c.ssrc);
        }
    }

    #[test]
    fn a_repeated_packet_is_the_same_packet() {
        let first = |packets| Headers::of(&params(AudioCodec::Opus), "stream", None, packets).unwrap();
        let mut all = first(0);
        let mut again = first(1);
        all.next(0, 20);
        again.next(20, 20);
        all.next(20, 20);
        assert_eq!(all.next(40, 20), again.next(40, 20));
        assert!(Headers::of(&AudioParams::default(), "stream", None, 0).is_none());
    }

    #[test]
    fn faults_hit_one_packet_of_so_many() {
        let faults = RtpFaults { lose_every: 3, ..RtpFaults::default() };
        let lost: Vec<u64> = (0..7).filter(|&n| is_lost(&faults, &params(AudioCodec::Opus), n)).collect();
        assert_eq!(lost, [2, 5]);
        assert!(!(0..7).any(|n| is_lost(&faults, &AudioParams::default(), n)));
    }
}
