//! File names: what Zoom calls a thing, made safe, short and unique.
//!
//! Every part that comes from the wire is reduced to `[A-Za-z0-9_]`, so no id and no user name can leave the data
//! folder; long ones are cut and kept distinct by a hash. A name that is taken gets `_2`, `_3`, …: nothing is ever
//! overwritten, because files are claimed with `create_new`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rtms_protocol::{StreamIdentity, UnixMillis};
use sha2::{Digest, Sha256};

use crate::error::RecordError;
use crate::files::{in_folder, private};
use crate::ledger::{Ledger, MANIFESTS};

/// Longest id in a file name, bytes.
const ID_BYTES: usize = 96;
/// Longest party name in a file name, bytes. Together with the rest this stays below the 255 that file systems hold.
const NAME_BYTES: usize = 64;
/// Numbered names that are tried before giving up.
const NUMBERS_TRIED: u32 = 10_000;

/// Whether recordings of one day get their own folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partition {
    /// All files of a kind in one folder.
    #[default]
    None,
    /// A `YYYY-MM-DD` folder (UTC, of the start) under each kind.
    Date,
}

/// Makes the names of one recording's files.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    data_dir: PathBuf,
    date: Option<String>,
    stem: String,
    /// Where claimed names are written down before they are used.
    ledger: Option<Ledger>,
}

/// A file that was claimed: open, empty, and at a path nobody else has.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// Open for reading and writing.
    pub(crate) file: File,
    /// Relative to the data folder, with `/`.
    pub(crate) relative: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Claimed {
    /// Begins a file at the claimed name. Where that fails the name is given back: a full disk must not be littered
    /// with an empty file for each packet that comes.
    ///
    /// # Errors
    /// Those of `begin`.
    pub(crate) fn begin<T>(
        self,
        begin: impl FnOnce(File, PathBuf) -> Result<T, RecordError>,
    ) -> Result<(T, String), RecordError> {
        match begin(self.file, self.path.clone()) {
            Ok(begun) => Ok((begun, self.relative)),
            Err(error) => {
                // Only the cause matters; an empty file that stays is harmless.
                let _ = fs::remove_file(&self.path);
                Err(error)
            }
        }
    }
}

impl Names {
    pub(crate) fn new(
        data_dir: PathBuf,
        partition: Partition,
        identity: &StreamIdentity,
        start: UnixMillis,
    ) -> Self {
        let date = (partition == Partition::Date).then(|| sanitized(&start.date(), 16).replace('_', "-"));
        let stamp = start.file_stamp();
        let stem = format!("{}_{}_{stamp}", identity.product.kind(), sanitized(&identity.id, ID_BYTES));
        Self { data_dir, date, stem, ledger: None }
    }

    /// Writes every name that is claimed from now on into `ledger`.
    pub(crate) fn keep(&mut self, ledger: Option<Ledger>) {
        self.ledger = ledger;
    }

    /// Where claimed names are written down.
    pub(crate) const fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// `PREFIX_KIND_ID_TS` or `PREFIX_KIND_ID_TS_NAME`.
    pub(crate) fn base(&self, prefix: &str, name: Option<&str>) -> String {
        match name {
            None => format!("{prefix}_{}", self.stem),
            Some(name) => format!("{prefix}_{}_{}", self.stem, sanitized(name, NAME_BYTES)),
        }
    }

