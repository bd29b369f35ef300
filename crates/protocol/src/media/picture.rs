//! Parameters of pictures: cameras and screen share.

use serde::{Deserialize, Serialize};

use super::ParamsError;
use crate::codes::StatusCode;
use crate::open_code::open_code;
use crate::wire::lenient_integer;

/// `content_type` of raw video and share pictures.
const CONTENT_RAW_VIDEO: i64 = 3;

open_code! {
    /// Picture codec, of video and of screen share.
    VideoCodec {
        Jpg = 5, "JPG";
        Png = 6, "PNG";
        H264 = 7, "H264";
    }
}

open_code! {
    /// Picture size: up to 640×360, 1280×720, 1920×1080, 2560×1440.
    Resolution {
        Sd = 1, "SD";
        Hd = 2, "HD";
        Fhd = 3, "FHD";
        Qhd = 4, "QHD";
    }
}

open_code! {
    /// Whose camera is sent.
    VideoData {
        ActiveSpeaker = 3, "active speaker";
        OneParticipant = 4, "one participant";
    }
}

/// Camera video parameters of a media handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoParams {
    /// Always raw video (3) on the wire.
    #[serde(default = "raw_video")]
    content_type: i64,
    /// Codec.
    #[serde(default = "default_video_codec")]
    pub codec: VideoCodec,
    /// Picture size.
    #[serde(default = "default_resolution")]
    pub resolution: Resolution,
    /// Pictures a second, at most 30.
    #[serde(default = "default_fps", deserialize_with = "fps")]
    pub fps: u8,
    /// Whose camera.
    #[serde(default = "default_video_data")]
    pub data_opt: VideoData,
}

const fn raw_video() -> i64 {
    CONTENT_RAW_VIDEO
}
const fn default_video_codec() -> VideoCodec {
    VideoCodec::H264
}
const fn default_resolution() -> Resolution {
    Resolution::Hd
}
const fn default_fps() -> u8 {
    25
}
const fn default_video_data() -> VideoData {
    VideoData::ActiveSpeaker
}
fn fps<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    Ok(lenient_integer(deserializer)?.and_then(|n| u8::try_from(n).ok()).unwrap_or(0))
}

impl Default for VideoParams {
    /// H.264, HD, 25 pictures a second, the active speaker.
    fn default() -> Self {
        Self::new(default_video_codec(), default_resolution(), default_fps(), default_video_data())
    }
}

impl VideoParams {
    /// Parameters with these values; [`Self::validate`] tells whether Zoom grants them.
    #[must_use]
    pub const fn new(codec: VideoCodec, resolution: Resolution, fps: u8, data_opt: VideoData) -> Self {
        Self { content_type: CONTENT_RAW_VIDEO, codec, resolution, fps, data_opt }
    }

    /// Checks the combination: H.264 above 5 pictures a second, JPG and PNG up to 5, never above 30.
    ///
    /// # Errors
    /// Names the first field that fits no row, Zoom's status code for it, and the nearest row.
    pub fn validate(&self) -> Result<(), ParamsError> {
        let refuse = |status, message: String| {
            let nearest = nearest(self.codec, self.resolution, "hd", self.nearest_fps());
            Err(ParamsError { status, message, nearest })
        };
        if self.content_type != CONTENT_RAW_VIDEO {
            return refuse(
                StatusCode::InvalidVideoContentType,
                format!("video content_type {} is not RAW_VIDEO", self.content_type),
            );
        }
        if matches!(self.codec, VideoCodec::Unknown(_)) {
            return refuse(StatusCode::InvalidVideoCodec, format!("unknown video codec {}", self.codec));
        }
        if matches!(self.resolution, Resolution::Unknown(_)) {
            return refuse(
                StatusCode::InvalidVideoResolution,
                format!("unknown resolution {}", self.resolution),
            );
        }
        if matches!(self.data_opt, VideoData::Unknown(_)) {
            return refuse(
                StatusCode::InvalidVideoDataOpt,
                format!("unknown video data_opt {}", self.data_opt),
            );
        }
        if self.fps != self.nearest_fps() {
            let message = format!("{} is not sent at {} pictures a second", self.codec.name(), self.fps);
            return refuse(StatusCode::InvalidVideoFps, message);
        }
        Ok(())
    }

