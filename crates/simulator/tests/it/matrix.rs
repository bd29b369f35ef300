//! Every row of Zoom's audio matrix: what travels is what was played, and decodes to what was said.

use std::collections::BTreeMap;

use rtms_codec::{Decoder, Encoder, Format};
use rtms_protocol::rtp::{RtpPacket, sequence_since, timestamp_since};
use rtms_protocol::{AudioContent, AudioParams, Product};
use rtms_simulator::faults::{Faults, RtpFaults};
use rtms_simulator::played::PlayedTrack;
use rtms_simulator::{Played, pcm};
use serde_json::{Value, json};

use crate::client::Received;
use crate::whole::{Whole, Wish, asked};

const L16: i64 = 1;
const G711: i64 = 2;
const G722: i64 = 3;
const OPUS: i64 = 4;

fn audio(content_type: i64, codec: i64, rate: i64, channels: i64, data_opt: i64) -> Value {
    json!({"audio": {"content_type": content_type, "codec": codec, "sample_rate": rate, "channel": channels,
        "data_opt": data_opt, "send_rate": 20}})
}

async fn taken(params: Value, rtp: RtpFaults) -> Whole {
    let faults = Faults { rtp, ..Faults::default() };
    Wish { faults, ..Wish::usual(Product::ContactCenter, 6_000, 1, params) }.taken().await
}

/// The packets of a track, in the order in which they came.
fn of_track<'w>(whole: &'w Whole, track: &PlayedTrack) -> Vec<&'w Received> {
    let who = track.party.as_ref().map_or("0".to_owned(), |party| party.user_id.to_string());
    whole.packets.iter().filter(|packet| packet.who == who).collect()
}

/// 1 where both are the same but for loudness.
fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn as_samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
}

/// What a track's payloads decode to, one after the other, and by how many samples it comes later than the source.
fn decoded(track: &PlayedTrack, payloads: &[Vec<u8>]) -> (Vec<i16>, usize) {
    let format = Format::of(&track.params).unwrap();
    match track.params.codec.code() {
        G711 => {
            (as_samples(&asked("ffmpeg", "-f alaw -ar 8000 -ac 1 -i - -f s16le -", &payloads.concat())), 0)
        }
        G722 => (as_samples(&asked("ffmpeg", "-f g722 -i - -f s16le -", &payloads.concat())), 22),
        _ => {
            let (mut all, mut samples) = (Vec::new(), Vec::new());
            let mut decoder = Decoder::new(format).unwrap();
            for payload in payloads {
                decoder.decode(payload, &mut samples).unwrap();
                all.extend_from_slice(&samples);
            }
            (all, Encoder::new(format, 64_000).unwrap().delay() * usize::from(track.channels))
        }
    }
}

fn sounds_like_its_source(track: &PlayedTrack, payloads: &[Vec<u8>]) {
    let source: Vec<i16> = track.packets.iter().flat_map(|packet| packet.samples.iter().copied()).collect();
    let (decoded, delay) = decoded(track, payloads);
    assert_eq!(decoded.len(), source.len(), "{}", track.params);
    let likeness = likeness(&source[..source.len() - delay], &decoded[delay..]);
    assert!(likeness > 0.85, "{}: {likeness}", track.params);
}

