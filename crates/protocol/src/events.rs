//! Events on the signaling socket: joins, answers, holds, speakers — and how each product names its numbers.
//!
//! Codes 8 and above mean different things for Contact Center and for the other products, so a bare number is not
//! enough: the product decides. Source: Zoom's RTMS event reference.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::product::Product;
use crate::time::UnixMillis;

/// Zoom's number, Zoom's name, our word.
type Named = (i64, &'static str, &'static str);

/// Numbers that mean the same for every product.
const COMMON: &[Named] = &[
    (1, "FIRST_PACKET_TIMESTAMP", "first_packet"),
    (2, "ACTIVE_SPEAKER_CHANGE", "active_speaker"),
    (3, "PARTICIPANT_JOIN", "joined"),
    (4, "PARTICIPANT_LEAVE", "left"),
    (5, "SHARING_START", "sharing_started"),
    (6, "SHARING_STOP", "sharing_stopped"),
    (7, "MEDIA_CONNECTION_INTERRUPTED", "media_interrupted"),
];

/// Meetings, webinars, sessions and calls.
const MEETING: &[Named] =
    &[(8, "PARTICIPANT_VIDEO_ON", "video_on"), (9, "PARTICIPANT_VIDEO_OFF", "video_off")];

/// Contact Center voice.
const CONTACT_CENTER: &[Named] = &[
    (8, "CONSUMER_ANSWERED", "answered"),
    (9, "CONSUMER_END", "ended"),
    (10, "USER_ANSWERED", "answered"),
    (11, "USER_END", "ended"),
    (12, "USER_HOLD", "hold"),
    (13, "USER_UNHOLD", "unhold"),
    (14, "MONITOR_STARTED", "monitor_started"),
    (15, "MONITOR_TRANSITIONED", "monitor_transitioned"),
    (16, "MONITOR_ENDED", "monitor_ended"),
    (17, "TAKEOVER_STARTED", "takeover"),
    (18, "TRANSFER_INITIATED", "transfer_initiated"),
    (19, "TRANSFER_CANCELED", "transfer_canceled"),
    (20, "TRANSFER_ACCEPTED", "transfer_accepted"),
    (21, "TRANSFER_COMPLETED", "transfer_completed"),
    (22, "TRANSFER_REJECTED", "transfer_rejected"),
    (23, "TRANSFER_TIMEOUT", "transfer_timeout"),
    (24, "CONFERENCE_CANCELED", "conference_canceled"),
    (25, "CONFERENCE_PARTICIPANT_CANCELED", "conference_participant_canceled"),
    (26, "CONFERENCE_PARTICIPANT_INVITED", "conference_participant_invited"),
    (27, "CONFERENCE_PARTICIPANT_REJECTED", "conference_participant_rejected"),
    (28, "CONFERENCE_PARTICIPANT_TIMEOUT", "conference_participant_timeout"),
    (29, "CONFERENCE_PARTICIPANT_LEFT", "conference_participant_left"),
];

/// Zoom's name of an event, `UNKNOWN` for a number that has none (Contact Center is known to use codes up to 34).
#[must_use]
pub fn event_name(product: Product, code: i64) -> &'static str {
    let own = if product == Product::ContactCenter { CONTACT_CENTER } else { MEETING };
    COMMON.iter().chain(own).find(|(number, ..)| *number == code).map_or("UNKNOWN", |(_, name, _)| name)
}

/// The stable word for files and scripts of the event that Zoom calls `name`: `answered` for both `CONSUMER_ANSWERED` and
/// `USER_ANSWERED` (who it is about says which). `unknown` for a name that is not in Zoom's list.
#[must_use]
pub fn event_word(name: &str) -> &'static str {
    let mut all = COMMON.iter().chain(MEETING).chain(CONTACT_CENTER);
    all.find(|(_, own, _)| *own == name).map_or("unknown", |(.., word)| word)
}

