//! A stream from its handshake to its end, and what was sent compared with what the simulator says it sent.

use std::collections::BTreeMap;

use rtms_protocol::{MediaKind, Product, StopReason};
use rtms_simulator::Played;
use rtms_simulator::faults::Faults;
use rtms_simulator::pcm;
use rtms_simulator::scenario::Scenario;
use rtms_simulator::{
    Simulator,
    content::{Content, LEFT},
    scenario::Program,
};
use serde_json::{Value, json};

use crate::client::{Received, STREAM, Stage, config, ready, received};

/// Sound of each `user_id`, put where its timestamps say.
pub(crate) fn sound(played: &Played, packets: &[Received]) -> BTreeMap<String, Vec<u8>> {
    let mut tracks: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for packet in packets.iter().filter(|p| p.kind == MediaKind::Audio) {
        let track = tracks.entry(packet.who.clone()).or_default();
        let rate = usize::try_from(played.tracks[0].sample_rate).unwrap();
        let frame = usize::from(played.tracks[0].channels) * 2;
        let at = usize::try_from(packet.timestamp - played.time_zero.0).unwrap() * rate / 1000 * frame;
        track.resize(track.len().max(at + packet.bytes.len()), 0);
        track[at..at + packet.bytes.len()].copy_from_slice(&packet.bytes);
    }
    tracks
}

fn all(messages: &[Value]) -> Vec<Received> {
    messages.iter().filter(|m| m["msg_type"].as_i64().is_some_and(|t| t >= 14)).map(received).collect()
}

