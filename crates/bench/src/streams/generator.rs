//! The load: `rtms-simulator` in a process of its own, and what it says about how it went.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::process::Process;

/// What handshakes are signed with.
pub(crate) const CLIENT_ID: &str = "bench-client";
/// Its secret.
pub(crate) const CLIENT_SECRET: &str = "bench-secret";

/// What is played.
pub(crate) struct Load {
    pub(crate) streams: u32,
    /// Over which the starts are spread.
    pub(crate) ramp: Duration,
    /// Of each stream.
    pub(crate) duration: Duration,
    pub(crate) threads: u8,
    /// Of the streams, how many percent are cut each minute.
    pub(crate) cut_percent: u32,
}

/// What the generator says at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Streams of which the client took everything.
    pub(crate) complete: u32,
    /// Packets that left.
    pub(crate) audio_packets: u64,
    pub(crate) joined: Joined,
    pub(crate) own_lateness: Lateness,
    /// Whether it did not keep up itself.
    pub(crate) was_the_limit: bool,
}

/// How soon streams were joined, ms.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Joined {
    /// From the start of a stream, median.
    pub(crate) p50_ms: Option<u64>,
    pub(crate) p99_ms: Option<u64>,
    pub(crate) max_ms: Option<u64>,
    /// From the start of the first stream until the last one was joined.
    pub(crate) last_ms: Option<u64>,
}

/// How late packets left, ms; over the whole run, the starts included.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lateness {
    pub(crate) p50_ms: u64,
    pub(crate) p99_ms: u64,
    pub(crate) max_ms: u64,
}

/// Writes `ca.pem`, `cert.pem` and `key.pem` into `folder`.
pub(crate) fn certificate(programs: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(programs.join("rtms-simulator"));
    let status = command.arg("certificate").arg(folder).stdout(Stdio::null()).status();
    ensure!(status.context("rtms-simulator does not start")?.success(), "no certificate could be made");
    Ok(())
}

/// A running load.
pub(crate) struct Generator {
    process: Process,
}

impl Generator {
    pub(crate) fn start(
        programs: &Path,
        folder: &Path,
        load: &Load,
        webhooks: String,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(programs.join("rtms-simulator"));
        command
            .env_clear()
            .current_dir(folder)
            .args(["load", "--product", "phone", "--json", "--redeliver", "1,1,1", "--gateway"])
            .arg(webhooks)
            .args([
                "--client-id",
                CLIENT_ID,
                "--client-secret",
                CLIENT_SECRET,
                "--secret-token",
                "bench-token",
            ])
            .args(["--cert", "cert.pem", "--key", "key.pem"])
            .arg("--streams")
            .arg(load.streams.to_string())
            .arg("--ramp")
            .arg(load.ramp.as_secs_f64().to_string())
            .arg("--duration")
            .arg(load.duration.as_secs_f64().to_string())
            .arg("--threads")
            .arg(load.threads.to_string())
            .arg("--cut-percent")
            .arg(load.cut_percent.to_string())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("generator.log"))?);
        Ok(Self { process: Process::spawn("rtms-simulator", &mut command)? })
    }

    pub(crate) const fn process(&self) -> &Process {
        &self.process
    }

    /// Waits for its end, and reads its report.
    pub(crate) fn wait(mut self, patience: Duration) -> anyhow::Result<Report> {
        self.process.wait(patience)?;
        let mut text = String::new();
        let mut stdout = self.process.child().stdout.take().context("no standard output")?;
        stdout.read_to_string(&mut text)?;
        serde_json::from_str(&text).with_context(|| format!("the generator said {text:?}"))
    }
}
