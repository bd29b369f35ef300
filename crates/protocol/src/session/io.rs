//! What goes into a session and what comes out of it.

use std::time::Duration;

use bytes::Bytes;

use crate::codes::{StatusCode, StopReason};
use crate::events::Event;
use crate::frame::MediaFrame;
use crate::media::{MediaKind, MediaParams, MediaSet};
use crate::message::MessageError;
use crate::time::{Instant, UnixMillis};

/// Names one socket of a session. Never used twice, so that late news of an old socket is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// The stream's signaling.
    Signaling,
    /// Media of these kinds.
    Media(MediaSet),
}

impl SocketKind {
    /// One word for logs and metrics: `signaling` or `media`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signaling => "signaling",
            Self::Media(_) => "media",
        }
    }
}

/// Why a socket is gone, or never came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseCause {
    /// The URL is not one that we may connect to; asking again is pointless.
    NotAllowed(String),
    /// Name lookup, TCP, TLS or the WebSocket upgrade failed.
    ConnectFailed(String),
    /// The peer closed it, with this WebSocket code where it gave one.
    ClosedByPeer(Option<u16>),
    /// It broke: reset, end of file, a frame over the limit.
    Broken(String),
}

impl std::fmt::Display for CloseCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAllowed(detail) => write!(f, "not allowed: {detail}"),
            Self::ConnectFailed(detail) => write!(f, "could not connect: {detail}"),
            Self::ClosedByPeer(Some(code)) => write!(f, "closed by Zoom with code {code}"),
            Self::ClosedByPeer(None) => f.write_str("closed by Zoom"),
            Self::Broken(detail) => write!(f, "broken: {detail}"),
        }
    }
}

/// Something happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time passed; also the very first input, which starts the session.
    Tick,
    /// A socket that [`Output::Open`] asked for is open.
    Opened(SocketId),
    /// A text or binary message came.
    Frame(SocketId, Bytes),
    /// A message came that was not kept. It counts as heard when it begins, not again while it streams by.
    Skipped(SocketId, MessageError),
    /// The peer sends too many messages; reading from this socket waits now and then.
    Throttled(SocketId),
    /// A socket is gone.
    Closed(SocketId, CloseCause),
    /// A `…started` webhook for this stream while it is active: Zoom moved it to these signaling URLs.
    Restarted(Vec<String>),
    /// An `…interrupted` webhook: Zoom believes that our signaling is gone.
    Interrupted,
    /// A `…stopped` webhook.
    Stopped(Option<StopReason>),
    /// Ask Zoom to end the stream.
    Close,
    /// Leave at once without ending the stream at Zoom, so that another process can take it over.
    Leave,
    /// Choose whose video is sent.
    ChooseVideo {
        /// The participant.
        user_id: String,
        /// On or off.
        subscribe: bool,
        /// Now, for the message.
        timestamp: UnixMillis,
    },
}

/// What to do, what was learned, or when to come back.
#[derive(Debug, Clone)]
pub enum Output {
    /// Connect a WebSocket; report [`Input::Opened`] or [`Input::Closed`].
    Open {
        /// Its name from now on.
        socket: SocketId,
        /// What it is for.
        kind: SocketKind,
        /// Where to.
        url: String,
    },
    /// Send a text message.
    Send(SocketId, String),
    /// Close the socket, or stop connecting it. No [`Input::Closed`] is expected afterwards.
    Close(SocketId),
    /// Let go of the socket at once and without a goodbye: nobody is there to answer one, and as long as the connection
    /// stays, Zoom may take the next one for a duplicate. No [`Input::Closed`] is expected afterwards.
    Abandon(SocketId),
    /// Send a close frame and go on reading: what is under way still counts. Report [`Input::Closed`] at its end.
    Finish(SocketId),
    /// Media came.
    Media(MediaFrame),
    /// Something worth knowing.
    Notice(Box<Notice>),
    /// Nothing more now; call again on the next happening, or with [`Input::Tick`] at this time.
    Idle(Option<Wake>),
}

/// The next time at which something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Instant,
    /// Why, for logs.
    pub why: &'static str,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// On the way to the first media.
    Connecting,
    /// Every media socket is up.
    Streaming,
    /// A socket is missing and sought again.
    Reconnecting,
    /// Zoom paused the stream; sockets stay up.
    Paused,
    /// It is coming to its end.
    Stopping,
    /// It is over.
    Ended,
}

