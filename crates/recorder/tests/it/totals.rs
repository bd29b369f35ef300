//! The figures of a call, from speech whose times are known, and whatever happens on the way.

use std::fs;

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product, WireId};
use rtms_recorder::{Manifest, PartyTotals, TalkSource, Totals, manifests, repair_recording};
use serde_json::{Value, json};

use crate::support::{Bench, at, sound};

/// The simulator's conversation: 24 s of two people, 16 kHz, and when each of them talks, ms.
fn conversation(side: &str) -> Vec<i16> {
    let file = format!("{}/../simulator/assets/conversation_{side}.wav", env!("CARGO_MANIFEST_DIR"));
    let bytes = fs::read(file).unwrap();
    bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

const AGENT: [(i64, i64); 4] = [(900, 3_708), (7_624, 11_262), (15_699, 19_162), (21_404, 23_029)];
const CUSTOMER: [(i64, i64); 5] =
    [(4_208, 7_174), (11_012, 11_283), (12_583, 14_199), (18_862, 21_054), (23_279, 23_528)];

fn scaled(samples: &[i16], gain: f64) -> Vec<i16> {
    samples.iter().map(|sample| (f64::from(*sample) * gain).round() as i16).collect()
}

/// White noise of about `level` (its root mean square).
fn noise(level: f64, count: usize) -> Vec<i16> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..count).map(|_| (next() * level * 12_f64.sqrt()) as i16).collect()
}

fn mixed(one: &[i16], two: &[i16]) -> Vec<i16> {
    one.iter().zip(two).map(|(one, two)| one.saturating_add(*two)).collect()
}

fn totals(manifest: &Manifest) -> &Totals {
    assert_eq!(manifest.problems, Vec::<String>::new());
    manifest.totals.as_ref().unwrap()
}

fn party<'t>(totals: &'t Totals, channel: &str) -> &'t PartyTotals {
    totals.parties.iter().find(|party| party.channel_id.as_deref() == Some(channel)).unwrap()
}

fn near(got: i64, expected: i64, within: i64) {
    assert!((got - expected).abs() <= within, "{got} is not within {within} of {expected}");
}

fn length(spans: &[(i64, i64)]) -> i64 {
    spans.iter().map(|(from, until)| until - from).sum()
}

fn a_call(customer: &[i16], agent: &[i16]) -> Bench {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    bench.event(0, &json!({"event_type": 8, "participant_info": {"channel_id": 1, "display_name": "Ann"}}));
    bench.event(600, &json!({"event_type": 10, "participant_info": {"channel_id": 2, "display_name": "Bo"}}));
    bench.play(Some(1), 0, customer);
    bench.play(Some(2), 0, agent);
    bench
}

#[test]
fn speech_is_measured_at_every_level_and_in_noise() {
    let (left, right) = (conversation("left"), conversation("right"));
    for (gain, noise_level) in [(1.0, 0.0), (0.25, 0.0), (0.1, 0.0), (0.5, 60.0), (0.5, 150.0)] {
        let line = noise(noise_level, left.len());
        let play = |voice: &[i16]| mixed(&scaled(voice, gain), &line);
        let manifest = a_call(&play(&left), &play(&right)).finish(24_100);
        let totals = totals(&manifest);
        assert_eq!(totals.source, TalkSource::Audio);
        for (channel, spans) in [("1", &CUSTOMER[..]), ("2", &AGENT[..])] {
            let party = party(totals, channel);
            near(party.talk_ms, length(spans), length(spans) / 8);
            near(party.first_word_ms.unwrap(), spans[0].0, 100);
        }
        near(totals.overlap_ms, 550, 200);
        near(totals.time_to_first_word_ms.unwrap(), 900, 100);
        assert_eq!(totals.talk_ms + totals.silence_ms, totals.duration_ms);
        near(totals.duration_ms, 24_000, 20);
        near(totals.longest_silence_ms, 1_500, 200);
    }
}

#[test]
fn a_noisy_line_on_which_nobody_talks_is_silent() {
    let manifest = a_call(&noise(300.0, 160_000), &vec![0; 160_000]).finish(10_100);
    let totals = totals(&manifest);
    assert_eq!((totals.talk_ms, totals.silence_ms, totals.longest_silence_ms), (0, 10_000, 10_000));
    assert_eq!((party(totals, "1").first_word_ms, totals.time_to_first_word_ms), (None, None));
}