/// The event codes to subscribe to: all named ones of the product, but for 1 and 7, which Zoom sends unasked.
#[must_use]
pub fn subscribable_events(product: Product) -> Vec<i64> {
    let own = if product == Product::ContactCenter { CONTACT_CENTER } else { MEETING };
    COMMON.iter().chain(own).map(|(code, ..)| *code).filter(|code| !matches!(code, 1 | 7)).collect()
}

/// The events that steer the session or the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// 1: the stream's first timestamp.
    FirstPacketTimestamp,
    /// 2: somebody else speaks.
    ActiveSpeakerChange,
    /// 3: participants came.
    ParticipantJoin,
    /// 4: participants went.
    ParticipantLeave,
    /// 7: Zoom lost our media socket.
    MediaConnectionInterrupted,
    /// Any other, see the name.
    Other,
}

/// What a party is in a Contact Center engagement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The customer.
    Consumer,
    /// The person who works for the contact center.
    Agent,
    /// Somebody who listens in or takes over.
    Supervisor,
}

impl Role {
    /// The stable word for files and manifests.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Agent => "agent",
            Self::Supervisor => "supervisor",
        }
    }

    /// Who a Contact Center event speaks of.
    fn of_event(product: Product, code: i64) -> Option<Self> {
        match (product, code) {
            (Product::ContactCenter, 8 | 9) => Some(Self::Consumer),
            (Product::ContactCenter, 10..=13) => Some(Self::Agent),
            (Product::ContactCenter, 14..=17) => Some(Self::Supervisor),
            _ => None,
        }
    }
}

/// Somebody an event speaks of, as far as the event tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Zoom's user id, as text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_id: Option<String>,
    /// The party's audio channel, in Contact Center.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel_id: Option<String>,
    /// The name people see.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub display_name: Option<String>,
    /// What the party is, where the event tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<Role>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Zoom's number.
    pub code: i64,
    /// Zoom's name for it, by product; `UNKNOWN` where it has none.
    pub name: &'static str,
    /// When, on Zoom's clock; `None` where the event does not tell.
    pub timestamp: Option<UnixMillis>,
    /// Whom it speaks of.
    pub participants: Vec<Participant>,
    /// Everything that came, but for `event_type` and the timestamp.
    pub fields: Map<String, Value>,
}

impl Event {
    /// Reads the `event` object of message 6 as `product` means it.
    ///
    /// `None` when it has no `event_type`; every other oddity is kept in [`Event::fields`].
    #[must_use]
    pub fn from_fields(product: Product, mut fields: Map<String, Value>) -> Option<Self> {
        let code = integer(&fields.remove("event_type")?)?;
        let timestamp = ["timestamp", "event_ts"]
            .into_iter()
            .filter_map(|key| fields.get(key).and_then(integer).map(|ms| (key, UnixMillis(ms))))
            .next();
        if let Some((key, _)) = timestamp {
            fields.remove(key);
        }
        let role = Role::of_event(product, code);
        let participants = participants(&fields, role);
        let timestamp = timestamp.map(|(_, at)| at);
        Some(Self { code, name: event_name(product, code), timestamp, participants, fields })
    }

    /// The stable word for files and scripts, see [`event_word`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        event_word(self.name)
    }

    /// The events that code acts on.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self.code {
            1 => EventKind::FirstPacketTimestamp,
            2 => EventKind::ActiveSpeakerChange,
            3 => EventKind::ParticipantJoin,
            4 => EventKind::ParticipantLeave,
            7 => EventKind::MediaConnectionInterrupted,
            _ => EventKind::Other,
        }
    }
}

