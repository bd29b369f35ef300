//! Media parameters: what may be asked of Zoom, in which combinations, and how it is written on the wire.
//!
//! Zoom grants only the rows of its matrix. A combination outside is refused here, when settings are read, with the
//! nearest one that exists, rather than minutes later by Zoom with a number. Source: Zoom's RTMS data types.

mod audio;
mod kind;
mod picture;
mod text;

use serde::{Deserialize, Serialize};

use crate::codes::StatusCode;

pub use audio::{AudioCodec, AudioContent, AudioData, AudioParams, Channels, SampleRate};
pub use kind::{MediaKind, MediaSet};
pub use picture::{Resolution, ShareParams, VideoCodec, VideoData, VideoParams};
pub use text::{ChatParams, TranscriptParams};

/// A combination that Zoom would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; the nearest that Zoom grants: {nearest}")]
pub struct ParamsError {
    /// The status code with which Zoom refuses it.
    pub status: StatusCode,
    /// What is wrong with it.
    pub message: String,
    /// The nearest combination that exists, in words.
    pub nearest: String,
}

/// `media_params` of a media handshake and of its answer: one entry for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaParams {
    /// Audio, where asked for or granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioParams>,
    /// Camera video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoParams>,
    /// Screen share.
    #[serde(rename = "deskshare", alias = "share", default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareParams>,
    /// Transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<TranscriptParams>,
    /// Chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatParams>,
}

impl MediaParams {
    /// The kinds that have parameters.
    #[must_use]
    pub fn kinds(&self) -> MediaSet {
        let present = [
            (MediaKind::Audio, self.audio.is_some()),
            (MediaKind::Video, self.video.is_some()),
            (MediaKind::Share, self.share.is_some()),
            (MediaKind::Transcript, self.transcript.is_some()),
            (MediaKind::Chat, self.chat.is_some()),
        ];
        present.into_iter().filter_map(|(kind, is)| is.then_some(kind)).collect()
    }

    /// The same, reduced to the kinds in `set`.
    #[must_use]
    pub fn only(&self, set: MediaSet) -> Self {
        Self {
            audio: self.audio.filter(|_| set.contains(MediaKind::Audio)),
            video: self.video.filter(|_| set.contains(MediaKind::Video)),
            share: self.share.filter(|_| set.contains(MediaKind::Share)),
            transcript: self.transcript.filter(|_| set.contains(MediaKind::Transcript)),
            chat: self.chat.filter(|_| set.contains(MediaKind::Chat)),
        }
    }

    /// Takes over every entry that `newer` has.
    pub fn merge(&mut self, newer: &Self) {
        self.audio = newer.audio.or(self.audio);
        self.video = newer.video.or(self.video);
        self.share = newer.share.or(self.share);
        self.transcript = newer.transcript.or(self.transcript);
        self.chat = newer.chat.or(self.chat);
    }

