//! People in a meeting, each with a file of their own: late, away, muted, renamed, with the name of another.

use std::borrow::Cow;

use rtms_protocol::{AudioData, MediaPacket, Product, WireId};
use rtms_recorder::{Manifest, TrackEntry};
use serde_json::json;

use crate::support::{Bench, at, decoded, sound, track, voice};

fn text(id: &'static str) -> WireId<'static> {
    WireId::Text(Cow::Borrowed(id))
}

fn packet(id: WireId<'static>, name: &'static str, ms: i64, samples: &[i16]) -> MediaPacket<'static> {
    let mut packet = voice(None, ms, samples);
    packet.user_id = Some(id);
    packet.user_name = Some(name.into());
    packet
}

/// Plays packets of 20 ms of somebody, as they arrive in real time.
fn play(bench: &mut Bench, id: &WireId<'static>, name: &'static str, from: i64, samples: &[i16]) {
    for (n, chunk) in samples.chunks(320).enumerate() {
        let ms = from + n as i64 * 20;
        bench.rec().media(at(ms + 30), &packet(id.clone(), name, ms, chunk)).unwrap();
    }
}

/// What a file holds that is silent but for these stretches, in ms.
fn heard(stretches: &[(i64, &[i16])]) -> Vec<i16> {
    let mut all = Vec::new();
    for (from, samples) in stretches {
        all.resize(usize::try_from(from * 16).unwrap(), 0);
        all.extend_from_slice(samples);
    }
    all
}

fn meeting() -> Bench {
    Bench::new(Product::Meeting, AudioData::Separate)
}

/// What is recorded of a user.
fn of_user(bench: &Bench, manifest: &Manifest, user_id: &str) -> Vec<i16> {
    let mut own = manifest.tracks.iter().filter(|track| track.user_id.as_deref() == Some(user_id));
    let file = own.next().unwrap_or_else(|| panic!("nothing of {user_id}: {:#?}", manifest.tracks));
    assert!(own.next().is_none(), "one file for {user_id}");
    decoded(&bench.path(&file.file))
}

#[test]
fn a_participant_may_be_called_like_the_combined_sound() {
    let mut bench = meeting();
    let (one, two) = (sound(1, 16_000), sound(2, 16_000));
    play(&mut bench, &WireId::Number(16), "combined", 0, &one);
    play(&mut bench, &WireId::Number(17), "mixed", 0, &two);
    bench.flush(1_100);
    // The next process must not take the participant's file for the one that it makes anew.
    bench.die();
    bench.resume(1_500);
    play(&mut bench, &WireId::Number(16), "combined", 1_000, &one);
    play(&mut bench, &WireId::Number(17), "mixed", 1_000, &two);
    let manifest = bench.finish(2_500);
    let (one, two) = ([one.clone(), one].concat(), [two.clone(), two].concat());
    assert_eq!(of_user(&bench, &manifest, "16"), one);
    assert_eq!(of_user(&bench, &manifest, "17"), two);
    let both = decoded(&bench.file("audio", "000Z.wav"));
    assert_eq!(both, one.iter().zip(&two).flat_map(|(left, right)| [*left, *right]).collect::<Vec<_>>());
    let whose = |track: &TrackEntry| (track.name.clone(), track.user_id.clone());
    let audio: Vec<_> = manifest.tracks.iter().map(whose).collect();
    let expected = [("combined", None), ("combined", Some("16")), ("mixed", Some("17"))];
    assert_eq!(audio, expected.map(|(name, id)| (name.to_owned(), id.map(str::to_owned))));
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    let totals = manifest.totals.unwrap();
    assert_eq!(
        totals.parties.iter().map(|party| party.name.as_str()).collect::<Vec<_>>(),
        ["combined", "mixed"]
    );
}

#[test]
fn who_comes_late_leaves_and_returns_has_one_file() {
    let mut bench = meeting();
    let (host, first, second) = (sound(1, 16_000 * 4), sound(2, 8_000), sound(3, 8_000));
    play(&mut bench, &WireId::Number(16), "Zoë", 0, &host[..16_000]);
    bench.event(1_000, &json!({"event_type": 3, "participants": [{"user_id": 17, "user_name": "Ines"}]}));
    play(&mut bench, &WireId::Number(17), "Ines", 1_000, &first);
    bench.event(1_500, &json!({"event_type": 4, "participants": [{"user_id": "17"}]}));
    play(&mut bench, &WireId::Number(16), "Zoë", 1_000, &host[16_000..48_000]);
    bench.event(3_000, &json!({"event_type": 3, "participants": [{"user_id": "17", "user_name": "Ines"}]}));
    // The id is a number here and a text there: it is the same person.
    play(&mut bench, &text("17"), "Ines", 3_000, &second);
    play(&mut bench, &WireId::Number(16), "Zoë", 3_000, &host[48_000..]);
    let manifest = bench.finish(4_000);
    assert_eq!(of_user(&bench, &manifest, "17"), heard(&[(1_000, &first), (3_000, &second)]));
    assert_eq!(of_user(&bench, &manifest, "16"), host);
    assert_eq!(track(&manifest, "Ines").gaps, 1);
    let ines = manifest.participants.iter().find(|person| person.user_id.as_deref() == Some("17")).unwrap();
    assert_eq!((ines.joined_at, ines.left_at), (Some(at(1_000)), None), "there again");
    assert_eq!(manifest.participants.len(), 2);
}

