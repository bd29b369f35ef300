//! One listener to sound: from its ring to its WebSocket.
//!
//! It is pinged, and given up when nothing comes back, or when it takes nothing for too long. What it sends is read,
//! so that its answers and its goodbye are seen, and ignored.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::listeners::Listener;
use super::message::{End, Lost, json};
use super::ring::Item;

/// Between two pings.
const PING: Duration = Duration::from_secs(10);
/// A listener from whom nothing came for so long is gone, or does not read.
const SILENT: Duration = Duration::from_secs(30);
/// For the last messages and the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How serving ended.
enum Over {
    /// Everything was sent.
    Told,
    /// The listener left.
    Gone,
    /// It took or answered nothing.
    GivenUp(&'static str),
    /// The process is stopping.
    Stopping,
}

/// Serves `listener` until its stream ends, it leaves, or `stop`.
pub(crate) async fn serve<S>(mut socket: WebSocketStream<S>, listener: Listener, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let over = tokio::select! {
        over = converse(&mut socket, &listener) => over,
        () = stop.cancelled() => Over::Stopping,
    };
    let last = match over {
        Over::Gone => return,
        Over::GivenUp(why) => return listener.given_up(why),
        Over::Told => None,
        Over::Stopping => Some(message(Item::Note("end", json("end", &End::LEFT)))),
    };
    say_goodbye(&mut socket, last).await;
}

async fn converse<S>(socket: &mut WebSocketStream<S>, listener: &Listener) -> Over
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    let mut items = Vec::new();
    loop {
        let sent = tokio::select! {
            biased;
            received = socket.next() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Over::Gone,
                Some(Ok(_)) => {
                    heard_at = Instant::now();
                    continue;
                }
            },
            _ = ping.tick() => {
                if heard_at.elapsed() > SILENT {
                    return Over::GivenUp("it does not answer");
                }
                timeout(SILENT, socket.send(Message::Ping(Bytes::new()))).await
            }
            more = listener.take(&mut items) => {
                if !more {
                    return Over::Told;
                }
                timeout(SILENT, send_all(socket, &mut items)).await
            }
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Over::Gone,
            Err(_) => return Over::GivenUp("it takes nothing"),
        }
    }
}

/// All items with one flush.
async fn send_all<S>(socket: &mut WebSocketStream<S>, items: &mut Vec<Item>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for item in items.drain(..) {
        socket.feed(message(item)).await?;
    }
    socket.flush().await
}

fn message(item: Item) -> Message {
    match item {
        Item::Packet(_, _, packet) => Message::Binary(packet),
        Item::Note(_, note) => Message::Text(Utf8Bytes::try_from(note).unwrap_or_default()),
        Item::Lost(packets) => message(Item::Note("lost", json("lost", &Lost { packets }))),
    }
}

/// A last message where there is one, a close frame, and the answer to it, as far as they come in time.
async fn say_goodbye<S>(socket: &mut WebSocketStream<S>, last: Option<Message>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let goodbye = async {
        if let Some(last) = last {
            socket.send(last).await?;
        }
        socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() })).await?;
        while socket.next().await.transpose()?.is_some() {}
        Ok::<(), Error>(())
    };
    // Whether it took them changes nothing any more.
    let _ = timeout(GOODBYE, goodbye).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rtms_protocol::UnixMillis;
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::live::message::tests::identity;
    use crate::live::{Feed, Hall, Listeners};

    /// A listener being served, its hall, and the other end of its connection.
    async fn served(bytes: usize) -> (Arc<Listeners>, Arc<Hall>, WebSocketStream<DuplexStream>) {
        let listeners = Listeners::new(1, 1);
        let hall = Arc::new(Hall::new(identity(), UnixMillis(1)));
        let listener = listeners.enter(&hall, Feed::Audio, None).unwrap();
        let (ours, theirs) = duplex(bytes);
        let ours = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        listeners.spawn(|stop| serve(ours, listener, stop));
        (listeners, hall, WebSocketStream::from_raw_socket(theirs, Role::Client, None).await)
    }

    fn text(message: Option<Result<Message, Error>>) -> String {
        message.unwrap().unwrap().into_text().unwrap().to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_pings_stays_and_hears_the_end() {
        let (_listeners, hall, mut theirs) = served(4096).await;
        let began = Instant::now();
        let mut texts = Vec::new();
        while let Some(message) = theirs.next().await {
            match message.unwrap() {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Close(frame) => assert_eq!(frame.unwrap().code, CloseCode::Normal),
                _ => {}
            }
            if began.elapsed() > 10 * SILENT {
                hall.end(End::LEFT);
            }
        }
        assert!(texts[0].starts_with(r#"{"type":"hello""#), "{texts:?}");
        assert_eq!(texts[1..], [r#"{"type":"end","reason":"left"}"#]);
        assert!(!hall.is_heard(Feed::Audio));
    }

    #[tokio::test(start_paused = true)]
    async fn who_neither_answers_nor_reads_is_given_up() {
        let (listeners, hall, theirs) = served(64).await;
        assert!(hall.is_heard(Feed::Audio));
        let began = Instant::now();
        listeners.leave(10 * SILENT).await;
        assert!(began.elapsed() <= 2 * SILENT, "{:?}", began.elapsed());
        assert!(!hall.is_heard(Feed::Audio), "its place is free");
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gives_the_place_back() {
        let (listeners, hall, mut theirs) = served(4096).await;
        assert!(text(theirs.next().await).contains("hello"));
        theirs.close(None).await.unwrap();
        while theirs.next().await.is_some() {}
        listeners.leave(SILENT).await;
        assert!(!hall.is_heard(Feed::Audio));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stops_says_so() {
        let (listeners, _hall, mut theirs) = served(4096).await;
        assert!(text(theirs.next().await).contains("hello"));
        let reading = async {
            let mut last = String::new();
            while let Some(Ok(message)) = theirs.next().await {
                if let Message::Text(text) = message {
                    last = text.to_string();
                }
            }
            last
        };
        let (last, ()) = tokio::join!(reading, listeners.leave(Duration::from_secs(2)));
        assert_eq!(last, r#"{"type":"end","reason":"left"}"#);
    }
}
