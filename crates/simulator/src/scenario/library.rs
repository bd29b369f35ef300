//! The five products' usual courses, all laid over the same 24 s conversation.
//!
//! The hold of the contact-center engagement (11.5 s to 15.5 s) falls where the agent has nothing to say, and is a stretch
//! in which the agent's channel sends no packet at all: a recorder must write that silence itself.

use std::ops::Range;

use rtms_protocol::{MediaKind, MediaSet, Product, StopReason, WireId};
use serde_json::{Value, json};

use super::{Party, Scenario, ScenarioEvent, Showing, people};
use crate::content::{LEFT, RIGHT};

/// When the agent answers, and is heard from.
pub(super) const AGENT_ANSWERS_MS: i64 = 600;
/// The customer is on hold.
pub(super) const HOLD: Range<i64> = 11_500..15_500;

pub(super) fn party(
    name: &str,
    user_id: i64,
    speaker: &str,
    voice: Option<usize>,
    heard: Range<i64>,
) -> Party {
    Party { speaker: speaker.into(), ..Party::new(name, WireId::Number(user_id), voice, heard) }
}

pub(super) fn event(at_ms: i64, event_type: i64, fields: Value) -> ScenarioEvent {
    ScenarioEvent::new(at_ms, event_type, fields)
}

pub(super) fn set(kinds: &[MediaKind]) -> MediaSet {
    kinds.iter().copied().collect()
}

/// What a product has besides sound and words.
pub(super) fn offers(product: Product) -> MediaSet {
    match product {
        Product::ContactCenter | Product::Phone => set(&[MediaKind::Audio, MediaKind::Transcript]),
        // No scope lets an app see a webinar's screen.
        Product::Webinar => MediaSet::ALL.without(MediaSet::of(MediaKind::Share)),
        Product::Meeting | Product::VideoSdk => MediaSet::ALL,
    }
}

/// A course in which nothing is seen, paused or corrected.
pub(super) fn plain(
    product: Product,
    duration_ms: i64,
    parties: Vec<Party>,
    stop_reason: StopReason,
) -> Scenario {
    Scenario {
        product,
        duration_ms,
        parties,
        events: Vec::new(),
        cameras: Vec::new(),
        shares: Vec::new(),
        interim: false,
        offers: offers(product),
        pauses: Vec::new(),
        stop_reason,
    }
}

/// Somebody as contact-center events have it. Channels are numbers here and strings beside the media, ids the other way
/// around, as the documents have it in different places.
pub(super) fn info(party: &Party, mode: &str) -> Value {
    let channel: Option<i64> = party.channel_id.as_deref().and_then(|id| id.parse().ok());
    let mut info = json!({"channel_id": channel, "participant_mode": mode, "display_name": party.name,
        "queue_id": "q-support", "queue_name": "Support"});
    if mode == "caller" {
        info["phone_number"] = json!("+15550100");
    } else {
        info["user_id"] = json!(party.user_id.to_string());
    }
    json!({"participant_info": info})
}

/// A customer calls, an agent answers, puts the call on hold, comes back, and the customer hangs up.
pub(super) fn contact_center(duration_ms: i64) -> Scenario {
    let mut customer = party("Ines Calloway", 33_554_433, "Customer", Some(LEFT), 0..duration_ms);
    customer.channel_id = Some("1".into());
    let mut agent = party("Zoë Hartmann", 33_554_434, "Agent", Some(RIGHT), AGENT_ANSWERS_MS..HOLD.start);
    agent.heard.push(HOLD.end..duration_ms);
    agent.channel_id = Some("2".into());

    let (consumer, user) = (info(&customer, "caller"), info(&agent, "callee"));
    let events = vec![
        event(0, 8, consumer.clone()),
        event(AGENT_ANSWERS_MS, 10, user.clone()),
        event(HOLD.start, 12, user.clone()),
        event(HOLD.end, 13, user.clone()),
        event(duration_ms - 200, 9, consumer),
        event(duration_ms - 100, 11, user),
    ];
    let parties = vec![customer, agent];
    let reason = StopReason::CustomerDisconnected;
    Scenario { events, ..plain(Product::ContactCenter, duration_ms, parties, reason) }
}

/// Two people talk, a third listens muted, joins late and leaves early; one camera goes on and off.
pub(super) fn meeting(product: Product, duration_ms: i64, stop_reason: StopReason) -> Scenario {
    let host = party("Zoë Hartmann", 16_778_240, "Agent", Some(RIGHT), 0..duration_ms);
    let guest = party("Ines Calloway", 16_779_264, "Customer", Some(LEFT), 400..duration_ms);
    let listener = party("李 静", 16_780_288, "", None, 0..0);
    let events = vec![
        event(0, 3, people(&[&host], 0)),
        event(400, 3, people(&[&guest], 0)),
        event(2_000, 3, people(&[&listener], 0)),
        event(duration_ms - 2_000, 4, people(&[&listener], 0)),
        event(duration_ms - 100, 4, people(&[&guest], 0)),
    ];
    let camera_on = vec![500..9_000.min(duration_ms), 12_000..duration_ms];
    let screen_on = 5_000.min(duration_ms)..8_000.min(duration_ms);
    let mut scenario = plain(product, duration_ms, vec![host, guest, listener], stop_reason);
    scenario.events = events;
    scenario.cameras = vec![Showing { party: 0, camera: 0, on: camera_on }];
    if scenario.offers.contains(MediaKind::Share) {
        scenario.shares = vec![Showing { party: 1, camera: 0, on: std::iter::once(screen_on).collect() }];
    }
    scenario.tell_of_pictures();
    scenario
}

/// A panelist is asked from the audience; nobody else is seen or heard.
pub(super) fn webinar(duration_ms: i64) -> Scenario {
    meeting(Product::Webinar, duration_ms, StopReason::MeetingEnded)
}

/// Two users of an app built on the Video SDK; the one with the camera ends it.
pub(super) fn video_sdk(duration_ms: i64) -> Scenario {
    let mut scenario = meeting(Product::VideoSdk, duration_ms, StopReason::UserLeft);
    // The listener is a meeting's; a session of two has none.
    let listener = scenario.parties.pop().map(|p| json!(p.user_id)).unwrap_or_default();
    scenario.events.retain(|e| e.fields.get("participants").is_none_or(|p| p[0]["user_id"] != listener));
    scenario
}

/// One calls, the other answers; no picture.
pub(super) fn phone(duration_ms: i64) -> Scenario {
    let caller = party("Ines Calloway", 1, "Customer", Some(LEFT), 0..duration_ms);
    let callee = party("Zoë Hartmann", 2, "Agent", Some(RIGHT), 300..duration_ms);
    let events = vec![
        event(0, 3, people(&[&caller], 0)),
        event(300, 3, people(&[&callee], 0)),
        event(duration_ms - 100, 4, people(&[&caller], 0)),
    ];
    Scenario { events, ..plain(Product::Phone, duration_ms, vec![caller, callee], StopReason::UserLeft) }
}
