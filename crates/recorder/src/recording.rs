//! One recording: packets and events in, files out.
//!
//! Synchronous, and small in memory, so that thousands fit one process; who owns it decides on which thread it runs.
//! An error costs the packet it is about: later calls may succeed, and the timeline fills the hole with silence.

mod ending;
mod noting;
mod resume;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use rtms_protocol::{MediaKind, MediaPacket, MediaParams, MediaSet, StopReason, StreamIdentity, UnixMillis};

use crate::audio::tracks::{AudioOutcome, AudioTracks, Outcomes, Surroundings};
use crate::clock::{StreamClock, ZeroSource, is_time};
use crate::counters::DropReason;
use crate::error::RecordError;
use crate::events::EventLog;
use crate::files::Durability;
use crate::journal::{Hole, Journal, Standing};
use crate::manifest::{InProgress, Manifest, RecordingState, TrackEntry};
use crate::names::{Names, Partition};
use crate::people::People;
use crate::progress::Progress;
use crate::text::chat::Chat;
use crate::text::transcript::{Said, Transcript};
use crate::video::track::{PictureOutcome, VideoTrack};

/// A changed manifest is rewritten at most this often, an unchanged one at least this often, ms.
const MANIFEST_CHANGED_MS: i64 = 1_000;
const MANIFEST_ANYWAY_MS: i64 = 10_000;
/// How far the sound may have ended before an interruption and still have been cut off by it, ms.
const CUT_OFF_MS: i64 = 3_000;
/// Capacity that the decode buffer keeps between packets, bytes. A second of the widest audio passes through too.
const SCRATCH_BYTES: usize = 8 * 1024;

/// What is to be recorded, and where.
#[derive(Debug, Clone)]
pub struct RecordingSpec {
    /// Below this everything is written.
    pub data_dir: PathBuf,
    /// Whether a day has its own folders.
    pub partition: Partition,
    /// The stream.
    pub identity: StreamIdentity,
    /// `event_ts` of `started`; part of every name.
    pub started_at: UnixMillis,
    /// Zoom's account, where the webhook told it.
    pub account_id: Option<String>,
    /// What was asked for; what never comes is listed in the manifest as missing.
    pub expect: MediaSet,
    /// Pictures that become image files where Zoom sends JPG or PNG: of video and share.
    pub images: MediaSet,
    /// Signaling servers from the webhook, for a process that takes the recording up later. May be empty.
    pub server_urls: Vec<String>,
}

/// How a recording ends.
#[derive(Debug, Clone, Copy)]
pub struct RecordingEnd {
    /// When, our clock.
    pub at: UnixMillis,
    /// The final state. `Recording` is no end and counts as `Interrupted`.
    pub state: RecordingState,
    /// Why, where Zoom said.
    pub stop_reason: Option<StopReason>,
}

/// A recording in progress. Dropping it without [`Self::finish`] or [`Self::hand_over`] leaves readable files and a
/// manifest that says `recording`, which [`Self::resume`] takes up.
#[derive(Debug)]
pub struct Recording {
    names: Names,
    head: Manifest,
    manifest_path: PathBuf,
    expect: MediaSet,
    images: MediaSet,
    video_user_id: Option<String>,
    granted: MediaParams,
    clock: StreamClock,
    people: People,
    journal: Journal,
    events: EventLog,
    audio: AudioTracks,
    video: VideoTrack,
    share: VideoTrack,
    transcript: Option<Transcript>,
    chat: Option<Chat>,
    /// Tracks of an earlier process that could not be gone on with, as they stood in its manifest.
    aside: Vec<TrackEntry>,
    scratch: Vec<u8>,
    outcomes: Outcomes,
    /// What it is being finished as.
    ending: Option<RecordingState>,
    changed: bool,
    /// What the manifest on the disk was last made to tell, or could not be.
    told: News,
    /// Where replaced manifests are closed.
    closer: Option<SyncSender<File>>,
    written_at: UnixMillis,
    heard_at: UnixMillis,
    /// The latest that is known of our clock.
    now: UnixMillis,
}

/// What a later process must find in the manifest at once: a crash must not orphan a file, nor lose a clock, an
/// interruption, or whose a channel is. All of it is rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct News {
    files: usize,
    zero: Option<UnixMillis>,
    jumps: usize,
    turns: usize,
    interruptions: Standing,
}

