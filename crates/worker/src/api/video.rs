//! `POST /engagements/{rtms_stream_id}/video`: whose camera Zoom sends.
//!
//! Body `{"user_id": 16}`; the id as a number or as text, and `"subscribe": false` to end the choice. Zoom's answer is
//! waited for, so that who asks learns at once whether there will be pictures. Refused, before Zoom is asked, where
//! nothing could come of it: the stream has no video, or carries the active speaker's.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use rtms_protocol::MediaKind;
use rtms_service::http;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use crate::settings::{Settings, carries};
use crate::view::{VideoAnswer, View};

/// How long Zoom's answer is waited for. It takes one round trip.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest id, bytes.
const ID_BYTES: usize = 256;

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    user_id: Value,
    #[serde(default = "yes")]
    subscribe: bool,
}

const fn yes() -> bool {
    true
}

pub(super) async fn choose(
    State(shared): State<Shared>,
    Path(stream_id): Path<String>,
    body: Bytes,
) -> Response {
    let Some((user_id, subscribe)) = read(&body) else {
        return http::error(
            StatusCode::BAD_REQUEST,
            "the body must be {\"user_id\": …}, a number or a text, and may have \"subscribe\": false",
        );
    };
    let Some(view) = shared.registry.view(&stream_id) else {
        return http::error(StatusCode::NOT_FOUND, "no such stream is active");
    };
    if let Some(obstacle) = obstacle(shared.registry.settings(), &view) {
        return http::error(StatusCode::CONFLICT, obstacle);
    }
    // Before the question, so that no answer is missed.
    let answers = view.video_answers();
    match shared.registry.choose_video(&stream_id, user_id.clone(), subscribe) {
        Ok(true) => {}
        Ok(false) => return http::error(StatusCode::NOT_FOUND, "no such stream is active"),
        Err(busy) => return http::error(StatusCode::SERVICE_UNAVAILABLE, &busy.to_string()),
    }
    drop(view);
    match tokio::time::timeout(PATIENCE, answer(answers, &user_id, subscribe)).await {
        Ok(Some(answer)) => told(&answer),
        Ok(None) => http::error(StatusCode::NOT_FOUND, "the stream ended before Zoom answered"),
        // Not connected now, or Zoom is silent: the session asks again when it is back.
        Err(_) => {
            (StatusCode::ACCEPTED, Json(json!({ "status": "asked", "user_id": user_id }))).into_response()
        }
    }
}

fn read(body: &[u8]) -> Option<(String, bool)> {
    let Choice { user_id, subscribe } = serde_json::from_slice(body).ok()?;
    let user_id = match user_id {
        Value::Number(number) => number.as_i64()?.to_string(),
        Value::String(text) if !text.is_empty() && text.len() <= ID_BYTES => text,
        _ => return None,
    };
    Some((user_id, subscribe))
}

/// Why no choice can be made.
fn obstacle(settings: &Settings, view: &View) -> Option<&'static str> {
    let product = view.identity().product;
    if !carries(product, MediaKind::Video) || !settings.media.expected(product).contains(MediaKind::Video) {
        Some("no video is recorded of this stream (RTMS_MEDIA, or a product without pictures)")
    } else if !settings.media.video_is_chosen() {
        Some("the video is the active speaker's; set RTMS_VIDEO_STREAMS=chosen to choose")
    } else {
        None
    }
}

/// Zoom's answer to this question; `None` where the stream ends first.
async fn answer(mut answers: Receiver<VideoAnswer>, user_id: &str, subscribe: bool) -> Option<VideoAnswer> {
    loop {
        match answers.recv().await {
            Ok(answer) if answer.user_id == user_id && answer.subscribe == subscribe => return Some(answer),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

fn told(answer: &VideoAnswer) -> Response {
    let VideoAnswer { user_id, subscribe, status, reason } = answer;
    if answer.is_yes() {
        let word = if *subscribe { "chosen" } else { "ended" };
        return Json(json!({ "status": word, "user_id": user_id })).into_response();
    }
    let error = format!("Zoom refused: {} ({}) {reason}", status.name(), status.code());
    let body = json!({ "error": error.trim_end(), "status": status.name(), "code": status.code() });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_or_texts() {
        for (body, expected) in [
            (r#"{"user_id": 16778240}"#, Some(("16778240", true))),
            (r#"{"user_id": "a-b", "subscribe": false}"#, Some(("a-b", false))),
            (r#"{"user_id": ""}"#, None),
            (r#"{"user_id": 1.5}"#, None),
            (r#"{"user_id": null}"#, None),
            ("{}", None),
            ("", None),
        ] {
            let read = read(body.as_bytes());
            assert_eq!(read.as_ref().map(|(id, on)| (id.as_str(), *on)), expected, "{body}");
        }
    }
}
