//! The chat of one recording: `.jsonl` with every message as it came, `.txt` with what is left of it.
//!
//! People change and delete what they wrote. The JSON lines are only ever added to, each with an `action`; the text shows
//! the last version, marked as edited, and of a deleted message only that there was one. Zoom does not document how a
//! change is told, so the message's `attribute` and id are taken, and also those that a message in JSON holds. A message
//! in JSON may be typed by anyone: it changes its sender's own messages and nobody else's.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use rtms_protocol::{Language, MediaKind, MediaPacket, UnixMillis, WireId};
use serde::{Deserialize, Serialize};

use super::append::AppendFile;
use super::line::speaker;
use super::pending::{Pending, Placed, Showing};
use super::plain;
use super::readback::{Line, each_line};
use super::repeats::{Message, Repeats};
use super::resolve::{Key, Order, each_shown};
use super::status::Status;
use super::transcript::{REWRITE_MS, Said};
use crate::error::RecordError;
use crate::manifest::{FileEntry, TrackEntry};
use crate::names::Names;
use crate::people::People;
use crate::take_up::TakeUp;

/// One line of the JSON form.
#[derive(Debug, Serialize)]
struct ChatLine<'a> {
    timestamp: UnixMillis,
    user_id: Option<&'a WireId<'a>>,
    user_name: Option<&'a str>,
    channel_id: Option<&'a WireId<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_name: Option<&'static str>,
    attribute: Option<&'a str>,
    /// What the message does: `new`, `update` or `delete`.
    action: &'static str,
    message_id: Option<&'a WireId<'a>>,
    /// The id was in the message's own JSON.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    id_in_data: bool,
    sender: &'a str,
    text: &'a str,
    /// The message as it came, where that was JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

/// A message in JSON that tells what it is to others.
#[derive(Debug, Deserialize)]
struct InData<'d> {
    #[serde(borrow, alias = "msg_id")]
    message_id: WireId<'d>,
    #[serde(default, borrow, alias = "operation")]
    action: Option<Cow<'d, str>>,
    #[serde(default, borrow, alias = "message", alias = "content")]
    text: Option<Cow<'d, str>>,
}

impl<'d> InData<'d> {
    fn of(data: &'d str) -> Option<Self> {
        let told: Self = data.starts_with('{').then(|| serde_json::from_str(data).ok())??;
        (told.action.is_some() || told.text.is_some()).then_some(told)
    }
}

/// The chat files of one recording.
#[derive(Debug)]
pub(crate) struct Chat {
    jsonl: AppendFile,
    txt: AppendFile,
    /// The text is behind the JSON lines and is to be made anew from them.
    txt_stale: bool,
    /// A message that is shown was changed.
    corrected: bool,
    rewritten_at: UnixMillis,
    pending: Pending,
    repeats: Repeats,
    span: Option<(UnixMillis, UnixMillis)>,
    packets: u64,
    bytes: u64,
}