#[test]
fn who_returns_under_another_id_gets_another_file() {
    let mut bench = meeting();
    let (before, after) = (sound(1, 8_000), sound(2, 8_000));
    play(&mut bench, &WireId::Number(16), "Ines", 0, &before);
    play(&mut bench, &WireId::Number(99), "Ines", 1_000, &after);
    let manifest = bench.finish(2_000);
    assert_eq!(decoded(&bench.file("audio", "000Z_Ines.wav")), before);
    assert_eq!(decoded(&bench.file("audio", "000Z_Ines_2.wav")), heard(&[(1_000, &after)]));
    let ids: Vec<_> = manifest.tracks.iter().filter_map(|track| track.user_id.as_deref()).collect();
    assert_eq!(ids, ["16", "99"]);
}

#[test]
fn who_is_muted_is_silent() {
    let mut bench = meeting();
    let (a, b, other) = (sound(1, 8_000), sound(2, 8_000), sound(3, 48_000));
    play(&mut bench, &WireId::Number(16), "Zoë", 0, &a);
    play(&mut bench, &WireId::Number(17), "Ines", 0, &other);
    play(&mut bench, &WireId::Number(16), "Zoë", 2_000, &b);
    let manifest = bench.finish(3_000);
    assert_eq!(of_user(&bench, &manifest, "16"), heard(&[(0, &a), (2_000, &b)]));
    let both = decoded(&bench.file("audio", "000Z.wav"));
    let zoe = heard(&[(0, &a), (2_000, &b), (3_000, &[])]);
    assert_eq!(both, zoe.iter().zip(&other).flat_map(|(one, two)| [*one, *two]).collect::<Vec<_>>());
}

#[test]
fn a_new_name_in_mid_call_is_the_files_in_the_end() {
    let mut bench = meeting();
    let said = sound(1, 48_000);
    play(&mut bench, &WireId::Number(16), "Ines", 0, &said[..16_000]);
    play(&mut bench, &WireId::Number(17), "Bo Li", 0, &sound(2, 320));
    play(&mut bench, &WireId::Number(16), "Ines (Northwind)", 1_000, &said[16_000..32_000]);
    bench.flush(2_000);
    assert!(bench.file("audio", "000Z_Ines.wav").exists(), "nothing is renamed while it is written");
    play(&mut bench, &WireId::Number(16), "Ines C.", 2_000, &said[32_000..]);
    // Only what a file name cannot show is different.
    play(&mut bench, &WireId::Number(17), "Bo-Li", 2_000, &sound(2, 320));
    let manifest = bench.finish(3_000);
    let own = track(&manifest, "Ines C.");
    assert!(own.file.ends_with("000Z_Ines_C_.wav"), "{}", own.file);
    assert_eq!(own.display_name.as_deref(), Some("Ines C."));
    assert_eq!(decoded(&bench.path(&own.file)), said);
    assert!(track(&manifest, "Bo-Li").file.ends_with("000Z_Bo_Li.wav"), "{:#?}", manifest.tracks);
}

#[test]
fn two_with_one_name_are_two() {
    let mut bench = meeting();
    let (one, two) = (sound(1, 16_000), sound(2, 16_000));
    for n in 0..50 {
        let (ms, part) = (n as i64 * 20, n * 320..(n + 1) * 320);
        bench.rec().media(at(ms + 30), &packet(text("u-1"), "Ann", ms, &one[part.clone()])).unwrap();
        bench.rec().media(at(ms + 30), &packet(text("u-2"), "Ann", ms, &two[part])).unwrap();
    }
    let manifest = bench.finish(2_000);
    assert_eq!(of_user(&bench, &manifest, "u-1"), one);
    assert_eq!(of_user(&bench, &manifest, "u-2"), two);
    assert_eq!(manifest.participants.len(), 2);
    let totals = manifest.totals.unwrap();
    let ids: Vec<_> = totals.parties.iter().filter_map(|party| party.user_id.as_deref()).collect();
    assert_eq!(ids, ["u-1", "u-2"], "and talk for themselves");
}

#[test]
fn the_third_who_comes_makes_the_combined_sound_a_sum() {
    let mut bench = meeting();
    let sources: Vec<Vec<i16>> = (1..=3).map(|seed| sound(seed, 32_000)).collect();
    let ids = [WireId::Number(1), WireId::Number(2), WireId::Number(3)];
    for (id, source) in ids.iter().zip(&sources).take(2) {
        play(&mut bench, id, "two", 0, &source[..16_000]);
    }
    bench.flush(1_000);
    let combined = bench.file("audio", "000Z.wav");
    assert_eq!(decoded(&combined).len(), 32_000, "stereo so far");
    for (id, source) in ids.iter().zip(&sources) {
        play(&mut bench, id, "three", 1_000, &source[16_000..]);
    }
    bench.flush(2_000);
    let expected: Vec<i16> = (0..32_000)
        .map(|n| {
            let third = if n < 16_000 { 0 } else { i32::from(sources[2][n]) };
            (i32::from(sources[0][n]) + i32::from(sources[1][n]) + third).clamp(-32_768, 32_767) as i16
        })
        .collect();
    assert_eq!(decoded(&combined), expected, "while it grows");
    let manifest = bench.finish(3_000);
    assert_eq!(track(&manifest, "combined").channels, Some(1));
    assert_eq!(decoded(&combined), expected);
}

#[test]
fn an_empty_channel_is_none() {
    let mut bench = meeting();
    let (one, two) = (sound(1, 320), sound(2, 320));
    for (id, samples) in [(16, &one), (17, &two)] {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let message = json!({"msg_type": 14, "content": {"user_id": id, "channel_id": "", "user_name": "",
            "data": base64_simd::STANDARD.encode_to_string(&bytes), "timestamp": at(0).0}});
        let message = message.to_string();
        bench.rec().media(at(30), &MediaPacket::parse(message.as_bytes()).unwrap()).unwrap();
    }
    let manifest = bench.finish(1_000);
    assert_eq!(of_user(&bench, &manifest, "16"), one);
    assert_eq!(of_user(&bench, &manifest, "17"), two);
}
