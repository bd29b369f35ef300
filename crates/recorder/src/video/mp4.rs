//! H.264 pictures to MP4, streaming, valid whenever it is looked at, seekable at the end.
//!
//! While it grows the file is fragmented: each second's pictures are appended with one write, so a reader finds whole
//! fragments, and what a dying process left incomplete is at the very end, where every reader ignores it. At the end
//! an ordinary `moov` with the whole table is appended, and one write of 16 bytes turns everything before it into a
//! single `mdat`. So the finished file is an ordinary MP4 that every player seeks in, made without copying a picture
//! (no second gigabyte on the disk, no time), which is why this was preferred to an `mfra` index and to a remux. Sound is
//! appended in the same step, see [`super::sound`].
//!
//! Only the last picture is held back, because its duration is known when the next one comes; one that gets old is
//! written with the duration of the one before. Pictures of the same time are held back together and share the time
//! until the next one evenly. Refuses times that go back.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mp4_atom::{Codec, Moov};

use super::boxes::{Sample, encoded, fragment, fragmented_moov, ftyp, indexed_moov, with_sound};
use super::index::{self, Index};
use super::parameter_sets::ParameterSets;
use super::sound::SoundTable;
use crate::error::RecordError;

/// Bytes of pictures after which a fragment is written without waiting for the flush.
const FRAGMENT_BYTES: usize = 64 * 1024;
/// Bytes of pictures that wait for a disk that refuses; then they are given up.
const WAITING_BYTES: usize = 1024 * 1024;
/// Most bytes of pictures of the same time that are held back.
const HELD_BYTES: usize = 16 * 1024 * 1024;
/// How long the last picture is held back, ms.
const HOLD_MS: i64 = 1_000;
/// Duration of a picture of which nothing better is known, ms.
const DEFAULT_DURATION_MS: u32 = 40;
/// The place that becomes the header of the `mdat`: an empty `free` box of 16 bytes.
const PLACEHOLDER: [u8; 16] = *b"\0\0\0\x10free\0\0\0\0\0\0\0\0";
/// What that header begins with; the size follows.
const FINISHED: &[u8; 8] = b"\0\0\0\x01mdat";

/// Writes one MP4 file.
#[derive(Debug)]
pub(crate) struct Mp4Writer {
    path: PathBuf,
    /// Opened anew after the disk refused: the volume may come back as another one.
    file: Option<File>,
    /// Where the placeholder lies.
    placeholder: u64,
    /// Where the next fragment goes.
    end: u64,
    sequence: u32,
    bytes: Vec<u8>,
    samples: Vec<Sample>,
    /// How many of the last samples have the last time.
    group: usize,
    /// When the last picture came, our clock, ms.
    last_arrival: i64,
    last_duration: u32,
    /// Time of the last picture, pushed or written, ms.
    last_at: Option<u64>,
    given_up: u64,
}

/// What a file holds that is gone on with.
#[derive(Debug)]
pub(crate) struct Held {
    /// The parameter sets in force at its end.
    pub(crate) sets: ParameterSets,
    pub(crate) pictures: u64,
    /// Of all pictures.
    pub(crate) bytes: u64,
}

