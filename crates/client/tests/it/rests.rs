//! Media rests between reads, and what came meanwhile is heard before anything that came later.

use std::sync::Arc;

use rtms_client::Client;
use rtms_protocol::Input;
use rtms_protocol::session::Notice;
use serde_json::json;
use tokio::sync::Notify;

use crate::zoom::{Zoom, audio, client, learn, plain_options, receive, send};

/// A client that has heard one packet and rests, while two more have come.
async fn resting() -> (Zoom, Client) {
    let (heard, sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (hears, sends) = (Arc::clone(&heard), Arc::clone(&sent));
    let zoom = Zoom::start(move |mut socket| {
        let (heard, sent) = (Arc::clone(&hears), Arc::clone(&sends));
        async move {
            socket.get_ref().set_nodelay(true).unwrap();
            send(&mut socket, &audio(20)).await;
            heard.notified().await;
            for timestamp in [40, 60] {
                send(&mut socket, &audio(timestamp)).await;
            }
            sent.notify_one();
            while receive(&mut socket).await.is_some() {}
        }
    })
    .await;
    let mut client = client(&zoom.url, plain_options());
    learn(&mut client, |learned| learned.audio == [20]).await;
    heard.notify_one();
    sent.notified().await;
    (zoom, client)
}

#[tokio::test]
async fn what_has_come_is_heard_before_what_signaling_says_then() {
    let (zoom, mut client) = resting().await;
    zoom.signal(json!({"msg_type": 6, "event": {"event_type": 2, "timestamp": 70}}));
    let is_told = |notice: &Notice| matches!(notice, Notice::Event(_));
    let learned = learn(&mut client, |learned| learned.notices.iter().any(is_told)).await;
    assert_eq!(learned.audio, [40, 60]);
}

#[tokio::test]
async fn what_has_come_is_heard_though_the_stream_moves_to_another_server() {
    let (_zoom, mut client) = resting().await;
    let other = Zoom::start(|mut socket| async move {
        send(&mut socket, &audio(80)).await;
        while receive(&mut socket).await.is_some() {}
    })
    .await;
    client.tell(Input::Restarted(vec![other.url.clone()]));
    let learned = learn(&mut client, |learned| learned.audio.contains(&80)).await;
    assert_eq!(learned.audio, [40, 60, 80]);
}