fn subscribe(events: &[i64]) -> Value {
    let events: Vec<Value> = events.iter().map(|e| json!({"event_type": e, "subscribe": true})).collect();
    json!({"msg_type": 5, "events": events})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engagement_with_separate_channels() {
    let mut stage = Stage::of(Product::ContactCenter, 24_000, 20.0).await;
    let mut signaling = stage.signaling().await;
    signaling.send_binary(&subscribe(&[8, 9, 10, 11, 12, 13])).await;
    let mut media = stage.media("media/all", 32, json!({"audio": {"data_opt": 2}})).await;
    signaling.send_binary(&ready()).await;
    let packets = all(&media.rest().await);
    let told = signaling.rest().await;
    let played = stage.stream.ended().await;

    assert!(played.complete);
    assert_eq!(played.tracks.len(), 2);
    let heard = sound(&played, &packets);
    for track in &played.tracks {
        let who = track.party.as_ref().unwrap().user_id.to_string();
        assert_eq!(heard[&who], pcm::bytes(&track.pcm()), "{who}");
    }
    assert_eq!(played.tracks[0].pcm(), Content::built_in().voices[LEFT].samples);

    let lines: Vec<&str> =
        packets.iter().filter(|p| p.kind == MediaKind::Transcript).map(|p| p.text.as_str()).collect();
    assert_eq!(lines, played.transcript.iter().map(|l| l.text.as_str()).collect::<Vec<_>>());
    assert_eq!(lines.len(), 9);

    let events: Vec<i64> = told
        .iter()
        .filter(|m| m["msg_type"] == 6)
        .filter_map(|m| m["event"]["event_type"].as_i64())
        .collect();
    assert_eq!(events, [8, 10, 12, 13, 9, 11]);
    let hold = told.iter().find(|m| m["event"]["event_type"] == 12).unwrap();
    assert_eq!(hold["event"]["event_ts"], played.time_zero.0 + 11_500);
    assert_eq!(hold["event"]["participant_info"]["channel_id"], 2);
    let states: Vec<(i64, i64)> = told
        .iter()
        .filter(|m| m["msg_type"] == 8)
        .map(|m| (m["state"].as_i64().unwrap(), m["reason"].as_i64().unwrap()))
        .collect();
    assert_eq!(states, [(3, 21), (4, 21)]);
    assert_eq!(played.stop_reason, Some(StopReason::CustomerDisconnected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_with_a_socket_for_each_kind() {
    let mut stage = Stage::of(Product::Meeting, 14_000, 8.0).await;
    let mut signaling = stage.signaling().await;
    signaling.send(&subscribe(&[2, 3, 4, 8, 9])).await;
    let stereo = json!({"audio": {"sample_rate": 3, "channel": 2, "send_rate": 100}});
    let mut audio = stage.media("media/audio", 1, stereo).await;
    let mut video = stage.media("media/video", 2, json!({})).await;
    signaling.send(&ready()).await;
    let (audio, video) = tokio::join!(audio.rest(), video.rest());
    let told = signaling.rest().await;
    let played = stage.stream.ended().await;

    let heard = sound(&played, &all(&audio));
    assert_eq!(heard["0"], pcm::bytes(&played.tracks[0].pcm()));
    assert_eq!((played.tracks[0].sample_rate, played.tracks[0].channels), (48_000, 2));
    assert_eq!(heard["0"].len(), 14 * 48_000 * 4);

    let pictures: Vec<(i64, Vec<u8>)> = all(&video).into_iter().map(|p| (p.timestamp, p.bytes)).collect();
    let sent: Vec<(i64, Vec<u8>)> = played.video.iter().map(|p| (p.at.0, p.bytes.to_vec())).collect();
    assert!(!pictures.is_empty());
    assert_eq!(pictures, sent);
    assert!(
        !pictures.iter().any(|(at, _)| (9_000..12_000).contains(&(at - played.time_zero.0))),
        "the camera is off"
    );

    let codes: Vec<i64> = told.iter().filter_map(|m| m["event"]["event_type"].as_i64()).collect();
    for code in [2, 3, 4, 8, 9] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    assert_eq!(played.stop_reason, Some(StopReason::MeetingEnded));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_flows_before_the_client_is_ready_and_then_all_of_it() {
    let mut stage = Stage::of(Product::Phone, 6_000, 4.0).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(150), media.next()).await;
    assert!(early.is_err(), "{early:?}");
    signaling.send(&ready()).await;
    let packets = all(&media.rest().await);
    let played = stage.stream.ended().await;
    assert_eq!(packets[0].timestamp, played.time_zero.0, "what was said before is delivered first");
    assert_eq!(packets.len(), 300);
    assert!(played.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_buffer_can_be_dropped() {
    let mut stage = Stage::of(Product::Phone, 6_000, 4.0).await;
    let mut signaling = stage.open("signaling").await;
    let mut handshake = crate::client::handshake();
    handshake["buffer_data"] = json!(false);
    signaling.send(&handshake).await;
    signaling.next().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    signaling.send(&ready()).await;
    let packets = all(&media.rest().await);
    let played = stage.stream.ended().await;
    assert!(packets[0].timestamp >= played.time_zero.0 + 1_000);
    let heard = sound(&played, &packets);
    assert_eq!(heard["0"], pcm::bytes(&played.tracks[0].pcm()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_for_the_end() {
    let mut stage = Stage::of(Product::VideoSdk, 600_000, 10.0).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 32, json!({})).await;
    signaling.send(&ready()).await;
    media.next_of(14).await;
    signaling.send(&json!({"msg_type": 21, "rtms_stream_id": STREAM})).await;
    assert_eq!(signaling.next_of(22).await["status_code"], 0);
    media.rest().await;
    let told = signaling.rest().await;
    let played = stage.stream.ended().await;
    assert_eq!(played.stop_reason, Some(StopReason::ReceiverRequestClose));
    let states: Vec<&Value> = told.iter().filter(|m| m["msg_type"] == 8).map(|m| &m["state"]).collect();
    assert_eq!(states, [&json!(3), &json!(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_announced_and_nothing_is_captured() {
    let simulator = Simulator::start(config(3.0)).await.unwrap();
    let scenario = Scenario::of(Product::Phone, 6_000).paused(2_000..4_000);
    let mut stage = Stage::playing(simulator, Program::new(scenario, Content::built_in()), Faults::default());
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    let packets = all(&media.rest().await);
    let told = signaling.rest().await;
    let played = stage.stream.ended().await;
    let zero = played.time_zero.0;
    assert!(!packets.iter().any(|p| (2_000..4_000).contains(&(p.timestamp - zero))));
    assert_eq!(packets.len(), 200);
    let sessions: Vec<&Value> = told.iter().filter(|m| m["msg_type"] == 9).map(|m| &m["state"]).collect();
    assert_eq!(sessions, [&json!(3), &json!(4), &json!(5)]);
    assert_eq!(sound(&played, &packets)["0"], pcm::bytes(&played.tracks[0].pcm()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_participant_is_chosen() {
    let mut stage = Stage::of(Product::Meeting, 10_000, 5.0).await;
    let camera = stage.stream.program().scenario.parties[0].user_id.clone();
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/video", 2, json!({"video": {"data_opt": 4}})).await;
    let choice = json!({"msg_type": 28, "user_id": camera, "subscribe": true, "timestamp": 1});
    signaling.send(&choice).await;
    assert_eq!(signaling.next_of(29).await["status_code"], 0);
    signaling.send(&choice).await;
    assert_eq!(signaling.next_of(29).await["status_code"], 44);
    signaling.send(&ready()).await;
    let pictures = all(&media.rest().await);
    let played = stage.stream.ended().await;
    assert!(!pictures.is_empty());
    assert_eq!(pictures.len(), played.video.len());
    assert!(pictures.iter().all(|p| p.who == camera.to_string()));
}
