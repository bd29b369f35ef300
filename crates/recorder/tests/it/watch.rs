//! One file to watch: picture and sound of a recording in one MP4, in time with each other.

use std::fs;
use std::path::Path;
use std::process::Command;

use rtms_codec::{Codec, Encoder, Format};
use rtms_protocol::{
    AudioCodec, AudioData, Channels, MediaKind, MediaPacket, Product, SampleRate, UnixMillis, WireId,
};
use rtms_recorder::{Manifest, RecordingState, manifests, repair_recording};
use serde_json::Value;

use crate::support::{Bench, at, binary, granted, probe, sound, track, voice};
use crate::video::{clip, picture, video};

/// The sound of a file as it is played: 48 kHz, one channel, from the movie's beginning.
pub(crate) fn heard(path: &Path) -> Vec<i16> {
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:a", "-ac", "1", "-f", "s16le", "-"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "", "{}", path.display());
    run.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// When each picture is shown, ms after the movie's beginning. What is no error is not looked at: where pictures begin
/// late, ffprobe misses their pixel format, which it takes from the first one.
pub(crate) fn shown(path: &Path) -> Vec<i64> {
    let run = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-select_streams", "v", "-show_entries", "packet=pts_time"])
        .arg(path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stderr), "", "{}", path.display());
    let probed: Value = serde_json::from_slice(&run.stdout).unwrap();
    let ms = |packet: &Value| {
        let seconds: f64 = packet["pts_time"].as_str().unwrap().parse().unwrap();
        (seconds * 1000.0).round() as i64
    };
    probed["packets"].as_array().unwrap().iter().map(ms).collect()
}

/// Whether the sound lasts so many ms; players may play the end of the packet that closes it.
pub(crate) fn lasts(heard: &[i16], ms: usize) -> bool {
    (ms * 48..ms * 48 + 960).contains(&heard.len())
}

/// The first ms from `from` on at which it is loud.
pub(crate) fn click(heard: &[i16], from: i64) -> i64 {
    let begin = from as usize * 48;
    let place = heard[begin..].iter().position(|sample| sample.unsigned_abs() > 3_000);
    from + place.unwrap() as i64 / 48
}

/// Silence with clicks of 20 ms at these ms, 16 kHz.
pub(crate) fn clicks(ms: i64, at: &[i64]) -> Vec<i16> {
    let mut samples = vec![0; ms as usize * 16];
    for click in at {
        let begin = *click as usize * 16;
        for (n, sample) in samples[begin..begin + 320].iter_mut().enumerate() {
            *sample = ((n as f64 * 0.4).sin() * 15_000.0) as i16;
        }
    }
    samples
}

/// Pictures at these ms, over and over the key frame of a clip.
fn pictures(bench: &mut Bench, at_ms: &[i64], key: &[u8]) {
    for ms in at_ms {
        bench.rec().media(at(*ms + 30), &picture(*ms, key)).unwrap();
    }
}

fn is_plain(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let kinds = boxes(&bytes);
    assert_eq!(kinds, ["ftyp", "mdat", "moov"]);
}

fn boxes(bytes: &[u8]) -> Vec<String> {
    let (mut at, mut kinds) = (0, Vec::new());
    while at < bytes.len() {
        let number = |at: usize, count: usize| {
            bytes[at..at + count].iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte))
        };
        let size = number(at, 4);
        kinds.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
        at += if size == 1 { number(at + 8, 8) } else { size };
    }
    assert_eq!(at, bytes.len());
    kinds
}