impl Recording {
    /// Makes the folders and the first manifest. Media files are made when their first packet comes.
    ///
    /// # Errors
    /// The data folder cannot be written to.
    pub fn create(spec: RecordingSpec) -> Result<Self, RecordError> {
        let names = Names::new(spec.data_dir, spec.partition, &spec.identity, spec.started_at);
        let mut head = Manifest::begin(&spec.identity, spec.account_id, spec.started_at);
        head.server_urls = spec.server_urls;
        let mut recording = Self::begin(names, head, PathBuf::new(), spec.expect, spec.images);
        let first = recording.manifest(spec.started_at);
        recording.manifest_path = recording.names.claim_manifest(|path| first.place(path))?;
        Ok(recording)
    }

    /// A recording of nothing yet.
    fn begin(
        names: Names,
        head: Manifest,
        manifest_path: PathBuf,
        expect: MediaSet,
        images: MediaSet,
    ) -> Self {
        let started_at = head.started_at;
        Self {
            names,
            head,
            manifest_path,
            expect,
            images,
            video_user_id: None,
            granted: MediaParams::default(),
            clock: StreamClock::default(),
            people: People::default(),
            journal: Journal::default(),
            events: EventLog::default(),
            audio: AudioTracks::default(),
            video: VideoTrack::new(MediaKind::Video, images.contains(MediaKind::Video)),
            share: VideoTrack::new(MediaKind::Share, images.contains(MediaKind::Share)),
            transcript: None,
            chat: None,
            aside: Vec::new(),
            scratch: Vec::new(),
            outcomes: Outcomes::new(),
            ending: None,
            changed: false,
            told: News::default(),
            closer: None,
            written_at: started_at,
            heard_at: started_at,
            now: started_at,
        }
    }

    /// Where the manifest is.
    #[must_use]
    pub fn manifest_path(&self) -> &Path {
        &self.manifest_path
    }

    /// Has replaced manifests closed by whoever receives them. A file that has lost its name is freed when it is closed,
    /// and where the file system discards what it frees, that takes milliseconds. Without a place in the channel it is
    /// done here.
    pub fn close_elsewhere(&mut self, closer: SyncSender<File>) {
        self.closer = Some(closer);
    }

    /// Learns what Zoom granted. May come again after a reconnection, also for a part of the media.
    pub fn granted(&mut self, params: &MediaParams) {
        self.granted.merge(params);
        self.changed = true;
        if let Some(audio) = params.audio {
            self.audio.granted(audio);
        }
        if let Some(video) = params.video {
            self.video.granted(video.codec);
        }
        if let Some(share) = params.share {
            self.share.granted(share.codec);
        }
        if params.transcript.is_some() {
            // So that a call without a word has a transcript that says so. Where the disk refuses now, the first
            // words try again and tell.
            let _ = self.open_transcript();
            self.tell_news(self.heard_at);
        }
    }

    /// Zoom named other signaling servers, in a new `started`.
    pub fn server_urls_changed(&mut self, server_urls: Vec<String>) {
        self.head.server_urls = server_urls;
        self.changed = true;
    }

    /// Zoom sends this participant's video from now on, or nobody's: a later process asks for the same.
    pub fn video_chosen(&mut self, user_id: Option<String>) {
        self.video_user_id = user_id;
        self.changed = true;
    }

    /// Records a packet that arrived at `now` (our clock).
    ///
    /// Repeats and packets with an impossible time are not errors; they are counted.
    ///
    /// # Errors
    /// The packet does not decode, nothing can write its codec, or the disk refused it. It is counted, and the
    /// recording goes on.
    pub fn media(&mut self, now: UnixMillis, packet: &MediaPacket<'_>) -> Result<(), RecordError> {
        (self.heard_at, self.now) = (now, now);
        if self.journal.awaits_media() {
            self.resumed(now);
        }
        let result = match packet.kind {
            MediaKind::Audio => self.audio_packet(now, packet),
            MediaKind::Video | MediaKind::Share => self.picture(now, packet),
            MediaKind::Transcript => self.words(now, packet),
            MediaKind::Chat => self.chat_message(now, packet),
        };
        if let Err(error) = &result {
            self.journal.dropped.count(reason(error));
        }
        self.journal.dropped.disk += self.video.take_given_up() + self.share.take_given_up();
        self.tell_news(now);
        result
    }

