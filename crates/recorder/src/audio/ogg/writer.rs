//! Writes one Ogg Opus file from front to end, whole after every page.
//!
//! Packets gather in a page, which is appended with one write; a process that dies leaves at worst one page that is cut
//! off, which players pass over and the next process takes away. Silence is written as packets of silence, three bytes
//! for 20 ms, because no player fills a hole between granule positions.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rtms_codec::packet;

use super::head::{NOTE_PAGE_AT, head_page, note_page, read_head};
use super::page::{END, PageHead, SEGMENTS, push_segments, segments_of};
use super::pages::{Page, Pages};
use super::{MOST_HOLE, PRE_SKIP};
use crate::audio::format::OPUS_GRAIN;
use crate::audio::header::WavSpec;
use crate::audio::lead::LeadCopy;
use crate::audio::note::WavNote;
use crate::error::RecordError;
use crate::files::{beside, create_private, remove, reopen};

/// Bytes of packets gathered before they are written. Small, because thousands of tracks are open at once.
const BUFFER_BYTES: usize = 4096;
/// Bytes of silence that are written at a time.
const SILENCE_BYTES: usize = 64 * 1024;
/// Frames of the packet that closes a finished file.
const CLOSING_FRAMES: u32 = 480;

/// Writes one Ogg Opus file.
#[derive(Debug)]
pub(crate) struct OggWriter {
    path: PathBuf,
    channels: u16,
    serial: u32,
    /// Closed while a party says nothing: a recording may have hundreds of them.
    file: Option<File>,
    /// Where the next page goes, bytes.
    end: u64,
    /// The next page's number.
    sequence: u32,
    /// Whether something lies behind `end`, from a write that the disk refused halfway.
    torn: bool,
    segments: Vec<u8>,
    body: Vec<u8>,
    /// Frames so far, those in the buffer and silence included.
    frames: u64,
    note: WavNote,
    /// The note that is in the file.
    noted: WavNote,
    /// A copy with silence in front that the disk would not put in the place of the file yet.
    moving: Option<LeadCopy>,
}

impl OggWriter {
    /// Begins an empty file. `file` is the one at `path`, open for reading and writing.
    ///
    /// # Errors
    /// The head cannot be written.
    pub(crate) fn create(file: File, path: PathBuf, channels: u16) -> Result<Self, RecordError> {
        let serial = serial(&path);
        let mut writer = Self { file: Some(file), ..Self::at(path, channels, serial) };
        let mut head = head_page(serial, channels);
        head.extend(note_page(serial, writer.note));
        writer.append(&head)?;
        Ok(writer)
    }

    fn at(path: PathBuf, channels: u16, serial: u32) -> Self {
        Self {
            path,
            channels,
            serial,
            file: None,
            end: 0,
            sequence: 2,
            torn: false,
            segments: Vec::new(),
            body: Vec::new(),
            frames: 0,
            note: WavNote::default(),
            noted: WavNote::default(),
            moving: None,
        }
    }

    /// Goes on with a file after a restart: behind its last whole page of sound. A page that was cut off, and the end
    /// of a file that had been finished, are taken away.
    ///
    /// # Errors
    /// The file cannot be opened, or is not one of ours.
    pub(crate) fn resume(path: PathBuf) -> Result<Self, RecordError> {
        // A file that is gone must be known as such, before it is called foreign.
        File::open(&path).map_err(RecordError::io("open", &path))?;
        let (mut pages, mut page) = (Pages::open(&path), Page::default());
        let Some(head) = read_head(&mut pages, &mut page)? else {
            return Err(RecordError::Foreign { path, reason: "not our Ogg Opus head".to_owned() });
        };
        let mut writer = Self::at(path, head.channels, head.serial);
        (writer.note, writer.noted) = (head.note, head.note);
        writer.end = page.span.1;
        while pages.next(&mut page)? {
            let passed = page.head.granule.checked_sub(writer.frames);
            if passed.is_some_and(|passed| (1..=MOST_HOLE).contains(&passed))
                && page.head.serial == head.serial
                && page.head.flags & END == 0
            {
                writer.frames = page.head.granule;
                writer.sequence = page.head.sequence.wrapping_add(1);
                writer.end = page.span.1;
            }
        }
        let file = reopen(&writer.path)?;
        file.set_len(writer.end).map_err(RecordError::io("truncate", &writer.path))?;
        writer.file = None;
        // A copy that was not finished is of no use.
        remove(&beside(&writer.path))?;
        Ok(writer)
    }

    /// What the file says about itself.
    pub(crate) fn note(&self) -> WavNote {
        self.note
    }

    /// What the file is to say about itself, from the next flush on.
    pub(crate) fn set_note(&mut self, note: WavNote) {
        self.note = note;
    }

