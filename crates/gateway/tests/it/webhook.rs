//! The answers Zoom and strangers get.

use axum::http::StatusCode;
use rtms_protocol::sign_webhook;
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Gateway, SECRET, Worker, client, contains, event, folder, keys, on_disk, settings};

fn now() -> i64 {
    rtms_service::time::unix_millis() / 1000
}

fn sign(secret: &str, seconds: i64, body: &str) -> String {
    sign_webhook(&SecretString::from(secret), seconds, body.as_bytes())
}

/// Posts `body` signed with `secret` at `seconds`.
async fn post_signed(gateway: &Gateway, secret: &str, seconds: i64, body: &str) -> StatusCode {
    let signature = sign(secret, seconds, body);
    let headers = [("x-zm-request-timestamp", seconds.to_string()), ("x-zm-signature", signature)];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    gateway.post(body.to_owned(), &headers).await.0
}

#[tokio::test]
async fn a_verified_event_is_received_and_forwarded_byte_for_byte() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let mut settings = settings(dir.path(), &[worker.url()]);
    settings.internal_token = Some(SecretString::from("inner"));
    let gateway = Gateway::start(settings).await;
    let body = event("started", "xyz789", 1);
    let (status, answer) = gateway.deliver(&body).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"received": true})));
    worker.wait_for(1).await;
    let arrived = worker.arrived().remove(0);
    assert_eq!(arrived.body, body.to_string());
    assert_eq!(arrived.headers["content-type"], "application/json");
    assert_eq!(arrived.headers["authorization"], "Bearer inner");
    gateway.health_until(|h| h["pendingEvents"] == 0 && h["worker"] == "ok").await;
    gateway.stop().await;
}

#[tokio::test]
async fn the_second_path_works_too() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    let body = event("started", "s", 1).to_string();
    let at = now();
    let request = client()
        .post(format!("http://{}/webhook", gateway.public))
        .header("x-zm-request-timestamp", at)
        .header("x-zm-signature", sign(SECRET, at, &body))
        .body(body);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    worker.wait_for(1).await;
}

