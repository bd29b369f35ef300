//! The worker's internal API, as the contract has it.

use rtms_protocol::Product;
use rtms_simulator::faults::Faults;
use serde_json::{Value, json};

use crate::system::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn health_lists_what_is_active() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::ContactCenter, 24_000);
    let plan = system.plan(Product::ContactCenter, "abc123", "xyz789", program, Faults::default());
    let look = async {
        let engagement = system.until_state("xyz789", "streaming").await;
        assert_eq!((&engagement["id"], &engagement["product"]), (&json!("abc123"), &json!("contact_center")));
        let (status, health) = system.get("/health").await;
        assert_eq!(status, 200);
        let keys: Vec<_> = health.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["activeEngagements", "engagements", "status", "timestamp"]);
        assert_eq!((&health["status"], &health["activeEngagements"]), (&json!("ok"), &json!(1)));
        assert_eq!(health["engagements"], json!(["abc123"]));
        let timestamp = health["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
        let (_, all) = system.get("/engagements").await;
        assert_eq!(all.as_array().unwrap().len(), 1);
    };
    let (outcome, ()) = tokio::join!(system.play(plan), look);
    assert!(outcome.is_complete());
    system.finished("xyz789").await;
    let (_, recordings) = system.get("/recordings").await;
    assert_eq!(recordings[0]["rtms_stream_id"], "xyz789");
    let (status, recording) = system.get("/recordings/xyz789").await;
    assert_eq!((status, &recording["state"]), (200, &json!("complete")));
    assert_eq!(system.get("/recordings/other").await.0, 404);
    assert_eq!(system.get("/engagements/other").await.0, 404);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_answered_with_their_status() {
    let system = Setup::default().start().await;
    let body = |event: &str, payload: Value| json!({"event": event, "event_ts": 1_000, "payload": payload});
    let cases = [
        (body("meeting.rtms_stopped", json!({"meeting_uuid": "m", "rtms_stream_id": "s"})), "not_active"),
        (body("meeting.rtms_interrupted", json!({"meeting_uuid": "m", "rtms_stream_id": "s"})), "not_active"),
        (body("meeting.started", json!({})), "ignored"),
        (body("rtms.concurrency_limited", json!({"concurrency_number": 2_000})), "ignored"),
        // The stop above was later: this start is over.
        (
            body(
                "meeting.rtms_started",
                json!({"meeting_uuid": "m", "rtms_stream_id": "s", "server_urls": "wss://localhost:1"}),
            ),
            "ignored",
        ),
    ];
    for (body, status) in cases {
        let (code, answer) = system.post("/webhook", &body).await;
        assert_eq!((code, &answer), (200, &json!({"received": true, "status": status})), "{body}");
    }
    let (code, answer) =
        system.post("/webhook", &body("meeting.rtms_started", json!({"meeting_uuid": "m"}))).await;
    assert_eq!(code, 400);
    assert!(answer["error"].as_str().unwrap().contains("rtms_stream_id"), "{answer}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_is_recognized_and_the_limit_holds() {
    let system = Setup::default().worker("RTMS_MAX_ENGAGEMENTS", "1").start().await;
    let started = |stream: &str, url: &str| json!({"event": "meeting.rtms_started", "payload": {"meeting_uuid": "m", "rtms_stream_id": stream, "server_urls": url}});
    // Nobody listens there: the engagement keeps trying.
    let status = |answer: Value| answer["status"].clone();
    assert_eq!(status(system.post("/webhook", &started("a", "wss://localhost:1")).await.1), "started");
    assert_eq!(status(system.post("/webhook", &started("a", "wss://localhost:1")).await.1), "already_active");
    assert_eq!(status(system.post("/webhook", &started("a", "wss://localhost:2")).await.1), "reconnecting");
    let request = system.http.post(format!("{}/webhook", system.worker_url)).bearer_auth("hop");
    let full = request.json(&started("b", "wss://localhost:1")).send().await.unwrap();
    assert_eq!(full.status().as_u16(), 503);
    assert!(full.headers().contains_key("retry-after"));
    assert_eq!(system.get("/ready").await.0, 503);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_on_the_internal_network_learn_nothing_but_health() {
    let system = Setup::default().start().await;
    for path in ["/ready", "/metrics", "/engagements", "/recordings", "/webhook"] {
        let answer = system.http.get(format!("{}{path}", system.worker_url)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{path}");
    }
    let health = system.http.get(format!("{}/health", system.worker_url)).send().await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    let metrics =
        system.http.get(format!("{}/metrics", system.worker_url)).bearer_auth("hop").send().await.unwrap();
    let text = metrics.text().await.unwrap();
    assert!(text.contains("# HELP rtms_worker_engagements"), "{text}");
    system.stop().await;
}