impl Chat {
    /// Makes the files.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn create(names: &Names) -> Result<Self, RecordError> {
        let base = names.base("chat", None);
        let jsonl = AppendFile::new(names.claim("chat", &base, "jsonl")?);
        let txt = names.claim("chat", &base, "txt").inspect_err(|_| jsonl.discard())?;
        Ok(Self::with(jsonl, AppendFile::new(txt)))
    }

    fn with(jsonl: AppendFile, txt: AppendFile) -> Self {
        Self {
            jsonl,
            txt,
            txt_stale: false,
            corrected: false,
            rewritten_at: UnixMillis(i64::MIN),
            pending: Pending::default(),
            repeats: Repeats::default(),
            span: None,
            packets: 0,
            bytes: 0,
        }
    }

    /// Goes on with the files of another process.
    ///
    /// # Errors
    /// They cannot be opened.
    pub(crate) fn resume(data_dir: &Path, entry: &TrackEntry) -> Result<Self, RecordError> {
        let path = TakeUp::path(data_dir, &entry.file)?;
        let source = File::open(&path).map_err(RecordError::io("open", &path))?;
        let jsonl = AppendFile::resume(path.clone(), entry.file.clone())?;
        let mut chat = Self::with(jsonl, resume_text(data_dir, entry)?);
        let end = each_line(&source, |line, _, _| {
            chat.pending.remember(line.key(), line.status());
            chat.count(&line.message());
            Ok(())
        });
        chat.jsonl.cut(end.map_err(RecordError::io("read", &path))?)?;
        let source = File::open(&path).map_err(RecordError::io("open", &path))?;
        let mut expected = 0;
        each_shown(&source, &[], Order::Arrival, |said_at, line| {
            expected += shown_line(said_at, line).len() as u64;
            Ok(())
        })
        .map_err(RecordError::io("read", &path))?;
        chat.txt_stale = chat.txt.end() != expected;
        Ok(chat)
    }

    /// Takes a chat message that arrived at `now`.
    pub(crate) fn packet(&mut self, now: UnixMillis, packet: &MediaPacket<'_>, people: &People) -> Said {
        let message = Message::of(packet);
        if self.repeats.holds(&message) {
            return Said::Repeat;
        }
        let told = InData::of(packet.text());
        let (id, status) = what_it_does(packet, told.as_ref());
        let sender = speaker(packet, people);
        let line = ChatLine {
            timestamp: packet.timestamp,
            user_id: packet.user_id.as_ref(),
            user_name: packet.user_name.as_deref(),
            channel_id: packet.channel_id.as_ref(),
            language: packet.language,
            language_name: packet.language.map(Language::name),
            attribute: packet.attribute.as_deref(),
            action: status.action(),
            message_id: id,
            id_in_data: id.is_some() && packet.message_id.is_none(),
            sender: &sender,
            text: told.as_ref().map_or(packet.text(), |told| told.text.as_deref().unwrap_or_default()),
            data: told.is_some().then(|| packet.text()),
        };
        let Ok(mut json) = serde_json::to_string(&line) else { return Said::Lost };
        json.push('\n');
        let placed = Placed { offset: self.jsonl.next(), length: json.len() };
        if !self.jsonl.push_or_write(&json) {
            return Said::Lost;
        }
        self.count(&message);
        let source = packet.channel_id.as_ref().or(packet.user_id.as_ref());
        let key = match id {
            Some(id) if line.id_in_data => Key::of_sender(id, source),
            id => Key::of(id, source, packet.timestamp),
        };
        match self.pending.take(key, 0, status, placed, now) {
            Showing::Append => {
                let text = text_line(packet.timestamp, &sender, line.text, status);
                self.txt_stale |= !self.txt.push(&text);
            }
            Showing::Rewrite => self.corrected = true,
            Showing::Wait | Showing::Nothing => {}
        }
        Said::New
    }

    fn count(&mut self, message: &Message<'_>) {
        self.repeats.remember(message);
        let at = message.timestamp;
        self.span = Some(self.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        self.packets += 1;
        self.bytes += message.text.len() as u64;
    }

    /// Everything so far into the page cache; the text anew where messages were changed.
    ///
    /// # Errors
    /// The disk refused; it waits for the next time.
    pub(crate) fn flush(&mut self, now: UnixMillis) -> Result<(), RecordError> {
        self.jsonl.flush()?;
        let is_due = now.since(self.rewritten_at) >= REWRITE_MS;
        if !is_due || !(self.corrected || self.txt_stale) {
            return self.txt.flush();
        }
        let lines = self.jsonl.path();
        self.txt.rewrite(|text| {
            each_shown(&File::open(lines)?, &[], Order::Arrival, |said_at, line| {
                text.write_all(shown_line(said_at, line).as_bytes())
            })
        })?;
        (self.corrected, self.txt_stale, self.rewritten_at) = (false, false, now);
        Ok(())
    }

    /// Everything into the page cache, changes included.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn finish(&mut self) -> Result<(), RecordError> {
        self.flush(UnixMillis(i64::MAX))
    }

    /// The track for manifest and progress.
    pub(crate) fn entry(&self, zero: Option<UnixMillis>) -> TrackEntry {
        let (first, last) = self.span.unwrap_or_default();
        TrackEntry {
            kind: MediaKind::Chat.word().to_owned(),
            file: self.jsonl.relative().to_owned(),
            name: MediaKind::Chat.word().to_owned(),
            codec: "text".to_owned(),
            offset_ms: zero.filter(|_| self.span.is_some()).map_or(0, |zero| first.since(zero)),
            duration_ms: last.since(first),
            packets: self.packets,
            bytes: self.bytes,
            also: vec![FileEntry { file: self.txt.relative().to_owned(), sha256: None }],
            ..TrackEntry::default()
        }
    }
}

/// Which message a packet is about, and what it does to it. What Zoom says counts before what the message says.
fn what_it_does<'p>(
    packet: &'p MediaPacket<'p>,
    told: Option<&'p InData<'p>>,
) -> (Option<&'p WireId<'p>>, Status) {
    let id = packet.message_id.as_ref().or(told.map(|told| &told.message_id));
    let action = told.and_then(|told| told.action.as_deref());
    match Status::of(packet.attribute.as_deref().or(action)) {
        // Nobody's chat is heard while it is typed.
        Status::Interim => (id, Status::Final),
        status => (id, status),
    }
}

/// The text form, also for a recording of an earlier version, which had none.
fn resume_text(data_dir: &Path, entry: &TrackEntry) -> Result<AppendFile, RecordError> {
    let txt = match entry.also.first() {
        Some(txt) => txt.file.clone(),
        None => format!("{}.txt", entry.file.trim_end_matches(".jsonl")),
    };
    AppendFile::resume_or_begin(TakeUp::path(data_dir, &txt)?, txt)
}

fn shown_line(said_at: UnixMillis, line: &Line<'_>) -> String {
    text_line(said_at, &line.speaker, &line.text, line.status())
}

/// One line of the text form.
fn text_line(at: UnixMillis, sender: &str, text: &str, status: Status) -> String {
    let sender = if sender.is_empty() { "Unknown" } else { sender };
    match status {
        Status::Interim | Status::Final => format!("[{at}] {sender}: {}\n", plain(text)),
        Status::Correction => format!("[{at}] {sender}: {} (edited)\n", plain(text)),
        Status::Deletion => format!("[{at}] {sender}: (message deleted)\n"),
    }
}
