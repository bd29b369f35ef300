//! One event as it is written.

use rtms_protocol::{Event, Participant, Role, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::is_time;
use crate::people::People;

/// Most of the people of an event who are listed.
const LISTED: usize = 1_000;

/// One line of an events file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventLine {
    /// Our word.
    pub(crate) event: String,
    /// Zoom's clock, ms; of what happened here, the same by our clock.
    pub(crate) timestamp: UnixMillis,
    /// ms after time zero; `None` while there is none, or where the timestamp is no time.
    pub(crate) offset_ms: Option<i64>,
    /// Whom it is about.
    #[serde(flatten)]
    pub(crate) who: Who,
    /// All of them, where it is about several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    participants: Vec<Who>,
    /// Zoom's number and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_type: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What else came; apart, so that nothing in it can pass for ours.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

/// Somebody an event is about, with what was known of them by then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Who {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channel_id: Option<String>,
    /// Since when the channel is theirs, where others had it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channel_since: Option<UnixMillis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
}

impl Who {
    /// Whether it is the same person: by channel (and whose it was) where both have one, else by user, else by name.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, two: &Option<String>| {
            one.as_ref().zip(two.as_ref()).map(|(one, two)| one == two)
        };
        same(&self.channel_id, &other.channel_id)
            .map(|is_same| is_same && self.channel_since == other.channel_since)
            .or_else(|| same(&self.user_id, &other.user_id))
            .or_else(|| same(&self.display_name, &other.display_name))
            .unwrap_or(self == other)
    }

    fn of(told: &Participant, people: &People) -> Self {
        let known = people.told(told);
        Self {
            user_id: told.user_id.clone().or_else(|| known.and_then(|known| known.user_id.clone())),
            channel_id: told.channel_id.clone().or_else(|| known.and_then(|known| known.channel_id.clone())),
            channel_since: known.and_then(|known| known.channel_since),
            display_name: told
                .display_name
                .clone()
                .or_else(|| known.and_then(|known| known.display_name.clone())),
            role: known.and_then(|known| known.role).or(told.role),
        }
    }
}

impl EventLine {
    /// An event of Zoom's, at its own time or else at `now` on Zoom's clock.
    pub(crate) fn told(event: &Event, people: &People, now: UnixMillis) -> Self {
        let who = |told: &Participant| Who::of(told, people);
        let several = event.participants.len() > 1;
        Self {
            event: event.word().to_owned(),
            timestamp: event.timestamp.unwrap_or(now),
            offset_ms: None,
            who: event.participants.first().map(who).unwrap_or_default(),
            participants: event.participants.iter().take(if several { LISTED } else { 0 }).map(who).collect(),
            event_type: Some(event.code),
            name: Some(event.name.to_owned()),
            fields: event.fields.clone(),
        }
    }

    /// What happened here, at `timestamp` on Zoom's clock.
    pub(crate) fn own(word: &str, timestamp: UnixMillis, fields: Map<String, Value>) -> Self {
        Self {
            event: word.to_owned(),
            timestamp,
            offset_ms: None,
            who: Who::default(),
            participants: Vec::new(),
            event_type: None,
            name: None,
            fields,
        }
    }

    /// Whether Zoom told of it.
    pub(crate) fn is_zooms(&self) -> bool {
        self.event_type.is_some()
    }

    /// Where it is, ms after `zero`; `None` where its timestamp is no time.
    pub(crate) fn offset_from(&self, zero: UnixMillis) -> Option<i64> {
        is_time(self.timestamp).then(|| self.timestamp.since(zero))
    }

    /// The same with its place after `zero`.
    pub(crate) fn counted_from(self, zero: Option<UnixMillis>) -> Self {
        Self { offset_ms: zero.and_then(|zero| self.offset_from(zero)), ..self }
    }

    /// The line with its end.
    pub(crate) fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok().map(|json| json + "\n")
    }
}
