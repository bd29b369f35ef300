//! L16 to WAV, streaming, valid whenever it is looked at.
//!
//! Samples are written first and the sizes in the header after them, so a reader (and the next start after a crash)
//! finds a whole file that is at most one flush behind. Silence costs nothing: it is a hole in the file.
//!
//! Written here, because the WAV crates write their header once, at the end: a file that is cut off would be broken.
//! Refuses anything but 16-bit PCM.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rtms_protocol::UnixMillis;

pub use super::header::WavSpec;
use super::header::{HEADER_BYTES, header, parse_header};
pub use super::lead::LeadCopy;
use super::note::WavNote;
use crate::error::RecordError;
use crate::files::{CHUNK_BYTES, beside, create_private, remove, reopen};

/// Most bytes gathered before they are written: a tenth of a second of the widest sound.
const BUFFER_BYTES: usize = 24 * 1024;
/// What is kept free for them at first: a tenth of a second of most sound.
const FIRST_BYTES: usize = 4 * 1024;

/// Writes one WAV file from front to end.
#[derive(Debug)]
pub struct WavWriter {
    path: PathBuf,
    spec: WavSpec,
    /// Closed while a party says nothing: a recording may have hundreds of them.
    file: Option<File>,
    buffer: Vec<u8>,
    /// Frame that the buffer begins at.
    buffer_at: u64,
    /// Frames so far, those in the buffer and silence included.
    frames: u64,
    /// Frames that the header in the file speaks of.
    in_header: u64,
    note: WavNote,
    /// A copy with silence in front that the disk would not put in the place of the file yet.
    moving: Option<LeadCopy>,
}

