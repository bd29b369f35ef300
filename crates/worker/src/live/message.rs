//! The JSON messages of both feeds: what a listener must know to read the packets, and what happens to the stream.

use bytes::Bytes;
use rtms_protocol::session::{Outcome, Phase};
use rtms_protocol::{Role, StreamIdentity, UnixMillis};
use serde::Serialize;

use super::packet::VERSION;

/// Whose sound a track is. Announced before its first packet, and again when more is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Track {
    /// The number in the packets' headers, from 1.
    pub(super) track: u16,
    /// `mixed`, the party's role, its display name or its id: the NAME of its file.
    pub(super) name: String,
    pub(super) role: Option<Role>,
    pub(super) display_name: Option<String>,
    pub(super) channel_id: Option<String>,
    pub(super) user_id: Option<String>,
    /// Samples a second and channel.
    pub(super) sample_rate: u32,
    /// Samples in a frame.
    pub(super) channels: u16,
}

/// Where the stream stands.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct State {
    pub(super) state: &'static str,
    /// Since when, our clock, Unix ms.
    pub(super) since: UnixMillis,
}

impl State {
    pub(super) const fn of(phase: Phase, since: UnixMillis) -> Self {
        Self { state: phase.word(), since }
    }
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct End {
    pub(super) reason: &'static str,
    /// Zoom's name for it, where Zoom said why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_reason: Option<&'static str>,
}

impl End {
    /// The worker leaves the stream, which may go on with another one.
    pub(super) const LEFT: Self = Self { reason: "left", stop_reason: None };

    pub(super) fn of(outcome: &Outcome) -> Self {
        let reason = match outcome {
            Outcome::Stopped(_) => "stopped",
            Outcome::Closed => "closed",
            Outcome::Left => Self::LEFT.reason,
            Outcome::Refused(_) => "refused",
            Outcome::GaveUp(_) => "gave_up",
        };
        let stop_reason = match outcome {
            Outcome::Stopped(Some(reason)) => Some(reason.name()),
            _ => None,
        };
        Self { reason, stop_reason }
    }
}

/// The first message.
#[derive(Debug, Serialize)]
pub(super) struct Hello<'a> {
    pub(super) version: u8,
    pub(super) rtms_stream_id: &'a str,
    pub(super) id: &'a str,
    pub(super) product: &'static str,
    #[serde(flatten)]
    pub(super) state: State,
    /// Zoom's clock at the recording's time zero, Unix ms; null before anything was recorded.
    pub(super) time_zero: Option<UnixMillis>,
    /// Only of the audio feed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) sound: Option<Sound<'a>>,
}

/// What the packets of the audio feed hold.
#[derive(Debug, Serialize)]
pub(super) struct Sound<'a> {
    /// 16-bit signed integers in little endian, interleaved.
    pub(super) encoding: &'static str,
    /// As Zoom granted it; null before it did. Each track says its own.
    pub(super) sample_rate: Option<u32>,
    pub(super) channels: Option<u16>,
    pub(super) tracks: &'a [Track],
}

impl<'a> Hello<'a> {
    pub(super) fn new(
        identity: &'a StreamIdentity,
        state: State,
        time_zero: Option<UnixMillis>,
        sound: Option<Sound<'a>>,
    ) -> Self {
        Self {
            version: VERSION,
            rtms_stream_id: &identity.stream_id,
            id: &identity.id,
            product: identity.product.word(),
            state,
            time_zero,
            sound,
        }
    }
}

/// How many packets were lost on the way to this listener.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Lost {
    pub(super) packets: u64,
}

/// `{"type":kind,…}`.
pub(super) fn json(kind: &'static str, message: &impl Serialize) -> Bytes {
    #[derive(Serialize)]
    struct Typed<'a, T> {
        r#type: &'static str,
        #[serde(flatten)]
        message: &'a T,
    }
    // Nothing here fails to serialize; were it so, an empty message would do no harm.
    Bytes::from(serde_json::to_vec(&Typed { r#type: kind, message }).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use rtms_protocol::{Product, StopReason};

    use super::*;

    pub(in crate::live) fn identity() -> StreamIdentity {
        StreamIdentity { product: Product::ContactCenter, id: "e".into(), stream_id: "s".into() }
    }

    #[test]
    fn a_message_says_first_what_it_is() {
        let identity = identity();
        let state = State::of(Phase::Streaming, UnixMillis(5));
        let sound = Sound { encoding: "s16le", sample_rate: Some(16_000), channels: Some(1), tracks: &[] };
        let hello = json("hello", &Hello::new(&identity, state, None, Some(sound)));
        assert_eq!(
            hello,
            r#"{"type":"hello","version":1,"rtms_stream_id":"s","id":"e","product":"contact_center","state":"streaming","since":5,"time_zero":null,"encoding":"s16le","sample_rate":16000,"channels":1,"tracks":[]}"#
        );
        let words = json("hello", &Hello::new(&identity, state, Some(UnixMillis(1)), None));
        assert!(words.ends_with(br#""time_zero":1}"#), "{words:?}");
        assert_eq!(json("lost", &Lost { packets: 7 }), r#"{"type":"lost","packets":7}"#);
        let end = End::of(&Outcome::Stopped(Some(StopReason::from_code(6))));
        assert_eq!(json("end", &end), r#"{"type":"end","reason":"stopped","stop_reason":"MEETING_ENDED"}"#);
        assert_eq!(json("end", &End::LEFT), r#"{"type":"end","reason":"left"}"#);
    }
}
