//! A server that strangers cannot stall: every wait has an end, every count a limit.
//!
//! - a request head must arrive within [`Limits::head`], which is also how long an idle connection is kept;
//! - body and answer together must be done within [`Limits::request`], so a crawling sender gets 408;
//! - bodies are cut off at [`Limits::body_bytes`];
//! - at [`Limits::connections`] the newcomer is let in and the longest idle connection is closed;
//! - a handler that breaks costs its own request (500), and each request is traced at debug level;
//! - on shutdown requests in work are finished, for at most [`Limits::drain`].
//!
//! It refuses HTTP/2 and TLS: both end at the proxy in front.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, body::Body};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use super::answer;
use super::connections::{Connections, Place};

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Time for a request head, and idle time between requests. Longer than the 60 s for which proxies keep
    /// idle connections, or they would meet a closed one; idlers are evicted when room is needed.
    pub head: Duration,
    /// Time from the head to the beginning of the answer.
    pub request: Duration,
    /// Largest body that extractors take, in bytes.
    pub body_bytes: usize,
    /// Time for requests in work after the shutdown began.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(75),
            request: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            drain: Duration::from_secs(5),
        }
    }
}

/// In the extensions of every request: cancelling it closes the request's connection. For an answer without an end
/// whose reader takes nothing any more.
#[derive(Debug, Clone)]
pub struct ConnectionCut(pub CancellationToken);

/// Serves `router` on `listener` until `shutdown`, then drains and returns.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken, limits: Limits) {
    let patience = limits.request;
    let router = router
        .layer(CatchPanicLayer::custom(broke))
        .layer(middleware::from_fn(move |request: Request, next: Next| within(patience, request, next)))
        .layer(TraceLayer::new_for_http().on_failure(()))
        .layer(DefaultBodyLimit::max(limits.body_bytes));
    let connections = Arc::new(Connections::default());
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut next_id = 0_u64;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                next_id += 1;
                let (place, evicted) = connections.enter(next_id, limits.connections, Instant::now());
                if evicted {
                    tracing::debug!("connection limit reached, closed the longest idle one");
                }
                let router = router.clone();
                let (shutdown, cut) = (shutdown.clone(), cut.clone());
                tasks.spawn(async move { drive(stream, router, place, limits, shutdown, cut).await });
            }
            Err(error) => accept_failed(&error, connections.open()).await,
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(limits.drain, tasks.wait()).await.is_err() {
        tracing::warn!(
            open = connections.open(),
            "requests did not finish in time, closing their connections"
        );
        cut.cancel();
        tasks.wait().await;
    }
}

/// One connection, from its first byte to its close.
async fn drive(
    stream: TcpStream,
    router: Router,
    place: Place,
    limits: Limits,
    shutdown: CancellationToken,
    cut: CancellationToken,
) {
    // Small answers go out at once; that this can fail changes nothing else.
    let _ = stream.set_nodelay(true);
    let place = Arc::new(place);
    let evict = place.evict.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, place) = (router.clone(), Arc::clone(&place));
        async move {
            place.working();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectionCut(place.evict.clone()));
            let answer = router.oneshot(request).await;
            place.waiting();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            // What ends a connection early is the peer's affair; there is nobody to tell.
            _ = connection.as_mut() => return,
            () = evict.cancelled() => return,
            () = cut.cancelled() => return,
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn within(patience: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => answer::error(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}

/// A fault in a handler costs its request, never the connection task or the process.
fn broke(_: Box<dyn Any + Send>) -> Response {
    tracing::error!(
        "a request handler broke; the caller gets 500 and everything else goes on; please report it"
    );
    answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal fault")
}

async fn accept_failed(error: &io::Error, open: usize) {
    // The peer was gone before it was accepted.
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(%error, open, "cannot accept a connection; trying again (too few file descriptors?)");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
