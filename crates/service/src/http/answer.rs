//! Answers that every listener gives the same way: errors are JSON and say no more than they must.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::metrics::Metrics;

/// `{"error": …}` with a status.
pub fn error(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}

/// 404, for a router's fallback.
pub async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "not found")
}

/// 405, for a router's method fallback.
pub async fn method_not_allowed() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
}

/// The answer of `/metrics`.
pub fn metrics_text(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}
