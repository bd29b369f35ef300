//! The cases that the whole gateway is put through.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use super::Size;
use super::client::{get, send_all};
use super::post::{Kind, requests};
use super::process;
use super::worker::Worker;
use crate::cpu;
use crate::process::Process;
use crate::stats::{percentile, real};

/// A folder in memory, where fsync costs nothing.
const MEMORY: &str = "/dev/shm";
/// How long deliveries may take after the last answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Disk,
    Memory,
}

/// One way of using the gateway.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) connections: usize,
    kind: Kind,
    place: Place,
    /// Whether the worker answers; else everything waits in the outbox.
    worker: bool,
    /// Webhooks a second; as fast as answered where there is none.
    rate: Option<u32>,
}

/// All of them.
pub(crate) const CASES: [Case; 7] = [
    Case {
        name: "not_kept",
        what: "verified, nothing to keep",
        connections: 64,
        kind: Kind::Other,
        place: Place::Disk,
        worker: true,
        rate: None,
    },
    Case {
        name: "kept_in_memory",
        what: "kept without a disk's fsync, delivered",
        connections: 64,
        kind: Kind::Started,
        place: Place::Memory,
        worker: true,
        rate: None,
    },
    Case {
        name: "kept",
        what: "kept on disk, delivered",
        connections: 64,
        kind: Kind::Started,
        place: Place::Disk,
        worker: true,
        rate: None,
    },
    Case {
        name: "kept_few",
        what: "kept on disk, delivered",
        connections: 8,
        kind: Kind::Started,
        place: Place::Disk,
        worker: true,
        rate: None,
    },
    Case {
        name: "kept_worker_away",
        what: "kept on disk, the worker is away",
        connections: 64,
        kind: Kind::Started,
        place: Place::Disk,
        worker: false,
        rate: None,
    },
    Case {
        name: "kept_200_a_second",
        what: "kept on disk, delivered, 200 a second",
        connections: 16,
        kind: Kind::Started,
        place: Place::Disk,
        worker: true,
        rate: Some(200),
    },
    Case {
        name: "kept_2000_a_second",
        what: "kept on disk, delivered, 2,000 a second",
        connections: 64,
        kind: Kind::Started,
        place: Place::Disk,
        worker: true,
        rate: Some(2000),
    },
];

/// What one run found.
pub(crate) struct Figures {
    pub(crate) answers_per_second: f64,
    pub(crate) us_per_answer: f64,
    pub(crate) us_per_delivered: Option<f64>,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) client_load: f64,
}

impl Case {
    fn folder(&self, out: &Path) -> Option<PathBuf> {
        match self.place {
            Place::Disk => Some(out.to_owned()),
            Place::Memory => Path::new(MEMORY).is_dir().then(|| MEMORY.into()),
        }
    }

    fn count(&self, size: &Size) -> usize {
        self.rate.map_or(size.requests, |rate| rate as usize * size.paced_seconds)
    }

    /// The time between two requests of a connection.
    fn pace(&self) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs_f64(real(self.connections) / f64::from(rate)))
    }
}

/// Runs one case once on a new gateway; `None` where this machine has no place for it.
pub(crate) fn run(
    case: &Case,
    size: &Size,
    out: &Path,
    only: Option<usize>,
) -> anyhow::Result<Option<Figures>> {
    let Some(folder) = case.folder(out) else { return Ok(None) };
    let dir = tempfile::Builder::new().prefix("rtms-bench-").tempdir_in(folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(case, size, dir.path(), only)).map(Some)
}

async fn measure(case: &Case, size: &Size, dir: &Path, only: Option<usize>) -> anyhow::Result<Figures> {
    let worker = Worker::start().await?;
    let address = worker.address;
    // A worker that is away is one whose port nobody listens on any more.
    let worker = case.worker.then_some(worker);
    let mut gateway = process::start(dir, address, only)?;
    let requests = requests(case.kind, gateway.address, case.count(size));
    // The first answers find nothing warm, neither here nor there.
    send_all(gateway.address, &requests_for_warmth(gateway.address), 4, None).await?;

    let (gateway_before, own_before, began) = (gateway.cpu()?, cpu::of_process(), Instant::now());
    let mut took = send_all(gateway.address, &requests, case.connections, case.pace()).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let (gateway_answered, own_after) = (gateway.cpu()?, cpu::of_process());
    ensure!(took.len() == requests.len(), "{} of {} were answered", took.len(), requests.len());

    let delivered = match &worker {
        Some(worker) if case.kind == Kind::Started => {
            await_deliveries(&gateway, worker, requests.len()).await?;
            Some(gateway.cpu()?)
        }
        _ => None,
    };
    let each = |until: Duration| (until - gateway_before).as_secs_f64() * 1e6 / real(requests.len());
    took.sort_unstable();
    let millis = |percent| f64::from(percentile(&took, percent)) / 1000.0;
    Ok(Figures {
        answers_per_second: real(requests.len()) / elapsed,
        us_per_answer: each(gateway_answered),
        us_per_delivered: delivered.map(each),
        p50_ms: millis(50),
        p99_ms: millis(99),
        client_load: (own_after - own_before).as_secs_f64() / elapsed,
    })
}

fn requests_for_warmth(to: std::net::SocketAddr) -> Vec<bytes::Bytes> {
    requests(Kind::Other, to, 100)
}

/// Waits until the worker has every event and the outbox knows.
async fn await_deliveries(gateway: &Process, worker: &Worker, events: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health: Value = serde_json::from_slice(&get(gateway.address, "/health").await?)?;
        if health["pendingEvents"] == 0 {
            break;
        }
        ensure!(Instant::now() < deadline, "the outbox does not empty: {health}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(worker.taken() == events, "the worker got {} of {events} events", worker.taken());
    Ok(())
}

/// How long the disk takes for 4 KiB and an fsync, each in milliseconds.
pub(crate) fn disk_sync_ms(out: &Path, times: usize) -> anyhow::Result<Vec<f64>> {
    let mut file: File = tempfile::tempfile_in(out)?;
    let mut once = || {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    };
    (0..times).map(|_| once()).collect()
}
