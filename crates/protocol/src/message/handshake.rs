//! The two handshakes: what a client asks for when it opens a socket, and what Zoom answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IdFields, integer, one, yes, zero};
use crate::brief::brief;
use crate::codes::StatusCode;
use crate::media::{MediaKind, MediaParams, MediaSet};
use crate::wire::lenient_text;

/// 1: opens a stream's signaling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalingHandshake {
    /// Always 1.
    #[serde(default = "one", deserialize_with = "integer")]
    pub protocol_version: i64,
    /// Counts this client's messages.
    #[serde(default = "zero", deserialize_with = "integer")]
    pub sequence: i64,
    /// The engagement's id, under the names that servers look for.
    #[serde(flatten)]
    pub ids: IdFields,
    /// The stream.
    pub rtms_stream_id: String,
    /// See [`crate::handshake_signature`].
    pub signature: String,
    /// Whether the audio captured since `rtms_started` (up to 60 s) is delivered first.
    #[serde(default = "yes")]
    pub buffer_data: bool,
}

/// 3: opens a media socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaHandshake {
    /// Always 1.
    #[serde(default = "one", deserialize_with = "integer")]
    pub protocol_version: i64,
    /// Counts this client's messages.
    #[serde(default = "zero", deserialize_with = "integer")]
    pub sequence: i64,
    /// The engagement's id, under the names that servers look for.
    #[serde(flatten)]
    pub ids: IdFields,
    /// The stream.
    pub rtms_stream_id: String,
    /// See [`crate::handshake_signature`].
    pub signature: String,
    /// Bits of [`MediaSet`], or 32 for everything.
    #[serde(deserialize_with = "integer")]
    pub media_type: i64,
    /// Always false; TLS is the encryption.
    #[serde(default)]
    pub payload_encryption: bool,
    /// What is asked for, for each kind. Zoom's client writes `null` where it has nothing to ask.
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_params: MediaParams,
}

/// `media_server.server_urls`: where the media of each kind is to be had, as far as the app's scopes allow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaUrls {
    /// Audio only.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    /// Video only.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub video: Option<String>,
    /// Screen share only.
    #[serde(
        default,
        alias = "deskshare",
        deserialize_with = "lenient_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub share: Option<String>,
    /// Transcript only.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Chat only.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Everything on one socket.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub all: Option<String>,
}

impl MediaUrls {
    /// The URL for one kind alone.
    #[must_use]
    pub fn for_kind(&self, kind: MediaKind) -> Option<&str> {
        let url = match kind {
            MediaKind::Audio => &self.audio,
            MediaKind::Video => &self.video,
            MediaKind::Share => &self.share,
            MediaKind::Transcript => &self.transcript,
            MediaKind::Chat => &self.chat,
        };
        url.as_deref().filter(|url| !url.is_empty())
    }

    /// The URL for everything.
    #[must_use]
    pub fn all(&self) -> Option<&str> {
        self.all.as_deref().filter(|url| !url.is_empty())
    }

    /// Any URL for one kind alone.
    #[must_use]
    pub fn for_any(&self) -> Option<&str> {
        MediaKind::ALL.into_iter().find_map(|kind| self.for_kind(kind))
    }

    /// The kinds that have a URL of their own: what Zoom offers. With `all` alone, nothing is known and all is hoped.
    #[must_use]
    pub fn offered(&self) -> MediaSet {
        let own: MediaSet =
            MediaKind::ALL.into_iter().filter(|kind| self.for_kind(*kind).is_some()).collect();
        if own.is_empty() && self.all().is_some() { MediaSet::ALL } else { own }
    }
}

/// `media_server` of a signaling answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaServer {
    /// Where the media is.
    #[serde(default)]
    pub server_urls: MediaUrls,
}

/// 2: answers a signaling handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalingAnswer {
    /// Always 1.
    #[serde(default = "one", deserialize_with = "integer")]
    pub protocol_version: i64,
    /// Echoes the request's.
    #[serde(default = "zero", deserialize_with = "integer")]
    pub sequence: i64,
    /// 0, or why not.
    pub status_code: StatusCode,
    /// Zoom's words for it.
    #[serde(default, deserialize_with = "reason")]
    pub reason: String,
    /// Where the media is, on success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_server: Option<MediaServer>,
}

/// `reason` is a text in answers, made [`brief`]; a number or nothing is put up with.
pub(super) fn reason<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(lenient_text(deserializer)?.map(|reason| brief(&reason)).unwrap_or_default())
}

/// 4: answers a media handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaAnswer {
    /// Always 1.
    #[serde(default = "one", deserialize_with = "integer")]
    pub protocol_version: i64,
    /// Echoes the request's.
    #[serde(default = "zero", deserialize_with = "integer")]
    pub sequence: i64,
    /// 0, or why not.
    pub status_code: StatusCode,
    /// Zoom's words for it.
    #[serde(default, deserialize_with = "reason")]
    pub reason: String,
    /// Always false. In no document, but Zoom's own client gives up on an answer without it.
    #[serde(default)]
    pub payload_encrypted: bool,
    /// What was granted; `None` also where it does not read, because the grant itself is in `status_code`.
    #[serde(default, deserialize_with = "lenient_params", skip_serializing_if = "Option::is_none")]
    pub media_params: Option<MediaParams>,
}

fn null_is_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<MediaParams, D::Error> {
    Option::<MediaParams>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn lenient_params<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<MediaParams>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}
