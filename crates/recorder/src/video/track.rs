//! The camera video, or the screen share, of one recording.
//!
//! One file, from the first picture that can be shown on: an MP4 for H.264, for JPG and PNG a Matroska file or a folder
//! of images. Times are Zoom's, to the millisecond; nothing comes while cameras are off or nobody shares, and the file
//! goes on behind the gap. Where Zoom grants another codec after a reconnection, a further file is begun. How messages
//! are read is in [`taking`].

mod taking;

use std::path::Path;

use rtms_protocol::{MediaKind, UnixMillis, VideoCodec};

use super::moment::Moment;
use super::parameter_sets::ParameterSets;
use super::shown::Shown;
use super::sink::{Held, PictureSink};
use crate::audio::sound::Sound;
use crate::clock::ClockGuard;
use crate::counters::DropReason;
use crate::error::RecordError;
use crate::manifest::{JumpEntry, TrackEntry};

/// What became of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PictureOutcome {
    /// Recorded, or parameter sets remembered; a new clock, where one was taken over with it.
    Taken(Option<JumpEntry>),
    /// Not recorded, and why.
    Dropped(DropReason),
}

/// One track of pictures.
#[derive(Debug)]
pub(crate) struct VideoTrack {
    kind: MediaKind,
    /// What Zoom granted.
    codec: Option<VideoCodec>,
    /// Whether JPG and PNG become images.
    as_images: bool,
    /// Files in other codecs that were granted before, with the timestamp of their first picture.
    earlier: Vec<(UnixMillis, TrackEntry)>,
    sets: ParameterSets,
    guard: ClockGuard,
    file: Option<VideoFile>,
    moment: Moment,
    awaiting_key: bool,
    shown: Shown,
    packets: u64,
    bytes: u64,
    gaps: u64,
    dropped: u64,
    given_up: u64,
}

#[derive(Debug)]
struct VideoFile {
    sink: PictureSink,
    relative: String,
    size: (u32, u32),
    /// Timestamp of the first picture, on the recording's clock.
    first: UnixMillis,
    last: UnixMillis,
}

impl VideoTrack {
    /// `kind` is video or share; `as_images` whether JPG and PNG become image files.
    pub(crate) fn new(kind: MediaKind, as_images: bool) -> Self {
        Self {
            kind,
            codec: None,
            as_images,
            earlier: Vec::new(),
            sets: ParameterSets::default(),
            guard: ClockGuard::default(),
            file: None,
            moment: Moment::default(),
            awaiting_key: true,
            shown: Shown::default(),
            packets: 0,
            bytes: 0,
            gaps: 0,
            dropped: 0,
            given_up: 0,
        }
    }

    /// Goes on with the file of another process. `zero` is the time zero that the manifest counts from. The first
    /// picture that is taken is a key frame: whatever came in between, others would not decode.
    ///
    /// # Errors
    /// It cannot be opened, or is not one of ours.
    pub(crate) fn resume(
        kind: MediaKind,
        data_dir: &Path,
        entry: &TrackEntry,
        zero: UnixMillis,
        as_images: bool,
    ) -> Result<Self, RecordError> {
        let Held { sink, sets, pictures, bytes } = PictureSink::resume(data_dir, entry)?;
        let first = zero.plus(entry.offset_ms);
        let last = sink.last_at().map_or(first.plus(-1), |at| first.plus(i64::try_from(at).unwrap_or(0)));
        let size = (entry.width.unwrap_or(0), entry.height.unwrap_or(0));
        Ok(Self {
            sets,
            guard: ClockGuard::resume(entry.correction_ms),
            file: Some(VideoFile { sink, relative: entry.file.clone(), size, first, last }),
            packets: pictures,
            bytes,
            gaps: entry.gaps,
            dropped: entry.dropped,
            shown: Shown::resume(&entry.shown, zero),
            ..Self::new(kind, as_images)
        })
    }

    pub(crate) fn granted(&mut self, codec: VideoCodec) {
        self.codec = Some(codec);
    }

    /// Everything of known duration into the page cache.
    ///
    /// # Errors
    /// The disk refused; it waits for the next time.
    pub(crate) fn flush(&mut self, now: UnixMillis) -> Result<(), RecordError> {
        let flushed = self.file.as_mut().map_or(Ok(()), |file| file.sink.flush(now.0));
        if self.moment.placed.is_some() && !self.holds_last() {
            self.moment.forget();
        }
        flushed
    }

    /// Everything into the page cache, the last picture too.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn flush_all(&mut self) -> Result<(), RecordError> {
        self.file.as_mut().map_or(Ok(()), |file| file.sink.flush_all())
    }

    /// Pictures that were taken and then given up, because the disk refused for too long, since this was last asked.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// Gives the file its final, seekable form, a video with the sound that began at `zero`, where there is one.
    ///
    /// # Errors
    /// The disk refused; the file is readable as it is.
    pub(crate) fn finish(&mut self, sound: Option<&Sound>, zero: UnixMillis) -> Result<(), RecordError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let offset = file.first.since(zero);
        file.sink.finish(sound.map(|sound| (sound.path(), offset)))
    }

    /// Whether its file holds sound too.
    pub(crate) fn takes_sound(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.sink.takes_sound())
    }

    fn holds_last(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.sink.holds_last())
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> usize {
        self.earlier.len() + usize::from(self.file.is_some())
    }

    /// The track for manifest and progress, where there is a file, and those in earlier codecs.
    pub(crate) fn entries(&self, zero: Option<UnixMillis>) -> Vec<TrackEntry> {
        let since_zero = |first: UnixMillis| zero.map_or(0, |zero| first.since(zero));
        let earlier = self
            .earlier
            .iter()
            .map(|(first, entry)| TrackEntry { offset_ms: since_zero(*first), ..entry.clone() });
        earlier.chain(self.file.as_ref().map(|file| self.entry(file, zero))).collect()
    }

    fn entry(&self, file: &VideoFile, zero: Option<UnixMillis>) -> TrackEntry {
        TrackEntry {
            kind: self.kind.word().to_owned(),
            file: file.relative.clone(),
            name: self.kind.word().to_owned(),
            codec: file.sink.codec().name().to_owned(),
            width: Some(file.size.0),
            height: Some(file.size.1),
            images: file.sink.images(),
            offset_ms: zero.map_or(0, |zero| file.first.since(zero)),
            duration_ms: i64::try_from(file.sink.duration_ms()).unwrap_or(i64::MAX),
            gaps: self.gaps,
            dropped: self.dropped,
            packets: self.packets,
            bytes: self.bytes,
            correction_ms: self.guard.correction_ms(),
            shown: self.shown.entries(zero),
            ..TrackEntry::default()
        }
    }
}
