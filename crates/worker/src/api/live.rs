//! `/engagements/{rtms_stream_id}/live/…`: sound and words while the call goes on.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rtms_protocol::UnixMillis;
use rtms_service::http::{self, ConnectionCut};

use super::Shared;
use crate::live::{Feed, Listener, Refused, serve_audio, upgrade, words_body};
use crate::metrics;
use crate::view::View;

/// How long the recording may take to say its time zero; then the hello goes without.
const PATIENCE: Duration = Duration::from_millis(250);

pub(super) async fn audio(
    State(shared): State<Shared>,
    Path(stream_id): Path<String>,
    mut request: Request,
) -> Response {
    let (answer, upgraded) = match upgrade(&mut request) {
        Ok(upgraded) => upgraded,
        Err(refusal) => return *refusal,
    };
    let listener = match enter(&shared, &stream_id, Feed::Audio).await {
        Ok(listener) => listener,
        Err(refused) => return refuse(refused),
    };
    shared.listeners.spawn(|stop| async move {
        if let Some(socket) = upgraded.socket().await {
            serve_audio(socket, listener, stop).await;
        }
    });
    answer
}

pub(super) async fn transcript(
    State(shared): State<Shared>,
    Path(stream_id): Path<String>,
    Extension(ConnectionCut(cut)): Extension<ConnectionCut>,
) -> Response {
    let listener = match enter(&shared, &stream_id, Feed::Transcript).await {
        Ok(listener) => listener,
        Err(refused) => return refuse(refused),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, words_body(&shared.listeners, listener, cut)).into_response()
}

async fn enter(shared: &Shared, stream_id: &str, feed: Feed) -> Result<Listener, Refused> {
    let view = shared.registry.view(stream_id).ok_or(Refused::Ended)?;
    let time_zero = time_zero(&view).await;
    shared.listeners.enter(view.live(), feed, time_zero)
}

async fn time_zero(view: &Arc<View>) -> Option<UnixMillis> {
    view.writer()?.progress(PATIENCE).await?.time_zero
}

fn refuse(refused: Refused) -> Response {
    let text = refused.to_string();
    match refused {
        Refused::Ended => http::error(StatusCode::NOT_FOUND, &text),
        Refused::Full | Refused::StreamFull => {
            ::metrics::counter!(metrics::LIVE_REFUSED).increment(1);
            let mut response = http::error(StatusCode::SERVICE_UNAVAILABLE, &text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}
