//! All audio of one recording: mixed sound, one track a party, and the file that combines the parties.
//!
//! A track is made when its first packet comes, keyed by channel (Contact Center) or user, and by format, because a
//! file cannot change its rate. Every file begins at time zero. Where a second party's first packet lies before the
//! zero that the first one set, zero moves back, once the files so far have been rewritten with silence in front.

mod derive;
mod naming;
mod resume;
mod rtp;
mod track;
mod zero;

use rtms_protocol::{AudioContent, AudioParams, MediaKind, MediaPacket, UnixMillis};

use self::derive::Mixture;
use self::track::{AudioTrack, Buffer};
use super::combined::Combined;
use super::format::AudioFormat;
use super::party::{PartyKey, is_mixed};
use super::rebuild::Source;
use super::reorder::Held;
use super::sink::AudioSink;
use super::wav::WavSpec;
use crate::clock::{Judgement, StreamClock, is_time};
use crate::counters::DropReason;
use crate::error::RecordError;
use crate::manifest::{COMBINED, JumpEntry, TrackEntry};
use crate::names::Names;
use crate::people::People;
use crate::timeline::Timeline;

/// Most audio tracks of one recording.
pub const TRACKS_LIMIT: usize = 1_000;
/// Parties whose sound ends this close to the latest end are being heard there; one that ends earlier is silent, ms.
/// Packets of several parties interleave, and a dying process leaves one file further behind than another.
const HEARD_MS: i64 = 500;

/// What became of an audio packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AudioOutcome {
    /// Recorded. Where it begins on the recording's clock; a new clock, where one was taken over with it.
    Placed {
        /// Which track, by its number.
        track: usize,
        /// First ms of it.
        from: UnixMillis,
        /// The change of clock.
        jump: Option<JumpEntry>,
    },
    /// Recorded before. Where it begins on the recording's clock.
    Repeat {
        /// Which track, by its number.
        track: usize,
        /// First ms of it.
        from: UnixMillis,
    },
    /// Not recorded, and why.
    Dropped(DropReason),
}

/// What became of the packets that a call brought to their places: of most one, of RTP none or several.
pub(crate) type Outcomes = Vec<Result<AudioOutcome, RecordError>>;

/// The audio of one recording.
#[derive(Debug, Default)]
pub(crate) struct AudioTracks {
    params: Option<AudioParams>,
    tracks: Vec<AudioTrack>,
    combined: Option<(Combined, String)>,
    /// The combined file of parties that came as Opus; made at the end.
    mixture: Option<Mixture>,
    buffer: Buffer,
    /// RTP packets whose turn has come.
    ready: Vec<Held>,
    /// The track of the last packet: the next one is most often of the same or its neighbour.
    last: usize,
}

/// What a recording lends to its audio for one packet.
pub(crate) struct Surroundings<'a> {
    pub(crate) clock: &'a mut StreamClock,
    pub(crate) people: &'a People,
    pub(crate) names: &'a Names,
}

impl AudioTracks {
    pub(crate) fn granted(&mut self, params: AudioParams) {
        self.params = Some(params);
    }

    /// Records the decoded `payload` of an audio packet that arrived at `now`; what became of it, and of those that
    /// waited for it, is appended to `outcomes`. An error there means: no writer for the codec, a payload that does not
    /// decode, too many parties, or a disk that refused; the packet's place stays free.
    pub(crate) fn packet(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        around: &mut Surroundings<'_>,
        outcomes: &mut Outcomes,
    ) {
        if self.params.is_some_and(|params| params.content_type == AudioContent::Rtp) {
            return self.rtp_packet(now, packet, payload, around, outcomes);
        }
        let outcome = self.raw_packet(now, packet, payload, around);
        outcomes.push(outcome);
    }

    fn raw_packet(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        around: &mut Surroundings<'_>,
    ) -> Result<AudioOutcome, RecordError> {
        match self.welcome(now, packet, payload, around)? {
            Ok(index) => self.put(index, (now, packet.timestamp, 0), payload, around),
            Err(reason) => Ok(AudioOutcome::Dropped(reason)),
        }
    }

    /// The track of a packet of the codec's bytes `payload`, or why it is dropped.
    fn welcome(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        around: &mut Surroundings<'_>,
    ) -> Result<Result<usize, DropReason>, RecordError> {
        let format = AudioFormat::of(self.params.as_ref())?;
        if format.frames_in(payload) == 0 {
            return Ok(Err(DropReason::Undecodable));
        }
        if !is_time(packet.timestamp) {
            return Ok(Err(DropReason::Ahead));
        }
        around.clock.propose_audio_zero(now, packet.timestamp);
        self.track_for(packet, format, around).map(Ok)
    }

