//! The running worker: what is started, and in which order it stops.

use std::net::IpAddr;
use std::time::Duration;

use rtms_client::{ClientOptions, Rests, TlsRoots};
use rtms_service::CancellationToken;
use rtms_service::folder::warn_if_open;
use rtms_service::http::{Limits, serve};
use rtms_service::metrics::Metrics;
use rtms_service::program::RunError;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::live::Listeners;
use crate::media_threads::{MediaThreads, processors};
use crate::registry::Registry;
use crate::settings::Settings;
use crate::writer::Writers;
use crate::{api, folder, metrics, recover, retention};

/// How long recordings may take to be finished after a stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How long listeners may take to hear the end of their streams.
const LISTENERS_DRAIN: Duration = Duration::from_secs(2);
/// How long media may wait to be taken together, while nobody listens: four packets of 20 ms cost one wake-up.
const SHORTEST_REST: Duration = Duration::from_millis(80);
/// The same with many streams: eight packets.
const LONGEST_REST: Duration = Duration::from_millis(160);
/// So many streams a processor reads within 8 ms before rests get longer: two processors 800 streams in the shortest rests,
/// and 1,600 in the longest.
const READ_AT_A_TIME: u32 = 40;

/// Runs the worker on `listener` until `shutdown`, then finishes every recording.
///
/// # Errors
/// When the data folder, the TLS roots or the writer threads are not to be had.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let _folder = folder::take(&settings.data_dir)
        .await
        .map_err(|problem| RunError::Start(format!("RTMS_DATA_DIR: {problem}")))?;
    let options = client_options(&settings)?;
    let handle = Metrics::install(metrics::TABLE);
    metrics::begin();
    let writers =
        Writers::start().map_err(|error| RunError::Failed(format!("no writer threads: {error}")))?;
    warn_if_open("RTMS_DATA_DIR", &settings.data_dir);
    let listening = listener.local_addr().ok().map(|address| address.ip());
    if listening.is_some_and(|ip| is_open_to_all(settings.internal_token.as_ref(), ip)) {
        tracing::warn!(
            "RTMS_INTERNAL_TOKEN is not set and the port is open to other hosts: whoever reaches it can start and stop \
             recordings and read about them; set the same long secret on gateway and worker (openssl rand -hex 32), \
             or RTMS_HOST=127.0.0.1"
        );
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        port = listener.local_addr().map(|address| address.port()).unwrap_or_default(),
        data_dir = %settings.data_dir.display(), hosts = %options.policy(), media = %settings.media.for_product(rtms_protocol::Product::Meeting).kinds(),
        "worker ready"
    );
    let threads =
        MediaThreads::start().map_err(|error| RunError::Failed(format!("no media threads: {error}")))?;
    let registry = Registry::new(settings.clone(), options, writers, threads);
    // Before the first webhook: one for a stream that was left must find it active.
    recover::recover(&registry).await;
    let listeners = Listeners::new(settings.live_listeners, settings.live_listeners_each);
    let router = api::router(std::sync::Arc::clone(&registry), std::sync::Arc::clone(&listeners), handle);
    // The API answers to the end, so that health checks see "draining" and not a dead service.
    let api_stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, router, api_stop.clone(), Limits::default()));
    let keeper = tokio::spawn(retention::keep(settings, shutdown.clone()));
    shutdown.cancelled().await;
    registry.drain(DRAIN).await;
    listeners.leave(LISTENERS_DRAIN).await;
    api_stop.cancel();
    for (what, task) in [("API", server), ("retention", keeper)] {
        if let Err(error) = task.await {
            tracing::error!(%error, "the {what} ended with a fault");
        }
    }
    Ok(())
}

/// Whether anybody on another host who reaches the port may give orders.
const fn is_open_to_all(token: Option<&SecretString>, listening: IpAddr) -> bool {
    token.is_none() && !listening.is_loopback()
}

/// TLS roots and allowed hosts as the settings have them.
pub(crate) fn client_options(settings: &Settings) -> Result<ClientOptions, RunError> {
    let roots = TlsRoots::system(settings.ca_file.as_deref())
        .map_err(|error| RunError::Start(format!("RTMS_CA_FILE: {error}")))?;
    let policy = settings.url_policy.as_deref().cloned();
    let policy = policy.ok_or_else(|| RunError::Start("RTMS_ALLOWED_HOSTS: is wrong".to_owned()))?;
    let at_a_time = READ_AT_A_TIME.saturating_mul(u32::try_from(processors()).unwrap_or(u32::MAX));
    let rests = Rests { shortest: SHORTEST_REST, longest: LONGEST_REST, at_a_time };
    Ok(ClientOptions::new(roots, policy).with_rests(rests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_token_only_this_host_may_reach_the_port() {
        let token = SecretString::from("secret");
        for (ip, open) in
            [("0.0.0.0", true), ("10.0.0.7", true), ("::", true), ("127.0.0.1", false), ("::1", false)]
        {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(is_open_to_all(None, ip), open, "{ip}");
            assert!(!is_open_to_all(Some(&token), ip), "{ip}");
        }
    }
}
