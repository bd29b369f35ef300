//! What happens in a stream, as data: who takes part, when each is heard, which events fall when.
//!
//! A [`Scenario`] says nothing about packets; [`Program`] lays it over the content once and is then shared by all
//! streams that play it. All times are ms from the stream's time zero. A conversation that is shorter than the scenario
//! is played round and round.

mod busy;
mod library;
mod party;
mod pictures;
mod program;
mod replay;
mod words;

use std::ops::Range;

use rtms_protocol::{MediaSet, Product, StopReason};
use serde_json::{Map, Value, json};

pub use party::Party;
pub(crate) use pictures::{PictureSource, PictureTrack, Whose, footage};
pub use program::Program;
pub use words::{ChatAction, ChatLine, Cue, CueState};

/// An event on the signaling socket.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioEvent {
    /// When.
    pub at_ms: i64,
    /// Zoom's number.
    pub event_type: i64,
    /// What it carries besides number and time.
    pub fields: Map<String, Value>,
}

impl ScenarioEvent {
    /// An event with these fields; anything but an object counts as none.
    fn new(at_ms: i64, event_type: i64, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { at_ms, event_type, fields }
    }
}

/// A camera, or a shared screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showing {
    /// Index of the party whose it is.
    pub party: usize,
    /// Which of the content's cameras it looks through; of no meaning for a screen.
    pub camera: usize,
    /// When it is on.
    pub on: Vec<Range<i64>>,
}

/// Which course a stream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Course {
    /// [`Scenario::of`].
    #[default]
    Usual,
    /// [`Scenario::busy`].
    Busy,
}

impl Course {
    /// The course of a stream of this product, `duration_ms` long.
    #[must_use]
    pub fn scenario(self, product: Product, duration_ms: i64) -> Scenario {
        match self {
            Self::Usual => Scenario::of(product, duration_ms),
            Self::Busy => Scenario::busy(product, duration_ms),
        }
    }
}

/// Everything that happens in a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Zoom's product.
    pub product: Product,
    /// Length of the stream.
    pub duration_ms: i64,
    /// Who takes part.
    pub parties: Vec<Party>,
    /// In order of time.
    pub events: Vec<ScenarioEvent>,
    /// At most one for each party.
    pub cameras: Vec<Showing>,
    /// Screens that are shared, one at a time.
    pub shares: Vec<Showing>,
    /// Whether words are sent while they are still being said, and corrected afterwards.
    pub interim: bool,
    /// The kinds of media that the app's scopes allow.
    pub offers: MediaSet,
    /// When the stream is paused.
    pub pauses: Vec<Range<i64>>,
    /// Why it ends.
    pub stop_reason: StopReason,
}

impl Scenario {
    /// The usual course of a stream of this product, `duration_ms` long (at least 1 s).
    #[must_use]
    pub fn of(product: Product, duration_ms: i64) -> Self {
        let duration_ms = duration_ms.max(1_000);
        let scenario = match product {
            Product::ContactCenter => library::contact_center(duration_ms),
            Product::Meeting => library::meeting(product, duration_ms, StopReason::MeetingEnded),
            Product::Webinar => library::webinar(duration_ms),
            Product::VideoSdk => library::video_sdk(duration_ms),
            Product::Phone => library::phone(duration_ms),
        };
        scenario.settled()
    }

    /// A course in which about everything happens that can. Contact Center: a supervisor listens in and takes over, a
    /// second agent follows; the others: people come late, leave, return, are muted, change their names or share one,
    /// with two cameras, a shared screen and a chat where the product has them. Words come interim and are corrected.
    #[must_use]
    pub fn busy(product: Product, duration_ms: i64) -> Self {
        let duration_ms = duration_ms.max(1_000);
        let scenario = match product {
            Product::ContactCenter => busy::contact_center(duration_ms),
            _ => busy::meeting(product, duration_ms),
        };
        scenario.settled()
    }

    /// Events in order, and none that would fall after the end.
    fn settled(mut self) -> Self {
        self.events.retain(|event| (0..=self.duration_ms).contains(&event.at_ms));
        self.events.sort_by_key(|event| event.at_ms);
        self
    }

    /// The same, paused in this stretch.
    #[must_use]
    pub fn paused(mut self, stretch: Range<i64>) -> Self {
        self.pauses.push(stretch);
        self
    }

    /// The same without a kind of media, as if the app lacked the scope.
    #[must_use]
    pub fn without(mut self, kind: rtms_protocol::MediaKind) -> Self {
        self.offers.remove(kind);
        self
    }

    /// The same with words that come while they are being said, and are corrected afterwards.
    #[must_use]
    pub fn with_interim(mut self) -> Self {
        self.interim = true;
        self
    }

    /// Adds what cameras and screens do as events: 8 and 9 for cameras, 5 and 6 for screens.
    fn tell_of_pictures(&mut self) {
        let end = self.duration_ms;
        let mut told = Vec::new();
        for (showings, start, stop) in [(&self.cameras, 8, 9), (&self.shares, 5, 6)] {
            for showing in showings {
                let party = &self.parties[showing.party];
                for on in showing.on.iter().filter(|on| !on.is_empty()) {
                    let who = |at_ms| if start == 8 { people(&[party], at_ms) } else { person(party, at_ms) };
                    told.push(ScenarioEvent::new(on.start, start, who(on.start)));
                    if on.end < end {
                        told.push(ScenarioEvent::new(on.end, stop, who(on.end)));
                    }
                }
            }
        }
        self.events.extend(told);
    }
}

/// A party as events have it: `user_id` and `user_name`.
pub(crate) fn person(party: &Party, at_ms: i64) -> Value {
    let id = if party.id_differs_in_events { json!(party.user_id.to_string()) } else { json!(party.user_id) };
    json!({"user_id": id, "user_name": party.name_at(at_ms)})
}

/// A list of participants, as events of joining and leaving have it.
pub(crate) fn people(parties: &[&Party], at_ms: i64) -> Value {
    let listed: Vec<Value> = parties.iter().map(|party| person(party, at_ms)).collect();
    json!({"participants": listed})
}
