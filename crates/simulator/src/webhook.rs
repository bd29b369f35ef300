//! Zoom's webhooks: their bodies, their signature, and how they are delivered again.

use std::sync::Arc;
use std::time::Duration;

use rtms_protocol::{Product, StopReason, StreamIdentity, sign_webhook};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::clock::unix_now;

/// Zoom counts a delivery as failed after this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// An answer longer than this is not read on.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Where the gateway takes webhooks when its URL has no path.
const PATH: &str = "/api/webhooks/zoom";

/// Whether the payload's fields lie in `payload` or in `payload.object`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `payload.meeting_uuid`: what Zoom sends.
    #[default]
    Flat,
    /// `payload.object.meeting_uuid`: what some newer documents show.
    Nested,
}

/// Why webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The gateway's URL is none.
    #[error("{url} is not an http or https URL (example: http://localhost:3001)")]
    Url {
        /// What was given.
        url: String,
    },
    /// The HTTP client does not start.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Status of the last answer; `None` where there was none.
    pub status: Option<u16>,
    /// Tries.
    pub attempts: u32,
    /// Time of the last answer.
    pub took: Duration,
    /// Its body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// 200 and 204 are what Zoom takes for success.
    #[must_use]
    pub const fn accepted(&self) -> bool {
        matches!(self.status, Some(200 | 204))
    }
}

/// Signs webhooks and delivers them to one gateway.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    http: reqwest::Client,
    url: reqwest::Url,
    secret: Arc<SecretString>,
    again_after: Vec<Duration>,
}

impl WebhookSender {
    /// A sender to `gateway` (the path `/api/webhooks/zoom` is added where there is none) that tries again after these
    /// waits when a delivery is not accepted.
    ///
    /// # Errors
    /// When the URL is none, or the HTTP client does not start.
    pub fn new(
        gateway: &str,
        secret: SecretString,
        again_after: Vec<Duration>,
    ) -> Result<Self, WebhookError> {
        let wrong = || WebhookError::Url { url: gateway.to_owned() };
        let mut url = reqwest::Url::parse(gateway).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        // It fails only where a provider is installed already, and then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self { http, url, secret: Arc::new(secret), again_after })
    }

    /// Delivers one webhook, again and again as Zoom would. Each try is signed anew.
    pub async fn deliver(&self, body: &Value) -> Delivery {
        let body = body.to_string();
        let mut waits = self.again_after.iter();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let delivery = self.attempt(&body, attempts).await;
            let (false, Some(wait)) = (delivery.accepted(), waits.next()) else { return delivery };
            tracing::warn!(
                status = delivery.status,
                again_in_s = wait.as_secs_f64(),
                "webhook was not accepted"
            );
            tokio::time::sleep(*wait).await;
        }
    }

    async fn attempt(&self, body: &str, attempts: u32) -> Delivery {
        let unix_seconds = unix_now().0 / 1000;
        let signature = sign_webhook(&self.secret, unix_seconds, body.as_bytes());
        let began = std::time::Instant::now();
        let request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("x-zm-request-timestamp", unix_seconds.to_string())
            .header("x-zm-signature", signature)
            .body(body.to_owned());
        match request.send().await {
            Ok(mut answer) => {
                let status = Some(answer.status().as_u16());
                let mut body = Vec::new();
                while let Ok(Some(chunk)) = answer.chunk().await {
                    body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER_BYTES - body.len())]);
                    if body.len() == MAX_ANSWER_BYTES {
                        break;
                    }
                }
                Delivery { status, attempts, took: began.elapsed(), body }
            }
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "webhook could not be delivered");
                Delivery { status: None, attempts, took: began.elapsed(), body: Vec::new() }
            }
        }
    }
}

const fn event_prefix(product: Product) -> &'static str {
    match product {
        Product::ContactCenter => "contact_center.voice",
        Product::Meeting => "meeting",
        Product::Webinar => "webinar",
        Product::VideoSdk => "session",
        Product::Phone => "phone",
    }
}

