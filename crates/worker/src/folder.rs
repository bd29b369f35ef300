//! The data folder: made, tried, and held by one worker at a time.
//!
//! A manifest that says `recording` belongs either to this process or to one that died. That can only be told apart
//! while no other process records into the same folder, so the folder is locked for as long as the worker runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rtms_service::folder::make_private;

/// The file that is locked.
const LOCK: &str = ".lock";
/// How long a worker that is just leaving is waited for, as in a deployment.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// The folder, ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    _lock: File,
}

/// Makes the data folder where it is missing, and sees whether it can be written.
pub(crate) fn prepare(data_dir: &Path) -> Result<(), String> {
    let probe = data_dir.join(format!(".check-{}", std::process::id()));
    make_private(data_dir)
        .and_then(|()| std::fs::write(&probe, b"check"))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| {
            let folder = data_dir.display();
            format!(
                "{folder} cannot be written: {error}; choose a folder that this user may write, e.g. data"
            )
        })
}

/// Takes the folder, waiting a little for a worker that is leaving it.
pub(crate) async fn take(data_dir: &Path) -> Result<Folder, String> {
    prepare(data_dir)?;
    let path = data_dir.join(LOCK);
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(problem)?;
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Folder { _lock: lock }),
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                if began.elapsed() < PAUSE {
                    tracing::info!(folder = %data_dir.display(), "another worker still holds the data folder; waiting for it to leave");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                let folder = data_dir.display();
                return Err(format!(
                    "{folder} is in use by another worker; stop it, or give this one a folder of its own"
                ));
            }
            Err(TryLockError::Error(error)) => return Err(problem(error)),
        }
    }
}
