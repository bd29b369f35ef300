//! JPG and PNG: Matroska files held against an independent reader, picture for picture and millisecond for millisecond.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;

use rtms_protocol::{
    AudioData, MediaKind, MediaParams, MediaSet, Product, Resolution, ShareParams, UnixMillis, VideoCodec,
};
use rtms_recorder::{
    Manifest, Recording, RecordingEnd, RecordingState, TrackEntry, delete_recording, manifests,
    repair_recording,
};

use crate::support::{Bench, at, binary, probe, sound, spec, voice};
use crate::video::{clip, pictures, source_pictures, times};

/// `count` images of this size, as `jpg` or `png`, and the hashes of what they decode to.
pub(crate) fn stills(ending: &str, size: &str, count: u32) -> (Vec<Vec<u8>>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let pattern = dir.path().join(format!("%03d.{ending}"));
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &format!("testsrc2=size={size}:rate=1")])
        .args(["-frames:v", &count.to_string()])
        .arg(&pattern)
        .output()
        .expect("ffmpeg must be on PATH for these tests");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let hashes = pictures(&pattern, &["-f", "image2"]);
    let images =
        (1..=count).map(|n| fs::read(dir.path().join(format!("{n:03}.{ending}"))).unwrap()).collect();
    (images, hashes)
}

pub(crate) fn shared(bench: &mut Bench, ms: i64, image: &[u8]) {
    bench.rec().media(at(ms + 30), &binary(MediaKind::Share, ms, image)).unwrap();
}

pub(crate) fn share(manifest: &Manifest) -> &TrackEntry {
    let found: Vec<_> = manifest.tracks.iter().filter(|track| track.kind == "share").collect();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    one
}

fn bench() -> Bench {
    Bench::new(Product::Meeting, AudioData::Mixed)
}

/// About one a second, as uneven as a real share's.
const SENT: [i64; 8] = [400, 1_400, 2_403, 2_500, 3_777, 4_777, 64_777, 65_000];

#[test]
fn pictures_and_times_are_what_was_sent() {
    for (ending, codec) in [("jpg", "mjpeg"), ("png", "png")] {
        let mut bench = bench();
        let (images, hashes) = stills(ending, "640x360", 8);
        bench.play(None, 0, &sound(1, 320));
        for (n, (ms, image)) in SENT.iter().zip(&images).enumerate() {
            shared(&mut bench, *ms, image);
            bench.flush(ms + 40);
            let live = bench.file("share", ".mkv");
            assert_eq!(times(&live), SENT[..=n].iter().map(|ms| ms - 400).collect::<Vec<_>>());
            assert_eq!(pictures(&live, &[]), hashes[..=n], "while it grows");
        }
        let manifest = bench.finish(70_000);
        let track = share(&manifest);
        assert_eq!(track.file, "share/share_meeting_abc123_2025-12-11T10-30-00-000Z.mkv");
        assert_eq!((track.offset_ms, track.duration_ms, track.gaps), (400, 64_823, 1));
        assert_eq!((track.packets, track.width, track.height), (8, Some(640), Some(360)));
        assert_eq!(track.codec.to_lowercase(), ending);
        assert!(track.sha256.is_some() && manifest.problems.is_empty());
        let path = bench.path(&track.file);
        assert_eq!(times(&path), SENT, "from the beginning of the sound");
        assert_eq!(pictures(&path, &[]), hashes);
        let probed = probe(&path, &["-show_streams", "-show_format"]);
        assert_eq!(
            (probed["streams"][0]["codec_name"].as_str(), &probed["streams"][0]["width"]),
            (Some(codec), &640.into())
        );
        assert_eq!(probed["format"]["duration"], "65.223000");
        // By the table of times, not by reading all of it.
        assert_eq!(pictures(&path, &["-ss", "64.7"]), hashes[6..], "{ending}");
    }
}

