//! What Zoom does when a connection fails: cuts, windows, buffers, repeats.

use std::time::Duration;

use rtms_protocol::{Product, StatusCode, StopReason};
use rtms_simulator::content::Content;
use rtms_simulator::faults::{Cut, CutAt, Faults};
use rtms_simulator::scenario::{Program, Scenario};
use rtms_simulator::{Notice, pcm};
use serde_json::json;

use crate::client::{Stage, config, handshake, quick, ready, received};
use crate::flow::sound;

async fn rejoined_after(how: Cut) {
    let faults =
        Faults { cut_media: vec![CutAt { at_ms: 3_000, how }], repeat_packets: 25, ..Faults::default() };
    let mut stage = Stage::with(config(2.0), Product::Phone, 6_000, faults).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    let mut messages = media.rest().await;
    drop(media);
    let told = signaling.next_of(6).await;
    assert_eq!(told["event"]["event_type"], 7);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    let first_part = messages.len();
    messages.extend(media.rest().await);
    let played = stage.stream.ended().await;

    let packets: Vec<_> = messages.iter().map(received).collect();
    assert!(packets[first_part].timestamp < packets[first_part - 1].timestamp, "some packets are repeated");
    assert_eq!(sound(&played, &packets)["0"], pcm::bytes(&played.tracks[0].pcm()));
    assert_eq!(played.tracks[0].packets.len(), 300, "nothing is missing");
    assert!(played.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_socket_that_is_closed_comes_back() {
    rejoined_after(Cut::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_socket_that_just_ends_comes_back() {
    rejoined_after(Cut::End).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_socket_that_is_reset_comes_back() {
    rejoined_after(Cut::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_lasts_until_the_client_goes() {
    let stage = Stage::of(Product::Phone, 300_000, 10.0).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    media.next_of(14).await;
    stage.stream.cut_media(Cut::Silence);
    let quiet = async { while tokio::time::timeout(Duration::from_secs(1), media.next()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), quiet).await.expect("packets every 2 ms have stopped");
    drop(media);
    assert_eq!(signaling.next_of(6).await["event"]["event_type"], 7);
    let mut media = stage.media("media/all", 1, json!({})).await;
    media.next_of(14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_keep_alives_cut_signaling_and_media() {
    let mut config = config(1.0);
    config.timing = quick();
    let mut stage = Stage::with(config, Product::Phone, 60_000, Faults::default()).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 8, json!({})).await;
    signaling.send(&ready()).await;
    let keeping = tokio::spawn(async move { media.rest().await });
    let mut sequences = Vec::new();
    while let Some(message) = signaling.try_next().await {
        sequences.push(message["sequence"].as_i64().unwrap());
    }
    assert_eq!(sequences, [1, 2, 3]);
    drop(signaling);
    keeping.await.unwrap();
    assert_eq!(stage.stream.notice().await, Some(Notice::Interrupted));
    assert_eq!(stage.stream.notice().await, Some(Notice::Ended(StopReason::AwaitReconnectionTimeout)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_comes_ends_the_stream() {
    let mut config = config(1.0);
    config.timing = quick();
    let mut stage = Stage::with(config, Product::Phone, 60_000, Faults::default()).await;
    let played = stage.stream.ended().await;
    assert_eq!(played.stop_reason, Some(StopReason::ConnectionTimeout));
    assert!(!played.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_that_drops_takes_media_along_and_both_return() {
    let faults = Faults { cut_signaling: vec![CutAt { at_ms: 3_000, how: Cut::End }], ..Faults::default() };
    let mut stage = Stage::with(config(2.0), Product::Phone, 6_000, faults).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    let mut messages = media.rest().await;
    signaling.rest().await;
    assert_eq!(stage.stream.notice().await, Some(Notice::Interrupted));
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    messages.extend(media.rest().await);
    let played = stage.stream.ended().await;
    let packets: Vec<_> = messages.iter().map(received).collect();
    assert_eq!(sound(&played, &packets)["0"], pcm::bytes(&played.tracks[0].pcm()));
    assert_eq!(packets.len(), 300);
}

#[tokio::test]
async fn handshakes_are_refused_as_planned() {
    let faults = Faults {
        refuse_signaling: vec![StatusCode::InternalException, StatusCode::DuplicateSignalRequest],
        refuse_media: vec![StatusCode::DuplicateMediaConnection],
        ..Faults::default()
    };
    let stage = Stage::with(config(1.0), Product::Phone, 60_000, faults).await;
    for code in [45, 8] {
        let mut client = stage.open("signaling").await;
        client.send(&handshake()).await;
        assert_eq!(client.next().await["status_code"], code);
    }
    let _signaling = stage.signaling().await;
    let mut client = stage.open("media/all").await;
    client.send(&crate::client::media_handshake(1, json!({}))).await;
    assert_eq!(client.next().await["status_code"], 16);
    stage.media("media/all", 1, json!({})).await;
}

/// The texts of the lines that are in doubt, after a socket that has just brought its second line ends like this.
async fn in_doubt_after(how: Cut) -> Vec<String> {
    // Not faster than life: what was sent in the last two seconds of the call is in doubt, and the cut comes in real time.
    let mut stage = Stage::of(Product::Phone, 10_000, 1.0).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 8, json!({})).await;
    signaling.send(&ready()).await;
    let mut lines = vec![media.next_of(17).await, media.next_of(17).await];
    stage.stream.cut_media(how);
    media.rest().await;
    drop(media);
    signaling.next_of(6).await;
    let mut media = stage.media("media/all", 8, json!({})).await;
    lines.extend(media.rest().await);
    let played = stage.stream.ended().await;
    let texts: Vec<_> = lines.iter().map(|line| received(line).text).collect();
    let sent: Vec<_> = played.transcript.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, sent, "a line is sent once");
    played.transcript.into_iter().filter(|line| line.in_doubt).map(|line| line.text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_right_before_a_reset_may_not_have_arrived() {
    let program = Program::new(Scenario::of(Product::Phone, 10_000), Content::built_in());
    assert_eq!(in_doubt_after(Cut::Reset).await, [program.cues[1].text.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_before_any_other_end_arrives() {
    assert!(in_doubt_after(Cut::End).await.is_empty());
    assert!(in_doubt_after(Cut::Close).await.is_empty());
}
