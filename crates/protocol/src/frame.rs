//! Media messages, the hot path: thousands a second and stream, so nothing is copied before it has to be.
//!
//! A [`MediaFrame`] is one WebSocket message of which only the type has been looked at. Whoever writes the media
//! parses it into a [`MediaPacket`], whose strings borrow from the frame, and decodes the payload straight into a
//! buffer of its own. A frame that does not parse costs that one message.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codes::MsgType;
use crate::language::Language;
use crate::media::MediaKind;
use crate::time::UnixMillis;
use crate::wire::Integer;

/// A message that cannot be used. It never quotes the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Not JSON, or a field has the wrong type. Line and column only; the text may be someone's words.
    #[error("media message does not parse ({category}, byte {column})")]
    Parse {
        /// `syntax`, `data` or `eof`.
        category: &'static str,
        /// Where in the message.
        column: usize,
    },
    /// `content` or `data` is missing.
    #[error("media message has no {0}")]
    Missing(&'static str),
    /// The message is not of a media type.
    #[error("message type {0} carries no media")]
    NotMedia(i64),
    /// `data` is not base64.
    #[error("payload is not base64")]
    Base64,
    /// The decoded payload is not as long as `length` says.
    #[error("payload has {actual} bytes where {stated} were announced")]
    Length {
        /// `length` of the message, in bytes.
        stated: u32,
        /// Bytes after decoding.
        actual: usize,
    },
}

impl PacketError {
    fn parse(error: &serde_json::Error) -> Self {
        Self::Parse { category: crate::message::category(error), column: error.column() }
    }
}

/// Finds `msg_type` without building anything; `None` where the message is not a JSON object with that field.
///
/// Zoom writes the field first, which is answered from the first bytes; elsewhere the message is scanned once.
#[must_use]
pub fn peek_msg_type(message: &[u8]) -> Option<MsgType> {
    const PREFIX: &[u8] = b"{\"msg_type\":";
    if let Some(rest) = message.strip_prefix(PREFIX) {
        let digits = rest.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 && matches!(rest.get(digits), Some(b',' | b'}')) {
            let number = rest.iter().take(digits).fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
            return Some(MsgType::from_code(number));
        }
    }
    #[derive(Deserialize)]
    struct Head {
        msg_type: Integer,
    }
    serde_json::from_slice::<Head>(message).ok().map(|head| MsgType::from_code(head.msg_type.0))
}

/// One media message as it came from the socket, not yet parsed.
#[derive(Debug, Clone)]
pub struct MediaFrame {
    /// Which kind of media it carries.
    pub kind: MediaKind,
    /// The whole message.
    pub bytes: Bytes,
}

impl MediaFrame {
    /// Parses the message; strings borrow from it.
    ///
    /// # Errors
    /// When it is not a media message of Zoom's shape.
    pub fn packet(&self) -> Result<MediaPacket<'_>, PacketError> {
        MediaPacket::parse(&self.bytes)
    }
}

/// An id on the wire: Zoom writes the same one as a number here and as a string there.
///
/// Two ids are equal when their text is.
#[derive(Debug, Clone)]
pub enum WireId<'a> {
    /// Given as a number.
    Number(i64),
    /// Given as a string.
    Text(Cow<'a, str>),
}

impl WireId<'_> {
    /// Whether this is user 0, Zoom's id of the mixed audio.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Number(n) => *n == 0,
            Self::Text(text) => text == "0",
        }
    }

    /// Whether the text of this id is `text`; no allocation.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => own == text,
            Self::Number(n) => {
                // "07" and "+7" are other ids than 7: only the shortest form is the number's text.
                let digits = text.strip_prefix('-').unwrap_or(text);
                let shortest = text == "0" || matches!(digits.as_bytes().first(), Some(b'1'..=b'9'));
                shortest && text.parse() == Ok(*n)
            }
        }
    }
}

impl PartialEq for WireId<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b,
            (any, Self::Text(text)) | (Self::Text(text), any) => any.is(text),
        }
    }
}

impl Eq for WireId<'_> {}

