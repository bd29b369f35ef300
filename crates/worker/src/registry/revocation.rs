//! Zoom withdrew the permission for a stream: everything recorded of it is deleted, whoever recorded it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rtms_protocol::UnixMillis;
use rtms_recorder::{RecordingState, StoredManifest, manifest_heads, read_manifest, revoke_recording};
use rtms_service::time::unix_millis;

use super::Registry;

impl Registry {
    /// Deletes everything recorded of a stream, also by an earlier process, once its engagement has ended.
    pub(super) fn revoke(self: &Arc<Self>, stream_id: String) {
        let registry = Arc::clone(self);
        self.tasks.spawn(async move {
            // An engagement that runs deletes its own files as it ends; what others left is found afterwards.
            while registry.view(&stream_id).is_some() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let data_dir = registry.settings.data_dir.clone();
            let done = tokio::task::spawn_blocking(move || revoke_stored(&data_dir, &stream_id)).await;
            if done.is_err() {
                tracing::error!(
                    "deleting a revoked recording failed; see the lines above, and delete it by hand"
                );
            }
        });
    }
}

fn revoke_stored(data_dir: &Path, stream_id: &str) {
    let now = UnixMillis(unix_millis());
    for (path, head) in manifest_heads(data_dir) {
        if head.rtms_stream_id != stream_id || head.state == RecordingState::Revoked {
            continue;
        }
        let revoked = read_manifest(&path)
            .and_then(|manifest| revoke_recording(data_dir, &StoredManifest { path, manifest }, now));
        match revoked {
            Ok(_) => {
                tracing::info!(stream = %stream_id, "permission was withdrawn; the recording is deleted");
            }
            Err(error) => tracing::error!(
                stream = %stream_id, %error,
                "permission was withdrawn but the recording could not be deleted; delete it by hand at once"
            ),
        }
    }
}
