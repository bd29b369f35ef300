//! What a client meets that comes to a server which has died, forgotten everything, or does not answer.

use std::time::Duration;

use rtms_protocol::Product;
use rtms_simulator::faults::{Cut, Death, Faults};
use rtms_simulator::{Notice, pcm};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, Stage, config, handshake, media_handshake, ready, received};
use crate::flow::sound;

/// Long enough to be sure that nothing comes.
const QUIET: Duration = Duration::from_millis(300);

async fn answers_nothing(client: &mut Client) {
    assert!(tokio::time::timeout(QUIET, client.try_next()).await.is_err(), "neither an answer nor an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_at_another_server() {
    let death = Death { at_ms: 3_000, how: Cut::End, refuses: None, announced_after_ms: 500 };
    let faults = Faults { server_dies: vec![death], repeat_packets: 25, ..Faults::default() };
    let mut stage = Stage::with(config(2.0), Product::Phone, 6_000, faults).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    let mut messages = media.rest().await;
    assert!(signaling.rest().await.iter().all(|message| message["msg_type"] != 6), "nobody says goodbye");

    let mut late = stage.open("signaling").await;
    late.send(&handshake()).await;
    assert_eq!(late.try_next().await, None, "the dead server ends what comes to it");

    let moved = Notice::Moved { signaling_url: format!("{}/server-1/signaling", base(&stage)) };
    assert_eq!(stage.stream.notice().await, Some(moved), "and that is all that Zoom tells");
    let mut signaling = stage.open("server-1/signaling").await;
    signaling.send(&handshake()).await;
    let urls = &signaling.next().await["media_server"]["server_urls"];
    assert_eq!(urls["all"], format!("{}/server-1/media/all", base(&stage)));
    let mut media = stage.media("server-1/media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    messages.extend(media.rest().await);
    let played = stage.stream.ended().await;
    let packets: Vec<_> = messages.iter().map(received).collect();
    assert_eq!(sound(&played, &packets)["0"], pcm::bytes(&played.tracks[0].pcm()));
    assert_eq!(played.tracks[0].packets.len(), 300, "nothing is missing");
    let seen = played.connections;
    assert_eq!((seen.signaling_accepted, seen.media_accepted), (2, 2));
    assert_eq!((seen.most_signaling, seen.most_media, seen.duplicates), (1, 1, 0));
}

fn base(stage: &Stage) -> String {
    stage.stream.signaling_url().trim_end_matches("/signaling").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_stream_is_unknown() {
    let faults = Faults { forget_at_ms: Some(500), ..Faults::default() };
    let mut stage = Stage::with(config(1.0), Product::Phone, 60_000, faults).await;
    let mut signaling = stage.signaling().await;
    signaling.rest().await;
    assert_eq!(stage.stream.notice().await, Some(Notice::Forgotten));
    let mut client = stage.open("signaling").await;
    client.send(&handshake()).await;
    assert_eq!(client.next().await["status_code"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_stay_without_an_answer_as_planned() {
    let faults = Faults { mute_signaling: 0..1, mute_media: 0..1, ..Faults::default() };
    let stage = Stage::with(config(1.0), Product::Phone, 60_000, faults).await;
    let mut client = stage.open("signaling").await;
    client.send(&handshake()).await;
    answers_nothing(&mut client).await;
    let _signaling = stage.signaling().await;
    let mut client = stage.open("media/all").await;
    client.send(&media_handshake(1, json!({}))).await;
    answers_nothing(&mut client).await;
    stage.media("media/all", 1, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_stalled_as_planned() {
    let faults = Faults { stall_connections: 0..1, ..Faults::default() };
    let stage = Stage::with(config(1.0), Product::Phone, 60_000, faults).await;
    let mut tcp = tokio::net::TcpStream::connect(stage.simulator.address()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(QUIET, tcp.read_u8()).await.is_err(), "neither a byte nor an end");
    stage.signaling().await;
    assert_eq!(stage.simulator.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_the_door_closed_waits_and_is_let_in() {
    let stage = Stage::of(Product::Phone, 60_000, 1.0).await;
    stage.simulator.close_door();
    let joining = async {
        stage.signaling().await;
    };
    tokio::pin!(joining);
    assert!(tokio::time::timeout(QUIET, &mut joining).await.is_err(), "nobody is let in");
    stage.simulator.open_door();
    joining.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_is_counted_whether_it_is_refused_or_replaces() {
    for second_connection in
        [rtms_simulator::SecondConnection::Refuse, rtms_simulator::SecondConnection::Replace]
    {
        let config = rtms_simulator::SimulatorConfig { second_connection, ..config(1.0) };
        let stage = Stage::with(config, Product::Phone, 60_000, Faults::default()).await;
        let _first = stage.signaling().await;
        let mut second = stage.open("signaling").await;
        second.send(&handshake()).await;
        second.next().await;
        let seen = stage.stream.played().connections;
        let most = if second_connection == rtms_simulator::SecondConnection::Replace { 2 } else { 1 };
        assert_eq!((seen.duplicates, seen.most_signaling, seen.signaling_handshakes), (1, most, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulator_that_is_shut_down_is_gone() {
    let stage = Stage::of(Product::Phone, 60_000, 1.0).await;
    let mut signaling = stage.signaling().await;
    stage.simulator.shut_down();
    signaling.rest().await;
    let gone = async { while tokio::net::TcpStream::connect(stage.simulator.address()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the port is closed");
}
