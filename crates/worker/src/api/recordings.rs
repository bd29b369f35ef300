//! `/recordings`: what was recorded, read from the manifests.
//!
//! A folder may hold a hundred thousand of them. So the list is read and sent piece by piece, at the pace of who asked,
//! and one recording is looked for by the beginnings of the manifests.

use std::io;
use std::path::PathBuf;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use rtms_recorder::{Manifest, RecordingState, manifest_heads, read_manifest};
use rtms_service::http;

use super::Shared;

/// How much of the list is read ahead of who asked, bytes. One manifest more may follow.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) async fn list(State(shared): State<Shared>) -> Response {
    let data_dir = shared.registry.settings().data_dir.clone();
    let begin = move || List::new(finished(manifest_heads(&data_dir), |_| true));
    let Ok(list) = tokio::task::spawn_blocking(begin).await else { return unreadable() };
    // Only ever asked for the next piece, so that a slow reader holds no thread.
    let pieces = stream::try_unfold(list, |mut list| async move {
        let read = move || list.piece().map(|piece| (piece, list));
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

pub(super) async fn show(State(shared): State<Shared>, Path(stream_id): Path<String>) -> Response {
    let data_dir = shared.registry.settings().data_dir.clone();
    // A stream that was started anew has several recordings; the newest one is meant.
    let find = move || {
        finished(manifest_heads(&data_dir), move |id| id == stream_id).max_by_key(|found| found.started_at)
    };
    match tokio::task::spawn_blocking(find).await {
        Ok(Some(newest)) => Json(newest).into_response(),
        Ok(None) => http::error(StatusCode::NOT_FOUND, "no finished recording of this stream"),
        Err(_) => unreadable(),
    }
}

/// The finished recordings of the streams that are wanted.
fn finished(
    heads: impl Iterator<Item = (PathBuf, rtms_recorder::ManifestHead)>,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Manifest> {
    heads
        .filter(move |(_, head)| head.state != RecordingState::Recording && wanted(&head.rtms_stream_id))
        .filter_map(|(path, _)| read_manifest(&path).ok())
        .filter(Manifest::is_finished)
}

/// A JSON array that is made while it is sent.
struct List<I> {
    manifests: I,
    begun: bool,
    ended: bool,
}

impl<I: Iterator<Item = Manifest>> List<I> {
    const fn new(manifests: I) -> Self {
        Self { manifests, begun: false, ended: false }
    }

    /// The next piece of the text; `None` after the last.
    fn piece(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut text = Vec::new();
        while text.len() < PIECE_BYTES {
            let Some(manifest) = self.manifests.next() else {
                text.extend_from_slice(if self.begun { b"]" } else { b"[]" });
                self.ended = true;
                break;
            };
            // Maps with string keys and plain values always serialize.
            let Ok(json) = serde_json::to_vec(&manifest) else { continue };
            text.push(if std::mem::replace(&mut self.begun, true) { b',' } else { b'[' });
            text.extend_from_slice(&json);
        }
        Some(text.into())
    }
}

fn unreadable() -> Response {
    http::error(StatusCode::INTERNAL_SERVER_ERROR, "the recordings could not be read")
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{Product, StreamIdentity, UnixMillis};

    use super::*;

    fn manifest(n: usize) -> Manifest {
        let identity =
            StreamIdentity { product: Product::Phone, id: "x".repeat(1_000), stream_id: n.to_string() };
        Manifest::begin(&identity, None, UnixMillis(0))
    }

    #[test]
    fn the_list_is_one_array_in_pieces() {
        for count in [0, 1, 2, 300] {
            let mut list = List::new((0..count).map(manifest));
            let pieces: Vec<_> = std::iter::from_fn(|| list.piece()).collect();
            assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 2_000));
            assert_eq!(pieces.len() > 1, count == 300);
            let told: Vec<Manifest> = serde_json::from_slice(&pieces.concat()).unwrap();
            assert_eq!(told, (0..count).map(manifest).collect::<Vec<_>>());
        }
    }
}