impl Mp4Writer {
    /// Begins a file for pictures of `entry`. `file` is the empty one at `path`, open for reading and writing.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn create(file: File, path: PathBuf, entry: Codec) -> Result<Self, RecordError> {
        let mut front = boxed(&path, encoded(&ftyp()))?;
        let placeholder = front.len() as u64;
        front.extend_from_slice(&PLACEHOLDER);
        front.extend(boxed(&path, encoded(&fragmented_moov(entry)))?);
        file.write_all_at(&front, 0).map_err(RecordError::io("write", &path))?;
        Ok(Self { placeholder, end: front.len() as u64, ..Self::at(file, path) })
    }

    /// Goes on with a file after a restart, behind its last complete fragment; one that was finished becomes one that
    /// grows again. Also returns what the file holds.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours.
    pub(crate) fn resume(path: &Path) -> Result<(Self, Held), RecordError> {
        let file = open(path)?;
        let placeholder = boxed(path, encoded(&ftyp()))?.len() as u64;
        let foreign = |reason: &str| RecordError::Foreign { path: path.to_path_buf(), reason: reason.into() };
        let io = |action| RecordError::io(action, path);
        let mut found = [0; PLACEHOLDER.len()];
        file.read_exact_at(&mut found, placeholder).map_err(|_| foreign("shorter than a header"))?;
        if found[..8] == *FINISHED {
            // The fragments are all there, and behind them the table, which is made again in the end.
            let [.., a, b, c, d, e, f, g, h] = found;
            let end = placeholder.saturating_add(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
            file.write_all_at(&PLACEHOLDER, placeholder).map_err(io("write"))?;
            file.set_len(end).map_err(io("truncate"))?;
        } else if found != PLACEHOLDER {
            return Err(foreign("not one of our MP4s"));
        }
        let index = index::read(&file).map_err(io("read"))?;
        let Some(entry) = &index.entry else { return Err(foreign("no moov at its beginning")) };
        file.set_len(index.end).map_err(io("truncate"))?;
        let held = Held {
            sets: sets(&file, entry, &index),
            pictures: index.samples.len() as u64,
            bytes: index.samples.iter().map(|sample| u64::from(sample.size)).sum(),
        };
        let last = index.samples.last();
        let writer = Self {
            placeholder,
            end: index.end,
            sequence: u32::try_from(index.chunks.len()).unwrap_or(u32::MAX),
            last_duration: last.map_or(DEFAULT_DURATION_MS, |sample| sample.duration),
            last_at: last.map(|sample| sample.at),
            ..Self::at(file, path.to_path_buf())
        };
        Ok((writer, held))
    }

    fn at(file: File, path: PathBuf) -> Self {
        Self {
            path,
            file: Some(file),
            placeholder: 0,
            end: 0,
            sequence: 0,
            bytes: Vec::new(),
            samples: Vec::new(),
            group: 0,
            last_arrival: 0,
            last_duration: DEFAULT_DURATION_MS,
            last_at: None,
            given_up: 0,
        }
    }

    /// Pictures given up since this was last asked.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// When the last picture is shown, ms after the first.
    pub(crate) fn last_at(&self) -> Option<u64> {
        self.last_at
    }

    /// Length so far, ms, the last picture included.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.last_at.map_or(0, |at| at + u64::from(self.last_duration))
    }

    /// Takes a picture shown at `at` (ms after the first, later than the last one) that arrived at `arrival`
    /// (our clock, ms).
    ///
    /// # Errors
    /// The disk refused for so long that waiting pictures were given up; go on with a key frame.
    pub(crate) fn push(
        &mut self,
        at: u64,
        arrival: i64,
        key: bool,
        picture: &[u8],
    ) -> Result<(), RecordError> {
        // Later than the last one, but pictures of one time may have been written further apart than they were.
        let at = self.last_at.map_or(at, |last| at.max(last + u64::from(self.group > 0)));
        self.settle(at);
        if self.bytes.len() + picture.len() > FRAGMENT_BYTES
            && let Err(error) = self.write_fragment(self.samples.len())
            && self.bytes.len() + picture.len() > WAITING_BYTES
        {
            self.given_up += self.samples.len() as u64;
            self.bytes = Vec::new();
            self.samples.clear();
            self.group = 0;
            return Err(error);
        }
        self.hold(at, key, picture);
        self.group = 1;
        self.last_at = Some(at);
        self.last_arrival = arrival;
        Ok(())
    }

    /// Takes a further picture of the time of the last one; false where that is written already, or enough is held.
    pub(crate) fn push_beside(&mut self, key: bool, picture: &[u8]) -> bool {
        let Some(at) = self.last_at.filter(|_| self.holds_last()) else { return false };
        if self.bytes.len() + picture.len() > HELD_BYTES {
            return false;
        }
        self.hold(at, key, picture);
        self.group += 1;
        true
    }

    /// Whether the pictures of the last time can still be changed.
    pub(crate) fn holds_last(&self) -> bool {
        self.group > 0 && self.samples.len() >= self.group
    }

    /// Takes the pictures back that are shown at `at`, where there are any, to be pushed again in another form: how
    /// many bytes those were.
    pub(crate) fn take_back_at(&mut self, at: u64) -> u64 {
        if !self.holds_last() || self.last_at != Some(at) {
            return 0;
        }
        let rest = self.samples.len() - self.group;
        let bytes: usize = self.samples.drain(rest..).map(|sample| sample.size as usize).sum();
        self.bytes.truncate(self.bytes.len().saturating_sub(bytes));
        self.group = 0;
        bytes as u64
    }

    fn hold(&mut self, at: u64, key: bool, picture: &[u8]) {
        let size = u32::try_from(picture.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(picture);
        self.samples.push(Sample { at, duration: self.last_duration, size, key });
    }

    /// The pictures of the last time last until `next`, ms after the first.
    fn settle(&mut self, next: u64) {
        let (Some(base), true) = (self.last_at, self.holds_last()) else { return };
        let whole = u64::from(u32::try_from(next.saturating_sub(base)).unwrap_or(u32::MAX));
        let count = self.group as u64;
        let first = self.samples.len() - self.group;
        for (n, sample) in (0..).zip(&mut self.samples[first..]) {
            sample.at = base + whole * n / count;
            let end = base + whole * (n + 1) / count;
            sample.duration = u32::try_from(end - sample.at).unwrap_or(u32::MAX);
        }
        self.last_duration = u32::try_from(whole / count).unwrap_or(u32::MAX).min(HOLD_MS as u32);
    }

    /// Writes every picture whose duration is known, and the last one when it is old at `now` (our clock, ms).
    ///
    /// # Errors
    /// The disk refused; the pictures wait for the next time.
    pub(crate) fn flush(&mut self, now: i64) -> Result<(), RecordError> {
        let old = now.saturating_sub(self.last_arrival) > HOLD_MS;
        if old {
            return self.flush_all();
        }
        self.write_fragment(self.samples.len().saturating_sub(self.group))
    }

    /// Writes every picture, those of the last time with the duration of the one before.
    ///
    /// # Errors
    /// The disk refused; the pictures wait for the next time.
    pub(crate) fn flush_all(&mut self) -> Result<(), RecordError> {
        if self.group > 1 && self.holds_last() {
            let last = self.last_at.unwrap_or(0);
            self.settle(last + u64::from(self.last_duration) * self.group as u64);
            self.last_at = self.samples.last().map(|sample| sample.at);
        }
        self.write_fragment(self.samples.len())
    }

    /// Writes the rest and makes the file an ordinary MP4, with the Ogg Opus file `sound` as its sound, where there is
    /// one; the pictures begin so many ms after it.
    ///
    /// # Errors
    /// The disk refused; the file is still a valid fragmented one. Where only the sound could not be had, it is an
    /// ordinary one without.
    pub(crate) fn finish(&mut self, sound: Option<(&Path, i64)>) -> Result<(), RecordError> {
        self.flush_all()?;
        let file = open(&self.path)?;
        let io = |error| RecordError::io("finish", &self.path)(error);
        file.set_len(self.end).map_err(io)?;
        let index = index::read(&file).map_err(io)?;
        let Some(entry) = index.entry else {
            return Err(RecordError::Foreign { path: self.path.clone(), reason: "its moov is gone".into() });
        };
        let moov = indexed_moov(entry, &index.samples, &index.chunks);
        let Some((ogg, offset)) = sound else { return self.complete(&file, self.end, &moov) };
        match SoundTable::append(&file, &self.path, self.end, ogg) {
            Ok((end, table)) => self.complete(&file, end, &with_sound(moov, table, offset)),
            Err(error) => {
                file.set_len(self.end).map_err(io)?;
                self.complete(&file, self.end, &moov).and(Err(error))
            }
        }
    }

    /// Writes the table at `end`, and makes all before it the one `mdat` that it speaks of.
    fn complete(&self, file: &File, end: u64, moov: &Moov) -> Result<(), RecordError> {
        let io = |error| RecordError::io("finish", &self.path)(error);
        let table = boxed(&self.path, encoded(moov))?;
        file.write_all_at(&table, end).map_err(io)?;
        // The table must be on the disk before the header makes it the only one.
        file.sync_data().map_err(io)?;
        let mut header = [0; PLACEHOLDER.len()];
        header[..8].copy_from_slice(FINISHED);
        header[8..].copy_from_slice(&(end - self.placeholder).to_be_bytes());
        file.write_all_at(&header, self.placeholder).map_err(io)
    }

    /// Appends the first `count` waiting pictures with one write.
    fn write_fragment(&mut self, count: usize) -> Result<(), RecordError> {
        let Some(samples) = self.samples.get(..count).filter(|samples| !samples.is_empty()) else {
            return Ok(());
        };
        let size: usize = samples.iter().map(|sample| sample.size as usize).sum();
        let mut out = boxed(&self.path, fragment(self.sequence + 1, samples))?;
        out.extend_from_slice(&self.bytes[..size.min(self.bytes.len())]);
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        if let Err(error) = file.write_all_at(&out, self.end) {
            self.file = None;
            return Err(RecordError::io("write", &self.path)(error));
        }
        self.end += out.len() as u64;
        self.sequence += 1;
        self.samples.drain(..count);
        self.bytes.drain(..size.min(self.bytes.len()));
        self.bytes.shrink_to(FRAGMENT_BYTES);
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, RecordError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(RecordError::io("open", path))
}

/// The parameter sets of the sample entry, and those that the last key frame brought.
fn sets(file: &File, entry: &Codec, index: &Index) -> ParameterSets {
    let mut sets = ParameterSets::default();
    if let Codec::Avc1(avc1) = entry {
        let (sps, pps) = (&avc1.avcc.sequence_parameter_sets, &avc1.avcc.picture_parameter_sets);
        sps.iter().chain(pps).for_each(|unit| sets.learn(unit));
    }
    if let Some((at, size)) = index.last_key_frame() {
        let mut sample = vec![0; usize::try_from(size).unwrap_or(0)];
        // A picture that cannot be read has no say: the next key frame brings its own sets.
        if file.read_exact_at(&mut sample, at).is_ok() {
            sets.learn_sample(&sample);
        }
    }
    sets
}

fn boxed(path: &Path, encoded: mp4_atom::Result<Vec<u8>>) -> Result<Vec<u8>, RecordError> {
    encoded.map_err(|error| RecordError::Foreign { path: path.into(), reason: error.to_string() })
}
