//! How a track takes messages: which are pictures, where they lie in time, and what is not recorded.
//!
//! H.264 begins with the first key frame whose parameter sets are known; what comes before cannot be decoded and is
//! counted. So is what comes from another participant before their first key frame: their pictures would be decoded
//! into the last one's. A picture that is not later than the last one is a repeat after a reconnection, unless it adds
//! to the last one's timestamp (see [`super::super::moment`]). A JPG or PNG must be whole.

use rtms_protocol::{MediaPacket, UnixMillis, VideoCodec};

use super::super::access_unit::{AccessUnit, AccessUnits, Picture};
use super::super::image;
use super::super::moment::{Moment, Part};
use super::super::sink::{PictureSink, Shot};
use super::{PictureOutcome, VideoFile, VideoTrack};
use crate::clock::{Judgement, StreamClock, Takeover, ZeroSource, is_time};
use crate::counters::DropReason;
use crate::error::RecordError;
use crate::manifest::JumpEntry;
use crate::names::Names;

/// A pause between pictures that counts as a gap, ms. Rates go down to one a second.
const GAP_MS: i64 = 2_000;
/// Most files in other codecs that one track begins.
const EARLIER_FILES: usize = 8;

/// What a track writes among.
struct Surroundings<'a> {
    now: UnixMillis,
    clock: &'a mut StreamClock,
    names: &'a Names,
}

impl VideoTrack {
    /// Records the decoded `payload` of a picture that arrived at `now`.
    ///
    /// # Errors
    /// It is no picture, or not in the codec that was granted, or the disk refused.
    pub(crate) fn packet(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        clock: &mut StreamClock,
        names: &Names,
    ) -> Result<PictureOutcome, RecordError> {
        let mut moment = std::mem::take(&mut self.moment);
        let mut around = Surroundings { now, clock, names };
        let outcome = self.take(packet, payload, &mut moment, &mut around);
        self.dropped += match &outcome {
            Ok(PictureOutcome::Taken(_) | PictureOutcome::Dropped(DropReason::Repeat)) => 0,
            Ok(PictureOutcome::Dropped(_)) | Err(_) => 1,
        };
        moment.tidy();
        self.moment = moment;
        outcome
    }

    fn take(
        &mut self,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        moment: &mut Moment,
        around: &mut Surroundings<'_>,
    ) -> Result<PictureOutcome, RecordError> {
        let codec = self.codec_of(payload)?;
        if !is_time(packet.timestamp) {
            return Ok(PictureOutcome::Dropped(DropReason::Ahead));
        }
        match codec {
            VideoCodec::H264 => self.access_units(packet, payload, moment, around),
            codec => self.image(codec, packet, payload, moment, around),
        }
    }

    /// The codec of a payload. A picture's first bytes say more than what was granted.
    fn codec_of(&self, payload: &[u8]) -> Result<VideoCodec, RecordError> {
        match (image::codec(payload), self.codec) {
            (Some(seen), _) => Ok(seen),
            (None, Some(VideoCodec::Jpg | VideoCodec::Png)) => {
                Err(RecordError::Picture("neither JPEG nor PNG"))
            }
            (None, Some(VideoCodec::H264) | None) => Ok(VideoCodec::H264),
            (None, Some(codec)) => Err(RecordError::UnsupportedCodec {
                kind: self.kind,
                codec: codec.name(),
                supported: "H.264, JPG and PNG",
            }),
        }
    }

