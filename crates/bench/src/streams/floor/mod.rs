//! The floor: joins streams as the worker does, and then does only what no recorder can do without.
//!
//! A stream here is one task a socket: TLS and WebSocket read, `data` found in the text, base64 decoded with SIMD,
//! appended through 64 KiB to a file; keep-alives answered. No reconnection, no timeline, no header, no manifest, no
//! check of anything, and transcript lines are thrown away. What the worker costs beyond this is the price of being right.

mod join;
mod tls;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bytes::Bytes;
use rtms_protocol::{StreamAction, StreamWebhook, Webhook, WebhookKind};
use tokio::net::TcpListener;

/// How it is started.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Arguments {
    /// Where it takes webhooks.
    #[arg(long)]
    port: u16,
    /// The CA that it trusts, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// Where the samples go.
    #[arg(long)]
    dir: PathBuf,
    /// Threads of its runtime.
    #[arg(long, default_value_t = 1)]
    threads: u8,
}

/// What all streams share.
struct Floor {
    tls: tokio_rustls::TlsConnector,
    dir: PathBuf,
    packets: AtomicU64,
}

/// Runs until it is killed.
pub(crate) fn play(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { port, ca, dir, threads } = arguments;
    raise_open_files()?;
    let floor = Arc::new(Floor { tls: tls::connector(&ca)?, dir, packets: AtomicU64::new(0) });
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(usize::from(threads.max(1))).enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let router = Router::new()
            .route("/webhook", post(webhook))
            .route("/health", get(async || "ok"))
            .route("/metrics", get(metrics))
            .with_state(floor);
        Ok(axum::serve(listener, router).await?)
    })
}

fn raise_open_files() -> std::io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// The count under the worker's name, so that both are asked alike.
async fn metrics(State(floor): State<Arc<Floor>>) -> String {
    format!("rtms_worker_packets_total{{kind=\"audio\"}} {}\n", floor.packets.load(Ordering::Relaxed))
}

async fn webhook(State(floor): State<Arc<Floor>>, body: Bytes) -> StatusCode {
    let Ok(Webhook { kind: WebhookKind::Stream(StreamWebhook { identity, action, .. }), .. }) =
        Webhook::parse(&body)
    else {
        return StatusCode::BAD_REQUEST;
    };
    if let StreamAction::Started { server_urls, .. } = action {
        tokio::spawn(async move {
            if let Err(error) = join::join(floor, identity, &server_urls).await {
                eprintln!("a stream failed: {error:#}");
            }
        });
    }
    StatusCode::OK
}