fn envelope(
    identity: &StreamIdentity,
    action: &str,
    layout: Layout,
    mut fields: Map<String, Value>,
) -> Value {
    fields.insert(identity.product.id_field().to_owned(), json!(identity.id));
    fields.insert("rtms_stream_id".to_owned(), json!(identity.stream_id));
    let payload = match layout {
        Layout::Flat => {
            fields.insert("account_id".to_owned(), json!("simulated-account"));
            Value::Object(fields)
        }
        Layout::Nested => json!({"account_id": "simulated-account", "object": fields}),
    };
    json!({"event": format!("{}.{action}", event_prefix(identity.product)).replace("voice.", "voice_"),
        "event_ts": unix_now().0, "payload": payload})
}

/// `…rtms_started`, with the fields that the product adds.
#[must_use]
pub fn started(identity: &StreamIdentity, signaling_url: &str, event_ts: i64, layout: Layout) -> Value {
    let mut fields = Map::new();
    fields.insert("server_urls".to_owned(), json!(signaling_url));
    match identity.product {
        Product::Meeting | Product::Webinar => {
            fields.insert("operator_id".to_owned(), json!("simulated-operator"));
            fields.insert("meeting_id".to_owned(), json!(92_345_678_901_i64));
            fields.insert("is_original_host".to_owned(), json!(true));
        }
        Product::VideoSdk => {
            fields.insert("session_key".to_owned(), json!("simulated-key"));
        }
        Product::ContactCenter | Product::Phone => {}
    }
    let mut body = envelope(identity, "rtms_started", layout, fields);
    body["event_ts"] = json!(event_ts);
    body
}

/// `…rtms_stopped`.
#[must_use]
pub fn stopped(identity: &StreamIdentity, reason: StopReason, layout: Layout) -> Value {
    let fields = Map::from_iter([("stop_reason".to_owned(), json!(reason.code()))]);
    envelope(identity, "rtms_stopped", layout, fields)
}

/// `…rtms_interrupted`.
#[must_use]
pub fn interrupted(identity: &StreamIdentity, layout: Layout) -> Value {
    envelope(identity, "rtms_interrupted", layout, Map::new())
}

/// `endpoint.url_validation`.
#[must_use]
pub fn url_validation(plain_token: &str) -> Value {
    json!({"event": "endpoint.url_validation", "event_ts": unix_now().0, "payload": {"plainToken": plain_token}})
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{StreamAction, Webhook, WebhookKind};

    use super::*;

    #[test]
    fn every_products_webhooks_are_read_as_what_they_are() {
        for product in Product::ALL {
            for layout in [Layout::Flat, Layout::Nested] {
                let identity = StreamIdentity { product, id: "a/b==".into(), stream_id: "s1".into() };
                let bodies = [
                    started(&identity, "wss://localhost:1/signaling", 5, layout),
                    stopped(&identity, StopReason::MeetingEnded, layout),
                    interrupted(&identity, layout),
                ];
                let actions =
                    bodies.map(|body| match Webhook::parse(body.to_string().as_bytes()).unwrap().kind {
                        WebhookKind::Stream(stream) => {
                            assert_eq!(stream.identity, identity, "{body}");
                            stream.action
                        }
                        other => panic!("{other:?}"),
                    });
                assert!(
                    matches!(&actions[0], StreamAction::Started { server_urls, .. } if server_urls.len() == 1)
                );
                assert_eq!(actions[1], StreamAction::Stopped { reason: Some(StopReason::MeetingEnded) });
                assert_eq!(actions[2], StreamAction::Interrupted);
            }
        }
    }

    #[test]
    fn contact_center_events_have_zooms_names() {
        let identity =
            StreamIdentity { product: Product::ContactCenter, id: "e".into(), stream_id: "s".into() };
        let body = started(&identity, "wss://h", 5, Layout::Flat);
        assert_eq!(body["event"], "contact_center.voice_rtms_started");
        assert_eq!(body["payload"]["engagement_id"], "e");
        assert_eq!(body["event_ts"], 5);
    }
}