    /// Reads a message of H.264 and records what can be decoded of it.
    fn access_units(
        &mut self,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        moment: &mut Moment,
        around: &mut Surroundings<'_>,
    ) -> Result<PictureOutcome, RecordError> {
        let changes = self.shown.changes_with(packet);
        if changes && self.is_repeat(packet.timestamp) {
            return Ok(PictureOutcome::Dropped(DropReason::Repeat));
        }
        let part = moment.add(packet.timestamp, payload);
        match part {
            Part::First => moment.awaited_key = self.awaiting_key || changes,
            Part::More if moment.placed.is_none() || self.holds_last() => {}
            // Too late: it is written without this part.
            Part::More | Part::TooMuch => return Ok(PictureOutcome::Dropped(DropReason::Behind)),
            Part::Repeat => return Ok(PictureOutcome::Dropped(DropReason::Repeat)),
        }
        if !moment.read(part, payload, &mut self.sets) {
            return Err(RecordError::Picture("neither start codes nor lengths: not H.264"));
        }
        if moment.units.list().is_empty() {
            return Ok(PictureOutcome::Taken(None));
        }
        let (wanted, awaits_then) = decodable(moment.units.list(), moment.awaited_key);
        if wanted.is_empty() {
            self.awaiting_key = awaits_then;
            return Ok(PictureOutcome::Dropped(DropReason::BeforeKeyFrame));
        }
        let shots: Vec<_> = wanted.iter().map(|unit| shot(unit, &moment.units)).collect();
        let (at, takeover) = match moment.placed {
            Some(at) => (at, None),
            None => match self.place(packet.timestamp, around) {
                Ok(placed) => placed,
                Err(reason) => return Ok(PictureOutcome::Dropped(reason)),
            },
        };
        // Pictures given up mean that what follows cannot be decoded before the next key frame.
        self.awaiting_key = true;
        self.record(VideoCodec::H264, at, &shots, around)?;
        self.awaiting_key = awaits_then;
        moment.placed = Some(at);
        Ok(self.taken(at, packet, takeover, around.now))
    }

    /// Records a JPG or PNG.
    fn image(
        &mut self,
        codec: VideoCodec,
        packet: &MediaPacket<'_>,
        payload: &[u8],
        moment: &mut Moment,
        around: &mut Surroundings<'_>,
    ) -> Result<PictureOutcome, RecordError> {
        let size = image::size(codec, payload).ok_or(RecordError::Picture("cut off, or broken"))?;
        let part = moment.add_whole(packet.timestamp, payload);
        let after_last = self.file.as_ref().map(|file| file.last.plus(1));
        let (at, takeover) = match (part, moment.placed.and(after_last)) {
            (Part::Repeat, _) => return Ok(PictureOutcome::Dropped(DropReason::Repeat)),
            (Part::TooMuch, _) => return Ok(PictureOutcome::Dropped(DropReason::Behind)),
            // Another picture of the same time: shown right after it.
            (Part::More, Some(at)) => (at, None),
            _ => match self.place(packet.timestamp, around) {
                Ok(placed) => placed,
                Err(reason) => return Ok(PictureOutcome::Dropped(reason)),
            },
        };
        let shot = Shot { key: true, size: Some(size), bytes: payload };
        self.record(codec, at, &[shot], around)?;
        moment.placed = Some(at);
        Ok(self.taken(at, packet, takeover, around.now))
    }

    /// Notes that a packet was recorded.
    fn taken(
        &mut self,
        at: UnixMillis,
        packet: &MediaPacket<'_>,
        takeover: Option<Takeover>,
        now: UnixMillis,
    ) -> PictureOutcome {
        self.shown.note(at, packet);
        self.packets += 1;
        let jump = takeover.zip(self.file.as_ref()).map(|(takeover, file)| JumpEntry {
            at: now,
            file: file.relative.clone(),
            timestamp: takeover.timestamp,
            correction_ms: takeover.correction_ms,
        });
        PictureOutcome::Taken(jump)
    }