    /// Claims the first free of `folder/base.ext`, `folder/base_2.ext`, ….
    ///
    /// # Errors
    /// The folder cannot be made, or the file cannot be created or written down.
    pub(crate) fn claim(&self, folder: &str, base: &str, ext: &str) -> Result<Claimed, RecordError> {
        let relative_folder = self.folder(folder);
        let absolute = self.data_dir.join(&relative_folder);
        let mut last = absolute.clone();
        for number in 1..=NUMBERS_TRIED {
            let name = numbered(base, number, ext);
            let path = absolute.join(&name);
            match in_folder(&absolute, || private().create_new(true).open(&path)) {
                Ok(file) => {
                    let relative = format!("{relative_folder}/{name}");
                    if let Some(ledger) = &self.ledger {
                        // A file that nobody would find is not to be filled.
                        ledger.note(&relative).inspect_err(|_| drop(fs::remove_file(&path)))?;
                    }
                    return Ok(Claimed { file, relative, path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = path,
                Err(error) => return Err(RecordError::io("create", &path)(error)),
            }
        }
        Err(every_name_is_taken(&last))
    }

    /// Claims the first free name of a manifest by opening its ledger, which keeps what is claimed from then on, and has
    /// `place` make it there, if nothing is there yet.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn claim_manifest(
        &mut self,
        place: impl Fn(&Path) -> Result<bool, RecordError>,
    ) -> Result<PathBuf, RecordError> {
        let folder = self.data_dir.join(self.folder(MANIFESTS));
        for number in 1..=NUMBERS_TRIED {
            let path = folder.join(numbered(&self.stem, number, "json"));
            let Some(ledger) = Ledger::of(&self.data_dir, &path) else { break };
            if path.symlink_metadata().is_ok() || !ledger.open()? {
                continue;
            }
            match place(&path) {
                Ok(true) => {
                    self.ledger = Some(ledger);
                    return Ok(path);
                }
                Ok(false) => ledger.close()?,
                Err(error) => {
                    // Only the cause matters; the next start removes an empty ledger.
                    let _ = ledger.close();
                    return Err(error);
                }
            }
        }
        Err(every_name_is_taken(&folder))
    }

    fn folder(&self, folder: &str) -> String {
        match &self.date {
            Some(date) => format!("{folder}/{date}"),
            None => folder.to_owned(),
        }
    }
}

fn numbered(base: &str, number: u32, ext: &str) -> String {
    if number == 1 { format!("{base}.{ext}") } else { format!("{base}_{number}.{ext}") }
}

fn every_name_is_taken(path: &Path) -> RecordError {
    RecordError::io("create", path)(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "every numbered name is taken",
    ))
}

/// `text` with every character outside `[A-Za-z0-9]` turned into `_`, at most `limit` bytes (24 or more).
///
/// A longer one keeps its beginning and ends in 16 hexadecimal digits of its SHA-256, so that it stays distinct.
pub(crate) fn sanitized(text: &str, limit: usize) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(limit + 1).collect();
    if clean.is_empty() {
        return "_".to_owned();
    }
    if clean.len() <= limit {
        return clean;
    }
    let digest: String =
        Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let keep = limit.saturating_sub(digest.len() + 1);
    format!("{}_{digest}", &clean[..keep])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtms_protocol::Product;

    use super::*;

    fn names(dir: &Path, id: &str) -> Names {
        let identity =
            StreamIdentity { product: Product::ContactCenter, id: id.into(), stream_id: "s".into() };
        Names::new(dir.into(), Partition::None, &identity, UnixMillis(1_765_449_000_000))
    }

    #[test]
    fn ids_become_safe_and_taken_names_get_numbers() {
        let dir = tempfile::tempdir().expect("tempdir");
        let names = names(dir.path(), "../a/b==");
        let base = names.base("audio", None);
        assert_eq!(base, "audio_engagement____a_b___2025-12-11T10-30-00-000Z");
        let first = names.claim("audio", &base, "wav").expect("free");
        let second = names.claim("audio", &base, "wav").expect("free");
        assert_eq!(first.relative, format!("audio/{base}.wav"));
        assert_eq!(second.relative, format!("audio/{base}_2.wav"));
    }

    #[test]
    fn a_name_that_could_not_be_used_is_given_back() {
        let dir = tempfile::tempdir().expect("tempdir");
        let names = names(dir.path(), "a");
        let refused = |_, path: PathBuf| -> Result<(), _> {
            Err(RecordError::io("write", &path)(io::ErrorKind::StorageFull.into()))
        };
        let claimed = names.claim("audio", "x", "wav").expect("free");
        assert!(claimed.begin(refused).is_err());
        assert_eq!(names.claim("audio", "x", "wav").expect("free again").relative, "audio/x.wav");
    }

    #[test]
    fn a_date_makes_a_folder() {
        let dir = tempfile::tempdir().expect("tempdir");
        let identity = StreamIdentity { product: Product::Meeting, id: "m".into(), stream_id: "s".into() };
        let names = Names::new(dir.path().into(), Partition::Date, &identity, UnixMillis(1_765_449_000_000));
        let claimed = names.claim("chat", &names.base("chat", Some("Zoë")), "jsonl").expect("free");
        assert_eq!(claimed.relative, "chat/2025-12-11/chat_meeting_m_2025-12-11T10-30-00-000Z_Zo_.jsonl");
    }

    #[test]
    fn long_ids_stay_distinct() {
        let (a, b) = ("x".repeat(500), "x".repeat(499));
        assert_ne!(sanitized(&a, ID_BYTES), sanitized(&b, ID_BYTES));
        assert_eq!(sanitized(&a, ID_BYTES).len(), ID_BYTES);
    }

    proptest! {
        #[test]
        fn no_name_escapes(id in ".*", name in ".*", start in any::<i64>()) {
            let identity = StreamIdentity { product: Product::VideoSdk, id, stream_id: String::new() };
            let names = Names::new("/data".into(), Partition::Date, &identity, UnixMillis(start));
            let base = names.base("transcript", Some(&name));
            let whole = format!("{base}_10000.jsonl.tmp");
            prop_assert!(whole.len() <= 255, "{}", whole.len());
            prop_assert!(whole.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)), "{whole}");
            let folder = names.folder("transcripts");
            prop_assert!(folder.chars().all(|c| c.is_ascii_alphanumeric() || "-/".contains(c)), "{folder}");
        }
    }
}
