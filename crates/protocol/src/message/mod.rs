//! The messages of both sockets, in both directions.
//!
//! [`ClientMessage`] is what an RTMS client sends, [`ServerMessage`] what Zoom sends; each can be written and read,
//! because our client stands on one side and our simulator on the other. Reading is lenient where Zoom's documents
//! and Zoom's own client differ, and an unknown `msg_type` is a value, never an error.

mod client;
mod handshake;
mod server;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codes::MsgType;
use crate::product::StreamIdentity;
use crate::wire::Integer;

pub use crate::wire::IdFields;
pub use client::{ClientMessage, Subscription};
pub use handshake::{
    MediaAnswer, MediaHandshake, MediaServer, MediaUrls, SignalingAnswer, SignalingHandshake,
};
pub use server::{ServerMessage, SessionStateUpdate, StatusAnswer, StreamStateUpdate};

/// The protocol version that we speak.
pub const PROTOCOL_VERSION: i64 = 1;

/// A message that cannot be read. It never quotes the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not a JSON object with a number in `msg_type`.
    #[error("not a message: no msg_type")]
    NoType,
    /// The type is known but its fields do not fit.
    #[error("message {msg_type} does not parse ({category}, line {line} column {column})")]
    Parse {
        /// The message's type.
        msg_type: MsgType,
        /// `syntax`, `data` or `eof`.
        category: &'static str,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// It is larger than what is kept, and was not read.
    #[error("message is larger than the limit")]
    TooLarge,
    /// Large messages of all streams already take all the memory that is meant for them; it was not read.
    #[error("no memory left for another large message")]
    NoRoom,
}

/// One word for a JSON error, without the input that serde would quote.
pub(crate) fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "io",
        serde_json::error::Category::Syntax => "syntax",
        serde_json::error::Category::Data => "data",
        serde_json::error::Category::Eof => "eof",
    }
}

fn read<'de, T: Deserialize<'de>>(msg_type: MsgType, message: &'de [u8]) -> Result<T, MessageError> {
    serde_json::from_slice(message).map_err(|error| MessageError::Parse {
        msg_type,
        category: category(&error),
        line: error.line(),
        column: error.column(),
    })
}

fn write(msg_type: MsgType, body: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Message<'a, T> {
        msg_type: MsgType,
        #[serde(flatten)]
        body: &'a T,
    }
    // These types hold strings, numbers and maps with string keys: nothing that JSON cannot say.
    serde_json::to_string(&Message { msg_type, body }).unwrap_or_default()
}

fn zero() -> i64 {
    0
}

fn one() -> i64 {
    PROTOCOL_VERSION
}

fn yes() -> bool {
    true
}

fn integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Integer::deserialize(deserializer).map(|n| n.0)
}

/// 12 and 13: both fields are echoed as they came; Zoom's client answers only a request with a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Counts the server's requests; documents do not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Value>,
    /// The server's time; echoed unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Value>,
}

impl IdFields {
    /// Whether any of the id fields names this stream's engagement.
    #[must_use]
    pub fn names(&self, identity: &StreamIdentity) -> bool {
        self.ids().any(|id| id == identity.id)
    }
}