impl Phase {
    /// The stable word for the API, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Reconnecting => "reconnecting",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

/// Why media stopped for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A media socket was lost.
    MediaLost,
    /// The signaling socket was lost.
    SignalingLost,
    /// Nothing came for too long.
    Silence,
    /// Zoom said that it lost us.
    ReportedByZoom,
    /// Zoom moved the stream to another server.
    ServerChanged,
}

impl Interruption {
    /// Every cause, for tables.
    pub const ALL: [Self; 5] =
        [Self::MediaLost, Self::SignalingLost, Self::Silence, Self::ReportedByZoom, Self::ServerChanged];

    /// The stable word for manifests, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::MediaLost => "media_lost",
            Self::SignalingLost => "signaling_lost",
            Self::Silence => "silence",
            Self::ReportedByZoom => "reported_by_zoom",
            Self::ServerChanged => "server_changed",
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Zoom ended the stream.
    Stopped(Option<StopReason>),
    /// We asked Zoom to end it, and left.
    Closed,
    /// We left without ending it.
    Left,
    /// Zoom refused for good (and where media had flowed, named no other server in time), or the URL is not allowed.
    Refused(Refused),
    /// No way back was found within the time that Zoom allows.
    GaveUp(Interruption),
}

/// A refusal that is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Zoom's status; `None` when it was we who refused the URL.
    pub status: Option<StatusCode>,
    /// Zoom's words, or ours.
    pub reason: String,
    /// Whether media had already flowed, in this session or the one before.
    pub after_media: bool,
}

/// Something worth knowing: for the log, the metrics, the recording.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The session stands elsewhere now.
    Phase(Phase),
    /// Zoom granted these media parameters, on one socket.
    Granted(MediaParams),
    /// A kind of media is not to be had: not offered, not in the app's scopes, or refused.
    Unavailable {
        /// The kind.
        kind: MediaKind,
        /// The status of the refusal; `None` where it was simply not offered.
        status: Option<StatusCode>,
        /// Zoom's words.
        reason: String,
    },
    /// Zoom refused a handshake; what happens next is in `retry`.
    HandshakeRefused {
        /// Which socket.
        kind: SocketKind,
        /// Zoom's status.
        status: StatusCode,
        /// Zoom's words.
        reason: String,
        /// Whether it is tried again.
        retry: bool,
    },
    /// A socket was lost or could not be opened; it is tried again at `retry_at`.
    SocketLost {
        /// Which socket.
        kind: SocketKind,
        /// Why.
        cause: CloseCause,
        /// When it is tried again; `None` where the rest decides.
        retry_at: Option<Instant>,
    },
    /// Zoom refused for good what had worked before. Nothing is tried any more, until Zoom names another server for the
    /// stream; followed by one [`Notice::WaitOver`].
    AwaitingServer {
        /// How long that is waited for.
        within: Duration,
    },
    /// The wait for another server is over.
    WaitOver {
        /// Whether Zoom named one; if not, the session ends, or goes on with what is connected.
        named: bool,
    },
    /// Media stopped, and a way back is being tried. A socket that closes with the end of the stream is no interruption.
    Interrupted {
        /// Why.
        cause: Interruption,
        /// How long ago it stopped: where a connection was found dead, since it was last heard.
        ago: Duration,
    },
    /// Media flows again.
    Resumed,
    /// An event from signaling.
    Event(Event),
    /// A message that could not be used; it was skipped.
    Malformed {
        /// On which socket.
        kind: SocketKind,
        /// What was wrong; never the message itself.
        error: MessageError,
    },
    /// More messages come on a socket than are taken; told once for each connection. Nothing is lost by it.
    Throttled {
        /// On which socket.
        kind: SocketKind,
    },
    /// A message of a type that nobody has described; it was skipped.
    UnknownMessage {
        /// On which socket.
        kind: SocketKind,
        /// Its number.
        msg_type: i64,
    },
    /// Zoom answered the choice of a participant's video.
    VideoChoice {
        /// Who was asked for.
        user_id: String,
        /// Whether on or off was asked for.
        subscribe: bool,
        /// What Zoom said. "Already chosen" (44) is a yes.
        status: StatusCode,
        /// Zoom's words.
        reason: String,
    },
    /// The session is over; nothing follows.
    Ended(Outcome),
}
