//! Recordings are for the user who records, whatever the umask lets through.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product};
use serde_json::json;

use crate::support::{Bench, at, sound};
use crate::video::{clip, picture};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Every file and folder below `dir`.
pub(crate) fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { [below(&path), vec![path]].concat() } else { vec![path] })
        .collect()
}

fn assert_private(dir: &Path) -> usize {
    let all = below(dir);
    for path in &all {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    all.len()
}

/// Two parties of whom the second turns out to be the earlier one, pictures, words, messages.
fn play_everything(bench: &mut Bench) {
    bench.play(Some(1), 1_000, &sound(1, 16_000));
    bench.play(Some(2), 0, &sound(2, 16_000));
    for (kind, text) in [(MediaKind::Transcript, "hello"), (MediaKind::Chat, "hi")] {
        bench.rec().media(at(1_500), &MediaPacket::new(kind, at(1_500), text)).unwrap();
    }
    for (n, unit) in clip("320x180", 20, "").iter().enumerate() {
        bench.rec().media(at(1_000 + n as i64 * 40), &picture(1_000 + n as i64 * 40, unit)).unwrap();
    }
    bench.event(1, &json!({"event_type": 8, "participant_info": {"channel_id": 1, "display_name": "Ann"}}));
    bench.flush(2_100);
}

#[test]
fn every_file_and_folder_at_every_moment() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    play_everything(&mut bench);
    assert_private(bench.dir.path());
    bench.die();
    // An earlier process was stopped while it replaced files, and was not as careful.
    let left_over = ["manifests", "audio", "transcripts"].map(|folder| {
        let first = below(&bench.path(folder)).into_iter().find(|path| path.is_file()).unwrap();
        PathBuf::from(format!("{}.tmp", first.display()))
    });
    for path in &left_over {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    }
    bench.resume(3_000);
    bench.play(Some(1), 3_000, &sound(1, 16_000));
    bench.flush(4_000);
    assert_private(bench.dir.path());
    bench.finish(5_000);
    let entries = assert_private(bench.dir.path());
    assert!(entries >= 5 + 9, "five folders, and nine files: {entries}");
}

#[test]
fn a_folder_that_exists_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("manifests");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    let spec = crate::support::spec(dir.path(), Product::Meeting);
    rtms_recorder::Recording::create(spec).unwrap();
    assert_eq!(mode(&folder), 0o750);
}
