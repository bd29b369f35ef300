//! JPG and PNG as image files, where they are wanted so.

use std::fs;
use std::path::{Path, PathBuf};

use rtms_protocol::{MediaSet, Product};
use rtms_recorder::{Manifest, RecordingSpec, RecordingState, manifests, repair_recording};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::mkv::{share, shared, stills};
use crate::support::{Bench, at, spec};

fn bench() -> Bench {
    Bench::of(|dir| RecordingSpec { images: MediaSet::ALL, ..spec(dir, Product::Meeting) })
}

fn folder(bench: &Bench, manifest: &Manifest) -> PathBuf {
    bench.path(share(manifest).file.strip_suffix(".jsonl").unwrap())
}

/// Names and contents, in the order of their names.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    found.sort();
    found
}

fn check(bench: &Bench, manifest: &Manifest, expected: &[(&str, &[u8])]) {
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    let track = share(manifest);
    let found = contents(&folder(bench, manifest));
    let found: Vec<_> = found.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    assert_eq!(found, expected);
    assert_eq!(track.images, Some(expected.len() as u64));
    let list = bench.text(&track.file);
    let lines: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), expected.len());
    for (n, (line, (name, bytes))) in lines.iter().zip(expected).enumerate() {
        let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (&line["number"], &line["file"], &line["sha256"]),
            (&(n + 1).into(), &(*name).into(), &sum.into())
        );
        assert_eq!((&line["width"], &line["height"]), (&320.into(), &180.into()));
    }
}

#[test]
fn each_picture_is_a_file_and_the_list_vouches_for_it() {
    let mut bench = bench();
    let (images, _) = stills("jpg", "320x180", 3);
    for (ms, image) in [5_000, 6_000, 66_001].into_iter().zip(&images) {
        shared(&mut bench, ms, image);
        bench.flush(ms + 40);
    }
    let manifest = bench.finish(70_000);
    let track = share(&manifest);
    assert_eq!(track.file, "share/share_meeting_abc123_2025-12-11T10-30-00-000Z.jsonl");
    assert_eq!((track.duration_ms, track.packets, track.gaps), (62_001, 3, 1));
    let expected = ["000001_0.jpg", "000002_1000.jpg", "000003_61001.jpg"];
    let expected: Vec<_> = expected.into_iter().zip(images.iter().map(Vec::as_slice)).collect();
    check(&bench, &manifest, &expected);
}

#[test]
fn images_whose_lines_were_lost_are_listed_by_the_next_process() {
    let (images, _) = stills("png", "320x180", 4);
    for goes_on in [false, true] {
        let mut bench = bench();
        shared(&mut bench, 0, &images[0]);
        bench.flush(40);
        shared(&mut bench, 1_000, &images[1]);
        shared(&mut bench, 2_000, &images[2]);
        bench.die();
        // A half written line, a half written image, and something of somebody else's.
        let list = bench.file("share", ".jsonl");
        let torn = fs::read_to_string(&list).unwrap() + "{\"number\":2,";
        fs::write(&list, torn).unwrap();
        let folder = list.with_extension("");
        fs::write(folder.join("000004_2500.png"), &images[3][..200]).unwrap();
        let mut expected = vec![
            ("000001_0.png", &images[0][..]),
            ("000002_1000.png", &images[1]),
            ("000003_2000.png", &images[2]),
        ];
        let manifest = if goes_on {
            bench.resume(3_000);
            shared(&mut bench, 3_000, &images[3]);
            expected.push(("000004_3000.png", &images[3]));
            bench.finish(5_000)
        } else {
            let stored = manifests(bench.dir.path()).next().unwrap();
            repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap()
        };
        check(&bench, &manifest, &expected);
    }
}

#[test]
fn a_manifest_cannot_be_used_to_delete_what_is_not_an_image() {
    let mut bench = bench();
    let (images, _) = stills("jpg", "320x180", 1);
    shared(&mut bench, 0, &images[0]);
    let manifest = bench.finish(1_000);
    let folder = folder(&bench, &manifest);
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let stored = manifests(bench.dir.path()).next().unwrap();
    rtms_recorder::delete_recording(bench.dir.path(), &stored).unwrap();
    assert_eq!(contents(&folder), [("notes.txt".to_owned(), b"mine".to_vec())]);
}

#[test]
fn images_of_which_no_manifest_tells_are_found_by_a_revocation() {
    let mut bench = bench();
    let (images, _) = stills("jpg", "320x180", 1);
    let path = bench.rec().manifest_path().to_path_buf();
    let before = fs::read(&path).unwrap();
    shared(&mut bench, 0, &images[0]);
    bench.die();
    // As if it had died before the manifest was replaced.
    fs::write(&path, before).unwrap();
    bench.resume(1_000);
    let manifest = bench.end(2_000, RecordingState::Revoked).unwrap();
    assert_eq!(manifest.deletion.unwrap().failed, 0);
    assert_eq!(fs::read_dir(bench.path("share")).unwrap().count(), 0);
}
