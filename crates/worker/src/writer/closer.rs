//! The thread on which replaced manifests are closed.
//!
//! A file that lost its name is freed when it is closed. That waits for what is being written of it, and where the file
//! system discards what it frees (ext4 with `discard` and without a journal) for the disk: milliseconds, many a second
//! while hundreds of recordings begin. No recording needs to wait for that.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Files that may wait to be closed. Beyond that the writer threads close theirs: more would come than go.
const WAITING: usize = 256;

/// Starts the thread. It ends when every sender is gone and every file is closed.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start() -> io::Result<SyncSender<File>> {
    let (closer, files) = sync_channel(WAITING);
    std::thread::Builder::new().name("closer".to_owned()).spawn(move || files.into_iter().for_each(drop))?;
    Ok(closer)
}
