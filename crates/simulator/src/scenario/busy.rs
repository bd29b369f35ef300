//! Courses in which about everything happens that can, laid over the same 24 s conversation.
//!
//! Everybody who speaks has one of the two voices of the conversation, and no two have the same one at the same time. Who
//! speaks another language has words alone. Ids are numbers and texts, names are shared and changed, as in real calls.

use std::ops::Range;

use rtms_protocol::{MediaKind, Product, StopReason, WireId};

use super::library::{AGENT_ANSWERS_MS, HOLD, event, info, party, plain};
use super::{Party, Scenario, ScenarioEvent, Showing, people};
use crate::content::{LEFT, RIGHT};

/// The supervisor takes the call from the agent.
const TAKEOVER_MS: i64 = HOLD.end;
/// The second agent has it.
const TRANSFERRED_MS: i64 = 20_000;

/// A customer, an agent, a supervisor who listens in and then takes over, and a second agent to whom it is transferred:
/// each has a channel of their own.
pub(super) fn contact_center(duration_ms: i64) -> Scenario {
    let on_channel = |party: Party, channel: &str| Party { channel_id: Some(channel.into()), ..party };
    let speaks = |name, id, heard: Range<i64>| party(name, id, "Agent", Some(RIGHT), heard);
    let customer = party("Ines Calloway", 33_554_433, "Customer", Some(LEFT), 0..duration_ms);
    let parties = vec![
        on_channel(customer, "1"),
        on_channel(speaks("Zoë Hartmann", 33_554_434, AGENT_ANSWERS_MS..HOLD.start), "2"),
        on_channel(speaks("Priya Raman", 33_554_435, TAKEOVER_MS..TRANSFERRED_MS), "3"),
        on_channel(speaks("Tomás Ibarra", 33_554_436, TRANSFERRED_MS..duration_ms), "4"),
    ];
    let [customer, agent, supervisor, second] = ["caller", "callee", "supervisor", "callee"];
    let who = |index: usize, mode| info(&parties[index], mode);
    let mut course = vec![
        (0, 8, who(0, customer)),
        (AGENT_ANSWERS_MS, 10, who(1, agent)),
        (4_000, 14, who(2, supervisor)),
        (8_000, 15, who(2, supervisor)),
        (HOLD.start, 12, who(1, agent)),
        (HOLD.end, 13, who(1, agent)),
        (TAKEOVER_MS, 16, who(2, supervisor)),
        (TAKEOVER_MS, 17, who(2, supervisor)),
        (TAKEOVER_MS + 100, 11, who(1, agent)),
        (18_000, 18, who(2, supervisor)),
        (19_000, 20, who(3, second)),
        (TRANSFERRED_MS, 21, who(3, second)),
        (TRANSFERRED_MS, 10, who(3, second)),
        (TRANSFERRED_MS + 100, 11, who(2, supervisor)),
    ];
    // A call that ends sooner ends with whoever has it then.
    course.retain(|(at_ms, _, _)| *at_ms < duration_ms - 200);
    let last = match duration_ms {
        TRANSFERRED_MS.. => 3,
        TAKEOVER_MS.. => 2,
        _ => 1,
    };
    course.extend([(duration_ms - 200, 9, who(0, customer)), (duration_ms - 100, 11, who(last, agent))]);
    let events = course.into_iter().map(|(at_ms, code, fields)| event(at_ms, code, fields)).collect();
    let scenario = plain(Product::ContactCenter, duration_ms, parties, StopReason::CustomerDisconnected);
    Scenario { events, ..scenario }.with_interim()
}

const HOST: usize = 0;
const GUEST: usize = 1;
const NAMESAKE: usize = 2;

/// When somebody is in the meeting, and when they are heard.
struct Presence {
    party: Party,
    there: Vec<Range<i64>>,
}

fn presences(duration_ms: i64) -> Vec<Presence> {
    let end = duration_ms;
    let text = |id: &'static str| WireId::Text(id.into());
    let speaker = |party: Party, speaker: &str| Party { speaker: speaker.to_owned(), ..party };
    let mut host = party("Zoë Hartmann", 16_778_240, "Agent", Some(RIGHT), 0..10_000);
    // Muted while the namesake speaks.
    host.heard.push(15_500..end);
    let mut guest =
        speaker(Party::new("Ines Calloway", text("guest-7f3a"), Some(LEFT), 400..9_000), "Customer");
    guest.heard.push(12_000..end);
    guest.renames = vec![(14_000, "Ines (Northwind)".to_owned())];
    let namesake = party("Zoë Hartmann", 16_781_312, "Agent", Some(RIGHT), 10_000..15_500);
    let dictates = |name: &str, id: WireId<'static>, language: &str, there: Range<i64>| {
        speaker(Party::new(name, id, None, there), language)
    };
    let mut chinese = dictates("李 静", WireId::Number(16_780_288), "Chinese", 2_000..11_000);
    chinese.id_differs_in_events = true;
    let arabic = dictates("ليلى حداد", text("16782336"), "Arabic", 0..end);
    let hebrew = dictates("נועה כ\u{5b9}הן", text("u-0042"), "Hebrew", 4_000..end);
    let hindi = dictates("क्षितिजा 👩🏽\u{200d}💻", WireId::Number(16_783_360), "Hindi", 4_000..end);
    let present = |party: Party| Presence { there: stretches(&[(party.heard[0].start, end)]), party };
    vec![
        present(host),
        Presence { there: guest.heard.clone(), party: guest },
        present(namesake),
        Presence { there: chinese.heard.clone(), party: chinese },
        present(arabic),
        present(hebrew),
        present(hindi),
    ]
}

fn stretches(of: &[(i64, i64)]) -> Vec<Range<i64>> {
    of.iter().map(|&(start, end)| start..end).collect()
}

/// A meeting in which people come late, leave, return, are muted, change their names or share one.
pub(super) fn meeting(product: Product, duration_ms: i64) -> Scenario {
    let within = |range: Range<i64>| range.start.min(duration_ms)..range.end.min(duration_ms);
    let presences = presences(duration_ms);
    let mut events: Vec<ScenarioEvent> = Vec::new();
    for Presence { party, there } in &presences {
        for stay in there.iter().filter(|stay| stay.start < duration_ms) {
            events.push(event(stay.start, 3, people(&[party], stay.start)));
            let left = stay.end.min(duration_ms - 100).max(stay.start);
            events.push(event(left, 4, people(&[party], left)));
        }
    }
    let parties = presences.into_iter().map(|presence| presence.party).collect();
    let reason = if product == Product::Meeting { StopReason::MeetingEnded } else { StopReason::UserLeft };
    let mut scenario = plain(product, duration_ms, parties, reason);
    scenario.events = events;
    let showing = |party, camera, on: &[(i64, i64)]| Showing {
        party,
        camera,
        on: stretches(on).into_iter().map(within).filter(|on| !on.is_empty()).collect(),
    };
    if scenario.offers.contains(MediaKind::Video) {
        scenario.cameras = vec![
            // Its picture changes its size after each five seconds.
            showing(HOST, 2, &[(500, 10_500), (13_000, duration_ms)]),
            showing(GUEST, 1, &[(2_000, 8_500), (12_500, 20_000)]),
            showing(NAMESAKE, 0, &[(10_800, 15_000)]),
        ];
    }
    if scenario.offers.contains(MediaKind::Share) {
        scenario.shares = vec![
            showing(GUEST, 0, &[(5_000, 8_000), (18_000, 20_000)]),
            showing(HOST, 0, &[(9_000, 10_400)]),
        ];
    }
    scenario.tell_of_pictures();
    scenario.with_interim()
}
