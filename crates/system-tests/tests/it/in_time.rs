//! Flash and click: a picture that flashes and a sound that clicks at the same of Zoom's times are seen and heard at the
//! same time in the file to watch, as ffmpeg decodes it, by presentation timestamps.
//!
//! The client is refused at first and the camera goes on later than that, so there is sound from before the pictures:
//! sound that Zoom buffered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rtms_protocol::{Product, StatusCode};
use rtms_simulator::content::files::Files;
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::{Program, Scenario};

use crate::files::{click_times, flash_times, run};
use crate::system::{Recorded, Setup, System};

/// When there is a click, ms of the call. No two are the same time apart, so none is taken for another.
const CLICKS: [i64; 9] = [1_000, 3_400, 5_000, 7_200, 10_400, 12_000, 15_800, 17_200, 19_000];
/// From when on the camera shows flashes at the same times, ms.
const CAMERA_ON: i64 = 2_000;
/// Length of the call, ms.
const LENGTH: i64 = 20_000;
/// How far a flash and its click may be apart, ms.
const APART: i64 = 40;

/// An expression of ffmpeg's that is 1 from each of these times (ms) on for `length` ms, and else 0.
fn at(times: impl Iterator<Item = i64>, length: i64) -> String {
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let terms = times.map(|ms| format!("gte(t,{})*lt(t,{})", seconds(ms), seconds(ms + length)));
    terms.collect::<Vec<_>>().join("+")
}

/// A WAV file that is silent between the clicks.
fn clicks(folder: &Path) -> PathBuf {
    let file = folder.join("clicks.wav");
    let clicks = at(CLICKS.into_iter(), 20);
    let sound = format!("aevalsrc='0.8*sin(2*PI*1000*t)*({clicks})':s=16000:d={}", LENGTH / 1000);
    let out = ["-c:a", "pcm_s16le", file.to_str().unwrap()];
    run("ffmpeg", &[&["-v", "error", "-f", "lavfi", "-i", &sound][..], &out].concat());
    file
}

/// A source for ffmpeg of black pictures that are white once for each click from when the camera is on.
fn flashes(fps: i64) -> String {
    let picture = 1000 / fps;
    // A little early, so that no rounding of a picture's time misses it.
    let seen = CLICKS.into_iter().filter(|ms| *ms >= CAMERA_ON).map(|ms| ms - CAMERA_ON - picture / 4);
    let (white, length) = (at(seen, picture), (LENGTH - CAMERA_ON) / 1000);
    format!("color=black:s=160x96:r={fps}:d={length},drawbox=c=white:t=fill:enable='{white}'")
}

/// The same as an H.264 clip, a key picture each second.
fn clip(folder: &Path) -> Vec<PathBuf> {
    let file = folder.join("flashes.mp4");
    let encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p"];
    let source = flashes(25);
    run(
        "ffmpeg",
        &[&["-v", "error", "-f", "lavfi", "-i", &source], &encoder[..], &[file.to_str().unwrap()]].concat(),
    );
    vec![file]
}

/// The same as images, five a second.
fn images(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let pattern = folder.join(format!("%03d.{ending}"));
    let source = flashes(5);
    run("ffmpeg", &["-v", "error", "-f", "lavfi", "-i", &source, pattern.to_str().unwrap()]);
    let count = 5 * (LENGTH - CAMERA_ON) / 1000;
    (1..=count).map(|number| folder.join(format!("{number:03}.{ending}"))).collect()
}

fn program(folder: &Path, video: Vec<PathBuf>) -> Arc<Program> {
    let files = Files { audio: vec![clicks(folder)], video, ..Files::default() };
    let content = Arc::new(files.read().unwrap());
    let mut scenario = Scenario::replay(Product::Meeting, &content, &files.voices(), Some(LENGTH));
    let [camera] = scenario.cameras.as_mut_slice() else { panic!("one camera") };
    camera.on = std::iter::once(CAMERA_ON..LENGTH).collect();
    Program::new(scenario, content)
}

/// Plays it to a worker that comes late.
async fn record(setup: Setup, video: impl Fn(&Path) -> Vec<PathBuf>) -> (System, Recorded) {
    let system = setup.waits_at(CAMERA_ON + 2_000).start().await;
    let refuse_signaling = vec![StatusCode::InternalException; 2];
    let faults = Faults { refuse_signaling, ..Faults::default() };
    let program = program(system.folder(), video(system.folder()));
    let recorded = system.record_with(Product::Meeting, program, faults).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    (system, recorded)
}

/// Every click is where the call has it, and every flash that was sent is with its click.
fn assert_in_time(recorded: &Recorded, file: &Path, offset_ms: i64) {
    assert!(offset_ms >= CAMERA_ON, "there is sound from before the first picture: {offset_ms} ms");
    let clicks = click_times(file);
    assert_eq!(clicks.len(), CLICKS.len(), "every click is heard: {clicks:?}");
    for (heard, played) in clicks.iter().zip(CLICKS) {
        assert!((heard - played).abs() <= APART, "the click of {played} ms is heard at {heard} ms");
    }
    let flashes = flash_times(file);
    let sent: Vec<_> = clicks.iter().filter(|click| **click + APART >= offset_ms).collect();
    assert!(flashes.len() > 1, "{:#}", recorded.outcome.summary());
    assert_eq!(flashes.len(), sent.len(), "a flash for each click: {flashes:?}, {clicks:?}");
    for (seen, heard) in flashes.iter().zip(sent) {
        assert!((seen - heard).abs() <= APART, "the flash of the click at {heard} ms is seen at {seen} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flash_and_click_come_together_in_an_mp4() {
    let (system, recorded) = record(Setup::default(), clip).await;
    let video = recorded.any_track("video");
    let file = recorded.file(video);
    assert!(file.extension().is_some_and(|extension| extension == "mp4"));
    assert_in_time(&recorded, &file, video["offset_ms"].as_i64().unwrap());
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flash_and_click_come_together_in_matroska() {
    for codec in ["jpg", "png"] {
        let setup = Setup::default().worker("RTMS_VIDEO_CODEC", codec).worker("RTMS_VIDEO_FPS", "5");
        let (system, recorded) = record(setup, |folder| images(folder, codec)).await;
        let video = recorded.any_track("video");
        let file = recorded.file(video);
        assert!(file.extension().is_some_and(|extension| extension == "mkv"));
        assert_in_time(&recorded, &file, video["offset_ms"].as_i64().unwrap());
        system.stop().await;
    }
}
