//! The transcript of one recording, in four forms: `.txt` to read, `.jsonl` with every field, `.vtt` and `.srt` as
//! captions.
//!
//! All four grow while people speak. The JSON lines keep every message; the other three show what is left of them, see
//! [`resolve`](super::resolve). An interim text waits for what follows it. Where something that is shown already changes,
//! the three are made anew from the JSON lines, at most every [`REWRITE_MS`]; the captions also when time zero becomes
//! known or moves. Words that Zoom sends again are dropped.

mod resume;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use rtms_protocol::{MediaKind, MediaPacket, Product, StreamIdentity, UnixMillis};

use super::append::AppendFile;
use super::captions::{Captions, Cue};
use super::line::Utterance;
use super::pending::{Pending, Placed, Showing};
use super::plain;
use super::readback;
use super::repeats::{Message, Repeats};
use super::resolve::{Order, each_shown, read_line};
use super::status::Status;
use crate::clock::StreamClock;
use crate::error::RecordError;
use crate::manifest::{FileEntry, TrackEntry};
use crate::names::Names;
use crate::people::People;

const RULE: &str = "======================================================================";
/// What is shown changes at most this often, ms: somebody who corrects every word must not cost a disk.
pub(super) const REWRITE_MS: i64 = 5_000;

/// The transcript files of one recording.
#[derive(Debug)]
pub(crate) struct Transcript {
    txt: AppendFile,
    jsonl: AppendFile,
    captions: Captions,
    header: String,
    /// The text is behind the JSON lines and is to be made anew from them.
    txt_stale: bool,
    /// Something that is shown has changed since all forms were made anew.
    corrected: bool,
    /// When that was last done.
    rewritten_at: UnixMillis,
    /// Whether there is anything to resolve.
    unsettled: bool,
    pending: Pending,
    repeats: Repeats,
    /// Apart, because interim texts are many and would push the others out.
    interim_repeats: Repeats,
    /// First and last instant that captions cover.
    span: Option<(UnixMillis, UnixMillis)>,
    packets: u64,
    bytes: u64,
}

/// What became of a transcript message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Taken.
    New,
    /// Was here already.
    Repeat,
    /// Too much waits for the disk.
    Lost,
}

