//! Listening in: what a listener gets is what was played, whatever else happens; and it harms nobody.

use std::time::{Duration, Instant};

use rtms_protocol::{Product, StatusCode};
use rtms_simulator::engagement::{Outcome, Plan};
use rtms_simulator::faults::{Cut, Faults};
use rtms_simulator::played::PlayedTrack;
use rtms_simulator::webhook;

use crate::failover::{REPEATED, at};
use crate::live_listener::{Heard, Listener, Packet, events, events_of};
use crate::media::{assert_mixed, assert_two_parties};
use crate::system::{PATIENCE, Recorded, Setup, System};

/// The stream that is listened to.
const STREAM: &str = "live-1";
/// An ordinary receive buffer, bytes.
const ORDINARY: u32 = 256 * 1024;

/// How far a call is at the most when the worker joins, ms.
const LATE_MS: i64 = 6_000;

fn setup() -> Setup {
    Setup::default().waits_at(LATE_MS)
}

/// Refused a few times, the worker joins late. Zoom buffers the sound meanwhile.
fn late() -> Faults {
    let refusal = StatusCode::InternalException;
    Faults { refuse_signaling: vec![refusal; 3], repeat_packets: REPEATED, ..Faults::default() }
}

fn plan(system: &System, product: Product, duration_ms: i64, faults: Faults) -> Plan {
    system.plan(product, "engagement-1", STREAM, system.simulator.usual_program(product, duration_ms), faults)
}

/// Plays, and lets nobody in at Zoom before all are listening.
async fn play_once_ready<T, L: Future>(
    system: &System,
    plan: Plan,
    ready: impl Future<Output = T>,
    then: impl FnOnce(T) -> L,
) -> (Outcome, L::Output) {
    system.simulator.close_door();
    let listen = async {
        let ready = ready.await;
        system.simulator.open_door();
        then(ready).await
    };
    tokio::join!(system.play(plan), listen)
}

/// Plays while somebody listens, and compares the recording afterwards.
async fn play_to(system: &System, plan: Plan) -> (Recorded, Heard) {
    let ready = Listener::connect_soon(system, STREAM, ORDINARY);
    let (outcome, heard) = play_once_ready(system, plan, ready, Listener::listen).await;
    (system.recorded(STREAM, outcome).await, heard)
}