#[test]
fn the_size_may_change_and_the_sound_of_the_call_begins_earlier() {
    let mut bench = bench();
    let (small, large) = (stills("jpg", "320x180", 2).0, stills("jpg", "640x360", 2).0);
    for (n, image) in small.iter().chain(&large).chain(&small).enumerate() {
        shared(&mut bench, n as i64 * 1_000, image);
    }
    let manifest = bench.finish(7_000);
    let frames = probe(&bench.path(&share(&manifest).file), &["-show_entries", "frame=width"]);
    let widths: Vec<_> =
        frames["frames"].as_array().unwrap().iter().map(|f| f["width"].as_i64().unwrap()).collect();
    assert_eq!(widths, [320, 320, 640, 640, 320, 320]);
}

#[test]
fn after_a_kill_it_plays_and_the_next_process_goes_on_or_repairs() {
    let (images, hashes) = stills("png", "320x180", 8);
    for goes_on in [false, true] {
        let mut bench = bench();
        for (n, image) in images[..5].iter().enumerate() {
            shared(&mut bench, n as i64 * 1_000, image);
            if n == 3 {
                bench.flush(n as i64 * 1_000 + 40);
            }
        }
        bench.die();
        let path = bench.file("share", ".mkv");
        assert_eq!(pictures(&path, &[]), hashes[..4]);
        // It died in the midst of a cluster.
        let torn = [&[0x1f, 0x43, 0xb6, 0x75, 0x50, 0, 0xe7, 0x81, 9, 0xa3][..], &images[5][..500]].concat();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&torn).unwrap();
        let expected = if goes_on {
            bench.resume(6_000);
            shared(&mut bench, 3_000, &images[3]);
            shared(&mut bench, 6_000, &images[6]);
            shared(&mut bench, 7_000, &images[7]);
            let manifest = bench.finish(9_000);
            assert_eq!((share(&manifest).packets, manifest.dropped.repeats), (6, 1));
            [&hashes[..4], &hashes[6..]].concat()
        } else {
            let stored = manifests(bench.dir.path()).next().unwrap();
            let manifest = repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap();
            assert_eq!((share(&manifest).packets, share(&manifest).duration_ms), (4, 4_000));
            assert!(share(&manifest).sha256.is_some() && manifest.problems.is_empty());
            hashes[..4].to_vec()
        };
        assert_eq!(pictures(&path, &[]), expected);
        probe(&path, &["-show_streams"]);
    }
}

#[test]
fn a_finish_that_was_cut_short_is_done_again_or_undone() {
    let (images, hashes) = stills("jpg", "320x180", 6);
    for goes_on in [false, true] {
        let mut bench = bench();
        for (n, image) in images[..4].iter().enumerate() {
            shared(&mut bench, n as i64 * 1_000, image);
        }
        bench.flush(3_100);
        let manifest_path = bench.rec().manifest_path().to_path_buf();
        let before = fs::read(&manifest_path).unwrap();
        let finished = bench.finish(4_000);
        fs::write(&manifest_path, before).unwrap();
        let again = if goes_on {
            bench.resume(4_100);
            shared(&mut bench, 4_000, &images[4]);
            shared(&mut bench, 5_000, &images[5]);
            bench.finish(6_000)
        } else {
            let stored = manifests(bench.dir.path()).next().unwrap();
            repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap()
        };
        let expected = if goes_on { &hashes[..] } else { &hashes[..4] };
        assert_eq!(pictures(&bench.path(&share(&again).file), &[]), expected);
        assert_eq!(goes_on, share(&again).sha256 != share(&finished).sha256, "the same bytes once more");
    }
}

#[test]
fn pictures_of_one_time_are_kept_and_repeats_are_not() {
    let mut bench = bench();
    let (images, hashes) = stills("jpg", "320x180", 3);
    for (ms, image) in [(0, 0), (0, 0), (0, 1), (1_000, 2), (0, 0)] {
        shared(&mut bench, ms, &images[image]);
    }
    let manifest = bench.finish(2_000);
    let path = bench.path(&share(&manifest).file);
    assert_eq!((pictures(&path, &[]), times(&path)), (hashes, vec![0, 1, 1_000]));
    assert_eq!(manifest.dropped.repeats, 2);
}

