//! Faults on demand: what goes wrong in a stream, and when. A plan is data, so that a failing run can be replayed.
//!
//! Times are ms of the stream's own clock, which stands still at a cut until somebody is there whom it hits
//! (`stream::standstill`); ranges count handshakes or connections from 0. Whoever adds a fault adds a
//! variant or a field here, and its effect at the one place that owns what it hits: `server::media` and
//! `server::signaling` for how a socket ends, `stream::conductor` for what has a time,
//! `server::rubbish` for messages that are wrong, `player::rtp` for packets of sound, `stream::seats` for what a
//! handshake comes to, `server` for connections before anybody knows whose they are.

use std::ops::Range;

use rtms_protocol::StatusCode;

/// How a socket goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A WebSocket close frame, then the end of the connection.
    Close,
    /// The connection ends without a word; what was sent before still arrives.
    End,
    /// The connection is reset; what is still on its way does not arrive. So plan to repeat some packets. Lines are not
    /// repeated: those that were sent shortly before are in doubt (`PlayedLine::in_doubt`).
    Reset,
    /// Half open: nothing more is sent or answered, and the connection stays.
    Silence,
}

/// A cut and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutAt {
    /// ms from the stream's time zero.
    pub at_ms: i64,
    /// How.
    pub how: Cut,
}

/// The death of the server that carries a stream. Zoom goes on with another one, at other URLs, and says so in a new
/// `…started` webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// ms from the stream's time zero.
    pub at_ms: i64,
    /// What its sockets do, and what every later connection to the dead server does after its handshake message.
    pub how: Cut,
    /// Something in front of the dead server answers later handshakes, with this status, instead.
    pub refuses: Option<StatusCode>,
    /// How much later Zoom announces the new server, ms.
    pub announced_after_ms: i64,
}

/// A message that no server should send. It costs the client that message, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rubbish {
    /// 64 MiB of text in one frame.
    LargeText,
    /// 64 MiB in one binary frame.
    LargeBinary,
    /// 64 MiB of text in 16 fragments.
    LargeFragments,
    /// JSON with 100,000 arrays in each other.
    Deep,
    /// A text frame that is not UTF-8.
    NotUtf8,
    /// JSON of another shape than its type says.
    WrongTypes,
    /// JSON without a type.
    NoMessage,
    /// `NaN` where a number belongs.
    NotANumber,
    /// A number beyond every number.
    EndlessNumber,
    /// Sound that is not base64; on media sockets only.
    NotBase64,
}

impl Rubbish {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::LargeText,
        Self::LargeBinary,
        Self::LargeFragments,
        Self::Deep,
        Self::NotUtf8,
        Self::WrongTypes,
        Self::NoMessage,
        Self::NotANumber,
        Self::EndlessNumber,
        Self::NotBase64,
    ];
}

/// Rubbish and its time. It goes out on every socket that is open then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RubbishAt {
    /// ms from the stream's time zero.
    pub at_ms: i64,
    /// Which.
    pub what: Rubbish,
}

/// What a network does to RTP packets of sound; packets of other content types are never touched. Each hits the last of
/// every so many packets of a track; 0 hits none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RtpFaults {
    /// Never sent.
    pub lose_every: u32,
    /// Sent after the one that follows it.
    pub delay_every: u32,
    /// Sent twice.
    pub double_every: u32,
}

/// What goes wrong in one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every media socket that is open then goes away.
    pub cut_media: Vec<CutAt>,
    /// The signaling socket goes away, and the media sockets with it.
    pub cut_signaling: Vec<CutAt>,
    /// After a media socket came back, so many audio packets that were already sent are sent again.
    pub repeat_packets: u32,
    /// Packets of sound are lost, late, or doubled.
    pub rtp: RtpFaults,
    /// Messages that no server should send.
    pub rubbish: Vec<RubbishAt>,
    /// The server dies, and another one takes over.
    pub server_dies: Vec<Death>,
    /// All sockets end, and from then on the stream is unknown (status 2), as after a restart that kept nothing. No webhook
    /// tells of it.
    pub forget_at_ms: Option<i64>,
    /// `…interrupted` webhooks that have no cause, or come late.
    pub stale_interrupted_ms: Vec<i64>,
    /// The first signaling handshakes are refused with these, one each; [`StatusCode::Ok`] lets one pass.
    pub refuse_signaling: Vec<StatusCode>,
    /// The first media handshakes are refused with these, one each; [`StatusCode::Ok`] lets one pass.
    pub refuse_media: Vec<StatusCode>,
    /// These signaling handshakes are never answered; the connection stays.
    pub mute_signaling: Range<u32>,
    /// These media handshakes are never answered; the connection stays.
    pub mute_media: Range<u32>,
    /// These connections, counted from the stream's announcement, are accepted and never get a byte, not even TLS. Whose
    /// they are nobody knows at that point: with several streams it can be any of them.
    pub stall_connections: Range<u64>,
}
