//! Everything that Zoom refuses, and the status code that it gives.

use rtms_protocol::{MediaKind, Product};
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::{Course, Program, Scenario};
use rtms_simulator::{AnyStream, SecondConnection, Simulator};
use serde_json::{Value, json};

use crate::client::{Client, STREAM, Stage, config, handshake, media_handshake, ready};

/// What a fresh signaling socket answers to this first message.
async fn signaling_code(stage: &Stage, message: &Value) -> Value {
    let mut client = stage.open("signaling").await;
    client.send(message).await;
    let answer = client.next().await;
    assert_eq!(answer["msg_type"], 2);
    assert!(!answer["reason"].as_str().unwrap().is_empty());
    assert!(client.try_next().await.is_none(), "a refused socket is closed");
    answer["status_code"].clone()
}

async fn media_code(stage: &Stage, path: &str, message: &Value) -> Value {
    let mut client = stage.open(path).await;
    client.send(message).await;
    let answer = client.next().await;
    assert_eq!(answer["msg_type"], 4);
    answer["status_code"].clone()
}

fn with(mut message: Value, field: &str, value: Value) -> Value {
    message[field] = value;
    message
}

#[tokio::test]
async fn signaling_handshakes() {
    let stage = Stage::of(Product::Meeting, 60_000, 1.0).await;
    assert_eq!(signaling_code(&stage, &with(handshake(), "rtms_stream_id", json!("other"))).await, 2);
    assert_eq!(signaling_code(&stage, &with(handshake(), "signature", json!("00ff"))).await, 3);
    assert_eq!(signaling_code(&stage, &with(handshake(), "signature", json!("not hex"))).await, 3);
    assert_eq!(signaling_code(&stage, &ready()).await, 1);
    assert_eq!(signaling_code(&stage, &json!({"msg_type": 1})).await, 4);
    assert_eq!(signaling_code(&stage, &json!([1, 2])).await, 4);
    assert_eq!(signaling_code(&stage, &with(handshake(), "meeting_uuid", json!("somebody else"))).await, 4);

    let _first = stage.signaling().await;
    assert_eq!(signaling_code(&stage, &handshake()).await, 8);
}

/// A meeting of which an app may see and hear less than there is.
async fn without_screen_and_chat() -> Stage {
    let scenario = Scenario::of(Product::Meeting, 60_000).without(MediaKind::Share).without(MediaKind::Chat);
    let simulator = Simulator::start(config(1.0)).await.unwrap();
    Stage::playing(simulator, Program::new(scenario, Content::built_in()), Faults::default())
}

#[tokio::test]
async fn media_handshakes() {
    let stage = without_screen_and_chat().await;
    assert_eq!(
        media_code(&stage, "media/all", &media_handshake(1, json!({}))).await,
        1,
        "signaling comes first"
    );
    let _signaling = stage.signaling().await;
    let code = async |path: &str, media_type: i64, params: Value| {
        media_code(&stage, path, &media_handshake(media_type, params)).await
    };
    assert_eq!(code("media/all", 0, json!({})).await, 14);
    assert_eq!(code("media/all", 99, json!({})).await, 14);
    assert_eq!(code("media/audio", 2, json!({})).await, 7);
    assert_eq!(code("media/all", 5, json!({})).await, 11);
    assert_eq!(code("media/all", 16, json!({})).await, 13);
    assert_eq!(code("media/all", 1, json!({"audio": 5})).await, 17);
    assert_eq!(
        media_code(&stage, "media/all", &with(media_handshake(1, json!({})), "signature", json!("00"))).await,
        3
    );
    let unknown = with(media_handshake(1, json!({})), "rtms_stream_id", json!("other"));
    assert_eq!(media_code(&stage, "media/all", &unknown).await, 2);
    assert_eq!(media_code(&stage, "media/all", &json!({"msg_type": 3})).await, 4);
    assert_eq!(media_code(&stage, "media/all", &json!({"msg_type": 13})).await, 1);
}

#[tokio::test]
async fn combinations_outside_the_matrix() {
    let stage = Stage::of(Product::Meeting, 60_000, 1.0).await;
    let _signaling = stage.signaling().await;
    let l16 = json!({"content_type": 2, "codec": 1, "sample_rate": 1, "channel": 1, "data_opt": 1, "send_rate": 20});
    let h264 = json!({"content_type": 3, "codec": 7, "resolution": 2, "fps": 25, "data_opt": 3});
    let audio = [
        ("content_type", 9, 19),
        ("sample_rate", 7, 20),
        ("channel", 3, 21),
        ("codec", 9, 22),
        ("codec", 4, 20),
        ("data_opt", 5, 23),
        ("send_rate", 30, 24),
        ("send_rate", 1020, 24),
    ];
    for (field, value, code) in audio {
        let params = json!({"audio": with(l16.clone(), field, json!(value))});
        assert_eq!(
            media_code(&stage, "media/audio", &media_handshake(1, params)).await,
            code,
            "{field} {value}"
        );
    }
    let video = [
        ("content_type", 5, 26),
        ("codec", 1, 27),
        ("resolution", 9, 28),
        ("data_opt", 1, 29),
        ("fps", 31, 30),
    ];
    for (field, value, code) in video {
        let params = json!({"video": with(h264.clone(), field, json!(value))});
        assert_eq!(
            media_code(&stage, "media/video", &media_handshake(2, params)).await,
            code,
            "{field} {value}"
        );
    }
    let transcript = [("content_type", 1, 37), ("src_language", 77, 43)];
    for (field, value, code) in transcript {
        let params = json!({"transcript": with(json!({"content_type": 5}), field, json!(value))});
        assert_eq!(
            media_code(&stage, "media/transcript", &media_handshake(8, params)).await,
            code,
            "{field}"
        );
    }
}