impl fmt::Display for WireId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for WireId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(n) => serializer.serialize_i64(*n),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for WireId<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = WireId<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id, as a number or a string")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Self::Value, E> {
                Ok(WireId::Number(n))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(n).map_or_else(|_| WireId::Text(Cow::Owned(n.to_string())), WireId::Number))
            }
            fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Self::Value, E> {
                Ok(WireId::Text(Cow::Borrowed(s)))
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Self::Value, E> {
                Ok(WireId::Text(Cow::Owned(s.to_owned())))
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// One packet of media, parsed: who, when, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPacket<'a> {
    /// Which kind of media.
    pub kind: MediaKind,
    /// The participant; 0 for mixed audio.
    pub user_id: Option<WireId<'a>>,
    /// The participant's name.
    pub user_name: Option<Cow<'a, str>>,
    /// The party's channel, in Contact Center.
    pub channel_id: Option<WireId<'a>>,
    /// Zoom's clock at the start of what the packet holds.
    pub timestamp: UnixMillis,
    /// Base64 for audio, video and share; text for transcript and chat.
    pub data: Cow<'a, str>,
    /// Decoded size in bytes, where Zoom says it.
    pub length: Option<u32>,
    /// Transcript: start of the utterance.
    pub start_time: Option<UnixMillis>,
    /// Transcript: end of the utterance.
    pub end_time: Option<UnixMillis>,
    /// Transcript: language spoken.
    pub language: Option<Language>,
    /// Transcript: interim, final, corrected; chat: new, updated, deleted; in Zoom's word. Zoom documents none.
    pub attribute: Option<Cow<'a, str>>,
    /// Chat, and transcript where it comes: which message this one is, or changes.
    pub message_id: Option<WireId<'a>>,
}

impl<'a> MediaPacket<'a> {
    /// A packet of `kind` with nothing but a time and data; the fields are public.
    #[must_use]
    pub fn new(kind: MediaKind, timestamp: UnixMillis, data: impl Into<Cow<'a, str>>) -> Self {
        Self {
            kind,
            user_id: None,
            user_name: None,
            channel_id: None,
            timestamp,
            data: data.into(),
            length: None,
            start_time: None,
            end_time: None,
            language: None,
            attribute: None,
            message_id: None,
        }
    }

    /// Parses a whole media message.
    ///
    /// Older servers put the payload string straight into `content`, with the rest beside it; both are read.
    ///
    /// # Errors
    /// When it is not JSON of that shape, or not a media type. A missing timestamp is an error for audio, video and
    /// share, which cannot be placed without one.
    pub fn parse(message: &'a [u8]) -> Result<Self, PacketError> {
        let envelope: Envelope<'a> =
            serde_json::from_slice(message).map_err(|error| PacketError::parse(&error))?;
        let msg_type = MsgType::from_code(envelope.msg_type.0);
        let kind = MediaKind::of_msg_type(msg_type).ok_or(PacketError::NotMedia(msg_type.code()))?;
        let content = match envelope.content {
            Some(ContentForm::Object(content)) => content,
            Some(ContentForm::Bare(data)) => {
                let beside: Content<'a> =
                    serde_json::from_slice(message).map_err(|error| PacketError::parse(&error))?;
                Content { data: Some(data), ..beside }
            }
            None => return Err(PacketError::Missing("content")),
        };
        let millis = |n: Integer| UnixMillis(n.0);
        let told = |id: Option<WireId<'a>>| id.filter(|id| !id.is(""));
        let start_time = content.start_time.map(millis);
        let timestamp =
            content.timestamp.map(millis).or(start_time).ok_or(PacketError::Missing("timestamp"))?;
        Ok(Self {
            kind,
            user_id: told(content.user_id),
            user_name: content.user_name.map(|name| name.0),
            channel_id: told(content.channel_id),
            timestamp,
            data: content.data.ok_or(PacketError::Missing("data"))?.0,
            length: content.length.and_then(|n| u32::try_from(n.0).ok()),
            start_time,
            end_time: content.end_time.map(millis),
            language: content.language.map(|n| Language::from_code(n.0)),
            attribute: content.attribute.map(|attribute| match attribute {
                WireId::Text(text) => text,
                WireId::Number(n) => Cow::Owned(n.to_string()),
            }),
            message_id: content.message_id.or(content.msg_id),
        })
    }

    /// Decodes the base64 payload into `buffer`, which is cleared first and keeps its capacity.
    ///
    /// # Errors
    /// When the payload is not base64, or not of the announced length.
    pub fn decode_into(&self, buffer: &mut Vec<u8>) -> Result<(), PacketError> {
        use base64_simd::AsOut as _;
        buffer.clear();
        let encoded = self.data.as_bytes();
        buffer.resize(base64_simd::STANDARD.estimated_decoded_length(encoded.len()), 0);
        let decoded = base64_simd::STANDARD
            .decode(encoded, buffer.as_mut_slice().as_out())
            .map(|bytes| bytes.len())
            .or_else(|_| {
                // Some encoders leave the padding away.
                base64_simd::STANDARD_NO_PAD.decode(encoded, buffer.as_mut_slice().as_out()).map(|b| b.len())
            });
        let Ok(actual) = decoded else {
            buffer.clear();
            return Err(PacketError::Base64);
        };
        buffer.truncate(actual);
        match self.length {
            Some(stated) if stated as usize != actual => Err(PacketError::Length { stated, actual }),
            _ => Ok(()),
        }
    }

    /// The text of a transcript or chat message.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.data
    }

    /// The message as Zoom writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let message = OutEnvelope {
            msg_type: self.kind.msg_type(),
            content: OutContent {
                user_id: self.user_id.as_ref(),
                user_name: self.user_name.as_deref(),
                channel_id: self.channel_id.as_ref(),
                data: &self.data,
                length: self.length,
                timestamp: self.timestamp,
                start_time: self.start_time,
                end_time: self.end_time,
                language: self.language,
                attribute: self.attribute.as_deref(),
                message_id: self.message_id.as_ref(),
            },
        };
        serde_json::to_string(&message).unwrap_or_default()
    }
}

