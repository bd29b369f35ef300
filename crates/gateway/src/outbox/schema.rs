//! The outbox's file: who may read it, its tables, how it is opened.
//!
//! A folder that is made here is 0700, and the file is 0600: bodies hold engagement ids and media URLs. The
//! connection holds the file alone, so that two gateways on one folder cannot deliver everything twice.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rtms_service::folder::make_private;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// The file's name below the data folder.
const FILE: &str = "outbox.sqlite3";
/// The version of the tables below.
const VERSION: i64 = 1;
/// How long to wait for a gateway that is just leaving the file.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        stream TEXT NOT NULL,
        action INTEGER NOT NULL,
        event_ts INTEGER NOT NULL,
        received INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX event_of_stream ON event (stream, id);
    CREATE TABLE stream (
        stream TEXT PRIMARY KEY,
        worker TEXT,
        confirmed INTEGER NOT NULL DEFAULT 0,
        stopped_ts INTEGER,
        seen INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX stream_seen ON stream (seen);
    CREATE TABLE digest (digest BLOB PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX digest_received ON digest (received);
    CREATE TABLE upkeep (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);
";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be made or written.
    #[error("{} cannot be written: {source}", path.display())]
    Folder {
        /// What was tried.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process holds the file.
    #[error("{} is in use by another gateway", .0.display())]
    InUse(PathBuf),
    /// A newer gateway wrote it.
    #[error("{} has layout {found}, this gateway knows {VERSION}; start the newer one or move the file away", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout's version.
        found: i64,
    },
    /// SQLite refuses it.
    #[error("{} cannot be opened: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

/// Makes the folder and the file where they are missing, opens it for this process alone.
///
/// # Errors
/// One line for the operator.
pub(super) fn open(folder: &Path) -> Result<Connection, OpenError> {
    let path = folder.join(FILE);
    make_private(folder).map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    private_file(&path).map_err(|source| OpenError::Folder { path: path.clone(), source })?;
    let connection = connect(&path).map_err(|source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            OpenError::InUse(path.clone())
        }
        _ => OpenError::Database { path: path.clone(), source },
    })?;
    let problem = |source| OpenError::Database { path: path.clone(), source };
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).map_err(problem)? {
        VERSION => {}
        0 => connection
            .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))
            .map_err(problem)?,
        found => return Err(OpenError::Newer { path, found }),
    }
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // Exclusive before WAL: the index of the log then lives in memory, and no second process comes in.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The rest of the file system may be read-only.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A delivered body is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    // Plans that do not look at the bound values. Otherwise a cached statement whose plan might depend on one is compiled
    // anew for each: the one for a stream's next event was, at a multiple of what it takes to run it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Takes the lock now, not at the first event.
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT;")?;
    Ok(connection)
}

/// SQLite gives its side files the mode of the main file, so that one is made first.
fn private_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}
