//! The worker as a process: killed, asked to leave, started again on the same folder.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rtms_protocol::{Product, StopReason};
use rtms_simulator::Timing;
use rtms_simulator::engagement::Outcome;
use rtms_simulator::faults::Faults;
use rtms_simulator::webhook::{self, Layout};
use serde_json::Value;

use crate::files::samples;
use crate::media::party_sounds;
use crate::own_time::{Stopwatch, Watch};
use crate::system::{PATIENCE, Setup, System, worker_variables};

/// What a kill may cost of one party's sound: what came in the worker's last so many milliseconds.
const MOST_LOST: Duration = Duration::from_millis(200);

/// How long a kill waits at the most for a moment at which the machine is less busy.
const CALM: Duration = Duration::from_secs(5);

/// Where a worker listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    host: Ipv4Addr,
    port: u16,
}

impl Place {
    /// One that nobody else uses, now or while the worker is away: an address of this host that is this process's own.
    pub(crate) fn own() -> Self {
        static PORT: AtomicU16 = AtomicU16::new(3002);
        // Linux numbers processes with 22 bits.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        Self { host: Ipv4Addr::new(127, 64 | high, middle, low), port: PORT.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn url(self) -> String {
        format!("http://{}:{}", self.host, self.port)
    }
}

/// A worker of its own process at a fixed place.
pub(crate) struct Worker {
    place: Place,
    child: Child,
    watch: Watch,
}

/// A worker that was killed.
pub(crate) struct Killed {
    pub(crate) place: Place,
    /// Sound of so much time before it was gone may be lost.
    pub(crate) may_lose: Duration,
}

impl Worker {
    /// Starts the program and waits until it answers.
    pub(crate) async fn start(system: &System, place: Place, on_shutdown: &str) -> Self {
        Self::start_with(system, place, on_shutdown, &[]).await
    }

