//! Zoom Realtime Media Streams (RTMS) on the wire, without a wire.
//!
//! This crate knows what Zoom sends and expects: webhook envelopes and their signatures, the JSON messages of the
//! signaling and media sockets, every published number, the media parameters and the combinations that Zoom grants,
//! and — in [`session`] — the state machine that decides what to do when something happens. It performs no I/O,
//! reads no clock, starts no task and logs nothing: time and randomness are arguments. That makes every failover
//! story a unit test with made-up time, and lets both our client and our simulator stand on the same definitions.
//!
//! # Where to begin
//! * [`Webhook`] and [`WebhookKeys`]: what arrives over HTTP, and whether to believe it.
//! * [`ClientMessage`] and [`ServerMessage`]: the two directions of a socket.
//! * [`MediaFrame`] and [`MediaPacket`]: the hot path, parsed without a tree and without a copy.
//! * [`Session`]: one stream's life, as a pure state machine.
//!
//! # Panics
//! Nothing that a peer sends makes this crate panic; a panic here is a bug of ours.

mod brief;
pub mod codes;
pub mod events;
pub mod frame;
pub mod language;
pub mod media;
pub mod message;
mod open_code;
pub mod product;
pub mod rtp;
pub mod session;
pub mod signature;
mod time;
pub mod webhook;
mod wire;

pub use brief::brief;
pub use codes::{MsgType, SessionState, StatusCode, StopReason, StreamState};
pub use events::{Event, EventKind, Participant, Role, event_name, event_word};
pub use frame::{MediaFrame, MediaPacket, PacketError, WireId, peek_msg_type};
pub use language::Language;
pub use media::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, ChatParams, MediaKind, MediaParams, MediaSet,
    ParamsError, Resolution, SampleRate, ShareParams, TranscriptParams, VideoCodec, VideoData, VideoParams,
};
pub use message::{ClientMessage, MessageError, ServerMessage};
pub use product::{Product, StreamIdentity};
pub use rtp::{RtpError, RtpPacket};
pub use session::{Input, Output, Session, SessionConfig};
pub use signature::{
    Credentials, KeysError, SignatureError, TokenRefused, UrlValidationAnswer, WebhookKeys,
    handshake_signature, handshake_signature_matches, sign_webhook,
};
pub use time::{Instant, UnixMillis};
pub use webhook::{StreamAction, StreamWebhook, Webhook, WebhookError, WebhookKind};
