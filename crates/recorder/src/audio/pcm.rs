//! The samples of a finished, or growing, sound file of ours: WAV as they are, Ogg Opus decoded, a chunk at a time.
//!
//! For whatever is derived from sound: the combined file, the sound of a video, totals. Files are opened for each read
//! alone, so that a thousand parties can be read side by side.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rtms_codec::{Codec, Decoder, Format, packet};

use super::header::{HEADER_BYTES, WavSpec, parse_header};
use super::ogg::head::read_head;
use super::ogg::page::{END, packets};
use super::ogg::pages::{Page, Pages};
use super::ogg::{MOST_HOLE, PRE_SKIP};
use crate::error::RecordError;

/// After so many packets of silence in a row the decoder has nothing more to say.
const SETTLED: u32 = 10;

/// Reads a sound file from its beginning to its end.
#[derive(Debug)]
pub(crate) struct PcmReader {
    spec: WavSpec,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Wav { path: PathBuf, at: u64, end: u64, bytes: Vec<u8> },
    Ogg(Box<OggReader>),
}

impl PcmReader {
    /// Opens a file, WAV or Ogg Opus by its first bytes.
    ///
    /// # Errors
    /// It cannot be read, or is not one of ours.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordError> {
        let mut head = [0; HEADER_BYTES as usize];
        let mut file = File::open(path).map_err(RecordError::io("open", path))?;
        let foreign = || RecordError::Foreign { path: path.into(), reason: "not our WAV or Ogg".into() };
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(foreign()),
            read => read.map_err(RecordError::io("read", path))?,
        }
        if head.starts_with(b"OggS") {
            return OggReader::open(path)?.map(Self::from).ok_or_else(foreign);
        }
        let spec = parse_header(&head).ok_or_else(foreign)?.spec;
        let bytes =
            file.metadata().map_err(RecordError::io("read", path))?.len().saturating_sub(HEADER_BYTES);
        let end = bytes / spec.frame_bytes();
        Ok(Self { spec, kind: Kind::Wav { path: path.to_path_buf(), at: 0, end, bytes: Vec::new() } })
    }

    /// Rate and channels.
    pub(crate) fn spec(&self) -> WavSpec {
        self.spec
    }

    /// Replaces `out` by the next `frames`, channels interleaved. Fewer come at the end only, where the number that is
    /// returned is 0 at last.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn read(&mut self, frames: usize, out: &mut Vec<i16>) -> Result<usize, RecordError> {
        out.clear();
        let channels = usize::from(self.spec.channels);
        match &mut self.kind {
            Kind::Wav { path, at, end, bytes } => {
                let count = usize::try_from(*end - *at).unwrap_or(usize::MAX).min(frames);
                bytes.resize(count * channels * 2, 0);
                let file = File::open(&*path).map_err(RecordError::io("open", path))?;
                file.read_exact_at(bytes, self.spec.offset(*at)).map_err(RecordError::io("read", path))?;
                out.extend(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
                *at += count as u64;
                Ok(count)
            }
            Kind::Ogg(reader) => reader.read(frames, channels, out),
        }
    }
}

impl From<OggReader> for PcmReader {
    fn from(reader: OggReader) -> Self {
        let spec = WavSpec { rate: 48_000, channels: reader.decoder.format().channels() };
        Self { spec, kind: Kind::Ogg(Box::new(reader)) }
    }
}

#[derive(Debug)]
struct OggReader {
    pages: Pages,
    page: Page,
    serial: u32,
    decoder: Decoder,
    /// Decoded and not given out yet, from `given` on.
    ready: Vec<i16>,
    given: usize,
    /// One packet's samples.
    decoded: Vec<i16>,
    /// Granule position up to which the stream was decoded.
    at: u64,
    /// Frames of silence to be given out before what is ready, where pages are gone.
    hole: u64,
    /// Frames of the pre-skip that are still to be left out.
    skip: u64,
    /// Packets of silence in a row.
    silent: u32,
    ended: bool,
}

impl OggReader {
    fn open(path: &Path) -> Result<Option<Self>, RecordError> {
        let (mut pages, mut page) = (Pages::open(path), Page::default());
        let Some(head) = read_head(&mut pages, &mut page)? else { return Ok(None) };
        let decoder = Decoder::new(Format::new(Codec::Opus, 48_000, head.channels)?)?;
        Ok(Some(Self {
            pages,
            page,
            serial: head.serial,
            decoder,
            ready: Vec::new(),
            given: 0,
            decoded: Vec::new(),
            at: 0,
            hole: 0,
            skip: u64::from(PRE_SKIP),
            silent: 0,
            ended: false,
        }))
    }

    fn read(&mut self, frames: usize, channels: usize, out: &mut Vec<i16>) -> Result<usize, RecordError> {
        while out.len() < frames * channels {
            let wanted = frames - out.len() / channels;
            if self.hole > 0 {
                let count = usize::try_from(self.hole).unwrap_or(usize::MAX).min(wanted);
                self.hole -= count as u64;
                out.resize(out.len() + count * channels, 0);
            } else if self.given < self.ready.len() {
                let count = (self.ready.len() - self.given).min(wanted * channels);
                out.extend_from_slice(&self.ready[self.given..self.given + count]);
                self.given += count;
            } else if !self.decode_page(channels)? {
                break;
            }
        }
        Ok(out.len() / channels)
    }

