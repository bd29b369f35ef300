//! Order, retries, several workers.

use std::time::Duration;

use axum::http::StatusCode;

use crate::support::{Gateway, Worker, event, folder, settings};

#[tokio::test]
async fn order_is_kept_within_a_stream_while_the_worker_fails() {
    let (dir, worker) = (folder(), Worker::start(&[500, 503, 500]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    for (n, action) in ["started", "interrupted", "interrupted", "stopped"].into_iter().enumerate() {
        // The stop's time is not later than theirs, so none of them is over.
        let ts = if action == "stopped" { 0 } else { i64::try_from(n).unwrap() + 1 };
        assert_eq!(gateway.deliver(&event(action, "s", ts)).await.0, StatusCode::OK);
    }
    let arrived = worker.wait_for(7).await;
    let mut expected = vec!["started s"; 4];
    expected.extend(["interrupted s", "interrupted s", "stopped s"]);
    assert_eq!(arrived, expected);
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    worker.refuse(Some("slow"));
    gateway.deliver(&event("started", "slow", 1)).await;
    worker.wait_for(1).await;
    gateway.deliver(&event("started", "quick", 1)).await;
    gateway.health_until(|h| h["pendingEvents"] == 1).await;
    assert!(worker.shorts().contains(&"started quick".to_owned()), "{:?}", worker.shorts());
    worker.refuse(None);
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
    assert_eq!(worker.shorts().last().unwrap(), "started slow");
}

#[tokio::test]
async fn the_first_retry_comes_within_half_a_second() {
    let (dir, worker) = (folder(), Worker::start(&[500]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    worker.wait_for(1).await;
    let began = std::time::Instant::now();
    worker.wait_for(2).await;
    // A wide margin for a loaded machine; the wait itself is tested without a clock.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_worker_that_was_away_gets_what_waited() {
    let dir = folder();
    let away = Worker::start(&[]).await;
    let address = away.address;
    let url = away.url();
    drop(away);
    let gateway = Gateway::start(settings(dir.path(), &[url])).await;
    for n in 0..20 {
        assert_eq!(gateway.deliver(&event("started", &format!("s{n}"), 1)).await.0, StatusCode::OK);
    }
    let health = gateway.health_until(|h| h["pendingEvents"] == 20).await;
    assert_eq!(health["worker"], "unreachable");
    assert_eq!(health["status"], "ok");
    let worker = Worker::start_at(address, &[]).await;
    let mut arrived = worker.wait_for(20).await;
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived.len(), 20);
    gateway.health_until(|h| h["pendingEvents"] == 0 && h["worker"] == "ok").await;
}

#[tokio::test]
async fn what_the_worker_refuses_for_good_is_dropped() {
    for code in [400, 422] {
        let (dir, worker) = (folder(), Worker::start(&[code]).await);
        let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
        gateway.deliver(&event("started", "bad", 1)).await;
        // A stop that came any earlier would make the start pointless.
        worker.wait_for(1).await;
        gateway.deliver(&event("stopped", "bad", 2)).await;
        assert_eq!(worker.wait_for(2).await, ["started bad", "stopped bad"]);
        gateway.health_until(|h| h["pendingEvents"] == 0).await;
    }
}

#[tokio::test]
async fn a_wrong_token_is_retried_until_it_is_mended() {
    let (dir, worker) = (folder(), Worker::start(&[401, 401]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    worker.wait_for(3).await;
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
    assert!(gateway.metrics().await.contains("result=\"unauthorized\""));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (dir, worker) = (folder(), Worker::start(&[307, 302]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    worker.wait_for(3).await;
}

#[tokio::test]
async fn a_stream_that_is_over_is_not_started_late() {
    let dir = folder();
    let away = Worker::start(&[]).await;
    let (address, url) = (away.address, away.url());
    drop(away);
    let gateway = Gateway::start(settings(dir.path(), &[url])).await;
    gateway.deliver(&event("started", "short", 1000)).await;
    gateway.deliver(&event("stopped", "short", 2000)).await;
    gateway.deliver(&event("started", "again", 1000)).await;
    gateway.deliver(&event("stopped", "again", 2000)).await;
    gateway.deliver(&event("started", "again", 3000)).await;
    let worker = Worker::start_at(address, &[]).await;
    let mut arrived = worker.wait_for(3).await;
    arrived.sort();
    assert_eq!(arrived, ["started again", "stopped again", "stopped short"]);
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
    assert_eq!(worker.arrived().len(), 3);
}

#[tokio::test]
async fn a_stop_that_overtakes_its_start_leaves_no_zombie() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    gateway.deliver(&event("stopped", "s", 2000)).await;
    worker.wait_for(1).await;
    gateway.deliver(&event("started", "s", 1000)).await;
    gateway.deliver(&event("started", "s", 3000)).await;
    assert_eq!(worker.wait_for(2).await, ["stopped s", "started s"]);
    gateway.health_until(|h| h["pendingEvents"] == 0).await;
    let last = worker.arrived().pop().unwrap().body;
    assert!(String::from_utf8_lossy(&last).contains("3000"));
}

#[tokio::test]
async fn a_stream_stays_with_its_worker_and_new_ones_go_to_the_least_busy() {
    let (dir, one, two) = (folder(), Worker::start(&[]).await, Worker::start(&[]).await);
    one.busy(10);
    let gateway = Gateway::start(settings(dir.path(), &[one.url(), two.url()])).await;
    // Both were asked: the gauge counts those that answer.
    gateway.health_until(|h| h["worker"] == "ok").await;
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while !gateway.metrics().await.contains("rtms_gateway_workers_reachable 2") {
        assert!(std::time::Instant::now() < deadline);
    }
    gateway.deliver(&event("started", "s", 1)).await;
    assert_eq!(two.wait_for(1).await, ["started s"]);
    // Also after a restart, and although the other one is idle now.
    gateway.stop().await;
    one.busy(0);
    two.busy(10);
    let gateway = Gateway::start(settings(dir.path(), &[one.url(), two.url()])).await;
    gateway.health_until(|h| h["worker"] == "ok").await;
    gateway.deliver(&event("stopped", "s", 2)).await;
    assert_eq!(two.wait_for(2).await, ["started s", "stopped s"]);
    assert!(one.arrived().is_empty());
}

#[tokio::test]
async fn a_dead_or_full_worker_is_passed_over() {
    let dir = folder();
    let dead = Worker::start(&[]).await;
    let dead_url = dead.url();
    drop(dead);
    let (full, good) = (Worker::start(&[503]).await, Worker::start(&[]).await);
    good.busy(100);
    let gateway = Gateway::start(settings(dir.path(), &[dead_url, full.url(), good.url()])).await;
    gateway.deliver(&event("started", "s", 1)).await;
    assert_eq!(good.wait_for(1).await, ["started s"]);
    gateway.deliver(&event("stopped", "s", 2)).await;
    assert_eq!(good.wait_for(2).await, ["started s", "stopped s"]);
    assert!(full.arrived().len() <= 1);
}
