//! A stream's clock waits for whoever its faults are meant for, and nothing is lost by that.

use std::time::Duration;

use rtms_protocol::Product;
use rtms_simulator::faults::{Cut, CutAt, Faults};
use rtms_simulator::scenario::{Program, Scenario};
use rtms_simulator::{Simulator, SimulatorConfig, content::Content, pcm};
use serde_json::json;

use crate::client::{Client, Stage, config, ready, received};
use crate::flow::sound;

/// Much longer than these calls take of themselves.
const LATE: Duration = Duration::from_millis(300);

/// A call of so many ms, 20 times as fast, with these cuts.
async fn call(duration_ms: i64, waits_at: Option<i64>, cuts: &[i64]) -> Stage {
    let cut_media = cuts.iter().map(|&at_ms| CutAt { at_ms, how: Cut::End }).collect();
    let config = SimulatorConfig { waits_at, ..config(20.0) };
    Stage::with(config, Product::Phone, duration_ms, Faults { cut_media, ..Faults::default() }).await
}

async fn join(stage: &Stage, signaling: &mut Client) -> Client {
    let media = stage.media("media/all", 1, json!({})).await;
    signaling.send(&ready()).await;
    media
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_falls_on_a_client_however_late_it_comes() {
    let mut stage = call(60_000, None, &[100, 200]).await;
    tokio::time::sleep(LATE).await;
    let mut signaling = stage.signaling().await;
    let mut media = join(&stage, &mut signaling).await;
    let mut messages = media.rest().await;
    assert_eq!(messages.len(), 6, "all that was due at 100 ms, and nothing of what came later");
    tokio::time::sleep(LATE).await;
    let mut media = join(&stage, &mut signaling).await;
    messages.extend(media.rest().await);
    assert_eq!(messages.len(), 11, "and at 200 ms");
    let mut media = join(&stage, &mut signaling).await;
    messages.push(media.next_of(14).await);
    stage.stream.stop(rtms_protocol::StopReason::MeetingEnded).await;
    messages.extend(media.rest().await);
    let played = stage.stream.ended().await;
    let packets: Vec<_> = messages.iter().map(received).collect();
    assert_eq!(sound(&played, &packets)["0"], pcm::bytes(&played.tracks[0].pcm()));
    assert_eq!(played.connections.media_accepted, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_for_one_moment_happens_together() {
    let faults = Faults {
        cut_media: vec![CutAt { at_ms: 400, how: Cut::End }],
        cut_signaling: vec![CutAt { at_ms: 400, how: Cut::End }],
        ..Faults::default()
    };
    let stage = Stage::with(config(20.0), Product::Phone, 60_000, faults).await;
    tokio::time::sleep(LATE).await;
    let mut signaling = stage.signaling().await;
    let mut media = join(&stage, &mut signaling).await;
    assert_eq!(media.rest().await.len(), 21);
    // Signaling does not wait for media to come back.
    signaling.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_is_never_over_before_its_client_had_it() {
    let mut stage = call(1_000, Some(200), &[600]).await;
    tokio::time::sleep(LATE).await;
    let mut signaling = stage.signaling().await;
    let mut media = join(&stage, &mut signaling).await;
    let mut messages = media.rest().await;
    tokio::time::sleep(LATE).await;
    let mut media = join(&stage, &mut signaling).await;
    messages.extend(media.rest().await);
    let played = stage.stream.ended().await;
    assert!(played.complete);
    assert_eq!(messages.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_wait_with_the_clock() {
    let scenario = Scenario::of(Product::Meeting, 5_000);
    let camera_on = scenario.cameras[0].on[0].start;
    let waits_at = Some(camera_on);
    let simulator = Simulator::start(SimulatorConfig { waits_at, ..config(20.0) }).await.unwrap();
    let program = Program::new(scenario, Content::built_in());
    let mut stage = Stage::playing(simulator, program, Faults::default());
    tokio::time::sleep(LATE).await;
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/video", 2, json!({"video": {}})).await;
    signaling.send(&ready()).await;
    media.rest().await;
    let played = stage.stream.ended().await;
    assert_eq!(played.video[0].at, played.time_zero.plus(camera_on), "from the first picture on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_nobody_ends_when_it_is_over() {
    let mut stage = call(100, None, &[]).await;
    let played = tokio::time::timeout(Duration::from_secs(10), stage.stream.ended()).await.expect("its end");
    assert!(!played.complete);
}