    /// The same with these variables.
    pub(crate) async fn start_with(
        system: &System,
        place: Place,
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
            .env("RTMS_HOST", place.host.to_string())
            .env("RTMS_PORT", place.port.to_string())
            .env("RTMS_DATA_DIR", system.data())
            .env("RTMS_ON_SHUTDOWN", on_shutdown)
            .current_dir(system.folder())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let watch = Watch::begin(child.id());
        let mut worker = Self { place, child, watch };
        let url = format!("{}/health", place.url());
        let began = Instant::now();
        while system.http.get(&url).send().await.is_err() {
            assert!(began.elapsed() < PATIENCE, "the worker does not answer: {}", worker.log(system));
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

    /// SIGKILL. `own` is the time of its own after which the worker has promised that what came is on the disk. What the
    /// simulator sent late came as late.
    pub(crate) async fn kill(mut self, system: &System, own: Duration) -> Killed {
        // Where the machine has just let it wait for long, less can be said of what is lost.
        let began = Instant::now();
        while self.watch.last(own) > 2 * own && began.elapsed() < CALM {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let late = Duration::from_millis(system.simulator.lateness().take_recent_ms());
        let promised = self.watch.last(own);
        let began = Instant::now();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Killed { place: self.place, may_lose: promised + late + began.elapsed() }
    }

    /// SIGTERM; how much time it took to leave.
    async fn terminate(mut self) -> (Place, Duration) {
        let stopwatch = Stopwatch::begin(&[self.child.id()]);
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        loop {
            // Once it has left nobody knows any more how long it waited.
            let own = stopwatch.own();
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return (self.place, own);
            }
            assert!(began.elapsed() < PATIENCE, "the worker does not stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it has so many streams in the state `streaming`, which it must have `within` so much time.
    pub(crate) async fn until_streaming(&self, system: &System, count: usize, within: Duration) {
        let stopwatch = Stopwatch::begin(&[self.child.id()]);
        let began = Instant::now();
        loop {
            let (_, engagements) = system.get("/engagements").await;
            let own = stopwatch.own();
            let streaming = engagements
                .as_array()
                .map_or(0, |list| list.iter().filter(|e| e["state"] == "streaming").count());
            assert!(
                own < within && began.elapsed() < PATIENCE,
                "{streaming} of {count} streams after {own:?}: {engagements:#}"
            );
            if streaming == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A system whose worker is a process, playing in real time.
pub(crate) async fn system_with_process(on_shutdown: &str) -> (System, Worker) {
    let place = Place::own();
    let system = Setup::default().speed(1.0).worker_elsewhere(&place.url()).start().await;
    let worker = Worker::start(&system, place, on_shutdown).await;
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
    worker.until_streaming(&system, COUNT, Duration::from_secs(10)).await;
    // What was late while all joined does not matter any more.
    system.simulator.lateness().take_recent_ms();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let Killed { place, may_lose } = worker.kill(&system, MOST_LOST).await;
    let worker = Worker::start(&system, place, "handover").await;
    worker.until_streaming(&system, COUNT, Duration::from_secs(5)).await;
    let most = usize::try_from(may_lose.as_millis()).unwrap();
    for call in calls {
        let outcome = call.await.unwrap();
        let manifest = system.finished(&outcome.played.identity.stream_id).await;
        assert_eq!(manifest["state"], "complete", "{}", worker.log(&system));
        let interruptions = manifest["interruptions"].as_array().unwrap();
        let killed: Vec<_> = interruptions.iter().filter(|i| i["cause"] == "process_killed").collect();
        assert_eq!(killed.len(), 1, "{interruptions:#?}");
        let holes = holes(&system, &manifest, &outcome);
        assert!(holes.iter().all(|&hole| hole <= most * 16), "samples lost: {holes:?}, at most {most} ms");
        let counted = usize::try_from(killed[0]["lost_ms"].as_u64().unwrap()).unwrap();
        let longest = holes.iter().max().unwrap() / 16;
        assert!(counted >= longest && counted <= most, "lost {longest} ms, counted {counted} ms of {most}");
    }
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_loses_nothing() {
    const COUNT: usize = 5;
    let (system, worker) = system_with_process("handover").await;
    let system = Arc::new(system);
    let calls = play(&system, COUNT, 10_000);
    worker.until_streaming(&system, COUNT, Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (place, took) = worker.terminate().await;
    assert!(took < Duration::from_secs(2), "leaving took {took:?}");
    let worker = Worker::start(&system, place, "handover").await;
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
async fn a_stream_that_ended_while_no_worker_was_there_is_complete() {
    let window = Duration::from_secs(10);
    let timing = Timing { signaling_window: window, media_window: window, ..Timing::default() };
    let place = Place::own();
    let system = Setup::default().speed(1.0).timing(timing).worker_elsewhere(&place.url()).start().await;
    let worker = Worker::start(&system, place, "handover").await;
    let system = Arc::new(system);
    let call = play(&system, 1, 6_000).pop().unwrap();
    worker.until_streaming(&system, 1, Duration::from_secs(10)).await;
    worker.terminate().await;
    // Zoom ends it, because nobody comes back.
    let outcome = call.await.unwrap();
    // Where the gateway does not know it: what it is told and when is this test's.
    let place = Place::own();
    let worker = Worker::start(&system, place, "handover").await;
    let identity = &outcome.played.identity;
    let tell = async |webhook: Value, status| {
        let told = system.http.post(format!("{}/webhook", place.url())).bearer_auth("hop").json(&webhook);
        assert_eq!(told.send().await.unwrap().json::<Value>().await.unwrap()["status"], status);
    };
    let refused = |times| (worker.log(&system).matches("no server takes").count() >= times).then_some(());
    system.until("Zoom refuses the stream", || refused(1)).await;
    let url = format!("wss://localhost:{}/signaling", system.simulator.address().port());
    tell(webhook::started(identity, &url, 1, Layout::Flat), "reconnecting").await;
    system.until("Zoom refuses it at the same server once more", || refused(2)).await;
    tell(webhook::stopped(identity, StopReason::CustomerDisconnected, Layout::Flat), "stopped").await;
    let manifest = system.finished(&identity.stream_id).await;
    assert_eq!(manifest["state"], "complete", "{}", worker.log(&system));
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_ends_the_streams_at_zoom() {
    let (system, worker) = system_with_process("finish").await;
    let system = Arc::new(system);
    let calls = play(&system, 2, 60_000);
    worker.until_streaming(&system, 2, Duration::from_secs(10)).await;
    let (_, took) = worker.terminate().await;
    assert!(took < Duration::from_secs(10), "finishing took {took:?}");
    for call in calls {
        let outcome = call.await.unwrap();
        assert_eq!(outcome.played.stop_reason, Some(StopReason::ReceiverRequestClose));
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
    worker.kill(&system, Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(second.try_wait().unwrap().is_none(), "the folder is free: it runs");
    second.kill().unwrap();
    second.wait().unwrap();
}