impl Transcript {
    /// Makes the four files.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn create(
        names: &Names,
        identity: &StreamIdentity,
        started_at: UnixMillis,
    ) -> Result<Self, RecordError> {
        let base = names.base("transcript", None);
        let mut files: Vec<AppendFile> = Vec::new();
        for ending in ["txt", "jsonl", "vtt", "srt"] {
            match names.claim("transcripts", &base, ending) {
                Ok(claimed) => files.push(AppendFile::new(claimed)),
                Err(error) => {
                    files.iter().for_each(AppendFile::discard);
                    return Err(error);
                }
            }
        }
        let [mut txt, jsonl, vtt, srt] =
            <[AppendFile; 4]>::try_from(files).map_err(|_| RecordError::Foreign {
                path: names.data_dir().to_path_buf(),
                reason: "a transcript has four files".to_owned(),
            })?;
        let header = header(identity, started_at);
        txt.push(&header);
        Ok(Self::with(txt, jsonl, Captions::new(vtt, srt), header))
    }

    fn with(txt: AppendFile, jsonl: AppendFile, captions: Captions, header: String) -> Self {
        Self {
            txt,
            jsonl,
            captions,
            header,
            txt_stale: false,
            corrected: false,
            rewritten_at: UnixMillis(i64::MIN),
            unsettled: false,
            pending: Pending::default(),
            repeats: Repeats::default(),
            interim_repeats: Repeats::default(),
            span: None,
            packets: 0,
            bytes: 0,
        }
    }

    /// Takes a transcript message that arrived at `now`.
    pub(crate) fn packet(
        &mut self,
        now: UnixMillis,
        packet: &MediaPacket<'_>,
        clock: &StreamClock,
        people: &People,
    ) -> Said {
        let message = Message::of(packet);
        if self.repeats.holds(&message) || self.interim_repeats.holds(&message) {
            return Said::Repeat;
        }
        let by = clock.corrected(now, packet.timestamp).since(packet.timestamp);
        let line = Utterance::of(packet, people).moved(by);
        let Ok(mut json) = serde_json::to_string(&line) else { return Said::Lost };
        json.push('\n');
        let placed = Placed { offset: self.jsonl.next(), length: json.len() };
        if !self.jsonl.push_or_write(&json) {
            return Said::Lost;
        }
        self.count(&message, line.status, line.cue_start, line.cue_end);
        match self.pending.take(line.key(), hash(line.source()), line.status, placed, now) {
            Showing::Append => {
                let (start, end) = (line.cue_start, line.cue_end);
                let cue = Cue { start, end, speaker: &line.speaker, text: packet.text() };
                self.show(packet.timestamp, cue);
            }
            Showing::Rewrite => self.corrected = true,
            Showing::Wait | Showing::Nothing => {}
        }
        Said::New
    }

    /// Shows words behind the others.
    fn show(&mut self, said_at: UnixMillis, cue: Cue<'_>) {
        // What finds no place is made from the JSON lines later.
        self.txt_stale |= !self.txt.push(&text_line(said_at, cue.speaker, cue.text));
        self.captions.push(cue);
    }

    /// Counts a message that is in the JSON lines.
    fn count(&mut self, message: &Message<'_>, status: Status, cue_start: UnixMillis, cue_end: UnixMillis) {
        let repeats = if status == Status::Interim { &mut self.interim_repeats } else { &mut self.repeats };
        repeats.remember(message);
        self.unsettled |= status != Status::Final;
        self.span = Some(match self.span {
            Some((first, last)) => (first.min(cue_start), last.max(cue_end)),
            None => (cue_start, cue_end),
        });
        self.packets += 1;
        self.bytes += message.text.len() as u64;
    }

    /// Everything so far into the page cache; the forms anew where what they show has changed, captions also where time
    /// zero has moved.
    ///
    /// # Errors
    /// The first refusal of the disk. The other forms are never ahead of the JSON lines.
    pub(crate) fn flush(&mut self, now: UnixMillis, zero: Option<UnixMillis>) -> Result<(), RecordError> {
        self.jsonl.flush()?;
        let shown = self.show_due(now);
        let is_due = now.since(self.rewritten_at) >= REWRITE_MS;
        let (anew, stale) =
            (is_due && self.corrected, is_due && (self.txt_stale || self.captions.are_stale()));
        let hidden = self.pending.hidden();
        let text = if anew || stale { self.write_text(&hidden) } else { self.txt.flush() };
        let captions = match zero {
            Some(zero) if anew || stale || !self.captions.count_from(zero) => {
                self.captions.write(self.jsonl.path(), &hidden, zero)
            }
            _ => self.captions.flush(),
        };
        if (anew || stale) && text.is_ok() && captions.is_ok() {
            (self.corrected, self.rewritten_at) = (false, now);
        }
        shown.and(text).and(captions)
    }

    /// Shows interim texts that nothing has followed in time.
    fn show_due(&mut self, now: UnixMillis) -> Result<(), RecordError> {
        let due = self.pending.due(now);
        if due.is_empty() {
            return Ok(());
        }
        let read = File::open(self.jsonl.path()).and_then(|lines| {
            let mut bytes = Vec::new();
            for Placed { offset, length } in due {
                read_line(&lines, offset, length, &mut bytes)?;
                if let Ok(line) = serde_json::from_slice::<readback::Line<'_>>(&bytes) {
                    self.show(line.timestamp, Cue::of(&line));
                }
            }
            Ok(())
        });
        // They are shown once all is made anew.
        self.corrected |= read.is_err();
        read.map_err(RecordError::io("read", self.jsonl.path()))
    }

    /// Shows what still waits, and writes the end of the text, and the captions in the order of their times.
    ///
    /// # Errors
    /// The first refusal of the disk.
    pub(crate) fn finish(
        &mut self,
        zero: UnixMillis,
        started_at: UnixMillis,
        ended_at: UnixMillis,
    ) -> Result<(), RecordError> {
        // So that what is left does not depend on when it came, or how often the process died.
        self.corrected |= self.unsettled;
        let result = self.flush(UnixMillis(i64::MAX), Some(zero));
        self.txt.push(&footer(started_at, ended_at));
        // The last chance, also where the JSON lines cannot be written.
        let result = result.and(self.txt.flush());
        if self.captions.in_order() {
            return result;
        }
        result.and(self.captions.write(self.jsonl.path(), &[], zero))
    }

    /// The track for manifest and progress.
    pub(crate) fn entry(&self, zero: Option<UnixMillis>) -> TrackEntry {
        let (first, last) = self.span.unwrap_or_default();
        let also = |file: &AppendFile| FileEntry { file: file.relative().to_owned(), sha256: None };
        TrackEntry {
            kind: MediaKind::Transcript.word().to_owned(),
            file: self.txt.relative().to_owned(),
            name: MediaKind::Transcript.word().to_owned(),
            codec: "text".to_owned(),
            offset_ms: zero.filter(|_| self.span.is_some()).map_or(0, |zero| first.since(zero)),
            duration_ms: last.since(first),
            packets: self.packets,
            bytes: self.bytes,
            also: [&self.jsonl, &self.captions.vtt, &self.captions.srt].map(also).to_vec(),
            ..TrackEntry::default()
        }
    }

    /// Makes the text anew from the JSON lines, in one step. Lines at the places in `hidden` still wait.
    fn write_text(&mut self, hidden: &[u64]) -> Result<(), RecordError> {
        let (lines, header) = (self.jsonl.path(), &self.header);
        self.txt.rewrite(|text| {
            text.write_all(header.as_bytes())?;
            each_shown(&File::open(lines)?, hidden, Order::Arrival, |said_at, line| {
                text.write_all(shown_line(said_at, line).as_bytes())
            })
        })?;
        self.txt_stale = false;
        Ok(())
    }
}

