//! `/engagements`: what is going on.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use rtms_recorder::Progress;
use rtms_service::http;
use serde::Serialize;
use serde_json::json;

use super::Shared;
use crate::view::{Summary, View};

/// How long a writer thread may take to tell how far a recording is; then the answer goes without.
const PATIENCE: Duration = Duration::from_secs(2);

/// One engagement, whole.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    /// Missing while the disk is too busy to tell.
    #[serde(flatten)]
    progress: Option<Progress>,
}

pub(super) async fn list(State(shared): State<Shared>) -> Response {
    let shown = shared.registry.views().into_iter().map(look);
    Json(join_all(shown).await).into_response()
}

pub(super) async fn show(State(shared): State<Shared>, Path(stream_id): Path<String>) -> Response {
    match shared.registry.view(&stream_id) {
        Some(view) => Json(look(view).await).into_response(),
        None => http::error(StatusCode::NOT_FOUND, "no such stream is active"),
    }
}

async fn look(view: Arc<View>) -> Shown {
    let progress = match view.writer() {
        Some(writer) => writer.progress(PATIENCE).await,
        None => None,
    };
    Shown { summary: view.summary(), progress }
}

pub(super) async fn stop(State(shared): State<Shared>, Path(stream_id): Path<String>) -> Response {
    match shared.registry.close(&stream_id) {
        Ok(true) => (StatusCode::ACCEPTED, Json(json!({ "status": "stopping" }))).into_response(),
        Ok(false) => http::error(StatusCode::NOT_FOUND, "no such stream is active"),
        Err(busy) => http::error(StatusCode::SERVICE_UNAVAILABLE, &busy.to_string()),
    }
}