/// Waits until so many listen to sound.
async fn until_listeners(system: &System, count: usize) {
    let line = format!("rtms_worker_live_listeners{{feed=\"audio\"}} {count}");
    while !system.metrics().await.lines().any(|known| known == line) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a listener has lost sound.
async fn until_lost(system: &System) {
    let began = Instant::now();
    let none = "rtms_worker_live_lost_packets_total{feed=\"audio\"} 0";
    while system.metrics().await.lines().any(|known| known == none) {
        assert!(began.elapsed() < PATIENCE, "nothing is lost");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a listener heard a track packet for packet.
fn assert_heard(heard: &[Packet], played: &PlayedTrack) {
    for ((heard, played), sequence) in heard.iter().zip(&played.packets).zip(1..) {
        assert_eq!((heard.timestamp, heard.sequence), (played.timestamp, sequence));
        assert!(heard.samples == played.samples, "the samples at {} differ", played.timestamp);
    }
    assert_eq!(heard.len(), played.packets.len());
    let packet_ms = i64::from(played.packet_ms);
    for pair in heard.windows(2) {
        let hole = pair[1].timestamp.since(pair[0].timestamp) != packet_ms;
        assert_eq!(pair[1].after_hole, hole, "at {}", pair[1].timestamp);
    }
}

fn assert_parties(recorded: &Recorded, heard: &Heard) {
    let [consumer, agent] = recorded.outcome.played.tracks.as_slice() else { panic!("two parties") };
    assert_heard(heard.track("consumer"), consumer);
    assert_heard(heard.track("agent"), agent);
    assert_eq!(heard.of_type("lost").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_arrives_to_the_sample_and_ends_with_the_stream() {
    let system = setup().start().await;
    let (recorded, heard) = play_to(&system, plan(&system, Product::ContactCenter, 20_000, late())).await;
    assert_two_parties(&recorded);
    assert_parties(&recorded, &heard);
    let hello = &heard.notes[0];
    assert_eq!((&hello["type"], &hello["version"]), (&"hello".into(), &1.into()));
    assert_eq!((&hello["rtms_stream_id"], &hello["id"]), (&STREAM.into(), &"engagement-1".into()));
    assert_eq!((&hello["product"], &hello["encoding"]), (&"contact_center".into(), &"s16le".into()));
    let agent = heard.of_type("track").find(|track| track["name"] == "agent").unwrap();
    assert_eq!((&agent["sample_rate"], &agent["channels"]), (&16_000.into(), &1.into()));
    assert_eq!((&agent["role"], &agent["channel_id"]), (&"agent".into(), &"2".into()));
    let states: Vec<_> = heard.of_type("state").map(|state| state["state"].as_str().unwrap()).collect();
    assert_eq!(states.first(), Some(&"streaming"));
    let end = heard.notes.last().unwrap();
    assert_eq!((&end["type"], &end["reason"]), (&"end".into(), &"stopped".into()));
    assert_eq!(end["stop_reason"], "CUSTOMER_DISCONNECTED");
    assert_eq!(Listener::connect(&system, STREAM, ORDINARY).await.err(), Some(404), "it is over");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnection_is_told_and_nothing_comes_twice() {
    let system = setup().start().await;
    let cuts = vec![at(8_000, Cut::Reset), at(14_000, Cut::Close)];
    let faults = Faults { cut_media: cuts, ..late() };
    let (recorded, heard) = play_to(&system, plan(&system, Product::ContactCenter, 20_000, faults)).await;
    assert_two_parties(&recorded);
    assert_parties(&recorded, &heard);
    let states: Vec<_> = heard.of_type("state").map(|state| state["state"].as_str().unwrap()).collect();
    assert_eq!(states[..5], ["streaming", "reconnecting", "streaming", "reconnecting", "streaming"]);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_loses_packets_is_told_and_harms_no_recording() {
    let setup =
        setup().speed(16.0).worker("RTMS_AUDIO_SAMPLE_RATE", "48000").worker("RTMS_AUDIO_CHANNELS", "2");
    let system = setup.start().await;
    let plan = plan(&system, Product::Phone, 60_000, late());
    let ready = Listener::connect_soon(&system, STREAM, 4096);
    // It reads again while the call goes on: at its end nobody waits long for a listener.
    let doze = async |slow: Listener| {
        until_lost(&system).await;
        slow.listen().await
    };
    let (outcome, slow) = play_once_ready(&system, plan, ready, doze).await;
    let recorded = system.recorded(STREAM, outcome).await;
    assert_mixed(&recorded);
    assert_eq!(recorded.manifest["dropped"], serde_json::Value::Null, "nothing was lost to the recording");
    let packets = slow.track("mixed");
    let lost: u64 = slow.of_type("lost").map(|note| note["packets"].as_u64().unwrap()).sum();
    let all = recorded.outcome.played.tracks[0].packets.len() as u64;
    assert!(lost > 0 && lost + packets.len() as u64 == all, "{lost} lost, {} heard of {all}", packets.len());
    assert_eq!(u64::from(packets.last().unwrap().sequence), all, "the newest are there");
    let counted = format!("rtms_worker_live_lost_packets_total{{feed=\"audio\"}} {lost}");
    let metrics = system.metrics().await;
    assert!(metrics.contains(&counted), "{counted} is not in {metrics}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_arrive_line_for_line() {
    let system = setup().start().await;
    let plan = plan(&system, Product::ContactCenter, 24_000, late());
    let (outcome, events) = play_once_ready(&system, plan, events_of(&system, STREAM), events).await;
    let said: Vec<_> = events.iter().filter(|event| event.name == "utterance").collect();
    assert!(said.len() >= 5, "the conversation has words");
    assert_eq!(said.len(), outcome.played.transcript.len());
    for (n, (event, line)) in said.iter().zip(&outcome.played.transcript).enumerate() {
        assert_eq!(event.id, Some(n as u64 + 1));
        assert_eq!(
            (&event.data["speaker"], &event.data["text"]),
            (&line.name.as_str().into(), &line.text.as_str().into())
        );
        assert_eq!(
            (&event.data["start_time"], &event.data["end_time"]),
            (&line.start.0.into(), &line.end.0.into())
        );
    }
    let recorded = system.recorded(STREAM, outcome).await;
    let also = recorded.any_track("transcript")["also"].as_array().unwrap().clone();
    let jsonl = also.iter().filter_map(|file| file["file"].as_str()).find(|file| file.ends_with(".jsonl"));
    let lines = recorded.text(jsonl.unwrap().as_ref());
    for (event, line) in said.iter().zip(lines.lines()) {
        assert_eq!(event.data, serde_json::from_str::<serde_json::Value>(line).unwrap(), "as in the file");
    }
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"hello"), Some(&"end")));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_limited_and_strangers_hear_nothing() {
    let system = setup().worker("RTMS_LIVE_LISTENERS_EACH", "2").start().await;
    let plan = plan(&system, Product::Phone, 16_000, late());
    let ready = async {
        let first = Listener::connect_soon(&system, STREAM, ORDINARY).await;
        let second = Listener::connect(&system, STREAM, ORDINARY).await.unwrap();
        assert_eq!(Listener::connect(&system, STREAM, ORDINARY).await.err(), Some(503));
        assert_eq!(Listener::connect(&system, "other", ORDINARY).await.err(), Some(404));
        for feed in ["audio", "transcript"] {
            let path = format!("/engagements/{STREAM}/live/{feed}");
            let stranger = system.http.get(format!("{}{path}", system.worker_url)).send().await.unwrap();
            assert_eq!(stranger.status().as_u16(), 401, "{feed}");
        }
        let (status, problem) = system.get(&format!("/engagements/{STREAM}/live/transcript")).await;
        assert_eq!(status, 503, "{problem}");
        let (status, problem) = system.get(&format!("/engagements/{STREAM}/live/audio")).await;
        assert_eq!(status, 426, "{problem}");
        drop(second);
        until_listeners(&system, 1).await;
        let third = Listener::connect(&system, STREAM, ORDINARY).await.unwrap();
        (first, third)
    };
    let listen = async |(first, third): (Listener, Listener)| tokio::join!(first.listen(), third.listen());
    let (outcome, (first, third)) = play_once_ready(&system, plan, ready, listen).await;
    assert!(outcome.is_complete());
    for heard in [first, third] {
        assert_heard(heard.track("mixed"), &outcome.played.tracks[0]);
    }
    until_listeners(&system, 0).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_tells_its_listeners() {
    let mut system = Setup::default().speed(1.0).start().await;
    let plan = plan(&system, Product::Phone, 60_000, Faults::default());
    let stream = system.simulator.announce(plan.identity.clone(), plan.program, plan.faults).unwrap();
    let started = webhook::started(&plan.identity, stream.signaling_url(), stream.time_zero().0, plan.layout);
    assert!(system.sender.deliver(&started).await.accepted());
    system.until_state(STREAM, "streaming").await;
    let listener = Listener::connect(&system, STREAM, ORDINARY).await.unwrap();
    let url = format!("{}/engagements/{STREAM}/live/transcript", system.worker_url);
    let events = system.http.get(url).bearer_auth("hop").send().await.unwrap();
    stream.pause().await;
    system.until_state(STREAM, "paused").await;
    let (heard, (), events) = tokio::join!(listener.listen(), system.stop_worker(), events.text());
    assert!(heard.of_type("state").any(|state| state["state"] == "paused"), "{:#?}", heard.notes);
    assert_eq!(heard.notes.last().unwrap()["reason"], "left");
    let events = events.unwrap();
    assert!(events.ends_with("event: end\ndata: {\"type\":\"end\",\"reason\":\"left\"}\n\n"), "{events}");
    system.stop().await;
}