fn streams(path: &Path) -> Vec<(String, String)> {
    let probed = probe(path, &["-show_streams"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let streams = probed["streams"].as_array().unwrap();
    streams.iter().map(|stream| (text(&stream["codec_type"]), text(&stream["codec_name"]))).collect()
}

fn both() -> Vec<(String, String)> {
    [("video", "h264"), ("audio", "opus")].map(|(kind, codec)| (kind.to_owned(), codec.to_owned())).to_vec()
}

#[test]
fn sound_from_before_the_picture_is_heard_in_its_place() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    // Zoom kept five seconds of sound from before we came; pictures begin then, and pause.
    bench.play(None, 0, &clicks(12_000, &[1_000, 5_300, 9_000, 11_500]));
    pictures(&mut bench, &[5_300, 5_340, 5_400, 9_000, 9_040], &key);
    let manifest = bench.finish(12_100);
    let entry = video(&manifest);
    assert_eq!(entry.offset_ms, 5_300);
    let path = bench.path(&entry.file);
    is_plain(&path);
    assert_eq!(streams(&path), both());
    assert_eq!(shown(&path), [5_300, 5_340, 5_400, 9_000, 9_040]);
    let heard = heard(&path);
    assert!(lasts(&heard, 12_000), "{}", heard.len());
    for ms in [1_000, 5_300, 9_000, 11_500] {
        let off = click(&heard, ms - 300) - ms;
        assert!((-2..=2).contains(&off), "the click at {ms} is off by {off} ms");
    }
    // The last picture stays to the end of the sound.
    let probed = probe(&path, &["-show_streams"]);
    let end = |n: usize| probed["streams"][n]["duration"].as_str().unwrap().parse::<f64>().unwrap();
    assert!((end(0) - 6.7).abs() < 0.01 && (end(1) - 12.0).abs() < 0.02, "{} {}", end(0), end(1));
    assert!(manifest.problems.is_empty());
    let left: Vec<_> = fs::read_dir(bench.path("audio")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn pictures_from_before_the_sound_come_first() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    pictures(&mut bench, &[100, 140], &key);
    bench.play(None, 2_000, &clicks(3_000, &[500]));
    pictures(&mut bench, &[4_000], &key);
    let manifest = bench.finish(5_100);
    assert_eq!(video(&manifest).offset_ms, -1_900);
    let path = bench.path(&video(&manifest).file);
    assert_eq!(shown(&path), [0, 40, 3_900]);
    let heard = heard(&path);
    // ffmpeg leaves the time before the sound out of what it decodes.
    let late = click(&heard, 0) + 1_900;
    let start = probe(&path, &["-select_streams", "a", "-show_entries", "packet=pts_time"]);
    let first: f64 = start["packets"][0]["pts_time"].as_str().unwrap().parse().unwrap();
    assert!((first - 1.9).abs() < 0.01, "{first}");
    assert!((late - 2_400).abs() <= 2, "{late}");
}

#[test]
fn every_kind_of_sound_becomes_a_track() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    for (rate, channels) in [
        (SampleRate::Hz8000, Channels::Mono),
        (SampleRate::Hz16000, Channels::Stereo),
        (SampleRate::Hz32000, Channels::Stereo),
        (SampleRate::Hz48000, Channels::Mono),
    ] {
        let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
        bench.rec().granted(&granted(AudioData::Mixed, rate, channels));
        let (hertz, width) = (rate.hz().unwrap() as usize, usize::from(channels.count()));
        for second in 0..3 {
            let samples: Vec<i16> = (0..hertz * width)
                .map(|n| {
                    let tone = ((n / width) as f64 / hertz as f64 * 6_000.0).sin() * 15_000.0;
                    if second == 1 && n / width < hertz / 50 { tone as i16 } else { 0 }
                })
                .collect();
            let ms = second * 1_000;
            bench.rec().media(at(ms + 1_000), &voice(None, ms, &samples)).unwrap();
        }
        pictures(&mut bench, &[1_000, 2_000], &key);
        let manifest = bench.finish(3_100);
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        let path = bench.path(&video(&manifest).file);
        assert_eq!(streams(&path), both());
        let heard = heard(&path);
        assert!(lasts(&heard, 3_000), "{hertz}: {}", heard.len());
        let at = click(&heard, 0);
        assert!((at - 1_000).abs() <= 2, "{hertz} {width}: {at}");
    }
}

#[test]
fn two_parties_are_heard_on_their_sides() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    bench.play(Some(1), 0, &clicks(2_000, &[500]));
    bench.play(Some(2), 0, &clicks(2_000, &[1_500]));
    pictures(&mut bench, &[0, 40], &key);
    let manifest = bench.finish(2_100);
    let path = bench.path(&video(&manifest).file);
    let probed = probe(&path, &["-select_streams", "a", "-show_streams"]);
    assert_eq!(probed["streams"][0]["channels"], 2);
    assert!((click(&heard(&path), 1_000) - 1_500).abs() <= 2);
}

#[test]
fn a_video_without_sound_is_as_before() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    pictures(&mut bench, &[300, 340], &key);
    let manifest = bench.finish(1_000);
    let path = bench.path(&video(&manifest).file);
    assert_eq!(streams(&path).len(), 1);
    assert_eq!(shown(&path), [0, 40]);
}

#[test]
fn the_share_has_the_sound_too() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &clicks(2_000, &[1_000]));
    for kind in [MediaKind::Share, MediaKind::Video] {
        bench.rec().media(at(600), &binary(kind, 500, &key)).unwrap();
    }
    bench.finish(2_100);
    for folder in ["share", "video"] {
        let path = bench.file(folder, ".mp4");
        assert_eq!(streams(&path), both());
        assert!((click(&heard(&path), 0) - 1_000).abs() <= 2);
    }
}

