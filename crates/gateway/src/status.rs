//! `/health` on both listeners; `/ready` and `/metrics` on the one that is not public.
//!
//! Nothing here waits for a disk or a worker: all of it is known already.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use rtms_protocol::UnixMillis;
use rtms_service::CancellationToken;
use rtms_service::http::{error, metrics_text};
use rtms_service::metrics::Metrics;
use rtms_service::time::{iso_now, unix_millis};
use serde::Serialize;
use serde_json::json;

use crate::delivery::Workers;
use crate::metrics;
use crate::outbox::Outbox;

/// What the status answers are made from.
pub(crate) struct Status<O> {
    pub(crate) outbox: Arc<O>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
}

/// The answer of `/health`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    worker: &'static str,
    pending_events: u64,
    timestamp: String,
}

/// `GET /health`: 200 while the process lives.
pub(crate) async fn health<O: Outbox>(State(status): State<Arc<Status<O>>>) -> Response {
    let worker = if status.workers.reachable() > 0 { "ok" } else { "unreachable" };
    let pending = status.outbox.pending().events;
    Json(Health { status: "ok", worker, pending_events: pending, timestamp: iso_now() }).into_response()
}

/// `GET /ready`: 200 while webhooks can be accepted.
pub(crate) async fn ready<O: Outbox>(State(status): State<Arc<Status<O>>>) -> Response {
    if status.shutdown.is_cancelled() {
        return error(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    if !status.outbox.writable() {
        return error(StatusCode::SERVICE_UNAVAILABLE, "the outbox cannot be written");
    }
    Json(json!({ "status": "ready" })).into_response()
}

/// `GET /metrics`: Prometheus' text format.
pub(crate) async fn metrics<O: Outbox>(State(status): State<Arc<Status<O>>>) -> Response {
    let pending = status.outbox.pending();
    let now = UnixMillis(unix_millis());
    let age = pending.oldest.map_or(0, |oldest| now.since(oldest).max(0));
    ::metrics::gauge!(metrics::PENDING).set(precise(pending.events));
    ::metrics::gauge!(metrics::OLDEST).set(precise(age.unsigned_abs()) / 1000.0);
    ::metrics::gauge!(metrics::WRITABLE).set(if status.outbox.writable() { 1.0 } else { 0.0 });
    ::metrics::gauge!(metrics::REACHABLE).set(precise(status.workers.reachable() as u64));
    metrics_text(&status.metrics)
}

/// Exact below 2^53, which counts and milliseconds stay.
const fn precise(count: u64) -> f64 {
    count as f64
}