fn timestamps_and_sound_are_those_played(played: &Played, whole: &Whole) {
    assert!(played.complete && !played.tracks.is_empty());
    for track in &played.tracks {
        let packets = of_track(whole, track);
        let payload = |p: &&Received| match track.params.content_type {
            AudioContent::Rtp => RtpPacket::parse(&p.bytes).unwrap().payload.to_vec(),
            _ => p.bytes.clone(),
        };
        let came: Vec<(i64, Vec<u8>)> = packets.iter().map(|p| (p.timestamp, payload(p))).collect();
        let sent: Vec<(i64, Vec<u8>)> =
            track.packets.iter().map(|p| (p.timestamp.0, p.payload.clone())).collect();
        assert!(came == sent, "{}", track.params);
        let payloads: Vec<Vec<u8>> = came.into_iter().map(|(_, payload)| payload).collect();
        sounds_like_its_source(track, &payloads);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_bare_mixed_and_separate() {
    for (codec, rate, channels) in [(G711, 0, 1), (G722, 1, 1), (OPUS, 3, 1), (OPUS, 3, 2)] {
        for data_opt in [1, 2] {
            let whole = taken(audio(2, codec, rate, channels, data_opt), RtpFaults::default()).await;
            assert_eq!(whole.played.tracks.len(), if data_opt == 1 { 1 } else { 2 });
            timestamps_and_sound_are_those_played(&whole.played, &whole);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_in_rtp_packets() {
    for (codec, rate, channels, ticks) in [(G711, 0, 1, 160), (G722, 1, 1, 160), (OPUS, 3, 2, 960)] {
        let whole = taken(audio(1, codec, rate, channels, 2), RtpFaults::default()).await;
        timestamps_and_sound_are_those_played(&whole.played, &whole);
        let mut sources = BTreeMap::new();
        for track in &whole.played.tracks {
            let packets = of_track(&whole, track);
            let headers: Vec<_> = packets.iter().map(|p| RtpPacket::parse(&p.bytes).unwrap()).collect();
            assert!(headers[0].marker && !headers[1].marker);
            for (pair, at) in headers.windows(2).zip(&packets) {
                assert_eq!(sequence_since(pair[1].sequence, pair[0].sequence), 1, "{}", at.timestamp);
                assert_eq!(timestamp_since(pair[1].timestamp, pair[0].timestamp), ticks);
                assert_eq!(pair[1].ssrc, pair[0].ssrc);
            }
            sources.insert(headers[0].ssrc, &track.party);
        }
        assert_eq!(sources.len(), 2, "each party is a source of its own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rtp_packets_are_lost_late_and_doubled_as_planned() {
    let faults = RtpFaults { lose_every: 10, delay_every: 7, double_every: 4 };
    let whole = taken(audio(1, OPUS, 3, 1, 1), faults).await;
    let [track] = whole.played.tracks.as_slice() else { panic!("the mix") };
    let packets = of_track(&whole, track);
    let numbers: Vec<i64> = packets.iter().map(|p| (p.timestamp - whole.played.time_zero.0) / 20).collect();
    let expected = (0..300).filter(|n| n % 10 != 9).collect::<Vec<i64>>();
    let mut once = numbers.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, expected);
    assert_eq!(track.packets.len(), expected.len());
    assert_eq!(numbers[..10], [0, 1, 2, 3, 3, 4, 5, 7, 7, 6], "6 is late, 3 and 7 come twice");
    let first = RtpPacket::parse(&packets[0].bytes).unwrap().sequence;
    for (packet, number) in packets.iter().zip(&numbers) {
        let sequence = RtpPacket::parse(&packet.bytes).unwrap().sequence;
        assert_eq!(i64::from(sequence_since(sequence, first)), *number, "a lost packet keeps its number");
    }
    assert_eq!(whole.played.audio_packets, numbers.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn linear_sound_of_every_rate_and_packet() {
    for (rate, channels, send_rate) in
        [(0, 1, 20), (1, 2, 60), (2, 1, 1000), (2, 2, 100), (3, 1, 20), (3, 2, 500)]
    {
        let mut params = audio(2, L16, rate, channels, 2);
        params["audio"]["send_rate"] = json!(send_rate);
        let asked: AudioParams = serde_json::from_value(params["audio"].clone()).unwrap();
        let whole = taken(params, RtpFaults::default()).await;
        assert_eq!(whole.played.tracks.len(), 2);
        for track in &whole.played.tracks {
            assert_eq!((track.params, u64::from(track.packet_ms)), (asked, send_rate));
            let came: Vec<u8> = of_track(&whole, track).iter().flat_map(|p| p.bytes.clone()).collect();
            let sent: Vec<i16> = track.packets.iter().flat_map(|p| p.samples.clone()).collect();
            assert!(came == pcm::bytes(&sent), "{asked}");
        }
    }
}
