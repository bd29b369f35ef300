//! A server that opens a stream as Zoom does and then plays a script on its media socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rtms_client::{Client, ClientEvent, ClientOptions, Rests, TlsRoots, UrlPolicy};
use rtms_protocol::session::{MediaSockets, Notice, SessionConfig, Timeouts};
use rtms_protocol::{AudioParams, Credentials, MediaParams, Product, StreamIdentity};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// The server.
pub(crate) struct Zoom {
    /// Its signaling URL.
    pub(crate) url: String,
    media_connections: Arc<AtomicUsize>,
    signals: broadcast::Sender<Value>,
}

impl Zoom {
    /// Starts one; `script` gets each media socket after its handshake.
    pub(crate) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Socket) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let media_connections = Arc::new(AtomicUsize::new(0));
        let (media_url, count) = (url.clone(), Arc::clone(&media_connections));
        let signals = broadcast::Sender::new(16);
        let all_signals = signals.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (url, count, script) = (media_url.clone(), Arc::clone(&count), script.clone());
                let signals = all_signals.subscribe();
                tokio::spawn(async move {
                    let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
                    let request = receive(&mut socket).await.expect("a handshake");
                    if request["msg_type"] == 1 {
                        serve_signaling(socket, &url, signals).await;
                    } else {
                        count.fetch_add(1, Ordering::SeqCst);
                        let answer =
                            json!({"msg_type": 4, "status_code": 0, "media_params": request["media_params"]});
                        send(&mut socket, &answer).await;
                        script(socket).await;
                    }
                });
            }
        });
        Self { url, media_connections, signals }
    }

    /// Says something on signaling.
    pub(crate) fn signal(&self, message: Value) {
        self.signals.send(message).unwrap();
    }

    /// How often a media socket was opened.
    pub(crate) fn media_connections(&self) -> usize {
        self.media_connections.load(Ordering::SeqCst)
    }
}

async fn serve_signaling(mut socket: Socket, media_url: &str, mut signals: broadcast::Receiver<Value>) {
    let answer = json!({
        "msg_type": 2, "status_code": 0, "media_server": {"server_urls": {"all": media_url}}
    });
    send(&mut socket, &answer).await;
    loop {
        tokio::select! {
            message = receive(&mut socket) => if message.is_none() { return },
            Ok(signal) = signals.recv() => send(&mut socket, &signal).await,
        }
    }
}

/// Sends a message as text.
pub(crate) async fn send(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next JSON message; `None` when the peer is gone.
pub(crate) async fn receive(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await?.ok()? {
            message @ (Message::Text(_) | Message::Binary(_)) => {
                return Some(serde_json::from_slice(&message.into_data()).unwrap());
            }
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

/// An audio message with this timestamp.
pub(crate) fn audio(timestamp: i64) -> Value {
    json!({"msg_type": 14, "content": {"user_id": 0, "data": "AAAA", "timestamp": timestamp}})
}

/// Options that permit `ws://127.0.0.1`, and let media rest as the worker does.
pub(crate) fn plain_options() -> ClientOptions {
    let policy = UrlPolicy::parse("127.0.0.1", true).unwrap();
    ClientOptions::new(TlsRoots::system(None).unwrap(), policy)
        .with_rests(Rests::of(Duration::from_millis(100)))
}

/// A client for the stream at `url`.
pub(crate) fn client(url: &str, options: ClientOptions) -> Client {
    client_with(url, options, Timeouts::default())
}

/// A client that waits so long, or so briefly.
pub(crate) fn client_with(url: &str, options: ClientOptions, timeouts: Timeouts) -> Client {
    let session = SessionConfig {
        identity: StreamIdentity {
            product: Product::Meeting,
            id: "meeting".into(),
            stream_id: "stream".into(),
        },
        credentials: Credentials { client_id: "id".into(), client_secret: "secret".to_owned().into() },
        server_urls: vec![url.to_owned()],
        media: MediaParams { audio: Some(AudioParams::default()), ..MediaParams::default() },
        sockets: MediaSockets::Single,
        buffer_data: true,
        rejoins: false,
        timeouts,
        seed: 1,
    };
    Client::new(session, Arc::new(options))
}

/// What a client learned.
#[derive(Default)]
pub(crate) struct Learned {
    /// Timestamps of the audio, in the order of arrival.
    pub(crate) audio: Vec<i64>,
    pub(crate) notices: Vec<Notice>,
}

/// Runs a client until `enough`; a minute is far beyond what anything here takes.
pub(crate) async fn learn(client: &mut Client, enough: impl Fn(&Learned) -> bool) -> Learned {
    let mut learned = Learned::default();
    let run = async {
        while !enough(&learned) {
            match client.next().await.expect("an end that nobody asked for") {
                ClientEvent::Media(frame) => {
                    learned.audio.push(frame.packet().map_or(-1, |packet| packet.timestamp.0));
                }
                ClientEvent::Notice(notice) => learned.notices.push(*notice),
            }
        }
    };
    let finished = tokio::time::timeout(Duration::from_secs(60), run).await;
    assert!(finished.is_ok(), "still waiting, with {:?} and {:?}", learned.audio, learned.notices);
    learned
}
