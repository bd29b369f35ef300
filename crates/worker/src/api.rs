//! The internal HTTP API: webhooks from the gateway, health and metrics, what is going on and what was recorded.

mod engagements;
mod live;
mod recordings;
mod video;
mod webhook;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use rtms_service::http::{self, InternalAuth, require_internal};
use rtms_service::metrics::Metrics;
use rtms_service::time::iso_now;
use serde_json::json;

use crate::live::Listeners;
use crate::registry::Registry;

/// What handlers share.
#[derive(Clone)]
struct Shared {
    registry: Arc<Registry>,
    listeners: Arc<Listeners>,
    metrics: Metrics,
}

/// The worker's routes.
pub(crate) fn router(registry: Arc<Registry>, listeners: Arc<Listeners>, metrics: Metrics) -> Router {
    let auth = InternalAuth::new(registry.settings().internal_token.clone());
    Router::new()
        .route("/webhook", post(webhook::receive))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(async |State(shared): State<Shared>| http::metrics_text(&shared.metrics)))
        .route("/engagements", get(engagements::list))
        .route("/engagements/{rtms_stream_id}", get(engagements::show))
        .route("/engagements/{rtms_stream_id}/stop", post(engagements::stop))
        .route("/engagements/{rtms_stream_id}/video", post(video::choose))
        .route("/engagements/{rtms_stream_id}/live/audio", get(live::audio))
        .route("/engagements/{rtms_stream_id}/live/transcript", get(live::transcript))
        .route("/recordings", get(recordings::list))
        .route("/recordings/{rtms_stream_id}", get(recordings::show))
        .fallback(http::not_found)
        .method_not_allowed_fallback(http::method_not_allowed)
        .layer(middleware::from_fn_with_state(auth, require_internal))
        .with_state(Shared { registry, listeners, metrics })
}

async fn health(State(shared): State<Shared>) -> Response {
    let views = shared.registry.views();
    let engagements: Vec<_> = views.iter().map(|view| view.identity().id.as_str()).collect();
    let mut answer = json!({
        "status": "ok",
        "activeEngagements": engagements.len(),
        "engagements": engagements,
        "timestamp": iso_now(),
    });
    if let Some((status, reason)) = trouble(&shared.registry) {
        answer["status"] = json!(status);
        answer["reason"] = json!(reason);
    }
    Json(answer).into_response()
}

async fn ready(State(shared): State<Shared>) -> Response {
    let reason = match trouble(&shared.registry) {
        Some((_, reason)) => reason,
        None if shared.registry.is_full() => "all engagements are in use (RTMS_MAX_ENGAGEMENTS)".to_owned(),
        None => return Json(json!({ "ready": true })).into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reason": reason }))).into_response()
}

/// What keeps the worker from being well: a word and a reason.
fn trouble(registry: &Registry) -> Option<(&'static str, String)> {
    if registry.is_draining() {
        return Some(("draining", "the worker is stopping".to_owned()));
    }
    registry.writers().disk().trouble().map(|reason| ("degraded", reason))
}
