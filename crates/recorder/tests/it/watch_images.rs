//! The same of JPG and PNG: their Matroska file gets the sound between its pictures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rtms_protocol::{AudioData, Channels, MediaKind, Product, SampleRate};
use rtms_recorder::{RecordingState, manifests, repair_recording};
use serde_json::Value;

use crate::mkv::{share, shared, stills};
use crate::support::{Bench, at, binary, granted, sound, voice};
use crate::video::pictures;
use crate::watch::{click, clicks, heard, hour_of_opus, lasts, shown};

fn bench() -> Bench {
    Bench::new(Product::Meeting, AudioData::Mixed)
}

/// What ffprobe says; that pictures begin late, and so their pixel format is not known, is no error.
fn probed(path: &Path, entries: &[&str]) -> Value {
    let run = Command::new("ffprobe").args(["-v", "error", "-of", "json"]).args(entries).arg(path).output();
    let run = run.unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "", "{}", path.display());
    serde_json::from_slice(&run.stdout).unwrap()
}

fn is_sounded(path: &Path, codec: &str) {
    let probed = probed(path, &["-show_streams"]);
    let streams = probed["streams"].as_array().unwrap();
    let names: Vec<_> = streams.iter().map(|stream| stream["codec_name"].as_str().unwrap()).collect();
    assert_eq!(names, [codec, "opus"]);
}

