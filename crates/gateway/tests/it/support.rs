//! A gateway on free ports, a worker that answers as it is told, and Zoom's signing.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use reqwest::Client;
use rtms_gateway::{Listeners, Settings, run};
use rtms_protocol::{WebhookKeys, sign_webhook};
use rtms_service::CancellationToken;
use rtms_service::program::RunError;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The webhook secret of all tests.
pub(crate) const SECRET: &str = "hush-hush-secret";
/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway in this process.
pub(crate) struct Gateway {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), RunError>>,
    pub(crate) client: Client,
}

/// An address of this host that no other process uses: what is given back there stays free for who comes again.
pub(crate) fn own_host() -> Ipv4Addr {
    // Linux numbers processes with 22 bits.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | high, middle, low)
}

pub(crate) fn client() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).tls_backend_preconfigured(no_tls()).build().unwrap()
}

fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn keys(secrets: &[&str]) -> WebhookKeys {
    WebhookKeys::new(secrets.iter().map(|s| SecretString::from(*s)).collect()).unwrap()
}

pub(crate) fn settings(data_dir: &Path, workers: &[String]) -> Settings {
    Settings {
        keys: Some(keys(&[SECRET])),
        workers: workers.to_vec(),
        internal_token: None,
        host: "127.0.0.1".to_owned(),
        port: 0,
        admin_port: 0,
        data_dir: data_dir.to_owned(),
    }
}

impl Gateway {
    pub(crate) async fn start(settings: Settings) -> Self {
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            public: public.local_addr().unwrap(),
            admin: admin.local_addr().unwrap(),
            task: tokio::spawn(run(settings, Listeners { public, admin }, shutdown.clone())),
            shutdown,
            client: client(),
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    /// A signed delivery; the status and the JSON of the answer.
    pub(crate) async fn deliver(&self, body: &Value) -> (StatusCode, Value) {
        let body = body.to_string();
        let now = rtms_service::time::unix_millis() / 1000;
        let signature = sign_webhook(&SecretString::from(SECRET), now, body.as_bytes());
        self.post(body, &[("x-zm-request-timestamp", &now.to_string()), ("x-zm-signature", &signature)]).await
    }

    pub(crate) async fn post(
        &self,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut request = self.client.post(format!("http://{}/api/webhooks/zoom", self.public)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> (StatusCode, Value) {
        read(self.client.get(format!("http://{address}{path}")).send().await.unwrap()).await
    }

    pub(crate) async fn health(&self) -> Value {
        self.get(self.public, "/health").await.1
    }

    /// Waits until `/health` shows what `wanted` wants.
    pub(crate) async fn health_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let health = self.health().await;
            if wanted(&health) {
                return health;
            }
            assert!(tokio::time::Instant::now() < deadline, "{health}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.admin);
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }
}

async fn read(answer: reqwest::Response) -> (StatusCode, Value) {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A signed-looking event of stream `id`.
pub(crate) fn event(action: &str, stream: &str, event_ts: i64) -> Value {
    json!({
        "event": format!("contact_center.voice_rtms_{action}"),
        "event_ts": event_ts,
        "payload": {"engagement_id": "abc123", "rtms_stream_id": stream, "server_urls": "wss://rtms.zoom.us"},
    })
}

/// What reached a worker.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
}

impl Arrived {
    /// `started xyz`, say.
    pub(crate) fn short(&self) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap();
        let action = value["event"].as_str().unwrap().rsplit('_').next().unwrap().to_owned();
        format!("{action} {}", value["payload"]["rtms_stream_id"].as_str().unwrap())
    }
}

/// A worker that answers from a script, then 200; events of a stream that it refuses get 500 each time.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    state: Arc<WorkerState>,
    task: JoinHandle<()>,
}

struct WorkerState {
    script: Mutex<VecDeque<u16>>,
    refused: Mutex<Option<String>>,
    arrived: Mutex<Vec<Arrived>>,
    active: Mutex<u64>,
}

impl Worker {
    pub(crate) async fn start(script: &[u16]) -> Self {
        Self::start_at((own_host(), 0).into(), script).await
    }

    pub(crate) async fn start_at(address: SocketAddr, script: &[u16]) -> Self {
        let state = Arc::new(WorkerState {
            script: Mutex::new(script.iter().copied().collect()),
            refused: Mutex::new(None),
            arrived: Mutex::new(Vec::new()),
            active: Mutex::new(0),
        });
        let router = Router::new()
            .route("/webhook", post(take))
            .route("/health", get(report))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn busy(&self, active: u64) {
        *self.state.active.lock().unwrap() = active;
    }

    /// Refuses the events of this stream, or of none any more.
    pub(crate) fn refuse(&self, stream: Option<&str>) {
        *self.state.refused.lock().unwrap() = stream.map(str::to_owned);
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.state.arrived.lock().unwrap().clone()
    }

    pub(crate) fn shorts(&self) -> Vec<String> {
        self.arrived().iter().map(Arrived::short).collect()
    }

    /// Waits for `count` arrivals.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.arrived().len() < count {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", self.shorts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.shorts()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(state): State<Arc<WorkerState>>, headers: HeaderMap, body: Bytes) -> Response {
    let arrived = Arrived { body, headers };
    let refused =
        state.refused.lock().unwrap().as_ref().is_some_and(|stream| arrived.short().ends_with(stream));
    state.arrived.lock().unwrap().push(arrived);
    let code = if refused { 500 } else { state.script.lock().unwrap().pop_front().unwrap_or(200) };
    let status = StatusCode::from_u16(code).unwrap();
    (status, axum::Json(json!({"received": true, "status": "started"}))).into_response()
}

async fn report(State(state): State<Arc<WorkerState>>) -> Response {
    let active = *state.active.lock().unwrap();
    axum::Json(json!({"status": "ok", "activeEngagements": active})).into_response()
}

/// Everything that lies in the data folder, as bytes.
pub(crate) fn on_disk(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        all.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    all
}

pub(crate) fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}
