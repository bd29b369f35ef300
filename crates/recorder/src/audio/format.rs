//! What a track's payloads are, and what they become: which container, which positions.
//!
//! L16 is written as it came, G.711 and G.722 are decoded to 16-bit samples, so that every player, editor and speech
//! engine opens them: few read A-law in a WAV, hardly any G.722. Opus goes into Ogg packet by packet, as it came.

use rtms_codec::{Codec, Format};
use rtms_protocol::{AudioCodec, AudioParams, MediaKind};

use super::header::WavSpec;
use crate::error::RecordError;
use crate::timeline::{Placement, Timeline};

/// Pieces that silence in Ogg Opus is made of: its shortest packet, 2.5 ms, frames of 48 kHz.
pub(crate) const OPUS_GRAIN: u64 = 120;

/// The format that a track is recorded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AudioFormat(Format);

impl AudioFormat {
    /// The format for what Zoom granted; where it does not say, that is L16, 16 kHz, mono.
    ///
    /// # Errors
    /// [`RecordError::UnsupportedCodec`] for a codec that nobody knows.
    pub(crate) fn of(params: Option<&AudioParams>) -> Result<Self, RecordError> {
        let params = params.copied().unwrap_or_default();
        Format::of(&params).map(Self).ok_or(RecordError::UnsupportedCodec {
            kind: MediaKind::Audio,
            codec: params.codec.name(),
            supported: "L16, G.711, G.722 and Opus",
        })
    }

    /// The format of a track in a manifest: its codec's word, and what its file says.
    pub(crate) fn stored(codec: &str, spec: WavSpec) -> Option<Self> {
        let codec =
            [Codec::L16, Codec::G711, Codec::G722, Codec::Opus].into_iter().find(|c| c.name() == codec)?;
        Format::new(codec, spec.rate, spec.channels).ok().map(Self)
    }

    /// The format as the codecs know it.
    pub(crate) fn inner(self) -> Format {
        self.0
    }

    /// The codec's word for the manifest: what Zoom sent.
    #[must_use]
    pub(crate) fn codec(self) -> &'static str {
        self.0.codec().name()
    }

    /// Whether it is written packet by packet, as it came.
    #[must_use]
    pub(crate) fn is_opus(self) -> bool {
        self.0.codec() == Codec::Opus
    }

    /// Whether it has to be decoded to be written.
    #[must_use]
    pub(crate) fn is_decoded(self) -> bool {
        matches!(self.0.codec(), Codec::G711 | Codec::G722)
    }

    /// The ending of the file name.
    #[must_use]
    pub(crate) fn extension(self) -> &'static str {
        if self.is_opus() { "ogg" } else { "wav" }
    }

    /// Rate and channels.
    #[must_use]
    pub(crate) fn spec(self) -> WavSpec {
        WavSpec { rate: self.0.rate(), channels: self.0.channels() }
    }

    /// Frames that a payload holds; a frame of L16 that is cut off does not count. 0 where it does not decode.
    #[must_use]
    pub(crate) fn frames_in(self, payload: &[u8]) -> u64 {
        self.0.frames_in(payload)
    }

    /// Where a packet of `frames` goes whose first frame belongs at `position`.
    pub(crate) fn place(self, line: &Timeline, position: i64, frames: u64) -> Option<Placement> {
        if self.is_opus() {
            line.place_whole(position, frames, OPUS_GRAIN)
        } else {
            line.place(position, frames)
        }
    }

    /// The bytes of a packet's samples that a placement keeps.
    #[must_use]
    pub(crate) fn kept(self, placed: &Placement, samples: &[u8]) -> std::ops::Range<usize> {
        let bytes = |frames: u64| usize::try_from(frames * self.spec().frame_bytes()).unwrap_or(usize::MAX);
        let end = bytes(placed.skip + placed.frames).min(samples.len());
        bytes(placed.skip).min(end)..end
    }
}

/// Opus, by its word in a manifest.
pub(crate) fn is_opus(codec: &str) -> bool {
    codec == AudioCodec::Opus.name()
}
