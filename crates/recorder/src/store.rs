//! What lies in a data folder: finished recordings, to be listed, deleted by retention, or revoked.
//!
//! A manifest is a file that others may have put there. One that does not parse is skipped, and what one names is
//! deleted only inside the data folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rtms_protocol::UnixMillis;

use crate::error::RecordError;
use crate::files::{Durability, remove};
use crate::head::{ManifestHead, read_head};
use crate::ledger::{Ledger, MANIFESTS, json_files, open_ledgers};
use crate::manifest::{MANIFEST_VERSION, Manifest, RecordingState, contained};
use crate::take_up::remove_left_over;
use crate::video::images::{delete_images, has_images, image_bytes};

/// Largest manifest that is read, bytes. Ours stay below a few MiB.
const MANIFEST_BYTES: u64 = 32 * 1024 * 1024;

/// A manifest and where it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredManifest {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub manifest: Manifest,
}

/// Every manifest below `data_dir`, read one at a time, in the order of their paths. What is not a manifest of a
/// known version is skipped.
pub fn manifests(data_dir: &Path) -> impl Iterator<Item = StoredManifest> + use<> {
    manifest_paths(data_dir).into_iter().filter_map(stored)
}

/// Where the manifests below `data_dir` are, in the order of their paths; unread.
#[must_use]
pub fn manifest_paths(data_dir: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    json_files(&data_dir.join(MANIFESTS), true, &mut paths);
    paths.sort_unstable();
    paths
}

/// The beginning of every manifest below `data_dir`, with its path, read one at a time in the order of their paths. To
/// look for one of many; [`read_manifest`] reads the rest.
pub fn manifest_heads(data_dir: &Path) -> impl Iterator<Item = (PathBuf, ManifestHead)> + use<> {
    manifest_paths(data_dir).into_iter().filter_map(|path| read_head(&path).map(|head| (path, head)))
}

/// The recordings that earlier processes left in the state `recording`.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// Those that have a ledger, as every one that this version began.
    pub left: Vec<StoredManifest>,
    others: Vec<PathBuf>,
}

impl Unfinished {
    /// Those that have none, read one at a time: from a backup, or an earlier version. Looks into every manifest that
    /// was there when this was made, so it takes its time.
    pub fn others(&mut self) -> impl Iterator<Item = StoredManifest> + use<> {
        let unfinished =
            |path: &PathBuf| read_head(path).is_some_and(|head| head.state == RecordingState::Recording);
        std::mem::take(&mut self.others).into_iter().filter(unfinished).filter_map(stored)
    }
}

/// Finds what earlier processes left. Not to be used while some process records into the folder.
#[must_use]
pub fn unfinished(data_dir: &Path) -> Unfinished {
    let mut open = open_ledgers(data_dir);
    open.sort_unstable();
    let mut found = Unfinished { left: Vec::new(), others: manifest_paths(data_dir) };
    found.others.retain(|path| open.binary_search(path).is_err());
    open.retain(|path| !never_begun(data_dir, path));
    for stored in open.into_iter().filter_map(stored) {
        if !stored.manifest.is_finished() {
            found.left.push(stored);
        } else if let Some(Err(error)) = Ledger::of(data_dir, &stored.path).map(|ledger| ledger.close()) {
            tracing::debug!(%error, "the ledger of a finished recording stays behind");
        }
    }
    found
}

/// Whether a process died between the ledger and the first manifest at `path`. Then nothing is there, and what it left
/// goes.
fn never_begun(data_dir: &Path, path: &Path) -> bool {
    let gone = path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let Some(ledger) = Ledger::of(data_dir, path).filter(|ledger| gone && ledger.is_empty()) else {
        return false;
    };
    if let Err(error) = remove_left_over(path).and_then(|()| ledger.close()) {
        tracing::debug!(%error, "the ledger of a recording that was never begun stays behind");
    }
    true
}

fn stored(path: PathBuf) -> Option<StoredManifest> {
    match read_manifest(&path) {
        Ok(manifest) => Some(StoredManifest { path, manifest }),
        Err(error) => {
            tracing::debug!(%error, "skipped a file among the manifests");
            None
        }
    }
}

