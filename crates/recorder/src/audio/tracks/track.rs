//! One file of one party, or the mixed sound.

use rtms_codec::Decoder;
use rtms_protocol::{MediaKind, UnixMillis};

use crate::audio::format::AudioFormat;
use crate::audio::note::WavNote;
use crate::audio::party::PartyKey;
use crate::audio::reorder::Reorder;
use crate::audio::sink::AudioSink;
use crate::clock::ClockGuard;
use crate::error::RecordError;
use crate::manifest::{Becoming, TrackEntry};
use crate::names::Claimed;
use crate::people::People;
use crate::timeline::{Placement, Timeline};

/// Capacity that the buffer keeps between packets, samples.
const KEPT_SAMPLES: usize = 8 * 1024;

/// Where payloads are decoded; one for all tracks.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

/// One file of one party, or the mixed sound.
#[derive(Debug)]
pub(super) struct AudioTrack {
    pub(super) key: PartyKey,
    pub(super) format: AudioFormat,
    pub(super) sink: AudioSink,
    pub(super) line: Timeline,
    pub(super) guard: ClockGuard,
    pub(super) relative: String,
    pub(super) name: String,
    /// A name that is claimed for the file, while the recording is being finished.
    pub(super) becoming: Option<Claimed>,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) gaps: u64,
    pub(super) dropped: u64,
    /// Of codecs that are written as samples.
    pub(super) decoder: Option<Decoder>,
    /// Of RTP.
    pub(super) reorder: Reorder,
}

impl AudioTrack {
    /// A track whose file `sink` is empty.
    ///
    /// # Errors
    /// No decoder takes the format.
    pub(super) fn begin(
        key: PartyKey,
        format: AudioFormat,
        sink: AudioSink,
        relative: String,
        name: String,
    ) -> Result<Self, RecordError> {
        let decoder = format.is_decoded().then(|| Decoder::new(format.inner())).transpose()?;
        Ok(Self {
            key,
            format,
            sink,
            line: Timeline::new(format.spec().rate, 0),
            guard: ClockGuard::default(),
            relative,
            name,
            becoming: None,
            packets: 0,
            bytes: 0,
            gaps: 0,
            dropped: 0,
            decoder,
            reorder: Reorder::default(),
        })
    }

    /// What is written of a payload: samples, little-endian, or for Opus the packet itself. To be asked once for each
    /// payload that is placed, because a decoder goes on with each.
    ///
    /// # Errors
    /// It does not decode.
    pub(super) fn sound<'b>(
        &mut self,
        payload: &'b [u8],
        buffer: &'b mut Buffer,
    ) -> Result<&'b [u8], RecordError> {
        let Some(decoder) = &mut self.decoder else { return Ok(payload) };
        if let Err(error) = decoder.decode(payload, &mut buffer.samples) {
            self.dropped += 1;
            return Err(error.into());
        }
        buffer.bytes.clear();
        buffer.bytes.extend(buffer.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        buffer.samples.shrink_to(KEPT_SAMPLES);
        buffer.bytes.shrink_to(2 * KEPT_SAMPLES);
        Ok(&buffer.bytes)
    }

    /// Writes what `placed` keeps of `sound`, which came as `bytes` of payload.
    ///
    /// # Errors
    /// The disk refused; its place stays free.
    pub(super) fn write(
        &mut self,
        zero: UnixMillis,
        placed: &Placement,
        sound: &[u8],
        bytes: usize,
    ) -> Result<(), RecordError> {
        if let Err(error) = self.sink.write(self.format, placed, sound) {
            self.dropped += 1;
            return Err(error);
        }
        self.gaps += u64::from(placed.silence > 0 && self.line.frames() > 0);
        self.line.commit(placed);
        self.update_note(zero);
        self.packets += 1;
        self.bytes += bytes as u64;
        Ok(())
    }

    /// What the file is to say about itself.
    fn update_note(&mut self, zero: UnixMillis) {
        let last_length = self.line.last_length().and_then(|length| u32::try_from(length).ok());
        self.sink.set_note(WavNote {
            zero: Some(zero),
            ahead: i32::try_from(self.line.ahead()).unwrap_or(0),
            last_length: last_length.unwrap_or(0),
            left: None,
        });
    }

    /// The track for manifest and progress.
    pub(super) fn entry(&self, people: &People) -> TrackEntry {
        let person = self.key.person(people);
        let own_user = self.key.user_id().map(str::to_owned);
        TrackEntry {
            kind: MediaKind::Audio.word().to_owned(),
            file: self.relative.clone(),
            name: self.name.clone(),
            codec: self.format.codec().to_owned(),
            sample_rate: Some(self.format.spec().rate),
            channels: Some(self.format.spec().channels),
            duration_ms: self.line.millis(self.line.frames()),
            gaps: self.gaps,
            dropped: self.dropped,
            packets: self.packets,
            bytes: self.bytes,
            correction_ms: self.guard.correction_ms(),
            becoming: self
                .becoming
                .as_ref()
                .map(|claimed| Becoming { file: claimed.relative.clone(), name: self.key.name(people) }),
            channel_id: self.key.channel_id().map(str::to_owned),
            channel_since: self.key.channel_since(),
            user_id: own_user.or_else(|| person.and_then(|p| p.user_id.clone())),
            display_name: person.and_then(|p| p.display_name.clone()),
            role: person.and_then(|p| p.role),
            ..TrackEntry::default()
        }
    }
}