fn integer(value: &Value) -> Option<i64> {
    serde_json::from_value::<crate::wire::Integer>(value.clone()).ok().map(|n| n.0)
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The people of an event: `participants` (a list), `participant_info` (also in Zoom's own misspelling), or the
/// fields of one person in the event itself.
fn participants(fields: &Map<String, Value>, role: Option<Role>) -> Vec<Participant> {
    let listed: Vec<&Map<String, Value>> = ["participants", "participant_info", "paticipant_info"]
        .into_iter()
        .filter_map(|key| fields.get(key))
        .flat_map(|value| match value {
            Value::Array(list) => list.iter().filter_map(Value::as_object).collect(),
            Value::Object(one) => vec![one],
            _ => Vec::new(),
        })
        .collect();
    let people = if listed.is_empty() { vec![fields] } else { listed };
    people
        .into_iter()
        .map(|person| participant(person, role))
        .filter(|p| p.user_id.is_some() || p.channel_id.is_some())
        .collect()
}

fn participant(person: &Map<String, Value>, role: Option<Role>) -> Participant {
    let field = |keys: &[&str]| keys.iter().find_map(|key| text(person.get(*key)));
    Participant {
        user_id: field(&["user_id", "participant_id"]),
        channel_id: field(&["channel_id"]),
        display_name: field(&["display_name", "user_name"]),
        role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(product: Product, value: &Value) -> Event {
        Event::from_fields(product, value.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_product_decides_what_eight_means() {
        assert_eq!(event_name(Product::ContactCenter, 8), "CONSUMER_ANSWERED");
        assert_eq!(event_name(Product::Meeting, 8), "PARTICIPANT_VIDEO_ON");
        assert_eq!(event_name(Product::ContactCenter, 34), "UNKNOWN");
        assert_eq!(event_name(Product::Phone, 12), "UNKNOWN");
    }

    #[test]
    fn every_event_of_zooms_has_a_word_of_ours() {
        for (code, name, word) in COMMON.iter().chain(MEETING).chain(CONTACT_CENTER) {
            assert_eq!(event_word(name), *word, "{code}");
            assert!(word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && *word != "unknown", "{word}");
        }
        assert_eq!(event(Product::ContactCenter, &json!({"event_type": 12})).word(), "hold");
        assert_eq!(event(Product::Phone, &json!({"event_type": 12})).word(), "unknown");
    }

    #[test]
    fn one_and_seven_are_never_subscribed_to() {
        for product in Product::ALL {
            let codes = subscribable_events(product);
            assert!(!codes.contains(&1) && !codes.contains(&7) && codes.contains(&2), "{product}");
        }
        assert!(subscribable_events(Product::ContactCenter).contains(&29));
        assert!(!subscribable_events(Product::Meeting).contains(&10));
    }

    #[test]
    fn a_contact_center_answer_tells_who_speaks_on_which_channel() {
        for key in ["participant_info", "paticipant_info"] {
            let answered = event(
                Product::ContactCenter,
                &json!({"event_type": 8, "event_ts": 5, key: {"channel_id": 2, "participant_mode": "caller", "display_name": "Ann"}}),
            );
            assert_eq!(answered.name, "CONSUMER_ANSWERED");
            assert_eq!(answered.timestamp, Some(UnixMillis(5)));
            let ann = &answered.participants[0];
            assert_eq!((ann.channel_id.as_deref(), ann.role), (Some("2"), Some(Role::Consumer)));
            assert_eq!(ann.display_name.as_deref(), Some("Ann"));
            assert!(answered.fields.contains_key(key), "what else came is kept");
        }
    }

    #[test]
    fn meetings_list_participants_or_name_one() {
        let joined = event(
            Product::Meeting,
            &json!({"event_type": 3, "timestamp": 9, "participants": [{"user_id": 16, "user_name": "Bo"}, {"user_id": "17"}, 4]}),
        );
        assert_eq!(joined.kind(), EventKind::ParticipantJoin);
        assert_eq!(joined.participants.len(), 2);
        let speaker = event(Product::Meeting, &json!({"event_type": "2", "user_id": 16, "user_name": "Bo"}));
        assert_eq!(speaker.timestamp, None);
        assert_eq!(speaker.participants[0].display_name.as_deref(), Some("Bo"));
    }

    #[test]
    fn an_event_without_a_type_is_none() {
        assert_eq!(Event::from_fields(Product::Meeting, Map::new()), None);
    }
}
