//! Messages that no server should send, as frames: too large, too deep, or not what they say.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::faults::Rubbish;

/// Far beyond what any message of Zoom's takes, in bytes.
const LARGE: usize = 64 * 1024 * 1024;
/// A large message can come in so many fragments.
const FRAGMENTS: usize = 16;
/// So many arrays in each other.
const DEPTH: usize = 100_000;

/// Which kind of socket it goes out on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Signaling,
    Media,
}

/// The frames of one message; none where it would be no rubbish on that socket.
pub(super) fn frames(what: Rubbish, on: On) -> Vec<Message> {
    let text = |text: String| vec![Message::text(text)];
    match what {
        Rubbish::LargeText => vec![whole(Data::Text, large(LARGE))],
        Rubbish::LargeBinary => vec![whole(Data::Binary, large(LARGE))],
        Rubbish::LargeFragments => fragments(),
        Rubbish::Deep => text(message(on, &format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH)))),
        Rubbish::NotUtf8 => {
            let bytes = message(on, "{\"event_type\":2,\"data\":\"\u{1}\"}").into_bytes();
            let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == 1 { 0xC3 } else { byte }).collect();
            vec![whole(Data::Text, bytes.into())]
        }
        Rubbish::WrongTypes => text(message(on, "true")),
        Rubbish::NoMessage => text("[null]".to_owned()),
        Rubbish::NotANumber => text(message(on, r#"{"event_type":2,"data":"AAAA","timestamp":NaN}"#)),
        Rubbish::EndlessNumber => text(message(on, r#"{"event_type":2,"data":"AAAA","timestamp":1e999}"#)),
        // Signaling has no base64.
        Rubbish::NotBase64 if on == On::Signaling => Vec::new(),
        Rubbish::NotBase64 => text(message(on, r#"{"user_id":0,"data":"=?!=","timestamp":0}"#)),
    }
}

/// An event on signaling, sound on media, with this inside.
fn message(on: On, content: &str) -> String {
    match on {
        On::Signaling => format!("{{\"msg_type\":6,\"event\":{content}}}"),
        On::Media => format!("{{\"msg_type\":14,\"content\":{content}}}"),
    }
}

fn large(bytes: usize) -> Bytes {
    vec![b'A'; bytes].into()
}

fn whole(data: Data, bytes: Bytes) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(data), true))
}

fn fragments() -> Vec<Message> {
    let part = large(LARGE / FRAGMENTS);
    let fragment = |n: usize| {
        let data = if n == 0 { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(part.clone(), OpCode::Data(data), n + 1 == FRAGMENTS))
    };
    (0..FRAGMENTS).map(fragment).collect()
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{MediaPacket, ServerMessage};

    use super::*;

    #[test]
    fn what_is_not_too_large_is_unusable() {
        for what in Rubbish::ALL {
            for on in [On::Signaling, On::Media] {
                let frames = frames(what, on);
                let bytes: Vec<u8> =
                    frames.into_iter().flat_map(|frame| frame.into_data().to_vec()).collect();
                if bytes.is_empty() || bytes.len() >= LARGE {
                    continue;
                }
                let undecodable = MediaPacket::parse(&bytes)
                    .map_or(true, |packet| packet.decode_into(&mut Vec::new()).is_err());
                let unusable = match on {
                    On::Signaling => ServerMessage::parse(&bytes).is_err(),
                    On::Media => undecodable,
                };
                assert!(unusable, "{what:?} on {on:?}");
            }
        }
    }
}