#[tokio::test]
async fn products_without_picture_refuse_it() {
    let stage = Stage::of(Product::ContactCenter, 60_000, 1.0).await;
    let _signaling = stage.signaling().await;
    assert_eq!(media_code(&stage, "media/all", &media_handshake(3, json!({}))).await, 10);
}

#[tokio::test]
async fn a_second_media_socket() {
    let stage = Stage::of(Product::Meeting, 60_000, 1.0).await;
    let _signaling = stage.signaling().await;
    let _audio = stage.media("media/audio", 1, json!({})).await;
    assert_eq!(media_code(&stage, "media/audio", &media_handshake(1, json!({}))).await, 16);
    let _transcript = stage.media("media/transcript", 8, json!({})).await;

    let stage = Stage::of(Product::Meeting, 60_000, 1.0).await;
    let _signaling = stage.signaling().await;
    let _all = stage.media("media/all", 32, json!({})).await;
    assert_eq!(media_code(&stage, "media/all", &media_handshake(32, json!({}))).await, 15);
    assert_eq!(media_code(&stage, "media/audio", &media_handshake(1, json!({}))).await, 15);
}

#[tokio::test]
async fn a_second_connection_can_replace_the_first() {
    let mut config = config(1.0);
    config.second_connection = SecondConnection::Replace;
    let stage = Stage::with(config, Product::Meeting, 60_000, Faults::default()).await;
    let mut first = stage.signaling().await;
    let mut second = stage.signaling().await;
    assert!(first.try_next().await.is_none());
    let mut media = stage.media("media/all", 1, json!({})).await;
    second.send(&ready()).await;
    media.next_of(14).await;
    let mut other = stage.media("media/all", 1, json!({})).await;
    other.next_of(14).await;
    while media.try_next().await.is_some() {}
}

#[tokio::test]
async fn messages_after_the_handshake() {
    let stage = Stage::of(Product::ContactCenter, 60_000, 1.0).await;
    let mut client = stage.signaling().await;
    let cases = [
        (json!({"msg_type": 5, "events": "all"}), 5, 5),
        (json!({"msg_type": 5, "events": []}), 5, 5),
        (json!({"msg_type": 5, "events": [{"event_type": 1, "subscribe": true}]}), 5, 6),
        (json!({"msg_type": 5, "events": [{"event_type": 99, "subscribe": true}]}), 5, 6),
        (json!({"msg_type": 7, "rtms_stream_id": "other"}), 7, 41),
        (json!({"msg_type": 7}), 7, 41),
        (json!({"msg_type": 10, "rtms_session_id": "other"}), 11, 40),
        (json!({"msg_type": 19, "rtms_stream_id": "other"}), 20, 2),
        (json!({"msg_type": 21, "rtms_stream_id": "other"}), 22, 2),
        (json!({"msg_type": 21}), 22, 4),
        (json!({"msg_type": 28, "user_id": 5, "subscribe": true, "timestamp": 1}), 29, 10),
        (handshake(), 2, 8),
        (media_handshake(1, json!({})), 4, 1),
    ];
    for (message, answer, code) in cases {
        client.send(&message).await;
        let got = client.next().await;
        assert_eq!((&got["msg_type"], &got["status_code"]), (&json!(answer), &json!(code)), "{message}");
    }
    // Rubbish costs nothing but itself.
    client.send_text("{]").await;
    client.send(&json!({"msg_type": 4711})).await;
    client.send(&json!({"msg_type": 19, "rtms_stream_id": STREAM})).await;
    assert_eq!(client.next().await["state"], 1);
}

#[tokio::test]
async fn unknown_streams_are_played_where_that_is_wanted() {
    let mut config = config(1.0);
    config.any_stream =
        Some(AnyStream { product: Product::Phone, course: Course::Usual, duration_ms: 60_000 });
    let simulator = Simulator::start(config).await.unwrap();
    let mut forged = Client::open(&simulator, "signaling").await;
    forged.send(&with(handshake(), "signature", json!("00"))).await;
    assert_eq!(forged.next().await["status_code"], 3);
    let mut client = Client::open(&simulator, "").await;
    client.send_binary(&handshake()).await;
    let answer = client.next().await;
    assert_eq!(answer["status_code"], 0);
    assert!(answer["media_server"]["server_urls"].get("video").is_none());
}

#[tokio::test]
async fn other_paths_are_no_sockets() {
    let simulator = Simulator::start(config(1.0)).await.unwrap();
    let tcp = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
    let error = tokio_tungstenite::client_async("ws://localhost/media/smell", tcp).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}
