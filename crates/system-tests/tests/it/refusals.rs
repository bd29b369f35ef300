//! What must not be joined is not, and costs the others nothing.

use rtms_protocol::{Product, StatusCode};
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::{Program, Scenario};
use serde_json::json;

use crate::system::{Setup, manifests};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_stream_fails_alone_and_is_not_hammered() {
    // The Video SDK stream is signed with other credentials than ours: Zoom refuses the signature for good.
    let setup = Setup::default().video_sdk("another-key", "another-secret");
    let system = setup.waits_for_nobody().start().await;
    let bad = system.plan(
        Product::VideoSdk,
        "bad",
        "refused",
        system.simulator.usual_program(Product::VideoSdk, 24_000),
        Faults::default(),
    );
    let good = system.plan(
        Product::Phone,
        "good",
        "good",
        system.simulator.usual_program(Product::Phone, 24_000),
        Faults::default(),
    );
    let (bad, good) = tokio::join!(system.play(bad), system.play(good));
    assert!(good.is_complete());
    assert_eq!(bad.played.audio_packets, 0);
    assert_eq!(system.finished("refused").await["state"], "failed");
    assert_eq!(system.finished("good").await["state"], "complete");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_zoom_refuses_is_left_out() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::Meeting, 6_000);
    let faults = Faults { refuse_media: vec![StatusCode::VideoNotSupported], ..Faults::default() };
    let recorded = system.record_with(Product::Meeting, program, faults).await;
    assert_eq!(recorded.manifest["state"], "complete");
    assert_eq!(recorded.manifest["missing"], json!(["video"]));
    recorded.any_track("audio");
    recorded.any_track("transcript");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_zoom_does_not_offer_is_left_out() {
    let system = Setup::default().start().await;
    let scenario = Scenario::of(Product::Meeting, 6_000).without(rtms_protocol::MediaKind::Transcript);
    let program = Program::new(scenario, Content::built_in());
    let recorded = system.record_with(Product::Meeting, program, Faults::default()).await;
    assert_eq!(recorded.manifest["missing"], json!(["transcript"]));
    recorded.any_track("video");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_and_duplicate_refusals_are_tried_again() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::Phone, 12_000);
    let faults = Faults {
        refuse_signaling: vec![StatusCode::InternalException],
        refuse_media: vec![StatusCode::InternalException],
        ..Faults::default()
    };
    let recorded = system.record_with(Product::Phone, program, faults).await;
    assert_eq!(recorded.manifest["state"], "complete");
    assert!(recorded.outcome.played.complete, "what was said before the way in was buffered");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_schemes_that_are_not_allowed() {
    let system = Setup::default().start().await;
    let started = |url: &str| {
        json!({"event": "meeting.rtms_started", "event_ts": 1, "payload":
            {"meeting_uuid": "m", "rtms_stream_id": "evil", "server_urls": url}})
    };
    for url in [
        "wss://evil.example/x",
        "wss://localhost.evil.example",
        "wss://localhost@evil.example",
        "ws://localhost:1",
        "http://localhost:1",
        "wss://localhost:1,wss://evil.example",
    ] {
        let (status, answer) = system.post("/webhook", &started(url)).await;
        assert_eq!(status, 422, "{url}: {answer}");
    }
    assert!(manifests(&system.data()).is_empty(), "nothing was written");
    let (_, health) = system.get("/health").await;
    assert_eq!(health["activeEngagements"], 0);
    system.stop().await;
}