    /// Brings every byte so far into the page cache, with headers that fit, and the manifest when it is due. To be
    /// called at least once a second, also when nothing arrives.
    ///
    /// # Errors
    /// The first refusal of the disk; everything else is flushed all the same, and what was refused waits.
    pub fn flush(&mut self, now: UnixMillis) -> Result<(), RecordError> {
        self.now = now;
        self.release_sound(now, false);
        let zero = self.clock.zero();
        let mut result = self.audio.flush(now);
        result = result.and(self.video.flush(now)).and(self.share.flush(now));
        if let Some(transcript) = &mut self.transcript {
            result = result.and(transcript.flush(now, zero));
        }
        if let Some(chat) = &mut self.chat {
            result = result.and(chat.flush(now));
        }
        result = result.and(self.events.flush(zero));
        self.changed |= self.news() != self.told;
        let age = now.since(self.written_at);
        if age >= MANIFEST_ANYWAY_MS || (self.changed && age >= MANIFEST_CHANGED_MS) {
            result = result.and(self.store_manifest(now));
        }
        result
    }

    fn store_manifest(&mut self, now: UnixMillis) -> Result<(), RecordError> {
        let stored = self.manifest(now).store(&self.manifest_path, Durability::Process);
        self.written_at = now;
        // What could not be told is not tried with every packet, but with the flushes.
        self.told = self.news();
        self.changed = stored.is_err();
        let old = stored?;
        if let (Some(closer), Some(old)) = (&self.closer, old) {
            // One that finds no room comes back and is closed here.
            drop(closer.try_send(old));
        }
        Ok(())
    }

    fn news(&self) -> News {
        let pictures = self.video.files() + self.share.files();
        let texts = usize::from(self.transcript.is_some()) + usize::from(self.chat.is_some());
        News {
            files: self.audio.files() + pictures + texts + usize::from(self.events.has_file()),
            zero: self.clock.zero(),
            jumps: self.journal.jumps.len(),
            turns: self.people.turns().len(),
            interruptions: self.journal.standing(),
        }
    }

    fn tell_news(&mut self, now: UnixMillis) {
        if self.news() != self.told {
            // Where the disk refuses, the next flush tries again and tells.
            let _ = self.store_manifest(now);
        }
    }

    /// What is missing of the sound if it goes on live at `at`; `None` where nobody was heard when it was cut off.
    fn hole(&self, at: UnixMillis) -> Option<Hole> {
        let (latest, earliest) = self.audio.ends(self.clock.zero()?)?;
        let live = |at| self.clock.live_at(at).unwrap_or(at);
        let since = self.journal.silent_since(latest, live)?;
        let cut_off = live(since).since(latest) <= CUT_OFF_MS;
        cut_off.then(|| Hole { from: earliest, until: live(at) })
    }

