//! What Zoom sends, but for media.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::handshake::reason;
use super::{KeepAlive, MediaAnswer, MessageError, SignalingAnswer, read, write};
use crate::codes::{MsgType, SessionState, StatusCode, StopReason, StreamState};
use crate::frame::peek_msg_type;
use crate::media::MediaKind;
use crate::time::UnixMillis;
use crate::wire::{lenient_integer, lenient_millis, lenient_text};

/// 8 and 20: the state of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStateUpdate {
    /// The stream, in answers.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub rtms_stream_id: Option<String>,
    /// The state now.
    pub state: StreamState,
    /// Why, as a [`StopReason`] number.
    #[serde(default, deserialize_with = "stop_reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<StopReason>,
    /// When, on Zoom's clock.
    #[serde(default, deserialize_with = "lenient_millis", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<UnixMillis>,
}

/// 9 and 11: the state of one session in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStateUpdate {
    /// The session.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "Option::is_none")]
    pub rtms_session_id: Option<String>,
    /// The state now.
    #[serde(alias = "session_state")]
    pub state: SessionState,
    /// Why, where it stopped.
    #[serde(default, deserialize_with = "stop_reason", skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// When, on Zoom's clock.
    #[serde(default, deserialize_with = "lenient_millis", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<UnixMillis>,
}

fn stop_reason<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<StopReason>, D::Error> {
    Ok(lenient_integer(deserializer)?.map(StopReason::from_code))
}

/// 22 and 29: a plain yes or no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// 0, or why not.
    pub status_code: StatusCode,
    /// Zoom's words for it.
    #[serde(default, deserialize_with = "reason")]
    pub reason: String,
}

/// What Zoom sends, but for media, which [`crate::MediaPacket`] reads.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerMessage {
    /// 2.
    SignalingAnswer(SignalingAnswer),
    /// 4.
    MediaAnswer(MediaAnswer),
    /// 6: the `event` object, to be read by product: [`crate::Event::from_fields`].
    EventUpdate(Map<String, Value>),
    /// 8.
    StreamState(StreamStateUpdate),
    /// 9.
    SessionState(SessionStateUpdate),
    /// 11.
    SessionStateAnswer(SessionStateUpdate),
    /// 12: to be answered with 13 and the same fields.
    KeepAlive(KeepAlive),
    /// 20.
    StreamStateAnswer(StreamStateUpdate),
    /// 22.
    StreamCloseAnswer(StatusAnswer),
    /// 29.
    VideoSubscriptionAnswer(StatusAnswer),
    /// 14 to 18: media.
    Media(MediaKind),
    /// Anything else.
    Unknown(MsgType),
}

#[derive(Serialize, Deserialize)]
struct EventEnvelope {
    event: Map<String, Value>,
}

impl ServerMessage {
    /// The message's type.
    #[must_use]
    pub const fn msg_type(&self) -> MsgType {
        match self {
            Self::SignalingAnswer(_) => MsgType::SignalingHandshakeResponse,
            Self::MediaAnswer(_) => MsgType::MediaHandshakeResponse,
            Self::EventUpdate(_) => MsgType::EventUpdate,
            Self::StreamState(_) => MsgType::StreamStateUpdate,
            Self::SessionState(_) => MsgType::SessionStateUpdate,
            Self::SessionStateAnswer(_) => MsgType::SessionStateResponse,
            Self::KeepAlive(_) => MsgType::KeepAliveRequest,
            Self::StreamStateAnswer(_) => MsgType::StreamStateResponse,
            Self::StreamCloseAnswer(_) => MsgType::StreamCloseResponse,
            Self::VideoSubscriptionAnswer(_) => MsgType::VideoSubscriptionResponse,
            Self::Media(kind) => kind.msg_type(),
            Self::Unknown(msg_type) => *msg_type,
        }
    }

    /// The message as JSON. [`Self::Media`] and [`Self::Unknown`] come out bare; media is written by
    /// [`crate::MediaPacket::to_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        let msg_type = self.msg_type();
        match self {
            Self::SignalingAnswer(answer) => write(msg_type, answer),
            Self::MediaAnswer(answer) => write(msg_type, answer),
            Self::EventUpdate(event) => write(msg_type, &EventEnvelope { event: event.clone() }),
            Self::StreamState(state) | Self::StreamStateAnswer(state) => write(msg_type, state),
            Self::SessionState(state) | Self::SessionStateAnswer(state) => write(msg_type, state),
            Self::KeepAlive(keep_alive) => write(msg_type, keep_alive),
            Self::StreamCloseAnswer(answer) | Self::VideoSubscriptionAnswer(answer) => {
                write(msg_type, answer)
            }
            Self::Media(_) | Self::Unknown(_) => write(msg_type, &Map::new()),
        }
    }

    /// Reads a message of Zoom.
    ///
    /// # Errors
    /// When it is no JSON object with a `msg_type`, or the fields of a known type do not fit.
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let msg_type = peek_msg_type(message).ok_or(MessageError::NoType)?;
        if let Some(kind) = MediaKind::of_msg_type(msg_type) {
            return Ok(Self::Media(kind));
        }
        Ok(match msg_type {
            MsgType::SignalingHandshakeResponse => Self::SignalingAnswer(read(msg_type, message)?),
            MsgType::MediaHandshakeResponse => Self::MediaAnswer(read(msg_type, message)?),
            MsgType::EventUpdate => Self::EventUpdate(read::<EventEnvelope>(msg_type, message)?.event),
            MsgType::StreamStateUpdate => Self::StreamState(read(msg_type, message)?),
            MsgType::SessionStateUpdate => Self::SessionState(read(msg_type, message)?),
            MsgType::SessionStateResponse => Self::SessionStateAnswer(read(msg_type, message)?),
            MsgType::KeepAliveRequest => Self::KeepAlive(read(msg_type, message)?),
            MsgType::StreamStateResponse => Self::StreamStateAnswer(read(msg_type, message)?),
            MsgType::StreamCloseResponse => Self::StreamCloseAnswer(read(msg_type, message)?),
            MsgType::VideoSubscriptionResponse => Self::VideoSubscriptionAnswer(read(msg_type, message)?),
            other => Self::Unknown(other),
        })
    }
}
