//! Pictures: MP4 files held against an independent reader, frame for frame and millisecond for millisecond.

use std::fs;
use std::path::Path;
use std::process::Command;

use rtms_protocol::{
    AudioData, MediaKind, MediaPacket, Product, Resolution, VideoCodec, VideoData, VideoParams,
};
use rtms_recorder::{Manifest, RecordError};

use crate::support::{Bench, at, binary, probe, sound};

/// A clip by libx264 as a list of access units in Annex B.
pub(crate) fn clip(size: &str, frames: u32, options: &str) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.h264");
    let source = format!("testsrc2=size={size}:rate=25");
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &source, "-frames:v", &frames.to_string()])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "10"])
        .args(["-x264-params", &format!("aud=1:{options}")])
        .arg(&path)
        .output()
        .expect("ffmpeg must be on PATH for these tests");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let bytes = fs::read(&path).unwrap();
    let delimiter = [0, 0, 0, 1, 9];
    let mut starts: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 5] == delimiter).collect();
    starts.push(bytes.len());
    starts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

/// Times as uneven as a real camera's.
fn uneven(count: usize) -> Vec<i64> {
    let steps = [40, 33, 67, 41, 120, 39, 1, 250, 40, 44];
    (0..count)
        .scan(700_i64, |at, n| {
            let now = *at;
            *at += steps[n % steps.len()];
            Some(now)
        })
        .collect()
}

pub(crate) fn picture(ms: i64, unit: &[u8]) -> MediaPacket<'static> {
    binary(MediaKind::Video, ms, unit)
}

/// Presentation times, ms, of every picture.
pub(crate) fn times(path: &Path) -> Vec<i64> {
    let probed = probe(path, &["-select_streams", "v", "-show_entries", "packet=pts_time"]);
    probed["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| {
            let seconds: f64 = packet["pts_time"].as_str().unwrap().parse().unwrap();
            (seconds * 1000.0).round() as i64
        })
        .collect()
}

/// Hashes of the decoded pictures.
pub(crate) fn pictures(path: &Path, options: &[&str]) -> Vec<String> {
    let run = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(options)
        .arg("-i")
        .arg(path)
        .args(["-an", "-vsync", "passthrough", "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg must be on PATH for these tests");
    assert_eq!(String::from_utf8_lossy(&run.stderr), "", "{}", path.display());
    String::from_utf8(run.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

pub(crate) fn source_pictures(units: &[Vec<u8>]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source.h264");
    fs::write(&path, units.concat()).unwrap();
    pictures(&path, &["-f", "h264"])
}

pub(crate) fn video(manifest: &Manifest) -> &rtms_recorder::TrackEntry {
    manifest.tracks.iter().find(|track| track.kind == "video").unwrap()
}

#[test]
fn pictures_and_times_are_what_was_sent() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let units = clip("320x180", 60, "slices=3");
    let sent = uneven(units.len());
    bench.play(None, 500, &sound(1, 320));
    for (n, (ms, unit)) in sent.iter().zip(&units).enumerate() {
        bench.rec().media(at(ms + 20), &picture(*ms, unit)).unwrap();
        if n % 12 == 11 {
            bench.flush(ms + 25);
            let live = bench.file("video", ".mp4");
            let expected: Vec<i64> = sent[..n].iter().map(|at| at - 700).collect();
            assert_eq!(times(&live), expected, "all but the last picture, while it grows");
        }
    }
    let last = *sent.last().unwrap();
    bench.flush(last + 5_000);
    assert_eq!(times(&bench.file("video", ".mp4")).len(), units.len(), "an old last picture is written");
    let manifest = bench.finish(last + 6_000);
    let track = video(&manifest);
    assert_eq!(track.file, "video/video_meeting_abc123_2025-12-11T10-30-00-000Z.mp4");
    assert_eq!((track.offset_ms, track.packets, track.width, track.height), (200, 60, Some(320), Some(180)));
    let path = bench.path(&track.file);
    // With its sound, which begins at time zero.
    assert_eq!(times(&path), sent.iter().map(|at| at - 500).collect::<Vec<_>>());
    assert_eq!(pictures(&path, &[]), source_pictures(&units));
    let stream = &probe(&path, &["-show_streams", "-show_format"]);
    assert_eq!(stream["streams"][0]["codec_name"], "h264");
    assert_eq!(stream["streams"][0]["nb_frames"], "60", "a whole table, not fragments");
    assert!(manifest.problems.is_empty());
}

#[test]
fn it_can_be_entered_at_any_key_frame() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let units = clip("320x180", 60, "");
    for (n, unit) in units.iter().enumerate() {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, unit)).unwrap();
    }
    let manifest = bench.finish(3_000);
    let path = bench.path(&video(&manifest).file);
    let tail = pictures(&path, &["-ss", "1.6"]);
    assert_eq!(tail, source_pictures(&units)[40..]);
}

