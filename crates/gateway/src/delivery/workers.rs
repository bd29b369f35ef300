//! The workers: who is there, how busy each is, and who gets a new stream.
//!
//! Each is asked for its `/health` once a second in the background, more often while events wait for it, so that choosing
//! and answering never wait for one. What an attempt shows is noted as well: it is fresher than any probe.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, redirect};
use rtms_service::CancellationToken;
use rtms_service::program::Check;
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::attempt::{ATTEMPT_PATIENCE, Verdict, attempt, attempt_by_tls, authorized, chain, limited};
use super::connections::Connections;

/// How often a worker is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The same for one that no event could be brought to: a stream that has started waits for it.
const PROBE_ABSENT_EVERY: Duration = Duration::from_millis(250);
/// For so long nobody else tries to connect to a worker after an attempt found that there is none.
const ABSENT_FOR: Duration = Duration::from_secs(1);
/// How long a probe may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long an idle connection is kept: shorter than any worker keeps it, so that none is used as it closes.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Attempts at one worker at the same time; one that hangs does not take places at another.
const ATTEMPTS_EACH: usize = 64;

/// What is known of a worker, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    /// It answers that all is well.
    Ready,
    /// It answers that something is wrong.
    Degraded,
    /// Not asked yet.
    Unknown,
    /// It takes no new streams.
    Draining,
    /// It does not answer.
    Unreachable,
}

/// How a worker is, by probes and attempts.
struct Known {
    condition: Condition,
    /// When an attempt last found nobody to connect to, or set out to see whether that is still so; `None` once the
    /// worker answered.
    absent: Option<Instant>,
    answered: Option<Instant>,
}

impl Known {
    /// Whether an attempt found nobody so short ago that no other need ask.
    fn is_absent(&self) -> bool {
        self.absent.is_some_and(|at| at.elapsed() < ABSENT_FOR)
    }

    fn answered(&mut self) {
        (self.absent, self.answered) = (None, Some(Instant::now()));
    }
}

/// One worker.
pub(crate) struct Worker {
    /// Its base URL, without trailing slash.
    pub(crate) base: String,
    /// Bounds the attempts at it.
    pub(crate) places: Semaphore,
    /// Its own connections; `None` where it wants TLS.
    connections: Option<Connections>,
    known: Mutex<Known>,
    /// Engagements it reported.
    active: AtomicU64,
    /// Streams given to it since it reported.
    given: AtomicUsize,
}

impl Worker {
    pub(crate) fn condition(&self) -> Condition {
        self.known().condition
    }

    /// Whether another attempt has just found that nobody can connect to it. Thousands of streams may wait for one
    /// worker: one of them asks for all.
    pub(super) fn is_absent(&self) -> bool {
        self.known().is_absent()
    }

    /// Whether an attempt may be made: where nobody could connect, whoever may is the only one for a while.
    pub(super) fn may_try(&self) -> bool {
        let mut known = self.known();
        if known.is_absent() {
            return false;
        }
        if known.absent.is_some() {
            known.absent = Some(Instant::now());
        }
        true
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream was given to it.
    pub(crate) fn give(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        self.active.load(Ordering::Relaxed).saturating_add(self.given.load(Ordering::Relaxed) as u64)
    }
}

/// All workers of this gateway, and the client that asks them how they are (and delivers by TLS).
pub struct Workers {
    all: Vec<Arc<Worker>>,
    token: Option<SecretString>,
    client: Client,
    /// Counts how often a worker came back; waiting streams try again at once.
    returned: watch::Sender<u64>,
}

/// What of a worker's `/health` matters here.
#[derive(Deserialize, Default)]
struct Health {
    #[serde(default)]
    status: String,
    #[serde(default, rename = "activeEngagements")]
    active: u64,
}

impl Workers {
    /// Workers by their base URLs.
    ///
    /// # Errors
    /// When no HTTP client can be made for them, such as `https` without any root certificate.
    pub fn new(bases: &[String], token: Option<SecretString>) -> Result<Self, String> {
        let worker = |base: &String| {
            Ok(Arc::new(Worker {
                base: base.clone(),
                places: Semaphore::new(ATTEMPTS_EACH),
                connections: Connections::new(base, token.as_ref(), CONNECT_PATIENCE, POOL_IDLE)?,
                known: Mutex::new(Known { condition: Condition::Unknown, absent: None, answered: None }),
                active: AtomicU64::new(0),
                given: AtomicUsize::new(0),
            }))
        };
        let all = bases.iter().map(worker).collect::<Result<_, String>>()?;
        let client = client(bases.iter().any(|base| base.starts_with("https:")))?;
        Ok(Self { all, token, client, returned: watch::Sender::new(0) })
    }

