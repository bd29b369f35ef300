//! Webhook envelopes: which stream of which product started, stopped or was interrupted.
//!
//! Payloads come flat (`payload.meeting_uuid`) or nested (`payload.object.meeting_uuid`), and the guides in
//! circulation put an `engagement_id` into `meeting.rtms_started`: the id field that is present decides the product,
//! the event's prefix only breaks a tie. Verify the signature before parsing anything, see [`crate::WebhookKeys`].

use serde_json::{Map, Value};

use crate::brief::brief;
use crate::codes::StopReason;
use crate::product::{Product, StreamIdentity};
use crate::time::UnixMillis;

/// The longest id that is accepted, in bytes; Zoom's have well below 100.
pub const LONGEST_ID: usize = 512;

/// The most signaling URLs that are read from one webhook.
const MOST_URLS: usize = 16;

/// Why a body is no webhook that can be acted on. Never quotes the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not JSON.
    #[error("body is not JSON ({0})")]
    NotJson(&'static str),
    /// JSON, but no object with a text in `event`.
    #[error("field \"event\" is missing or not a text")]
    NoEvent,
    /// A field that the event needs is missing or wrong.
    #[error("event {event}: field \"{field}\" {problem}")]
    Field {
        /// The event's name, made [`brief`].
        event: String,
        /// The field, as a path in the body.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A webhook, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// The event's name, made [`brief`].
    pub event: String,
    /// When Zoom says it happened.
    pub event_ts: Option<UnixMillis>,
    /// What it is for us.
    pub kind: WebhookKind,
}

/// What a webhook is for us.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookKind {
    /// Zoom checks that the URL is ours.
    UrlValidation {
        /// To be signed and sent back, if it is harmless.
        plain_token: String,
    },
    /// A stream's life.
    Stream(StreamWebhook),
    /// About the whole account: `rtms.concurrency_near_limit`, `rtms.concurrency_limited`, `rtms.start_failed`.
    Account(AccountWebhook),
    /// Everything else that Zoom may send.
    Other,
}

/// A stream's life, as told over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamWebhook {
    /// Which stream. For `stopped` and `interrupted` the id may be missing from the payload and is empty then.
    pub identity: StreamIdentity,
    /// What happened to it.
    pub action: StreamAction,
    /// `account_id`, where it came.
    pub account_id: Option<String>,
}

/// What happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamAction {
    /// It can be joined now, at one of these signaling URLs. Also sent when Zoom moved it to another server.
    Started {
        /// Signaling URLs, at least one.
        server_urls: Vec<String>,
        /// Whether the stream belongs to the meeting's original host, where it came.
        is_original_host: Option<bool>,
    },
    /// It is over.
    Stopped {
        /// Why.
        reason: Option<StopReason>,
    },
    /// Zoom lost our signaling connection.
    Interrupted,
    /// Another `rtms_*` event of a stream, which nobody has described yet.
    Other,
}

/// News about the whole account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountWebhook {
    /// How many streams run, where it came.
    pub concurrency: Option<i64>,
}

impl Webhook {
    /// Reads a webhook's body.
    ///
    /// # Errors
    /// When it is not JSON, has no `event`, or lacks what its event needs.
    pub fn parse(body: &[u8]) -> Result<Self, WebhookError> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| WebhookError::NotJson(crate::message::category(&error)))?;
        let event = value.get("event").and_then(Value::as_str).ok_or(WebhookError::NoEvent)?;
        let event_ts = value.get("event_ts").and_then(integer).map(UnixMillis);
        let payload = Payload::of(&value);
        let kind = if event == "endpoint.url_validation" {
            let plain_token =
                payload.text("plainToken").ok_or_else(|| missing(event, "payload.plainToken"))?;
            WebhookKind::UrlValidation { plain_token }
        } else if let Some(action) = stream_action(event) {
            WebhookKind::Stream(stream(event, action, &payload)?)
        } else if event.starts_with("rtms.") {
            WebhookKind::Account(AccountWebhook {
                concurrency: payload.field("concurrency_number").and_then(integer),
            })
        } else {
            WebhookKind::Other
        };
        Ok(Self { event: brief(event), event_ts, kind })
    }
}