impl WavWriter {
    /// Begins an empty file. `file` is the one at `path`, open for reading and writing.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn create(file: File, path: PathBuf, spec: WavSpec) -> Result<Self, RecordError> {
        let note = WavNote::default();
        file.write_all_at(&header(spec, 0, note), 0).map_err(RecordError::io("write", &path))?;
        Ok(Self { file: Some(file), ..Self::at(path, spec, 0, note) })
    }

    fn at(path: PathBuf, spec: WavSpec, frames: u64, note: WavNote) -> Self {
        let buffer = Vec::new();
        Self {
            path,
            spec,
            file: None,
            buffer,
            buffer_at: frames,
            frames,
            in_header: frames,
            note,
            moving: None,
        }
    }

    /// Goes on with a file after a restart. Its length counts, not its header, which may be a flush behind; a packet
    /// that was cut off is dropped.
    ///
    /// # Errors
    /// The file cannot be opened, or is not one of ours.
    pub fn resume(path: PathBuf) -> Result<Self, RecordError> {
        let existing = open_existing(&path)?;
        let (spec, frames) = (existing.spec, existing.frames);
        existing.file.set_len(spec.offset(frames)).map_err(RecordError::io("truncate", &path))?;
        let mut writer = Self { file: Some(existing.file), ..Self::at(path, spec, frames, existing.note) };
        writer.put(&header(spec, frames, writer.note), 0)?;
        // A copy that was not finished is of no use.
        remove(&beside(&writer.path))?;
        writer.file = None;
        Ok(writer)
    }

    /// What the file says about itself.
    pub(crate) fn note(&self) -> WavNote {
        self.note
    }

    /// What the file is to say about itself; written with the sizes.
    pub(crate) fn set_note(&mut self, note: WavNote) {
        self.note = note;
    }

    /// The format.
    #[must_use]
    pub fn spec(&self) -> WavSpec {
        self.spec
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frames so far, silence included.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Takes whole frames that begin at `position`, which must not lie before [`Self::frames`]; what lies between is
    /// silence. They are in the page cache after the next [`Self::flush`] at the latest.
    ///
    /// # Errors
    /// The disk refused and the buffer is full: these frames were not taken, everything before them still is.
    pub fn write_at(&mut self, position: u64, bytes: &[u8]) -> Result<(), RecordError> {
        let continues = position == self.frames && !self.buffer.is_empty();
        if !continues || self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.write_buffer()?;
            self.buffer_at = position;
        }
        if bytes.len() > BUFFER_BYTES {
            self.put(bytes, self.spec.offset(position))?;
        } else {
            if self.buffer.capacity() == 0 {
                self.buffer.reserve_exact(FIRST_BYTES);
            }
            self.buffer.extend_from_slice(bytes);
        }
        self.frames = position + bytes.len() as u64 / self.spec.frame_bytes();
        Ok(())
    }

    /// Writes what is buffered and then the sizes. Closes a file in which nothing happened since the last time.
    ///
    /// # Errors
    /// The disk refused; nothing is lost, the next flush tries again.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        if self.frames == self.in_header && self.buffer.is_empty() {
            self.file = None;
            return Ok(());
        }
        self.write_buffer()?;
        // Of thousands of recordings few are written to at any moment: no buffer between the flushes.
        self.buffer = Vec::new();
        self.put(&header(self.spec, self.frames, self.note), 0)?;
        self.in_header = self.frames;
        Ok(())
    }

    /// Prepares a copy with `frames` of silence in front, beside the file. Nothing has changed until it is given to
    /// [`Self::adopt`]; several tracks can so be moved together or not at all.
    ///
    /// # Errors
    /// The disk refused; the file is as it was.
    pub fn copy_with_lead(&mut self, frames: u64) -> Result<LeadCopy, RecordError> {
        self.copy_to_zero(frames, self.note.zero)
    }

    /// [`Self::copy_with_lead`], where the copy says that it begins at `zero`.
    ///
    /// # Errors
    /// Those of [`Self::copy_with_lead`].
    pub(crate) fn copy_to_zero(
        &mut self,
        frames: u64,
        zero: Option<UnixMillis>,
    ) -> Result<LeadCopy, RecordError> {
        self.flush()?;
        let path = beside(&self.path);
        let note = WavNote { zero, ..self.note };
        match self.copy_shifted(&path, frames, note) {
            Ok(file) => Ok(LeadCopy { file, path, frames, note, end: 0, sequence: 0 }),
            Err(error) => {
                // Only the cause matters; a left-over copy is overwritten by the next attempt.
                let _ = fs::remove_file(&path);
                Err(RecordError::io("rewrite", &self.path)(error))
            }
        }
    }

    /// Puts a copy made by [`Self::copy_with_lead`] in the place of the file. From here on positions count from its
    /// beginning.
    ///
    /// # Errors
    /// The disk refused: it is tried again before anything else is written.
    pub fn adopt(&mut self, copy: LeadCopy) -> Result<(), RecordError> {
        self.frames += copy.frames;
        self.buffer_at = self.frames;
        self.note = copy.note;
        self.moving = Some(copy);
        self.settle()
    }

    /// Finishes a move that the disk refused before.
    fn settle(&mut self) -> Result<(), RecordError> {
        let Some(copy) = &self.moving else { return Ok(()) };
        fs::rename(&copy.path, &self.path).map_err(RecordError::io("replace", &self.path))?;
        if let Some(copy) = self.moving.take() {
            self.file = Some(copy.file);
            self.in_header += copy.frames;
        }
        Ok(())
    }

    /// Moves the file to another name that was claimed for it.
    ///
    /// # Errors
    /// The disk refused; the file keeps its name.
    pub fn rename(&mut self, path: PathBuf) -> Result<(), RecordError> {
        self.settle()?;
        fs::rename(&self.path, &path).map_err(RecordError::io("rename", &self.path))?;
        self.path = path;
        Ok(())
    }

    fn copy_shifted(&self, to: &Path, frames: u64, note: WavNote) -> io::Result<File> {
        let source = File::open(&self.path)?;
        let target = create_private(to)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut at = HEADER_BYTES;
        loop {
            let read = source.read_at(&mut chunk, at)?;
            if read == 0 {
                break;
            }
            target.write_all_at(&chunk[..read], at + frames * self.spec.frame_bytes())?;
            at += read as u64;
        }
        target.write_all_at(&header(self.spec, self.frames + frames, note), 0)?;
        Ok(target)
    }

    fn write_buffer(&mut self) -> Result<(), RecordError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.put(&buffer, self.spec.offset(self.buffer_at));
        self.buffer = buffer;
        if written.is_ok() {
            self.buffer.clear();
        }
        written
    }

    /// Writes `bytes` at `offset` of the file, which is opened where it was closed.
    fn put(&mut self, bytes: &[u8], offset: u64) -> Result<(), RecordError> {
        self.settle()?;
        let file = match &mut self.file {
            Some(file) => file,
            slot => slot.insert(reopen(&self.path)?),
        };
        let written = file.write_all_at(bytes, offset);
        if written.is_err() {
            // The volume may come back as another one: the next attempt opens the file anew.
            self.file = None;
        }
        written.map_err(RecordError::io("write", &self.path))
    }
}

/// A WAV file of ours, opened.
struct Existing {
    file: File,
    spec: WavSpec,
    note: WavNote,
    /// Frames in it, of whole packets.
    frames: u64,
}

