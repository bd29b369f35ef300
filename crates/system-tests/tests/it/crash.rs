//! The worker as a process: killed, asked to leave, started again on the same folder.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtms_protocol::Product;
use rtms_simulator::engagement::Outcome;
use rtms_simulator::faults::Faults;
use serde_json::Value;

use crate::files::samples;
use crate::media::party_sounds;
use crate::system::{Setup, System, worker_variables};

/// What a kill may cost of one party's sound.
const MOST_LOST_MS: usize = 200;

/// A worker of its own process on a fixed port.
pub(crate) struct Worker {
    port: u16,
    child: Child,
}

impl Worker {
    /// Starts the program and waits until it answers.
    pub(crate) async fn start(system: &System, port: u16, on_shutdown: &str) -> Self {
        Self::start_with(system, port, on_shutdown, &[]).await
    }

    /// The same with these variables.
    pub(crate) async fn start_with(
        system: &System,
        port: u16,
        on_shutdown: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(system.folder().join("worker.log"))
            .unwrap();
        // A file that hits its limit must be an error to the worker, as on a full disk, not a signal that ends it.
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\"", env!("CARGO_BIN_EXE_worker-under-test")])
            .env_clear()
            .envs(worker_variables(system.folder()))
            .envs(settings.iter().copied())
            .env("RTMS_HOST", "127.0.0.1")
            .env("RTMS_PORT", port.to_string())
            .env("RTMS_DATA_DIR", system.data())
            .env("RTMS_ON_SHUTDOWN", on_shutdown)
            .current_dir(system.folder())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut worker = Self { port, child };
        let url = format!("http://127.0.0.1:{port}/health");
        let began = Instant::now();
        while system.http.get(&url).send().await.is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "the worker does not answer: {}",
                worker.log(system)
            );
            assert!(worker.child.try_wait().unwrap().is_none(), "the worker ended: {}", worker.log(system));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        worker
    }

    /// Lets no file grow beyond `bytes` from now on, as a full disk would; `None` lifts it.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let arguments = ["--pid", &self.child.id().to_string(), &format!("--fsize={limit}:")];
        assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
    }

    pub(crate) fn log(&self, system: &System) -> String {
        std::fs::read_to_string(system.folder().join("worker.log")).unwrap_or_default()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }

    /// SIGTERM; how long it took to leave.
    async fn terminate(mut self) -> (u16, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return (self.port, began.elapsed());
            }
            assert!(began.elapsed() < Duration::from_secs(30), "the worker does not stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that is free now, and outside of the range from which the system gives to others.
pub(crate) fn free_port() -> u16 {
    let begin = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (begin..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// A system whose worker is a process, playing in real time.
pub(crate) async fn system_with_process(on_shutdown: &str) -> (System, Worker) {
    let port = free_port();
    let system =
        Setup::default().speed(1.0).worker_elsewhere(&format!("http://127.0.0.1:{port}")).start().await;
    let worker = Worker::start(&system, port, on_shutdown).await;
    (system, worker)
}

/// Begins `count` engagements; they end by themselves.
pub(crate) fn play(
    system: &Arc<System>,
    count: usize,
    duration_ms: i64,
) -> Vec<tokio::task::JoinHandle<Outcome>> {
    (0..count)
        .map(|number| {
            let system = Arc::clone(system);
            tokio::spawn(async move {
                let program = system.simulator.usual_program(Product::ContactCenter, duration_ms);
                let stream = format!("stream-{number}");
                let plan = system.plan(Product::ContactCenter, "e", &stream, program, Faults::default());
                system.play(plan).await
            })
        })
        .collect()
}

pub(crate) async fn until_streaming(system: &System, count: usize, within: Duration) {
    let began = Instant::now();
    loop {
        let (_, engagements) = system.get("/engagements").await;
        let streaming = engagements
            .as_array()
            .map_or(0, |list| list.iter().filter(|e| e["state"] == "streaming").count());
        if streaming == count {
            return;
        }
        assert!(began.elapsed() < within, "{streaming} of {count} streams after {within:?}: {engagements:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Samples of each party that are silence in the file though sound was played; everything else must be equal.
pub(crate) fn holes(system: &System, manifest: &Value, outcome: &Outcome) -> Vec<usize> {
    let tracks = manifest["tracks"].as_array().unwrap();
    let compare = |(role, expected): (&str, Vec<i16>)| {
        let track = tracks
            .iter()
            .find(|track| track["role"] == role)
            .unwrap_or_else(|| panic!("no {role}: {manifest:#}"));
        let actual = samples(&system.data().join(track["file"].as_str().unwrap()));
        assert_eq!(actual.len(), expected.len(), "{role}: everything after a hole is where it belongs");
        let differing: Vec<_> = (0..actual.len()).filter(|&n| actual[n] != expected[n]).collect();
        assert!(differing.iter().all(|&n| actual[n] == 0), "{role}: what is missing is silence");
        match (differing.first(), differing.last()) {
            (Some(first), Some(last)) => last - first + 1,
            _ => 0,
        }
    };
    ["consumer", "agent"].into_iter().zip(party_sounds(&outcome.played)).map(compare).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_engagements_survive_a_kill() {
    const COUNT: usize = 20;
    let (system, worker) = system_with_process("handover").await;
    let system = Arc::new(system);
    let calls = play(&system, COUNT, 14_000);
    until_streaming(&system, COUNT, Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let port = worker.kill();
    let worker = Worker::start(&system, port, "handover").await;
    until_streaming(&system, COUNT, Duration::from_secs(5)).await;
    for call in calls {
        let outcome = call.await.unwrap();
        let manifest = system.finished(&outcome.played.identity.stream_id).await;
        assert_eq!(manifest["state"], "complete", "{}", worker.log(&system));
        let interruptions = manifest["interruptions"].as_array().unwrap();
        let killed: Vec<_> = interruptions.iter().filter(|i| i["cause"] == "process_killed").collect();
        assert_eq!(killed.len(), 1, "{interruptions:#?}");
        let holes = holes(&system, &manifest, &outcome);
        let most = MOST_LOST_MS * 16;
        assert!(holes.iter().all(|&hole| hole <= most), "samples lost: {holes:?}");
        let counted = usize::try_from(killed[0]["lost_ms"].as_u64().unwrap()).unwrap();
        let longest = holes.iter().max().unwrap() / 16;
        assert!(counted >= longest && counted <= MOST_LOST_MS, "lost {longest} ms, counted {counted} ms");
    }
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_loses_nothing() {
    const COUNT: usize = 5;
    let (system, worker) = system_with_process("handover").await;
    let system = Arc::new(system);
    let calls = play(&system, COUNT, 10_000);
    until_streaming(&system, COUNT, Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (port, took) = worker.terminate().await;
    assert!(took < Duration::from_secs(2), "leaving took {took:?}");
    let worker = Worker::start(&system, port, "handover").await;
    for call in calls {
        let outcome = call.await.unwrap();
        let manifest = system.finished(&outcome.played.identity.stream_id).await;
        assert_eq!(manifest["state"], "complete", "{}", worker.log(&system));
        assert_eq!(holes(&system, &manifest, &outcome), [0, 0], "{}", worker.log(&system));
        let interruptions = manifest["interruptions"].as_array().unwrap();
        assert!(
            interruptions.iter().any(|i| i["cause"] == "handover" && i["lost_ms"] == 0),
            "{interruptions:#?}"
        );
    }
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_ends_the_streams_at_zoom() {
    let (system, worker) = system_with_process("finish").await;
    let system = Arc::new(system);
    let calls = play(&system, 2, 60_000);
    until_streaming(&system, 2, Duration::from_secs(10)).await;
    let (_, took) = worker.terminate().await;
    assert!(took < Duration::from_secs(10), "finishing took {took:?}");
    for call in calls {
        let outcome = call.await.unwrap();
        assert_eq!(outcome.played.stop_reason, Some(rtms_protocol::StopReason::ReceiverRequestClose));
        let manifest = system.finished(&outcome.played.identity.stream_id).await;
        assert_eq!(manifest["state"], "complete");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_on_the_same_folder_is_refused() {
    let (system, worker) = system_with_process("handover").await;
    let mut second = Command::new(env!("CARGO_BIN_EXE_worker-under-test"))
        .env_clear()
        .envs(worker_variables(system.folder()))
        .env("RTMS_HOST", "127.0.0.1")
        .env("RTMS_PORT", "0")
        .env("RTMS_DATA_DIR", system.data())
        .current_dir(system.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It waits for a worker that may be leaving, and takes no stream meanwhile.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(second.try_wait().unwrap().is_none());
    worker.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(second.try_wait().unwrap().is_none(), "the folder is free: it runs");
    second.kill().unwrap();
    second.wait().unwrap();
}
