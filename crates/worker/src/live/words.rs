//! One listener to words: from its ring to server-sent events.
//!
//! A connection on which nothing can be written for long is cut: HTTP has no ping, but a heartbeat must go out at
//! least every [`HEARTBEAT`].

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::listeners::{Listener, Listeners};
use super::message::{End, Lost, json};
use super::ring::Item;

/// Between two comments that keep proxies, and whoever reads, from thinking that the worker is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A listener that takes nothing for so long is given up.
const STALLED: Duration = Duration::from_secs(30);

/// The body of the answer; what feeds it ends with the stream, with the listener, or when the process stops. `cut` ends
/// the connection of a listener that takes nothing.
pub(crate) fn body(listeners: &Listeners, listener: Listener, cut: CancellationToken) -> Body {
    // One event in hand, one on its way: the rest waits in the ring, which is bounded.
    let (events, taken) = mpsc::channel(1);
    listeners.spawn(move |stop| serve(events, listener, stop, cut));
    let next = async |mut taken: mpsc::Receiver<Bytes>| {
        taken.recv().await.map(|event| (Ok::<_, std::io::Error>(event), taken))
    };
    Body::from_stream(stream::unfold(taken, next))
}

async fn serve(
    events: mpsc::Sender<Bytes>,
    listener: Listener,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    tokio::select! {
        stalled = relay(&events, &listener) => if stalled {
            listener.given_up("it takes nothing");
            cut.cancel();
        },
        () = events.closed() => {}
        () = stop.cancelled() => {
            // As far as it still fits; the connection is about to be cut.
            let _ = events.try_send(event(Item::Note("end", json("end", &End::LEFT))));
        }
    }
}

/// Passes on what the ring holds until the end; true when the listener took nothing for too long.
async fn relay(events: &mpsc::Sender<Bytes>, listener: &Listener) -> bool {
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut items = Vec::new();
    loop {
        tokio::select! {
            biased;
            more = listener.take(&mut items) => if !more {
                return false;
            },
            _ = heartbeat.tick() => {
                if timeout(STALLED, events.send(Bytes::from_static(b": \n\n"))).await.is_err() {
                    return true;
                }
            }
        }
        for item in items.drain(..) {
            if timeout(STALLED, events.send(event(item))).await.is_err() {
                return true;
            }
        }
    }
}

/// An event as the standard has it. JSON on one line needs no more than `data: ` before it.
fn event(item: Item) -> Bytes {
    let (name, id, data) = match item {
        Item::Note(name, note) => (name, None, note),
        Item::Packet(name, number, packet) => (name, Some(number), packet),
        Item::Lost(packets) => ("lost", None, json("lost", &Lost { packets })),
    };
    let mut text = Vec::with_capacity(data.len() + 64);
    text.extend_from_slice(format!("event: {name}\n").as_bytes());
    if let Some(id) = id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(b"data: ");
    text.extend_from_slice(&data);
    text.extend_from_slice(b"\n\n");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rtms_protocol::UnixMillis;

    use super::*;
    use crate::live::message::tests::identity;
    use crate::live::{Feed, Hall};

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_and_the_place_is_free() {
        let listeners = Listeners::new(1, 1);
        let hall = Arc::new(Hall::new(identity(), UnixMillis(1)));
        let listener = listeners.enter(&hall, Feed::Transcript, None).unwrap();
        let cut = CancellationToken::new();
        let body = body(&listeners, listener, cut.clone());
        let began = Instant::now();
        cut.cancelled().await;
        assert!(began.elapsed() <= 2 * STALLED, "{:?}", began.elapsed());
        listeners.leave(STALLED).await;
        assert!(!hall.is_heard(Feed::Transcript));
        drop(body);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gives_the_place_back() {
        let listeners = Listeners::new(1, 1);
        let hall = Arc::new(Hall::new(identity(), UnixMillis(1)));
        let listener = listeners.enter(&hall, Feed::Transcript, None).unwrap();
        drop(body(&listeners, listener, CancellationToken::new()));
        listeners.leave(STALLED).await;
        assert!(!hall.is_heard(Feed::Transcript));
    }

    #[test]
    fn events_have_names_and_words_have_numbers() {
        let note = event(Item::Note("state", Bytes::from_static(b"{}")));
        assert_eq!(note, "event: state\ndata: {}\n\n");
        let words = event(Item::Packet("utterance", 7, Bytes::from_static(b"{\"text\":\"a\"}")));
        assert_eq!(words, "event: utterance\nid: 7\ndata: {\"text\":\"a\"}\n\n");
        assert_eq!(event(Item::Lost(3)), "event: lost\ndata: {\"type\":\"lost\",\"packets\":3}\n\n");
    }
}
