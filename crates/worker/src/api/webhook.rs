//! `POST /webhook`: Zoom's body, passed on by the gateway.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rtms_protocol::{Webhook, WebhookKind};
use rtms_service::http;
use serde_json::json;

use super::Shared;
use crate::metrics;
use crate::registry::{Status, Unavailable};

pub(super) async fn receive(State(shared): State<Shared>, body: Bytes) -> Response {
    let webhook = match Webhook::parse(&body) {
        Ok(webhook) => webhook,
        Err(error) => {
            count("invalid");
            tracing::warn!(%error, "a webhook cannot be used; nothing was started");
            return http::error(StatusCode::BAD_REQUEST, &error.to_string());
        }
    };
    match webhook.kind {
        WebhookKind::Stream(stream) => {
            let stream_id = stream.identity.stream_id.clone();
            match shared.registry.on_webhook(stream, webhook.event_ts) {
                Ok(status) => answer(status),
                Err(unavailable) => refuse(&stream_id, &webhook.event, &unavailable),
            }
        }
        WebhookKind::Account(account) => {
            tracing::warn!(
                event = %webhook.event, concurrency = account.concurrency,
                "Zoom reports on the account's streams; at its limit (2,000 by default) new ones are not started"
            );
            answer(Status::Ignored)
        }
        WebhookKind::UrlValidation { .. } | WebhookKind::Other => answer(Status::Ignored),
    }
}

fn answer(status: Status) -> Response {
    count(status.word());
    Json(json!({ "received": true, "status": status.word() })).into_response()
}

fn refuse(stream_id: &str, event: &str, unavailable: &Unavailable) -> Response {
    let text = unavailable.to_string();
    match unavailable {
        Unavailable::Refused(_) => {
            count("refused");
            tracing::error!(
                stream = %stream_id, event, problem = %text,
                "the stream is not joined; if the host is Zoom's, add it to RTMS_ALLOWED_HOSTS"
            );
            http::error(StatusCode::UNPROCESSABLE_ENTITY, &text)
        }
        Unavailable::Full | Unavailable::Draining | Unavailable::Busy => {
            count("full");
            tracing::warn!(stream = %stream_id, event, reason = %text, "a webhook was put off; the gateway tries again or elsewhere");
            let mut response = http::error(StatusCode::SERVICE_UNAVAILABLE, &text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

fn count(status: &'static str) {
    ::metrics::counter!(metrics::WEBHOOKS, "status" => status).increment(1);
}
