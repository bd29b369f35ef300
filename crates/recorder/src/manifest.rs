//! The manifest: the record of one recording, beside its files.
//!
//! Its JSON is read by operators and scripts, so names and meanings are fixed; adding is free. It is replaced in one
//! step, so a reader never sees half of one. A revoked recording keeps only what proves the deletion.

mod event;
mod track;

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use rtms_protocol::{MediaParams, Product, StopReason, StreamIdentity, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::clock::ClockEdge;
use crate::counters::Dropped;
use crate::error::RecordError;
use crate::files::{Durability, place, replace};
use crate::iso;
use crate::people::Turn;
use crate::totals::Totals;

pub use self::event::EventEntry;
pub(crate) use self::track::COMBINED;
pub use self::track::{Becoming, FileEntry, ParticipantEntry, ShownEntry, TrackEntry};

/// The version that this crate writes.
pub const MANIFEST_VERSION: u32 = 1;

/// How far a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// In progress, or given up by a process that died.
    Recording,
    /// Ended by Zoom's stop.
    Complete,
    /// Ended without Zoom's stop.
    Interrupted,
    /// Zoom refused the stream for good.
    Failed,
    /// Zoom withdrew the permission: all content was deleted.
    Revoked,
}

/// Why Zoom stopped the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopNote {
    /// Zoom's number.
    pub code: i64,
    /// Its name, `UNKNOWN` where it has none.
    pub name: String,
}

impl From<StopReason> for StopNote {
    fn from(reason: StopReason) -> Self {
        Self { code: reason.code(), name: reason.name().to_owned() }
    }
}

/// A time without a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterruptionEntry {
    /// When it began, our clock.
    #[serde(with = "iso")]
    pub at: UnixMillis,
    /// What happened.
    pub cause: String,
    /// How long it lasted, ms; 0 while it lasts.
    pub length_ms: i64,
    /// How much sound is missing because of it, ms: what lies between the end of what was recorded before and the
    /// first that Zoom sent after it. Zoom buffers, so this is often 0.
    pub lost_ms: i64,
    /// When it was over, our clock; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "iso::option")]
    pub resumed_at: Option<UnixMillis>,
}

/// A change of Zoom's clock that was followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JumpEntry {
    /// When it was followed, our clock.
    #[serde(with = "iso")]
    pub at: UnixMillis,
    /// The file of the track.
    pub file: String,
    /// First timestamp of the new clock that was placed, as sent.
    pub timestamp: UnixMillis,
    /// What is added to the new clock's timestamps, ms.
    pub correction_ms: i64,
}

/// The whole record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// How far it is.
    pub state: RecordingState,
    /// Which product.
    pub product: Product,
    /// Engagement id, meeting UUID, session id or call id, as Zoom sent it.
    pub id: String,
    /// The stream.
    pub rtms_stream_id: String,
    /// Zoom's account, where the webhook told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// `event_ts` of the start.
    #[serde(with = "iso")]
    pub started_at: UnixMillis,
    /// When it ended.
    #[serde(default, with = "iso::option")]
    pub ended_at: Option<UnixMillis>,
    /// When this was written.
    #[serde(default, with = "iso::option")]
    pub updated_at: Option<UnixMillis>,
    /// Why Zoom stopped, where it said.
    #[serde(default)]
    pub stop_reason: Option<StopNote>,
    /// Zoom's clock at time zero, ms: where every audio file begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zero: Option<UnixMillis>,
    /// The files.
    #[serde(default)]
    pub tracks: Vec<TrackEntry>,
    /// All events, in a file of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<FileEntry>,
    /// Who took part.
    #[serde(default)]
    pub participants: Vec<ParticipantEntry>,
    /// What Zoom told.
    #[serde(default)]
    pub events: Vec<EventEntry>,
    /// Talk, silence and holds, of a finished recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// Times without a connection.
    #[serde(default)]
    pub interruptions: Vec<InterruptionEntry>,
    /// Changes of Zoom's clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jumps: Vec<JumpEntry>,
    /// Media that was expected and never came, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Packets that were not recorded, by reason.
    #[serde(default, skip_serializing_if = "Dropped::is_empty")]
    pub dropped: Dropped,
    /// What could not be finished, for people; a file without `sha256` is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Files that were begun when an earlier process died, relative to the data folder: no track tells what is in them,
    /// and they go when the recording goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<String>,
    /// Zoom's signaling servers as last told, while the recording goes on: where a later process finds the stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_urls: Vec<String>,
    /// What a later process must know to go on; absent once the recording is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<InProgress>,
    /// Proof of deletion, of a revoked recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// What a recording's files do not say, and a later process must know to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InProgress {
    /// Media that is expected, by kind.
    pub expect: Vec<String>,
    /// Pictures that are wanted as image files, by kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Whose video was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_user_id: Option<String>,
    /// What Zoom granted.
    pub granted: MediaParams,
    /// Who has the channels that went from one to another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// How far apart the clocks are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockEdge>,
    /// When the process that recorded left the recording to the next one, everything written.
    #[serde(skip_serializing_if = "Option::is_none", with = "iso::option")]
    pub handed_over_at: Option<UnixMillis>,
    /// What it is being finished as, at `ended_at`: a process that died over it is followed by one that does it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<RecordingState>,
}

/// Proof that a revoked recording's files are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When.
    #[serde(with = "iso")]
    pub at: UnixMillis,
    /// How many files were deleted.
    pub files: u64,
    /// How many could not be deleted; they must be removed by hand.
    #[serde(default)]
    pub failed: u64,
}

