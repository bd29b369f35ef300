//! Five thousand strangers who connect and do not get on, in every way there is: the next webhook is answered all the
//! same.

use axum::http::StatusCode;
use rtms_service::http::Limits;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Gateway, Worker, event, folder, settings};

/// How many of them.
const STRANGERS: usize = 5_000;
/// Descriptors that the test needs besides: the gateway's side of the connections, the outbox, a worker.
const BESIDES: usize = 2_000;

/// What a stranger has said, and never goes on from.
const BEGINNINGS: [&str; 4] = [
    "",
    "POST /api/webh",
    "POST /api/webhooks/zoom HTTP/1.1\r\nHost: x\r\nx-zm-sig",
    "POST /api/webhooks/zoom HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{\"event\":",
];

/// Takes all the descriptors that this process may have.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let needed = (STRANGERS + BESIDES) as u64;
    assert!(
        limit.maximum.is_none_or(|most| most >= needed),
        "this test needs {needed} open files: ulimit -Hn"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_connections_that_crawl_do_not_stop_the_next_webhook() {
    raise_open_files();
    assert!(Limits::default().connections + 500 < BESIDES, "the gateway's side of the connections");
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let gateway = Gateway::start(settings(dir.path(), &[worker.url()])).await;
    let mut strangers = Vec::with_capacity(STRANGERS);
    for n in 0..STRANGERS {
        let mut stream = TcpStream::connect(gateway.public).await.unwrap();
        // One that was shut out meanwhile has had its turn.
        let _ = stream.write_all(BEGINNINGS[n % BEGINNINGS.len()].as_bytes()).await;
        strangers.push(stream);
    }
    for n in 0..10 {
        let answer = gateway.deliver(&event("started", &format!("s{n}"), 1)).await;
        assert_eq!(answer.0, StatusCode::OK, "webhook {n}: {}", answer.1);
    }
    assert_eq!(worker.wait_for(10).await.len(), 10);
    drop(strangers);
    gateway.stop().await;
}