    /// A snapshot for the outside.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let zero = self.clock.zero();
        Progress::of(self.tracks(), self.events.entry(), self.people.entries(), &self.journal, zero)
    }

    fn tracks(&self) -> Vec<TrackEntry> {
        let zero = self.clock.zero();
        // First, because of a kind it is the last one that the next process goes on with.
        let mut tracks = self.aside.clone();
        tracks.extend(self.audio.entries(&self.people));
        tracks.extend(self.video.entries(zero));
        tracks.extend(self.share.entries(zero));
        tracks.extend(self.transcript.as_ref().map(|transcript| transcript.entry(zero)));
        tracks.extend(self.chat.as_ref().map(|chat| chat.entry(zero)));
        tracks
    }

    fn manifest(&self, now: UnixMillis) -> Manifest {
        Manifest {
            updated_at: Some(now),
            time_zero: self.clock.zero(),
            tracks: self.tracks(),
            timeline: self.events.entry(),
            participants: self.people.entries().to_vec(),
            events: self.journal.events.clone(),
            interruptions: self.journal.interruptions.clone(),
            jumps: self.journal.jumps.clone(),
            dropped: self.journal.dropped,
            in_progress: Some(InProgress {
                expect: self.expect.iter().map(|kind| kind.word().to_owned()).collect(),
                images: self.images.iter().map(|kind| kind.word().to_owned()).collect(),
                video_user_id: self.video_user_id.clone(),
                turns: self.people.turns().to_vec(),
                granted: self.granted,
                clock: self.clock.edge(),
                handed_over_at: None,
                ending: self.ending,
            }),
            ..self.head.clone()
        }
    }

    fn audio_packet(&mut self, now: UnixMillis, packet: &MediaPacket<'_>) -> Result<(), RecordError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let decoded = packet.decode_into(&mut scratch);
        self.notice(packet);
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut around = Surroundings { clock: &mut self.clock, people: &self.people, names: &self.names };
        match decoded {
            Ok(()) => self.audio.packet(now, packet, &scratch, &mut around, &mut outcomes),
            Err(error) => outcomes.push(Err(error.into())),
        }
        self.put_back(scratch);
        self.sounds(now, outcomes)
    }

    /// Places RTP packets that wait for one before them: those whose time is over at `now`, or all.
    fn release_sound(&mut self, now: UnixMillis, all: bool) {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut around = Surroundings { clock: &mut self.clock, people: &self.people, names: &self.names };
        self.audio.release((!all).then_some(now), &mut around, &mut outcomes);
        if let Err(error) = self.sounds(now, outcomes) {
            self.journal.dropped.count(reason(&error));
        }
    }

    /// Notes what became of sound. All but the first error are counted here, that one where it is returned to.
    fn sounds(&mut self, now: UnixMillis, mut outcomes: Outcomes) -> Result<(), RecordError> {
        let mut result = Ok(());
        for outcome in outcomes.drain(..) {
            match outcome {
                Ok(AudioOutcome::Placed { track, from, jump }) => {
                    self.journal.sound(now, track, from);
                    jump.into_iter().for_each(|jump| self.jumped(jump));
                }
                Ok(AudioOutcome::Repeat { track, from }) => {
                    self.journal.sound(now, track, from);
                    self.journal.dropped.count(DropReason::Repeat);
                }
                Ok(AudioOutcome::Dropped(reason)) => self.journal.dropped.count(reason),
                Err(error) if result.is_ok() => result = Err(error),
                Err(error) => self.journal.dropped.count(reason(&error)),
            }
        }
        self.outcomes = outcomes;
        result
    }

    fn picture(&mut self, now: UnixMillis, packet: &MediaPacket<'_>) -> Result<(), RecordError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let decoded = packet.decode_into(&mut scratch);
        let track = if packet.kind == MediaKind::Share { &mut self.share } else { &mut self.video };
        let outcome = decoded
            .map_err(RecordError::from)
            .and_then(|()| track.packet(now, packet, &scratch, &mut self.clock, &self.names));
        self.put_back(scratch);
        match outcome? {
            PictureOutcome::Taken(jump) => jump.into_iter().for_each(|jump| self.jumped(jump)),
            PictureOutcome::Dropped(reason) => self.journal.dropped.count(reason),
        }
        Ok(())
    }

    fn words(&mut self, now: UnixMillis, packet: &MediaPacket<'_>) -> Result<(), RecordError> {
        self.notice(packet);
        if is_time(packet.timestamp) {
            self.clock.propose_zero(packet.timestamp, ZeroSource::Media);
        }
        self.open_transcript()?;
        let Some(transcript) = &mut self.transcript else { return Ok(()) };
        let said = transcript.packet(now, packet, &self.clock, &self.people);
        self.count_said(said);
        Ok(())
    }

    fn chat_message(&mut self, now: UnixMillis, packet: &MediaPacket<'_>) -> Result<(), RecordError> {
        self.notice(packet);
        let chat = match &mut self.chat {
            Some(chat) => chat,
            slot => slot.insert(Chat::create(&self.names)?),
        };
        let said = chat.packet(now, packet, &self.people);
        self.count_said(said);
        Ok(())
    }

    fn count_said(&mut self, said: Said) {
        match said {
            Said::New => {}
            Said::Repeat => self.journal.dropped.count(DropReason::Repeat),
            Said::Lost => self.journal.dropped.count(DropReason::Disk),
        }
    }

    fn open_transcript(&mut self) -> Result<(), RecordError> {
        if self.transcript.is_none() {
            let identity = self.head.identity();
            self.transcript = Some(Transcript::create(&self.names, &identity, self.head.started_at)?);
        }
        Ok(())
    }

    /// Learns a name that a packet carries.
    fn notice(&mut self, packet: &MediaPacket<'_>) {
        let before = self.people.changes();
        self.people.seen(packet);
        self.changed |= self.people.changes() != before;
    }

    fn put_back(&mut self, mut scratch: Vec<u8>) {
        scratch.clear();
        scratch.shrink_to(SCRATCH_BYTES);
        self.scratch = scratch;
    }
}

fn reason(error: &RecordError) -> DropReason {
    match error {
        RecordError::Io { .. } | RecordError::Foreign { .. } => DropReason::Disk,
        RecordError::Packet(_) | RecordError::Picture(_) | RecordError::Sound(_) | RecordError::Rtp(_) => {
            DropReason::Undecodable
        }
        RecordError::UnsupportedCodec { .. } => DropReason::Unsupported,
        RecordError::TooManyTracks { .. } => DropReason::TooManyTracks,
    }
}
