//! The server as strangers treat it: crawling, silent, many.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Router, middleware};
use rtms_service::CancellationToken;
use rtms_service::http::{InternalAuth, Limits, bind, healthy, not_found, require_internal, serve};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let auth = InternalAuth::new(Some(SecretString::from("s3cret")));
    let router = Router::new()
        .route("/health", get(|| async { "fine" }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(200)).await }))
        .route("/broken", get(broken))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(auth, require_internal));
    let listener = bind("127.0.0.1", 0, "PORT").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router, shutdown.clone(), limits));
    Server { address, shutdown, task }
}

#[expect(clippy::panic, reason = "what the test is about")]
async fn broken() {
    panic!("a fault in a handler");
}

#[tokio::test]
async fn a_broken_handler_costs_its_request_only() {
    let server = start(Limits::default()).await;
    let answer = exchange(server.address, &get_request("/broken")).await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.ends_with("{\"error\":\"internal fault\"}"), "{answer}");
    assert!(exchange(server.address, &get_request("/health")).await.starts_with("HTTP/1.1 200"));
    server.shutdown.cancel();
    server.task.await.unwrap();
}

/// Sends raw bytes and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn answers_authenticates_and_exempts_health() {
    let server = start(Limits::default()).await;
    assert!(exchange(server.address, &get_request("/health")).await.starts_with("HTTP/1.1 200"));
    assert!(exchange(server.address, &get_request("/nothing")).await.ends_with("{\"error\":\"not found\"}"));
    let open = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(exchange(server.address, open).await.starts_with("HTTP/1.1 200"));
    let closed = "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(exchange(server.address, closed).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn the_health_client_asks_a_running_service() {
    let server = start(Limits::default()).await;
    let port = server.address.port();
    let asked = tokio::task::spawn_blocking(move || healthy("0.0.0.0", port)).await.unwrap();
    assert_eq!(asked, Ok(()));
    server.shutdown.cancel();
    server.task.await.unwrap();
    let asked = tokio::task::spawn_blocking(move || healthy("127.0.0.1", port)).await.unwrap();
    assert!(asked.unwrap_err().contains("does not connect"));
}

#[tokio::test]
async fn a_head_that_crawls_is_cut_off() {
    let limits = Limits { head: Duration::from_millis(200), ..Limits::default() };
    let server = start(limits).await;
    // Neither an unfinished head nor silence holds a connection.
    for beginning in ["GET /health HTTP/1.1\r\nHost:", ""] {
        let answer = tokio::time::timeout(Duration::from_secs(5), exchange(server.address, beginning)).await;
        assert!(!answer.unwrap().contains("200 OK"));
    }
}

#[tokio::test]
async fn a_body_that_crawls_gets_408() {
    let limits = Limits { request: Duration::from_millis(200), ..Limits::default() };
    let server = start(limits).await;
    let head =
        "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nContent-Length: 9\r\n\r\nabc";
    let answer = tokio::time::timeout(Duration::from_secs(5), exchange(server.address, head)).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_body_over_the_limit_gets_413() {
    let server = start(Limits { body_bytes: 4, ..Limits::default() }).await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde";
    assert!(exchange(server.address, request).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn idle_connections_do_not_stop_the_next_request() {
    let server = start(Limits { connections: 16, ..Limits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /he").await.unwrap();
        idle.push(stream);
    }
    let request = get_request("/health");
    let asked = tokio::time::timeout(Duration::from_secs(5), exchange(server.address, &request));
    assert!(asked.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn requests_in_work_are_finished_and_then_it_ends() {
    let server = start(Limits::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "GET /slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // A second connection is accepted after the first: once it is answered, the first is in work.
    exchange(server.address, &get_request("/health")).await;
    server.shutdown.cancel();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_is_cut_at_the_deadline() {
    let limits = Limits { drain: Duration::from_millis(100), ..Limits::default() };
    let server = start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nContent-Length: 9\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    exchange(server.address, &get_request("/health")).await;
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_names_the_variable() {
    let first = bind("127.0.0.1", 0, "RTMS_PORT").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let error = bind("127.0.0.1", port, "RTMS_PORT").await.unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1);
    assert!(error.starts_with("RTMS_PORT: port ") && error.contains("in use"), "{error}");
}
