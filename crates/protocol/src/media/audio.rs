//! Audio parameters and Zoom's matrix of their combinations.

use serde::{Deserialize, Serialize};

use super::ParamsError;
use crate::codes::StatusCode;
use crate::open_code::open_code;
use crate::wire::lenient_integer;

open_code! {
    /// How audio is packed: bare codec frames or RTP packets.
    AudioContent {
        Rtp = 1, "RTP";
        Raw = 2, "RAW";
    }
}

open_code! {
    /// Audio codec.
    AudioCodec {
        L16 = 1, "L16";
        G711 = 2, "G711";
        G722 = 3, "G722";
        Opus = 4, "OPUS";
    }
}

open_code! {
    /// Audio sample rate. G.722 is said to be 16 kHz, its true rate.
    SampleRate {
        Hz8000 = 0, "8000";
        Hz16000 = 1, "16000";
        Hz32000 = 2, "32000";
        Hz48000 = 3, "48000";
    }
}

impl SampleRate {
    /// Samples a second and channel; `None` for a code that has no known rate.
    #[must_use]
    pub const fn hz(self) -> Option<u32> {
        match self {
            Self::Hz8000 => Some(8_000),
            Self::Hz16000 => Some(16_000),
            Self::Hz32000 => Some(32_000),
            Self::Hz48000 => Some(48_000),
            Self::Unknown(_) => None,
        }
    }

    /// The code of a rate in Hz.
    #[must_use]
    pub fn from_hz(hz: u32) -> Option<Self> {
        Self::KNOWN.iter().copied().find(|rate| rate.hz() == Some(hz))
    }
}

open_code! {
    /// Mono or stereo.
    Channels {
        Mono = 1, "mono";
        Stereo = 2, "stereo";
    }
}

impl Channels {
    /// Channels in a frame; unknown codes count as one.
    #[must_use]
    pub const fn count(self) -> u16 {
        match self {
            Self::Stereo => 2,
            Self::Mono | Self::Unknown(_) => 1,
        }
    }
}

open_code! {
    /// Whether audio comes mixed or as one stream a participant.
    AudioData {
        Mixed = 1, "mixed";
        Separate = 2, "separate";
    }
}

/// Audio parameters of a media handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioParams {
    /// RTP or bare frames.
    #[serde(default = "default_audio_content")]
    pub content_type: AudioContent,
    /// Codec.
    #[serde(default = "default_audio_codec")]
    pub codec: AudioCodec,
    /// Sample rate.
    #[serde(default = "default_sample_rate")]
    pub sample_rate: SampleRate,
    /// Mono or stereo.
    #[serde(rename = "channel", default = "default_channel")]
    pub channels: Channels,
    /// Mixed, or one stream a participant.
    #[serde(default = "default_audio_data")]
    pub data_opt: AudioData,
    /// Sound in a packet, in ms.
    #[serde(rename = "send_rate", default = "default_send_rate", deserialize_with = "send_rate")]
    pub send_rate_ms: u16,
}

const fn default_audio_content() -> AudioContent {
    AudioContent::Raw
}
const fn default_audio_codec() -> AudioCodec {
    AudioCodec::L16
}
const fn default_sample_rate() -> SampleRate {
    SampleRate::Hz16000
}
const fn default_channel() -> Channels {
    Channels::Mono
}
const fn default_audio_data() -> AudioData {
    AudioData::Mixed
}
const fn default_send_rate() -> u16 {
    20
}

/// A number that fits no `u16` becomes 0, which the matrix refuses.
fn send_rate<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    Ok(lenient_integer(deserializer)?.and_then(|n| u16::try_from(n).ok()).unwrap_or(0))
}

impl Default for AudioParams {
    /// Zoom's default: RAW L16, 16 kHz mono, mixed, 20 ms.
    fn default() -> Self {
        Self {
            content_type: default_audio_content(),
            codec: default_audio_codec(),
            sample_rate: default_sample_rate(),
            channels: default_channel(),
            data_opt: default_audio_data(),
            send_rate_ms: default_send_rate(),
        }
    }
}

impl AudioParams {
    /// Checks the combination against Zoom's matrix.
    ///
    /// # Errors
    /// Names the first field that fits no row, Zoom's status code for it, and the nearest row.
    pub fn validate(&self) -> Result<(), ParamsError> {
        let nearest = self.nearest();
        let refuse =
            |status, message: String| Err(ParamsError { status, message, nearest: nearest.to_string() });
        if matches!(self.content_type, AudioContent::Unknown(_))
            || (self.content_type == AudioContent::Rtp && self.codec == AudioCodec::L16)
        {
            let message = format!("{} is not sent as {}", self.codec.name(), self.content_type);
            return refuse(StatusCode::InvalidAudioContentType, message);
        }
        if matches!(self.codec, AudioCodec::Unknown(_)) {
            return refuse(StatusCode::InvalidAudioCodec, format!("unknown audio codec {}", self.codec));
        }
        if self.sample_rate != nearest.sample_rate {
            let message =
                format!("{} has no sample rate of {} Hz", self.codec.name(), self.sample_rate.name());
            return refuse(StatusCode::InvalidAudioSampleRate, message);
        }
        if self.channels != nearest.channels {
            let message = format!("{} is not sent in {}", self.codec.name(), self.channels.name());
            return refuse(StatusCode::InvalidAudioChannel, message);
        }
        if matches!(self.data_opt, AudioData::Unknown(_)) {
            return refuse(StatusCode::InvalidAudioDataOpt, format!("unknown data_opt {}", self.data_opt));
        }
        if self.send_rate_ms != nearest.send_rate_ms {
            let message = format!("{} is not sent every {} ms", self.codec.name(), self.send_rate_ms);
            return refuse(StatusCode::InvalidAudioSendRate, message);
        }
        Ok(())
    }

    /// The row of Zoom's matrix that is nearest to this combination: the codec is kept, the rest bends.
    #[must_use]
    pub fn nearest(&self) -> Self {
        let codec = if matches!(self.codec, AudioCodec::Unknown(_)) { AudioCodec::L16 } else { self.codec };
        let raw = codec == AudioCodec::L16 || matches!(self.content_type, AudioContent::Unknown(_));
        let known_rate = if self.sample_rate.hz().is_some() { self.sample_rate } else { SampleRate::Hz16000 };
        let known_channels =
            if matches!(self.channels, Channels::Unknown(_)) { Channels::Mono } else { self.channels };
        let (sample_rate, channels) = match codec {
            AudioCodec::Opus => (SampleRate::Hz48000, known_channels),
            AudioCodec::G711 => (SampleRate::Hz8000, Channels::Mono),
            AudioCodec::G722 => (SampleRate::Hz16000, Channels::Mono),
            _ => (known_rate, known_channels),
        };
        let send_rate_ms = match codec {
            AudioCodec::L16 => (self.send_rate_ms.clamp(20, 1000).saturating_add(10) / 20) * 20,
            _ => 20,
        };
        Self {
            content_type: if raw { AudioContent::Raw } else { self.content_type },
            codec,
            sample_rate,
            channels,
            data_opt: if self.data_opt == AudioData::Separate {
                AudioData::Separate
            } else {
                AudioData::Mixed
            },
            send_rate_ms,
        }
    }
}

impl std::fmt::Display for AudioParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} {} Hz {} {} every {} ms",
            self.content_type.name(),
            self.codec.name().to_ascii_lowercase(),
            self.sample_rate.name(),
            self.channels.name(),
            self.data_opt.name(),
            self.send_rate_ms
        )
    }
}