    /// Checks every entry against Zoom's matrix.
    ///
    /// # Errors
    /// The first entry that Zoom would refuse.
    pub fn validate(&self) -> Result<(), ParamsError> {
        self.audio.map_or(Ok(()), |p| p.validate())?;
        self.video.map_or(Ok(()), |p| p.validate())?;
        self.share.map_or(Ok(()), |p| p.validate())?;
        self.transcript.map_or(Ok(()), |p| p.validate())?;
        self.chat.map_or(Ok(()), |p| p.validate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn audio(codec: AudioCodec, rate: SampleRate, channels: Channels, ms: u16) -> AudioParams {
        AudioParams { codec, sample_rate: rate, channels, send_rate_ms: ms, ..AudioParams::default() }
    }

    #[test]
    fn the_matrix_grants_its_rows() {
        for rate in SampleRate::KNOWN {
            for channels in Channels::KNOWN {
                for ms in (20..=1000).step_by(20) {
                    audio(AudioCodec::L16, *rate, *channels, ms).validate().unwrap();
                }
            }
        }
        for content_type in [AudioContent::Raw, AudioContent::Rtp] {
            for params in [
                audio(AudioCodec::Opus, SampleRate::Hz48000, Channels::Stereo, 20),
                audio(AudioCodec::Opus, SampleRate::Hz48000, Channels::Mono, 20),
                audio(AudioCodec::G711, SampleRate::Hz8000, Channels::Mono, 20),
                audio(AudioCodec::G722, SampleRate::Hz16000, Channels::Mono, 20),
            ] {
                AudioParams { content_type, ..params }.validate().unwrap();
            }
        }
    }

    #[test]
    fn the_opus_of_the_old_guide_is_refused_with_the_nearest_row() {
        let error =
            audio(AudioCodec::Opus, SampleRate::Hz16000, Channels::Stereo, 20).validate().unwrap_err();
        assert_eq!(error.status, StatusCode::InvalidAudioSampleRate);
        assert_eq!(error.nearest, "RAW opus 48000 Hz stereo mixed every 20 ms");
    }

    #[test]
    fn each_wrong_field_has_its_status() {
        let good = AudioParams::default();
        let cases = [
            (AudioParams { content_type: AudioContent::Rtp, ..good }, 19),
            (AudioParams { content_type: AudioContent::Unknown(7), ..good }, 19),
            (AudioParams { codec: AudioCodec::Unknown(9), ..good }, 22),
            (AudioParams { sample_rate: SampleRate::Unknown(9), ..good }, 20),
            (AudioParams { channels: Channels::Unknown(3), ..good }, 21),
            (audio(AudioCodec::G711, SampleRate::Hz8000, Channels::Stereo, 20), 21),
            (AudioParams { data_opt: AudioData::Unknown(5), ..good }, 23),
            (AudioParams { send_rate_ms: 30, ..good }, 24),
            (AudioParams { send_rate_ms: 0, ..good }, 24),
            (AudioParams { send_rate_ms: 1020, ..good }, 24),
            (audio(AudioCodec::Opus, SampleRate::Hz48000, Channels::Mono, 40), 24),
        ];
        for (params, status) in cases {
            assert_eq!(params.validate().unwrap_err().status.code(), status, "{params}");
        }
    }

    #[test]
    fn whatever_is_asked_the_nearest_is_granted() {
        for codec in 0..6 {
            for rate in -1..5 {
                for channels in 0..4 {
                    for content in 0..4 {
                        for ms in [0, 1, 20, 29, 990, 999, 1000, 5000, u16::MAX] {
                            let params = AudioParams {
                                content_type: AudioContent::from_code(content),
                                codec: AudioCodec::from_code(codec),
                                sample_rate: SampleRate::from_code(rate),
                                channels: Channels::from_code(channels),
                                data_opt: AudioData::Mixed,
                                send_rate_ms: ms,
                            };
                            params.nearest().validate().unwrap();
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn pictures_follow_the_rate_of_their_codec() {
        let video =
            |codec, fps| VideoParams::new(codec, Resolution::Hd, fps, VideoData::ActiveSpeaker).validate();
        assert!(video(VideoCodec::H264, 25).is_ok() && video(VideoCodec::Jpg, 5).is_ok());
        assert_eq!(video(VideoCodec::H264, 5).unwrap_err().status, StatusCode::InvalidVideoFps);
        assert_eq!(video(VideoCodec::Png, 6).unwrap_err().nearest, "png hd at 5 pictures a second");
        assert_eq!(video(VideoCodec::H264, 31).unwrap_err().status, StatusCode::InvalidVideoFps);
        let share = |codec, fps| ShareParams::new(codec, Resolution::Fhd, fps).validate();
        assert!(share(VideoCodec::Jpg, 1).is_ok() && share(VideoCodec::H264, 15).is_ok());
        assert_eq!(share(VideoCodec::Jpg, 2).unwrap_err().status, StatusCode::InvalidShareFps);
    }

    #[test]
    fn parameters_are_numbers_on_the_wire() {
        let params = MediaParams {
            audio: Some(AudioParams::default()),
            share: Some(ShareParams::default()),
            transcript: Some(TranscriptParams::new(Some(Language::English))),
            ..MediaParams::default()
        };
        let json = serde_json::to_value(params).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "audio": {"content_type": 2, "codec": 1, "sample_rate": 1, "channel": 1, "data_opt": 1, "send_rate": 20},
                "deskshare": {"content_type": 3, "codec": 5, "resolution": 3, "fps": 1},
                "transcript": {"content_type": 5, "src_language": 9, "enable_lid": false},
            })
        );
        assert_eq!(serde_json::from_value::<MediaParams>(json).unwrap(), params);
        assert_eq!(params.kinds().to_string(), "audio,share,transcript");
    }

    #[test]
    fn sets_know_the_number_for_all() {
        assert_eq!(MediaSet::from_wire(32), Some(MediaSet::ALL));
        assert_eq!(MediaSet::from_wire(9).unwrap().to_string(), "audio,transcript");
        assert_eq!(MediaSet::from_wire(0), None);
        assert_eq!(MediaSet::from_wire(33), None);
    }
}
