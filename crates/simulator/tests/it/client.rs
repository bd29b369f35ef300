//! A client that does what a test says, rightly or wrongly, and a simulator for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rtms_protocol::{Credentials, MediaKind, MediaPacket, Product, StreamIdentity, handshake_signature};
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::Program;
use rtms_simulator::{Encryption, Simulator, SimulatorConfig, StreamHandle, Timing};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

pub(crate) const ID: &str = "abc/1==";
pub(crate) const STREAM: &str = "stream-1";
/// Nothing in these tests takes so long; it ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn credentials() -> Credentials {
    Credentials { client_id: "cid".into(), client_secret: "secret".to_owned().into() }
}

/// Without TLS; and however long a client takes to join, the call is only so far on.
pub(crate) fn config(speed: f64) -> SimulatorConfig {
    let waits_at = Some(1_000);
    SimulatorConfig { encryption: Encryption::Off, speed, waits_at, ..SimulatorConfig::new(credentials()) }
}

pub(crate) fn identity(product: Product) -> StreamIdentity {
    StreamIdentity { product, id: ID.into(), stream_id: STREAM.into() }
}

/// A simulator with one stream.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) stream: StreamHandle,
}

impl Stage {
    pub(crate) async fn of(product: Product, duration_ms: i64, speed: f64) -> Self {
        Self::with(config(speed), product, duration_ms, Faults::default()).await
    }

    pub(crate) async fn with(
        config: SimulatorConfig,
        product: Product,
        duration_ms: i64,
        faults: Faults,
    ) -> Self {
        let simulator = Simulator::start(config).await.unwrap();
        let program = simulator.usual_program(product, duration_ms);
        Self::playing(simulator, program, faults)
    }

    pub(crate) fn playing(simulator: Simulator, program: Arc<Program>, faults: Faults) -> Self {
        let stream = simulator.announce(identity(program.scenario.product), program, faults).unwrap();
        Self { simulator, stream }
    }

    pub(crate) async fn open(&self, path: &str) -> Client {
        Client::open(&self.simulator, path).await
    }

    /// Signaling with everything in order.
    pub(crate) async fn signaling(&self) -> Client {
        let mut client = self.open("signaling").await;
        client.send(&handshake()).await;
        assert_eq!(client.next().await["status_code"], 0);
        assert_eq!(client.next().await["event"]["event_type"], 1);
        client
    }

    /// A media socket with everything in order.
    pub(crate) async fn media(&self, path: &str, media_type: i64, params: Value) -> Client {
        let mut client = self.open(path).await;
        client.send(&media_handshake(media_type, params)).await;
        let answer = client.next().await;
        assert_eq!(answer["status_code"], 0, "{answer}");
        client
    }
}

pub(crate) fn quick() -> Timing {
    let short = Duration::from_millis(300);
    Timing {
        keep_alive: Duration::from_millis(100),
        signaling_window: short,
        media_window: short,
        ..Timing::default()
    }
}

pub(crate) fn handshake() -> Value {
    json!({"msg_type": 1, "protocol_version": 1, "sequence": 1, "meeting_uuid": ID, "rtms_stream_id": STREAM,
        "signature": handshake_signature(&credentials(), ID, STREAM)})
}

pub(crate) fn media_handshake(media_type: i64, params: Value) -> Value {
    json!({"msg_type": 3, "protocol_version": 1, "sequence": 2, "engagement_id": ID, "rtms_stream_id": STREAM,
        "signature": handshake_signature(&credentials(), ID, STREAM), "media_type": media_type, "media_params": params})
}

pub(crate) fn ready() -> Value {
    json!({"msg_type": 7, "rtms_stream_id": STREAM})
}

pub(crate) struct Client {
    ws: WebSocketStream<TcpStream>,
}

impl Client {
    pub(crate) async fn open(simulator: &Simulator, path: &str) -> Self {
        Self::connect(&simulator.address().to_string(), path).await
    }

    pub(crate) async fn connect(address: &str, path: &str) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (ws, _) = tokio_tungstenite::client_async(format!("ws://localhost/{path}"), tcp).await.unwrap();
        Self { ws }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.ws.send(Message::text(message.to_string())).await.unwrap();
    }

    /// As Zoom's own client does it.
    pub(crate) async fn send_binary(&mut self, message: &Value) {
        self.ws.send(Message::binary(message.to_string().into_bytes())).await.unwrap();
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.ws.send(Message::text(text.to_owned())).await.unwrap();
    }

    /// The next message; `None` once the connection is over.
    pub(crate) async fn try_next(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.ws.next()).await.expect("nothing came");
            match message?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Value {
        self.try_next().await.expect("the connection is over")
    }

    /// The next message of this type; others are passed over, keep-alives answered.
    pub(crate) async fn next_of(&mut self, msg_type: i64) -> Value {
        loop {
            let message = self.next().await;
            if message["msg_type"] == msg_type {
                return message;
            }
            self.answer_keep_alive(&message).await;
        }
    }

    pub(crate) async fn answer_keep_alive(&mut self, message: &Value) {
        if message["msg_type"] == 12 {
            let answer =
                json!({"msg_type": 13, "sequence": message["sequence"], "timestamp": message["timestamp"]});
            let _ = self.ws.send(Message::text(answer.to_string())).await;
        }
    }

    /// Every message to the end of the connection; keep-alives are answered and left out.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(message) = self.try_next().await {
            self.answer_keep_alive(&message).await;
            if message["msg_type"] != 12 {
                all.push(message);
            }
        }
        all
    }
}

/// What a client received on a media socket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) kind: MediaKind,
    pub(crate) who: String,
    pub(crate) timestamp: i64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
}

pub(crate) fn received(message: &Value) -> Received {
    let text = message.to_string();
    let packet = MediaPacket::parse(text.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    if packet.kind.is_binary() {
        packet.decode_into(&mut bytes).unwrap();
    }
    let who = packet.user_id.as_ref().map(ToString::to_string).unwrap_or_default();
    Received { kind: packet.kind, who, timestamp: packet.timestamp.0, bytes, text: packet.text().to_owned() }
}
