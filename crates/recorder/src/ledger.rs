//! The ledger of a recording in progress: the names of its files, each written down before anything is in the file.
//!
//! The manifest tells of a file just after its first packet. A process that dies in between, or a disk that refuses the
//! manifest, would leave content that no revocation finds. So a claimed name goes here first, while the file is empty.
//!
//! It lies below `.unfinished`, at the place that the manifest has below `manifests`, from before the first manifest
//! until after the last. So that folder is also the list of the recordings that were left, which a start can read
//! without opening every manifest there is. It is never the only record: what a manifest says counts, and one that has
//! no ledger (a restored backup) is found by its state.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::RecordError;
use crate::files::{in_folder, private, remove};

/// Where ledgers lie, below the data folder.
const FOLDER: &str = ".unfinished";
/// Where manifests lie, below the data folder.
pub(crate) const MANIFESTS: &str = "manifests";
/// Largest ledger that is read, bytes. A thousand parties and their final names take half of it.
const LEDGER_BYTES: u64 = 1024 * 1024;

/// Where a recording's file names are written down.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// The ledger of the recording whose manifest is at `manifest`; `None` where no recording of ours would have it.
    pub(crate) fn of(data_dir: &Path, manifest: &Path) -> Option<Self> {
        let place = manifest.strip_prefix(data_dir.join(MANIFESTS)).ok()?;
        Some(Self { path: data_dir.join(FOLDER).join(place) })
    }

    /// Opens it, empty; `false` where there is one already. Whoever opened it owns the manifest's name.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn open(&self) -> Result<bool, RecordError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let opened = in_folder(folder, || private().create_new(true).open(&self.path));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            opened => opened.map(|_| true).map_err(RecordError::io("create", &self.path)),
        }
    }

    /// Writes down a file, relative to the data folder, that is empty yet.
    ///
    /// # Errors
    /// The disk refused; the file must not be used.
    pub(crate) fn note(&self, relative: &str) -> Result<(), RecordError> {
        let line = format!("{relative}\n");
        let mut options = private();
        options.append(true).create(true);
        let noted = options.open(&self.path).and_then(|mut file| {
            let end = file.metadata()?.len();
            // Half of a line would spoil the next one, too.
            file.write_all(line.as_bytes()).inspect_err(|_| drop(file.set_len(end)))
        });
        noted.map_err(RecordError::io("write", &self.path))
    }

    /// Whether nothing was written down; unknown is no.
    pub(crate) fn is_empty(&self) -> bool {
        self.path.metadata().is_ok_and(|ledger| ledger.is_file() && ledger.len() == 0)
    }

    /// The files that were written down, as far as the ledger can be read.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(LEDGER_BYTES).read_to_end(&mut text));
        if read.is_err() {
            return Vec::new();
        }
        String::from_utf8_lossy(&text).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// The recording is finished, and its manifest tells of everything.
    ///
    /// # Errors
    /// The disk refused. What stays is removed by the next start.
    pub(crate) fn close(&self) -> Result<(), RecordError> {
        remove(&self.path)
    }
}

/// The manifests whose ledgers are open, in no order; whether they are there, and unfinished, is another question.
pub(crate) fn open_ledgers(data_dir: &Path) -> Vec<PathBuf> {
    let folder = data_dir.join(FOLDER);
    let mut paths = Vec::new();
    json_files(&folder, true, &mut paths);
    let manifests = data_dir.join(MANIFESTS);
    paths.iter().filter_map(|path| Some(manifests.join(path.strip_prefix(&folder).ok()?))).collect()
}

/// The `.json` files in `folder` and, with `days`, in the folders in it.
pub(crate) fn json_files(folder: &Path, days: bool, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() && days {
            json_files(&path, false, paths);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_until_it_is_closed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let manifest = dir.path().join("manifests/2025-12-11/m.json");
        let ledger = Ledger::of(dir.path(), &manifest).expect("below the manifests");
        assert_eq!(ledger.files(), [] as [&str; 0]);
        assert!(ledger.open().expect("opened"));
        assert!(!ledger.open().expect("asked"), "it is another's");
        for file in ["audio/a.wav", "chat/b.jsonl"] {
            ledger.note(file).expect("noted");
        }
        assert_eq!(ledger.files(), ["audio/a.wav", "chat/b.jsonl"]);
        assert_eq!(open_ledgers(dir.path()), [manifest]);
        ledger.close().expect("closed");
        ledger.close().expect("closed already");
        assert!(open_ledgers(dir.path()).is_empty() && ledger.files().is_empty());
        assert!(Ledger::of(dir.path(), Path::new("/elsewhere/m.json")).is_none());
    }
}