fn missing(event: &str, field: &'static str) -> WebhookError {
    WebhookError::Field { event: brief(event), field, problem: "is missing or not a text" }
}

/// The action of a stream event's name: `meeting.rtms_started`, `contact_center.voice_rtms_stopped`,
/// `phone.call_rtms_interrupted`. `None` for every other event.
fn stream_action(event: &str) -> Option<&str> {
    Product::of_event(event)?;
    let (_, name) = event.split_once('.')?;
    let at = name.find("rtms_")?;
    (at == 0 || name.as_bytes().get(at - 1) == Some(&b'_')).then(|| &name[at + "rtms_".len()..])
}

fn stream(event: &str, action: &str, payload: &Payload<'_>) -> Result<StreamWebhook, WebhookError> {
    let stream_id = payload.text("rtms_stream_id").ok_or_else(|| missing(event, "payload.rtms_stream_id"))?;
    checked(event, "payload.rtms_stream_id", &stream_id)?;
    let (product, id) = payload.engagement(event);
    let action = match action {
        "started" => {
            let server_urls = payload.server_urls();
            if server_urls.is_empty() {
                return Err(missing(event, "payload.server_urls"));
            }
            if id.is_none() {
                return Err(missing(event, id_path(product)));
            }
            let is_original_host = payload.field("is_original_host").and_then(Value::as_bool);
            StreamAction::Started { server_urls, is_original_host }
        }
        "stopped" => StreamAction::Stopped {
            reason: payload.field("stop_reason").and_then(integer).map(StopReason::from_code),
        },
        "interrupted" => StreamAction::Interrupted,
        _ => StreamAction::Other,
    };
    let id = id.unwrap_or_default();
    checked(event, id_path(product), &id)?;
    let account_id = payload.text("account_id");
    Ok(StreamWebhook { identity: StreamIdentity { product, id, stream_id }, action, account_id })
}

const fn id_path(product: Product) -> &'static str {
    match product {
        Product::ContactCenter => "payload.engagement_id",
        Product::Meeting | Product::Webinar => "payload.meeting_uuid",
        Product::VideoSdk => "payload.session_id",
        Product::Phone => "payload.call_id",
    }
}

fn checked(event: &str, field: &'static str, id: &str) -> Result<(), WebhookError> {
    if id.len() > LONGEST_ID {
        return Err(WebhookError::Field { event: brief(event), field, problem: "is longer than 512 bytes" });
    }
    Ok(())
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `payload`, and the `object` inside it where there is one.
struct Payload<'a> {
    flat: Option<&'a Map<String, Value>>,
    nested: Option<&'a Map<String, Value>>,
}

impl<'a> Payload<'a> {
    fn of(body: &'a Value) -> Self {
        let flat = body.get("payload").and_then(Value::as_object);
        let nested = flat.and_then(|payload| payload.get("object")).and_then(Value::as_object);
        Self { flat, nested }
    }

