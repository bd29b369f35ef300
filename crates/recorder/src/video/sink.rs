//! The container that a picture codec goes into: MP4 for H.264, Matroska for JPG and PNG, or a folder of images.
//!
//! Everything above (clock, gaps, names, manifest) works with times and bytes and does not know the container.

use rtms_protocol::{MediaKind, VideoCodec};

use super::boxes::sample_entry;
use super::images::ImageFolder;
use super::mkv::MkvWriter;
use super::mkv_front::Front;
use super::mp4::Mp4Writer;
use super::parameter_sets::ParameterSets;
use crate::error::RecordError;
use crate::manifest::TrackEntry;
use crate::names::Names;
use crate::take_up::TakeUp;

/// Files or folders that pictures are written to.
#[derive(Debug)]
pub(crate) enum PictureSink {
    /// H.264.
    Mp4(Mp4Writer),
    /// JPG or PNG.
    Mkv(MkvWriter),
    /// JPG or PNG, each a file.
    Images(ImageFolder),
}

/// One picture on its way to a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shot<'a> {
    /// Whether decoding can begin with it.
    pub(crate) key: bool,
    /// Pixels, where they are known.
    pub(crate) size: Option<(u32, u32)>,
    /// As the container has it: lengths in front of units, or a whole image.
    pub(crate) bytes: &'a [u8],
}

/// What a sink holds that was taken up.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) sink: PictureSink,
    pub(crate) sets: ParameterSets,
    pub(crate) pictures: u64,
    pub(crate) bytes: u64,
}

impl PictureSink {
    /// Begins a file for pictures of `codec`, of which this is the first; and where that is, relative to the data
    /// folder.
    ///
    /// # Errors
    /// No container holds the picture, or the disk refused.
    pub(crate) fn create(
        kind: MediaKind,
        codec: VideoCodec,
        first: &Shot<'_>,
        as_images: bool,
        names: &Names,
    ) -> Result<(Self, String), RecordError> {
        let size @ (width, height) =
            first.size.ok_or(RecordError::Picture("its size, which a file needs, cannot be read"))?;
        let claim = |ext| names.claim(kind.word(), &names.base(kind.word(), None), ext);
        match codec {
            VideoCodec::Jpg | VideoCodec::Png if as_images => {
                let images = ImageFolder::create(claim("jsonl")?, codec)?;
                let relative = images.relative().to_owned();
                Ok((Self::Images(images), relative))
            }
            VideoCodec::Jpg | VideoCodec::Png => {
                let front = Front { codec, width, height, sound: None };
                claim("mkv")?.begin(|file, path| MkvWriter::create(file, path, front).map(Self::Mkv))
            }
            _ => {
                let unfit = RecordError::Picture("parameter sets that no MP4 can hold");
                let entry = sample_entry(first.bytes, size).ok_or(unfit)?;
                claim("mp4")?.begin(|file, path| Mp4Writer::create(file, path, entry).map(Self::Mp4))
            }
        }
    }

    /// Goes on with the file of a track that another process began.
    ///
    /// # Errors
    /// It cannot be opened, or is not one of ours.
    pub(crate) fn resume(data_dir: &std::path::Path, entry: &TrackEntry) -> Result<Held, RecordError> {
        let path = TakeUp::path(data_dir, &entry.file)?;
        if entry.images.is_some() {
            let codec = if entry.codec == VideoCodec::Png.name() { VideoCodec::Png } else { VideoCodec::Jpg };
            let (images, bytes) = ImageFolder::resume(path, entry.file.clone(), codec)?;
            let pictures = images.images();
            return Ok(Held { sink: Self::Images(images), sets: ParameterSets::default(), pictures, bytes });
        }
        if entry.codec == VideoCodec::H264.name() {
            let (writer, held) = Mp4Writer::resume(&path)?;
            let super::mp4::Held { sets, pictures, bytes } = held;
            return Ok(Held { sink: Self::Mp4(writer), sets, pictures, bytes });
        }
        let (writer, pictures, bytes) = MkvWriter::resume(&path)?;
        Ok(Held { sink: Self::Mkv(writer), sets: ParameterSets::default(), pictures, bytes })
    }

