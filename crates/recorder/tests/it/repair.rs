//! What a killed process leaves behind becomes a finished recording.

use std::fs;
use std::io::Write;

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product};
use rtms_recorder::{RecordingState, manifests, repair_recording};

use crate::support::{Bench, at, decoded, probe, sound, track};
use crate::video::{clip, picture};

#[test]
fn a_killed_recording_is_finished_to_the_last_flush() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (a, b) = (sound(1, 16_000), sound(2, 16_000));
    bench.play(Some(1), 0, &a);
    bench.play(Some(2), 0, &b);
    let words = MediaPacket::new(MediaKind::Transcript, at(500), "hello");
    bench.rec().media(at(600), &words).unwrap();
    for (n, unit) in clip("320x180", 20, "").iter().enumerate() {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, unit)).unwrap();
    }
    bench.flush(1_000);
    bench.flush(2_100);
    bench.die();
    // The kill came in the midst of a fragment and of a sample.
    let video = bench.file("video", ".mp4");
    fs::OpenOptions::new().append(true).open(&video).unwrap().write_all(b"\0\0\x10\0moof\0\0").unwrap();
    let wav = bench.file("audio", "_1.wav");
    fs::OpenOptions::new().append(true).open(&wav).unwrap().write_all(&[9]).unwrap();

    let stored = manifests(bench.dir.path()).next().unwrap();
    assert_eq!(stored.manifest.state, RecordingState::Recording);
    let manifest = repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap();
    assert_eq!(manifest.problems, Vec::<String>::new());
    assert_eq!(manifest.state, RecordingState::Interrupted);
    assert_eq!(manifest.ended_at, Some(at(1_000)));
    assert!(manifest.tracks.iter().all(|track| track.sha256.is_some()));
    assert_eq!(decoded(&wav), a);
    let both = decoded(&bench.path(&track(&manifest, "combined").file));
    assert_eq!(both, a.iter().zip(&b).flat_map(|(a, b)| [*a, *b]).collect::<Vec<_>>());
    let stream = &probe(&video, &["-show_streams"])["streams"][0];
    assert_eq!(stream["nb_frames"], "20");
    let text = fs::read_to_string(bench.file("transcripts", ".txt")).unwrap();
    assert!(
        text.ends_with("=== Transcript Ended at 2025-12-11T10:30:01.000Z ===\nTotal Duration: 1 seconds\n")
    );
    let again = manifests(bench.dir.path()).next().unwrap();
    assert_eq!(repair_recording(bench.dir.path(), &again, at(90_000)).unwrap(), manifest);
}

#[test]
fn who_died_over_the_finish_is_followed_by_one_that_does_it_again() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 16_000));
    bench.flush(1_500);
    bench.die();
    // What a process writes before it begins to finish.
    let mut stored = manifests(bench.dir.path()).next().unwrap();
    stored.manifest.ended_at = Some(at(1_400));
    stored.manifest.stop_reason = Some(rtms_protocol::StopReason::MeetingEnded.into());
    stored.manifest.in_progress.as_mut().unwrap().ending = Some(RecordingState::Complete);
    fs::write(&stored.path, serde_json::to_vec(&stored.manifest).unwrap()).unwrap();
    let stored = manifests(bench.dir.path()).next().unwrap();
    let manifest = repair_recording(bench.dir.path(), &stored, at(90_000)).unwrap();
    assert_eq!((manifest.state, manifest.ended_at), (RecordingState::Complete, Some(at(1_400))));
    assert_eq!(manifest.stop_reason.unwrap().code, 6);
    assert!(manifest.in_progress.is_none());
}
