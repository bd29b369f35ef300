//! Zoom's servers die, forget, refuse, or never come back.

use std::time::Duration;

use rtms_protocol::session::Timeouts;
use rtms_protocol::{Product, StatusCode};
use rtms_simulator::faults::{Cut, Death, Faults};
use rtms_simulator::webhook;
use rtms_simulator::{Notice, Played};
use serde_json::Value;

use crate::failover::{REPEATED, assert_never_twice, at, survive};
use crate::files::samples;
use crate::media::assert_two_parties;
use crate::system::{Setup, manifests};

fn dies(at_ms: i64, how: Cut, announced_after_ms: i64) -> Death {
    Death { at_ms, how, refuses: None, announced_after_ms }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_and_another_one_is_announced() {
    let play = async |how| {
        let faults = Faults { server_dies: vec![dies(4_000, how, 2_000)], ..Faults::default() };
        let survived = survive(Setup::default(), faults, 16_000).await.without_duplicates();
        assert_eq!(survived.causes().len(), 1, "{:#?}", survived.interruptions);
        assert_eq!(survived.connections.signaling_accepted, 2, "{:?}", survived.connections);
        assert_eq!(survived.connections.media_accepted, 2, "{:?}", survived.connections);
    };
    tokio::join!(play(Cut::End), play(Cut::Reset));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_while_its_sockets_stay_half_open() {
    // The new `started` is the first that we hear of it, a second (of ours) later.
    let faults = Faults { server_dies: vec![dies(4_000, Cut::Silence, 4_000)], ..Faults::default() };
    let survived = survive(Setup::default(), faults, 16_000).await.without_duplicates();
    assert_eq!(survived.causes(), ["server_changed"]);
    let length_ms = survived.interruptions[0]["length_ms"].as_i64().unwrap();
    assert!(length_ms > 600, "{length_ms} ms: from when media stopped, not from the webhook");
    assert_eq!(survived.connections.signaling_accepted, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_unknown_where_it_was_until_another_server_is_announced() {
    let death = Death { refuses: Some(StatusCode::InvalidStreamId), ..dies(4_000, Cut::End, 6_000) };
    let faults = Faults { server_dies: vec![death], ..Faults::default() };
    let survived = survive(Setup::default(), faults, 16_000).await.without_duplicates();
    assert_eq!(survived.causes().len(), 1, "{:#?}", survived.interruptions);
    assert_eq!(survived.connections.signaling_accepted, 2, "{:?}", survived.connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_in_the_middle_of_a_reconnection() {
    // Signaling was just cut; the way back meets a server that says nothing, or ends what comes. Then the next one too.
    let play = async |how, deaths| {
        let server_dies =
            vec![dies(4_300, how, 2_000), dies(7_000, how, 1_500)].into_iter().take(deaths).collect();
        let faults = Faults { cut_signaling: vec![at(4_000, Cut::End)], server_dies, ..Faults::default() };
        let survived = survive(Setup::default(), faults, 20_000).await.without_duplicates();
        assert!((1..=2).contains(&survived.causes().len()), "{:#?}", survived.interruptions);
    };
    tokio::join!(play(Cut::Silence, 1), play(Cut::End, 2));
}

/// Nothing of these streams comes back, so nothing needs to be waited for.
fn impatient() -> Setup {
    Setup::default().timeouts(Timeouts { give_up: Duration::from_secs(2), ..Timeouts::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_refusal_at_the_start_is_taken_for_an_answer() {
    let system = impatient().waits_for_nobody().start().await;
    let program = system.simulator.usual_program(Product::Phone, 24_000);
    // A second try would be let in.
    let faults = Faults { refuse_signaling: vec![StatusCode::InvalidSignature], ..Faults::default() };
    let recorded = system.record_with(Product::Phone, program, faults).await;
    assert_eq!(recorded.manifest["state"], "failed");
    assert_eq!(recorded.outcome.played.connections.signaling_handshakes, 1);
    assert_eq!(system.simulator.connections(), 1, "in 6 s nobody came again");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_zoom_forgot_keeps_what_was_recorded() {
    let system = impatient().speed(2.0).start().await;
    let program = system.simulator.usual_program(Product::ContactCenter, 24_000);
    let faults = Faults { forget_at_ms: Some(8_000), repeat_packets: REPEATED, ..Faults::default() };
    let recorded = system.record_with(Product::ContactCenter, program, faults).await;
    assert_eq!(recorded.manifest["state"], "interrupted");
    assert_two_parties(&recorded);
    let played = &recorded.outcome.played;
    assert!(played.tracks[0].packets.len() > 350, "8 s were sent before it was forgotten");
    assert_never_twice(&played.connections);
    // Signaling, media, and what was asked before the refusal.
    assert!(system.simulator.connections() <= 4, "{} connections", system.simulator.connections());
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_never_comes_ends_in_a_usable_recording() {
    let system = impatient().start().await;
    let program = system.simulator.usual_program(Product::Phone, 60_000);
    // Nobody gets back in between the cut and the end of the simulator.
    let back = vec![StatusCode::InternalException; 50];
    let refuse_signaling = [vec![StatusCode::Ok], back].concat();
    let faults = Faults { refuse_signaling, ..Faults::default() };
    let plan = system.plan(Product::Phone, "gone", "gone", program, faults);
    let mut stream = system.simulator.announce(plan.identity.clone(), plan.program, plan.faults).unwrap();
    let started = webhook::started(&plan.identity, stream.signaling_url(), stream.time_zero().0, plan.layout);
    assert!(system.sender.deliver(&started).await.accepted());
    system.until_state("gone", "streaming").await;
    system
        .until("a second was recorded", || recorded_bytes(&system.data()).filter(|len| *len > 32_000))
        .await;
    stream.cut_signaling(Cut::End);
    assert_eq!(stream.notice().await, Some(Notice::Interrupted));
    system.until("all that was sent is known", || stream.played().tracks.pop()).await;
    system.simulator.shut_down();

    let manifest = system.finished("gone").await;
    assert_eq!(manifest["state"], "interrupted");
    assert_eq!(manifest["interruptions"].as_array().unwrap().len(), 1, "{manifest:#}");
    let audio = manifest["tracks"].as_array().unwrap().iter().find(|track| track["kind"] == "audio").unwrap();
    let file = system.data().join(audio["file"].as_str().unwrap());
    assert!(samples(&file) == sent(&stream.played()), "all that was sent is there, and nothing else");
    system.stop().await;
}

/// What the one track of a stream brought.
fn sent(played: &Played) -> Vec<i16> {
    let track = &played.tracks[0];
    let lead = usize::try_from(track.packets[0].position).unwrap() * usize::from(track.channels);
    track.pcm().split_off(lead)
}

/// Size of the first audio file.
fn recorded_bytes(data: &std::path::Path) -> Option<u64> {
    let file = std::fs::read_dir(data.join("audio")).ok()?.flatten().next()?.path();
    Some(std::fs::metadata(file).ok()?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_started_that_comes_again_moves_nothing_back() {
    let system = Setup::default().start().await;
    // Long enough for it to be under way when the repeat comes.
    let program = system.simulator.usual_program(Product::ContactCenter, 40_000);
    let faults = Faults {
        server_dies: vec![dies(4_000, Cut::End, 500)],
        repeat_packets: REPEATED,
        ..Faults::default()
    };
    let plan = system.plan(Product::ContactCenter, "moved", "moved", program, faults);
    let repeat = async {
        // Zoom repeats what a gateway had not taken; here the repeat reaches the worker after the move.
        let moved = |m: &Value| m["interruptions"].as_array().is_some_and(|all| !all.is_empty());
        system.until("it has moved", || manifests(&system.data()).into_iter().find(moved)).await;
        system.until_state("moved", "streaming").await;
        let old = format!("wss://localhost:{}/signaling", system.simulator.address().port());
        let started = webhook::started(&plan.identity, &old, 1, plan.layout);
        system.post("/webhook", &started).await
    };
    let (outcome, (status, answer)) = tokio::join!(system.play(plan.clone()), repeat);
    assert_eq!((status, &answer["status"]), (200, &Value::from("already_active")));
    let manifest = system.finished("moved").await;
    assert_eq!(manifest["state"], "complete");
    assert_eq!(outcome.played.connections.signaling_accepted, 2, "{:?}", outcome.played.connections);
    system.stop().await;
}
