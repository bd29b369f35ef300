//! A worker that takes everything at once, so that deliveries cost the gateway what they cost and never wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A worker on a free port, until it is dropped.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    taken: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Worker {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let take = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready((
                [(CONTENT_TYPE, "application/json")],
                r#"{"received":true,"status":"started"}"#,
            ))
        };
        let health = r#"{"status":"ok","activeEngagements":0}"#;
        let routes = Router::new().route("/webhook", post(take)).route("/health", get(async move || health));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, taken, task: serving.abort_handle() })
    }

    /// Events that came.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