#[tokio::test]
async fn what_is_not_signed_by_zoom_is_401_and_leaves_no_trace() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    gateway.health_until(|h| h["worker"] == "ok").await;
    let body = event("started", "forged-stream", 1).to_string();
    let before = on_disk(dir.path()).len();
    assert_eq!(gateway.post(body.clone(), &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(gateway.post("rubbish", &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(gateway.post(vec![0xff, 0xfe], &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(gateway.post("", &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post_signed(&gateway, "other", now(), &body).await, StatusCode::UNAUTHORIZED);
    for off in [-301, 310, -86_400] {
        assert_eq!(
            post_signed(&gateway, SECRET, now() + off, &body).await,
            StatusCode::UNAUTHORIZED,
            "{off}"
        );
    }
    let signature = sign(SECRET, now(), &body);
    for (timestamp, signature) in [
        ("", signature.as_str()),
        ("nonsense", signature.as_str()),
        (&now().to_string(), "v0="),
        (&now().to_string(), &signature[3..]),
        (&(now() - 1).to_string(), signature.as_str()),
    ] {
        let headers = [("x-zm-request-timestamp", timestamp), ("x-zm-signature", signature)];
        assert_eq!(gateway.post(body.clone(), &headers).await.0, StatusCode::UNAUTHORIZED);
    }
    for n in 0..200 {
        let forged = format!("{{\"event\":\"meeting.rtms_started\",\"n\":{n}}}");
        assert_eq!(post_signed(&gateway, "guess", now(), &forged).await, StatusCode::UNAUTHORIZED);
    }
    let (_, answer) = gateway.post(body, &[]).await;
    assert!(answer["error"].is_string(), "{answer}");
    assert_eq!(gateway.health().await["pendingEvents"], 0);
    assert!(worker.arrived().is_empty());
    assert!(!contains(&on_disk(dir.path()), "forged-stream"));
    assert_eq!(on_disk(dir.path()).len(), before, "the data folder changed");
    let metrics = gateway.metrics().await;
    for reason in ["missing", "malformed", "stale", "mismatch"] {
        assert!(
            metrics.contains(&format!("rtms_gateway_verify_failures_total{{reason=\"{reason}\"}}")),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn signed_rubbish_is_400() {
    let dir = folder();
    let gateway = Gateway::start(settings(dir.path(), &["http://127.0.0.1:1".to_owned()])).await;
    for body in ["rubbish", "", "[]", "{}", "{\"event\":7}", "\"text\"", "{\"payload\":{}}"] {
        assert_eq!(post_signed(&gateway, SECRET, now(), body).await, StatusCode::BAD_REQUEST, "{body}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(post_signed(&gateway, SECRET, now(), &deep).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn other_verified_events_are_200_and_not_forwarded() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    for name in ["meeting.started", "rtms.concurrency_limited", "rtms.start_failed", "x"] {
        let body = json!({"event": name, "event_ts": 1, "payload": {"concurrency_number": 2000}});
        assert_eq!(gateway.deliver(&body).await.0, StatusCode::OK, "{name}");
    }
    let nameless = json!({"event": "meeting.rtms_started", "payload": {"meeting_uuid": "m"}});
    assert_eq!(gateway.deliver(&nameless).await.0, StatusCode::OK);
    gateway.deliver(&event("started", "last", 1)).await;
    assert_eq!(worker.wait_for(1).await, ["started last"]);
}

#[tokio::test]
async fn url_validation_is_answered_signed_or_not() {
    let dir = folder();
    let mut settings = settings(dir.path(), &["http://127.0.0.1:1".to_owned()]);
    settings.keys = Some(keys(&["new", "old"]));
    let gateway = Gateway::start(settings).await;
    let body = json!({"event": "endpoint.url_validation", "event_ts": 1,
        "payload": {"plainToken": "q9ibPhGeRZ6ayx5WTrXjRw"}})
    .to_string();
    // printf q9ibPhGeRZ6ayx5WTrXjRw | openssl dgst -sha256 -hmac new
    let expected = json!({"plainToken": "q9ibPhGeRZ6ayx5WTrXjRw",
        "encryptedToken": "81edc891ad87552f15cda8c69c7c2c315f86ad81d0da30140cd3a8480168cdbc"});
    assert_eq!(gateway.post(body.clone(), &[]).await, (StatusCode::OK, expected));
    assert_eq!(post_signed(&gateway, "old", now(), &body).await, StatusCode::OK);
    assert_eq!(post_signed(&gateway, "new", now(), &body).await, StatusCode::OK);
    // A signature that is there must hold, even for a harmless token.
    assert_eq!(post_signed(&gateway, "else", now(), &body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post_signed(&gateway, "new", now() - 600, &body).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn url_validation_cannot_be_used_to_forge_a_webhook() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    let forged = event("started", "forged", 1).to_string();
    let seconds = now();
    let message = format!("v0:{seconds}:{forged}");
    for token in [message.as_str(), "v0:1:", "a:b", &"a".repeat(65), "a b", "é", "", "v0\u{0}:1"] {
        let body = json!({"event": "endpoint.url_validation", "payload": {"plainToken": token}});
        let (status, answer) = gateway.post(body.to_string(), &[]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(answer.get("encryptedToken").is_none());
        // Not even for somebody who can sign: a key that never signs such a text cannot be misused.
        let (status, answer) = gateway.deliver(&body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{token}");
        assert!(answer.get("encryptedToken").is_none());
    }
    assert!(worker.arrived().is_empty());
}

#[tokio::test]
async fn any_of_several_secrets_verifies() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let mut settings = settings(dir.path(), &[worker.url()]);
    settings.keys = Some(keys(&["new", "old"]));
    let gateway = Gateway::start(settings).await;
    for (n, secret) in ["new", "old"].into_iter().enumerate() {
        let body = event("started", &format!("s{n}"), 1).to_string();
        assert_eq!(post_signed(&gateway, secret, now(), &body).await, StatusCode::OK);
    }
    let body = event("started", "s9", 1).to_string();
    assert_eq!(post_signed(&gateway, "older", now(), &body).await, StatusCode::UNAUTHORIZED);
    worker.wait_for(2).await;
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_413_signed_or_not() {
    let dir = folder();
    let gateway = Gateway::start(settings(dir.path(), &["http://127.0.0.1:1".to_owned()])).await;
    for size in [1024 * 1024 + 1, 3 * 1024 * 1024] {
        let body = "x".repeat(size);
        assert_eq!(gateway.post(body.clone(), &[]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(post_signed(&gateway, SECRET, now(), &body).await, StatusCode::PAYLOAD_TOO_LARGE);
    }
    // Chunked: no length is announced.
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    let head = "POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..17 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // Exactly 1 MiB is read, and refused for what it is.
    assert_eq!(gateway.post("x".repeat(1024 * 1024), &[]).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_404_in_json() {
    let dir = folder();
    let gateway = Gateway::start(settings(dir.path(), &["http://127.0.0.1:1".to_owned()])).await;
    for path in ["/api/webhooks/zoom", "/webhook"] {
        for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
            let request = gateway.client.request(method, format!("http://{}{path}", gateway.public));
            assert_eq!(request.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    for path in ["/", "/metrics", "/ready", "/api/webhooks/zoom/", "/engagements"] {
        let (status, answer) = gateway.get(gateway.public, path).await;
        assert_eq!((status, answer), (StatusCode::NOT_FOUND, json!({"error": "not found"})), "{path}");
    }
}

#[tokio::test]
async fn health_on_both_listeners_and_the_rest_on_one() {
    let dir = folder();
    let gateway = Gateway::start(settings(dir.path(), &["http://127.0.0.1:1".to_owned()])).await;
    for address in [gateway.public, gateway.admin] {
        let (status, health) = gateway.get(address, "/health").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(health["status"], "ok");
        assert_eq!(health["worker"], "unreachable");
        assert_eq!(health["pendingEvents"], 0);
        let timestamp = health["timestamp"].as_str().unwrap();
        assert_eq!((timestamp.len(), timestamp.ends_with('Z')), (24, true), "{timestamp}");
    }
    assert_eq!(gateway.get(gateway.admin, "/ready").await.0, StatusCode::OK);
    gateway.deliver(&event("started", "an-id", 1)).await;
    let metrics = gateway.metrics().await;
    for line in [
        "# HELP rtms_gateway_pending_events Events that wait",
        "# TYPE rtms_gateway_webhooks_total counter",
        "# HELP rtms_gateway_answer_seconds ",
        "rtms_gateway_webhooks_total{outcome=\"accepted\"}",
        "rtms_gateway_outbox_writable 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("an-id"), "an id became a label");
}

#[tokio::test]
async fn the_same_delivery_twice_is_forwarded_once() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    let body = event("started", "once", 1).to_string();
    // Zoom's repetitions carry a new timestamp and so a new signature; the body is the same.
    for ago in [0, 1, 2] {
        assert_eq!(post_signed(&gateway, SECRET, now() - ago, &body).await, StatusCode::OK);
    }
    gateway.deliver(&event("started", "another", 1)).await;
    let mut arrived = worker.wait_for(2).await;
    arrived.sort();
    assert_eq!(arrived, ["started another", "started once"]);
    gateway.stop().await;
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    assert_eq!(post_signed(&gateway, SECRET, now(), &body).await, StatusCode::OK);
    gateway.deliver(&event("started", "third", 1)).await;
    assert_eq!(worker.wait_for(3).await.last().unwrap(), "started third");
}
