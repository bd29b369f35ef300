//! Everybody in a call with a file, a role and a name of their own.

use rtms_protocol::{Product, UnixMillis};
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::pcm;
use rtms_simulator::scenario::{Course, Program, Scenario};
use serde_json::{Value, json};

use crate::files::samples;
use crate::media::{assert_same_sound, expected, party_sounds, zero};
use crate::system::{Recorded, Setup};

/// The parties' tracks.
fn parties(recorded: &Recorded) -> Vec<&Value> {
    let is_partys = |track: &&Value| {
        track["kind"] == "audio" && !(track["user_id"].is_null() && track["channel_id"].is_null())
    };
    recorded.manifest["tracks"].as_array().unwrap().iter().filter(is_partys).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// Name, role and the last part of the file name of each.
fn who_is_who(recorded: &Recorded) -> Vec<(&str, Option<&str>, &str)> {
    let name = |track| text(track, "file").rsplit_once("Z_").unwrap().1;
    let found = parties(recorded).into_iter();
    found.map(|track| (text(track, "display_name"), track["role"].as_str(), name(track))).collect()
}

/// Each party's file holds what was played of them, and the combined one the sum.
fn assert_sounds(recorded: &Recorded) {
    let played = &recorded.outcome.played;
    for track in &played.tracks {
        let party = track.party.as_ref().unwrap();
        let name = party.name.as_str();
        let is_theirs = |entry: &&&Value| match &party.channel_id {
            Some(channel) => entry["channel_id"] == channel.as_str() && entry["display_name"] == name,
            None => entry["user_id"] == party.user_id.to_string().as_str(),
        };
        let tracks = parties(recorded);
        let own: Vec<_> = tracks.iter().filter(is_theirs).collect();
        let [own] = own.as_slice() else { panic!("{} files of {name}: {tracks:#?}", own.len()) };
        assert_same_sound(&samples(&recorded.file(own)), &expected(played, track), name);
    }
    assert_sum(recorded);
}

/// The combined file holds the sum of what was played.
fn assert_sum(recorded: &Recorded) {
    let played = &recorded.outcome.played;
    let sounds = party_sounds(played);
    let sum = pcm::mix(&sounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let tracks = recorded.manifest["tracks"].as_array().unwrap();
    let combined = tracks.iter().find(|track| track["name"] == "combined").unwrap();
    assert_same_sound(&samples(&recorded.file(combined)), &sum, "the sum");
}

/// The files of two who had one channel, one after the other, hold what was played on it, each their own part. The second
/// one's begins about when the event tells of them, later if more of the channel was recorded when it came: events and
/// sound come on two sockets.
fn assert_one_line_of_two(recorded: &Recorded, first: &str, second: &str) {
    let played = &recorded.outcome.played;
    let on_air = |name: &str| {
        let mut tracks = played.tracks.iter();
        let track = tracks.find(|track| track.party.as_ref().unwrap().name == name).unwrap();
        expected(played, track)
    };
    let line = pcm::mix(&[&on_air(first), &on_air(second)]);
    let entry = |name: &str| *parties(recorded).iter().find(|track| track["display_name"] == name).unwrap();
    let since = UnixMillis(entry(second)["channel_since"].as_i64().unwrap());
    let cut = usize::try_from(since.since(zero(played))).unwrap() * 16;
    let mut sound = samples(&recorded.file(entry(first)));
    assert!(sound.len() <= cut, "{} samples of {first}, {cut} before {second}", sound.len());
    sound.resize(cut, 0);
    let next = samples(&recorded.file(entry(second)));
    assert!(next[..cut].iter().all(|&sample| sample == 0), "silence before {second}");
    sound.extend_from_slice(&next[cut..]);
    assert_same_sound(&sound, &line, "the channel of both");
    assert_sum(recorded);
}

#[tokio::test(flavor = "multi_thread")]
async fn supervisor_and_second_agent_have_their_roles() {
    let system = Setup::default().start().await;
    let program = system.simulator.program(Product::ContactCenter, Course::Busy, 24_000);
    let recorded = system.record_with(Product::ContactCenter, program, Faults::default()).await;
    let expected = [
        ("Ines Calloway", Some("consumer"), "consumer.wav"),
        ("Zoë Hartmann", Some("agent"), "agent.wav"),
        ("Priya Raman", Some("supervisor"), "supervisor.wav"),
        ("Tomás Ibarra", Some("agent"), "agent_2.wav"),
    ];
    assert_eq!(who_is_who(&recorded), expected);
    assert_sounds(&recorded);
    let totals = recorded.manifest["totals"]["parties"].as_array().unwrap();
    let named: Vec<_> = totals.iter().map(|party| text(party, "display_name")).collect();
    assert_eq!(named, expected.map(|(name, ..)| name));
    assert!(totals.iter().all(|party| party["talk_ms"].as_i64().unwrap() > 1_000), "{totals:#?}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_agent_may_get_the_channel_of_the_first() {
    let system = Setup::default().start().await;
    let mut scenario = Scenario::busy(Product::ContactCenter, 24_000);
    scenario.parties[3].channel_id = Some("2".into());
    for event in &mut scenario.events {
        if let Some(info) = event.fields.get_mut("participant_info").filter(|info| info["channel_id"] == 4) {
            info["channel_id"] = json!(2);
        }
    }
    let program = Program::new(scenario, Content::built_in());
    let recorded = system.record_with(Product::ContactCenter, program, Faults::default()).await;
    let found = who_is_who(&recorded);
    assert!(found.contains(&("Zoë Hartmann", Some("agent"), "agent.wav")), "{found:?}");
    assert!(found.contains(&("Tomás Ibarra", Some("agent"), "agent_2.wav")), "{found:?}");
    assert_one_line_of_two(&recorded, "Zoë Hartmann", "Tomás Ibarra");
    let totals = recorded.manifest["totals"]["parties"].as_array().unwrap();
    let of = |name: &str, what: &str| {
        let party = totals.iter().find(|party| party["display_name"] == name).unwrap();
        party[what].as_i64().unwrap()
    };
    let (first, second) = (of("Zoë Hartmann", "talk_ms"), of("Tomás Ibarra", "talk_ms"));
    assert!(first > 6_000 && second > 0 && (7_300..9_200).contains(&(first + second)), "{totals:#?}");
    assert_eq!((of("Zoë Hartmann", "hold_count"), of("Tomás Ibarra", "hold_count")), (1, 0));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_meeting_come_late_leave_return_are_muted_and_change_names() {
    let system = Setup::default().worker("RTMS_AUDIO_STREAMS", "separate").start().await;
    let program = system.simulator.program(Product::Meeting, Course::Busy, 24_000);
    let recorded = system.record_with(Product::Meeting, program, Faults::default()).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    assert_sounds(&recorded);
    let expected = [
        ("Zoë Hartmann", None, "Zo__Hartmann.wav"),
        ("Ines (Northwind)", None, "Ines__Northwind_.wav"),
        ("Zoë Hartmann", None, "Zo__Hartmann_2.wav"),
    ];
    assert_eq!(who_is_who(&recorded), expected);
    let participants = recorded.manifest["participants"].as_array().unwrap();
    assert_eq!(participants.len(), 7, "also those without a microphone: {participants:#?}");
    assert!(
        participants.iter().all(|person| person["joined_at"].is_string() && person["left_at"].is_string())
    );
    system.stop().await;
}