    /// Rate and channels.
    pub(crate) fn spec(&self) -> WavSpec {
        WavSpec { rate: 48_000, channels: self.channels }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Frames so far, silence included.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Takes a packet of `frames` that begins at `position`, which must not lie before [`Self::frames`]; what lies
    /// between is silence, in whole pieces of 2.5 ms. It is in the page cache after the next [`Self::flush`].
    ///
    /// # Errors
    /// The disk refused: this packet was not taken, everything before it still is.
    pub(crate) fn write(&mut self, position: u64, packet: &[u8], frames: u64) -> Result<(), RecordError> {
        let silence = position.saturating_sub(self.frames) / OPUS_GRAIN * OPUS_GRAIN;
        if silence > 0 {
            self.write_page()?;
            self.write_silence(silence)?;
        }
        let full = self.segments.len() + segments_of(packet.len()) > SEGMENTS;
        if full || self.body.len() + packet.len() > BUFFER_BYTES {
            self.write_page()?;
        }
        push_segments(packet.len(), &mut self.segments);
        self.body.extend_from_slice(packet);
        self.frames += frames;
        Ok(())
    }

    /// Writes the page so far, and the note where it changed. Closes a file in which nothing happened since the last
    /// time.
    ///
    /// # Errors
    /// The disk refused; nothing is lost, the next flush tries again.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        if self.segments.is_empty() && self.note == self.noted && self.moving.is_none() {
            self.file = None;
            return Ok(());
        }
        self.settle()?;
        self.write_page()?;
        if self.note != self.noted {
            let page = note_page(self.serial, self.note);
            self.put(&page, NOTE_PAGE_AT)?;
            self.noted = self.note;
        }
        self.body.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    /// Ends the file with a last packet that pushes the decoder's delay out. A later [`Self::resume`] takes it away.
    ///
    /// # Errors
    /// The disk refused: the file plays all the same.
    pub(crate) fn close(&mut self) -> Result<(), RecordError> {
        let silence = packet::silence(CLOSING_FRAMES, self.channels);
        self.close_with(&silence, self.frames)
    }

    /// Ends the file with `packet` as its last one, so that a player plays `frames` in all.
    ///
    /// # Errors
    /// The disk refused: the file plays all the same.
    pub(crate) fn close_with(&mut self, packet: &[u8], frames: u64) -> Result<(), RecordError> {
        self.flush()?;
        let (mut segments, mut out) = (Vec::new(), Vec::new());
        push_segments(packet.len(), &mut segments);
        self.page_head(END, frames + u64::from(PRE_SKIP)).write(&segments, packet, &mut out);
        self.append(&out)?;
        self.file = None;
        Ok(())
    }

    /// Prepares a copy with about `frames` of silence in front, beside the file; see [`LeadCopy::frames`]. Nothing has
    /// changed until it is given to [`Self::adopt`].
    ///
    /// # Errors
    /// The disk refused; the file is as it was.
    pub(crate) fn copy_to_zero(&mut self, frames: u64, note: WavNote) -> Result<LeadCopy, RecordError> {
        self.flush()?;
        let path = beside(&self.path);
        let frames = (frames + OPUS_GRAIN / 2) / OPUS_GRAIN * OPUS_GRAIN;
        self.copy_shifted(&path, frames, note).inspect_err(|_| {
            // Only the cause matters; a left-over copy is overwritten by the next attempt.
            let _ = fs::remove_file(&path);
        })
    }

    fn copy_shifted(&self, path: &Path, frames: u64, note: WavNote) -> Result<LeadCopy, RecordError> {
        let file = create_private(path).map_err(RecordError::io("create", path))?;
        let mut copy =
            Self { file: Some(file), note, ..Self::at(path.to_path_buf(), self.channels, self.serial) };
        let mut head = head_page(self.serial, self.channels);
        head.extend(note_page(self.serial, note));
        copy.append(&head)?;
        copy.write_silence(frames)?;
        let (mut pages, mut page, mut out) = (Pages::open(&self.path), Page::default(), Vec::new());
        while pages.next(&mut page)? {
            if page.span.1 > self.end || page.head.sequence < 2 {
                continue;
            }
            let granule = page.head.granule + frames;
            out.clear();
            copy.page_head(page.head.flags, granule).write(&page.segments, &page.body, &mut out);
            copy.append(&out)?;
            copy.sequence = copy.sequence.wrapping_add(1);
        }
        let file = reopen(&copy.path)?;
        Ok(LeadCopy { file, path: copy.path, frames, note, end: copy.end, sequence: copy.sequence })
    }

    /// Puts a copy made by [`Self::copy_to_zero`] in the place of the file. From here on positions count from its
    /// beginning.
    ///
    /// # Errors
    /// The disk refused: it is tried again before anything else is written.
    pub(crate) fn adopt(&mut self, copy: LeadCopy) -> Result<(), RecordError> {
        self.frames += copy.frames;
        self.note = copy.note;
        self.moving = Some(copy);
        self.settle()
    }

