//! A connection that the peer resets may still hold what came before: it is read, whatever writing comes to.

use futures_util::SinkExt as _;
use rtms_protocol::session::Notice;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::zoom::{Learned, Socket, Zoom, audio, client, learn, plain_options};

/// Something that the client answers at once, packets behind it, and a reset. No step of it waits, and the tests have one
/// thread: the client finds all of it together, and its answer meets a connection that is gone.
async fn ask_and_reset(mut socket: Socket, question: Message) {
    // What waits for an acknowledgement would be taken back by the reset.
    socket.get_ref().set_nodelay(true).unwrap();
    socket.feed(question).await.unwrap();
    for timestamp in [20, 40, 60] {
        socket.feed(Message::text(audio(timestamp).to_string())).await.unwrap();
    }
    socket.flush().await.unwrap();
    socket.get_ref().set_zero_linger().unwrap();
}

/// What a client hears until it has lost a media socket that asks `question`.
async fn heard_before_the_reset(question: Message) -> Learned {
    let zoom = Zoom::start(move |socket| ask_and_reset(socket, question.clone())).await;
    let lost = |notice: &Notice| matches!(notice, Notice::SocketLost { .. });
    learn(&mut client(&zoom.url, plain_options()), |learned| learned.notices.iter().any(lost)).await
}

#[tokio::test]
async fn what_came_before_a_reset_is_heard_though_a_keep_alive_cannot_be_answered() {
    let keep_alive = json!({"msg_type": 12, "sequence": 1, "timestamp": 1});
    let learned = heard_before_the_reset(Message::text(keep_alive.to_string())).await;
    assert_eq!(learned.audio, [20, 40, 60]);
}

#[tokio::test]
async fn what_came_before_a_reset_is_heard_though_a_ping_cannot_be_answered() {
    let learned = heard_before_the_reset(Message::Ping(b"there?".as_slice().into())).await;
    assert_eq!(learned.audio, [20, 40, 60]);
}
