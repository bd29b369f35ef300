//! The few file operations that every writer shares: make for this user alone, replace in one step, hash, sync.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::RecordError;

/// Bytes read at a time while a file is hashed or copied.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// Whether a file must survive a loss of power, or only one of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// In the page cache: survives the end of the process.
    Process,
    /// Synced, with its folder: survives a loss of power.
    Power,
}

/// How every file is made: readable and writable by this user alone (0600), whatever the umask lets through. To be
/// used for whatever may create a file; it opens for reading and writing.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Makes `path` anew, empty, for this user alone. What is there already goes first, and its mode with it.
///
/// # Errors
/// The disk refused.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    match private().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            private().create_new(true).open(path)
        }
        made => made,
    }
}

/// Opens a file of ours that was closed meanwhile, for reading and writing.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn reopen(path: &Path) -> Result<File, RecordError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(RecordError::io("open", path))
}

/// Makes a folder, with those above it, for this user alone (0700). One that exists keeps its mode.
///
/// # Errors
/// The disk refused.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A path beside `path` for a file that will replace it.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Does what makes a file in a folder, and where that is not there, makes the folder and does it again.
///
/// # Errors
/// Those of `make`; the folder cannot be made.
pub(crate) fn in_folder<T>(folder: &Path, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_private_folder(folder)?;
            make()
        }
        made => made,
    }
}

/// Replaces `path` by `bytes` in one step: a reader sees the old file or the new one, never a part. Returns the old one,
/// still open: whoever closes it waits for the file system to free what it held.
///
/// # Errors
/// The disk refused; the old file is still there.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
) -> Result<Option<File>, RecordError> {
    let temporary = beside(path);
    // Were it not open, the renaming would free it, and nobody else could use the folder meanwhile.
    let old = File::open(path).ok();
    let written = create_private(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        if durability == Durability::Power { file.sync_all() } else { Ok(()) }
    });
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        // The half-written file is of no use to anyone; that it cannot be removed would only hide the cause.
        let _ = fs::remove_file(&temporary);
        return Err(RecordError::io("replace", path)(error));
    }
    if durability == Durability::Power {
        sync_folder(path)?;
    }
    Ok(old)
}

/// Makes `path` of `bytes` in one step: a reader sees nothing or the whole file. `false` where there is one already. The
/// caller owns the name beside it.
///
/// # Errors
/// The disk refused; nothing is left.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> Result<bool, RecordError> {
    let temporary = beside(path);
    let folder = path.parent().unwrap_or(path);
    let written = in_folder(folder, || create_private(&temporary)).and_then(|mut file| file.write_all(bytes));
    let placed = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links: the name is empty for a moment.
        Err(_) => private().create_new(true).open(path).and_then(|_| fs::rename(&temporary, path)),
        linked => linked,
    });
    // After a renaming it is gone already. One that stays is taken away with the next replacement.
    let _ = fs::remove_file(&temporary);
    match placed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        placed => placed.map(|()| true).map_err(RecordError::io("create", path)),
    }
}

/// Makes the entry of `path` in its folder durable.
///
/// # Errors
/// The disk refused.
pub(crate) fn sync_folder(path: &Path) -> Result<(), RecordError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(RecordError::io("sync", folder))
}

/// Syncs a finished file and returns its SHA-256 in hexadecimal, reading it in small pieces.
///
/// # Errors
/// The file cannot be read or synced.
pub(crate) fn seal(path: &Path) -> Result<String, RecordError> {
    let mut file = File::open(path).map_err(RecordError::io("open", path))?;
    file.sync_all().map_err(RecordError::io("sync", path))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => hash.update(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(RecordError::io("read", path)(error)),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Removes a file; one that is gone already is fine.
///
/// # Errors
/// The disk refused.
pub(crate) fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::io("delete", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_seals() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.json");
        replace(&path, b"old", Durability::Process).expect("written");
        replace(&path, b"abc", Durability::Power).expect("written");
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(seal(&path).expect("readable"), sum);
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1, "nothing is left beside it");
        assert!(!place(&path, b"new").expect("read"), "there is one");
        assert_eq!(fs::read(&path).expect("readable"), b"abc");
        remove(&path).expect("removed");
        remove(&path).expect("gone already");
        let path = dir.path().join("folder/b.json");
        assert!(place(&path, b"new").expect("written"));
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        assert_eq!(fs::read_dir(dir.path().join("folder")).expect("dir").count(), 1);
    }
}
