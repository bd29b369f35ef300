//! Goes on with a recording that another process left: killed, or handed over.
//!
//! No other state is needed than the manifest and the files. The files are at most one flush behind what came, the
//! manifest some seconds, so what a file says of itself counts more. Time zero stays, so what Zoom repeats is dropped
//! to the sample and what is missing is silence; both are counted in the interruption that is noted here.

use std::path::{Path, PathBuf};

use rtms_protocol::{MediaKind, MediaSet, UnixMillis};

use super::Recording;
use crate::audio::tracks::AudioTracks;
use crate::clock::{StreamClock, ZeroSource};
use crate::error::RecordError;
use crate::files::remove;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::manifest::{InProgress, Manifest, TrackEntry, contained};
use crate::names::{Names, Partition};
use crate::people::People;
use crate::store::StoredManifest;
use crate::take_up::{Purpose, TakeUp, remove_left_over};
use crate::text::chat::Chat;
use crate::text::transcript::Transcript;
use crate::video::images::has_images;
use crate::video::track::VideoTrack;

/// The cause of an interruption that the death of a process makes.
const PROCESS_KILLED: &str = "process_killed";
/// Zoom's number of the event that tells the first timestamp, for all products.
const FIRST_PACKET_TIMESTAMP: i64 = 1;

impl Recording {
    /// Takes up at `now` a recording that another process left in the state `recording`. `partition` is for files that
    /// are still to be made. A process that was killed is noted as an interruption (cause `process_killed`) since
    /// the last sign of life; it lasts until [`Self::resumed`], or the first media.
    ///
    /// A file that is gone or not one of ours is set aside and named in the manifest; its party goes on in a new one.
    /// Not to be used on a recording that some process still writes.
    ///
    /// # Errors
    /// The recording is finished, or the disk refused; then nothing is lost, and it can be tried again.
    pub fn resume(
        data_dir: impl Into<PathBuf>,
        stored: StoredManifest,
        partition: Partition,
        now: UnixMillis,
    ) -> Result<Self, RecordError> {
        let mut recording = Self::take_up(&data_dir.into(), stored, partition, now, Purpose::GoOn)?;
        recording.ending = None;
        let handed_over = recording.head.in_progress.take().and_then(|left| left.handed_over_at);
        if handed_over.is_none() {
            let at = recording.last_sign_of_life().min(now);
            recording.killed(at, PROCESS_KILLED);
        }
        // The next process must not take this one's time for the earlier one's.
        recording.store_manifest(now)?;
        Ok(recording)
    }

    /// Opens the files of a stored recording. The head keeps what the stored manifest said.
    pub(crate) fn take_up(
        data_dir: &Path,
        stored: StoredManifest,
        partition: Partition,
        now: UnixMillis,
        purpose: Purpose,
    ) -> Result<Self, RecordError> {
        let StoredManifest { path, manifest } = stored;
        if manifest.is_finished() {
            return Err(RecordError::Foreign { path, reason: "the recording is finished".to_owned() });
        }
        remove_left_over(&path)?;
        let left = manifest.in_progress.clone().unwrap_or_default();
        let mut files = TakeUp::new(data_dir, purpose);
        let whole = left.handed_over_at.is_some();
        let (audio, audio_zero) =
            AudioTracks::resume(&manifest.tracks, left.granted.audio, manifest.time_zero, whole, &mut files)?;
        let mut names =
            Names::new(data_dir.to_path_buf(), partition, &manifest.identity(), manifest.started_at);
        names.keep(Ledger::of(data_dir, &path));
        let strays = strays(&names, &manifest);
        let mut recording =
            Self::begin(names, head(&manifest), path, kinds(&left.expect), kinds(&left.images));
        recording.granted = left.granted;
        recording.ending = left.ending;
        recording.video_user_id.clone_from(&left.video_user_id);
        recording.audio = audio;
        recording.clock = clock(&manifest, &left, audio_zero, now);
        recording.take_up_pictures(&manifest, &mut files)?;
        recording.take_up_texts(&manifest, &mut files)?;
        recording.take_up_events(&manifest, &mut files)?;
        recording.people = People::resume(manifest.participants.clone(), left.turns.clone());
        recording.audio.people_changed(&recording.people);
        recording.journal = Journal::resume(&manifest);
        recording.heard_at = manifest.updated_at.unwrap_or(manifest.started_at);
        recording.written_at = recording.heard_at;
        recording.now = now;
        let known = recording.head.problems.clone();
        recording.head.strays = strays;
        recording.head.problems.extend(files.problems.into_iter().filter(|new| !known.contains(new)));
        recording.aside = files.aside;
        recording.told = recording.news();
        Ok(recording)
    }

