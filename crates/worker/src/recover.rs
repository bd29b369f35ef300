//! At the start: what an earlier process left is taken up, or finished.
//!
//! The folder is locked, so a manifest that says `recording` belongs to a process that is gone. A stream that Zoom may
//! still hold is rejoined and its files go on; one that is surely over is repaired and finished.

use std::path::Path;
use std::sync::Arc;

use rtms_protocol::UnixMillis;
use rtms_recorder::{StoredManifest, repair_recording, unfinished};
use rtms_service::time::unix_millis;

use crate::registry::{Registry, Unavailable};

/// Zoom keeps a stream for about a minute; within this it is asked, and its answer decides. ms
const MAYBE_ALIVE_MS: i64 = 10 * 60 * 1000;

/// Takes up or finishes every recording that was left. Streams are rejoined before this returns; repairs go on in the
/// background, and so does the look at manifests that no ledger tells of.
pub(crate) async fn recover(registry: &Arc<Registry>) {
    let data_dir = registry.settings().data_dir.clone();
    let found = tokio::task::spawn_blocking(move || unfinished(&data_dir)).await;
    let Ok(mut found) = found else {
        tracing::error!("the data folder could not be looked through for recordings that were left");
        return;
    };
    let now = UnixMillis(unix_millis());
    let left = std::mem::take(&mut found.left);
    let over: Vec<_> = left.into_iter().filter_map(|stored| rejoin(registry, stored, now)).collect();
    let registry = Arc::clone(registry);
    // Nobody waits for it: a repair that is interrupted is made anew at the next start.
    tokio::task::spawn_blocking(move || {
        let data_dir = &registry.settings().data_dir;
        let others = found.others().filter_map(|stored| rejoin(&registry, stored, now));
        for stored in over.into_iter().chain(others) {
            finish(data_dir, &stored, now);
        }
    });
}

/// Rejoins the stream of a recording that was left. Handed back where it is to be finished as it is.
fn rejoin(registry: &Arc<Registry>, stored: StoredManifest, now: UnixMillis) -> Option<StoredManifest> {
    if !maybe_alive(&stored, now) {
        return Some(stored);
    }
    let copy = stored.clone();
    match registry.take_up(stored) {
        Ok(()) => None,
        // The next process finds it as this one did.
        Err(Unavailable::Draining) => None,
        Err(error) => {
            let stream = &copy.manifest.rtms_stream_id;
            tracing::warn!(%stream, %error, "a stream that was left is not rejoined; its recording is finished as it is");
            Some(copy)
        }
    }
}

/// Whether Zoom may still hold the stream.
fn maybe_alive(stored: &StoredManifest, now: UnixMillis) -> bool {
    let manifest = &stored.manifest;
    let seen = manifest.updated_at.unwrap_or(manifest.started_at);
    !manifest.server_urls.is_empty() && now.since(seen) < MAYBE_ALIVE_MS
}

fn finish(data_dir: &Path, stored: &StoredManifest, now: UnixMillis) {
    let stream = &stored.manifest.rtms_stream_id;
    match repair_recording(data_dir, stored, now) {
        Ok(_) => tracing::info!(%stream, "a recording that was left is finished; its stream is over"),
        Err(error) => {
            tracing::error!(%stream, %error, "a recording that was left could not be finished; its files stay readable");
        }
    }
}
