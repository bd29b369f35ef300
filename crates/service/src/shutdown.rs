//! SIGTERM and SIGINT ask a service to stop; a second one stops it at once.
//!
//! The request is a token, so that tests stop a service without signals and every part sees the same one.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Begins to listen for signals. The returned token is cancelled by the first one; the second ends the
/// process with status 128 + its number.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let (name, _) = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping gracefully; a second signal stops at once");
        cancelled.cancel();
        let (name, status) = next(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "second signal: stopping at once");
        std::process::exit(status);
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 128 + 15),
        _ = interrupt.recv() => ("SIGINT", 128 + 2),
    }
}
