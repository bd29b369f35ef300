//! What the gateway needs to know of a verified event: its kind, its stream, its time. The worker reads the rest.
//!
//! It is lenient on purpose: a stream event that lacks something other than its stream is forwarded all the
//! same, and the worker, whose answer names the field, decides. Only an event without a stream cannot be
//! queued, because there is nothing to order it by.

use rtms_protocol::webhook::LONGEST_ID;
use rtms_protocol::{StreamAction, UnixMillis, Webhook, WebhookError, WebhookKind};
use serde_json::Value;

use crate::outbox::{Action, NewEvent};
use crate::verify::Verified;

/// A verified body, as far as the gateway reads it.
#[derive(Debug)]
pub enum Envelope {
    /// Zoom checks the URL.
    UrlValidation {
        /// The token to answer.
        plain_token: String,
    },
    /// To be forwarded.
    Stream(NewEvent),
    /// A stream event without a usable stream id.
    Incomplete(WebhookError),
    /// News about the account; an operator should see it.
    Account {
        /// The event's name.
        event: String,
        /// The number of concurrent streams, where it came.
        concurrency: Option<i64>,
    },
    /// Anything else.
    Other,
}

impl Envelope {
    /// Reads a verified body; `now` stands in for a missing `event_ts`.
    ///
    /// # Errors
    /// When it is not JSON, has no `event`, or is a URL validation without a token.
    pub fn read(verified: &Verified, now: UnixMillis) -> Result<Self, WebhookError> {
        let body = verified.body();
        let webhook = match Webhook::parse(body) {
            Ok(webhook) => webhook,
            Err(error @ WebhookError::Field { .. }) => return Self::incomplete(verified, now, error),
            Err(error) => return Err(error),
        };
        Ok(match webhook.kind {
            WebhookKind::UrlValidation { plain_token } => Self::UrlValidation { plain_token },
            WebhookKind::Stream(stream) => Self::Stream(NewEvent {
                stream: stream.identity.stream_id,
                action: match stream.action {
                    StreamAction::Started { .. } => Action::Started,
                    StreamAction::Stopped { .. } => Action::Stopped,
                    StreamAction::Interrupted | StreamAction::Other => Action::Other,
                },
                event_ts: webhook.event_ts.unwrap_or(now),
                body: body.clone(),
            }),
            WebhookKind::Account(account) => {
                Self::Account { event: webhook.event, concurrency: account.concurrency }
            }
            WebhookKind::Other => Self::Other,
        })
    }

    /// An event that lacks a field: of a stream still forwarded when its stream is named.
    fn incomplete(verified: &Verified, now: UnixMillis, error: WebhookError) -> Result<Self, WebhookError> {
        let body = verified.body();
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).filter(|id| !id.is_empty());
        let stream = text("/payload/rtms_stream_id").or_else(|| text("/payload/object/rtms_stream_id"));
        let event = text("/event").unwrap_or_default();
        if event == "endpoint.url_validation" {
            return Err(error);
        }
        Ok(match stream {
            Some(stream) if stream.len() <= LONGEST_ID => {
                let action = match event.rsplit('_').next() {
                    Some("started") => Action::Started,
                    Some("stopped") => Action::Stopped,
                    _ => Action::Other,
                };
                let event_ts = value.get("event_ts").and_then(Value::as_i64).map_or(now, UnixMillis);
                Self::Stream(NewEvent { stream: stream.to_owned(), action, event_ts, body: body.clone() })
            }
            _ => Self::Incomplete(error),
        })
    }

    /// A word for a metric's label, out of a fixed set.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UrlValidation { .. } => "url_validation",
            Self::Stream(event) => match event.action {
                Action::Started => "started",
                Action::Stopped => "stopped",
                Action::Other => "interrupted_or_other",
            },
            Self::Incomplete(_) => "incomplete",
            Self::Account { .. } => "account",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use bytes::Bytes;
    use proptest::prelude::*;
    use rtms_protocol::{WebhookKeys, sign_webhook};
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::verify::{Admission, Gate};

    const NOW: UnixMillis = UnixMillis(1_765_449_000_000);

    /// The only way to a `Verified`: a signature that holds.
    fn verified(body: String) -> Verified {
        let secret = SecretString::from("hush");
        let mut headers = HeaderMap::new();
        let signature = sign_webhook(&secret, NOW.0 / 1000, body.as_bytes());
        headers.insert("x-zm-signature", signature.parse().unwrap());
        headers.insert("x-zm-request-timestamp", (NOW.0 / 1000).into());
        let gate = Gate::new(WebhookKeys::new(vec![secret]).unwrap());
        match gate.admit(&headers, Bytes::from(body), NOW).unwrap() {
            Admission::Verified(verified) => verified,
            Admission::UrlValidation(_) => panic!("signed, so verified"),
        }
    }

    fn read(body: &Value) -> Result<Envelope, WebhookError> {
        Envelope::read(&verified(body.to_string()), NOW)
    }

    fn stream(body: &Value) -> NewEvent {
        match read(body).unwrap() {
            Envelope::Stream(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stream_action_and_time() {
        let payload =
            json!({"object": {"meeting_uuid": "m", "rtms_stream_id": "s", "server_urls": "wss://a"}});
        let started = stream(&json!({"event": "meeting.rtms_started", "event_ts": 5, "payload": payload}));
        assert_eq!((started.stream.as_str(), started.action, started.event_ts.0), ("s", Action::Started, 5));
        let stopped = stream(&json!({"event": "meeting.rtms_stopped", "payload": payload}));
        assert_eq!((stopped.action, stopped.event_ts), (Action::Stopped, NOW));
        let interrupted = stream(&json!({"event": "phone.call_rtms_interrupted", "payload": payload}));
        assert_eq!(interrupted.action, Action::Other);
    }

    #[test]
    fn an_incomplete_event_is_forwarded_when_its_stream_is_named() {
        let lacks_urls = json!({"event": "meeting.rtms_started", "event_ts": 5,
            "payload": {"meeting_uuid": "m", "rtms_stream_id": "s"}});
        let event = stream(&lacks_urls);
        assert_eq!((event.stream.as_str(), event.action, event.event_ts.0), ("s", Action::Started, 5));
        let nameless = json!({"event": "meeting.rtms_started", "payload": {"meeting_uuid": "m"}});
        assert!(matches!(read(&nameless).unwrap(), Envelope::Incomplete(_)));
        let endless =
            json!({"event": "meeting.rtms_started", "payload": {"rtms_stream_id": "s".repeat(600)}});
        assert!(matches!(read(&endless).unwrap(), Envelope::Incomplete(_)));
    }

    #[test]
    fn a_validation_without_token_and_what_is_no_event_are_errors() {
        for body in [json!({"event": "endpoint.url_validation", "payload": {}}), json!({}), json!([1])] {
            assert!(read(&body).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_signed_text_is_an_answer_and_no_panic(body in "\\PC{0,200}", id in "\\PC{0,20}") {
            let _ = Envelope::read(&verified(body), NOW);
            let event = json!({"event": "meeting.rtms_stopped", "payload": {"rtms_stream_id": id}});
            if let Ok(Envelope::Stream(event)) = read(&event) {
                prop_assert_eq!(event.stream, id);
            }
        }
    }
}
