//! A recording as it stands, for whoever asks while it goes on.

use rtms_protocol::UnixMillis;
use serde::Serialize;

use crate::counters::Dropped;
use crate::journal::Journal;
use crate::manifest::{FileEntry, ParticipantEntry, TrackEntry};

/// One track as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackProgress {
    /// `audio`, `video`, `share`, `transcript` or `chat`.
    pub kind: String,
    /// Relative to the data folder.
    pub file: String,
    /// What the track is called.
    pub name: String,
    /// Packets recorded.
    pub packets: u64,
    /// Bytes of payload recorded.
    pub bytes: u64,
    /// Length so far, silence included.
    pub seconds: f64,
    /// Places where packets were missing.
    pub gaps: u64,
    /// Packets lost.
    pub dropped: u64,
}

/// A recording as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// The tracks.
    pub tracks: Vec<TrackProgress>,
    /// Who takes part.
    pub participants: Vec<ParticipantEntry>,
    /// Every file so far, relative to the data folder.
    pub files: Vec<String>,
    /// Zoom's clock at time zero, where it is known.
    pub time_zero: Option<UnixMillis>,
    /// Interruptions so far.
    pub interruptions: usize,
    /// Packets that were not recorded, by reason.
    pub dropped: Dropped,
}

impl Progress {
    pub(crate) fn of(
        tracks: Vec<TrackEntry>,
        events: Option<FileEntry>,
        people: &[ParticipantEntry],
        journal: &Journal,
        time_zero: Option<UnixMillis>,
    ) -> Self {
        let files = tracks
            .iter()
            .flat_map(|track| std::iter::once(&track.file).chain(track.also.iter().map(|also| &also.file)))
            .cloned()
            .chain(events.map(|events| events.file))
            .collect();
        Self {
            files,
            tracks: tracks.into_iter().map(TrackProgress::from).collect(),
            participants: people.to_vec(),
            time_zero,
            interruptions: journal.interruptions.len(),
            dropped: journal.dropped,
        }
    }
}

impl From<TrackEntry> for TrackProgress {
    #[expect(clippy::cast_precision_loss, reason = "seconds for people; exact for 285,000 years")]
    fn from(track: TrackEntry) -> Self {
        Self {
            kind: track.kind,
            file: track.file,
            name: track.name,
            packets: track.packets,
            bytes: track.bytes,
            seconds: track.duration_ms as f64 / 1000.0,
            gaps: track.gaps,
            dropped: track.dropped,
        }
    }
}