fn grant(bench: &mut Bench, codec: VideoCodec, fps: u8) {
    let share = ShareParams::new(codec, Resolution::Fhd, fps);
    bench.rec().granted(&MediaParams { share: Some(share), ..MediaParams::default() });
}

#[test]
fn another_codec_after_a_reconnection_goes_into_a_further_file() {
    let mut bench = bench();
    let (images, hashes) = stills("jpg", "320x180", 3);
    let units = clip("320x180", 10, "");
    grant(&mut bench, VideoCodec::H264, 25);
    for (n, unit) in units.iter().enumerate() {
        shared(&mut bench, n as i64 * 40, unit);
    }
    let strange = bench.rec().media(at(500), &binary(MediaKind::Share, 450, &images[0]));
    assert!(strange.is_err(), "H.264 was granted");
    grant(&mut bench, VideoCodec::Jpg, 1);
    for (n, image) in images.iter().enumerate() {
        shared(&mut bench, 1_000 + n as i64 * 1_000, image);
    }
    let manifest = bench.finish(5_000);
    let tracks: Vec<_> = manifest.tracks.iter().filter(|track| track.kind == "share").collect();
    let told: Vec<_> = tracks.iter().map(|t| (t.codec.as_str(), t.offset_ms, t.packets, t.dropped)).collect();
    assert_eq!(told, [("H264", 0, 10, 1), ("JPG", 1_000, 3, 0)]);
    assert_eq!(pictures(&bench.path(&tracks[0].file), &[]), source_pictures(&units));
    assert_eq!(pictures(&bench.path(&tracks[1].file), &[]), hashes);
}

#[test]
fn what_is_revoked_or_retired_is_gone() {
    let (images, _) = stills("jpg", "320x180", 2);
    for as_images in [MediaSet::EMPTY, MediaSet::ALL] {
        for revoked in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let begun =
                rtms_recorder::RecordingSpec { images: as_images, ..spec(dir.path(), Product::Meeting) };
            let mut recording = Recording::create(begun).unwrap();
            for (n, image) in images.iter().enumerate() {
                let packet = binary(MediaKind::Share, n as i64 * 1_000, image);
                recording.media(at(n as i64 * 1_000), &packet).unwrap();
            }
            recording.flush(at(1_500)).unwrap();
            let state = if revoked { RecordingState::Revoked } else { RecordingState::Complete };
            let manifest =
                recording.finish(RecordingEnd { at: at(2_000), state, stop_reason: None }).unwrap();
            if revoked {
                let files = if as_images.is_empty() { 1 } else { 3 };
                assert_eq!(manifest.deletion.unwrap().files, files);
            } else {
                let stored = manifests(dir.path()).next().unwrap();
                let payload: usize = images.iter().map(Vec::len).sum();
                assert!(delete_recording(dir.path(), &stored).unwrap() > payload as u64);
            }
            assert_eq!(fs::read_dir(dir.path().join("share")).unwrap().count(), 0);
        }
    }
}

#[test]
fn a_wrong_first_time_of_sound_does_not_become_time_zero_where_pictures_are_there() {
    let (images, _) = stills("png", "320x180", 1);
    // 1970, and the year 9999.
    for (wrong, behind, ahead) in [(1, 1, 0), (253_402_300_000_000, 0, 1)] {
        let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
        shared(&mut bench, 0, &images[0]);
        let mut first = voice(Some(1), 0, &[1; 320]);
        first.timestamp = UnixMillis(wrong);
        bench.rec().media(at(44), &first).unwrap();
        bench.rec().media(at(51), &voice(Some(2), 51, &[2; 320])).unwrap();
        bench.rec().flush(at(60)).unwrap();
        let manifest = bench.finish(1_000);
        assert_eq!((manifest.dropped.behind, manifest.dropped.ahead), (behind, ahead));
        assert_eq!(manifest.time_zero, Some(at(51)));
        assert_eq!(share(&manifest).offset_ms, -51);
        let longest =
            manifest.tracks.iter().filter(|track| track.kind == "audio").map(|t| t.duration_ms).max();
        assert_eq!((longest, manifest.problems.len()), (Some(20), 0), "{:?}", manifest.problems);
    }
}
