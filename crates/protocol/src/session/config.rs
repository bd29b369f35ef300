//! What a session is told at its start.

use std::time::Duration;

use crate::media::MediaParams;
use crate::product::StreamIdentity;
use crate::signature::Credentials;

/// How media sockets are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaSockets {
    /// One for everything, where Zoom offers a URL for it.
    #[default]
    Single,
    /// One for each kind, where Zoom offers a URL for it.
    PerKind,
}

/// Times that a session keeps. The defaults follow Zoom's published windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For TCP, TLS and the WebSocket upgrade together. Default 10 s.
    pub connect: Duration,
    /// For the answer to a handshake. Default 10 s.
    pub handshake: Duration,
    /// Nothing received on a socket for this long: it is dead. Zoom sends a keep-alive every 10 s. Default 65 s.
    pub silence: Duration,
    /// How long a way back is sought. Zoom keeps a stream 60 s without signaling and 65 s without media; counted from
    /// its notice of the loss, which can come 30 s after ours. Default 120 s.
    pub give_up: Duration,
    /// When Zoom says that a connection is gone and ours looks alive: time for it to prove itself. Default 2 s.
    pub probe: Duration,
    /// After a stop, the longest time for media still under way. Default 3 s.
    pub drain: Duration,
    /// After a stop, this long without a message means that nothing is under way any more. Default 1 s.
    pub drain_quiet: Duration,
    /// For Zoom to end the stream after it was asked to. Default 5 s.
    pub close: Duration,
    /// Wait after "duplicate connection": Zoom must first notice that the old one is gone. Default 3 s.
    pub duplicate: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(65),
            give_up: Duration::from_secs(120),
            probe: Duration::from_secs(2),
            drain: Duration::from_secs(3),
            drain_quiet: Duration::from_secs(1),
            close: Duration::from_secs(5),
            duplicate: Duration::from_secs(3),
        }
    }
}

/// What a session is told at its start.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The stream to join.
    pub identity: StreamIdentity,
    /// What signs the handshakes.
    pub credentials: Credentials,
    /// Signaling URLs from the webhook; tried in turn.
    pub server_urls: Vec<String>,
    /// The media wanted, with its parameters. What Zoom does not offer is left out with a notice.
    pub media: MediaParams,
    /// One media socket, or one for each kind.
    pub sockets: MediaSockets,
    /// Whether the audio captured before we joined is wanted.
    pub buffer_data: bool,
    /// Whether an earlier session had this stream and this one goes on with it. What is buffered is then wanted in any
    /// case, and a final refusal is waited out as it is after media: the server that knew the stream may be gone, or the
    /// stream itself, and Zoom's webhook that says so still be under way.
    pub rejoins: bool,
    /// Times.
    pub timeouts: Timeouts,
    /// Seed of the jitter; the same seed and inputs give the same outputs.
    pub seed: u64,
}
