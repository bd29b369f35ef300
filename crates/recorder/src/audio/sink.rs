//! The file that a track's sound goes into.
//!
//! One variant for each container: WAV takes 16-bit samples, Ogg takes Opus packets. Everything above (timeline, names,
//! manifest) works with frames and placements and does not know the container.

use std::fs::File;
use std::path::{Path, PathBuf};

use rtms_protocol::UnixMillis;

use super::format::{AudioFormat, is_opus};
use super::header::WavSpec;
use super::lead::LeadCopy;
use super::note::WavNote;
use super::ogg::writer::OggWriter;
use super::wav::WavWriter;
use crate::error::RecordError;
use crate::timeline::Placement;

/// A file that audio is written to.
#[derive(Debug)]
pub(crate) enum AudioSink {
    /// 16-bit samples.
    Wav(WavWriter),
    /// Opus packets.
    Ogg(OggWriter),
}

impl AudioSink {
    /// Begins a file of `format`. `file` is the empty one at `path`, open for reading and writing.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn create(format: AudioFormat, file: File, path: PathBuf) -> Result<Self, RecordError> {
        if format.is_opus() {
            OggWriter::create(file, path, format.spec().channels).map(Self::Ogg)
        } else {
            WavWriter::create(file, path, format.spec()).map(Self::Wav)
        }
    }

    /// Goes on with a file in `codec` that another process began; with the format that it has.
    ///
    /// # Errors
    /// It cannot be opened, or is not one of ours.
    pub(crate) fn resume(path: PathBuf, codec: &str) -> Result<(Self, AudioFormat), RecordError> {
        let sink = if is_opus(codec) {
            Self::Ogg(OggWriter::resume(path)?)
        } else {
            Self::Wav(WavWriter::resume(path)?)
        };
        match AudioFormat::stored(codec, sink.spec()) {
            Some(format) => Ok((sink, format)),
            None => Err(RecordError::Foreign {
                path: sink.path().to_path_buf(),
                reason: "no writer for its codec".to_owned(),
            }),
        }
    }

    /// Rate and channels of the file.
    pub(crate) fn spec(&self) -> WavSpec {
        match self {
            Self::Wav(wav) => wav.spec(),
            Self::Ogg(ogg) => ogg.spec(),
        }
    }

    /// Frames so far.
    pub(crate) fn frames(&self) -> u64 {
        match self {
            Self::Wav(wav) => wav.frames(),
            Self::Ogg(ogg) => ogg.frames(),
        }
    }

    /// What the file says about itself.
    pub(crate) fn note(&self) -> WavNote {
        match self {
            Self::Wav(wav) => wav.note(),
            Self::Ogg(ogg) => ogg.note(),
        }
    }

    /// What the file is to say about itself, from the next flush on.
    pub(crate) fn set_note(&mut self, note: WavNote) {
        match self {
            Self::Wav(wav) => wav.set_note(note),
            Self::Ogg(ogg) => ogg.set_note(note),
        }
    }

    /// Writes what `placed` keeps of `sound`: samples, or one Opus packet.
    ///
    /// # Errors
    /// The disk refused; nothing of this was taken.
    pub(crate) fn write(
        &mut self,
        format: AudioFormat,
        placed: &Placement,
        sound: &[u8],
    ) -> Result<(), RecordError> {
        match self {
            Self::Wav(wav) => wav.write_at(placed.position, &sound[format.kept(placed, sound)]),
            Self::Ogg(ogg) => ogg.write(placed.position, sound, placed.frames),
        }
    }

    /// Everything so far into the page cache, sizes right.
    ///
    /// # Errors
    /// The disk refused; nothing is lost.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        match self {
            Self::Wav(wav) => wav.flush(),
            Self::Ogg(ogg) => ogg.flush(),
        }
    }

    /// Gives the file its end, where its container has one.
    ///
    /// # Errors
    /// The disk refused; the file plays all the same.
    pub(crate) fn close(&mut self) -> Result<(), RecordError> {
        match self {
            Self::Wav(wav) => wav.flush(),
            Self::Ogg(ogg) => ogg.close(),
        }
    }

    /// A copy with `frames` of silence in front, as near as the container comes to it, which begins at `zero`.
    ///
    /// # Errors
    /// The disk refused; the file is as it was.
    pub(crate) fn copy_to_zero(&mut self, frames: u64, zero: UnixMillis) -> Result<LeadCopy, RecordError> {
        match self {
            Self::Wav(wav) => wav.copy_to_zero(frames, Some(zero)),
            Self::Ogg(ogg) => {
                let note = WavNote { zero: Some(zero), ..ogg.note() };
                ogg.copy_to_zero(frames, note)
            }
        }
    }

    pub(crate) fn adopt(&mut self, copy: LeadCopy) -> Result<(), RecordError> {
        match self {
            Self::Wav(wav) => wav.adopt(copy),
            Self::Ogg(ogg) => ogg.adopt(copy),
        }
    }

    pub(crate) fn rename(&mut self, path: PathBuf) -> Result<(), RecordError> {
        match self {
            Self::Wav(wav) => wav.rename(path),
            Self::Ogg(ogg) => ogg.rename(path),
        }
    }

    /// Where the file is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Wav(wav) => wav.path(),
            Self::Ogg(ogg) => ogg.path(),
        }
    }
}
