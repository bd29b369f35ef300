//! A text file that grows by whole lines.
//!
//! It is open while lines come: to open four files for each line of a transcript costs more than the line. When none has
//! come for long it is closed.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::RecordError;
use crate::files::{beside, create_private, private, reopen};
use crate::names::Claimed;
use crate::take_up::remove_left_over;

/// Most bytes that wait for a disk that refuses. Text is given up last: this is hours of talk.
const WAITING_BYTES: usize = 1024 * 1024;

/// After so many flushes in a row that had nothing to write the file is closed: after ten seconds or so of a call with
/// sound.
const IDLE_FLUSHES: u8 = 100;

/// A growing text file.
#[derive(Debug)]
pub(crate) struct AppendFile {
    path: PathBuf,
    relative: String,
    file: Option<File>,
    idle: u8,
    end: u64,
    waiting: Vec<u8>,
}

impl AppendFile {
    pub(crate) fn new(claimed: Claimed) -> Self {
        let Claimed { file, relative, path } = claimed;
        Self { path, relative, file: Some(file), idle: 0, end: 0, waiting: Vec::new() }
    }

    /// Goes on with a file of another process, behind everything in it.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn resume(path: PathBuf, relative: String) -> Result<Self, RecordError> {
        let end = fs::metadata(&path).map_err(RecordError::io("open", &path))?.len();
        remove_left_over(&path)?;
        Ok(Self { path, relative, file: None, idle: 0, end, waiting: Vec::new() })
    }

    /// The same with a file that an earlier version did not have.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn resume_or_begin(path: PathBuf, relative: String) -> Result<Self, RecordError> {
        private().create(true).truncate(false).open(&path).map_err(RecordError::io("open", &path))?;
        Self::resume(path, relative)
    }

    /// Cuts off what is behind the first `end` bytes.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn cut(&mut self, end: u64) -> Result<(), RecordError> {
        let file = self.take_open()?;
        file.set_len(end).map_err(RecordError::io("truncate", &self.path))?;
        self.file = Some(file);
        self.end = end;
        Ok(())
    }

    /// Bytes that were written whole.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Where the next line that is pushed begins.
    pub(crate) fn next(&self) -> u64 {
        self.end + self.waiting.len() as u64
    }

    /// Makes the file anew, in one step: a reader sees the old one or the new one. `write` is to write everything, what
    /// waits included.
    ///
    /// # Errors
    /// The disk refused, or `write` did; the old file is still there, and what waits goes on waiting.
    pub(crate) fn rewrite(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), RecordError> {
        let temporary = beside(&self.path);
        let written = create_private(&temporary).and_then(|file| {
            let mut writer = BufWriter::new(file);
            write(&mut writer)?;
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            let end = file.metadata()?.len();
            fs::rename(&temporary, &self.path).map(|()| (file, end))
        });
        match written {
            Ok((file, end)) => {
                self.file = Some(file);
                self.end = end;
                self.waiting = Vec::new();
                Ok(())
            }
            Err(error) => {
                // Only the cause matters; a left-over is overwritten by the next attempt.
                let _ = fs::remove_file(&temporary);
                Err(RecordError::io("replace", &self.path)(error))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn relative(&self) -> &str {
        &self.relative
    }

    /// Gives the name back, of a file that came to nothing.
    pub(crate) fn discard(&self) {
        // An empty file that stays is harmless.
        let _ = fs::remove_file(&self.path);
    }

    /// Takes text for the next flush; false when too much waits already. One text is always taken, however long.
    pub(crate) fn push(&mut self, text: &str) -> bool {
        let fits = self.waiting.is_empty() || self.waiting.len() + text.len() <= WAITING_BYTES;
        if fits {
            self.waiting.extend_from_slice(text.as_bytes());
        }
        fits
    }

    /// The same, where what waits may be written to make room.
    pub(crate) fn push_or_write(&mut self, text: &str) -> bool {
        self.push(text) || (self.flush().is_ok() && self.push(text))
    }

    /// Writes what waits, at the end of what was written whole: a line cut off by a full disk is overwritten.
    ///
    /// # Errors
    /// The disk refused; the text goes on waiting.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        if self.waiting.is_empty() {
            self.idle = self.idle.saturating_add(1);
            if self.idle >= IDLE_FLUSHES {
                self.file = None;
            }
            return Ok(());
        }
        self.idle = 0;
        // Where the disk refuses it is closed, and the next attempt opens what is there by then.
        let file = self.take_open()?;
        file.write_all_at(&self.waiting, self.end).map_err(RecordError::io("write", &self.path))?;
        self.file = Some(file);
        self.end += self.waiting.len() as u64;
        self.waiting = Vec::new();
        Ok(())
    }

    fn take_open(&mut self) -> Result<File, RecordError> {
        self.file.take().map_or_else(|| reopen(&self.path), Ok)
    }
}