#[test]
fn after_a_kill_it_plays_to_the_last_flush() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let units = clip("320x180", 50, "");
    for (n, unit) in units.iter().enumerate() {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, unit)).unwrap();
        if n % 25 == 24 {
            bench.flush(n as i64 * 40);
        }
    }
    bench.die();
    let path = bench.file("video", ".mp4");
    assert_eq!(pictures(&path, &[]), source_pictures(&units)[..49]);
}

#[test]
fn waits_for_a_key_frame_and_drops_repeats() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let units = clip("320x180", 30, "");
    // Joined in mid-stream: pictures 4 to 9 cannot be decoded, 10 is the next key frame. 15 to 19 come twice.
    let order = (4..20).chain(15..30);
    for n in order {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, &units[n])).unwrap();
    }
    let manifest = bench.finish(2_000);
    let path = bench.path(&video(&manifest).file);
    assert_eq!(pictures(&path, &[]), source_pictures(&units)[10..]);
    assert_eq!((manifest.dropped.before_key_frame, manifest.dropped.repeats), (6, 5));
    assert_eq!(video(&manifest).dropped, 6);
}

#[test]
fn the_resolution_may_change_in_mid_stream() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let units = [clip("320x180", 20, ""), clip("640x360", 20, ""), clip("320x180", 20, "")].concat();
    for (n, unit) in units.iter().enumerate() {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, unit)).unwrap();
        if n % 10 == 0 {
            bench.flush(n as i64 * 40);
        }
    }
    let manifest = bench.finish(3_000);
    let path = bench.path(&video(&manifest).file);
    let sizes = probe(&path, &["-show_entries", "frame=width,height"]);
    let widths: Vec<i64> =
        sizes["frames"].as_array().unwrap().iter().map(|frame| frame["width"].as_i64().unwrap()).collect();
    let expected: Vec<i64> = [320, 640, 320].into_iter().flat_map(|width| [width; 20]).collect();
    assert_eq!(widths, expected);
}

#[test]
fn parameter_sets_may_come_alone_and_share_is_recorded_likewise() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let units = clip("320x180", 12, "");
    let is_sets = |unit: &[u8]| unit.first().is_some_and(|first| matches!(first & 0x1f, 7..=9));
    let (sets, rest): (Vec<_>, Vec<_>) = split(&units[0]).into_iter().partition(|unit| is_sets(unit));
    let join = |units: Vec<Vec<u8>>| {
        units.into_iter().flat_map(|u| [vec![0, 0, 1], u].concat()).collect::<Vec<u8>>()
    };
    bench.rec().media(at(0), &binary(MediaKind::Share, 0, &join(sets))).unwrap();
    bench.rec().media(at(10), &binary(MediaKind::Share, 10, &join(rest))).unwrap();
    for (n, unit) in units.iter().enumerate().skip(1) {
        bench
            .rec()
            .media(at(10 + n as i64 * 1_000), &binary(MediaKind::Share, 10 + n as i64 * 1_000, unit))
            .unwrap();
        bench.flush(10 + n as i64 * 1_000);
    }
    let manifest = bench.finish(15_000);
    let track = manifest.tracks.iter().find(|track| track.kind == "share").unwrap();
    assert_eq!(track.file, "share/share_meeting_abc123_2025-12-11T10-30-00-000Z.mp4");
    assert_eq!(pictures(&bench.path(&track.file), &[]), source_pictures(&units));
    assert_eq!(times(&bench.path(&track.file)), (0..12).map(|n| n * 1_000).collect::<Vec<_>>());
}

pub(crate) fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut starts: Vec<usize> = (0..bytes.len() - 2).filter(|at| bytes[*at..*at + 3] == [0, 0, 1]).collect();
    starts.push(bytes.len() + 3);
    starts
        .windows(2)
        .map(|pair| {
            let mut unit = bytes[pair[0] + 3..(pair[1].min(bytes.len()))].to_vec();
            while unit.last() == Some(&0) {
                unit.pop();
            }
            unit
        })
        .collect()
}

#[test]
fn what_is_no_picture_costs_that_packet() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    for rubbish in
        [&b"hello"[..], b"", &[0xff, 0xd8, 0xff, 0xe0, 0, 0, 1], b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"]
    {
        let refused = bench.rec().media(at(0), &picture(0, rubbish));
        assert!(matches!(refused, Err(RecordError::Picture(_))), "{refused:?}");
    }
    let video = VideoParams::new(VideoCodec::Png, Resolution::Hd, 5, VideoData::ActiveSpeaker);
    bench.rec().granted(&rtms_protocol::MediaParams { video: Some(video), ..Default::default() });
    let error = bench.rec().media(at(0), &picture(0, &[0, 0, 1, 0x65])).unwrap_err();
    assert!(error.to_string().contains("PNG"), "{error}");
    let manifest = bench.finish(10);
    assert_eq!((manifest.dropped.undecodable, manifest.tracks.len()), (5, 0));
}
