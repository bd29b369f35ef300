//! H.264 in every way that it may be cut into messages, held against ffmpeg's decode of what was sent.

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product, WireId};
use rtms_recorder::{Manifest, RecordError};

use crate::support::{Bench, at, binary};
use crate::video::{clip, picture, pictures, source_pictures, split, times, video};

fn bench() -> Bench {
    Bench::new(Product::Meeting, AudioData::Mixed)
}

/// Sends a message at `ms`.
fn send(bench: &mut Bench, ms: i64, message: &[u8]) {
    bench.rec().media(at(ms + 5), &picture(ms, message)).unwrap();
}

fn shown(bench: &Bench, manifest: &Manifest) -> Vec<String> {
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    pictures(&bench.path(&video(manifest).file), &[])
}

/// A byte stream of these units.
fn stream(units: &[Vec<u8>]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0, 0, 1], unit.as_slice()].concat()).collect()
}

fn without(message: &[u8], kinds: &[u8]) -> Vec<u8> {
    let units: Vec<_> =
        split(message).into_iter().filter(|unit| !kinds.contains(&(unit[0] & 0x1f))).collect();
    stream(&units)
}

#[test]
fn several_pictures_in_a_message_share_the_time_until_the_next() {
    let mut bench = bench();
    let units = clip("320x180", 24, "slices=2");
    for (n, three) in units.chunks(3).enumerate() {
        let ms = n as i64 * 120;
        send(&mut bench, ms, &three.concat());
        if n == 3 {
            bench.flush(ms + 10);
            assert_eq!(times(&bench.file("video", ".mp4")), (0..9).map(|n| n * 40).collect::<Vec<_>>());
        }
    }
    let manifest = bench.finish(2_000);
    assert_eq!(shown(&bench, &manifest), source_pictures(&units));
    let track = video(&manifest);
    assert_eq!(times(&bench.path(&track.file)), (0..24).map(|n| n * 40).collect::<Vec<_>>());
    assert_eq!((track.packets, track.dropped, track.duration_ms), (8, 0, 960));
}

#[test]
fn pictures_with_the_same_timestamp_are_all_kept() {
    let mut bench = bench();
    let units = clip("320x180", 20, "");
    for (n, unit) in units.iter().enumerate() {
        send(&mut bench, n as i64 / 2 * 80, unit);
        // Zoom repeats it after a reconnection: to the byte, it is no further one.
        send(&mut bench, n as i64 / 2 * 80, unit);
    }
    let manifest = bench.finish(2_000);
    assert_eq!(shown(&bench, &manifest), source_pictures(&units));
    let track = video(&manifest);
    assert_eq!(times(&bench.path(&track.file)), (0..20).map(|n| n * 40).collect::<Vec<_>>());
    assert_eq!((track.packets, manifest.dropped.repeats, manifest.dropped.lost()), (20, 20, 0));
}

#[test]
fn one_picture_may_come_in_several_messages_cut_anywhere() {
    for cut in [1, 2, 3, 30, 63, 500] {
        let mut bench = bench();
        let units = clip("320x180", 12, "slices=3");
        for (n, unit) in units.iter().enumerate() {
            let ms = n as i64 * 40;
            let (a, rest) = unit.split_at(cut.min(unit.len() - 2));
            let (b, c) = rest.split_at(rest.len() / 2);
            for part in [a, b, c] {
                // Its first bytes alone are nothing yet.
                let taken = bench.rec().media(at(ms + 5), &picture(ms, part));
                assert!(taken.is_ok() || matches!(taken, Err(RecordError::Picture(_))), "{taken:?}");
                bench.flush(ms + 10);
            }
        }
        let manifest = bench.finish(2_000);
        assert_eq!(shown(&bench, &manifest), source_pictures(&units), "cut at {cut}");
        assert_eq!(times(&bench.path(&video(&manifest).file)), (0..12).map(|n| n * 40).collect::<Vec<_>>());
    }
}

#[test]
fn a_part_that_comes_when_its_picture_is_written_is_counted() {
    let mut bench = bench();
    let units = clip("320x180", 4, "slices=2");
    send(&mut bench, 0, &units[0]);
    let (first, second) = units[1].split_at(units[1].len() / 2);
    send(&mut bench, 40, first);
    bench.flush(3_000);
    send(&mut bench, 40, second);
    assert_eq!(bench.finish(4_000).dropped.behind, 1);
}

