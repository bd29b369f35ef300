//! An event as the manifest tells it.

use rtms_protocol::{Event, UnixMillis};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// What we tell of an event ourselves; a field of Zoom's by such a name gives way.
const OWN: [&str; 4] = ["event_type", "name", "word", "timestamp"];

/// An event from Zoom, as it came: an object with `event_type` (Zoom's number), `name`, `word` (ours, as in the events
/// file), `timestamp` (Zoom's clock, ms; where it told none, ours) and whatever else came.
///
/// Kept as its text: a long call has thousands of them, every manifest tells them all, and nobody looks into them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventEntry(Box<RawValue>);

impl EventEntry {
    /// `event`, heard at `heard_at` of our clock.
    ///
    /// # Errors
    /// None that is known: the fields came as JSON.
    pub(crate) fn of(event: &Event, heard_at: UnixMillis) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(&Told { event, heard_at }).map(Self)
    }

    /// Zoom's number of the event.
    #[must_use]
    pub fn event_type(&self) -> Option<i64> {
        #[derive(Deserialize)]
        struct Numbered {
            event_type: i64,
        }
        serde_json::from_str(self.json()).ok().map(|Numbered { event_type }| event_type)
    }

    /// The JSON object.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for EventEntry {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

struct Told<'a> {
    event: &'a Event,
    heard_at: UnixMillis,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event_type", &self.event.code)?;
        map.serialize_entry("name", self.event.name)?;
        map.serialize_entry("word", self.event.word())?;
        map.serialize_entry("timestamp", &self.event.timestamp.unwrap_or(self.heard_at))?;
        for (key, value) in self.event.fields.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