/// How many pictures ffmpeg decodes; a file may end in the midst of something.
fn playable(path: &Path) -> usize {
    let run = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(path)
        .args(["-an", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output();
    let run = run.unwrap();
    assert!(run.status.success());
    String::from_utf8(run.stdout).unwrap().lines().filter(|line| !line.starts_with('#')).count()
}

/// Where each packet of both tracks lies, in the order of the file, ms.
fn order(path: &Path) -> Vec<i64> {
    let probed = probed(path, &["-show_entries", "packet=pts_time"]);
    let packets = probed["packets"].as_array().unwrap().iter();
    let seconds = packets.map(|packet| packet["pts_time"].as_str().unwrap().parse::<f64>().unwrap());
    seconds.map(|seconds| (seconds * 1000.0).round() as i64).collect()
}

fn left_in(bench: &Bench, folder: &str) -> usize {
    fs::read_dir(bench.path(folder)).unwrap().count()
}

#[test]
fn sound_lies_between_the_pictures_and_begins_before_them() {
    for (ending, codec) in [("jpg", "mjpeg"), ("png", "png")] {
        let (images, hashes) = stills(ending, "320x180", 5);
        let mut bench = bench();
        // Zoom kept five seconds of sound from before we came.
        bench.play(None, 0, &clicks(40_000, &[1_000, 5_300, 9_000, 39_500]));
        let sent = [5_300, 6_300, 9_000, 9_200, 35_007];
        for (ms, image) in sent.iter().zip(&images) {
            shared(&mut bench, *ms, image);
        }
        bench.flush(40_050);
        let growing = pictures(&bench.file("share", ".mkv"), &[]);
        let manifest = bench.finish(40_100);
        assert_eq!((share(&manifest).offset_ms, share(&manifest).duration_ms), (5_300, 30_707));
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        let path = bench.path(&share(&manifest).file);
        is_sounded(&path, codec);
        assert_eq!(shown(&path), sent);
        assert_eq!((&growing, pictures(&path, &[])), (&hashes, hashes.clone()), "unchanged");
        let heard = heard(&path);
        assert!(lasts(&heard, 40_000), "{}", heard.len());
        for ms in [1_000, 5_300, 9_000, 39_500] {
            let off = click(&heard, ms - 300) - ms;
            assert!((-2..=2).contains(&off), "the click at {ms} is off by {off} ms");
        }
        // A player that reads from front to back has both in time. Where two begin at once the picture comes first.
        let order = order(&path);
        let back = order.windows(2).map(|pair| pair[0] - pair[1]).max().unwrap();
        assert!(order.len() > 2_000 && back <= 8, "{back} ms back");
        assert_eq!(probed(&path, &["-show_format"])["format"]["duration"], "40.000000");
        assert_eq!(pictures(&path, &["-ss", "34.9"]).last(), hashes.last(), "by the table of times");
        assert_eq!((left_in(&bench, "share"), left_in(&bench, "audio")), (1, 1));
    }
}

#[test]
fn pictures_from_before_the_sound_come_first() {
    let (images, hashes) = stills("jpg", "320x180", 3);
    let mut bench = bench();
    for (ms, image) in [100, 1_100].iter().zip(&images) {
        shared(&mut bench, *ms, image);
    }
    bench.play(None, 2_000, &clicks(3_000, &[500]));
    shared(&mut bench, 4_000, &images[2]);
    let manifest = bench.finish(5_100);
    assert_eq!(share(&manifest).offset_ms, -1_900);
    let path = bench.path(&share(&manifest).file);
    assert_eq!((shown(&path), pictures(&path, &[])), (vec![0, 1_000, 3_900], hashes));
    // ffmpeg leaves the time before the sound out of what it decodes.
    let late = click(&heard(&path), 0) + 1_900;
    assert!((late - 2_400).abs() <= 2, "{late}");
    let first = probed(&path, &["-select_streams", "a", "-show_entries", "packet=pts_time"]);
    let first: f64 = first["packets"][0]["pts_time"].as_str().unwrap().parse().unwrap();
    assert!((first - 1.9).abs() < 0.01, "{first}");
}

#[test]
fn stereo_of_another_rate_and_two_files_at_once() {
    let (images, _) = stills("png", "320x180", 2);
    let mut bench = bench();
    bench.rec().granted(&granted(AudioData::Mixed, SampleRate::Hz32000, Channels::Stereo));
    for second in 0..3 {
        let wave = |n: usize| if second == 1 { ((n / 2) as f64 * 0.2).sin() * 15_000.0 } else { 0.0 };
        let samples: Vec<i16> = (0..64_000).map(|n| wave(n) as i16).collect();
        bench.rec().media(at(second * 1_000 + 1_000), &voice(None, second * 1_000, &samples)).unwrap();
    }
    for kind in [MediaKind::Share, MediaKind::Video] {
        for (ms, image) in [500, 1_000].into_iter().zip(&images) {
            bench.rec().media(at(3_000), &binary(kind, ms, image)).unwrap();
        }
    }
    bench.finish(3_100);
    for folder in ["share", "video"] {
        let path = bench.file(folder, ".mkv");
        let probed = probed(&path, &["-select_streams", "a", "-show_streams"]);
        assert_eq!(probed["streams"][0]["channels"], 2);
        assert!((click(&heard(&path), 0) - 1_000).abs() <= 2);
        assert_eq!(shown(&path), [500, 1_000]);
    }
}

/// Everything in the folder of the share, before it was finished.
struct Dead {
    bench: Bench,
    path: PathBuf,
    before: Vec<u8>,
    manifest: (PathBuf, Vec<u8>),
    hashes: Vec<String>,
    images: Vec<Vec<u8>>,
}

/// A share with sound, finished, and what there was before.
fn finished() -> Dead {
    let (images, hashes) = stills("jpg", "160x96", 5);
    let mut bench = bench();
    bench.play(None, 0, &sound(3, 16_000 * 3));
    for (n, image) in images[..3].iter().enumerate() {
        shared(&mut bench, 500 + n as i64 * 1_000, image);
    }
    bench.flush(3_000);
    bench.flush(5_000);
    let path = bench.file("share", ".mkv");
    let before = fs::read(&path).unwrap();
    let stored = manifests(bench.dir.path()).next().unwrap();
    let manifest = (stored.path.clone(), fs::read(&stored.path).unwrap());
    bench.finish(5_100);
    Dead { bench, path, before, manifest, hashes, images }
}

#[test]
fn a_finish_that_was_cut_short_anywhere_is_done_again() {
    let Dead { bench, path, before, manifest: (manifest, open), .. } = finished();
    let whole = fs::read(&path).unwrap();
    let expected = (shown(&path), heard(&path).len());
    let copy = path.with_extension("mkv.tmp");
    // Killed while the copy was made, with the file as it was.
    let copied = (0..whole.len()).step_by(whole.len() / 5).map(|cut| (before.clone(), Some(&whole[..cut])));
    // Killed behind that, while the table of times was written: the copy is in the place of the file, and grows.
    let table = whole.len() - 60..=whole.len();
    let tabled = table.step_by(12).map(|cut| (as_growing(&whole)[..cut].to_vec(), None));
    for (bytes, left) in copied.chain(tabled).chain([(whole.clone(), None)]) {
        fs::write(&path, &bytes).unwrap();
        if let Some(left) = left {
            fs::write(&copy, left).unwrap();
        }
        assert_eq!(playable(&path), 3);
        fs::write(&manifest, &open).unwrap();
        let stored = manifests(bench.dir.path()).next().unwrap();
        let repaired = repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap();
        assert_eq!(repaired.problems, Vec::<String>::new());
        assert_eq!(repaired.state, RecordingState::Interrupted);
        assert_eq!((shown(&path), heard(&path).len()), expected);
        assert!(fs::read(&path).unwrap() == whole, "the same bytes once more");
        assert!(!copy.exists());
    }
}

/// A finished file as it was before its table of times was made known: the segment without a size.
fn as_growing(whole: &[u8]) -> Vec<u8> {
    let segment = whole.windows(4).position(|id| id == [0x18, 0x53, 0x80, 0x67]).unwrap();
    let mut growing = whole.to_vec();
    growing[segment + 4..segment + 12].copy_from_slice(&[1, 255, 255, 255, 255, 255, 255, 255]);
    // In the place of the places of its parts lies nothing yet.
    growing[segment + 12..segment + 14].copy_from_slice(&[0xec, 0x80 | 66]);
    growing[segment + 14..segment + 80].fill(0);
    growing
}

#[test]
fn what_was_finished_goes_on_with_sound_and_pictures() {
    let Dead { mut bench, path, manifest: (manifest, open), hashes, images, .. } = finished();
    fs::write(&manifest, &open).unwrap();
    bench.resume(5_200);
    bench.play(None, 3_000, &clicks(3_000, &[1_000]));
    for (ms, image) in [(2_500, 2), (3_500, 3), (5_500, 4)] {
        shared(&mut bench, ms, &images[image]);
    }
    bench.flush(6_500);
    assert_eq!(shown(&path), [500, 1_500, 2_500, 3_500, 5_500], "while it grows, with the sound so far");
    let manifest = bench.finish(7_000);
    assert_eq!((share(&manifest).packets, manifest.dropped.repeats), (5, 1));
    assert_eq!(pictures(&path, &[]), hashes);
    assert_eq!(shown(&path), [500, 1_500, 2_500, 3_500, 5_500]);
    let heard = heard(&path);
    assert!(lasts(&heard, 6_000), "the sound once, not twice: {}", heard.len());
    is_sounded(&path, "mjpeg");
}

#[test]
fn after_an_hour_picture_and_sound_are_still_together() {
    let minutes = 60;
    let (images, _) = stills("jpg", "64x48", 1);
    let mut bench = bench();
    hour_of_opus(&mut bench, minutes);
    let seconds: Vec<i64> = (40..minutes * 60).map(|second| second * 1_000).collect();
    for ms in &seconds {
        let picture = binary(MediaKind::Share, *ms, &images[0]);
        bench.rec().media(at(minutes * 60_000), &picture).unwrap();
    }
    let manifest = bench.end(minutes * 60_000 + 100, RecordingState::Complete).unwrap();
    let path = bench.path(&share(&manifest).file);
    let (shown, heard) = (shown(&path), heard(&path));
    assert_eq!(shown, seconds);
    assert!(lasts(&heard, 3_600_000), "{}", heard.len());
    for tenth in 0..6 {
        let ms = tenth * 600_000 + 60_000;
        let off = click(&heard, ms - 1_000) - ms;
        assert!(off.abs() <= 5, "after {ms} ms the click is off by {off} ms");
    }
}
