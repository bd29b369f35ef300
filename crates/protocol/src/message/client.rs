//! What an RTMS client sends.

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{KeepAlive, MediaHandshake, MessageError, SignalingHandshake, integer, read, write, yes};
use crate::codes::MsgType;
use crate::frame::peek_msg_type;
use crate::time::UnixMillis;
use crate::wire::lenient_text;

/// 5: one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The event's number.
    #[serde(deserialize_with = "integer")]
    pub event_type: i64,
    /// On or off.
    #[serde(default = "yes")]
    pub subscribe: bool,
}

/// What an RTMS client sends.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// 1, on a signaling socket.
    SignalingHandshake(SignalingHandshake),
    /// 3, on a media socket.
    MediaHandshake(Box<MediaHandshake>),
    /// 5: which events to send; not answered.
    EventSubscription(Vec<Subscription>),
    /// 7: media may flow.
    ClientReady {
        /// The stream.
        rtms_stream_id: String,
    },
    /// 10: asks for the state of a session.
    SessionStateRequest {
        /// The session.
        rtms_session_id: String,
    },
    /// 13: answers a keep-alive.
    KeepAlive(KeepAlive),
    /// 19: asks for the state of the stream.
    StreamStateRequest {
        /// The stream.
        rtms_stream_id: String,
    },
    /// 21: asks Zoom to end the stream.
    StreamClose {
        /// The stream.
        rtms_stream_id: String,
    },
    /// 28: chooses one participant's video.
    VideoSubscription {
        /// The participant.
        user_id: String,
        /// On or off.
        subscribe: bool,
        /// Now, Unix ms.
        timestamp: UnixMillis,
    },
    /// Anything else.
    Unknown(MsgType),
}

#[derive(Serialize, Deserialize)]
struct StreamOnly {
    rtms_stream_id: String,
}

#[derive(Serialize, Deserialize)]
struct SessionOnly {
    rtms_session_id: String,
}

#[derive(Serialize, Deserialize)]
struct Subscriptions {
    events: Vec<Subscription>,
}

#[derive(Serialize, Deserialize)]
struct VideoChoice {
    #[serde(default, deserialize_with = "lenient_text")]
    user_id: Option<String>,
    #[serde(default = "yes")]
    subscribe: bool,
    #[serde(default)]
    timestamp: UnixMillis,
}

impl ClientMessage {
    /// The message's type.
    #[must_use]
    pub const fn msg_type(&self) -> MsgType {
        match self {
            Self::SignalingHandshake(_) => MsgType::SignalingHandshakeRequest,
            Self::MediaHandshake(_) => MsgType::MediaHandshakeRequest,
            Self::EventSubscription(_) => MsgType::EventSubscription,
            Self::ClientReady { .. } => MsgType::ClientReadyAck,
            Self::SessionStateRequest { .. } => MsgType::SessionStateRequest,
            Self::KeepAlive(_) => MsgType::KeepAliveResponse,
            Self::StreamStateRequest { .. } => MsgType::StreamStateRequest,
            Self::StreamClose { .. } => MsgType::StreamCloseRequest,
            Self::VideoSubscription { .. } => MsgType::VideoSubscriptionRequest,
            Self::Unknown(msg_type) => *msg_type,
        }
    }

    /// The message as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let msg_type = self.msg_type();
        let stream = |id: &String| write(msg_type, &StreamOnly { rtms_stream_id: id.clone() });
        match self {
            Self::SignalingHandshake(handshake) => write(msg_type, handshake),
            Self::MediaHandshake(handshake) => write(msg_type, handshake),
            Self::EventSubscription(events) => write(msg_type, &Subscriptions { events: events.clone() }),
            Self::ClientReady { rtms_stream_id }
            | Self::StreamStateRequest { rtms_stream_id }
            | Self::StreamClose { rtms_stream_id } => stream(rtms_stream_id),
            Self::SessionStateRequest { rtms_session_id } => {
                write(msg_type, &SessionOnly { rtms_session_id: rtms_session_id.clone() })
            }
            Self::KeepAlive(keep_alive) => write(msg_type, keep_alive),
            Self::VideoSubscription { user_id, subscribe, timestamp } => write(
                msg_type,
                &VideoChoice { user_id: Some(user_id.clone()), subscribe: *subscribe, timestamp: *timestamp },
            ),
            Self::Unknown(_) => write(msg_type, &Map::new()),
        }
    }

    /// Reads a message of a client.
    ///
    /// # Errors
    /// When it is no JSON object with a `msg_type`, or the fields of a known type do not fit.
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let msg_type = peek_msg_type(message).ok_or(MessageError::NoType)?;
        let stream_id = || read::<StreamOnly>(msg_type, message).map(|m| m.rtms_stream_id);
        Ok(match msg_type {
            MsgType::SignalingHandshakeRequest => Self::SignalingHandshake(read(msg_type, message)?),
            MsgType::MediaHandshakeRequest => Self::MediaHandshake(Box::new(read(msg_type, message)?)),
            MsgType::EventSubscription => {
                Self::EventSubscription(read::<Subscriptions>(msg_type, message)?.events)
            }
            MsgType::ClientReadyAck => Self::ClientReady { rtms_stream_id: stream_id()? },
            MsgType::StreamStateRequest => Self::StreamStateRequest { rtms_stream_id: stream_id()? },
            MsgType::StreamCloseRequest => Self::StreamClose { rtms_stream_id: stream_id()? },
            MsgType::SessionStateRequest => Self::SessionStateRequest {
                rtms_session_id: read::<SessionOnly>(msg_type, message)?.rtms_session_id,
            },
            MsgType::KeepAliveResponse => Self::KeepAlive(read(msg_type, message)?),
            MsgType::VideoSubscriptionRequest => {
                let VideoChoice { user_id, subscribe, timestamp } = read(msg_type, message)?;
                Self::VideoSubscription { user_id: user_id.unwrap_or_default(), subscribe, timestamp }
            }
            other => Self::Unknown(other),
        })
    }
}