/// Reads one manifest.
///
/// # Errors
/// It cannot be read, is too large, does not parse, or is of another version.
pub fn read_manifest(path: &Path) -> Result<Manifest, RecordError> {
    let mut json = Vec::new();
    let file = File::open(path).map_err(RecordError::io("open", path))?;
    file.take(MANIFEST_BYTES + 1).read_to_end(&mut json).map_err(RecordError::io("read", path))?;
    let foreign = |reason: String| RecordError::Foreign { path: path.into(), reason };
    if json.len() as u64 > MANIFEST_BYTES {
        return Err(foreign("larger than any manifest".into()));
    }
    let manifest: Manifest = serde_json::from_slice(&json).map_err(|error| {
        foreign(format!("no manifest: {:?} error at line {}", error.classify(), error.line()))
    })?;
    if manifest.version != MANIFEST_VERSION {
        return Err(foreign(format!("manifest version {}", manifest.version)));
    }
    Ok(manifest)
}

/// Bytes that a recording takes on the disk: its files and its manifest.
#[must_use]
pub fn recording_bytes(data_dir: &Path, stored: &StoredManifest) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let files = stored.manifest.files().filter_map(|file| contained(data_dir, file));
    let lists =
        stored.manifest.files().filter_map(|file| contained(data_dir, file)).filter(|path| has_images(path));
    size(&stored.path)
        + files.map(|path| size(&path)).sum::<u64>()
        + lists.map(|list| image_bytes(&list)).sum::<u64>()
}

/// Deletes a finished recording: its files first, then the manifest, so that a failure can be repeated. Returns the
/// bytes that became free.
///
/// # Errors
/// It is still in progress, or the disk refused; the manifest is then still there.
pub fn delete_recording(data_dir: &Path, stored: &StoredManifest) -> Result<u64, RecordError> {
    if !stored.manifest.is_finished() {
        let reason = "a recording in progress is not deleted".to_owned();
        return Err(RecordError::Foreign { path: stored.path.clone(), reason });
    }
    let bytes = recording_bytes(data_dir, stored);
    let ledger = Ledger::of(data_dir, &stored.path);
    let (_, errors) = delete_files(data_dir, &stored.manifest, ledger.as_ref());
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    ledger.as_ref().map_or(Ok(()), Ledger::close)?;
    remove(&stored.path)?;
    Ok(bytes)
}

/// Deletes every file of a recording whose permission was withdrawn, also long after its end, and replaces its
/// manifest by one without content, the proof. Not to be used on one that this process still writes: that is ended
/// with the state `Revoked`.
///
/// # Errors
/// The proof cannot be written. Files that could not be deleted are counted in it.
pub fn revoke_recording(
    data_dir: &Path,
    stored: &StoredManifest,
    at: UnixMillis,
) -> Result<Manifest, RecordError> {
    revoke(data_dir, &stored.path, &stored.manifest, at)
}

/// Deletes the files that manifest and ledger tell of, and what was left beside them: how many are gone, and what could
/// not be deleted.
fn delete_files(data_dir: &Path, manifest: &Manifest, ledger: Option<&Ledger>) -> (u64, Vec<RecordError>) {
    let mut gone = 0;
    let mut errors = Vec::new();
    let begun = ledger.map(Ledger::files).unwrap_or_default();
    let files: BTreeSet<&str> = manifest.files().chain(begun.iter().map(String::as_str)).collect();
    for path in files.into_iter().filter_map(|file| contained(data_dir, file)) {
        let was_there = path.symlink_metadata().is_ok();
        // A list of images goes after its images: as long as it is there, they are found again.
        let images = if has_images(&path) { delete_images(&path) } else { Ok(0) };
        match images.and_then(|images| remove(&path).and_then(|()| remove_left_over(&path)).map(|()| images))
        {
            Ok(images) => gone += u64::from(was_there) + images,
            Err(error) => errors.push(error),
        }
    }
    (gone, errors)
}

pub(crate) fn revoke(
    data_dir: &Path,
    path: &Path,
    manifest: &Manifest,
    at: UnixMillis,
) -> Result<Manifest, RecordError> {
    let ledger = Ledger::of(data_dir, path);
    let (gone, errors) = delete_files(data_dir, manifest, ledger.as_ref());
    for error in &errors {
        tracing::warn!(
            stream = %manifest.rtms_stream_id,
            %error,
            "a file of a revoked recording could not be deleted; remove it by hand"
        );
    }
    let proof = manifest.revoked(at, gone, errors.len() as u64);
    proof.store(path, Durability::Power)?;
    if let Some(Err(error)) = ledger.as_ref().map(Ledger::close) {
        tracing::debug!(%error, "a ledger stays behind");
    }
    Ok(proof)
}
