//! The process that is measured: the real worker, or the floor program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::generator::{CLIENT_ID, CLIENT_SECRET};
use super::http::{free_port, get};
use super::process::Process;

/// For it to answer after its start, and to end after the last stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// TLS and WebSocket read, base64 decoded, appended to a file.
    Floor,
    /// `rtms-worker` as released, with its usual settings.
    Worker,
}

/// One of them, running.
pub(crate) struct Recorder {
    kind: Kind,
    process: Process,
    port: u16,
    log: PathBuf,
}

impl Recorder {
    /// Starts it and waits until it answers. Recordings go to `data` in `folder`.
    pub(crate) fn start(
        kind: Kind,
        programs: &Path,
        folder: &Path,
        floor_threads: u8,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        fs::create_dir_all(folder.join("data"))?;
        let log = folder.join("recorder.log");
        let (name, mut command) = match kind {
            Kind::Floor => ("floor", floor(folder, port, floor_threads)?),
            Kind::Worker => ("rtms-worker", worker(programs, folder, port)),
        };
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let recorder = Self { kind, process: Process::spawn(name, &mut command)?, port, log };
        let began = Instant::now();
        while let Err(problem) = get(port, "/health") {
            if began.elapsed() > PATIENCE {
                bail!("{name} does not answer: {problem}; {}", recorder.last_words());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(recorder)
    }

    pub(crate) const fn process(&self) -> &Process {
        &self.process
    }

    /// Where it takes webhooks.
    pub(crate) fn webhooks(&self) -> String {
        format!("http://127.0.0.1:{}/webhook", self.port)
    }

    /// Audio packets that it has taken so far.
    pub(crate) fn packets(&self) -> anyhow::Result<u64> {
        let metrics = get(self.port, "/metrics")?;
        let line = metrics.lines().find_map(|l| l.strip_prefix("rtms_worker_packets_total{kind=\"audio\"} "));
        line.and_then(|count| count.trim().parse().ok()).context("no count of packets")
    }

    /// The same after the last stream, once the last packets have found their way to the files.
    pub(crate) fn packets_in_the_end(&self, expected: u64) -> anyhow::Result<u64> {
        let began = Instant::now();
        loop {
            let packets = self.packets()?;
            if packets >= expected || began.elapsed() > PATIENCE {
                return Ok(packets);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "its log ends: {}",
            lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join(" | ")
        )
    }

    /// Stops it; the worker finishes what it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        if self.kind == Kind::Worker {
            self.process.terminate();
            self.process.wait(PATIENCE)?;
        }
        Ok(())
    }
}

fn floor(folder: &Path, port: u16, threads: u8) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("stream-floor").arg("--port").arg(port.to_string()).arg("--threads").arg(threads.to_string());
    command.arg("--ca").arg(folder.join("ca.pem")).arg("--dir").arg(folder.join("data"));
    Ok(command)
}

fn worker(programs: &Path, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(programs.join("rtms-worker"));
    command
        .env_clear()
        .env("ZOOM_APP_CLIENT_ID", CLIENT_ID)
        .env("ZOOM_APP_CLIENT_SECRET", CLIENT_SECRET)
        .env("RTMS_HOST", "127.0.0.1")
        .env("RTMS_PORT", port.to_string())
        .env("RTMS_ALLOWED_HOSTS", "localhost")
        .env("RTMS_CA_FILE", folder.join("ca.pem"))
        .env("RTMS_MEDIA", "audio,transcript")
        .env("RTMS_MAX_ENGAGEMENTS", "10000")
        .env("RTMS_DATA_DIR", folder.join("data"));
    for passed_on in ["TOKIO_WORKER_THREADS", "MALLOC_ARENA_MAX"] {
        if let Some(value) = std::env::var_os(passed_on) {
            command.env(passed_on, value);
        }
    }
    command
}