    /// Finishes a move that the disk refused before.
    fn settle(&mut self) -> Result<(), RecordError> {
        let Some(copy) = &self.moving else { return Ok(()) };
        fs::rename(&copy.path, &self.path).map_err(RecordError::io("replace", &self.path))?;
        if let Some(copy) = self.moving.take() {
            (self.end, self.sequence, self.torn) = (copy.end, copy.sequence, false);
            self.noted = copy.note;
            self.file = Some(copy.file);
        }
        Ok(())
    }

    /// Moves the file to another name that was claimed for it.
    ///
    /// # Errors
    /// The disk refused; the file keeps its name.
    pub(crate) fn rename(&mut self, path: PathBuf) -> Result<(), RecordError> {
        self.settle()?;
        fs::rename(&self.path, &path).map_err(RecordError::io("rename", &self.path))?;
        self.path = path;
        Ok(())
    }

    fn page_head(&self, flags: u8, granule: u64) -> PageHead {
        PageHead { flags, granule, serial: self.serial, sequence: self.sequence }
    }

    fn write_page(&mut self) -> Result<(), RecordError> {
        if self.segments.is_empty() {
            return Ok(());
        }
        self.settle()?;
        let mut out = Vec::with_capacity(self.body.len() + self.segments.len() + 32);
        self.page_head(0, self.frames).write(&self.segments, &self.body, &mut out);
        self.append(&out)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.segments.clear();
        self.body.clear();
        Ok(())
    }

    /// Appends pages of silence, all of them or none.
    fn write_silence(&mut self, frames: u64) -> Result<(), RecordError> {
        self.settle()?;
        let before = (self.end, self.sequence, self.frames);
        let written = self.append_silence(self.frames + frames);
        if written.is_err() {
            (self.end, self.sequence, self.frames) = before;
            self.torn = true;
        }
        written
    }

    fn append_silence(&mut self, until: u64) -> Result<(), RecordError> {
        let mut out = Vec::new();
        while self.frames < until {
            let (mut segments, mut body) = (Vec::new(), Vec::new());
            while segments.len() < SEGMENTS {
                let Some(size) =
                    packet::SILENCES.iter().find(|size| u64::from(**size) <= until - self.frames)
                else {
                    break;
                };
                push_segments(3, &mut segments);
                body.extend_from_slice(&packet::silence(*size, self.channels));
                self.frames += u64::from(*size);
            }
            if segments.is_empty() {
                break;
            }
            self.page_head(0, self.frames).write(&segments, &body, &mut out);
            self.sequence = self.sequence.wrapping_add(1);
            if out.len() >= SILENCE_BYTES {
                self.append(&out)?;
                out.clear();
            }
        }
        self.append(&out)
    }

    /// Writes behind everything that is there.
    fn append(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        if self.torn {
            let file = reopen(&self.path)?;
            file.set_len(self.end).map_err(RecordError::io("truncate", &self.path))?;
            self.torn = false;
        }
        if let Err(error) = self.put(bytes, self.end) {
            self.torn = true;
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Writes `bytes` at `offset` of the file, which is opened where it was closed.
    fn put(&mut self, bytes: &[u8], offset: u64) -> Result<(), RecordError> {
        self.settle()?;
        if self.file.is_none() {
            self.file = Some(reopen(&self.path)?);
        }
        let written = self.file.as_ref().map_or(Ok(()), |file| file.write_all_at(bytes, offset));
        if written.is_err() {
            // The volume may come back as another one: the next attempt opens the file anew.
            self.file = None;
        }
        written.map_err(RecordError::io("write", &self.path))
    }
}

/// A number of the stream that differs from file to file.
fn serial(path: &Path) -> u32 {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_refused_write_keeps_what_was_taken_before() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.ogg");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("new");
        let mut ogg = OggWriter::create(file, path.clone(), 1).expect("created");
        let packet = [&[31 << 3][..], &[7; 500]].concat();
        for n in 0..3 {
            ogg.write(n * 960, &packet, 960).expect("taken");
        }
        ogg.flush().expect("flushed");
        ogg.flush().expect("closed");
        for n in 3..10 {
            ogg.write(n * 960, &packet, 960).expect("taken");
        }
        let hidden = dir.path().join("hidden");
        fs::rename(&path, &hidden).expect("moved away");
        assert!(ogg.flush().is_err_and(|error| error.is_disk()));
        assert!(ogg.write(500 * 960, &packet, 960).is_err_and(|error| error.is_disk()));
        assert_eq!(ogg.frames(), 10 * 960);
        fs::rename(&hidden, &path).expect("moved back");
        ogg.write(20 * 960, &packet, 960).expect("taken");
        ogg.flush().expect("flushed");
        let again = OggWriter::resume(path.clone()).expect("ours");
        assert_eq!(again.frames(), 21 * 960);
        let mut packets = super::super::packets::OggPackets::open(&path).expect("readable").expect("ours");
        let (mut sound, mut silence, mut out) = (0, 0, Vec::new());
        while packets.next(&mut out).expect("readable").is_some() {
            if out == packet { sound += 1 } else { silence += 1 }
        }
        assert_eq!((sound, silence), (11, 10));
    }
}
