//! One utterance with every field, as the JSON form of a transcript has it; also for whoever listens live.

use rtms_protocol::{Language, MediaPacket, Role, UnixMillis, WireId};
use serde::Serialize;

use super::resolve::Key;
use super::status::Status;
use super::{plain, vtt};
use crate::people::People;

/// Start and end that lie further from the timestamp are not on the same clock, ms.
const FAR_MS: i64 = 3_600_000;

/// One line of a transcript's JSON form. Borrows from the packet.
#[derive(Debug, Clone, Serialize)]
pub struct Utterance<'a> {
    timestamp: UnixMillis,
    start_time: Option<UnixMillis>,
    end_time: Option<UnixMillis>,
    user_id: Option<&'a WireId<'a>>,
    user_name: Option<&'a str>,
    channel_id: Option<&'a WireId<'a>>,
    language: Option<Language>,
    language_name: Option<&'static str>,
    attribute: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a WireId<'a>>,
    /// What it is to the utterances before it: `interim`, `final`, `correction` or `deletion`.
    pub(crate) status: Status,
    pub(crate) speaker: String,
    text: &'a str,
    /// When the caption is shown, on the recording's clock.
    pub(crate) cue_start: UnixMillis,
    pub(crate) cue_end: UnixMillis,
}

impl<'a> Utterance<'a> {
    /// What a transcript message says, and who of `people` says it, by Zoom's clock.
    #[must_use]
    pub fn of(packet: &'a MediaPacket<'_>, people: &People) -> Self {
        let (cue_start, cue_end) = span(packet);
        Self {
            timestamp: packet.timestamp,
            start_time: packet.start_time,
            end_time: packet.end_time,
            user_id: packet.user_id.as_ref(),
            user_name: packet.user_name.as_deref(),
            channel_id: packet.channel_id.as_ref(),
            language: packet.language,
            language_name: packet.language.map(Language::name),
            attribute: packet.attribute.as_deref(),
            message_id: packet.message_id.as_ref(),
            status: Status::of(packet.attribute.as_deref()),
            speaker: speaker(packet, people),
            text: packet.text(),
            cue_start,
            cue_end,
        }
    }

    /// Whether another message about the same words is to follow.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status == Status::Interim
    }

    /// Which utterance it belongs to.
    pub(crate) fn key(&self) -> Key {
        let start = self.start_time.unwrap_or(self.timestamp);
        Key::of(self.message_id, self.source(), start)
    }

    /// Whose words they are.
    pub(crate) fn source(&self) -> Option<&WireId<'_>> {
        self.channel_id.or(self.user_id)
    }

    /// The same with its caption shown `by_ms` later: Zoom's clock corrected to the recording's.
    #[must_use]
    pub(crate) fn moved(self, by_ms: i64) -> Self {
        Self { cue_start: self.cue_start.plus(by_ms), cue_end: self.cue_end.plus(by_ms), ..self }
    }
}

/// Who spoke or wrote: the name in the message, else what is known of the channel or user, else `Unknown`.
pub(crate) fn speaker(packet: &MediaPacket<'_>, people: &People) -> String {
    let named = |name: &str| Some(plain(name).trim().to_owned()).filter(|name| !name.is_empty());
    let known = || people.speaker(packet);
    packet
        .user_name
        .as_deref()
        .and_then(named)
        .or_else(|| known().and_then(|person| person.display_name.as_deref().and_then(named)))
        .or_else(|| known().and_then(|person| person.role).map(|role| spoken(role).to_owned()))
        .unwrap_or_else(|| "Unknown".to_owned())
}

fn spoken(role: Role) -> &'static str {
    match role {
        Role::Consumer => "Customer",
        Role::Agent => "Agent",
        Role::Supervisor => "Supervisor",
    }
}

/// When the words were said: Zoom's start and end where they can be right, else the timestamp and reading time.
fn span(packet: &MediaPacket<'_>) -> (UnixMillis, UnixMillis) {
    let near = |at: &UnixMillis| at.since(packet.timestamp).saturating_abs() <= FAR_MS;
    let start = packet.start_time.filter(near).unwrap_or(packet.timestamp);
    let end = packet.end_time.filter(near).filter(|end| *end > start);
    (start, end.unwrap_or_else(|| start.plus(vtt::reading_time_ms(packet.text()))))
}