#[test]
fn parameter_sets_with_another_id_and_another_size() {
    let mut bench = bench();
    let clips =
        [clip("320x180", 20, "sps-id=0"), clip("640x360", 20, "sps-id=1"), clip("320x180", 20, "sps-id=0")];
    for (n, unit) in clips.concat().iter().enumerate() {
        send(&mut bench, n as i64 * 40, unit);
        if n % 10 == 0 {
            bench.flush(n as i64 * 40 + 10);
        }
    }
    let manifest = bench.finish(3_000);
    assert_eq!(shown(&bench, &manifest), source_pictures(&clips.concat()));
}

#[test]
fn a_new_sps_of_the_same_id_goes_in_front_of_the_pps_that_was_not_repeated() {
    let mut bench = bench();
    let (small, large) = (clip("320x180", 20, ""), clip("640x360", 20, ""));
    let bare: Vec<_> = large.iter().map(|unit| without(unit, &[8])).collect();
    assert_ne!(bare[0].len(), stream(&split(&large[0])).len(), "a PPS was taken away");
    for (n, unit) in small.iter().chain(&bare).enumerate() {
        send(&mut bench, n as i64 * 40, unit);
    }
    let manifest = bench.finish(3_000);
    assert_eq!(shown(&bench, &manifest), source_pictures(&[small, large].concat()));
}

#[test]
fn sets_that_come_late_make_the_next_key_frame_the_first_picture() {
    let mut bench = bench();
    let units = clip("320x180", 30, "");
    for (n, unit) in units.iter().enumerate() {
        let ms = n as i64 * 40;
        if n == 5 {
            let sets: Vec<_> =
                split(&units[0]).into_iter().filter(|u| matches!(u[0] & 0x1f, 7 | 8)).collect();
            send(&mut bench, ms - 1, &stream(&sets));
        }
        send(&mut bench, ms, &without(unit, &[7, 8]));
    }
    let manifest = bench.finish(3_000);
    assert_eq!(shown(&bench, &manifest), source_pictures(&units)[10..]);
    assert_eq!((manifest.dropped.before_key_frame, manifest.dropped.lost()), (10, 10));
    assert_eq!(video(&manifest).offset_ms, 0);
}

#[test]
fn units_with_lengths_in_front_are_read_as_well() {
    let mut bench = bench();
    let units = clip("320x180", 12, "");
    for (n, unit) in units.iter().enumerate() {
        let lengths =
            split(unit).into_iter().flat_map(|u| [(u.len() as u32).to_be_bytes().to_vec(), u].concat());
        send(&mut bench, n as i64 * 40, &lengths.collect::<Vec<u8>>());
    }
    let manifest = bench.finish(1_000);
    assert_eq!(shown(&bench, &manifest), source_pictures(&units));
}

fn of_user(ms: i64, user: i64, unit: &[u8]) -> MediaPacket<'static> {
    let mut packet = binary(MediaKind::Video, ms, unit);
    packet.user_id = Some(WireId::Number(user));
    packet.user_name = Some(format!("User {user}").into());
    packet
}

#[test]
fn another_speaker_begins_with_a_key_frame_and_the_manifest_tells_who_is_seen() {
    let mut bench = bench();
    // Key frames are at 0, 10, 20, ….
    let (ann, bob) = (clip("320x180", 50, ""), clip("320x180", 50, "me=hex:subme=4:bframes=0:qp=30"));
    let play = |bench: &mut Bench, user: i64, clip: &[Vec<u8>], range: std::ops::Range<usize>| {
        for n in range {
            let ms = n as i64 * 40;
            bench.rec().media(at(ms + 5), &of_user(ms, user, &clip[n])).unwrap();
        }
    };
    play(&mut bench, 16, &ann, 0..14);
    play(&mut bench, 17, &bob, 14..25);
    // What Zoom sends again of the first speaker is no change of speaker.
    play(&mut bench, 16, &ann, 13..14);
    play(&mut bench, 17, &bob, 25..30);
    bench.hand_over(1_200);
    bench.resume(1_210);
    play(&mut bench, 17, &bob, 30..35);
    play(&mut bench, 16, &ann, 35..50);
    let manifest = bench.finish(2_000);
    let (a, b) = (source_pictures(&ann), source_pictures(&bob));
    assert_eq!(shown(&bench, &manifest), [&a[..14], &b[20..35], &a[40..]].concat());
    let track = video(&manifest);
    let who: Vec<_> = track.shown.iter().map(|entry| (entry.from_ms, entry.user_id.as_str())).collect();
    assert_eq!(who, [(0, "16"), (800, "17"), (1_600, "16")]);
    assert_eq!(track.shown[0].display_name.as_deref(), Some("User 16"));
    assert_eq!((manifest.dropped.before_key_frame, manifest.dropped.repeats), (11, 1));
}
