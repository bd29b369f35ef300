//! JSON lines read back: after a restart they say what was recorded, and the other forms are made from them.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use rtms_protocol::{UnixMillis, WireId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::repeats::Message;
use super::resolve::Key;
use super::status::Status;
use crate::events::Who;

/// A line of a transcript or of a chat.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'l> {
    pub(crate) timestamp: UnixMillis,
    #[serde(default)]
    start_time: Option<UnixMillis>,
    #[serde(default)]
    end_time: Option<UnixMillis>,
    #[serde(default, borrow)]
    user_id: Option<WireId<'l>>,
    #[serde(default, borrow)]
    channel_id: Option<WireId<'l>>,
    #[serde(default, borrow)]
    attribute: Option<Cow<'l, str>>,
    #[serde(default, borrow)]
    message_id: Option<WireId<'l>>,
    /// Whether the id is the sender's word, not Zoom's: then it speaks of that sender's messages only.
    #[serde(default)]
    id_in_data: bool,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default, borrow)]
    action: Option<Cow<'l, str>>,
    #[serde(default, borrow, alias = "sender")]
    pub(crate) speaker: Cow<'l, str>,
    #[serde(borrow)]
    pub(crate) text: Cow<'l, str>,
    /// A chat message as it came, where that was JSON.
    #[serde(default, borrow)]
    data: Option<Cow<'l, str>>,
    #[serde(default)]
    pub(crate) cue_start: UnixMillis,
    #[serde(default)]
    pub(crate) cue_end: UnixMillis,
}

impl Line<'_> {
    /// What makes it the same as another one.
    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            channel_id: self.channel_id.as_ref(),
            user_id: self.user_id.as_ref(),
            timestamp: self.timestamp,
            end_time: self.end_time,
            attribute: self.attribute.as_deref(),
            text: self.data.as_deref().unwrap_or(&self.text),
        }
    }

    /// Whose words they are, as far as the ids tell.
    pub(crate) fn who(&self) -> Who {
        let text = |id: &Option<WireId<'_>>| id.as_ref().map(ToString::to_string);
        Who { user_id: text(&self.user_id), channel_id: text(&self.channel_id), ..Who::default() }
    }

    /// What it is to the lines before it. Older files have Zoom's word only.
    pub(crate) fn status(&self) -> Status {
        self.status.unwrap_or_else(|| Status::of(self.action.as_deref().or(self.attribute.as_deref())))
    }

    /// Which utterance or message it belongs to.
    pub(crate) fn key(&self) -> Key {
        let source = self.channel_id.as_ref().or(self.user_id.as_ref());
        let start = self.start_time.unwrap_or(self.timestamp);
        match &self.message_id {
            Some(id) if self.id_in_data => Key::of_sender(id, source),
            id => Key::of(id.as_ref(), source, start),
        }
    }
}

/// Hands every line that is one to `take`, with its place and length in bytes. Returns where the last whole line
/// ends: behind it is what a dying process left of one.
///
/// # Errors
/// The disk refused, or `take` did.
pub(crate) fn each_line(
    file: &File,
    mut take: impl FnMut(&Line<'_>, u64, usize) -> io::Result<()>,
) -> io::Result<u64> {
    each_whole(file, |bytes, offset| {
        serde_json::from_slice::<Line<'_>>(bytes).map_or(Ok(()), |line| take(&line, offset, bytes.len()))
    })
}

/// The same with lines that own what they hold.
///
/// # Errors
/// Those of [`each_line`].
pub(crate) fn each_json<T: DeserializeOwned>(
    file: &File,
    mut take: impl FnMut(T, u64, usize) -> io::Result<()>,
) -> io::Result<u64> {
    each_whole(file, |bytes, offset| {
        serde_json::from_slice::<T>(bytes).map_or(Ok(()), |line| take(line, offset, bytes.len()))
    })
}

fn each_whole(file: &File, mut take: impl FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    let mut offset = 0;
    loop {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes)?;
        if bytes.last() != Some(&b'\n') {
            return Ok(offset);
        }
        take(&bytes, offset)?;
        offset += length as u64;
    }
}
