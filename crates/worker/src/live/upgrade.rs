//! From an HTTP request to a WebSocket.
//!
//! Done with the tungstenite that the client uses already: axum's own `ws` feature would bring a second version of it.
//! A page of somebody else in a browser is refused: browsers connect WebSockets across origins without asking.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded as Connection};
use hyper_util::rt::TokioIo;
use rtms_service::http;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Listeners have nothing to say; whatever they send is at most so long, bytes.
const MOST_RECEIVED: usize = 4 * 1024;

/// A connection that becomes a WebSocket once the answer is sent.
pub(crate) struct Upgraded(OnUpgrade);

/// The answer 101 and what becomes of the connection, or a refusal.
pub(crate) fn upgrade(request: &mut Request) -> Result<(Response, Upgraded), Box<Response>> {
    if is_foreign(request.headers()) {
        return Err(Box::new(http::error(StatusCode::FORBIDDEN, "the Origin is another host's")));
    }
    match create_response_with_body(request, Body::empty) {
        Ok(answer) => Ok((answer, Upgraded(hyper::upgrade::on(request)))),
        Err(problem) => {
            let text = format!("this is a WebSocket: {problem}");
            let mut answer = http::error(StatusCode::UPGRADE_REQUIRED, &text);
            answer.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
            Err(Box::new(answer))
        }
    }
}

impl Upgraded {
    /// The WebSocket; `None` where the connection was lost before.
    pub(crate) async fn socket(self) -> Option<WebSocketStream<TokioIo<Connection>>> {
        let connection = TokioIo::new(self.0.await.ok()?);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MOST_RECEIVED))
            .max_frame_size(Some(MOST_RECEIVED))
            .read_buffer_size(MOST_RECEIVED);
        Some(WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await)
    }
}

/// Whether a browser asks for a page that came from elsewhere. Programs send no `Origin`, or that of the host they ask.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let own = headers.get(header::HOST).map(|host| host.as_bytes());
    let host =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host.as_bytes());
    host.is_none() || host != own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::builder().uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    const WEBSOCKET: [(&str, &str); 5] = [
        ("host", "worker:3002"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_handshake_is_that_of_the_rfc() {
        let (answer, _) = upgrade(&mut asked(&WEBSOCKET)).unwrap_or_else(|_| panic!("refused"));
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_plain_request_is_told_what_this_is() {
        let Err(answer) = upgrade(&mut asked(&WEBSOCKET[..1])) else { panic!("accepted") };
        assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        let with = |origin: &'static str| {
            let mut headers = WEBSOCKET.to_vec();
            headers.push(("origin", origin));
            upgrade(&mut asked(&headers)).map_or_else(|answer| answer.status(), |(answer, _)| answer.status())
        };
        assert_eq!(with("http://worker:3002"), StatusCode::SWITCHING_PROTOCOLS);
        for foreign in ["https://evil.example", "http://worker:80", "null", "http://worker:3002.evil.example"]
        {
            assert_eq!(with(foreign), StatusCode::FORBIDDEN, "{foreign}");
        }
    }
}
