//! Messages as they come, and as they should not.

use super::*;
use crate::product::Product;
use crate::{MediaParams, MediaSet, SessionState, StatusCode, StopReason, StreamState};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn a_handshake_names_the_engagement_twice() {
    let message = ClientMessage::SignalingHandshake(SignalingHandshake {
        protocol_version: 1,
        sequence: 1,
        ids: IdFields::for_stream(Product::ContactCenter, "abc"),
        rtms_stream_id: "xyz".into(),
        signature: "00".into(),
        buffer_data: true,
    });
    let json: Value = serde_json::from_str(&message.to_json()).unwrap();
    assert_eq!(
        json,
        json!({"msg_type": 1, "protocol_version": 1, "sequence": 1, "engagement_id": "abc", "meeting_uuid": "abc",
            "rtms_stream_id": "xyz", "signature": "00", "buffer_data": true})
    );
    assert_eq!(ClientMessage::parse(message.to_json().as_bytes()).unwrap(), message);
}

#[test]
fn the_signaling_answer_tells_what_is_offered() {
    let json =
        br#"{"msg_type":2,"protocol_version":1,"sequence":1,"status_code":0,"reason":"","media_server":
        {"server_urls":{"audio":"wss://a","transcript":"wss://t","all":"wss://x"}}}"#;
    let ServerMessage::SignalingAnswer(answer) = ServerMessage::parse(json).unwrap() else { panic!() };
    let urls = answer.media_server.unwrap().server_urls;
    assert_eq!(urls.offered().to_string(), "audio,transcript");
    assert_eq!(urls.all(), Some("wss://x"));
    assert_eq!(MediaUrls { all: Some("wss://x".into()), ..MediaUrls::default() }.offered(), MediaSet::ALL);
}

#[test]
fn media_params_that_are_null_or_odd_do_not_spoil_a_message() {
    let json = br#"{"msg_type":3,"meeting_uuid":"m","rtms_stream_id":"s","signature":"00","media_type":8,"media_params":null}"#;
    let ClientMessage::MediaHandshake(asked) = ClientMessage::parse(json).unwrap() else { panic!() };
    assert_eq!(asked.media_params, MediaParams::default());
    for params in ["null", "7", r#"{"audio":{"codec":"loud"}}"#] {
        let json = format!(r#"{{"msg_type":4,"status_code":0,"media_params":{params}}}"#);
        let ServerMessage::MediaAnswer(answer) = ServerMessage::parse(json.as_bytes()).unwrap() else {
            panic!()
        };
        assert_eq!((answer.status_code, answer.media_params), (StatusCode::Ok, None), "{params}");
    }
}

#[test]
fn a_keep_alive_is_echoed_whatever_it_holds() {
    for fields in [json!({"sequence": 3, "timestamp": 9}), json!({"timestamp": "x"}), json!({})] {
        let mut request = fields.clone();
        request["msg_type"] = json!(12);
        let ServerMessage::KeepAlive(keep_alive) =
            ServerMessage::parse(request.to_string().as_bytes()).unwrap()
        else {
            panic!()
        };
        let mut expected = fields;
        expected["msg_type"] = json!(13);
        let answer: Value = serde_json::from_str(&ClientMessage::KeepAlive(keep_alive).to_json()).unwrap();
        assert_eq!(answer, expected);
    }
}

#[test]
fn unknown_types_are_values_and_wrong_fields_are_errors() {
    assert_eq!(
        ServerMessage::parse(br#"{"msg_type":77,"x":1}"#).unwrap(),
        ServerMessage::Unknown(MsgType::Unknown(77))
    );
    assert_eq!(ServerMessage::parse(b"{}").unwrap_err(), MessageError::NoType);
    let error = ServerMessage::parse(br#"{"msg_type":2,"status_code":"secret words"}"#).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(error.to_string().contains("SIGNALING_HAND_SHAKE_RESP (2)"), "{error}");
}

#[test]
fn state_updates_with_numbers_as_strings() {
    let json = br#"{"msg_type":8,"state":"4","reason":"20","timestamp":"7"}"#;
    let ServerMessage::StreamState(update) = ServerMessage::parse(json).unwrap() else { panic!() };
    assert_eq!(update.state, StreamState::Terminated);
    assert_eq!(update.reason, Some(StopReason::ReceiverRequestClose));
    let json = br#"{"msg_type":9,"rtms_session_id":5,"state":3,"stop_reason":null}"#;
    let ServerMessage::SessionState(update) = ServerMessage::parse(json).unwrap() else { panic!() };
    assert_eq!((update.state, update.rtms_session_id.as_deref()), (SessionState::Paused, Some("5")));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ServerMessage::parse(&bytes);
        let _ = ClientMessage::parse(&bytes);
    }

    #[test]
    fn any_type_with_any_fields_is_an_answer_and_no_panic(msg_type in -5_i64..40, field in "[a-z_]{1,16}", value in ".{0,30}") {
        let json = json!({"msg_type": msg_type, field: value}).to_string();
        let _ = ServerMessage::parse(json.as_bytes());
        let _ = ClientMessage::parse(json.as_bytes());
    }
}

#[test]
fn a_reason_is_brief_wherever_it_comes() {
    let reason = format!("a\\nb{}", "x".repeat(100_000));
    for msg_type in [2, 4, 22] {
        let json = format!(r#"{{"msg_type":{msg_type},"status_code":4,"reason":"{reason}"}}"#);
        let told = match ServerMessage::parse(json.as_bytes()).unwrap() {
            ServerMessage::SignalingAnswer(answer) => answer.reason,
            ServerMessage::MediaAnswer(answer) => answer.reason,
            ServerMessage::StreamCloseAnswer(answer) => answer.reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(told, format!("a\\nb{}…", "x".repeat(196)), "{msg_type}");
    }
}