    /// How many answer.
    pub(crate) fn reachable(&self) -> usize {
        let answers =
            |w: &&Arc<Worker>| !matches!(w.condition(), Condition::Unknown | Condition::Unreachable);
        self.all.iter().filter(answers).count()
    }

    /// A worker by its URL, if it is still one of ours.
    pub(crate) fn named(&self, base: &str) -> Option<Arc<Worker>> {
        self.all.iter().find(|worker| worker.base == base).cloned()
    }

    /// The worker for a new stream: in the best condition, then the least busy; those in `passed_over`
    /// only when there is no other.
    pub(crate) fn choose(&self, passed_over: &HashSet<String>) -> Option<Arc<Worker>> {
        let rank = |w: &&Arc<Worker>| (passed_over.contains(&w.base), w.condition(), w.load());
        self.all.iter().min_by_key(rank).cloned()
    }

    /// Whether another worker than those in `passed_over` may take a stream now.
    pub(crate) fn another(&self, passed_over: &HashSet<String>) -> bool {
        self.all.iter().any(|w| !passed_over.contains(&w.base) && w.condition() < Condition::Draining)
    }

    /// Tries once to give a worker an event, and notes what that shows of the worker.
    pub(super) async fn attempt(&self, worker: &Worker, body: Bytes) -> Verdict {
        let began = Instant::now();
        let verdict = match &worker.connections {
            Some(connections) => attempt(connections, body).await,
            None => attempt_by_tls(&self.client, &worker.base, self.token.as_ref(), body).await,
        };
        match verdict {
            Verdict::Unreachable { .. } => self.found_absent(worker, began),
            Verdict::Failed { .. } => {}
            _ => worker.known().answered(),
        }
        verdict
    }

    /// Ends a wait when a worker comes back.
    pub(crate) fn returns(&self) -> watch::Receiver<u64> {
        self.returned.subscribe()
    }

    /// Notes what is known of a worker now.
    pub(crate) fn note(&self, worker: &Worker, condition: Condition) {
        let before = {
            let mut known = worker.known();
            if condition != Condition::Unreachable {
                known.answered();
            }
            std::mem::replace(&mut known.condition, condition)
        };
        if before == condition {
            return;
        }
        match condition {
            Condition::Unreachable => tracing::warn!(
                worker = %worker.base,
                "the worker does not answer; events wait for it on disk, nothing is lost"
            ),
            _ => tracing::info!(worker = %worker.base, ?condition, "the worker answers"),
        }
        if condition <= Condition::Degraded {
            self.returned.send_modify(|times| *times += 1);
        }
    }

    /// An attempt that was begun at `began` could not connect to a worker. It says nothing about one that has answered
    /// since.
    fn found_absent(&self, worker: &Worker, began: Instant) {
        {
            let mut known = worker.known();
            if known.answered.is_some_and(|at| at > began) {
                return;
            }
            known.absent = Some(Instant::now());
        }
        self.note(worker, Condition::Unreachable);
    }

    /// A worker took an event: it is there, whatever the last probe said.
    pub(crate) fn note_answer(&self, worker: &Worker) {
        if matches!(worker.condition(), Condition::Unknown | Condition::Unreachable) {
            self.note(worker, Condition::Ready);
        }
    }