    /// Where a picture lies on the recording's clock, or why it is dropped.
    fn place(
        &mut self,
        timestamp: UnixMillis,
        around: &mut Surroundings<'_>,
    ) -> Result<(UnixMillis, Option<Takeover>), DropReason> {
        let clock = &mut *around.clock;
        let expected = self.file.as_ref().map_or_else(|| clock.zero().unwrap_or(timestamp), |file| file.last);
        let placed = match self.guard.judge(clock, around.now, timestamp, 0, expected) {
            Judgement::Trusted(at) => (at, None),
            Judgement::TakenOver(at, takeover) => (at, Some(takeover)),
            Judgement::Ahead => return Err(DropReason::Ahead),
            Judgement::Behind => return Err(DropReason::Behind),
        };
        match &self.file {
            Some(file) if placed.0 <= file.last => Err(DropReason::Repeat),
            _ => Ok(placed),
        }
    }

    /// Writes the pictures of one time.
    fn record(
        &mut self,
        codec: VideoCodec,
        at: UnixMillis,
        shots: &[Shot<'_>],
        around: &mut Surroundings<'_>,
    ) -> Result<(), RecordError> {
        self.make_way(codec)?;
        let file = match (&mut self.file, shots) {
            (Some(file), _) => file,
            (slot, [first, ..]) => {
                let (sink, relative) =
                    PictureSink::create(self.kind, codec, first, self.as_images, around.names)?;
                let size = first.size.unwrap_or_default();
                slot.insert(VideoFile { sink, relative, size, first: at, last: at.plus(-1) })
            }
            (_, []) => return Ok(()),
        };
        let since_first = u64::try_from(at.since(file.first)).unwrap_or(0);
        self.bytes = self.bytes.saturating_sub(file.sink.take_back_at(since_first));
        if let Err(error) = file.sink.push(since_first, around.now.0, shots) {
            let lost = file.sink.take_given_up();
            self.given_up += lost;
            self.dropped += lost;
            self.packets = self.packets.saturating_sub(lost);
            self.gaps += 1;
            return Err(error);
        }
        self.bytes += shots.iter().map(|shot| shot.bytes.len() as u64).sum::<u64>();
        self.gaps += u64::from(at.since(file.last) > GAP_MS);
        file.last = at;
        around.clock.propose_zero(at, ZeroSource::Media);
        around.clock.observe(around.now, at);
        Ok(())
    }

    /// Ends the file so far where it is in another codec than the one that is granted now.
    fn make_way(&mut self, codec: VideoCodec) -> Result<(), RecordError> {
        let Some(file) = self.file.as_mut().filter(|file| file.sink.codec() != codec) else { return Ok(()) };
        if self.codec != Some(codec) || self.earlier.len() == EARLIER_FILES {
            return Err(RecordError::Picture("another codec than that of the file"));
        }
        file.sink.finish(None)?;
        if let Some(file) = self.file.take() {
            let entry = self.entry(&file, None);
            self.earlier.push((file.first, entry));
            (self.packets, self.bytes, self.gaps, self.dropped) = (0, 0, 0, 0);
            self.shown = super::Shown::default();
        }
        Ok(())
    }

    /// Whether a timestamp is no later than what is recorded.
    fn is_repeat(&self, timestamp: UnixMillis) -> bool {
        let at = timestamp.plus(self.guard.correction_ms());
        self.file.as_ref().is_some_and(|file| at <= file.last)
    }
}

fn shot<'a>(unit: &AccessUnit, units: &'a AccessUnits) -> Shot<'a> {
    let size = if let Picture::Key(size) = unit.picture { size } else { None };
    Shot { key: matches!(unit.picture, Picture::Key(_)), size, bytes: units.sample(unit) }
}

/// The access units that can be decoded where a key frame is awaited or not, and whether one is awaited behind them.
fn decodable(units: &[AccessUnit], mut awaits_key: bool) -> (Vec<AccessUnit>, bool) {
    let mut wanted = Vec::with_capacity(units.len());
    for unit in units {
        awaits_key = match unit.picture {
            Picture::Key(_) => false,
            Picture::Dependent => awaits_key,
            Picture::Orphan => true,
        };
        if !awaits_key {
            wanted.push(unit.clone());
        }
    }
    (wanted, awaits_key)
}
