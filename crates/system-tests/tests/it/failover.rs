//! Whatever fails on the way, the recording equals what was said, sample for sample.
//!
//! Here sockets are cut and handshakes refused; [`crate::failover_servers`] has whole servers that go, and
//! [`crate::failover_stalls`] those that stay and say nothing.

use std::time::Duration;

use rtms_protocol::{Product, StatusCode};
use rtms_simulator::Connections;
use rtms_simulator::faults::{Cut, CutAt, Faults};
use serde_json::Value;

use crate::media::assert_two_parties;
use crate::system::{Recorded, Setup};

/// Zoom notices a dead socket after three of these.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Packets that Zoom repeats after a reconnection: more than can be under way at these speeds.
pub(crate) const REPEATED: u32 = 100;

pub(crate) fn at(at_ms: i64, how: Cut) -> CutAt {
    CutAt { at_ms, how }
}

/// What an engagement that was recorded without a loss went through.
pub(crate) struct Survived {
    pub(crate) interruptions: Vec<Value>,
    pub(crate) connections: Connections,
}

impl Survived {
    pub(crate) fn causes(&self) -> Vec<&str> {
        self.interruptions.iter().map(|interruption| interruption["cause"].as_str().unwrap()).collect()
    }

    /// Nothing was refused as a second connection.
    pub(crate) fn without_duplicates(self) -> Self {
        assert_eq!(self.connections.duplicates, 0, "{:?}", self.connections);
        self
    }
}

/// Plays an engagement with these faults; everything must be there.
pub(crate) async fn survive(setup: Setup, faults: Faults, duration_ms: i64) -> Survived {
    let system = setup.start().await;
    let faults = Faults { repeat_packets: REPEATED, ..faults };
    let program = system.simulator.usual_program(Product::ContactCenter, duration_ms);
    let recorded: Recorded = system.record_with(Product::ContactCenter, program, faults).await;
    assert!(recorded.outcome.played.complete, "{:#}", recorded.outcome.summary());
    assert_eq!(recorded.manifest["state"], "complete");
    assert_two_parties(&recorded);
    let interruptions = recorded.manifest["interruptions"].as_array().unwrap().clone();
    for interruption in &interruptions {
        assert_eq!(interruption["lost_ms"], 0, "{interruptions:#?}");
        assert!(interruption["length_ms"].as_i64().unwrap() > 0, "{interruptions:#?}");
    }
    let connections = recorded.outcome.played.connections;
    assert_never_twice(&connections);
    system.stop().await;
    Survived { interruptions, connections }
}

/// No second connection of a kind was ever accepted beside a living one.
pub(crate) fn assert_never_twice(connections: &Connections) {
    assert!(connections.most_signaling <= 1 && connections.most_media <= 1, "{connections:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_closed_and_ends() {
    for how in [Cut::Close, Cut::End] {
        let faults = Faults { cut_media: vec![at(4_000, how), at(9_000, how)], ..Faults::default() };
        let survived = survive(Setup::default(), faults, 16_000).await.without_duplicates();
        assert_eq!(survived.causes(), ["media_lost", "media_lost"]);
        assert_eq!(survived.connections.signaling_handshakes, 1, "signaling is not touched");
        assert_eq!(survived.connections.media_handshakes, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_reset() {
    let faults = Faults { cut_media: vec![at(4_000, Cut::Reset)], ..Faults::default() };
    let survived = survive(Setup::default(), faults, 12_000).await.without_duplicates();
    assert_eq!(survived.causes(), ["media_lost"]);
    assert_eq!(survived.connections.signaling_handshakes, 1, "signaling is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_half_open() {
    let faults = Faults { cut_media: vec![at(4_000, Cut::Silence)], ..Faults::default() };
    let setup = Setup::default().speed(2.0).keep_alive(KEEP_ALIVE);
    let survived = survive(setup, faults, 20_000).await.without_duplicates();
    assert_eq!(survived.causes(), ["reported_by_zoom"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_is_closed_ends_and_is_reset() {
    for how in [Cut::Close, Cut::End, Cut::Reset] {
        let faults = Faults { cut_signaling: vec![at(4_000, how)], ..Faults::default() };
        let survived = survive(Setup::default(), faults, 12_000).await.without_duplicates();
        assert_eq!(survived.causes().len(), 1, "{how:?}: {:#?}", survived.interruptions);
        assert_eq!(survived.connections.signaling_handshakes, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_is_half_open() {
    let faults = Faults { cut_signaling: vec![at(4_000, Cut::Silence)], ..Faults::default() };
    let setup = Setup::default().speed(2.0).keep_alive(KEEP_ALIVE);
    let survived = survive(setup, faults, 24_000).await.without_duplicates();
    assert_eq!(survived.causes().len(), 1, "{:#?}", survived.interruptions);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_go_at_once_and_one_after_the_other() {
    let faults = Faults {
        cut_media: vec![at(4_000, Cut::End), at(8_000, Cut::Close)],
        cut_signaling: vec![at(4_000, Cut::End), at(8_200, Cut::End)],
        ..Faults::default()
    };
    let survived = survive(Setup::default(), faults, 16_000).await.without_duplicates();
    assert!(!survived.interruptions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_refused_for_a_while() {
    let faults = Faults {
        cut_media: vec![at(4_000, Cut::End)],
        refuse_signaling: vec![StatusCode::DuplicateSignalRequest],
        refuse_media: vec![StatusCode::InternalException, StatusCode::DuplicateMediaConnection],
        ..Faults::default()
    };
    survive(Setup::default().speed(2.0), faults, 30_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_webhook_that_comes_too_late_costs_nothing() {
    // The first one tells of the cut; the others come when all is well again, or never was otherwise.
    let faults = Faults {
        cut_signaling: vec![at(4_000, Cut::End)],
        stale_interrupted_ms: vec![2_000, 9_000, 9_500],
        ..Faults::default()
    };
    let survived = survive(Setup::default(), faults, 16_000).await.without_duplicates();
    assert_eq!(survived.causes().len(), 1, "{:#?}", survived.interruptions);
    assert_eq!(survived.connections.signaling_handshakes, 2);
}
