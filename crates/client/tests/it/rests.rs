//! Media rests between reads, and what came meanwhile is heard before anything that came later.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rtms_client::Client;
use rtms_protocol::Input;
use rtms_protocol::session::Notice;
use serde_json::json;
use tokio::sync::Notify;

use crate::zoom::{Zoom, audio, client, learn, plain_options, receive, send};

/// Ms of a call after which a connection rests: a new one is watched for less.
const CALM_MS: i64 = 1_960;

/// A client that rests, while packets -2 and -1 have come.
async fn resting() -> (Zoom, Client) {
    let (enough, sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (ends, sends) = (Arc::clone(&enough), Arc::clone(&sent));
    let zoom = Zoom::start(move |mut socket| {
        let (enough, sent) = (Arc::clone(&ends), Arc::clone(&sends));
        async move {
            socket.get_ref().set_nodelay(true).unwrap();
            let mut packets = tokio::time::interval(Duration::from_millis(20));
            let mut timestamp = 0;
            // A call in its own time, until the client has heard enough of it.
            loop {
                tokio::select! {
                    _ = packets.tick() => send(&mut socket, &audio(timestamp)).await,
                    () = enough.notified() => break,
                }
                timestamp += 20;
            }
            for last in [-2, -1] {
                send(&mut socket, &audio(last)).await;
            }
            sent.notify_one();
            while receive(&mut socket).await.is_some() {}
        }
    })
    .await;
    let mut client = client(&zoom.url, plain_options());
    learn(&mut client, |learned| learned.audio.last().is_some_and(|last| *last >= CALM_MS)).await;
    enough.notify_one();
    sent.notified().await;
    (zoom, client)
}

#[tokio::test]
async fn what_has_come_is_heard_before_what_signaling_says_then() {
    let (zoom, mut client) = resting().await;
    zoom.signal(json!({"msg_type": 6, "event": {"event_type": 2, "timestamp": 70}}));
    let is_told = |notice: &Notice| matches!(notice, Notice::Event(_));
    let learned = learn(&mut client, |learned| learned.notices.iter().any(is_told)).await;
    assert!(learned.audio.ends_with(&[-2, -1]), "{:?}", learned.audio);
}

#[tokio::test]
async fn what_has_come_is_heard_though_the_stream_moves_to_another_server() {
    let (_zoom, mut client) = resting().await;
    let other = Zoom::start(|mut socket| async move {
        send(&mut socket, &audio(0)).await;
        while receive(&mut socket).await.is_some() {}
    })
    .await;
    client.tell(Input::Restarted(vec![other.url.clone()]));
    let learned = learn(&mut client, |learned| learned.audio.last() == Some(&0)).await;
    assert!(learned.audio.ends_with(&[-2, -1, 0]), "{:?}", learned.audio);
}

#[tokio::test]
async fn media_that_comes_in_bunches_rests_once_one_is_taken_and_never_while_it_is_wanted_at_once() {
    assert!(!client("ws://127.0.0.1:1", plain_options()).rests(), "there is none");
    let (_zoom, mut client) = resting().await;
    assert!(client.rests());
    client.set_prompt(true);
    learn(&mut client, |learned| learned.audio.last() == Some(&-1)).await;
    assert!(!client.rests());
    assert!(poll_fn(|cx| Poll::Ready(client.poll_next(cx))).await.is_pending(), "nothing more has come");
    assert!(!client.rests());
}