/// Opens a WAV file of ours.
///
/// # Errors
/// It cannot be opened, or is not one of ours.
fn open_existing(path: &Path) -> Result<Existing, RecordError> {
    let mut file = reopen(path)?;
    let mut bytes = [0; HEADER_BYTES as usize];
    let foreign = |reason: &str| RecordError::Foreign { path: path.into(), reason: reason.into() };
    file.read_exact(&mut bytes).map_err(|_| foreign("shorter than a header"))?;
    let head = parse_header(&bytes).ok_or_else(|| foreign("not our WAV header"))?;
    let length = file.metadata().map_err(RecordError::io("read", path))?.len();
    let frames = head.whole(length.saturating_sub(HEADER_BYTES) / head.spec.frame_bytes());
    Ok(Existing { file, spec: head.spec, note: head.note, frames })
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    const MONO: WavSpec = WavSpec { rate: 16_000, channels: 1 };

    fn writer(dir: &Path) -> WavWriter {
        let path = dir.join("a.wav");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("new");
        WavWriter::create(file, path, MONO).expect("created")
    }

    fn samples(path: &Path) -> Vec<u8> {
        fs::read(path).expect("readable")[HEADER_BYTES as usize..].to_vec()
    }

    #[test]
    fn holes_are_silence_and_sizes_are_right_after_a_flush() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wav = writer(dir.path());
        wav.write_at(0, &[1, 0, 2, 0]).expect("taken");
        wav.write_at(4, &[3, 0]).expect("taken");
        wav.flush().expect("flushed");
        assert_eq!(samples(wav.path()), [1, 0, 2, 0, 0, 0, 0, 0, 3, 0]);
        let bytes = fs::read(wav.path()).expect("readable");
        assert_eq!(bytes[4..8], 82_u32.to_le_bytes());
        assert_eq!(bytes[76..80], 10_u32.to_le_bytes());
    }

    #[test]
    fn goes_on_after_a_crash_at_the_last_whole_frame() {
        const WRITTEN: usize = BUFFER_BYTES + 2;
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wav = writer(dir.path());
        wav.write_at(0, &vec![7; WRITTEN]).expect("taken");
        let path = wav.path().to_path_buf();
        drop(wav);
        // The samples are there, the header says 0, half a frame hangs behind.
        let file = OpenOptions::new().write(true).open(&path).expect("open");
        file.write_all_at(&[9], HEADER_BYTES + WRITTEN as u64).expect("written");
        let mut wav = WavWriter::resume(path).expect("ours");
        let frames = WRITTEN as u64 / 2;
        assert_eq!(wav.frames(), frames);
        wav.write_at(frames, &[8, 8]).expect("taken");
        wav.flush().expect("flushed");
        assert_eq!(samples(wav.path())[WRITTEN - 2..], [7, 7, 8, 8]);
    }

    #[test]
    fn a_packet_that_was_cut_off_is_dropped_whole() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wav = writer(dir.path());
        wav.write_at(0, &[1; 200]).expect("taken");
        wav.set_note(WavNote { last_length: 50, ..WavNote::default() });
        wav.flush().expect("flushed");
        let path = wav.path().to_path_buf();
        for (there, whole) in [(149, 100), (150, 150), (170, 150), (90, 90)] {
            let file = OpenOptions::new().write(true).open(&path).expect("open");
            file.set_len(MONO.offset(there)).expect("resized");
            assert_eq!(open_existing(&path).expect("ours").frames, whole, "{there}");
        }
    }

    #[test]
    fn silence_can_be_put_in_front() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wav = writer(dir.path());
        wav.write_at(0, &[1, 0]).expect("taken");
        let copy = wav.copy_with_lead(2).expect("copied");
        wav.adopt(copy).expect("replaced");
        wav.write_at(3, &[2, 0]).expect("taken");
        wav.flush().expect("flushed");
        assert_eq!(samples(wav.path()), [0, 0, 0, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn an_idle_file_is_closed_and_opened_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wav = writer(dir.path());
        wav.flush().expect("flushed");
        assert!(wav.file.is_none());
        wav.write_at(0, &[1, 0]).expect("taken");
        wav.flush().expect("flushed");
        assert_eq!(samples(wav.path()), [1, 0]);
    }

    #[test]
    fn a_refused_write_keeps_what_was_taken_before() {
        const NEARLY_FULL: usize = BUFFER_BYTES - 96;
        let dir = tempfile::tempdir().expect("tempdir");
        let mut wav = writer(dir.path());
        wav.flush().expect("flushed");
        let end = NEARLY_FULL as u64 / 2;
        wav.write_at(0, &[1; NEARLY_FULL]).expect("taken");
        let hidden = dir.path().join("hidden");
        fs::rename(wav.path(), &hidden).expect("moved away");
        assert!(wav.write_at(end, &[2; 200]).is_err_and(|error| error.is_disk()));
        assert_eq!(wav.frames(), end);
        fs::rename(&hidden, wav.path()).expect("moved back");
        wav.write_at(end + 1_000, &[3; 200]).expect("taken");
        wav.flush().expect("flushed");
        let got = samples(wav.path());
        let bytes =
            [NEARLY_FULL - 1, NEARLY_FULL, NEARLY_FULL + 1_999, NEARLY_FULL + 2_000].map(|at| got[at]);
        assert_eq!(bytes, [1, 0, 0, 3]);
    }

    #[test]
    fn foreign_files_are_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("b.wav");
        fs::write(&path, [0; 200]).expect("written");
        assert!(matches!(WavWriter::resume(path), Err(RecordError::Foreign { .. })));
    }
}
