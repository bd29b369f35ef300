//! Nothing acknowledged is lost, nothing is acknowledged that is not kept.

use std::os::unix::fs::PermissionsExt as _;

use axum::http::StatusCode;

use crate::support::{Gateway, Worker, event, folder, settings};

#[tokio::test]
async fn what_waits_is_delivered_after_a_restart() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let nobody = "http://127.0.0.1:1".to_owned();
    let gateway = Gateway::start(settings(dir.path(), &[nobody])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    gateway.deliver(&event("interrupted", "s", 2)).await;
    gateway.health_until(|h| h["pendingEvents"] == 2).await;
    gateway.stop().await;
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    assert_eq!(worker.wait_for(2).await, ["started s", "interrupted s"]);
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
}

#[tokio::test]
async fn the_data_folder_is_private() {
    let dir = folder();
    let data = dir.path().join("made/by/gateway");
    let gateway = Gateway::start(settings(&data, &["http://127.0.0.1:1".to_owned()])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    gateway.stop().await;
}

#[tokio::test]
async fn two_gateways_do_not_share_a_folder() {
    let dir = folder();
    let gateway = Gateway::start(settings(dir.path(), &["http://127.0.0.1:1".to_owned()])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    let second = Gateway::start(settings(dir.path(), &["http://127.0.0.1:1".to_owned()])).await;
    let error = second.task.await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with("GATEWAY_DATA_DIR: ") && error.contains("another gateway"), "{error}");
}

#[tokio::test]
async fn two_hundred_deliveries_at_once_are_all_kept_and_forwarded() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = std::sync::Arc::new(Gateway::start(settings(dir.path(), &[worker.url()])).await);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let gateway = std::sync::Arc::clone(&gateway);
        tasks.spawn(async move { gateway.deliver(&event("started", &format!("s{n}"), 1)).await.0 });
    }
    while let Some(status) = tasks.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    let mut arrived = worker.wait_for(200).await;
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived.len(), 200);
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
}