    /// What is in it.
    pub(crate) fn codec(&self) -> VideoCodec {
        match self {
            Self::Mp4(_) => VideoCodec::H264,
            Self::Mkv(mkv) => mkv.front().codec,
            Self::Images(images) => images.codec(),
        }
    }

    /// How many images, where they are files of their own.
    pub(crate) fn images(&self) -> Option<u64> {
        match self {
            Self::Images(images) => Some(images.images()),
            Self::Mp4(_) | Self::Mkv(_) => None,
        }
    }

    /// Takes the pictures of one time, `at` ms after the first, that came at `arrival` (our clock, ms).
    ///
    /// # Errors
    /// The disk refused for so long that pictures were given up; where they depend on each other, go on with a key
    /// frame.
    pub(crate) fn push(&mut self, at: u64, arrival: i64, shots: &[Shot<'_>]) -> Result<(), RecordError> {
        let Some((first, more)) = shots.split_first() else { return Ok(()) };
        match self {
            Self::Images(images) => images.push(at, first.size.unwrap_or_default(), first.bytes),
            Self::Mkv(mkv) => mkv.push(at, first.bytes),
            Self::Mp4(mp4) => {
                mp4.push(at, arrival, first.key, first.bytes)?;
                for shot in more {
                    if !mp4.push_beside(shot.key, shot.bytes) {
                        return Err(RecordError::Picture("more pictures than one time can hold"));
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether it is a video, which can have sound.
    pub(crate) fn takes_sound(&self) -> bool {
        !matches!(self, Self::Images(_))
    }

    /// Whether the pictures of the last time can still be changed.
    pub(crate) fn holds_last(&self) -> bool {
        matches!(self, Self::Mp4(mp4) if mp4.holds_last())
    }

    /// Takes the pictures at `at` back, where there are any, to be pushed again in another form: how many bytes.
    pub(crate) fn take_back_at(&mut self, at: u64) -> u64 {
        match self {
            Self::Mp4(mp4) => mp4.take_back_at(at),
            Self::Mkv(_) | Self::Images(_) => 0,
        }
    }

    /// Pictures given up since this was last asked.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        match self {
            Self::Mp4(mp4) => mp4.take_given_up(),
            Self::Mkv(mkv) => mkv.take_given_up(),
            Self::Images(_) => 0,
        }
    }

    /// When the last picture is shown, ms after the first.
    pub(crate) fn last_at(&self) -> Option<u64> {
        match self {
            Self::Mp4(mp4) => mp4.last_at(),
            Self::Mkv(mkv) => mkv.last_at(),
            Self::Images(images) => images.last_at(),
        }
    }

    /// Length so far, ms, the last picture included.
    pub(crate) fn duration_ms(&self) -> u64 {
        match self {
            Self::Mp4(mp4) => mp4.duration_ms(),
            Self::Mkv(mkv) => mkv.duration_ms(),
            Self::Images(images) => images.duration_ms(),
        }
    }

    /// Everything of known duration into the page cache; `now` is our clock, ms.
    ///
    /// # Errors
    /// The disk refused; it waits for the next time.
    pub(crate) fn flush(&mut self, now: i64) -> Result<(), RecordError> {
        match self {
            Self::Mp4(mp4) => mp4.flush(now),
            Self::Mkv(mkv) => mkv.flush(),
            Self::Images(images) => images.flush(),
        }
    }

    /// Everything into the page cache, the last picture too.
    ///
    /// # Errors
    /// The disk refused; it waits for the next time.
    pub(crate) fn flush_all(&mut self) -> Result<(), RecordError> {
        match self {
            Self::Mp4(mp4) => mp4.flush_all(),
            Self::Mkv(mkv) => mkv.flush(),
            Self::Images(images) => images.flush(),
        }
    }

    /// Gives the file its final form. A video gets the Ogg Opus file `sound` as its sound, where there is one; the pictures
    /// begin so many ms after it.
    ///
    /// # Errors
    /// The disk refused; the file is readable as it is.
    pub(crate) fn finish(&mut self, sound: Option<(&std::path::Path, i64)>) -> Result<(), RecordError> {
        match self {
            Self::Mp4(mp4) => mp4.finish(sound),
            Self::Mkv(mkv) => mkv.finish(sound),
            Self::Images(images) => images.finish(),
        }
    }
}