    fn field(&self, name: &str) -> Option<&'a Value> {
        let find = |map: Option<&'a Map<String, Value>>| map?.get(name).filter(|value| !value.is_null());
        find(self.flat).or_else(|| find(self.nested))
    }

    /// A text that is not empty; a number counts as its digits.
    fn text(&self, name: &str) -> Option<String> {
        match self.field(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The product and the id: the field present decides, the prefix of the event only breaks a tie.
    fn engagement(&self, event: &str) -> (Product, Option<String>) {
        let by_prefix = Product::of_event(event).unwrap_or(Product::Meeting);
        let meeting = if by_prefix == Product::Webinar { Product::Webinar } else { Product::Meeting };
        let fields = [
            ("engagement_id", Product::ContactCenter),
            ("session_id", Product::VideoSdk),
            ("call_id", Product::Phone),
            ("webinar_uuid", Product::Webinar),
            ("meeting_uuid", meeting),
        ];
        // Contact Center goes first wherever it is named; among the others the event's own field wins.
        let own =
            fields.iter().filter(|(_, product)| *product == Product::ContactCenter || *product == by_prefix);
        own.chain(fields.iter())
            .find_map(|(field, product)| self.text(field).map(|id| (*product, Some(id))))
            .unwrap_or((by_prefix, None))
    }

    /// Signaling URLs from a text with commas, an array, or an object of URLs.
    fn server_urls(&self) -> Vec<String> {
        let mut urls = Vec::new();
        if let Some(value) = self.field("server_urls") {
            collect_urls(value, &mut urls, 0);
        }
        urls
    }
}

fn collect_urls(value: &Value, urls: &mut Vec<String>, depth: u8) {
    let each = |text: &str, urls: &mut Vec<String>| {
        for url in text.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            if urls.len() < MOST_URLS && !urls.iter().any(|known| known == url) {
                urls.push(url.to_owned());
            }
        }
    };
    match value {
        Value::String(text) => each(text, urls),
        Value::Array(list) if depth < 2 => list.iter().for_each(|value| collect_urls(value, urls, depth + 1)),
        Value::Object(map) if depth < 2 => {
            map.values().for_each(|value| collect_urls(value, urls, depth + 1));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(body: &Value) -> Result<Webhook, WebhookError> {
        Webhook::parse(body.to_string().as_bytes())
    }

    fn started(event: &str, payload: &Value) -> StreamWebhook {
        match parse(&json!({"event": event, "event_ts": 1, "payload": payload})).unwrap().kind {
            WebhookKind::Stream(stream) => stream,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_product_flat_and_nested() {
        let cases = [
            ("contact_center.voice_rtms_started", "engagement_id", Product::ContactCenter),
            ("meeting.rtms_started", "meeting_uuid", Product::Meeting),
            ("webinar.rtms_started", "meeting_uuid", Product::Webinar),
            ("webinar.rtms_started", "webinar_uuid", Product::Webinar),
            ("session.rtms_started", "session_id", Product::VideoSdk),
            ("phone.rtms_started", "call_id", Product::Phone),
            ("phone.call_rtms_started", "call_id", Product::Phone),
        ];
        for (event, field, product) in cases {
            let flat = json!({field: "id1", "rtms_stream_id": "s1", "server_urls": "wss://a.zoom.us"});
            for payload in [flat.clone(), json!({"account_id": "acc", "object": flat})] {
                let stream = started(event, &payload);
                let identity = StreamIdentity { product, id: "id1".into(), stream_id: "s1".into() };
                assert_eq!(stream.identity, identity, "{event}");
                assert!(matches!(stream.action, StreamAction::Started { .. }));
            }
        }
    }

    #[test]
    fn the_guides_send_an_engagement_id_in_a_meeting_event() {
        let payload = json!({"engagement_id": "abc123", "meeting_uuid": "m", "rtms_stream_id": "xyz789", "server_urls": "wss://rtms.zoom.us"});
        let stream = started("meeting.rtms_started", &payload);
        assert_eq!(stream.identity.product, Product::ContactCenter);
        assert_eq!(stream.identity.id, "abc123");
    }

    #[test]
    fn the_prefix_breaks_a_tie() {
        let payload = json!({"session_id": "s", "call_id": "c", "meeting_uuid": "m", "rtms_stream_id": "x", "server_urls": "u"});
        assert_eq!(started("phone.rtms_started", &payload).identity.id, "c");
        assert_eq!(started("session.rtms_started", &payload).identity.id, "s");
        assert_eq!(started("meeting.rtms_started", &payload).identity.id, "m");
    }

    #[test]
    fn urls_in_every_form() {
        for urls in [
            json!("wss://a, wss://b"),
            json!(["wss://a", "wss://b"]),
            json!({"x": "wss://a", "y": "wss://b"}),
        ] {
            let payload = json!({"meeting_uuid": "m", "rtms_stream_id": "s", "server_urls": urls});
            let StreamAction::Started { server_urls, .. } = started("meeting.rtms_started", &payload).action
            else {
                panic!()
            };
            assert_eq!(server_urls, ["wss://a", "wss://b"]);
        }
    }

    #[test]
    fn stopped_tells_why() {
        let body = json!({"event": "meeting.rtms_stopped", "event_ts": 7,
            "payload": {"meeting_uuid": "m", "rtms_stream_id": "s", "stop_reason": 8}});
        let webhook = parse(&body).unwrap();
        assert_eq!(webhook.event_ts, Some(UnixMillis(7)));
        let WebhookKind::Stream(stream) = webhook.kind else { panic!() };
        assert_eq!(stream.action, StreamAction::Stopped { reason: Some(StopReason::StreamRevoked) });
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = |body: Value| parse(&body).unwrap_err().to_string();
        assert_eq!(
            error(
                json!({"event": "meeting.rtms_started", "payload": {"meeting_uuid": "m", "server_urls": "u"}})
            ),
            "event meeting.rtms_started: field \"payload.rtms_stream_id\" is missing or not a text"
        );
        assert!(error(json!({"event": "meeting.rtms_started", "payload": {"meeting_uuid": "m", "rtms_stream_id": "s"}})).contains("payload.server_urls"));
        assert!(error(json!({"event": "session.rtms_started", "payload": {"rtms_stream_id": "s", "server_urls": "u"}})).contains("payload.session_id"));
        assert!(error(json!({"event": "meeting.rtms_started"})).contains("rtms_stream_id"));
        assert!(
            error(json!({"event": "meeting.rtms_stopped", "payload": {"rtms_stream_id": "x".repeat(600)}}))
                .contains("longer")
        );
        assert_eq!(parse(&json!({"payload": {}})).unwrap_err(), WebhookError::NoEvent);
        assert!(matches!(Webhook::parse(b"not json"), Err(WebhookError::NotJson(_))));
    }

    #[test]
    fn other_events_are_known_for_what_they_are() {
        let kind = |event: &str| {
            parse(&json!({"event": event, "payload": {"concurrency_number": 1900, "plainToken": "t"}}))
                .unwrap()
                .kind
        };
        assert_eq!(kind("meeting.started"), WebhookKind::Other);
        assert_eq!(kind("meeting.xrtms_started"), WebhookKind::Other);
        assert_eq!(
            kind("rtms.concurrency_limited"),
            WebhookKind::Account(AccountWebhook { concurrency: Some(1900) })
        );
        assert_eq!(kind("endpoint.url_validation"), WebhookKind::UrlValidation { plain_token: "t".into() });
    }

    proptest! {
        #[test]
        fn any_body_is_an_answer_and_no_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Webhook::parse(&body);
        }

        #[test]
        fn any_event_with_any_field_is_an_answer(event in "[a-z_.]{0,30}", key in "[a-z_]{0,16}", value in ".{0,30}") {
            let _ = parse(&json!({"event": event, "payload": {key: value}}));
        }
    }

    #[test]
    fn the_name_of_an_event_is_brief() {
        let name = format!("meeting.rtms_started\n{}", "x".repeat(100_000));
        let webhook = parse(&json!({"event": name, "payload": {"rtms_stream_id": "s"}})).unwrap();
        assert_eq!(webhook.event, format!("meeting.rtms_started\\n{}…", "x".repeat(178)));
        let lacking = parse(&json!({"event": name, "payload": {}})).unwrap_err().to_string();
        assert!(lacking.len() < 400 && !lacking.contains('\n'), "{lacking}");
    }
}