    /// Places and writes the codec's bytes that arrived at `now` with Zoom's timestamp `sent`, and belong `fine` frames
    /// after that ms.
    fn put(
        &mut self,
        index: usize,
        (now, sent, fine): (UnixMillis, UnixMillis, i64),
        payload: &[u8],
        around: &mut Surroundings<'_>,
    ) -> Result<AudioOutcome, RecordError> {
        let frames = self.tracks.get(index).map_or(0, |track| track.format.frames_in(payload));
        let (at, takeover) = match self.judge(index, now, sent, frames, around.clock) {
            Judgement::Trusted(at) => (at, None),
            Judgement::TakenOver(at, takeover) => (at, Some(takeover)),
            Judgement::Ahead => return Ok(self.dropped(index, DropReason::Ahead)),
            Judgement::Behind => return Ok(self.dropped(index, DropReason::Behind)),
        };
        self.move_zero_back(index, at, around.clock)?;
        let zero = around.clock.zero().unwrap_or(at);
        let Some(track) = self.tracks.get_mut(index) else {
            return Ok(AudioOutcome::Dropped(DropReason::TooManyTracks));
        };
        let position = track.line.position_of(zero, at).saturating_add(fine);
        let Some(placed) = track.format.place(&track.line, position, frames) else {
            return Ok(AudioOutcome::Repeat { track: index, from: at });
        };
        let sound = track.sound(payload, &mut self.buffer)?;
        track.write(zero, &placed, sound, payload.len())?;
        around.clock.observe(now, at);
        let jump = takeover.map(|takeover| JumpEntry {
            at: now,
            file: track.relative.clone(),
            timestamp: takeover.timestamp,
            correction_ms: takeover.correction_ms,
        });
        let format = track.format;
        if let Some((combined, _)) = &mut self.combined
            && !format.is_opus()
        {
            combined.begins_at(zero);
            let kept = &sound[format.kept(&placed, sound)];
            // The combined file is derived: where the disk refuses it now, the next flush makes it anew and tells.
            let _ = combined.mix(index, placed.position, format.spec().channels, kept);
        }
        Ok(AudioOutcome::Placed { track: index, from: at, jump })
    }

    /// Everything so far into the page cache.
    ///
    /// # Errors
    /// The first refusal of the disk; the other files are flushed all the same.
    pub(crate) fn flush(&mut self, now: UnixMillis) -> Result<(), RecordError> {
        let mut result = Ok(());
        for track in &mut self.tracks {
            result = result.and(track.sink.flush());
        }
        if let Some((combined, _)) = &mut self.combined
            && result.is_ok()
        {
            let tracks = &self.tracks;
            result = combined.flush(now, |index| source(tracks, index));
        }
        result
    }

    /// Learns who is the customer: to the left with them.
    pub(crate) fn people_changed(&mut self, people: &People) {
        let Some((combined, _)) = &mut self.combined else { return };
        let customer = |track: &AudioTrack| {
            track.key.person(people).is_some_and(|person| person.role == Some(rtms_protocol::Role::Consumer))
        };
        if let Some(index) = self.tracks.iter().position(customer) {
            combined.put_left(index);
        }
    }

