//! Media messages, whole and damaged.

use super::*;
use proptest::prelude::*;

const AUDIO: &[u8] =
    br#"{"msg_type":14,"content":{"user_id":0,"data":"AAECAw==","length":4,"timestamp":1765449000020}}"#;

#[test]
fn an_audio_message_borrows_its_payload() {
    let frame = MediaFrame { kind: MediaKind::Audio, bytes: Bytes::from_static(AUDIO) };
    let packet = frame.packet().unwrap();
    assert!(matches!(packet.data, Cow::Borrowed("AAECAw==")));
    assert_eq!(packet.timestamp, UnixMillis(1_765_449_000_020));
    assert!(packet.user_id.as_ref().unwrap().is_zero());
    let mut buffer = vec![9; 100];
    packet.decode_into(&mut buffer).unwrap();
    assert_eq!(buffer, [0, 1, 2, 3]);
    assert_eq!(packet.to_json().as_bytes(), AUDIO);
}

#[test]
fn ids_are_equal_by_their_text() {
    let number = WireId::Number(16_778_240);
    let text = WireId::Text(Cow::Borrowed("16778240"));
    assert_eq!(number, text);
    assert_eq!(text, number);
    for other in ["07", "+7", "7 ", "", "-7", "77"] {
        assert_ne!(WireId::Number(7), WireId::Text(Cow::Borrowed(other)));
    }
    for n in [0, -1, 10, i64::MIN, i64::MAX] {
        assert!(WireId::Number(n).is(&n.to_string()), "{n}");
    }
    assert!(!WireId::Number(0).is("-0"));
    assert!(!WireId::Number(7).is("seven"));
}

#[test]
fn older_servers_put_the_payload_into_content() {
    let bare = br#"{"msg_type":17,"content":"hello","user_name":"Ann","timestamp":5}"#;
    let packet = MediaPacket::parse(bare).unwrap();
    assert_eq!((packet.text(), packet.user_name.as_deref()), ("hello", Some("Ann")));
    assert_eq!(packet.timestamp, UnixMillis(5));
}

#[test]
fn a_transcript_has_all_its_fields() {
    let json = br#"{"content":{"user_id":"16778240","user_name":"A \"B\"","channel_id":3,"data":"caf\u00e9",
        "timestamp":"1000","start_time":1000,"end_time":2500,"language":9,"attribute":"final"},"msg_type":17}"#;
    let packet = MediaPacket::parse(json).unwrap();
    assert_eq!(packet.text(), "caf\u{e9}");
    assert_eq!(packet.user_name.as_deref(), Some("A \"B\""));
    assert_eq!(packet.end_time, Some(UnixMillis(2500)));
    assert_eq!(packet.language, Some(Language::English));
    assert_eq!(packet.attribute.as_deref(), Some("final"));
    let json = packet.to_json();
    assert_eq!(MediaPacket::parse(json.as_bytes()).unwrap(), packet);
}

#[test]
fn what_cannot_be_used_says_why() {
    let error = |json: &[u8]| MediaPacket::parse(json).unwrap_err();
    assert_eq!(error(br#"{"msg_type":12,"content":{}}"#), PacketError::NotMedia(12));
    assert_eq!(error(br#"{"msg_type":14}"#), PacketError::Missing("content"));
    assert_eq!(error(br#"{"msg_type":14,"content":{"timestamp":1}}"#), PacketError::Missing("data"));
    assert_eq!(error(br#"{"msg_type":14,"content":{"data":""}}"#), PacketError::Missing("timestamp"));
    assert!(matches!(error(b"\xff"), PacketError::Parse { .. }));
    let mut buffer = Vec::new();
    let mut decode = |json: &'static [u8]| {
        MediaPacket::parse(json).unwrap().decode_into(&mut buffer).map(|()| buffer.clone())
    };
    assert_eq!(
        decode(br#"{"msg_type":14,"content":{"data":"A*B=","timestamp":1}}"#),
        Err(PacketError::Base64)
    );
    assert_eq!(
        decode(br#"{"msg_type":14,"content":{"data":"AAAA","length":2,"timestamp":1}}"#),
        Err(PacketError::Length { stated: 2, actual: 3 })
    );
    assert!(decode(br#"{"msg_type":14,"content":{"data":"AA\/A","timestamp":1}}"#).is_ok());
    assert_eq!(decode(br#"{"msg_type":14,"content":{"data":"AAE","timestamp":1}}"#), Ok(vec![0, 1]));
}

#[test]
fn the_type_is_found_wherever_it_stands() {
    let transcript = br#"{"content":{"msg_type":1},"msg_type":17}"#;
    assert_eq!(peek_msg_type(AUDIO), Some(MsgType::MediaAudio));
    assert_eq!(peek_msg_type(transcript), Some(MsgType::MediaTranscript));
    assert_eq!(peek_msg_type(br#"{ "msg_type" : 12 }"#), Some(MsgType::KeepAliveRequest));
    assert_eq!(peek_msg_type(br#"{"msg_type":12345678901}"#), Some(MsgType::Unknown(12_345_678_901)));
    assert_eq!(peek_msg_type(br#"{"msg_type":1.5}"#), None);
    assert_eq!(peek_msg_type(b"[]"), None);
    assert_eq!(peek_msg_type(b""), None);
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = [br#"{"msg_type":14,"content":"#.to_vec(), vec![b'['; 100_000]].concat();
    assert!(MediaPacket::parse(&deep).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = peek_msg_type(&bytes);
        let _ = MediaPacket::parse(&bytes);
    }

    #[test]
    fn a_packet_survives_the_wire(
        payload in proptest::collection::vec(any::<u8>(), 0..2000),
        ts in any::<i64>(),
        name in ".{0,40}",
    ) {
        let mut packet = MediaPacket::new(MediaKind::Audio, UnixMillis(ts), encode_payload(&payload));
        packet.user_name = Some(name.into());
        packet.length = u32::try_from(payload.len()).ok();
        let json = packet.to_json();
        let back = MediaPacket::parse(json.as_bytes()).unwrap();
        prop_assert_eq!(&back, &packet);
        let mut buffer = Vec::new();
        back.decode_into(&mut buffer).unwrap();
        prop_assert_eq!(buffer, payload);
    }
}
