//! A process that dies between the beginning of a file and the manifest that tells of it leaves nothing that a
//! revocation, or retention, does not find.

use std::fs;
use std::path::PathBuf;

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product};
use rtms_recorder::{
    Recording, RecordingState, delete_recording, manifests, read_manifest, repair_recording,
    revoke_recording, unfinished,
};
use serde_json::json;

use crate::private::below;
use crate::support::{Bench, at, sound, spec, voice};
use crate::video::{clip, picture};

/// A call that begins a file with nearly every packet.
fn packets() -> Vec<MediaPacket<'static>> {
    let pictures = clip("320x180", 2, "");
    vec![
        MediaPacket::new(MediaKind::Transcript, at(10), "hello"),
        voice(Some(1), 0, &sound(1, 16_000)),
        voice(Some(2), 20, &sound(2, 16_000)),
        MediaPacket::new(MediaKind::Chat, at(40), "hi"),
        picture(60, &pictures[0]),
        voice(Some(3), 1_000, &sound(3, 16_000)),
    ]
}

/// Files below the folder that are not its manifest.
fn content(bench: &Bench) -> Vec<PathBuf> {
    let all = below(bench.dir.path()).into_iter().filter(|path| path.is_file());
    all.filter(|path| path.parent() != Some(&bench.path("manifests"))).collect()
}

/// What lies there when the process dies after packet `count`, the last manifest not stored: with what the disk took of
/// the new file, or (`empty`) with its name alone.
fn killed_after(count: usize, empty: bool) -> Bench {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let manifest = bench.rec().manifest_path().to_path_buf();
    let mut untold = fs::read(&manifest).unwrap();
    let mut before = content(&bench);
    for (n, packet) in packets()[..count].iter().enumerate() {
        untold = fs::read(&manifest).unwrap();
        before = content(&bench);
        bench.rec().media(at(1_000 + n as i64), packet).unwrap();
    }
    bench.flush(1_500);
    bench.die();
    fs::write(&manifest, untold).unwrap();
    for new in content(&bench).into_iter().filter(|path| empty && !before.contains(path)) {
        fs::write(new, "").unwrap();
    }
    bench
}

#[test]
fn a_revocation_finds_what_no_manifest_tells_of() {
    for count in 1..=packets().len() {
        for repaired in [false, true] {
            let bench = killed_after(count, false);
            let stored = unfinished(bench.dir.path()).left.pop().unwrap();
            let known = stored.manifest.files().count();
            assert!(
                content(&bench).len() > known + 1,
                "something is there that it does not tell of: {count}"
            );
            if repaired {
                let manifest = repair_recording(bench.dir.path(), &stored, at(9_000)).unwrap();
                assert!(!manifest.strays.is_empty() && manifest.problems.is_empty(), "{manifest:?}");
            }
            let stored = manifests(bench.dir.path()).next().unwrap();
            let proof = revoke_recording(bench.dir.path(), &stored, at(10_000)).unwrap();
            assert_eq!(content(&bench), Vec::<PathBuf>::new(), "after {count}, repaired: {repaired}");
            assert!(proof.strays.is_empty() && proof.deletion.is_some_and(|proof| proof.files > 0));
        }
    }
}

#[test]
fn retention_takes_them_too_and_what_goes_on_keeps_them() {
    let mut bench = killed_after(packets().len(), false);
    bench.resume(2_000);
    bench.play(Some(3), 2_000, &sound(4, 16_000));
    bench.finish(4_000);
    let stored = manifests(bench.dir.path()).next().unwrap();
    assert!(stored.manifest.strays.iter().all(|stray| bench.path(stray).exists()));
    assert_eq!(stored.manifest.strays.len(), 1, "{:?}", stored.manifest.strays);
    assert_eq!(content(&bench).len(), stored.manifest.files().count());
    delete_recording(bench.dir.path(), &stored).unwrap();
    assert_eq!(content(&bench), Vec::<PathBuf>::new());
}

#[test]
fn names_that_nothing_was_written_to_are_given_back() {
    for count in 1..=packets().len() {
        let bench = killed_after(count, true);
        let stored = unfinished(bench.dir.path()).left.pop().unwrap();
        let manifest = repair_recording(bench.dir.path(), &stored, at(9_000)).unwrap();
        assert!(manifest.strays.is_empty());
        assert_eq!(content(&bench).len(), manifest.files().count(), "{:?}", content(&bench));
    }
}

#[test]
fn a_start_finds_what_was_left_and_nothing_else() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.event(1, &json!({"event_type": 8}));
    let path = bench.rec().manifest_path().to_path_buf();
    let found = unfinished(bench.dir.path());
    assert_eq!(found.left.iter().map(|stored| &stored.path).collect::<Vec<_>>(), [&path]);
    // A backup brings manifests alone.
    let ledger = bench.path(".unfinished").join(path.file_name().unwrap());
    fs::rename(&ledger, bench.path("ledger")).unwrap();
    let mut found = unfinished(bench.dir.path());
    assert!(found.left.is_empty());
    assert_eq!(found.others().map(|stored| stored.path).collect::<Vec<_>>(), std::slice::from_ref(&path));
    fs::rename(bench.path("ledger"), &ledger).unwrap();
    bench.finish(1_000);
    assert!(!ledger.exists());
    // The process died just before it closed its ledger.
    fs::write(&ledger, "").unwrap();
    let mut found = unfinished(bench.dir.path());
    assert!(found.left.is_empty() && found.others().next().is_none() && !ledger.exists());
    assert_eq!(read_manifest(&path).unwrap().state, RecordingState::Complete);
}

/// The process died before the first manifest had its name: with the ledger alone, or with the manifest beside.
#[test]
fn a_recording_that_was_never_begun_leaves_nothing() {
    for written in [None, Some(""), Some("{\"version\":1")] {
        let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
        let path = bench.rec().manifest_path().to_path_buf();
        let ledger = bench.path(".unfinished").join(path.file_name().unwrap());
        bench.end(1_000, RecordingState::Revoked).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&ledger, "").unwrap();
        if let Some(written) = written {
            fs::write(path.with_extension("json.tmp"), written).unwrap();
        }
        let mut found = unfinished(bench.dir.path());
        assert!(found.left.is_empty() && found.others().next().is_none());
        let files: Vec<_> = below(bench.dir.path()).into_iter().filter(|path| path.is_file()).collect();
        assert_eq!(files, Vec::<PathBuf>::new());
    }
    // Where files were written down they are still to be found.
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.event(1, &json!({"event_type": 8}));
    let path = bench.rec().manifest_path().to_path_buf();
    bench.die();
    fs::remove_file(&path).unwrap();
    assert!(unfinished(bench.dir.path()).left.is_empty());
    assert!(bench.path(".unfinished").join(path.file_name().unwrap()).exists());
}

/// Recordings of one name begin at the same time, on several threads.
#[test]
fn each_first_manifest_is_whole_and_has_a_name_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let begin = || Recording::create(spec(dir.path(), Product::Phone)).unwrap().manifest_path().to_path_buf();
    let mut paths: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    paths.sort_unstable();
    assert_eq!(paths, rtms_recorder::manifest_paths(dir.path()));
    assert_eq!(unfinished(dir.path()).left.len(), 8, "whole, each with its ledger");
    let files = below(dir.path()).into_iter().filter(|path| path.is_file()).count();
    assert_eq!(files, 16, "nothing is left beside them");
}