    fn nearest_fps(&self) -> u8 {
        match self.codec {
            VideoCodec::Jpg | VideoCodec::Png => self.fps.clamp(1, 5),
            _ => self.fps.clamp(6, 30),
        }
    }
}

/// A combination in words; what nobody knows becomes the default.
fn nearest(codec: VideoCodec, resolution: Resolution, default_resolution: &str, fps: u8) -> String {
    let codec = match codec {
        VideoCodec::Unknown(_) => VideoCodec::H264,
        known => known,
    };
    let resolution = match resolution {
        Resolution::Unknown(_) => default_resolution.to_owned(),
        known => known.name().to_ascii_lowercase(),
    };
    let pictures = if fps == 1 { "picture" } else { "pictures" };
    format!("{} {resolution} at {fps} {pictures} a second", codec.name().to_ascii_lowercase())
}

/// Screen share parameters of a media handshake (`deskshare` on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareParams {
    /// Always raw video (3) on the wire.
    #[serde(default = "raw_video")]
    content_type: i64,
    /// Codec.
    #[serde(default = "default_share_codec")]
    pub codec: VideoCodec,
    /// Picture size.
    #[serde(default = "default_share_resolution")]
    pub resolution: Resolution,
    /// Pictures a second.
    #[serde(default = "default_share_fps", deserialize_with = "fps")]
    pub fps: u8,
}

const fn default_share_codec() -> VideoCodec {
    VideoCodec::Jpg
}
const fn default_share_resolution() -> Resolution {
    Resolution::Fhd
}
const fn default_share_fps() -> u8 {
    1
}

impl Default for ShareParams {
    /// JPG, FHD, one picture a second.
    fn default() -> Self {
        Self::new(default_share_codec(), default_share_resolution(), default_share_fps())
    }
}

impl ShareParams {
    /// Parameters with these values; [`Self::validate`] tells whether Zoom grants them.
    #[must_use]
    pub const fn new(codec: VideoCodec, resolution: Resolution, fps: u8) -> Self {
        Self { content_type: CONTENT_RAW_VIDEO, codec, resolution, fps }
    }

    /// Checks the combination: JPG and PNG at one picture a second, H.264 above 5 up to 30.
    ///
    /// # Errors
    /// Names the first field that fits no row, Zoom's status code for it, and the nearest row.
    pub fn validate(&self) -> Result<(), ParamsError> {
        let nearest_fps = match self.codec {
            VideoCodec::Jpg | VideoCodec::Png => 1,
            _ => self.fps.clamp(6, 30),
        };
        let refuse = |status, message: String| {
            let nearest = nearest(self.codec, self.resolution, "fhd", nearest_fps);
            Err(ParamsError { status, message, nearest })
        };
        if self.content_type != CONTENT_RAW_VIDEO {
            return refuse(
                StatusCode::InvalidShareContentType,
                format!("share content_type {} is not RAW_VIDEO", self.content_type),
            );
        }
        if matches!(self.codec, VideoCodec::Unknown(_)) {
            return refuse(StatusCode::InvalidShareCodec, format!("unknown share codec {}", self.codec));
        }
        if matches!(self.resolution, Resolution::Unknown(_)) {
            return refuse(
                StatusCode::InvalidShareResolution,
                format!("unknown resolution {}", self.resolution),
            );
        }
        if self.fps != nearest_fps {
            let message =
                format!("{} share is not sent at {} pictures a second", self.codec.name(), self.fps);
            return refuse(StatusCode::InvalidShareFps, message);
        }
        Ok(())
    }
}
