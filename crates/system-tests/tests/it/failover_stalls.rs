//! Servers that accept and then say nothing: no TLS, no answer to a handshake, no word on an open socket.

use std::time::Duration;

use rtms_protocol::session::Timeouts;
use rtms_simulator::Timing;
use rtms_simulator::faults::{Cut, Faults};

use crate::failover::{at, survive};
use crate::system::{Setup, timing};

/// Deadlines that a test can wait for; ample for a socket of this machine, however busy it is.
const SOON: Duration = Duration::from_secs(2);
/// After this long without a word a socket is dead; Zoom speaks fifteen times as often.
const SILENCE: Duration = Duration::from_secs(3);

fn brisk() -> Setup {
    Setup::default().timeouts(Timeouts { connect: SOON, handshake: SOON, ..Timeouts::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_is_accepted_and_never_answered() {
    // On the first way in, and on the way back.
    let play = async |mute_signaling| {
        let cut = vec![at(4_000, Cut::End)];
        let faults = Faults { cut_signaling: cut, mute_signaling, ..Faults::default() };
        let survived = survive(brisk(), faults, 24_000).await.without_duplicates();
        assert!(survived.connections.signaling_handshakes >= 3, "{:?}", survived.connections);
    };
    tokio::join!(play(0..2), play(1..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_accepted_and_never_answered() {
    let play = async |mute_media| {
        let cut = vec![at(4_000, Cut::End)];
        let faults = Faults { cut_media: cut, mute_media, ..Faults::default() };
        let survived = survive(brisk(), faults, 24_000).await.without_duplicates();
        assert!(survived.connections.media_handshakes >= 3, "{:?}", survived.connections);
    };
    tokio::join!(play(0..2), play(1..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_is_accepted_and_tls_never_begins() {
    // Signaling on the first way in; media, which is the connection after the first two, on the way back.
    let play = async |stall_connections| {
        let cut = vec![at(4_000, Cut::End)];
        let faults = Faults { cut_media: cut, stall_connections, ..Faults::default() };
        survive(brisk(), faults, 24_000).await.without_duplicates();
    };
    tokio::join!(play(0..2), play(2..4));
}

/// Zoom notices nothing by itself; we do.
fn attentive() -> Setup {
    let keep_alive = Duration::from_millis(200);
    let timing = Timing { keep_alive, keep_alive_misses: 1_000, ..timing() };
    let timeouts =
        Timeouts { silence: SILENCE, duplicate: Duration::from_millis(300), ..Timeouts::default() };
    Setup::default().timing(timing).timeouts(timeouts)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_on_media_for_too_long() {
    let faults = Faults { cut_media: vec![at(4_000, Cut::Silence)], ..Faults::default() };
    let survived = survive(attentive(), faults, 24_000).await.without_duplicates();
    assert_eq!(survived.causes(), ["silence"]);
    let length = survived.interruptions[0]["length_ms"].as_u64().unwrap();
    assert!(u128::from(length) >= SILENCE.as_millis(), "from the last word on: {length} ms");
    assert_eq!(survived.connections.signaling_accepted, 2, "it begins with signaling");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_on_signaling_for_too_long() {
    let faults = Faults { cut_signaling: vec![at(4_000, Cut::Silence)], ..Faults::default() };
    let survived = survive(attentive(), faults, 24_000).await.without_duplicates();
    assert_eq!(survived.causes(), ["silence"]);
    assert_eq!(survived.connections.signaling_accepted, 2);
}