    /// Decodes the next page that holds sound; false at the end.
    fn decode_page(&mut self, channels: usize) -> Result<bool, RecordError> {
        self.given = 0;
        self.ready.clear();
        while !self.ended && self.pages.next(&mut self.page)? {
            let passed = self.page.head.granule.checked_sub(self.at).filter(|passed| *passed <= MOST_HOLE);
            let (Some(passed), true) = (passed, self.page.head.serial == self.serial) else { continue };
            self.ended = self.page.head.flags & END != 0;
            self.decode_packets(channels);
            let length = (self.ready.len() / channels) as u64;
            // The last page's position cuts off what is more than the sound.
            let kept = usize::try_from(passed.min(length)).unwrap_or(0);
            self.ready.truncate(kept * channels);
            self.hole = if self.ended { 0 } else { passed.saturating_sub(length) };
            self.at = self.page.head.granule;
            self.leave_out(channels);
            if self.hole > 0 || self.given < self.ready.len() {
                return Ok(true);
            }
        }
        self.ended = true;
        Ok(false)
    }

    /// Leaves out what is left of the pre-skip.
    fn leave_out(&mut self, channels: usize) {
        let of_hole = self.skip.min(self.hole);
        self.hole -= of_hole;
        let length = (self.ready.len() / channels) as u64;
        let of_sound = (self.skip - of_hole).min(length);
        self.skip -= of_hole + of_sound;
        self.given = usize::try_from(of_sound).unwrap_or(0) * channels;
    }

    fn decode_packets(&mut self, channels: usize) {
        for packet in packets(&self.page.segments, &self.page.body) {
            let Ok(frames) = packet::frames(packet) else { continue };
            let is_silence = packet.len() == 3 && packet[1..] == packet::silence(frames, 1)[1..];
            self.silent = if is_silence { self.silent.saturating_add(1) } else { 0 };
            let count = self.ready.len() + frames as usize * channels;
            if self.silent <= SETTLED && self.decoder.decode(packet, &mut self.decoded).is_ok() {
                self.ready.extend_from_slice(&self.decoded);
            }
            // What does not decode is silence, as long as it said.
            self.ready.resize(count, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::ogg::writer::OggWriter;

    #[test]
    fn ogg_is_as_long_as_it_says_and_holes_are_silent() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.ogg");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("new");
        let mut ogg = OggWriter::create(file, path.clone(), 2).expect("created");
        let format = Format::new(Codec::Opus, 48_000, 2).expect("right");
        let mut encoder = rtms_codec::Encoder::new(format, 64_000).expect("right");
        let tone = |n: usize| ((n as f64 * 0.05).sin() * 9_000.0) as i16;
        let mut packet = Vec::new();
        for n in 0..50 {
            let samples: Vec<i16> = (0..1_920).map(|s| tone((n * 1_920 + s) / 2)).collect();
            encoder.encode(&samples, &mut packet).expect("encoded");
            let lost = if n < 25 { 0 } else { 48_000 };
            ogg.write(n as u64 * 960 + lost, &packet, 960).expect("taken");
            if n % 10 == 3 {
                ogg.flush().expect("flushed");
            }
        }
        ogg.close().expect("closed");
        let mut reader = PcmReader::open(&path).expect("ours");
        let (mut all, mut chunk) = (Vec::new(), Vec::new());
        while reader.read(7_001, &mut chunk).expect("readable") > 0 {
            all.extend_from_slice(&chunk);
        }
        assert_eq!(all.len(), 96_000 * 2);
        // Steady sound lies where it lay; the hole is silent.
        let off = (2_000..20_000).map(|n| (all[n * 2] - tone(n)).abs()).max();
        assert!(off < Some(900), "{off:?}");
        assert!(all[30_000 * 2..70_000 * 2].iter().all(|sample| *sample == 0));
        assert_eq!(OggWriter::resume(path).expect("ours").frames(), 96_000, "the end is taken away again");
    }

    /// A file of some pages: sound, silence, sound.
    fn file(path: &Path) -> Vec<u8> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("new");
        let mut ogg = OggWriter::create(file, path.to_path_buf(), 1).expect("created");
        for n in [0, 1, 2, 40, 41, 300, 301] {
            ogg.write(n * 960, &packet::silence(960, 1), 960).expect("taken");
            ogg.flush().expect("flushed");
        }
        ogg.close().expect("closed");
        std::fs::read(path).expect("readable")
    }

    proptest! {
        /// Whatever happened to the file: it is read, taken up and read again, or refused, and never longer.
        #[test]
        fn damaged_files_are_read_as_far_as_they_go(
            wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            twice in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().expect("tempdir");
            let path = dir.path().join("a.ogg");
            let mut bytes = file(&path);
            bytes.truncate(bytes.len() - cut.index(bytes.len()) / 4);
            for (place, value) in wrong {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if twice {
                bytes.extend_from_slice(&bytes.clone());
            }
            std::fs::write(&path, bytes).expect("written");
            let frames = |path: &Path| -> Option<u64> {
                let mut reader = PcmReader::open(path).ok()?;
                let (mut frames, mut chunk) = (0, Vec::new());
                while let count @ 1.. = reader.read(4_800, &mut chunk).expect("readable") {
                    frames += count as u64;
                }
                Some(frames)
            };
            let before = frames(&path);
            prop_assert!(before.unwrap_or(0) <= 302 * 960);
            if let Ok(ogg) = OggWriter::resume(path.clone()) {
                prop_assert!(ogg.frames() <= 302 * 960);
                let after = frames(&path);
                // A file that was doubled has an end in its midst, where readers stop.
                prop_assert!(twice || after == Some(ogg.frames().saturating_sub(312)), "{:?}", after);
            }
        }
    }
}