/// Killed while it was being finished: sound behind the pictures, with the table or without.
#[test]
fn a_finish_that_was_cut_short_anywhere_is_done_again() {
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(3, 16_000 * 3));
    pictures(&mut bench, &[500, 540, 2_000], &key);
    bench.flush(2_500);
    bench.flush(5_000);
    let stored = manifests(bench.dir.path()).next().unwrap();
    let open = fs::read(&stored.path).unwrap();
    let growing = bench.file("video", ".mp4");
    let before = fs::read(&growing).unwrap();
    bench.finish(5_100);
    let whole = fs::read(&growing).unwrap();
    let expected = (shown(&growing), heard(&growing).len());
    for cut in (before.len()..whole.len()).step_by(401).chain([whole.len()]) {
        // All of the finish but its last write, of which the header is made.
        let mut bytes = whole[..cut].to_vec();
        bytes[..before.len()].copy_from_slice(&before);
        for bytes in [bytes, whole.clone()] {
            fs::write(&growing, bytes).unwrap();
            if cut < whole.len() {
                assert_eq!(shown(&growing).len(), 3, "cut at {cut} it plays");
            }
            fs::write(&stored.path, &open).unwrap();
            let left = manifests(bench.dir.path()).next().unwrap();
            let manifest = repair_recording(bench.dir.path(), &left, at(60_000)).unwrap();
            assert_eq!(manifest.problems, Vec::<String>::new());
            assert_eq!(manifest.state, RecordingState::Interrupted);
            assert_eq!((shown(&growing), heard(&growing).len()), expected, "cut at {cut}");
            is_plain(&growing);
        }
    }
}

/// A packet of 20 ms for the hour: silence, or a click that begins with it.
fn click_packets() -> (Vec<u8>, Vec<Vec<u8>>) {
    let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
    let mut encoder = Encoder::new(format, 64_000).unwrap();
    let encode = |loud: bool| {
        let wave = |n: usize| if loud { ((n as f64 * 0.13).sin() * 15_000.0) as i16 } else { 0 };
        let mut payload = Vec::new();
        encoder.encode(&(0..960).map(wave).collect::<Vec<_>>(), &mut payload).unwrap();
        payload
    };
    let packets: Vec<_> = [false, false, true, false, false, false].map(encode).to_vec();
    (rtms_codec::packet::silence(960, 1).to_vec(), packets)
}

pub(crate) fn hour_of_opus(bench: &mut Bench, minutes: i64) {
    let mut params = granted(AudioData::Mixed, SampleRate::Hz48000, Channels::Mono);
    params.audio.as_mut().unwrap().codec = AudioCodec::Opus;
    bench.rec().granted(&params);
    let (silence, burst) = click_packets();
    for n in 0..minutes * 3_000 {
        let ms = n * 20;
        // Each ten minutes a click; some packets are lost, and Zoom's clock jitters by a ms or two.
        let since = (n - 2_998).rem_euclid(30_000);
        let payload = usize::try_from(since).ok().and_then(|since| burst.get(since)).unwrap_or(&silence);
        if n % 1_000 == 77 {
            continue;
        }
        let mut packet: MediaPacket<'static> = binary(MediaKind::Audio, ms + n % 3, payload);
        packet.user_id = Some(WireId::Number(0));
        bench.rec().media(UnixMillis(at(ms + 40).0), &packet).unwrap();
        if n % 50 == 0 {
            bench.flush(ms + 40);
        }
    }
}

#[test]
fn after_an_hour_picture_and_sound_are_still_together() {
    let minutes = 60;
    let key = clip("64x48", 1, "keyint=1").remove(0);
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    hour_of_opus(&mut bench, minutes);
    // A picture each second from the 40th on, and one with each click.
    let seconds: Vec<i64> = (40..minutes * 60).map(|second| second * 1_000).collect();
    for ms in &seconds {
        bench.rec().media(at(minutes * 60_000), &picture(*ms, &key)).unwrap();
    }
    let manifest: Manifest = bench.end(minutes * 60_000 + 100, RecordingState::Complete).unwrap();
    assert_eq!(track(&manifest, "mixed").duration_ms / 10, minutes * 6_000);
    let path = bench.path(&video(&manifest).file);
    let (shown, heard) = (shown(&path), heard(&path));
    assert_eq!(shown, seconds);
    assert!(lasts(&heard, 3_600_000), "{}", heard.len());
    // It decodes from the first picture on, which comes late.
    let first = crate::video::pictures(&path, &["-t", "42"]);
    assert!(!first.is_empty());
    for tenth in 0..6 {
        let ms = tenth * 600_000 + 60_000;
        let off = click(&heard, ms - 1_000) - ms;
        assert!((-40..=40).contains(&off), "after {ms} ms the click is off by {off} ms");
        assert!(off.abs() <= 5, "{off} ms is more than it needs to be");
    }
}
