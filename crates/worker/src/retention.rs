//! Deletes the oldest finished recordings, by age and by total size. A recording in progress is never touched, and
//! the proof of a revocation stays.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use rtms_protocol::UnixMillis;
use rtms_recorder::{
    RecordingState, StoredManifest, delete_recording, manifest_paths, read_manifest, recording_bytes,
};
use rtms_service::CancellationToken;
use rtms_service::time::unix_millis;

use crate::metrics;
use crate::settings::Settings;

/// How often the data folder is looked through.
const EVERY: Duration = Duration::from_secs(300);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What may stay.
#[derive(Debug, Clone, Copy)]
struct Limits {
    days: Option<u32>,
    max_bytes: Option<u64>,
}

/// Looks through the data folder until `shutdown`. Returns at once when no retention is set.
pub(crate) async fn keep(settings: Settings, shutdown: CancellationToken) {
    let limits = Limits { days: settings.retention_days, max_bytes: settings.retention_max_bytes };
    if limits.days.is_none() && limits.max_bytes.is_none() {
        return;
    }
    let mut sweeper = Sweeper::new(settings.data_dir.clone(), limits);
    loop {
        let sweep = move || {
            sweeper.sweep(UnixMillis(unix_millis()));
            sweeper
        };
        sweeper = tokio::task::spawn_blocking(sweep).await.unwrap_or_else(|_| {
            tracing::error!("retention failed this time; it is tried again in five minutes");
            Sweeper::new(settings.data_dir.clone(), limits)
        });
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// What is known of a finished recording, which does not change any more.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// It may be deleted.
    Ended { at: UnixMillis, bytes: u64 },
    /// The proof of a revocation.
    Proof,
}

/// Looks through the data folder again and again, and reads a finished manifest once.
#[derive(Debug)]
struct Sweeper {
    data_dir: PathBuf,
    limits: Limits,
    known: HashMap<PathBuf, Known>,
}

impl Sweeper {
    fn new(data_dir: PathBuf, limits: Limits) -> Self {
        Self { data_dir, limits, known: HashMap::new() }
    }

    fn sweep(&mut self, now: UnixMillis) {
        let running_bytes = self.look();
        let ended = |(path, known): (&PathBuf, &Known)| match known {
            Known::Ended { at, bytes } => Some((*at, *bytes, path.clone())),
            Known::Proof => None,
        };
        let mut candidates: Vec<_> = self.known.iter().filter_map(ended).collect();
        candidates.sort_unstable();
        let ages: Vec<_> = candidates.iter().map(|(at, bytes, _)| (*at, *bytes)).collect();
        for (_, _, path) in candidates.into_iter().take(to_delete(&ages, running_bytes, self.limits, now)) {
            // Read anew: it may have been revoked since, or deleted by hand.
            self.known.remove(&path);
            let Ok(manifest) = read_manifest(&path) else { continue };
            if manifest.state != RecordingState::Revoked {
                self.delete(&StoredManifest { path, manifest });
            }
        }
    }

    /// Learns what is there, and returns how many bytes the unfinished recordings take.
    fn look(&mut self) -> u64 {
        let mut running_bytes = 0;
        let mut before = std::mem::take(&mut self.known);
        for path in manifest_paths(&self.data_dir) {
            if let Some(known) = before.remove(&path) {
                self.known.insert(path, known);
                continue;
            }
            let Ok(manifest) = read_manifest(&path) else { continue };
            let stored = StoredManifest { path, manifest };
            let bytes = recording_bytes(&self.data_dir, &stored);
            match (stored.manifest.is_finished(), stored.manifest.state, stored.manifest.ended_at) {
                (true, RecordingState::Revoked, _) => drop(self.known.insert(stored.path, Known::Proof)),
                (true, _, Some(at)) => drop(self.known.insert(stored.path, Known::Ended { at, bytes })),
                _ => running_bytes += bytes,
            }
        }
        running_bytes
    }

    fn delete(&self, stored: &StoredManifest) {
        let stream = &stored.manifest.rtms_stream_id;
        match delete_recording(&self.data_dir, stored) {
            Ok(bytes) => {
                ::metrics::counter!(metrics::RETIRED).increment(1);
                let ended_at = stored.manifest.ended_at.map(|at| at.to_string());
                tracing::info!(%stream, ended_at, bytes, "recording deleted by retention");
            }
            Err(error) => {
                tracing::error!(%stream, %error, "a recording due for deletion could not be deleted; it is tried again in five minutes");
            }
        }
    }
}

/// How many of the oldest (`finished` is in the order of age: end and bytes) have to go.
fn to_delete(finished: &[(UnixMillis, u64)], running_bytes: u64, limits: Limits, now: UnixMillis) -> usize {
    let too_old =
        |ended_at: UnixMillis| limits.days.is_some_and(|days| now.since(ended_at) > i64::from(days) * DAY_MS);
    let mut total = finished.iter().fold(running_bytes, |sum, (_, bytes)| sum.saturating_add(*bytes));
    finished
        .iter()
        .take_while(|(ended_at, bytes)| {
            let goes = too_old(*ended_at) || limits.max_bytes.is_some_and(|max| total > max);
            total = total.saturating_sub(*bytes);
            goes
        })
        .count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rtms_protocol::{MediaSet, Product, StreamIdentity};
    use rtms_recorder::{Partition, Recording, RecordingEnd, RecordingSpec};

    use super::*;

    const NOW: UnixMillis = UnixMillis(100 * DAY_MS);

    fn finished(days_ago: &[i64]) -> Vec<(UnixMillis, u64)> {
        days_ago.iter().map(|days| (NOW.plus(-days * DAY_MS), 10)).collect()
    }

    #[test]
    fn by_age() {
        let limits = Limits { days: Some(7), max_bytes: None };
        assert_eq!(to_delete(&finished(&[30, 8, 7, 1]), 0, limits, NOW), 2);
    }

    #[test]
    fn by_size_the_oldest_go_and_running_ones_count() {
        let limits = Limits { days: None, max_bytes: Some(25) };
        assert_eq!(to_delete(&finished(&[3, 2, 1]), 0, limits, NOW), 1);
        assert_eq!(to_delete(&finished(&[3, 2, 1]), 10, limits, NOW), 2);
        assert_eq!(to_delete(&finished(&[3, 2, 1]), 1000, limits, NOW), 3, "and never more than there are");
        assert_eq!(to_delete(&finished(&[2, 1]), 5, limits, NOW), 0);
    }

    /// A finished recording of `stream`, and where its manifest is.
    fn recorded(dir: &Path, stream: &str, days_ago: i64) -> PathBuf {
        let at = NOW.plus(-days_ago * DAY_MS);
        let spec = RecordingSpec {
            data_dir: dir.to_path_buf(),
            partition: Partition::None,
            identity: StreamIdentity { product: Product::Phone, id: stream.into(), stream_id: stream.into() },
            started_at: at,
            account_id: None,
            expect: MediaSet::EMPTY,
            images: rtms_protocol::MediaSet::EMPTY,
            server_urls: Vec::new(),
        };
        let recording = Recording::create(spec).unwrap();
        let path = recording.manifest_path().to_path_buf();
        let end = RecordingEnd { at, state: RecordingState::Complete, stop_reason: None };
        recording.finish(end).unwrap();
        path
    }

    #[test]
    fn what_is_known_is_not_read_again_but_for_its_deletion() {
        let dir = tempfile::tempdir().unwrap();
        let [old, proof, new] = [("old", 6), ("proof", 6), ("new", 1)]
            .map(|(stream, days_ago)| recorded(dir.path(), stream, days_ago));
        let mut sweeper = Sweeper::new(dir.path().to_path_buf(), Limits { days: Some(7), max_bytes: None });
        sweeper.sweep(NOW);
        assert_eq!(sweeper.known.len(), 3);
        assert!(old.exists() && proof.exists() && new.exists());
        // Nobody looks into a manifest that is known, until it is due.
        std::fs::write(&new, "").unwrap();
        let manifest = read_manifest(&proof).unwrap();
        let stored = StoredManifest { path: proof.clone(), manifest };
        rtms_recorder::revoke_recording(dir.path(), &stored, NOW).unwrap();
        sweeper.sweep(NOW.plus(2 * DAY_MS));
        assert!(!old.exists() && proof.exists() && new.exists());
        std::fs::remove_file(&new).unwrap();
        sweeper.sweep(NOW.plus(2 * DAY_MS));
        assert!(
            matches!(sweeper.known.iter().collect::<Vec<_>>()[..], [(path, Known::Proof)] if *path == proof)
        );
    }

    #[test]
    fn both_together() {
        let limits = Limits { days: Some(7), max_bytes: Some(15) };
        assert_eq!(to_delete(&finished(&[30, 2, 1]), 0, limits, NOW), 2);
    }
}
