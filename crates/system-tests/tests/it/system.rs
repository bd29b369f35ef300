//! One gateway, one worker, one simulator, on free ports and in a folder of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtms_gateway::Listeners;
use rtms_protocol::session::Timeouts;
use rtms_protocol::{Credentials, Product, StreamIdentity};
use rtms_service::CancellationToken;
use rtms_service::settings::{SettingsReader, Sources};
use rtms_simulator::engagement::{self, Outcome, Plan};
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::Program;
use rtms_simulator::webhook::{Layout, WebhookSender};
use rtms_simulator::{Simulator, SimulatorConfig, Timing};
use rtms_worker::MediaChoice;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECRET_TOKEN: &str = "webhook-secret";
/// Streams are played faster than life, so that the tests take seconds.
pub(crate) const SPEED: f64 = 4.0;
/// Longer than anything here takes; only a failure waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How far a call has come at the most when its client has joined, ms: on a machine that is slow or busy its clock stands
/// still there, so that what is asked of a test does not depend on that.
const WAITS_AT_MS: i64 = 1_000;

/// What differs from test to test.
pub(crate) struct Setup {
    worker: Vec<(&'static str, String)>,
    speed: f64,
    video_sdk: Option<Credentials>,
    timing: Timing,
    waits_at: Option<i64>,
    elsewhere: Option<String>,
    timeouts: Timeouts,
}

/// Zoom's own, but for who takes longer than that to read what is left: 64 MiB of rubbish, on a busy machine.
pub(crate) fn timing() -> Timing {
    Timing { drain: Duration::from_secs(20), ..Timing::default() }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            worker: Vec::new(),
            speed: SPEED,
            video_sdk: None,
            timing: timing(),
            waits_at: Some(WAITS_AT_MS),
            elsewhere: None,
            timeouts: Timeouts::default(),
        }
    }
}

impl Setup {
    /// Sets a variable of the worker.
    pub(crate) fn worker(mut self, name: &'static str, value: &str) -> Self {
        self.worker.push((name, value.to_owned()));
        self
    }

    /// Gives Video SDK streams credentials of their own at Zoom's side.
    pub(crate) fn video_sdk(mut self, client_id: &str, secret: &str) -> Self {
        self.video_sdk =
            Some(Credentials { client_id: client_id.to_owned(), client_secret: secret.to_owned().into() });
        self
    }

    /// Plays this many times faster than life.
    pub(crate) fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Lets Zoom send keep-alives this often, so that three missed ones are soon noticed.
    pub(crate) fn keep_alive(mut self, every: Duration) -> Self {
        self.timing.keep_alive = every;
        self
    }

    /// Lets a call be so far on, ms, when its client joins late.
    pub(crate) fn waits_at(mut self, offset_ms: i64) -> Self {
        self.waits_at = Some(offset_ms);
        self
    }

    /// Lets calls end of themselves though nobody ever joined them.
    pub(crate) fn waits_for_nobody(mut self) -> Self {
        self.waits_at = None;
        self
    }

    /// Lets Zoom wait so long, or so briefly.
    pub(crate) fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Lets the worker's sessions wait so long, or so briefly.
    pub(crate) fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Runs no worker here: one listens at this URL, with the settings of [`System::worker_sources`].
    pub(crate) fn worker_elsewhere(mut self, url: &str) -> Self {
        self.elsewhere = Some(url.to_owned());
        self
    }

    pub(crate) async fn start(self) -> System {
        System::start(self).await
    }
}

/// Everything that runs.
pub(crate) struct System {
    pub(crate) simulator: Simulator,
    pub(crate) sender: WebhookSender,
    pub(crate) http: reqwest::Client,
    pub(crate) worker_url: String,
    folder: TempDir,
    worker_stop: CancellationToken,
    gateway_stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
    gateway: Option<JoinHandle<()>>,
    /// What a worker of this process asks for.
    media: Option<MediaChoice>,
}

