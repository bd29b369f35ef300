//! Ten thousand requests that Zoom did not send, of every kind at once: nothing is forwarded, nothing is written, and
//! memory does not grow with their number.

use std::path::Path;

use axum::http::StatusCode;
use rtms_protocol::sign_webhook;
use secrecy::SecretString;
use serde_json::json;

use crate::support::{Gateway, SECRET, Worker, contains, event, folder, on_disk, settings};

/// Senders at the same time.
const SENDERS: usize = 8;
/// Requests of each, before memory is looked at for the first time and after.
const WARM_UP: usize = 250;
const REST: usize = 1_000;
/// What the process may grow by meanwhile, KiB. Were the bodies kept, it would be twice as much.
const GROWTH_KIB: u64 = 32 * 1024;

/// One forged request: its body (8 KiB) and headers.
fn forged(n: usize) -> (String, Vec<(&'static str, String)>) {
    let now = rtms_service::time::unix_millis() / 1000;
    let mut event = event("started", "forged-stream", i64::try_from(n).unwrap());
    event["padding"] = json!("x".repeat(8 * 1024));
    let body = event.to_string();
    let signed = |secret: &str, at: i64| {
        let signature = sign_webhook(&SecretString::from(secret), at, body.as_bytes());
        vec![("x-zm-request-timestamp", at.to_string()), ("x-zm-signature", signature)]
    };
    let headers = match n % 6 {
        0 => vec![],
        1 => signed("guess", now),
        2 => signed(SECRET, now - 600),
        3 => signed(SECRET, now + 600),
        4 => [signed(SECRET, now), signed(SECRET, now)].concat(),
        _ => {
            let token = format!("v0:{now}:{}", json!({"event": "meeting.rtms_started"}));
            let oracle = json!({"event": "endpoint.url_validation", "payload": {"plainToken": token}});
            return (oracle.to_string(), vec![]);
        }
    };
    (body, headers)
}

async fn flood(gateway: &Gateway, each: usize) {
    let sender = |sender: usize| async move {
        for n in 0..each {
            let (body, headers) = forged(sender + n * SENDERS);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(gateway.post(body, &headers).await.0, StatusCode::UNAUTHORIZED);
        }
    };
    futures_util::future::join_all((0..SENDERS).map(sender)).await;
}

/// How many rows a gateway that has left kept of events, streams and digests. How large the files are would say less:
/// there is a row of its own upkeep, too.
fn rows(folder: &Path) -> [i64; 3] {
    let database = rusqlite::Connection::open(folder.join("outbox.sqlite3")).unwrap();
    let count = |table| database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    ["event", "stream", "digest"].map(|table| count(table).unwrap())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forged_requests_leave_no_trace() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    gateway.health_until(|health| health["worker"] == "ok").await;
    flood(&gateway, WARM_UP).await;
    let warm = resident_kib();
    flood(&gateway, REST).await;
    let growth = resident_kib().saturating_sub(warm);
    assert!(growth < GROWTH_KIB, "{growth} KiB more");
    assert!(worker.arrived().is_empty(), "forwarded");
    assert_eq!(gateway.health().await["pendingEvents"], 0);
    assert!(!contains(&on_disk(dir.path()), "forged-stream"), "written");
    // And the next honest one is taken as if nothing had been.
    assert_eq!(gateway.deliver(&event("started", "honest", 1)).await.0, StatusCode::OK);
    assert_eq!(worker.wait_for(1).await, ["started honest"]);
    gateway.health_until(|health| health["pendingEvents"] == 0).await;
    gateway.stop().await;
    assert_eq!(
        rows(dir.path()),
        [0, 1, 1],
        "of the honest one, whose event is delivered, and of nothing else"
    );
}
