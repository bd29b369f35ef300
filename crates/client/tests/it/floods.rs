//! Messages that are too large, too many or not what they say cost themselves alone, never the connection.

use futures_util::SinkExt as _;
use rtms_protocol::MessageError;
use rtms_protocol::session::Notice;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::zoom::{Learned, Socket, Zoom, audio, client, learn, plain_options, receive, send};

const MIB: usize = 1024 * 1024;

/// The errors of skipped messages.
fn skipped(learned: &Learned) -> Vec<MessageError> {
    let malformed = |notice: &Notice| match notice {
        Notice::Malformed { error, .. } => Some(error.clone()),
        _ => None,
    };
    learned.notices.iter().filter_map(malformed).collect()
}

async fn stay(mut socket: Socket) {
    while receive(&mut socket).await.is_some() {}
}

#[tokio::test]
async fn a_message_of_64_mib_costs_itself_alone() {
    let zoom = Zoom::start(|mut socket| async move {
        send(&mut socket, &audio(20)).await;
        socket.send(Message::binary(vec![b'x'; 64 * MIB])).await.unwrap();
        send(&mut socket, &audio(40)).await;
        stay(socket).await;
    })
    .await;
    let learned = learn(&mut client(&zoom.url, plain_options()), |learned| learned.audio.len() == 2).await;
    assert_eq!(learned.audio, [20, 40]);
    assert_eq!(skipped(&learned), [MessageError::TooLarge]);
    assert_eq!(zoom.media_connections(), 1, "on the same connection");
}

#[tokio::test]
async fn fragments_that_grow_over_the_limit_cost_their_message_alone() {
    let zoom = Zoom::start(|mut socket| async move {
        send(&mut socket, &audio(20)).await;
        for (index, opcode) in
            [Data::Text, Data::Continue, Data::Continue, Data::Continue].into_iter().enumerate()
        {
            let frame = Frame::message(vec![b'x'; 6 * MIB], OpCode::Data(opcode), index == 3);
            socket.send(Message::Frame(frame)).await.unwrap();
        }
        send(&mut socket, &audio(40)).await;
        stay(socket).await;
    })
    .await;
    let learned = learn(&mut client(&zoom.url, plain_options()), |learned| learned.audio.len() == 2).await;
    assert_eq!(learned.audio, [20, 40]);
    assert_eq!(skipped(&learned), [MessageError::TooLarge]);
    assert_eq!(zoom.media_connections(), 1);
}

#[tokio::test]
async fn a_large_message_without_room_is_skipped_and_a_later_one_taken() {
    let large = |size: usize| json!({"msg_type": 14, "content": {"data": "A".repeat(size), "timestamp": 7}});
    let zoom = Zoom::start(move |mut socket| async move {
        for size in [300 * 1024, 100 * 1024] {
            send(&mut socket, &large(size)).await;
        }
        stay(socket).await;
    })
    .await;
    let options = plain_options().with_large_message_room(200 * 1024);
    let learned = learn(&mut client(&zoom.url, options), |learned| !learned.audio.is_empty()).await;
    assert_eq!((learned.audio.as_slice(), skipped(&learned)), ([7].as_slice(), vec![MessageError::NoRoom]));
}

#[tokio::test]
async fn text_that_is_not_utf8_costs_itself_alone() {
    let zoom = Zoom::start(|mut socket| async move {
        let text = Frame::message(
            b"{\"msg_type\":6,\"event\":{\"x\":\"\xC3(\"}}".to_vec(),
            OpCode::Data(Data::Text),
            true,
        );
        socket.send(Message::Frame(text)).await.unwrap();
        send(&mut socket, &audio(20)).await;
        stay(socket).await;
    })
    .await;
    let learned = learn(&mut client(&zoom.url, plain_options()), |learned| !learned.audio.is_empty()).await;
    assert!(matches!(skipped(&learned).as_slice(), [MessageError::Parse { .. }]), "{:?}", learned.notices);
    assert_eq!(zoom.media_connections(), 1);
}

#[tokio::test]
async fn a_sender_of_too_many_messages_waits_loses_none_and_gets_its_keep_alive_answered() {
    let zoom = Zoom::start(|mut socket| async move {
        for timestamp in 0..40 {
            socket.feed(Message::text(audio(timestamp).to_string())).await.unwrap();
        }
        send(&mut socket, &json!({"msg_type": 12, "sequence": 1, "timestamp": 5})).await;
        let answer = receive(&mut socket).await.unwrap();
        assert_eq!(answer, json!({"msg_type": 13, "sequence": 1, "timestamp": 5}));
        for timestamp in 40..45 {
            send(&mut socket, &audio(timestamp)).await;
        }
        stay(socket).await;
    })
    .await;
    let options = plain_options().with_message_rate(20, 10);
    let learned = learn(&mut client(&zoom.url, options), |learned| learned.audio.len() == 45).await;
    assert_eq!(learned.audio, (0..45).collect::<Vec<_>>());
    let throttled = |notice: &&Notice| matches!(notice, Notice::Throttled { .. });
    assert_eq!(learned.notices.iter().filter(throttled).count(), 1, "told once");
    assert_eq!(zoom.media_connections(), 1);
}
