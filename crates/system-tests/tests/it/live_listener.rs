//! A listener, as somebody would write one: a WebSocket for sound, an HTTP request for words.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use rtms_protocol::UnixMillis;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::system::System;

/// A connection to `…/live/audio`.
pub(crate) struct Listener {
    socket: WebSocketStream<TcpStream>,
}

/// One packet of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) after_hole: bool,
    pub(crate) sequence: u32,
    pub(crate) timestamp: UnixMillis,
    pub(crate) samples: Vec<i16>,
}

/// Everything that one listener heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The JSON messages in their order.
    pub(crate) notes: Vec<Value>,
    /// The packets of each track.
    pub(crate) tracks: BTreeMap<u16, Vec<Packet>>,
}

impl Listener {
    /// Connects, with the internal token; the status of a refusal else. `receive` bytes wait in the socket unread.
    pub(crate) async fn connect(system: &System, stream_id: &str, receive: u32) -> Result<Self, u16> {
        let host = system.worker_url.strip_prefix("http://").unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.set_recv_buffer_size(receive).unwrap();
        let tcp = tcp.connect(host.parse().unwrap()).await.unwrap();
        let url = format!("ws://{host}/engagements/{stream_id}/live/audio");
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", "Bearer hop".parse().unwrap());
        match tokio_tungstenite::client_async(request, tcp).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The same, as soon as the stream is known.
    pub(crate) async fn connect_soon(system: &System, stream_id: &str, receive: u32) -> Self {
        system.until_known(stream_id).await;
        Self::connect(system, stream_id, receive).await.unwrap()
    }

    /// Listens until the worker says goodbye.
    pub(crate) async fn listen(mut self) -> Heard {
        let mut heard = Heard::default();
        while let Some(message) = self.socket.next().await {
            match message.unwrap() {
                Message::Text(text) => heard.notes.push(serde_json::from_str(&text).unwrap()),
                Message::Binary(bytes) => heard.packet(&bytes),
                Message::Close(frame) => assert_eq!(u16::from(frame.unwrap().code), 1000),
                _ => {}
            }
        }
        heard
    }
}

impl Heard {
    fn packet(&mut self, bytes: &[u8]) {
        let (header, samples) = bytes.split_at(16);
        assert_eq!(header[0], 1, "version");
        let packet = Packet {
            after_hole: header[1] & 1 == 1,
            sequence: u32::from_le_bytes(header[4..8].try_into().unwrap()),
            timestamp: UnixMillis(i64::from_le_bytes(header[8..16].try_into().unwrap())),
            samples: samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect(),
        };
        let track = u16::from_le_bytes([header[2], header[3]]);
        assert!(self.of_type("track").any(|note| note["track"] == track), "track {track} was announced");
        self.tracks.entry(track).or_default().push(packet);
    }

    /// The JSON messages of one type.
    pub(crate) fn of_type(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.notes.iter().filter(move |note| note["type"] == kind)
    }

    /// The packets of the track that was last announced with this name.
    pub(crate) fn track(&self, name: &str) -> &[Packet] {
        let track = self.of_type("track").filter(|note| note["name"] == name).last();
        let number =
            track.unwrap_or_else(|| panic!("no {name} in {:#?}", self.notes))["track"].as_u64().unwrap();
        &self.tracks[&u16::try_from(number).unwrap()]
    }
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Value,
}

/// Asks for the events of `…/live/transcript`, as soon as the stream is known.
pub(crate) async fn events_of(system: &System, stream_id: &str) -> reqwest::Response {
    system.until_known(stream_id).await;
    let url = format!("{}/engagements/{stream_id}/live/transcript", system.worker_url);
    let answer = system.http.get(url).bearer_auth("hop").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    answer
}

/// Reads them to their end.
pub(crate) async fn events(answer: reqwest::Response) -> Vec<Event> {
    let text = answer.text().await.unwrap();
    text.split_terminator("\n\n").filter(|event| !event.starts_with(':')).map(event).collect()
}

fn event(text: &str) -> Event {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Event {
        name: field("event").unwrap().to_owned(),
        id: field("id").map(|id| id.parse().unwrap()),
        data: serde_json::from_str(field("data").unwrap()).unwrap(),
    }
}
