//! One accepted WebSocket: messages in and out, and every way in which it can end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::transport::Transport;
use crate::faults::Cut;

/// A client's message is small: ids, a signature, parameters.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// For the other side to close as well.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// A client that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(65);

/// The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Which socket a path asks for, and of which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// 0 is the first one, whose paths do not name it.
    pub(super) server: u32,
    pub(super) asked: Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Signaling,
    /// `None` is the one for everything.
    Media(Option<rtms_protocol::MediaKind>),
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        let named = path.strip_prefix("/server-").and_then(|rest| {
            let (number, _) = rest.split_once('/')?;
            Some((number.parse().ok()?, &rest[number.len()..]))
        });
        let (server, path) = named.unwrap_or((0, path));
        Asked::of(path).map(|asked| Self { server, asked })
    }
}

impl Asked {
    fn of(path: &str) -> Option<Self> {
        match path.strip_prefix("/media/") {
            Some("all") => Some(Self::Media(None)),
            Some(kind) => rtms_protocol::MediaKind::from_word(kind).map(|kind| Self::Media(Some(kind))),
            // Zoom's own URLs name no path; whatever is not media is signaling.
            None => (!path.starts_with("/media")).then_some(Self::Signaling),
        }
    }
}

/// Both directions, which can be used at the same time.
pub(super) struct Socket {
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
}

impl Socket {
    /// The WebSocket handshake. Sub-protocol `websocket`, which Zoom's own client asks for, is granted.
    pub(super) async fn accept(transport: Transport) -> Option<(Self, Route)> {
        let mut route = None;
        #[expect(clippy::result_large_err, reason = "the type is the library's")]
        let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            route = Route::of(request.uri().path());
            if route.is_none() {
                let mut refusal = ErrorResponse::new(Some("no such socket\n".to_owned()));
                *refusal.status_mut() = http::StatusCode::NOT_FOUND;
                return Err(refusal);
            }
            let asked = request.headers().get("sec-websocket-protocol").and_then(|v| v.to_str().ok());
            if asked.is_some_and(|list| list.split(',').any(|name| name.trim() == "websocket")) {
                let granted = http::HeaderValue::from_static("websocket");
                response.headers_mut().insert("sec-websocket-protocol", granted);
            }
            Ok(response)
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES))
            .read_buffer_size(4 * 1024)
            .write_buffer_size(16 * 1024);
        let ws = accept_hdr_async_with_config(transport, check, Some(config)).await.ok()?;
        let (sender, receiver) = ws.split();
        Some((Self { sender: Sender(sender), receiver: Receiver(receiver) }, route?))
    }

    /// Ends the connection in this way.
    pub(super) async fn end(self, how: Cut) {
        let Ok(mut ws) = self.sender.0.reunite(self.receiver.0) else { return };
        match how {
            Cut::Close => {
                let close = async {
                    let _ = ws.close(None).await;
                    while ws.next().await.is_some_and(|message| message.is_ok()) {}
                };
                let _ = timeout(CLOSE_PATIENCE, close).await;
            }
            Cut::End => {
                // What the client still sends is read: unread bytes would turn the end into a reset, and a reset
                // takes away what was sent and not yet read.
                let end = async {
                    let _ = ws.get_mut().shutdown().await;
                    swallow(ws.get_mut()).await;
                };
                let _ = timeout(CLOSE_PATIENCE, end).await;
            }
            Cut::Reset => {
                let _ = ws.get_ref().tcp().set_zero_linger();
            }
            Cut::Silence => swallow(ws.get_mut()).await,
        }
    }
}

/// Reads and answers nothing until the client goes.
async fn swallow(transport: &mut Transport) {
    let mut rubbish = [0; 4096];
    while transport.read(&mut rubbish).await.is_ok_and(|read| read > 0) {}
}

/// What is sent on a socket.
pub(super) struct Sender(SplitSink<WebSocketStream<Transport>, Message>);

impl Sender {
    /// Sends one message at once.
    pub(super) async fn send(&mut self, message: &Value) -> Result<(), Gone> {
        self.write(&mut vec![message.to_string().into()]).await
    }

    /// Sends messages with one flush, and empties the list.
    pub(super) async fn write(&mut self, messages: &mut Vec<Bytes>) -> Result<(), Gone> {
        let all = async {
            for text in messages.drain(..) {
                let text = Utf8Bytes::try_from(text).map_err(|_| Gone)?;
                self.0.feed(Message::Text(text)).await.map_err(|_| Gone)?;
            }
            self.0.flush().await.map_err(|_| Gone)
        };
        timeout(WRITE_PATIENCE, all).await.unwrap_or(Err(Gone))
    }

    /// Sends frames as they are, right or wrong.
    pub(super) async fn send_frames(&mut self, frames: Vec<Message>) -> Result<(), Gone> {
        let all = async {
            for frame in frames {
                self.0.send(frame).await.map_err(|_| Gone)?;
            }
            Ok(())
        };
        timeout(WRITE_PATIENCE, all).await.unwrap_or(Err(Gone))
    }
}

/// What comes on a socket.
pub(super) struct Receiver(SplitStream<WebSocketStream<Transport>>);

impl Receiver {
    /// The next text or binary message; `None` once the connection is over. Cancel safe.
    pub(super) async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(text.into()),
                Message::Binary(bytes) => return Some(bytes),
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::MediaKind;

    use super::*;

    #[test]
    fn paths_tell_signaling_from_media() {
        let route = |server, asked| Some(Route { server, asked });
        assert_eq!(Route::of("/signaling"), route(0, Asked::Signaling));
        assert_eq!(Route::of("/"), route(0, Asked::Signaling));
        assert_eq!(Route::of("/media/all"), route(0, Asked::Media(None)));
        assert_eq!(Route::of("/media/share"), route(0, Asked::Media(Some(MediaKind::Share))));
        assert_eq!(Route::of("/server-2/signaling"), route(2, Asked::Signaling));
        assert_eq!(Route::of("/server-2/media/all"), route(2, Asked::Media(None)));
        assert_eq!(Route::of("/server-2/media/smell"), None);
        assert_eq!(Route::of("/media/smell"), None);
        assert_eq!(Route::of("/media"), None);
    }
}