#[test]
fn holds_are_counted_also_where_the_call_ends_on_one() {
    let mut bench = a_call(&sound(1, 160_000), &sound(2, 80_000));
    let hold = |code: i64| json!({"event_type": code, "participant_info": {"channel_id": "2"}});
    for (ms, code) in [(1_000, 12), (1_500, 12), (3_000, 13), (3_500, 13), (8_000, 12)] {
        bench.event(ms, &hold(code));
    }
    bench.event(
        2_000,
        &json!({"event_type": 12, "participant_info": {"channel_id": 3, "display_name": "Cy"}}),
    );
    bench.event(4_000, &json!({"event_type": 11, "participant_info": {"channel_id": 3}}));
    let manifest = bench.finish(12_030);
    let totals = totals(&manifest);
    let agent = party(totals, "2");
    assert_eq!((agent.hold_count, agent.hold_ms), (2, 6_000));
    assert_eq!((agent.role.unwrap().word(), agent.name.as_str()), ("agent", "agent"));
    let third = party(totals, "3");
    assert_eq!((third.hold_count, third.hold_ms, third.talk_ms), (1, 2_000, 0));
    assert_eq!((totals.hold_count, totals.hold_ms, totals.duration_ms), (3, 7_000, 12_000));
    assert_eq!(totals.silence_ms, 2_000, "nothing was heard after the sound ended");
    assert_eq!(totals.overlap_ms, 5_000);
}

#[test]
fn they_are_the_same_after_a_crash() {
    let (left, right) = (conversation("left"), conversation("right"));
    let whole = a_call(&left, &right).finish(24_030);
    let mut bench = a_call(&left, &right);
    bench.flush(24_030);
    bench.die();
    let stored = manifests(bench.dir.path()).next().unwrap();
    let repaired = repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap();
    assert_eq!(totals(&repaired), totals(&whole));
    let stored = manifests(bench.dir.path()).next().unwrap();
    let json: Value = serde_json::from_slice(&fs::read(&stored.path).unwrap()).unwrap();
    assert_eq!(json["totals"]["source"], "audio");
    assert_eq!(stored.manifest, repaired);
}

#[test]
fn mixed_sound_takes_who_talks_from_the_transcript() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let both = mixed(&conversation("left"), &conversation("right"));
    bench.play(None, 0, &both);
    for (who, spans) in [(1, &CUSTOMER[..]), (2, &AGENT[..])] {
        for (from, until) in spans {
            let mut packet = MediaPacket::new(MediaKind::Transcript, at(*from), format!("words at {from}"));
            (packet.start_time, packet.end_time) = (Some(at(*from)), Some(at(*until)));
            packet.user_id = Some(WireId::Number(who));
            packet.user_name = Some(format!("P{who}").into());
            bench.rec().media(at(24_000), &packet).unwrap();
        }
    }
    let manifest = bench.finish(24_030);
    let totals = totals(&manifest);
    assert_eq!(totals.source, TalkSource::Transcript);
    let talk: Vec<_> = totals.parties.iter().map(|party| (party.name.as_str(), party.talk_ms)).collect();
    for ((name, talk_ms), (expected, spans)) in talk.iter().zip([("P1", &CUSTOMER[..]), ("P2", &AGENT[..])]) {
        assert_eq!(*name, expected);
        near(*talk_ms, length(spans), 100);
    }
    near(totals.overlap_ms, 550, 60);

    let mut without = Bench::new(Product::Meeting, AudioData::Mixed);
    without.play(None, 0, &both);
    let manifest = without.finish(24_030);
    let totals = self::totals(&manifest);
    assert_eq!((totals.source, totals.parties.len(), totals.overlap_ms), (TalkSource::Mixed, 0, 0));
    near(totals.talk_ms, length(&CUSTOMER) + length(&AGENT) - 550, 1_500);
}

#[test]
fn a_recording_of_nothing_has_none() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    assert_eq!(bench.finish(1_000).totals, None);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.event(0, &json!({"event_type": 1}));
    let manifest = bench.finish(1_000);
    let totals = totals(&manifest);
    assert_eq!((totals.source, totals.duration_ms, totals.silence_ms), (TalkSource::None, 0, 0));
}
