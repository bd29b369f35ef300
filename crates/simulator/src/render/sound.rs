//! Sound as messages: one round of a voice or of a mix, encoded and cut into packets.
//!
//! A loop begins with a fresh encoder. Where one follows another (somebody is put on hold, or a round begins anew), a
//! decoder hears the seam for some ms, as after a lost packet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rtms_codec::{Encoder, Format};
use rtms_protocol::{AudioCodec, AudioContent, AudioParams, MediaKind, MediaPacket, WireId};

use super::{PLACEHOLDER, RTP_HEADER, Template, base64};
use crate::pcm;
use crate::scenario::{Party, Program};

/// For each channel of Opus, bits a second. The others have none to choose.
const OPUS_BITS: u32 = 40_000;

/// One round of a voice, cut into packets.
#[derive(Debug)]
pub struct AudioLoop {
    /// The messages.
    pub packets: Vec<Template>,
    /// The same sound before it was encoded, interleaved where there are two channels: equal parts for each packet.
    pub samples: Vec<i16>,
    /// Samples (of all channels) in a packet.
    pub samples_per_packet: usize,
    rtp: bool,
}

impl AudioLoop {
    /// The sound of the packet with this number, counted from the stream's time zero.
    #[must_use]
    pub fn packet_samples(&self, number: u64) -> &[i16] {
        let at = self.index(number) * self.samples_per_packet;
        &self.samples[at..at + self.samples_per_packet]
    }

    /// The message of the packet with this number.
    #[must_use]
    pub fn packet(&self, number: u64) -> &Template {
        &self.packets[self.index(number)]
    }

    /// What the codec made of the packet with this number, without an RTP header.
    #[must_use]
    pub fn packet_payload(&self, number: u64) -> Vec<u8> {
        let mut payload = self.packet(number).payload();
        if self.rtp {
            payload.drain(..RTP_HEADER.min(payload.len()));
        }
        payload
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number % self.packets.len().max(1) as u64).unwrap_or(0)
    }
}

/// Whose sound a loop is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// The sum of these voices of the content, in order; a voice that two are heard with counts twice.
    Mixed(Vec<usize>),
    /// One party alone, under the name of this number.
    Party(usize, usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LoopKey {
    source: Source,
    codec: AudioCodec,
    rtp: bool,
    sample_rate: u32,
    channels: u16,
    packet_ms: u16,
}

/// Sound of one program as it was asked for so far.
#[derive(Debug, Default)]
struct Rendered {
    loops: HashMap<LoopKey, Arc<AudioLoop>>,
    /// Voices by rate and channels, which every loop of that format is made of.
    voices: HashMap<(usize, u32, u16), Arc<Vec<i16>>>,
}

/// The loops of one program, rendered when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct LoopCache {
    rendered: Mutex<Rendered>,
}

impl LoopCache {
    /// The loop of a source in the granted format.
    pub(crate) fn audio(&self, program: &Program, source: &Source, params: &AudioParams) -> Arc<AudioLoop> {
        let key = LoopKey {
            source: source.clone(),
            codec: params.codec,
            rtp: params.content_type == AudioContent::Rtp,
            sample_rate: params.sample_rate.hz().unwrap_or(16_000),
            channels: params.channels.count(),
            packet_ms: params.send_rate_ms.max(20),
        };
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rendered.loops.get(&key) {
            return Arc::clone(known);
        }
        let made = Arc::new(rendered.make(program, &key, params));
        rendered.loops.insert(key, Arc::clone(&made));
        made
    }
}

impl Rendered {
    /// A voice in this format, silent after its end up to the content's.
    fn voice(&mut self, program: &Program, voice: usize, key: &LoopKey) -> Arc<Vec<i16>> {
        let content = &program.content;
        let made = self.voices.entry((voice, key.sample_rate, key.channels)).or_insert_with(|| {
            let sound = content.voices.get(voice);
            let mut samples = sound.map(|s| s.to(key.sample_rate, key.channels)).unwrap_or_default();
            let frames = u64::from(key.sample_rate) * content.length_ms().unsigned_abs() / 1000;
            samples.resize(usize::try_from(frames).unwrap_or(0) * usize::from(key.channels), 0);
            Arc::new(samples)
        });
        Arc::clone(made)
    }

    fn make(&mut self, program: &Program, key: &LoopKey, params: &AudioParams) -> AudioLoop {
        let silence = vec![0; key.sample_rate as usize / 1000 * usize::from(key.packet_ms)];
        let (mut samples, party) = match &key.source {
            Source::Mixed(voices) => {
                let voices: Vec<_> = voices.iter().map(|&voice| self.voice(program, voice, key)).collect();
                let voices = voices.iter().map(|voice| voice.as_slice());
                // Where nobody is heard, the mix is silence, and sent.
                (pcm::mix(&voices.chain([silence.as_slice()]).collect::<Vec<_>>()), None)
            }
            Source::Party(index, name) => {
                let party = &program.scenario.parties[*index];
                let voice = party.voice.map(|voice| self.voice(program, voice, key));
                (voice.map(|voice| voice.to_vec()).unwrap_or_default(), Some((party, *name)))
            }
        };
        let samples_per_packet =
            key.sample_rate as usize / 1000 * usize::from(key.packet_ms) * usize::from(key.channels);
        samples.resize(samples.len().div_ceil(samples_per_packet).max(1) * samples_per_packet, 0);
        let mut encoder = Format::of(params)
            .and_then(|format| Encoder::new(format, OPUS_BITS * u32::from(key.channels)).ok());
        let mut encode = |samples: &[i16]| {
            let mut payload = Vec::new();
            // The handshake granted a row of the matrix, and every packet is as long as the codec wants it.
            if encoder.as_mut().is_none_or(|encoder| encoder.encode(samples, &mut payload).is_err()) {
                tracing::error!(%params, "this sound cannot be encoded; its packets are empty");
            }
            payload
        };
        let packets =
            samples.chunks(samples_per_packet).map(|chunk| message(&encode(chunk), key.rtp, party)).collect();
        AudioLoop { packets, samples, samples_per_packet, rtp: key.rtp }
    }
}

