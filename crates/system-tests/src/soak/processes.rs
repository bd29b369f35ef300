//! The two services as processes, and what they use.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::task::JoinHandle;

/// What webhooks are signed with.
pub(crate) const SECRET_TOKEN: &str = "webhook-secret";

/// How long a starved process stands still, and then runs.
const STARVED_FOR: Duration = Duration::from_millis(150);

/// What one process uses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Resident memory, KiB.
    pub(crate) rss_kib: u64,
    /// Open file descriptors.
    pub(crate) descriptors: usize,
    /// Threads.
    pub(crate) threads: u64,
    /// CPU time so far, ms.
    pub(crate) cpu_ms: u64,
}

/// Gateway and worker.
pub(crate) struct Services {
    gateway: Child,
    worker: Child,
    gateway_port: u16,
    worker_port: u16,
    folder: PathBuf,
    programs: PathBuf,
}

impl Services {
    /// Starves the worker until told to end.
    pub(crate) fn starve_worker(&self) -> Starved {
        Starved::begin(self.worker.id())
    }

    /// Starts both and waits until they answer.
    pub(crate) async fn start(folder: &Path, programs: &Path) -> anyhow::Result<Self> {
        let [gateway_port, admin_port, worker_port] = [free_port()?, free_port()?, free_port()?];
        let worker = start_worker(folder, programs, worker_port)?;
        let gateway = Command::new(programs.join("rtms-gateway"))
            .env_clear()
            .env("ZOOM_SECRET_TOKEN", SECRET_TOKEN)
            .env("RTMS_INTERNAL_TOKEN", "hop")
            .env("RTMS_SERVER_URL", format!("http://127.0.0.1:{worker_port}"))
            .env("GATEWAY_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", gateway_port.to_string())
            .env("GATEWAY_ADMIN_PORT", admin_port.to_string())
            .env("GATEWAY_DATA_DIR", folder.join("gateway-data"))
            .current_dir(folder)
            .stdout(log(folder, "gateway.log")?)
            .stderr(log(folder, "gateway.log")?)
            .spawn()
            .context("rtms-gateway")?;
        let (folder, programs) = (folder.to_path_buf(), programs.to_path_buf());
        let services = Self { gateway, worker, gateway_port, worker_port, folder, programs };
        answers(gateway_port).await?;
        answers(worker_port).await?;
        Ok(services)
    }

    pub(crate) fn gateway_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// What gateway and worker use now.
    pub(crate) fn usage(&self) -> [Usage; 2] {
        [usage(self.gateway.id()), usage(self.worker.id())]
    }

    /// Asks the worker to leave and starts the next one on the same folder.
    pub(crate) async fn hand_over(&mut self) -> anyhow::Result<()> {
        terminate(&mut self.worker).await;
        self.worker = start_worker(&self.folder, &self.programs, self.worker_port)?;
        answers(self.worker_port).await
    }

    /// Stops both.
    pub(crate) async fn stop(&mut self) {
        terminate(&mut self.gateway).await;
        terminate(&mut self.worker).await;
    }
}

/// Lets a process run half of the time only, as on a machine that is far too busy.
pub(crate) struct Starved {
    enough: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Starved {
    fn begin(pid: u32) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&enough);
        let task = tokio::spawn(async move {
            while !heard.load(Ordering::Relaxed) {
                for which in ["-STOP", "-CONT"] {
                    signal(pid, which);
                    tokio::time::sleep(STARVED_FOR).await;
                }
            }
        });
        Self { enough, task }
    }

    /// Lets it run again.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.enough.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for child in [&mut self.gateway, &mut self.worker] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn start_worker(folder: &Path, programs: &Path, port: u16) -> anyhow::Result<Child> {
    Command::new(programs.join("rtms-worker"))
        .env_clear()
        .env("ZOOM_APP_CLIENT_ID", "cid")
        .env("ZOOM_APP_CLIENT_SECRET", "csecret")
        .env("RTMS_INTERNAL_TOKEN", "hop")
        .env("RTMS_HOST", "127.0.0.1")
        .env("RTMS_PORT", port.to_string())
        .env("RTMS_ALLOWED_HOSTS", "localhost")
        .env("RTMS_CA_FILE", folder.join("ca.pem"))
        .env("RTMS_DATA_DIR", folder.join("data"))
        .current_dir(folder)
        .stdout(log(folder, "worker.log")?)
        .stderr(log(folder, "worker.log")?)
        .spawn()
        .context("rtms-worker")
}

fn log(folder: &Path, name: &str) -> std::io::Result<Stdio> {
    std::fs::File::options().create(true).append(true).open(folder.join(name)).map(Stdio::from)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn answers(port: u16) -> anyhow::Result<()> {
    let began = Instant::now();
    while let Err(problem) = rtms_service::http::healthy("127.0.0.1", port) {
        if began.elapsed() > Duration::from_secs(30) {
            bail!("a service does not answer: {problem}; see its log in the folder");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn signal(pid: u32, which: &str) {
    drop(Command::new("kill").args([which, &pid.to_string()]).status());
}

/// SIGTERM by process id, and a kill for one that does not listen.
async fn terminate(child: &mut Child) {
    signal(child.id(), "-TERM");
    for _ in 0..600 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(child.kill());
    drop(child.wait());
}

fn usage(pid: u32) -> Usage {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name in brackets: user and system time are the 12th and 13th field, in hundredths of a second.
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    Usage {
        rss_kib: field("VmRSS:"),
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
        threads: field("Threads:"),
        cpu_ms: fields.iter().skip(11).take(2).sum::<u64>() * 10,
    }
}
