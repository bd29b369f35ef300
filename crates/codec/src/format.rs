//! What a track's payloads are made of.

use rtms_protocol::{AudioCodec, AudioParams};

use crate::error::CodecError;
use crate::opus::packet;

/// A codec that has a decoder and an encoder here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// 16-bit samples, little-endian.
    L16,
    /// G.711, A-law.
    G711,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus.
    Opus,
}

impl Codec {
    /// Its name, as in the manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::L16 => AudioCodec::L16.name(),
            Self::G711 => AudioCodec::G711.name(),
            Self::G722 => AudioCodec::G722.name(),
            Self::Opus => AudioCodec::Opus.name(),
        }
    }
}

/// Codec, rate and channels of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    codec: Codec,
    rate: u32,
    channels: u16,
}

impl Format {
    /// Checks the combination.
    ///
    /// # Errors
    /// The codec has no such rate or number of channels.
    pub const fn new(codec: Codec, rate: u32, channels: u16) -> Result<Self, CodecError> {
        let right = match codec {
            Codec::L16 => matches!(rate, 8_000 | 16_000 | 32_000 | 48_000) && matches!(channels, 1 | 2),
            Codec::G711 => rate == 8_000 && channels == 1,
            Codec::G722 => rate == 16_000 && channels == 1,
            Codec::Opus => rate == 48_000 && matches!(channels, 1 | 2),
        };
        if right {
            Ok(Self { codec, rate, channels })
        } else {
            Err(CodecError::Format { codec: codec.name(), rate, channels })
        }
    }

    /// What Zoom granted; where it names no rate that the codec has, the codec's own. `None` for an unknown codec.
    #[must_use]
    pub fn of(params: &AudioParams) -> Option<Self> {
        let channels = params.channels.count();
        let (codec, rate, channels) = match params.codec {
            AudioCodec::L16 => (Codec::L16, params.sample_rate.hz()?, channels),
            AudioCodec::G711 => (Codec::G711, 8_000, 1),
            AudioCodec::G722 => (Codec::G722, 16_000, 1),
            AudioCodec::Opus => (Codec::Opus, 48_000, channels),
            AudioCodec::Unknown(_) => return None,
        };
        Self::new(codec, rate, channels).ok()
    }

    /// The codec.
    #[must_use]
    pub const fn codec(self) -> Codec {
        self.codec
    }

    /// Samples a second.
    #[must_use]
    pub const fn rate(self) -> u32 {
        self.rate
    }

    /// Frames (one sample for each channel) that a payload holds, without decoding it; a cut off one of L16
    /// does not count. 0 for what is no payload.
    #[must_use]
    pub fn frames_in(self, payload: &[u8]) -> u64 {
        let bytes = payload.len() as u64;
        match self.codec {
            Codec::L16 => bytes / (2 * u64::from(self.channels)),
            Codec::G711 => bytes,
            Codec::G722 => bytes * 2,
            Codec::Opus => packet::frames(payload).map_or(0, u64::from),
        }
    }

    /// Channels, 1 or 2.
    #[must_use]
    pub const fn channels(self) -> u16 {
        self.channels
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{Channels, SampleRate};

    use super::*;

    #[test]
    fn only_what_the_codecs_have() {
        assert!(Format::new(Codec::L16, 32_000, 2).is_ok());
        for (codec, rate, channels) in [
            (Codec::L16, 44_100, 1),
            (Codec::L16, 16_000, 3),
            (Codec::G711, 16_000, 1),
            (Codec::G722, 16_000, 2),
            (Codec::Opus, 16_000, 2),
        ] {
            let error = Format::new(codec, rate, channels).unwrap_err();
            assert!(error.to_string().contains(&rate.to_string()), "{error}");
        }
    }

    #[test]
    fn a_grant_without_a_right_rate_takes_the_codecs_own() {
        let params = AudioParams {
            codec: AudioCodec::Opus,
            sample_rate: SampleRate::Hz16000,
            channels: Channels::Stereo,
            ..AudioParams::default()
        };
        assert_eq!(Format::of(&params), Format::new(Codec::Opus, 48_000, 2).ok());
        assert_eq!(Format::of(&AudioParams { codec: AudioCodec::Unknown(9), ..params }), None);
    }
}
