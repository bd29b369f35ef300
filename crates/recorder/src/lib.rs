//! Media and events in, files out: what a Zoom RTMS stream sends becomes files that people can open.
//!
//! One [`Recording`] takes the packets, events and interruptions of one stream and writes WAV, MP4, transcripts, chat
//! and a manifest. Packets are placed by Zoom's timestamps, not by arrival: gaps become silence, repeats after a
//! reconnection are dropped, to the sample. Every file is valid whenever it is looked at, at most one flush behind,
//! also after the process was killed. Memory for a call does not grow with its length.
//!
//! The crate is synchronous, opens no socket, reads no clock (time is an argument) and logs no content. Names from
//! the wire cannot leave the data folder. What it refuses, it counts: see [`Dropped`].
//!
//! ```no_run
//! use rtms_protocol::{MediaKind, MediaPacket, MediaSet, Product, StreamIdentity, UnixMillis};
//! use rtms_recorder::{Partition, Recording, RecordingEnd, RecordingSpec, RecordingState};
//!
//! # fn main() -> Result<(), rtms_recorder::RecordError> {
//! let identity = StreamIdentity { product: Product::Phone, id: "call".into(), stream_id: "stream".into() };
//! let mut recording = Recording::create(RecordingSpec {
//!     data_dir: "data".into(),
//!     partition: Partition::None,
//!     identity,
//!     started_at: UnixMillis(1_765_449_000_000),
//!     account_id: None,
//!     expect: MediaSet::of(MediaKind::Audio),
//!     images: MediaSet::EMPTY,
//!     server_urls: Vec::new(),
//! })?;
//! let now = UnixMillis(1_765_449_000_500);
//! recording.media(now, &MediaPacket::new(MediaKind::Audio, now, "AAAA"))?;
//! recording.flush(now)?;
//! recording.finish(RecordingEnd { at: now, state: RecordingState::Complete, stop_reason: None })?;
//! # Ok(()) }
//! ```

mod audio;
mod clock;
mod counters;
mod error;
mod events;
mod files;
mod head;
mod iso;
mod journal;
mod ledger;
mod manifest;
mod names;
mod people;
mod progress;
mod recording;
mod repair;
mod store;
mod take_up;
mod text;
pub mod timeline;
mod totals;
mod video;

pub use audio::party::{PartyKey, is_mixed};
pub use audio::tracks::TRACKS_LIMIT;
pub use audio::wav::{LeadCopy, WavSpec, WavWriter};
pub use clock::ClockEdge;
pub use counters::{DropReason, Dropped};
pub use error::RecordError;
pub use head::ManifestHead;
pub use manifest::{
    Becoming, Deletion, EventEntry, FileEntry, InProgress, InterruptionEntry, JumpEntry, MANIFEST_VERSION,
    Manifest, ParticipantEntry, RecordingState, ShownEntry, StopNote, TrackEntry, contained,
};
pub use names::Partition;
pub use people::{People, Turn};
pub use progress::{Progress, TrackProgress};
pub use recording::{Recording, RecordingEnd, RecordingSpec};
pub use repair::repair_recording;
pub use store::{
    StoredManifest, Unfinished, delete_recording, manifest_heads, manifest_paths, manifests, read_manifest,
    recording_bytes, revoke_recording, unfinished,
};
pub use text::line::Utterance;
pub use text::repeats::Repeats;
pub use totals::{PartyTotals, TalkSource, Totals};