/// Encodes a payload for [`MediaPacket::data`].
#[must_use]
pub fn encode_payload(payload: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(payload)
}

/// A string that borrows unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Envelope<'a> {
    msg_type: Integer,
    #[serde(borrow)]
    content: Option<ContentForm<'a>>,
}

/// `content` as an object, or in the older form as the bare payload.
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack while one message is parsed; a box would cost each packet"
)]
enum ContentForm<'a> {
    Object(Content<'a>),
    Bare(Text<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for ContentForm<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = ContentForm<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("media content, as an object or a string")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Content::deserialize(de::value::MapAccessDeserializer::new(map)).map(ContentForm::Object)
            }
            fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Self::Value, E> {
                Ok(ContentForm::Bare(Text(Cow::Borrowed(s))))
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Self::Value, E> {
                Ok(ContentForm::Bare(Text(Cow::Owned(s.to_owned()))))
            }
        }
        deserializer.deserialize_any(V)
    }
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    user_id: Option<WireId<'a>>,
    #[serde(borrow, default)]
    user_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    channel_id: Option<WireId<'a>>,
    #[serde(borrow, default)]
    data: Option<Text<'a>>,
    #[serde(default)]
    length: Option<Integer>,
    #[serde(default)]
    timestamp: Option<Integer>,
    #[serde(default)]
    start_time: Option<Integer>,
    #[serde(default)]
    end_time: Option<Integer>,
    #[serde(default)]
    language: Option<Integer>,
    #[serde(borrow, default)]
    attribute: Option<WireId<'a>>,
    #[serde(borrow, default)]
    message_id: Option<WireId<'a>>,
    #[serde(borrow, default)]
    msg_id: Option<WireId<'a>>,
}

#[derive(Serialize)]
struct OutEnvelope<'a> {
    msg_type: MsgType,
    content: OutContent<'a>,
}

#[derive(Serialize)]
struct OutContent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a WireId<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_id: Option<&'a WireId<'a>>,
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u32>,
    timestamp: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a WireId<'a>>,
}
#[cfg(test)]
mod tests;
