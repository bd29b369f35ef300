//! Puts the stations together and takes them apart in the right order.
//!
//! Stopping: the public listener finishes what is in work, then deliveries stop between two attempts, then
//! the outbox folds its log in. Whatever still waits is delivered after the next start.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use rtms_protocol::UnixMillis;
use rtms_service::CancellationToken;
use rtms_service::folder::warn_if_open;
use rtms_service::http::{Limits, method_not_allowed, not_found, serve};
use rtms_service::metrics::Metrics;
use rtms_service::program::RunError;
use rtms_service::time::unix_millis;
use tokio::net::TcpListener;

use crate::body::BodyReader;
use crate::delivery::{Dispatcher, Workers};
use crate::intake::{Intake, webhook};
use crate::outbox::{Outbox, SqliteOutbox};
use crate::settings::Settings;
use crate::sparingly::Sparingly;
use crate::status::{Status, health, metrics, ready};
use crate::verify::Gate;

/// How often the outbox forgets what is old.
const UPKEEP: Duration = Duration::from_secs(60);
/// How often a broken disk is tried.
const RECOVERY: Duration = Duration::from_secs(1);

/// The sockets a gateway is reached at, bound already.
pub struct Listeners {
    /// For Zoom.
    pub public: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

/// Runs a gateway until `shutdown`, then stops it gracefully.
///
/// # Errors
/// When it cannot start: a data folder or worker URL that cannot be used.
pub async fn run(
    settings: Settings,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let keys = settings.keys.ok_or_else(|| RunError::Start("ZOOM_SECRET_TOKEN: is required".to_owned()))?;
    let outbox = SqliteOutbox::open(&settings.data_dir)
        .map_err(|problem| RunError::Start(format!("GATEWAY_DATA_DIR: {problem}")))?;
    let outbox = Arc::new(outbox);
    let workers = Workers::new(&settings.workers, settings.internal_token)
        .map_err(|problem| RunError::Start(format!("RTMS_SERVER_URL: {problem}")))?;
    let workers = Arc::new(workers);
    let waiting = outbox.pending().events;
    if waiting > 0 {
        tracing::info!(waiting, "events of an earlier run wait for delivery");
    }

    // Cancelled one after the other: what takes requests first, what they need last.
    let deliver_until = CancellationToken::new();
    let _on_abort = deliver_until.clone().drop_guard();
    // Once before the first webhook: whether the disk takes anything is then known to `/ready`.
    keep_up(outbox.as_ref()).await;

    let (dispatcher, notifier) = Dispatcher::new(Arc::clone(&outbox), Arc::clone(&workers));
    let deliveries = tokio::spawn(dispatcher.run(deliver_until.clone()));
    let probes = tokio::spawn(Arc::clone(&workers).probe_until(deliver_until.clone()));
    let upkeep = tokio::spawn(maintain(Arc::clone(&outbox), deliver_until.clone()));

    let handle = Metrics::install(crate::metrics::TABLE);
    crate::metrics::begin();
    let status = Arc::new(Status {
        outbox: Arc::clone(&outbox),
        workers,
        metrics: handle,
        shutdown: shutdown.clone(),
    });
    let intake = Arc::new(Intake {
        bodies: BodyReader::new(),
        gate: Gate::new(keys),
        outbox: Arc::clone(&outbox),
        notifier,
        unsigned_told: Sparingly::default(),
        refused_told: Sparingly::default(),
    });
    warn_if_open("GATEWAY_DATA_DIR", &settings.data_dir);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        port = listeners.public.local_addr().map(|a| a.port()).unwrap_or_default(),
        admin_port = listeners.admin.local_addr().map(|a| a.port()).unwrap_or_default(),
        workers = ?settings.workers,
        "accepting webhooks at /api/webhooks/zoom"
    );
    let admin_until = CancellationToken::new();
    let admin = serve(listeners.admin, admin_routes(&status), admin_until.clone(), Limits::default());
    let public = async {
        serve(listeners.public, public_routes(intake, &status), shutdown, Limits::default()).await;
        admin_until.cancel();
    };
    tokio::join!(public, admin);

    deliver_until.cancel();
    for task in [deliveries, probes, upkeep] {
        if let Err(problem) = task.await {
            tracing::error!(error = %problem, "a part of the gateway did not stop cleanly");
        }
    }
    drop(status);
    if let Some(outbox) = Arc::into_inner(outbox) {
        outbox.close().await;
    }
    Ok(())
}

fn public_routes(intake: Arc<Intake<SqliteOutbox>>, status: &Arc<Status<SqliteOutbox>>) -> Router {
    let webhooks = Router::new()
        .route("/api/webhooks/zoom", post(webhook))
        .route("/webhook", post(webhook))
        .with_state(intake);
    Router::new()
        .route("/health", get(health))
        .with_state(Arc::clone(status))
        .merge(webhooks)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

fn admin_routes(status: &Arc<Status<SqliteOutbox>>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(status))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

/// Keeps the outbox small; while its disk is broken, tries it each second, so that `/ready` comes back
/// without waiting for Zoom's next webhook.
async fn maintain<O: Outbox>(outbox: Arc<O>, until: CancellationToken) {
    loop {
        let pause = if outbox.writable() { UPKEEP } else { RECOVERY };
        // While all is well, look often enough to notice that it is not any more.
        let woken = async {
            let began = tokio::time::Instant::now();
            while began.elapsed() < pause && (pause == RECOVERY || outbox.writable()) {
                tokio::time::sleep(RECOVERY).await;
            }
        };
        tokio::select! {
            () = until.cancelled() => return,
            () = woken => keep_up(outbox.as_ref()).await,
        }
    }
}

async fn keep_up<O: Outbox>(outbox: &O) {
    if let Err(problem) = outbox.maintain(UnixMillis(unix_millis())).await {
        tracing::debug!(error = %problem, "outbox upkeep failed");
    }
}
