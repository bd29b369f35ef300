//! Sound as it was sent: a track for the mix or for each party, packet by packet.

use std::ops::Range;

use rtms_protocol::{AudioData, AudioParams, UnixMillis, WireId};

use super::Log;
use crate::faults::RtpFaults;
use crate::player::is_lost;
use crate::scenario::Program;
use crate::stream::{heard_source, in_spans};

/// One packet of a track, without repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedPacket {
    /// Position of its first sample, in samples a channel from the stream's time zero.
    pub position: u64,
    /// Its timestamp on the wire.
    pub timestamp: UnixMillis,
    /// Its sound before it was encoded, interleaved. Of L16 it is what travelled.
    pub samples: Vec<i16>,
    /// What travelled: the codec's bytes, without an RTP header.
    pub payload: Vec<u8>,
}

/// One audio track: the mix, or one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedTrack {
    /// `None` for the mix.
    pub party: Option<PlayedParty>,
    /// How it was granted.
    pub params: AudioParams,
    /// Samples a second.
    pub sample_rate: u32,
    /// Interleaved channels.
    pub channels: u16,
    /// ms in a packet.
    pub packet_ms: u16,
    /// What was sent, in order of time.
    pub packets: Vec<PlayedPacket>,
}

/// Whose track it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedParty {
    /// The name on the wire, the first one where it changes.
    pub name: String,
    /// The id on the wire.
    pub user_id: WireId<'static>,
    /// The channel, in Contact Center.
    pub channel_id: Option<String>,
}

impl PlayedTrack {
    /// The whole track from the stream's time zero, interleaved, with silence wherever nothing was sent.
    #[must_use]
    pub fn pcm(&self) -> Vec<i16> {
        let channels = usize::from(self.channels);
        let mut sound = Vec::new();
        for packet in &self.packets {
            let at = usize::try_from(packet.position).unwrap_or(0) * channels;
            sound.resize(at.max(sound.len()), 0);
            sound.truncate(at);
            sound.extend_from_slice(&packet.samples);
        }
        sound
    }
}

/// What all tracks of a stream have in common.
struct Looked<'a> {
    program: &'a Program,
    time_zero: UnixMillis,
    pauses: &'a [Range<i64>],
    params: AudioParams,
    /// Offsets at which a socket had its turn.
    offsets: Vec<i64>,
}

pub(super) fn tracks(
    program: &Program,
    time_zero: UnixMillis,
    log: &Log,
    pauses: &[Range<i64>],
    faults: &RtpFaults,
) -> Vec<PlayedTrack> {
    let Some(params) = log.audio.last().map(|span| span.params) else { return Vec::new() };
    let parties: Vec<Option<usize>> = match params.data_opt {
        AudioData::Separate => (0..program.scenario.parties.len()).map(Some).collect(),
        _ => vec![None],
    };
    let offsets = offsets(log, &params, faults);
    let looked = Looked { program, time_zero, pauses, params, offsets };
    let tracks = parties.into_iter().map(|party| looked.track(party));
    tracks.filter(|track| !track.packets.is_empty()).collect()
}

/// Each offset once, without those whose packets were lost.
fn offsets(log: &Log, params: &AudioParams, faults: &RtpFaults) -> Vec<i64> {
    let packet_ms = i64::from(params.send_rate_ms);
    let spans = log.audio.iter().filter(|span| span.params == *params);
    let numbers = spans.flat_map(|span| span.offsets.start / packet_ms..span.offsets.end / packet_ms);
    let arrived = numbers.filter(|&number| !is_lost(faults, params, number.unsigned_abs()));
    let mut offsets: Vec<i64> = arrived.map(|number| number * packet_ms).collect();
    offsets.sort_unstable();
    offsets.dedup();
    offsets
}

impl Looked<'_> {
    fn track(&self, party: Option<usize>) -> PlayedTrack {
        let params = self.params;
        let sample_rate = params.sample_rate.hz().unwrap_or(16_000);
        let mut packets = Vec::new();
        for &offset in self.offsets.iter().filter(|&&offset| !in_spans(self.pauses, offset)) {
            let Some(source) = heard_source(self.program, party, offset) else { continue };
            let audio = self.program.audio(&source, &params);
            let number = (offset / i64::from(params.send_rate_ms)).unsigned_abs();
            packets.push(PlayedPacket {
                position: offset.unsigned_abs() * u64::from(sample_rate) / 1000,
                timestamp: self.time_zero.plus(offset),
                samples: audio.packet_samples(number).to_vec(),
                payload: audio.packet_payload(number),
            });
        }
        let party = party.map(|index| &self.program.scenario.parties[index]).map(|p| PlayedParty {
            name: p.name.clone(),
            user_id: p.user_id.clone(),
            channel_id: p.channel_id.clone(),
        });
        let (channels, packet_ms) = (params.channels.count(), params.send_rate_ms);
        PlayedTrack { party, params, sample_rate, channels, packet_ms, packets }
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{Product, StreamIdentity};

    use super::*;
    use crate::content::{Content, LEFT, RIGHT};
    use crate::pcm;
    use crate::played::{AudioSpan, Played};
    use crate::scenario::Scenario;

    fn played(product: Product, data_opt: AudioData, spans: &[Range<i64>]) -> Played {
        let program = Program::new(Scenario::of(product, 24_000), Content::built_in());
        let params = AudioParams { data_opt, ..AudioParams::default() };
        let audio = spans.iter().map(|s| AudioSpan { params, offsets: s.clone() }).collect();
        let identity = StreamIdentity { product, id: "i".into(), stream_id: "s".into() };
        Played::new(
            identity,
            UnixMillis(1_000_000),
            &program,
            &Log { audio, ..Log::default() },
            &[],
            &RtpFaults::default(),
        )
    }

    #[test]
    fn repeats_count_once() {
        let all = played(Product::Meeting, AudioData::Mixed, std::slice::from_ref(&(0..24_000)));
        let twice = played(Product::Meeting, AudioData::Mixed, &[0..10_000, 9_000..24_000]);
        assert_eq!(all.tracks, twice.tracks);
        let content = Content::built_in();
        let [left, right] = [LEFT, RIGHT].map(|voice| content.voices[voice].samples.as_slice());
        let mixed = pcm::mix(&[left, right]);
        // The guest is heard from 400 ms on: before it, the mix is the host alone.
        assert_eq!(all.tracks[0].pcm()[..6_400], right[..6_400]);
        assert_eq!(all.tracks[0].pcm()[6_400..], mixed[6_400..]);
    }

    #[test]
    fn a_hold_is_silence_in_the_agents_track_only() {
        let played = played(Product::ContactCenter, AudioData::Separate, std::slice::from_ref(&(0..24_000)));
        let content = Content::built_in();
        assert_eq!(played.tracks.len(), 2);
        let [left, right] = [LEFT, RIGHT].map(|voice| content.voices[voice].samples.as_slice());
        assert_eq!(played.tracks[0].pcm(), left);
        let agent = played.tracks[1].pcm();
        assert_eq!(agent[9_600..184_000], right[9_600..184_000]);
        assert!(agent[..9_600].iter().chain(&agent[184_000..248_000]).all(|&s| s == 0));
        assert_eq!(agent[248_000..], right[248_000..]);
        assert_eq!(played.tracks[1].packets[0].timestamp, UnixMillis(1_000_600));
    }
}