    /// Asks all workers once a second, and more often while events wait for them.
    pub(crate) async fn probe_until(self: Arc<Self>, until: CancellationToken) {
        let mut probes = tokio::task::JoinSet::new();
        for worker in &self.all {
            let (workers, worker) = (Arc::clone(&self), Arc::clone(worker));
            probes.spawn(async move {
                loop {
                    workers.probe(&worker).await;
                    worker.connections.iter().for_each(Connections::close_idle);
                    let absent = worker.known().absent.is_some();
                    tokio::time::sleep(if absent { PROBE_ABSENT_EVERY } else { PROBE_EVERY }).await;
                }
            });
        }
        until.cancelled().await;
    }

    async fn probe(&self, worker: &Worker) {
        match self.health(worker).await {
            Ok(health) => {
                worker.given.store(0, Ordering::Relaxed);
                worker.active.store(health.active, Ordering::Relaxed);
                let condition = match health.status.as_str() {
                    "draining" => Condition::Draining,
                    "degraded" => Condition::Degraded,
                    _ => Condition::Ready,
                };
                self.note(worker, condition);
            }
            Err(problem) => {
                tracing::debug!(worker = %worker.base, problem, "probe failed");
                self.note(worker, Condition::Unreachable);
            }
        }
    }

    async fn health(&self, worker: &Worker) -> Result<Health, String> {
        let url = format!("{}/health", worker.base);
        let answer = self.client.get(url).timeout(PROBE_PATIENCE).send().await.map_err(|p| chain(&p))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("/health answers {status}"));
        }
        Ok(serde_json::from_slice(&limited(answer).await).unwrap_or_default())
    }

    /// One line a worker for the command `check`.
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for worker in &self.all {
            let found = match self.health(worker).await {
                Ok(health) => self.token_fits(worker).await.map(|()| {
                    format!("answers, status {:?}, {} active engagements", health.status, health.active)
                }),
                Err(problem) => Err(format!("{problem}; is it running, and is RTMS_SERVER_URL right?")),
            };
            checks.push(Check { what: format!("worker {}", worker.base), found });
        }
        checks
    }

    /// Whether the worker takes our token: `/ready` is behind it, `/health` is not.
    async fn token_fits(&self, worker: &Worker) -> Result<(), String> {
        let request = self.client.get(format!("{}/ready", worker.base)).timeout(PROBE_PATIENCE);
        let answer = authorized(request, self.token.as_ref()).send().await.map_err(|p| chain(&p))?;
        if answer.status() == reqwest::StatusCode::UNAUTHORIZED {
            return Err("refuses our token; set the same RTMS_INTERNAL_TOKEN on both services".to_owned());
        }
        Ok(())
    }
}

/// A client that goes straight to the worker: no redirects, no proxies, and a time for everything.
fn client(tls: bool) -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    if tls {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err("https needs root certificates, and this system has none".to_owned());
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|problem| problem.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(ATTEMPT_PATIENCE)
        .pool_idle_timeout(POOL_IDLE)
        .build()
        .map_err(|problem| format!("no HTTP client: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_a_second_asks_whether_an_absent_worker_is_back() {
        let workers = Workers::new(&["http://127.0.0.1:1".to_owned()], None).unwrap();
        let worker = workers.named("http://127.0.0.1:1").unwrap();
        assert!(worker.may_try() && worker.may_try(), "nothing is known yet");
        workers.found_absent(&worker, Instant::now());
        assert!(worker.is_absent() && !worker.may_try());
        tokio::time::advance(ABSENT_FOR).await;
        assert!(!worker.is_absent());
        assert!(worker.may_try());
        assert!(!worker.may_try(), "another one is asking, however long that takes");
        worker.known().answered();
        assert!(worker.may_try() && worker.may_try());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_from_before_the_last_answer_says_nothing() {
        let workers = Workers::new(&["http://127.0.0.1:1".to_owned()], None).unwrap();
        let worker = workers.named("http://127.0.0.1:1").unwrap();
        let began = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        workers.note(&worker, Condition::Ready);
        workers.found_absent(&worker, began);
        assert!(!worker.is_absent() && worker.condition() == Condition::Ready);
        tokio::time::advance(Duration::from_millis(1)).await;
        workers.found_absent(&worker, Instant::now());
        assert!(worker.is_absent());
    }
}
