//! The record, and what retention and revocation do with it.

use std::fs;

use rtms_protocol::{AudioData, Product};
use rtms_recorder::{
    Manifest, Recording, RecordingState, delete_recording, manifests, read_manifest, recording_bytes,
    revoke_recording,
};
use serde_json::{Value, json};

use crate::support::{Bench, at, sound, spec};

fn files_below(dir: &std::path::Path) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

#[test]
fn grows_with_the_recording_and_ends_with_it() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let path = bench.rec().manifest_path().to_path_buf();
    assert!(path.ends_with("manifests/engagement_abc123_2025-12-11T10-30-00-000Z.json"));
    assert_eq!(read_manifest(&path).unwrap().state, RecordingState::Recording);
    let info = json!({"event_type": 8, "queue_name": "q", "name": "x", "participant_info": {"channel_id": 1, "display_name": "Ann"}});
    bench.event(100, &info);
    bench.play(Some(1), 0, &sound(1, 16_000));
    bench.rec().interrupted(at(1_010), "socket reset");
    bench.rec().resumed(at(2_010));
    bench.play(Some(1), 1_500, &sound(1, 16_000));
    bench.flush(3_000);
    let live = read_manifest(&path).unwrap();
    assert_eq!((live.tracks.len(), live.events.len(), live.participants.len()), (2, 1, 1));
    let progress = bench.rec().progress();
    assert_eq!(progress.files.len(), 3);
    assert!((progress.tracks[1].seconds - 2.5).abs() < 1e-9);
    let manifest = bench.finish(4_000);
    assert_eq!(read_manifest(&path).unwrap(), manifest);
    let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["state"], "complete");
    assert_eq!(json["events"][0]["name"], "CONSUMER_ANSWERED");
    assert_eq!(json["events"][0]["queue_name"], "q");
    assert_eq!(json["events"][0]["word"], "answered");
    assert_eq!(json["timeline"]["file"], "events/events_engagement_abc123_2025-12-11T10-30-00-000Z.jsonl");
    assert!(json["timeline"]["sha256"].is_string());
    assert_eq!(json["interruptions"][0]["cause"], "socket reset");
    assert_eq!(json["interruptions"][0]["length_ms"], 1_000);
    assert_eq!(json["interruptions"][0]["lost_ms"], 500);
    assert_eq!(json["participants"][0]["role"], "consumer");
    assert_eq!(json["ended_at"], "2025-12-11T10:30:04.000Z");
}

#[test]
fn the_same_start_twice_does_not_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let one = Recording::create(spec(dir.path(), Product::Phone)).unwrap();
    let two = Recording::create(spec(dir.path(), Product::Phone)).unwrap();
    assert_ne!(one.manifest_path(), two.manifest_path());
    assert!(two.manifest_path().to_str().unwrap().ends_with("000Z_2.json"));
}

#[test]
fn revoked_leaves_the_proof_alone() {
    for late in [false, true] {
        let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
        bench.event(
            1,
            &json!({"event_type": 8, "participant_info": {"channel_id": 1, "display_name": "Ann"}}),
        );
        bench.play(Some(1), 0, &sound(1, 16_000));
        bench.flush(1_000);
        let proof = if late {
            bench.finish(2_000);
            let stored = manifests(bench.dir.path()).next().unwrap();
            revoke_recording(bench.dir.path(), &stored, at(9_000)).unwrap()
        } else {
            bench.end(2_000, RecordingState::Revoked).unwrap()
        };
        assert_eq!(proof.deletion.as_ref().map(|d| (d.files, d.failed)), Some((3, 0)));
        assert_eq!(files_below(bench.dir.path()), 1);
        let text = fs::read_to_string(manifests(bench.dir.path()).next().unwrap().path).unwrap();
        assert!(!text.contains("Ann") && text.contains("xyz789") && text.contains("revoked"));
    }
}

#[test]
fn retention_lists_past_broken_files_and_deletes_everything() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 16_000));
    let folder = bench.path("manifests");
    fs::write(folder.join("broken.json"), "{").unwrap();
    fs::write(folder.join("foreign.json"), "{\"version\":9}").unwrap();
    fs::write(folder.join("note.txt"), "x").unwrap();
    let stored = manifests(bench.dir.path()).next().unwrap();
    assert!(delete_recording(bench.dir.path(), &stored).is_err(), "still in progress");
    bench.finish(1_000);
    let all: Vec<_> = manifests(bench.dir.path()).collect();
    assert_eq!(all.len(), 1);
    let bytes = recording_bytes(bench.dir.path(), &all[0]);
    assert!(bytes > 32_000);
    assert_eq!(delete_recording(bench.dir.path(), &all[0]).unwrap(), bytes);
    assert_eq!(files_below(bench.dir.path()), 3);
}

#[test]
fn a_manifest_cannot_delete_what_is_outside() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "x").unwrap();
    let data = dir.path().join("data");
    let recording = Recording::create(spec(&data, Product::Phone)).unwrap();
    let path = recording.manifest_path().to_path_buf();
    let mut manifest: Manifest = read_manifest(&path).unwrap();
    manifest.state = RecordingState::Complete;
    manifest.tracks.push(rtms_recorder::TrackEntry { file: "../victim".into(), ..Default::default() });
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    delete_recording(&data, &manifests(&data).next().unwrap()).unwrap();
    assert!(victim.exists() && !path.exists());
}
