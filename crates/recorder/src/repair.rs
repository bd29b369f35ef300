//! Finishes a recording whose process died and whose stream is over.
//!
//! It is taken up as if it went on, and ended at once, as `interrupted` where the process did not say how: headers up to the last sample that was
//! written, the MP4 seekable, the combined sound what the parties' files hold, the transcript ended, the manifest
//! sealed. What cannot be repaired stays as it is and is named in the manifest.

use std::path::Path;

use rtms_protocol::{StopReason, UnixMillis};

use crate::error::RecordError;
use crate::manifest::{Manifest, RecordingState};
use crate::names::Partition;
use crate::recording::{Recording, RecordingEnd};
use crate::store::StoredManifest;
use crate::take_up::Purpose;

/// Finishes what a dead process left behind, at `now`. A finished recording is returned as it is. Not to be used on a
/// recording that some process still writes.
///
/// # Errors
/// The manifest cannot be written; the repair can be repeated.
pub fn repair_recording(
    data_dir: &Path,
    stored: &StoredManifest,
    now: UnixMillis,
) -> Result<Manifest, RecordError> {
    if stored.manifest.is_finished() {
        return Ok(stored.manifest.clone());
    }
    let in_a_day = stored.path.parent() != Some(&data_dir.join("manifests"));
    let partition = if in_a_day { Partition::Date } else { Partition::None };
    let recording = Recording::take_up(data_dir, stored.clone(), partition, now, Purpose::Repair)?;
    let end = ending(&stored.manifest).unwrap_or_else(|| {
        let at = recording.last_sign_of_life().min(now);
        RecordingEnd { at, state: RecordingState::Interrupted, stop_reason: None }
    });
    recording.finish(end)
}

/// How a recording ended whose process died while it finished it.
fn ending(manifest: &Manifest) -> Option<RecordingEnd> {
    let state = manifest.in_progress.as_ref()?.ending.filter(|state| *state != RecordingState::Revoked)?;
    let stop_reason = manifest.stop_reason.as_ref().map(|note| StopReason::from_code(note.code));
    Some(RecordingEnd { at: manifest.ended_at?, state, stop_reason })
}
