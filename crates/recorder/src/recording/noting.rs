//! What happens around the media, into the events file and the manifest.

use rtms_protocol::{Event, EventKind, UnixMillis};
use serde_json::{Map, Value, json};

use super::{Recording, RecordingEnd};
use crate::clock::{ZeroSource, is_time};
use crate::counters::DropReason;
use crate::error::RecordError;
use crate::events::{EventLine, EventLog};
use crate::manifest::{JumpEntry, Manifest, StopNote, TrackEntry};
use crate::take_up::{Purpose, TakeUp, may_pass};

impl Recording {
    /// Packets of this recording were received and never came here: the manifest tells of them. What they held is
    /// silence, or missing at the end.
    pub fn lost(&mut self, reason: DropReason, packets: u64) {
        if packets > 0 {
            self.journal.dropped.add(reason, packets);
            self.changed = true;
        }
    }

    /// Records an event of the signaling socket.
    pub fn event(&mut self, event: &Event) {
        if let (EventKind::FirstPacketTimestamp, Some(at)) = (event.kind(), event.timestamp)
            && is_time(at)
        {
            self.clock.propose_zero(at, ZeroSource::Event);
        }
        self.journal.event(event, self.now);
        let known = self.people.changes();
        self.learn(event);
        self.audio.people_changed(&self.people);
        // Who speaks changes every few seconds, and the events' file has it at once.
        self.changed |= event.kind() != EventKind::ActiveSpeakerChange || self.people.changes() != known;
        let now = self.clock.live_at(self.now).unwrap_or(self.now);
        self.log(EventLine::told(event, &self.people, now));
        self.tell_news(self.now);
    }

    /// Learns who is who. A channel is another's from the event on, but what is recorded of it by then stays where it is:
    /// a repeat of that is to be known as one.
    fn learn(&mut self, event: &Event) {
        let (zero, live) = (self.clock.zero(), self.clock.live_at(self.now));
        let (audio, now) = (&self.audio, self.now);
        let since = |channel: &str, told: Option<UnixMillis>| {
            let at = match (told.filter(|at| is_time(*at)), live) {
                (Some(told), Some(live)) => told.min(live),
                (told, live) => told.or(live).unwrap_or(now),
            };
            audio.heard_until(channel, zero).map_or(at, |end| end.max(at))
        };
        for _ in 0..self.people.learn_since(event, since) {
            self.journal.dropped.count(DropReason::ManifestFull);
        }
    }

    /// Zoom paused the stream at `at`, our clock: nothing comes until it is resumed.
    pub fn paused(&mut self, at: UnixMillis) {
        self.note("paused", at, Map::new());
    }

    /// Zoom resumed the paused stream at `at`, our clock.
    pub fn unpaused(&mut self, at: UnixMillis) {
        self.note("resumed", at, Map::new());
    }

    /// The connection is gone since `at`. `cause` is for the manifest.
    pub fn interrupted(&mut self, at: UnixMillis, cause: &str) {
        if !self.journal.is_away() {
            self.note("interrupted", at, fields([("cause", json!(cause))]));
        }
        self.journal.interrupted(at, cause);
        self.tell_news(at.max(self.heard_at));
    }

    /// The connection is back since `at`. To be told before the media that it brings. Where another process was
    /// interrupted, the first media says so too.
    pub fn resumed(&mut self, at: UnixMillis) {
        if self.journal.is_away() {
            self.note("reconnected", at, Map::new());
        }
        let hole = self.hole(at);
        self.journal.resumed(at, hole);
        self.tell_news(at.max(self.heard_at));
    }

    /// The process that recorded was killed at `at` or a little later.
    pub(super) fn killed(&mut self, at: UnixMillis, cause: &str) {
        self.journal.killed(at, cause);
        self.note("interrupted", at, fields([("cause", json!(cause))]));
    }

    /// A change of Zoom's clock that is followed.
    pub(super) fn jumped(&mut self, jump: JumpEntry) {
        let told = [
            ("file", json!(jump.file)),
            ("timestamp", json!(jump.timestamp)),
            ("correction_ms", json!(jump.correction_ms)),
        ];
        self.note("clock_jump", jump.at, fields(told));
        self.journal.jump(jump);
    }

    /// The recording ends.
    pub(super) fn stopped(&mut self, end: &RecordingEnd) {
        let mut told = fields([("state", json!(end.state))]);
        if let Some(reason) = end.stop_reason {
            told.insert("stop_reason".to_owned(), json!(StopNote::from(reason)));
        }
        self.note("stopped", end.at, told);
    }

    /// Notes what happened here at `at`, our clock.
    fn note(&mut self, word: &str, at: UnixMillis, fields: Map<String, Value>) {
        let timestamp = self.clock.live_at(at).unwrap_or(at);
        self.log(EventLine::own(word, timestamp, fields));
    }

    fn log(&mut self, line: EventLine) {
        // Where the disk refuses to make the file, later events try again.
        let taken = self.events.push(&self.names, self.clock.zero(), line);
        if !matches!(taken, Ok(true)) {
            self.journal.dropped.count(DropReason::Disk);
        }
    }

    /// Goes on with the events of another process.
    pub(super) fn take_up_events(
        &mut self,
        manifest: &Manifest,
        files: &mut TakeUp<'_>,
    ) -> Result<(), RecordError> {
        let Some(entry) = &manifest.timeline else { return Ok(()) };
        match EventLog::resume(files.data_dir, &entry.file) {
            Ok(events) => self.events = events,
            Err(error) if files.purpose == Purpose::GoOn && may_pass(&error) => return Err(error),
            Err(error) => {
                files.problems.push(error.to_string());
                // So that it is still deleted with the others.
                let (kind, file) = ("events".to_owned(), entry.file.clone());
                files.aside.push(TrackEntry { name: kind.clone(), kind, file, ..TrackEntry::default() });
            }
        }
        Ok(())
    }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
