//! Taking up the files of a recording that another process began.
//!
//! One file that is gone or is not ours must not cost the others: its track is set aside with a note for people, and
//! what comes of it from then on goes into a new file. A disk that refuses is another matter: it may come back, so a
//! recording that is to go on is then not taken up at all, and can be tried again.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::RecordError;
use crate::files::{beside, remove};
use crate::manifest::{TrackEntry, contained};

/// What is done about a file that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The recording goes on: a disk that refuses is an error.
    GoOn,
    /// The recording is over, this is the last chance: what can be had is taken.
    Repair,
}

/// The tracks of a stored recording while they are taken up.
#[derive(Debug)]
pub(crate) struct TakeUp<'a> {
    pub(crate) data_dir: &'a Path,
    pub(crate) purpose: Purpose,
    /// Tracks that cannot go on, as they stood in the manifest.
    pub(crate) aside: Vec<TrackEntry>,
    /// Why, for people.
    pub(crate) problems: Vec<String>,
}

impl<'a> TakeUp<'a> {
    pub(crate) fn new(data_dir: &'a Path, purpose: Purpose) -> Self {
        Self { data_dir, purpose, aside: Vec::new(), problems: Vec::new() }
    }

    /// Opens a track; `None` where it was set aside.
    ///
    /// # Errors
    /// The disk refused, and the recording is to go on.
    pub(crate) fn track<T>(
        &mut self,
        entry: &TrackEntry,
        open: impl FnOnce(&TrackEntry) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        let entry = &self.named(entry);
        match open(entry) {
            Ok(track) => Ok(Some(track)),
            Err(error) if self.purpose == Purpose::GoOn && may_pass(&error) => Err(error),
            Err(error) => {
                self.problems.push(error.to_string());
                self.aside.push(entry.clone());
                Ok(None)
            }
        }
    }

    /// The path of a file that a manifest names.
    ///
    /// # Errors
    /// It would lead out of the data folder.
    pub(crate) fn path(data_dir: &Path, file: &str) -> Result<PathBuf, RecordError> {
        contained(data_dir, file).ok_or_else(|| RecordError::Foreign {
            path: data_dir.to_path_buf(),
            reason: "the manifest names a file outside of it".to_owned(),
        })
    }

    /// Settles a renaming that was cut short: the file is under its old name or under the new one.
    fn named(&self, entry: &TrackEntry) -> TrackEntry {
        let mut entry = entry.clone();
        let Some(new) = entry.becoming.take() else { return entry };
        let paths = contained(self.data_dir, &entry.file).zip(contained(self.data_dir, &new.file));
        match paths {
            // Only the claim of the name, and empty; that it stays would be harmless.
            Some((old_path, new_path)) if old_path.exists() => drop(remove_claim(&new_path)),
            Some(_) => (entry.file, entry.name) = (new.file, new.name),
            None => {}
        }
        entry
    }
}

/// Removes a file that was claimed and never written.
fn remove_claim(path: &Path) -> Result<(), RecordError> {
    let is_empty = path.metadata().is_ok_and(|claim| claim.len() == 0);
    if is_empty { remove(path) } else { Ok(()) }
}

/// Whether a later attempt may succeed.
pub(crate) fn may_pass(error: &RecordError) -> bool {
    matches!(error, RecordError::Io { source, .. } if source.kind() != io::ErrorKind::NotFound)
}

/// Removes what a process that died in the midst of replacing `path` left beside it.
///
/// # Errors
/// The disk refused.
pub(crate) fn remove_left_over(path: &Path) -> Result<(), RecordError> {
    remove(&beside(path))
}
