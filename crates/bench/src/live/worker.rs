//! The worker as the process under test.

use std::path::Path;

use anyhow::{Context as _, bail};
use rtms_service::CancellationToken;
use rtms_service::settings::{SettingsReader, Sources};
use rtms_worker::{Settings, TABLE};
use tokio::net::TcpListener;

use crate::process::{Process, serve};

/// Client id and secret, known to both sides.
pub(crate) const CLIENT: (&str, &str) = ("benchmark", "benchmark-secret");
/// Where the benchmark leaves the certificate of its Zoom.
pub(crate) const CA_FILE: &str = "ca.pem";

/// Plays the worker in `dir` until standard input ends.
pub(crate) fn play(dir: &Path) -> anyhow::Result<()> {
    let settings = settings(dir)?;
    let shutdown = CancellationToken::new();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        serve(listener.local_addr()?, shutdown.clone())?;
        rtms_worker::run(settings, listener, shutdown).await?;
        Ok(())
    })
}

fn settings(dir: &Path) -> anyhow::Result<Settings> {
    let ca = dir.join(CA_FILE);
    let sources = Sources::new(dir)
        .with("ZOOM_APP_CLIENT_ID", CLIENT.0)
        .with("ZOOM_APP_CLIENT_SECRET", CLIENT.1)
        .with("RTMS_ALLOWED_HOSTS", "localhost")
        .with("RTMS_MEDIA", "audio")
        .with("RTMS_CA_FILE", ca.to_str().context("a folder whose name is no text")?)
        .with("RTMS_LIVE_LISTENERS", "900");
    let mut reader = SettingsReader::load(&TABLE, &sources);
    let settings = Settings::read(&mut reader);
    if let Err(errors) = reader.finish() {
        bail!("the worker's settings are wrong: {errors}");
    }
    Ok(settings)
}

/// Starts a worker on the folder `dir`, which also gets its log.
pub(crate) fn start(dir: &Path) -> anyhow::Result<Process> {
    let mut command = Process::command("worker")?;
    command.arg("--dir").arg(dir);
    Process::start(command, &dir.join("worker.log"))
}
