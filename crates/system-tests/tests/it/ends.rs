//! The ways a recording ends: asked by us, by our own stop, revoked.

use rtms_protocol::{Product, StopReason};
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::{Program, Scenario};
use serde_json::json;

use crate::files::samples;
use crate::system::{Setup, manifests};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_asks_zoom_to_end_the_stream() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::Phone, 60_000);
    let plan = system.plan(Product::Phone, "p", "asked", program, Faults::default());
    let ask = async {
        system.until_state("asked", "streaming").await;
        let (status, _) = system.post("/engagements/asked/stop", &json!({})).await;
        assert_eq!(status, 202);
    };
    let (outcome, ()) = tokio::join!(system.play(plan), ask);
    assert_eq!(outcome.played.stop_reason, Some(StopReason::ReceiverRequestClose));
    let manifest = system.finished("asked").await;
    assert_eq!((&manifest["state"], &manifest["stop_reason"]["code"]), (&json!("complete"), &json!(20)));
    let (status, _) = system.post("/engagements/asked/stop", &json!({})).await;
    assert_eq!(status, 404, "it is no longer active");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_keeps_what_was_said() {
    let mut system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::Phone, 24_000);
    let plan = system.plan(Product::Phone, "p", "left", program, Faults::default());
    let identity = plan.identity.clone();
    let stream = system.simulator.announce(identity.clone(), plan.program, plan.faults).unwrap();
    let started = rtms_simulator::webhook::started(
        &identity,
        stream.signaling_url(),
        stream.time_zero().0,
        plan.layout,
    );
    assert!(system.sender.deliver(&started).await.accepted());
    system.until_state("left", "streaming").await;
    system
        .until("a second was recorded", || {
            let folder = std::fs::read_dir(system.data().join("audio")).ok()?;
            let file = folder.flatten().next()?.path();
            (std::fs::metadata(file).ok()?.len() > 32_000).then_some(())
        })
        .await;
    system.stop_worker().await;
    let manifest = manifests(&system.data()).pop().unwrap();
    assert_eq!(manifest["state"], "recording", "the next worker goes on with it");
    let file = system.data().join(manifest["tracks"][0]["file"].as_str().unwrap());
    assert!(samples(&file).len() > 16_000);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_recording_is_deleted_at_once() {
    let system = Setup::default().start().await;
    let mut scenario = Scenario::of(Product::Meeting, 6_000);
    scenario.stop_reason = StopReason::StreamRevoked;
    let program = Program::new(scenario, Content::built_in());
    let recorded = system.record_with(Product::Meeting, program, Faults::default()).await;
    assert_eq!(recorded.manifest["state"], "revoked");
    assert_eq!(recorded.manifest["tracks"], json!([]));
    assert!(recorded.manifest["deletion"]["files"].as_u64().unwrap() >= 3);
    assert_eq!(content_files(&system.data()), Vec::<std::path::PathBuf>::new());
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_comes_after_the_end_deletes_too() {
    let system = Setup::default().start().await;
    let recorded = system.record(Product::Phone, 6_000).await;
    assert_eq!(recorded.manifest["state"], "complete");
    assert!(!content_files(&system.data()).is_empty());
    let identity = recorded.outcome.played.identity.clone();
    let stopped = rtms_simulator::webhook::stopped(&identity, StopReason::StreamRevoked, Default::default());
    assert!(system.sender.deliver(&stopped).await.accepted());
    system
        .until("the recording is gone", || (manifests(&system.data())[0]["state"] == "revoked").then_some(()))
        .await;
    assert!(content_files(&system.data()).is_empty());
    system.stop().await;
}

/// Every file below the data folder that is not a manifest.
fn content_files(data: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for kind in ["audio", "video", "share", "transcripts", "chat"] {
        let Ok(folder) = std::fs::read_dir(data.join(kind)) else { continue };
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files
}
