//! Files of the user's own: what can be read of them, and how a call of them goes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rtms_protocol::{MediaKind, Product};
use rtms_simulator::content::files::{FileError, Files, Problem};
use rtms_simulator::content::{Content, Mp4Error};
use rtms_simulator::pcm;
use rtms_simulator::scenario::Scenario;
use serde_json::json;

use crate::whole::Wish;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// Runs ffmpeg; the output is its last argument. Annex B has no times: it is read as 25 pictures a second.
fn ffmpeg(input: &Path, arguments: &str, output: &Path) {
    let rate: &[&str] = if input.extension().is_some_and(|e| e == "h264") { &["-r", "25"] } else { &[] };
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(rate)
        .arg("-i")
        .arg(input)
        .args(arguments.split_whitespace())
        .arg(output)
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg must be on PATH for these tests");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn video(file: PathBuf) -> Result<Content, Vec<FileError>> {
    Files { video: vec![file], ..Files::default() }.read()
}

#[test]
fn an_mp4_has_the_pictures_and_times_of_its_tables() {
    let folder = tempfile::tempdir().unwrap();
    let built_in = Content::built_in();
    let clip = built_in.cameras[0].h264.as_ref().unwrap();
    for (name, how) in [("whole.mp4", "-c copy"), ("parts.mp4", "-c copy -movflags frag_keyframe+empty_moov")]
    {
        let file = folder.path().join(name);
        ffmpeg(&asset("clip.h264"), how, &file);
        let content = video(file).unwrap();
        let read = content.cameras[0].h264.as_ref().unwrap();
        assert_eq!(read.pictures.len(), clip.pictures.len(), "{name}");
        for (number, (read, right)) in read.pictures.iter().zip(&clip.pictures).enumerate() {
            assert_eq!(read.key, right.key, "{name} {number}");
            assert!(
                (read.at_ms - i64::try_from(number).unwrap() * 40).abs() <= 1,
                "{name} {number} {}",
                read.at_ms
            );
            assert!(nal_units(&read.bytes) == nal_units(&right.bytes), "{name} {number}");
        }
        // How long the last one is shown ffmpeg leaves open.
        assert!(read.length_ms > 107 * 40);
    }
}

/// What lies between start codes.
fn nal_units(annex_b: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < annex_b.len() {
        if annex_b[at..].starts_with(&[0, 0, 1]) {
            units.push(Vec::new());
            at += 3;
        } else {
            if let Some(unit) = units.last_mut() {
                unit.push(annex_b[at]);
            }
            at += 1;
        }
    }
    for unit in &mut units {
        while unit.last() == Some(&0) {
            unit.pop();
        }
    }
    units
}

#[test]
fn what_zoom_would_not_send_is_refused_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |name: &str, how: &str| {
        let file = folder.path().join(name);
        ffmpeg(&asset("clip.h264"), how, &file);
        video(file).unwrap_err().remove(0).problem
    };
    let reordered = problem("b.mp4", "-c:v libx264 -bf 2 -preset ultrafast -x264-params bframes=2:b-adapt=0");
    assert!(matches!(reordered, Problem::Mp4(Mp4Error::Reordered)), "{reordered}");
    let other = problem("m.mp4", "-c:v mpeg4");
    assert!(matches!(other, Problem::Mp4(Mp4Error::NoH264)), "{other}");
    let whole = folder.path().join("whole.mp4");
    ffmpeg(&asset("clip.h264"), "-c copy -movflags faststart", &whole);
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mp4");
    // The last box is the pictures: cut, it is none any more, and the table points beyond the end.
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let cut = video(cut).unwrap_err().remove(0).problem;
    assert!(matches!(cut, Problem::Mp4(Mp4Error::Table { .. })), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    ffmpeg(&asset("conversation_left.wav"), "-t 6 -ar 44100 -c:a pcm_s24le", &path("ann.wav"));
    ffmpeg(&asset("conversation_right.wav"), "-t 6 -ar 8000 -c:a pcm_f32le", &path("bo.wav"));
    ffmpeg(&asset("clip.h264"), "-c copy", &path("clip.mp4"));
    std::fs::write(
        path("t.srt"),
        "1\n00:00:01,000 --> 00:00:02,000\nBo: Hello?\n\n2\n00:00:03,000 --> 00:00:04,000\nAnn: Yes.\n",
    )
    .unwrap();
    std::fs::write(path("c.vtt"), "WEBVTT\n\n00:02.000 --> 00:03.000\n<v Ann>Hi &amp; bye\n").unwrap();
    let files = Files {
        audio: vec![path("ann.wav"), path("bo.wav")],
        video: vec![path("clip.mp4")],
        share: vec![asset("screen_1.png"), asset("screen_2.png")],
        transcript: Some(path("t.srt")),
        chat: Some(path("c.vtt")),
    };
    let content = Arc::new(files.read().unwrap());
    let scenario = Scenario::replay(Product::Meeting, &content, &files.voices(), None);
    assert_eq!((scenario.duration_ms, scenario.offers), (6_000, rtms_protocol::MediaSet::ALL));
    let params = json!({"audio": {"sample_rate": 3, "data_opt": 2}, "video": {}, "transcript": {}, "chat": {},
        "deskshare": {"codec": 6, "fps": 1}});
    let whole = Wish { content, speed: 3.0, ..Wish::of(scenario, 32, params) }.taken().await;
    let played = &whole.played;
    assert!(played.complete);
    let names: Vec<&str> = played.tracks.iter().map(|t| t.party.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["Ann", "Bo"]);
    // What was 16 kHz, became 44.1 and then 48, is still the same sound.
    let right = pcm::resample(&Content::built_in().voices[0].samples[..96_000], 1, 16_000, 48_000);
    let came = played.tracks[0].pcm();
    assert_eq!(came.len(), right.len());
    let worst =
        came.iter().zip(&right).skip(1_000).take(280_000).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs());
    assert!(worst.max().unwrap() < 1_500);
    let count = |kind| whole.packets.iter().filter(|packet| packet.kind == kind).count();
    assert_eq!((count(MediaKind::Video), count(MediaKind::Share)), (played.video.len(), played.share.len()));
    // Pictures are not kept for a client that comes a little later.
    assert!((20..=108).contains(&played.video.len()) && (2..=6).contains(&played.share.len()));
    let lines: Vec<(&str, &str)> =
        played.transcript.iter().map(|l| (l.name.as_str(), l.text.as_str())).collect();
    assert_eq!(lines, [("Bo", "Hello?"), ("Ann", "Yes.")]);
    assert_eq!((played.chat[0].name.as_str(), played.chat[0].text.as_str()), ("Ann", "Hi & bye"));
}

fn program(arguments: &[&str]) -> std::process::Output {
    let credentials = ["--client-id", "cid", "--client-secret", "secret", "--secret-token", "token"];
    Command::new(env!("CARGO_BIN_EXE_rtms-simulator"))
        .args(arguments)
        .args(credentials)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_program_names_every_file_that_is_wrong() {
    let output =
        program(&["call", "--audio", "gone.wav", "--video", "gone.avi", "--gateway", "http://127.0.0.1:9"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("gone.wav: cannot be read") && said.contains("gone.avi: not a picture by its name"),
        "{said}"
    );
    let both = program(&["call", "--audio", "gone.wav", "--course", "busy"]);
    assert_eq!(both.status.code(), Some(2));
}