impl System {
    async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials { client_id: "cid".into(), client_secret: "csecret".into() };
        let config = SimulatorConfig {
            speed: setup.speed,
            video_sdk_credentials: setup.video_sdk.clone(),
            timing: setup.timing,
            waits_at: setup.waits_at,
            ..SimulatorConfig::new(credentials)
        };
        let simulator = Simulator::start(config).await.unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, simulator.ca_pem().unwrap()).unwrap();

        let worker_stop = CancellationToken::new();
        let (worker_url, media, worker) = match &setup.elsewhere {
            Some(url) => (url.clone(), None, None),
            None => {
                let (url, media, task) = start_worker(folder.path(), &setup, worker_stop.clone()).await;
                (url, Some(media), Some(task))
            }
        };

        let sources = Sources::new(folder.path())
            .with("ZOOM_SECRET_TOKEN", SECRET_TOKEN)
            .with("RTMS_INTERNAL_TOKEN", "hop")
            .with("RTMS_SERVER_URL", &worker_url);
        let mut reader = SettingsReader::load(&rtms_gateway::settings::TABLE, &sources);
        let gateway_settings = rtms_gateway::Settings::read(&mut reader);
        reader.finish().unwrap();
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway_url = format!("http://{}", public.local_addr().unwrap());
        let listeners = Listeners { public, admin: TcpListener::bind("127.0.0.1:0").await.unwrap() };

        let gateway_stop = CancellationToken::new();
        let stop = gateway_stop.clone();
        let gateway = tokio::spawn(async move {
            rtms_gateway::run(gateway_settings, listeners, stop).await.unwrap();
        });
        let sender = WebhookSender::new(&gateway_url, SECRET_TOKEN.into(), Vec::new()).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        if worker.is_some() {
            until_ready(&http, &gateway_url).await;
        }
        Self {
            simulator,
            sender,
            http,
            worker_url,
            folder,
            worker_stop,
            gateway_stop,
            worker,
            gateway: Some(gateway),
            media,
        }
    }

    /// The folder that everything is in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The worker's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Plays a product's usual course and waits until its recording is finished.
    pub(crate) async fn record(&self, product: Product, duration_ms: i64) -> Recorded {
        self.record_with(product, self.simulator.usual_program(product, duration_ms), Faults::default()).await
    }

    /// Plays this program, with these faults, and waits until its recording is finished.
    pub(crate) async fn record_with(
        &self,
        product: Product,
        program: Arc<Program>,
        faults: Faults,
    ) -> Recorded {
        let plan = self.plan(product, "call/1==", "stream-1", program, faults);
        let outcome = self.play(plan).await;
        self.recorded("stream-1", outcome).await
    }

    /// Waits for the finished recording of what was played.
    pub(crate) async fn recorded(&self, stream_id: &str, outcome: Outcome) -> Recorded {
        let manifest = self.finished(stream_id).await;
        Recorded { outcome, manifest, data: self.data() }
    }

    pub(crate) fn plan(
        &self,
        product: Product,
        id: &str,
        stream_id: &str,
        program: Arc<Program>,
        faults: Faults,
    ) -> Plan {
        let identity = StreamIdentity { product, id: id.to_owned(), stream_id: stream_id.to_owned() };
        Plan { identity, program, faults, layout: Layout::Flat }
    }

    pub(crate) async fn play(&self, plan: Plan) -> Outcome {
        // To resample and encode takes longer than the answer to a handshake may take: it is done before.
        if let Some(media) = &self.media {
            let (program, params) = (Arc::clone(&plan.program), media.for_product(plan.identity.product));
            tokio::task::spawn_blocking(move || program.render(&params)).await.unwrap();
        }
        let played = engagement::play(&self.simulator, &self.sender, plan);
        tokio::time::timeout(PATIENCE, played).await.expect("the stream did not end").unwrap()
    }

    /// Waits for a finished recording of this stream, and reads its manifest from the folder.
    pub(crate) async fn finished(&self, stream_id: &str) -> Value {
        let is_finished = |m: &Value| m["rtms_stream_id"] == stream_id && m["state"] != "recording";
        self.until("the recording is finished", || manifests(&self.data()).into_iter().find(is_finished))
            .await
    }

    /// Looks until there is something to see.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the worker shows this stream in this state.
    pub(crate) async fn until_state(&self, stream_id: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let (status, engagement) = self.get(&format!("/engagements/{stream_id}")).await;
            if status == 200 && engagement["state"] == state {
                return engagement;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {state}: {engagement}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the worker has so many packets of sound of this stream.
    pub(crate) async fn until_packets(&self, stream_id: &str, count: u64) {
        let began = Instant::now();
        let has = |shown: &Value| {
            let tracks = shown["tracks"].as_array().map_or(&[][..], Vec::as_slice);
            tracks.iter().any(|t| t["kind"] == "audio" && t["packets"].as_u64() >= Some(count))
        };
        while !has(&self.get(&format!("/engagements/{stream_id}")).await.1) {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {count} packets of {stream_id}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the worker knows this stream.
    pub(crate) async fn until_known(&self, stream_id: &str) {
        let began = Instant::now();
        while self.get(&format!("/engagements/{stream_id}")).await.0 != 200 {
            assert!(began.elapsed() < PATIENCE, "waited in vain for {stream_id}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The worker's metrics.
    pub(crate) async fn metrics(&self) -> String {
        let request = self.http.get(format!("{}/metrics", self.worker_url)).bearer_auth("hop");
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Asks the worker.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.worker_url)).bearer_auth("hop");
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Tells the worker.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.worker_url)).bearer_auth("hop").json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Stops the worker gracefully and waits for it.
    pub(crate) async fn stop_worker(&mut self) {
        self.worker_stop.cancel();
        if let Some(worker) = self.worker.take() {
            tokio::time::timeout(PATIENCE, worker).await.expect("the worker did not stop").unwrap();
        }
    }

    /// Stops everything and sees that nothing had broken.
    pub(crate) async fn stop(mut self) {
        self.gateway_stop.cancel();
        if let Some(gateway) = self.gateway.take() {
            tokio::time::timeout(PATIENCE, gateway).await.expect("the gateway did not stop").unwrap();
        }
        self.stop_worker().await;
    }
}

/// The variables of a worker in this folder.
pub(crate) fn worker_variables(folder: &Path) -> Vec<(&'static str, String)> {
    let ca = folder.join("ca.pem").to_str().unwrap().to_owned();
    let fixed = [
        ("ZOOM_APP_CLIENT_ID", "cid"),
        ("ZOOM_APP_CLIENT_SECRET", "csecret"),
        ("RTMS_INTERNAL_TOKEN", "hop"),
        ("RTMS_ALLOWED_HOSTS", "localhost"),
    ];
    let mut variables: Vec<_> = fixed.map(|(name, value)| (name, value.to_owned())).into();
    variables.push(("RTMS_CA_FILE", ca));
    variables
}

/// Runs a worker in this process; its URL, what it asks for, and its task.
async fn start_worker(
    folder: &Path,
    setup: &Setup,
    stop: CancellationToken,
) -> (String, MediaChoice, JoinHandle<()>) {
    let mut sources = Sources::new(folder);
    for (name, value) in worker_variables(folder).iter().chain(&setup.worker) {
        sources = sources.with(name, value);
    }
    let mut reader = SettingsReader::load(&rtms_worker::TABLE, &sources);
    let mut settings = rtms_worker::Settings::read(&mut reader);
    settings.timeouts = setup.timeouts;
    reader.finish().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let media = settings.media.clone();
    let task = tokio::spawn(async move { rtms_worker::run(settings, listener, stop).await.unwrap() });
    (url, media, task)
}

/// A finished recording beside what was played.
pub(crate) struct Recorded {
    pub(crate) outcome: Outcome,
    pub(crate) manifest: Value,
    data: PathBuf,
}

impl Recorded {
    /// The first track of a kind.
    pub(crate) fn any_track(&self, kind: &str) -> &Value {
        let tracks = self.manifest["tracks"].as_array().unwrap();
        tracks
            .iter()
            .find(|track| track["kind"] == kind)
            .unwrap_or_else(|| panic!("no {kind} in {tracks:#?}"))
    }

    /// The file of a track.
    pub(crate) fn file(&self, track: &Value) -> PathBuf {
        self.data.join(track["file"].as_str().unwrap())
    }

    pub(crate) fn text(&self, file: &Path) -> String {
        std::fs::read_to_string(self.data.join(file)).unwrap()
    }
}

/// Every manifest in a data folder.
pub(crate) fn manifests(data: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(data.join("manifests")) else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        // One whose name was just claimed is empty.
        .filter_map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).ok())
        .collect()
}

/// Until the gateway answers and knows the worker: how long both take to start is not to be part of a call.
async fn until_ready(http: &reqwest::Client, gateway_url: &str) {
    let ready = async {
        loop {
            let answer = http.get(format!("{gateway_url}/health")).send().await;
            if let Ok(answer) = answer
                && answer.json::<Value>().await.is_ok_and(|health| health["worker"] == "ok")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.expect("gateway and worker are ready");
}