impl Manifest {
    /// A record that has just begun.
    #[must_use]
    pub fn begin(identity: &StreamIdentity, account_id: Option<String>, started_at: UnixMillis) -> Self {
        Self {
            version: MANIFEST_VERSION,
            state: RecordingState::Recording,
            product: identity.product,
            id: identity.id.clone(),
            rtms_stream_id: identity.stream_id.clone(),
            account_id,
            started_at,
            ended_at: None,
            updated_at: None,
            stop_reason: None,
            time_zero: None,
            tracks: Vec::new(),
            timeline: None,
            participants: Vec::new(),
            events: Vec::new(),
            totals: None,
            interruptions: Vec::new(),
            jumps: Vec::new(),
            missing: Vec::new(),
            dropped: Dropped::default(),
            problems: Vec::new(),
            strays: Vec::new(),
            server_urls: Vec::new(),
            in_progress: None,
            deletion: None,
        }
    }

    /// The identity of the stream.
    #[must_use]
    pub fn identity(&self) -> StreamIdentity {
        StreamIdentity { product: self.product, id: self.id.clone(), stream_id: self.rtms_stream_id.clone() }
    }

    /// Whether nothing more will be added to it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state != RecordingState::Recording
    }

    /// Every file that belongs to it, relative to the data folder.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let of_tracks = self.tracks.iter().flat_map(|track| {
            let also = track.also.iter().map(|also| &also.file);
            let becoming = track.becoming.as_ref().map(|becoming| &becoming.file);
            std::iter::once(&track.file).chain(becoming).chain(also)
        });
        let timeline = self.timeline.iter().map(|timeline| &timeline.file);
        of_tracks.chain(timeline).chain(&self.strays).map(String::as_str)
    }

    /// The same record without content: ids, times and the proof.
    #[must_use]
    pub fn revoked(&self, at: UnixMillis, files: u64, failed: u64) -> Self {
        let mut bare = Self::begin(&self.identity(), self.account_id.clone(), self.started_at);
        bare.state = RecordingState::Revoked;
        bare.ended_at = self.ended_at.or(Some(at));
        bare.updated_at = Some(at);
        bare.stop_reason = Some(StopReason::StreamRevoked.into());
        bare.deletion = Some(Deletion { at, files, failed });
        bare
    }

    /// Replaces the manifest at `path`; returns the old one, still open, see [`replace`].
    ///
    /// # Errors
    /// The disk refused; the old one is still there.
    pub(crate) fn store(&self, path: &Path, durability: Durability) -> Result<Option<File>, RecordError> {
        replace(path, &self.json(path)?, durability)
    }

    /// Makes the first manifest, at `path`, unless there is one of another recording.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn place(&self, path: &Path) -> Result<bool, RecordError> {
        place(path, &self.json(path)?)
    }

    fn json(&self, path: &Path) -> Result<Vec<u8>, RecordError> {
        // Maps with string keys and plain values always serialize; the branch exists for the type only.
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| RecordError::Foreign { path: path.into(), reason: error.to_string() })?;
        json.push(b'\n');
        Ok(json)
    }
}

/// `file` of a manifest as a path below `data_dir`; `None` where it would lead elsewhere.
///
/// A manifest is a file that others may have written, so what it names is not trusted with a deletion.
#[must_use]
pub fn contained(data_dir: &Path, file: &str) -> Option<PathBuf> {
    let relative = Path::new(file);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !file.is_empty()).then(|| data_dir.join(relative))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn sample() -> Manifest {
        let identity =
            StreamIdentity { product: Product::ContactCenter, id: "a".into(), stream_id: "s".into() };
        Manifest::begin(&identity, None, UnixMillis(1_765_449_000_000))
    }

    #[test]
    fn speaks_the_fixed_names() {
        let mut manifest = sample();
        manifest.stop_reason = Some(StopReason::MeetingEnded.into());
        manifest.tracks.push(TrackEntry {
            kind: "audio".into(),
            file: "audio/x.wav".into(),
            ..Default::default()
        });
        let json = serde_json::to_value(&manifest).expect("serializes");
        assert_eq!(json["version"], 1);
        assert_eq!(json["state"], "recording");
        assert_eq!(json["product"], "contact_center");
        assert_eq!(json["started_at"], "2025-12-11T10:30:00.000Z");
        assert_eq!(json["ended_at"], Value::Null);
        assert_eq!(json["stop_reason"]["code"], 6);
        assert_eq!(json["stop_reason"]["name"], "MEETING_ENDED");
        for key in ["kind", "file", "name", "codec", "offset_ms", "duration_ms", "gaps", "sha256"] {
            assert!(json["tracks"][0].get(key).is_some(), "{key}");
        }
        assert_eq!(serde_json::from_value::<Manifest>(json).expect("reads back"), manifest);
    }

    #[test]
    fn revoked_keeps_ids_times_and_proof_only() {
        let mut manifest = sample();
        manifest
            .participants
            .push(ParticipantEntry { display_name: Some("Ann".into()), ..Default::default() });
        manifest.tracks.push(TrackEntry::default());
        let bare = manifest.revoked(UnixMillis(1_765_449_100_000), 4, 0);
        let json = serde_json::to_string(&bare).expect("serializes");
        assert!(!json.contains("Ann"));
        assert!(bare.tracks.is_empty() && bare.state == RecordingState::Revoked);
        assert_eq!(bare.deletion.map(|d| d.files), Some(4));
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        let data = Path::new("/data");
        assert_eq!(contained(data, "audio/a.wav"), Some("/data/audio/a.wav".into()));
        for bad in ["../x", "/etc/passwd", "audio/../../x", ""] {
            assert_eq!(contained(data, bad), None, "{bad}");
        }
    }
}