    /// Gives every file its final form, but for what is derived from Opus ([`Self::make_mixture`]).
    ///
    /// # Errors
    /// The first refusal of the disk; the rest is finished all the same.
    pub(crate) fn finish(&mut self, now: UnixMillis, people: &People) -> Result<(), RecordError> {
        self.people_changed(people);
        let mut result = self.flush(now);
        for track in &mut self.tracks {
            result = result.and(track.sink.close());
        }
        if let Some((combined, _)) = &mut self.combined {
            let tracks = &self.tracks;
            result = result.and(combined.finish(now, |index| source(tracks, index)));
        }
        result
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> usize {
        self.tracks.len() + usize::from(self.combined.is_some()) + usize::from(self.mixture.is_some())
    }

    /// How far a channel's sound is recorded, Zoom's clock as sent.
    pub(crate) fn heard_until(&self, channel: &str, zero: Option<UnixMillis>) -> Option<UnixMillis> {
        let zero = zero?;
        let own = self.tracks.iter().filter(|track| track.key.channel_id() == Some(channel));
        own.filter(|track| track.line.frames() > 0)
            .map(|track| track.line.expected(zero).plus(track.guard.correction_ms().saturating_neg()))
            .max()
    }

    /// Where the sound ends on the recording's clock: its latest end, and the earliest end of a party that was being
    /// heard there.
    pub(crate) fn ends(&self, zero: UnixMillis) -> Option<(UnixMillis, UnixMillis)> {
        let ends = || self.tracks.iter().map(|track| track.line.expected(zero));
        let latest = ends().max()?;
        let earliest = ends().filter(|end| latest.since(*end) <= HEARD_MS).min()?;
        Some((latest, earliest))
    }

    /// The tracks for manifest and progress, the combined file first.
    pub(crate) fn entries(&self, people: &People) -> Vec<TrackEntry> {
        let file = |track: &AudioTrack| track.relative.clone();
        let combined = self.combined.iter().map(|(combined, relative)| TrackEntry {
            kind: MediaKind::Audio.word().to_owned(),
            file: relative.clone(),
            name: COMBINED.to_owned(),
            codec: "L16".to_owned(),
            sample_rate: Some(combined.spec().rate),
            channels: Some(combined.spec().channels),
            sides: combined.sides().iter().filter_map(|side| self.tracks.get(*side)).map(file).collect(),
            duration_ms: millis(combined.frames(), combined.spec().rate),
            ..TrackEntry::default()
        });
        let mixture = self.mixture.iter().map(|mixture| mixture.entry(&self.tracks));
        mixture.chain(combined).chain(self.tracks.iter().map(|track| track.entry(people))).collect()
    }

    fn dropped(&mut self, index: usize, reason: DropReason) -> AudioOutcome {
        if let Some(track) = self.tracks.get_mut(index) {
            track.dropped += 1;
        }
        AudioOutcome::Dropped(reason)
    }

    fn track_for(
        &mut self,
        packet: &MediaPacket<'_>,
        format: AudioFormat,
        around: &Surroundings<'_>,
    ) -> Result<usize, RecordError> {
        let mixed = is_mixed(packet, self.params.map(|params| params.data_opt));
        let since = around.people.channel_since(packet);
        let is = |track: &AudioTrack| track.format == format && track.key.holds(packet, mixed, since);
        if self.tracks.get(self.last).is_some_and(is) {
            return Ok(self.last);
        }
        self.last = match self.tracks.iter().position(is) {
            Some(index) => index,
            None => self.add_track(PartyKey::of(packet, mixed, since), format, around)?,
        };
        Ok(self.last)
    }

    fn add_track(
        &mut self,
        key: PartyKey,
        format: AudioFormat,
        around: &Surroundings<'_>,
    ) -> Result<usize, RecordError> {
        if self.tracks.len() >= TRACKS_LIMIT {
            return Err(RecordError::TooManyTracks { limit: TRACKS_LIMIT });
        }
        if key != PartyKey::Mixed && self.combined.is_none() && !format.is_opus() {
            let claimed = around.names.claim("audio", &around.names.base("audio", None), "wav")?;
            let begun = claimed.begin(|file, path| Combined::create(file, path, format.spec().rate))?;
            self.combined = Some(begun);
        }
        let name = self.name_for_now(&key, around.people, around.names);
        let suffix = (key != PartyKey::Mixed).then_some(name.as_str());
        let base = around.names.base("audio", suffix);
        let claimed = around.names.claim("audio", &base, format.extension())?;
        let (sink, relative) = claimed.begin(|file, path| AudioSink::create(format, file, path))?;
        let index = self.tracks.len();
        if let Some((combined, _)) = &mut self.combined
            && key != PartyKey::Mixed
            && !format.is_opus()
            && combined.spec().rate == format.spec().rate
        {
            combined.add(index);
        }
        self.tracks.push(AudioTrack::begin(key, format, sink, relative, name)?);
        self.people_changed(around.people);
        Ok(index)
    }

    fn judge(
        &mut self,
        index: usize,
        now: UnixMillis,
        at: UnixMillis,
        frames: u64,
        clock: &mut StreamClock,
    ) -> Judgement {
        let Some(track) = self.tracks.get_mut(index) else { return Judgement::Behind };
        let expected = track.line.expected(clock.zero().unwrap_or(at));
        let duration_ms = track.line.millis(frames);
        track.guard.judge(clock, now, at, duration_ms, expected)
    }
}

fn source(tracks: &[AudioTrack], index: usize) -> Source {
    tracks.get(index).map_or_else(
        || Source { path: std::path::PathBuf::new(), spec: WavSpec { rate: 1, channels: 1 }, frames: 0 },
        |track| Source {
            path: track.sink.path().to_path_buf(),
            spec: track.format.spec(),
            frames: track.line.frames(),
        },
    )
}

fn millis(frames: u64, rate: u32) -> i64 {
    Timeline::new(rate, 0).millis(frames)
}
