//! Who is gone gets no goodbye, and no connection that stays for one; who is there gets it.

use std::time::Duration;

use futures_util::StreamExt as _;
use rtms_protocol::Input;
use rtms_protocol::session::{Notice, Timeouts};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::zoom::{Learned, Zoom, audio, client_with, learn, plain_options, send};

/// How a media socket ended, as its server saw it.
#[derive(Debug, PartialEq, Eq)]
enum End {
    CloseFrame,
    NoWord,
}

/// A server whose media sockets fall silent after one packet and tell how the client ended them.
async fn silent() -> (Zoom, mpsc::UnboundedReceiver<End>) {
    let (tell, ends) = mpsc::unbounded_channel();
    let zoom = Zoom::start(move |mut socket| {
        let tell = tell.clone();
        async move {
            send(&mut socket, &audio(20)).await;
            let end = match socket.next().await {
                Some(Ok(Message::Close(_))) => End::CloseFrame,
                Some(Err(_)) | None => End::NoWord,
                Some(Ok(message)) => panic!("nothing else is said: {message}"),
            };
            let _ = tell.send(end);
        }
    })
    .await;
    (zoom, ends)
}

fn counted(learned: &Learned, wanted: fn(&Notice) -> bool) -> usize {
    learned.notices.iter().filter(|notice| wanted(notice)).count()
}

#[tokio::test]
async fn a_socket_that_was_silent_for_too_long_is_dropped_without_a_word() {
    let (zoom, mut ends) = silent().await;
    let timeouts = Timeouts { silence: Duration::from_secs(1), ..Timeouts::default() };
    let mut client = client_with(&zoom.url, plain_options(), timeouts);
    let resumed = |learned: &Learned| counted(learned, |notice| matches!(notice, Notice::Resumed)) == 1;
    learn(&mut client, resumed).await;
    assert_eq!(ends.recv().await, Some(End::NoWord));
    assert_eq!(zoom.media_connections(), 2);
}

#[tokio::test]
async fn whoever_is_left_gets_a_goodbye() {
    let (zoom, mut ends) = silent().await;
    let mut client = client_with(&zoom.url, plain_options(), Timeouts::default());
    learn(&mut client, |learned| learned.audio == [20]).await;
    client.tell(Input::Leave);
    learn(&mut client, |learned| counted(learned, |notice| matches!(notice, Notice::Ended(_))) == 1).await;
    assert_eq!(ends.recv().await, Some(End::CloseFrame));
}