fn message(payload: &[u8], rtp: bool, party: Option<(&Party, usize)>) -> Template {
    let header: &[u8] = if rtp { &[0; RTP_HEADER] } else { &[] };
    let payload = [header, payload].concat();
    let mut packet = MediaPacket::new(MediaKind::Audio, PLACEHOLDER, base64(&payload));
    packet.length = u32::try_from(payload.len()).ok();
    packet.user_id = Some(party.map_or(WireId::Number(0), |(party, _)| party.user_id.clone()));
    if let Some((party, name)) = party {
        packet.user_name = Some(Cow::Borrowed(party.name(name)));
        packet.channel_id = party.channel_id.as_deref().map(|id| WireId::Text(Cow::Borrowed(id)));
    }
    Template::render(&packet)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rtms_codec::Decoder;
    use rtms_protocol::{AudioData, Channels, Product, SampleRate, UnixMillis};

    use super::*;
    use crate::content::{Content, LEFT, RIGHT};
    use crate::scenario::Scenario;

    fn program(product: Product) -> Arc<Program> {
        Program::new(Scenario::of(product, 24_000), Content::built_in())
    }

    fn payload(text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        MediaPacket::parse(text).unwrap().decode_into(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn packets_hold_the_sound_they_say() {
        let program = program(Product::ContactCenter);
        let params = AudioParams {
            data_opt: AudioData::Separate,
            sample_rate: SampleRate::Hz8000,
            send_rate_ms: 100,
            ..AudioParams::default()
        };
        let cache = LoopCache::default();
        let agent = cache.audio(&program, &Source::Party(1, 0), &params);
        assert_eq!((agent.packets.len(), agent.samples_per_packet), (240, 800));
        let text = agent.packet(241).stamp(UnixMillis(1_765_449_000_020), &mut BytesMut::new());
        assert_eq!(payload(&text), pcm::bytes(agent.packet_samples(1)));
        assert_eq!(agent.packet_payload(241), pcm::bytes(agent.packet_samples(1)));
        assert_eq!(MediaPacket::parse(&text).unwrap().channel_id.unwrap().to_string(), "2");
        assert!(Arc::ptr_eq(&agent, &cache.audio(&program, &Source::Party(1, 0), &params)));
    }

    #[test]
    fn an_odd_send_rate_fills_its_last_packet_with_silence() {
        let program = program(Product::Phone);
        let params = AudioParams { send_rate_ms: 140, ..AudioParams::default() };
        let mixed = LoopCache::default().audio(&program, &Source::Mixed(vec![LEFT, RIGHT]), &params);
        assert_eq!(mixed.packets.len(), 172);
        assert!(mixed.packet_samples(171).ends_with(&[0; 100]));
    }

    #[test]
    fn a_mix_of_nobody_is_silence() {
        let program = program(Product::Phone);
        let params = AudioParams { channels: Channels::Stereo, ..AudioParams::default() };
        let mixed = LoopCache::default().audio(&program, &Source::Mixed(Vec::new()), &params);
        assert!(!mixed.packets.is_empty() && mixed.samples.iter().all(|&s| s == 0));
    }

    #[test]
    fn every_codec_holds_the_sound_it_says() {
        let program = program(Product::Phone);
        let rows = [
            (AudioCodec::G711, SampleRate::Hz8000, Channels::Mono, 0, 160),
            (AudioCodec::G722, SampleRate::Hz16000, Channels::Mono, 22, 160),
            (AudioCodec::Opus, SampleRate::Hz48000, Channels::Mono, 312, 0),
            (AudioCodec::Opus, SampleRate::Hz48000, Channels::Stereo, 312, 0),
        ];
        for (codec, sample_rate, channels, delay, bytes) in rows {
            let params = AudioParams {
                content_type: AudioContent::Rtp,
                codec,
                sample_rate,
                channels,
                ..AudioParams::default()
            };
            let sound = LoopCache::default().audio(&program, &Source::Mixed(vec![RIGHT]), &params);
            let mut decoder = Decoder::new(Format::of(&params).unwrap()).unwrap();
            let (mut decoded, mut packet) = (Vec::new(), Vec::new());
            for number in 0..150 {
                let payload = sound.packet_payload(number);
                assert!(bytes == 0 || payload.len() == bytes, "{codec}: {}", payload.len());
                decoder.decode(&payload, &mut packet).unwrap();
                decoded.extend_from_slice(&packet);
            }
            let delay = delay * usize::from(channels.count());
            let likeness = likeness(&sound.samples[..decoded.len() - delay], &decoded[delay..]);
            assert!(likeness > 0.9, "{codec} {channels}: {likeness}");
        }
    }

    /// 1 where both are the same but for loudness.
    fn likeness(a: &[i16], b: &[i16]) -> f64 {
        let dot =
            |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }
}