    fn take_up_pictures(&mut self, manifest: &Manifest, files: &mut TakeUp<'_>) -> Result<(), RecordError> {
        let data_dir = files.data_dir;
        let zero = manifest.time_zero.unwrap_or(manifest.started_at);
        for (kind, codec) in [
            (MediaKind::Video, self.granted.video.map(|video| video.codec)),
            (MediaKind::Share, self.granted.share.map(|share| share.codec)),
        ] {
            let as_images = self.images.contains(kind);
            let slot = if kind == MediaKind::Share { &mut self.share } else { &mut self.video };
            if let Some(entry) = last_of(manifest, kind, files)
                && let Some(track) =
                    files.track(entry, |entry| VideoTrack::resume(kind, data_dir, entry, zero, as_images))?
            {
                *slot = track;
            }
            if let Some(codec) = codec {
                slot.granted(codec);
            }
        }
        Ok(())
    }

    fn take_up_texts(&mut self, manifest: &Manifest, files: &mut TakeUp<'_>) -> Result<(), RecordError> {
        let data_dir = files.data_dir;
        let (identity, started_at) = (manifest.identity(), manifest.started_at);
        if let Some(entry) = last_of(manifest, MediaKind::Transcript, files) {
            let open = |entry: &TrackEntry| Transcript::resume(data_dir, entry, &identity, started_at);
            self.transcript = files.track(entry, open)?;
        }
        if let Some(entry) = last_of(manifest, MediaKind::Chat, files) {
            self.chat = files.track(entry, |entry| Chat::resume(data_dir, entry))?;
        }
        Ok(())
    }

    /// When the earlier process last did something, our clock, as far as manifest and files tell.
    pub(crate) fn last_sign_of_life(&self) -> UnixMillis {
        let offset_ms = self.clock.edge().map_or(0, |edge| edge.offset_ms);
        let zero = self.clock.zero();
        // A transcript's end is estimated; sound and pictures are facts.
        let facts = self.tracks().into_iter().filter(|track| {
            [MediaKind::Audio, MediaKind::Video, MediaKind::Share]
                .iter()
                .any(|kind| kind.word() == track.kind)
        });
        let media = facts.map(|track| track.offset_ms.saturating_add(track.duration_ms)).max();
        match (zero, media) {
            (Some(zero), Some(ms)) => self.heard_at.max(zero.plus(ms).plus(offset_ms.saturating_neg())),
            _ => self.heard_at,
        }
    }
}

/// Files that were begun when the process died, so that its manifest does not tell of them. They are of no use to what
/// goes on, and must go when the recording goes. One that nothing was written to goes now.
fn strays(names: &Names, manifest: &Manifest) -> Vec<String> {
    let written = names.ledger().map(Ledger::files).unwrap_or_default();
    let unknown = written.into_iter().filter(|file| manifest.files().all(|known| known != file));
    let mut strays = manifest.strays.clone();
    for file in unknown {
        let Some(path) = contained(names.data_dir(), &file) else { continue };
        match path.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 && !has_images(&path) => {
                drop(remove(&path));
            }
            Ok(metadata) if metadata.is_file() && !strays.contains(&file) => strays.push(file),
            _ => {}
        }
    }
    strays
}

/// The part of a manifest that does not change, and what was left to be known.
fn head(manifest: &Manifest) -> Manifest {
    let mut head = Manifest::begin(&manifest.identity(), manifest.account_id.clone(), manifest.started_at);
    head.server_urls.clone_from(&manifest.server_urls);
    head.problems.clone_from(&manifest.problems);
    head.in_progress.clone_from(&manifest.in_progress);
    head
}

fn kinds(words: &[String]) -> MediaSet {
    MediaKind::ALL.into_iter().filter(|kind| words.iter().any(|word| word == kind.word())).collect()
}

/// The track of a kind that goes on. An earlier one was set aside before, and stays so.
fn last_of<'m>(manifest: &'m Manifest, kind: MediaKind, files: &mut TakeUp<'_>) -> Option<&'m TrackEntry> {
    let mut of_kind = manifest.tracks.iter().filter(|track| track.kind == kind.word());
    let last = of_kind.next_back();
    files.aside.extend(of_kind.cloned());
    last
}

fn clock(
    manifest: &Manifest,
    left: &InProgress,
    audio_zero: Option<UnixMillis>,
    now: UnixMillis,
) -> StreamClock {
    let told = manifest.events.iter().any(|event| event.event_type() == Some(FIRST_PACKET_TIMESTAMP));
    let source = if told { ZeroSource::Event } else { ZeroSource::Media };
    let zero =
        audio_zero.map(|zero| (zero, ZeroSource::Audio)).or(manifest.time_zero.map(|zero| (zero, source)));
    StreamClock::resume(zero, left.clock, manifest.jumps.iter().map(|jump| jump.correction_ms), now)
}
