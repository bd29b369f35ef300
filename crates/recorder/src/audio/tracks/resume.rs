//! Goes on with the audio files of another process.
//!
//! Positions come from the files' lengths, time zero and jitter from the notes in their headers. Where that process
//! died while it moved time zero back, some files begin at the new one and some at the old one: the rest is moved.

use std::path::Path;

use rtms_protocol::{AudioParams, UnixMillis};

use super::derive::Mixture;
use super::zero::LEAD_MS;
use super::{AudioTrack, AudioTracks};
use crate::audio::combined::Combined;
use crate::audio::format::is_opus;
use crate::audio::party::PartyKey;
use crate::audio::sink::AudioSink;
use crate::clock::ClockGuard;
use crate::error::RecordError;
use crate::manifest::TrackEntry;
use crate::take_up::TakeUp;
use crate::timeline::Timeline;

impl AudioTracks {
    /// Takes up the audio among `entries`. `zero` is the time zero that the manifest knows, `whole` whether
    /// everything was written. Returns the time zero that the files have, where there are any.
    ///
    /// # Errors
    /// The disk refused; it can be tried again.
    pub(crate) fn resume(
        entries: &[TrackEntry],
        params: Option<AudioParams>,
        zero: Option<UnixMillis>,
        whole: bool,
        files: &mut TakeUp<'_>,
    ) -> Result<(Self, Option<UnixMillis>), RecordError> {
        let data_dir = files.data_dir;
        let mut audio = Self { params, ..Self::default() };
        for entry in entries.iter().filter(|entry| entry.is_audio() && !entry.is_combined()) {
            audio.tracks.extend(files.track(entry, |entry| AudioTrack::resume(data_dir, entry, zero))?);
        }
        let complete = files.aside.is_empty();
        let noted = audio.tracks.iter().filter_map(|track| track.sink.note().zero).min();
        let zero = noted.or(zero).filter(|_| !audio.tracks.is_empty());
        for track in &mut audio.tracks {
            track.begin_at(zero)?;
        }
        let combined = || entries.iter().filter(|entry| entry.is_combined());
        let mixture = combined().find(|entry| is_opus(&entry.codec));
        audio.mixture = mixture.and_then(|entry| Mixture::stored(data_dir, entry));
        if let Some(entry) = combined().find(|entry| !is_opus(&entry.codec)) {
            // Sides are told by the number of the track, which is another one where a track was set aside.
            audio.take_up_combined(data_dir, entry, zero.filter(|_| complete), whole)?;
        }
        Ok((audio, zero))
    }

    fn take_up_combined(
        &mut self,
        data_dir: &Path,
        entry: &TrackEntry,
        zero: Option<UnixMillis>,
        whole: bool,
    ) -> Result<(), RecordError> {
        let path = TakeUp::path(data_dir, &entry.file)?;
        let Some(rate) = entry.sample_rate.filter(|rate| *rate > 0) else { return Ok(()) };
        let joins = |track: &AudioTrack| {
            track.key != PartyKey::Mixed && !track.format.is_opus() && track.format.spec().rate == rate
        };
        let members: Vec<usize> = self
            .tracks
            .iter()
            .enumerate()
            .filter(|(_, track)| joins(track))
            .map(|(index, _)| index)
            .collect();
        let frames = members.iter().filter_map(|index| self.tracks.get(*index));
        let frames = frames.map(|track| track.line.frames()).max().unwrap_or(0);
        let combined = Combined::resume(path, rate, members, frames, zero, whole);
        self.combined = Some((combined, entry.file.clone()));
        Ok(())
    }
}

impl AudioTrack {
    fn resume(data_dir: &Path, entry: &TrackEntry, zero: Option<UnixMillis>) -> Result<Self, RecordError> {
        let (sink, format) = AudioSink::resume(TakeUp::path(data_dir, &entry.file)?, &entry.codec)?;
        let (spec, note) = (sink.spec(), sink.note());
        let off = note.zero.zip(zero).map_or(0, |(own, zero)| own.since(zero));
        if off.saturating_abs() > LEAD_MS {
            let reason = format!("its time zero is {off} ms off");
            return Err(RecordError::Foreign { path: sink.path().to_path_buf(), reason });
        }
        let key = match (&entry.channel_id, &entry.user_id) {
            (Some(id), _) => PartyKey::Channel { id: id.clone(), since: entry.channel_since },
            (None, Some(user)) => PartyKey::User(user.clone()),
            (None, None) => PartyKey::Mixed,
        };
        let line =
            Timeline::resume(spec.rate, sink.frames(), i64::from(note.ahead), u64::from(note.last_length));
        let track = Self::begin(key, format, sink, entry.file.clone(), entry.name.clone())?;
        Ok(Self {
            line,
            guard: ClockGuard::resume(entry.correction_ms),
            packets: entry.packets,
            bytes: entry.bytes,
            gaps: entry.gaps,
            dropped: entry.dropped,
            ..track
        })
    }

    /// Moves a file that begins later than `zero` to begin there.
    fn begin_at(&mut self, zero: Option<UnixMillis>) -> Result<(), RecordError> {
        let (Some(zero), Some(own)) = (zero, self.sink.note().zero) else { return Ok(()) };
        let lead_ms = own.since(zero);
        if lead_ms <= 0 || self.line.frames() == 0 {
            return Ok(());
        }
        let frames = u64::try_from(self.line.position_of(zero, own)).unwrap_or(0);
        let copy = self.sink.copy_to_zero(frames, zero)?;
        self.line.shift(copy.frames());
        self.sink.adopt(copy)
    }
}
