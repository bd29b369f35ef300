//! The events of a recording as JSON lines: what Zoom told on signaling and what happened to the connection, each in a
//! stable word of ours, with its place on the recording's clock and whom it is about.
//!
//! The file grows by one line an event and has no bound; of the events that the manifest repeats there is a limited number.
//! Offsets count from time zero, which may become known, or move, after the first events: then the file is made anew from
//! itself, in one step.

mod line;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rtms_protocol::UnixMillis;

pub(crate) use line::{EventLine, Who};

use crate::error::RecordError;
use crate::manifest::FileEntry;
use crate::names::Names;
use crate::take_up::TakeUp;
use crate::text::append::AppendFile;
use crate::text::readback::each_json;

/// The events file of one recording; made with the first event.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    file: Option<AppendFile>,
    /// The time zero that all offsets count from, as far as is known.
    zero: Option<UnixMillis>,
}

impl EventLog {
    /// Goes on with the file of another process.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn resume(data_dir: &Path, relative: &str) -> Result<Self, RecordError> {
        let path = TakeUp::path(data_dir, relative)?;
        let mut file = AppendFile::resume(path.clone(), relative.to_owned())?;
        let source = File::open(&path).map_err(RecordError::io("open", &path))?;
        let end = each_json(&source, |_: EventLine, _, _| Ok(())).map_err(RecordError::io("read", &path))?;
        file.cut(end)?;
        // Whatever time zero that process knew: the offsets are counted anew.
        Ok(Self { file: Some(file), zero: None })
    }

    /// Adds an event; false when too much waits for the disk.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) fn push(
        &mut self,
        names: &Names,
        zero: Option<UnixMillis>,
        line: EventLine,
    ) -> Result<bool, RecordError> {
        let file = match &mut self.file {
            Some(file) => file,
            slot => {
                self.zero = zero;
                slot.insert(AppendFile::new(names.claim("events", &names.base("events", None), "jsonl")?))
            }
        };
        Ok(line.counted_from(self.zero).to_json().is_some_and(|json| file.push(&json)))
    }

    /// Everything so far into the page cache; offsets anew where time zero has moved.
    ///
    /// # Errors
    /// The disk refused; it waits for the next time.
    pub(crate) fn flush(&mut self, zero: Option<UnixMillis>) -> Result<(), RecordError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.flush()?;
        if zero.is_none() || zero == self.zero {
            return Ok(());
        }
        let source = File::open(file.path()).map_err(RecordError::io("open", file.path()))?;
        file.rewrite(|target| {
            each_json(&source, |line: EventLine, _, _| {
                let json = line.counted_from(zero).to_json().ok_or(io::ErrorKind::InvalidData)?;
                target.write_all(json.as_bytes())
            })
            .map(|_| ())
        })?;
        self.zero = zero;
        Ok(())
    }

    /// Whether there is a file.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The file for the manifest.
    pub(crate) fn entry(&self) -> Option<FileEntry> {
        self.file.as_ref().map(|file| FileEntry { file: file.relative().to_owned(), sha256: None })
    }
}
