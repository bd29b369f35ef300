//! One message from a socket, in either direction. What is read and written again must read the same.

use rtms_protocol::frame::encode_payload;
use rtms_protocol::{ClientMessage, Event, MediaKind, MediaPacket, Product, ServerMessage, peek_msg_type};
use serde_json::Value;

/// Reads a message in every way there is.
pub fn frames(bytes: &[u8]) {
    let peeked = peek_msg_type(bytes);
    if let Ok(packet) = MediaPacket::parse(bytes) {
        let kind = peeked.and_then(MediaKind::of_msg_type);
        assert_eq!(kind, Some(packet.kind), "the glance and the reading disagree");
        media(&packet);
    }
    if let Ok(message) = ServerMessage::parse(bytes) {
        assert_eq!(Some(message.msg_type()), peeked);
        let written = message.to_json();
        let again = ServerMessage::parse(written.as_bytes()).expect("what was written can be read");
        assert!(again == message || has_fractions(&written), "{message:?} became {again:?}");
        if let ServerMessage::EventUpdate(fields) = message {
            for product in [Product::ContactCenter, Product::Meeting] {
                let _ = Event::from_fields(product, fields.clone());
            }
        }
    }
    if let Ok(message) = ClientMessage::parse(bytes) {
        assert_eq!(Some(message.msg_type()), peeked);
        let written = message.to_json();
        let again = ClientMessage::parse(written.as_bytes()).expect("what was written can be read");
        assert!(again == message || has_fractions(&written), "{message:?} became {again:?}");
    }
}

fn media(packet: &MediaPacket<'_>) {
    let json = packet.to_json();
    let again = MediaPacket::parse(json.as_bytes()).expect("what was written can be read");
    assert_eq!(again, *packet);
    let mut payload = vec![0xAA; 7];
    if packet.decode_into(&mut payload).is_ok() {
        assert!(packet.length.is_none_or(|length| length as usize == payload.len()));
        let mut twice = Vec::new();
        let encoded = MediaPacket::new(packet.kind, packet.timestamp, encode_payload(&payload));
        encoded.decode_into(&mut twice).expect("our own base64 can be read");
        assert_eq!(twice, payload);
    }
}

/// Whether the message holds a number that is not whole. Reading such a number may cost its last bit, which matters
/// to nobody: only keep-alives and unread event fields keep one.
fn has_fractions(message: &str) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::Number(number) => number.is_f64(),
            Value::Array(list) => list.iter().any(any),
            Value::Object(map) => map.values().any(any),
            Value::Null | Value::Bool(_) | Value::String(_) => false,
        }
    }
    serde_json::from_str::<Value>(message).is_ok_and(|value| any(&value))
}
