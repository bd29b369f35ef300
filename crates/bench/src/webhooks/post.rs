//! Signed requests, rendered as the bytes that go over the socket.

use std::net::SocketAddr;

use bytes::Bytes;
use rtms_protocol::sign_webhook;
use secrecy::SecretString;
use serde_json::json;

/// Kinds of event that cost a gateway different work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Kept in the outbox and delivered.
    Started,
    /// Verified and answered; nothing is kept.
    Other,
}

/// The secret that both sides know.
pub(crate) fn secret() -> SecretString {
    SecretString::from("benchmark-secret-token")
}

/// The body of event number `number`, as large as Zoom's.
pub(crate) fn body(kind: Kind, number: usize) -> String {
    let event = match kind {
        Kind::Started => "contact_center.voice_rtms_started",
        Kind::Other => "contact_center.engagement_answered",
    };
    let server = "wss://rtms-sjc1-zoomgov.zoom.us:443";
    json!({
        "event": event,
        "event_ts": rtms_service::time::unix_millis(),
        "payload": {
            "account_id": "AbCdEfGhIjKlMnOpQrStUv",
            "object": {
                "engagement_id": format!("engagement-{number:012}-q2w3e4r5t6"),
                "rtms_stream_id": format!("stream{number:010}a1b2c3d4e5f6g7h8"),
                "server_urls": format!("{server},{server}"),
            },
        },
    })
    .to_string()
}

/// Requests number `from` to `from + count`, signed now.
pub(crate) fn requests(kind: Kind, to: SocketAddr, count: usize) -> Vec<Bytes> {
    let secret = secret();
    let seconds = rtms_service::time::unix_millis() / 1000;
    (0..count)
        .map(|number| {
            let body = body(kind, number);
            let signature = sign_webhook(&secret, seconds, body.as_bytes());
            Bytes::from(format!(
                "POST /api/webhooks/zoom HTTP/1.1\r\nhost: {to}\r\nuser-agent: benchmark\r\n\
                 content-type: application/json\r\nx-zm-request-timestamp: {seconds}\r\n\
                 x-zm-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
        })
        .collect()
}