/// Whose words they are, as a number.
fn hash(source: Option<&rtms_protocol::WireId<'_>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    source.map(ToString::to_string).hash(&mut hasher);
    hasher.finish()
}

/// One line of the text form, from one of the JSON form; nothing of a deleted one.
fn shown_line(said_at: UnixMillis, line: &readback::Line<'_>) -> String {
    if line.status() == Status::Deletion {
        return String::new();
    }
    text_line(said_at, &line.speaker, &line.text)
}

/// One line of the text form.
fn text_line(at: UnixMillis, speaker: &str, text: &str) -> String {
    format!("[{at}] {speaker}: {}\n", plain(text))
}

fn header(identity: &StreamIdentity, started_at: UnixMillis) -> String {
    let (title, id) = match identity.product {
        Product::ContactCenter => ("ZCC Engagement", "Engagement ID"),
        Product::Meeting | Product::Webinar => ("Zoom Meeting", "Meeting ID"),
        Product::VideoSdk => ("Video SDK Session", "Session ID"),
        Product::Phone => ("Zoom Phone Call", "Call ID"),
    };
    format!(
        "=== {title} Transcript Started at {started_at} ===\n{id}: {}\nStream ID: {}\n{RULE}\n\n",
        plain(&identity.id),
        plain(&identity.stream_id)
    )
}

/// The end of the text file.
fn footer(started_at: UnixMillis, ended_at: UnixMillis) -> String {
    let seconds = ended_at.since(started_at).max(0) / 1000;
    format!("\n{RULE}\n=== Transcript Ended at {ended_at} ===\nTotal Duration: {seconds} seconds\n")
}
