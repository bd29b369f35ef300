//! Which streams are active: one handle for each, by `rtms_stream_id`.

mod revocation;
mod stopped;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rtms_client::{Client, ClientOptions, UrlRefused};
use rtms_protocol::session::{Phase, SessionConfig};
use rtms_protocol::{Input, StopReason, StreamAction, StreamIdentity, StreamWebhook, UnixMillis};
use rtms_recorder::{RecordingSpec, StoredManifest};
use rtms_service::time::unix_millis;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::stopped::Stopped;
use crate::engagement::Engagement;
use crate::media_threads::MediaThreads;
use crate::metrics;
use crate::settings::{OnShutdown, Settings};
use crate::view::View;
use crate::writer::{Origin, Writers};

/// Webhooks and wishes that may wait for one engagement's task.
const COMMANDS: usize = 16;

/// What a webhook came to; the `status` of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Started,
    AlreadyActive,
    Reconnecting,
    Stopped,
    NotActive,
    Ignored,
}

impl Status {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::AlreadyActive => "already_active",
            Self::Reconnecting => "reconnecting",
            Self::Stopped => "stopped",
            Self::NotActive => "not_active",
            Self::Ignored => "ignored",
        }
    }
}

/// Why a webhook was not acted on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// `RTMS_MAX_ENGAGEMENTS` is reached.
    #[error("all engagements are in use")]
    Full,
    /// The worker is stopping.
    #[error("the worker is stopping")]
    Draining,
    /// The engagement does not take messages now, or is just finishing.
    #[error("the engagement is busy")]
    Busy,
    /// A URL names a host or scheme that is not allowed.
    #[error("payload.server_urls: {0}")]
    Refused(#[from] UrlRefused),
}

#[derive(Debug, Clone)]
struct Handle {
    view: Arc<View>,
    commands: mpsc::Sender<Box<Input>>,
}

/// The active engagements and what starts them.
#[derive(Debug)]
pub(crate) struct Registry {
    settings: Settings,
    options: Arc<ClientOptions>,
    writers: Arc<Writers>,
    threads: MediaThreads,
    engagements: Mutex<HashMap<String, Handle>>,
    stopped: Mutex<Stopped>,
    tasks: TaskTracker,
    draining: AtomicBool,
}

impl Registry {
    pub(crate) fn new(
        settings: Settings,
        options: ClientOptions,
        writers: Arc<Writers>,
        threads: MediaThreads,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            options: Arc::new(options),
            writers,
            threads,
            engagements: Mutex::default(),
            stopped: Mutex::default(),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
        })
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn writers(&self) -> &Writers {
        &self.writers
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lock().len() >= self.settings.max_engagements
    }

    /// The views of all engagements, in the order of their start.
    pub(crate) fn views(&self) -> Vec<Arc<View>> {
        let mut views: Vec<_> = self.lock().values().map(|handle| Arc::clone(&handle.view)).collect();
        views.sort_by_key(|view| (view.heard_at(), view.identity().stream_id.clone()));
        views
    }

    pub(crate) fn view(&self, stream_id: &str) -> Option<Arc<View>> {
        self.lock().get(stream_id).map(|handle| Arc::clone(&handle.view))
    }

    /// Acts on a webhook of a stream.
    ///
    /// # Errors
    /// When it cannot be acted on, now or ever.
    pub(crate) fn on_webhook(
        self: &Arc<Self>,
        webhook: StreamWebhook,
        event_ts: Option<UnixMillis>,
    ) -> Result<Status, Unavailable> {
        let stream_id = webhook.identity.stream_id.clone();
        match webhook.action {
            StreamAction::Started { server_urls, .. } => {
                self.on_started(webhook.identity, webhook.account_id, server_urls, event_ts)
            }
            StreamAction::Stopped { reason } => self.on_stopped(&stream_id, reason, event_ts),
            StreamAction::Interrupted => Ok(match self.tell(&stream_id, Input::Interrupted)? {
                true => Status::Reconnecting,
                false => Status::NotActive,
            }),
            StreamAction::Other => Ok(Status::Ignored),
        }
    }

    fn on_started(
        self: &Arc<Self>,
        identity: StreamIdentity,
        account_id: Option<String>,
        server_urls: Vec<String>,
        event_ts: Option<UnixMillis>,
    ) -> Result<Status, Unavailable> {
        for url in &server_urls {
            self.options.policy().check(url)?;
        }
        let now = UnixMillis(unix_millis());
        let started_at = event_ts.unwrap_or(now);
        if self.stopped().is_over(&identity.stream_id, started_at) {
            tracing::info!(stream = %identity.stream_id, "started came after the stop that ended it; ignored");
            return Ok(Status::Ignored);
        }
        let known = self.view(&identity.stream_id);
        if let Some(view) = known {
            return self.on_started_again(&view, server_urls, started_at);
        }
        let view = Arc::new(View::new(identity, started_at, now, server_urls.clone()));
        // Two deliveries at the same moment: the first one wins.
        let Some(commands) = self.enter(&view, self.settings.max_engagements)? else {
            return Ok(Status::AlreadyActive);
        };
        tracing::info!(
            stream = %view.identity().stream_id, engagement = %view.identity().id, product = %view.identity().product,
            "stream started; joining"
        );
        let spec = self.spec(&view, account_id, server_urls.clone());
        self.spawn(view, server_urls, Origin::New(Box::new(spec)), commands);
        Ok(Status::Started)
    }

    /// Another `started` of a stream that we hold: Zoom moved it, or repeats itself.
    fn on_started_again(
        &self,
        view: &View,
        server_urls: Vec<String>,
        started_at: UnixMillis,
    ) -> Result<Status, Unavailable> {
        let stream_id = &view.identity().stream_id;
        let phase = view.phase();
        if matches!(phase, Phase::Stopping | Phase::Ended) {
            return Err(Unavailable::Busy);
        }
        if view.has_urls(&server_urls) {
            if phase == Phase::Reconnecting || view.awaits_server() {
                self.tell(stream_id, Input::Restarted(server_urls))?;
                return Ok(Status::Reconnecting);
            }
            if started_at > view.started_at() && phase == Phase::Streaming {
                // The same server said it anew: perhaps it restarted and our sockets are dead without knowing.
                self.tell(stream_id, Input::Interrupted)?;
            }
            return Ok(Status::AlreadyActive);
        }
        if view.is_older(started_at) {
            tracing::info!(stream = %stream_id, "an older started came again after the stream had moved; ignored");
            return Ok(Status::AlreadyActive);
        }
        self.tell(stream_id, Input::Restarted(server_urls.clone()))?;
        view.set_urls(server_urls, started_at);
        Ok(Status::Reconnecting)
    }

    fn on_stopped(
        self: &Arc<Self>,
        stream_id: &str,
        reason: Option<StopReason>,
        event_ts: Option<UnixMillis>,
    ) -> Result<Status, Unavailable> {
        // The next process finishes what is left to it. Nobody there would tell it of a stop that was taken here; a
        // revocation must not wait.
        let hands_over = self.settings.on_shutdown == OnShutdown::HandOver;
        if self.is_draining() && hands_over && !reason.is_some_and(StopReason::is_revocation) {
            return Err(Unavailable::Draining);
        }
        let now = UnixMillis(unix_millis());
        self.stopped().note(stream_id, event_ts.unwrap_or(now), now);
        let active = self.tell(stream_id, Input::Stopped(reason))?;
        if reason.is_some_and(StopReason::is_revocation) {
            self.revoke(stream_id.to_owned());
        }
        Ok(if active { Status::Stopped } else { Status::NotActive })
    }

    /// Asks Zoom to end a stream; whether it is active. One whose recording is being finished is not any more.
    ///
    /// # Errors
    /// When the engagement does not take messages now.
    pub(crate) fn close(&self, stream_id: &str) -> Result<bool, Unavailable> {
        if self.lock().get(stream_id).is_some_and(|handle| handle.view.phase() == Phase::Ended) {
            return Ok(false);
        }
        self.tell(stream_id, Input::Close)
    }

    /// Asks Zoom for a participant's video, or no longer for it; whether the stream is active.
    ///
    /// # Errors
    /// When the engagement does not take messages now.
    pub(crate) fn choose_video(
        &self,
        stream_id: &str,
        user_id: String,
        subscribe: bool,
    ) -> Result<bool, Unavailable> {
        let timestamp = UnixMillis(unix_millis());
        self.tell(stream_id, Input::ChooseVideo { user_id, subscribe, timestamp })
    }

    /// Passes an input to an engagement; whether there is one.
    fn tell(&self, stream_id: &str, input: Input) -> Result<bool, Unavailable> {
        let Some(handle) = self.lock().get(stream_id).cloned() else { return Ok(false) };
        match handle.commands.try_send(Box::new(input)) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Unavailable::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(false),
        }
    }

    /// Takes up a recording that an earlier process left: rejoins its stream and goes on with the same files.
    ///
    /// # Errors
    /// When a URL in it is not allowed, or the stream is active already.
    pub(crate) fn take_up(self: &Arc<Self>, stored: StoredManifest) -> Result<(), Unavailable> {
        let manifest = &stored.manifest;
        let server_urls = manifest.server_urls.clone();
        for url in &server_urls {
            self.options.policy().check(url)?;
        }
        let now = UnixMillis(unix_millis());
        let view = Arc::new(View::new(manifest.identity(), manifest.started_at, now, server_urls.clone()));
        let spec = self.spec(&view, manifest.account_id.clone(), server_urls.clone());
        // A stream that was being recorded is taken up even where the limit is lower now.
        let commands = self.enter(&view, usize::MAX)?.ok_or(Unavailable::Busy)?;
        tracing::info!(
            stream = %manifest.rtms_stream_id, engagement = %manifest.id,
            "an earlier process left this stream; rejoining, its files go on"
        );
        let origin = Origin::Left { stored: Box::new(stored), spec: Box::new(spec) };
        self.spawn(view, server_urls, origin, commands);
        Ok(())
    }

    /// Takes an engagement into the registry, which holds `limit` of them at most: what it is told from then on, or
    /// `None` where the stream is active already.
    ///
    /// # Errors
    /// When the worker is stopping, or full.
    fn enter(
        &self,
        view: &Arc<View>,
        limit: usize,
    ) -> Result<Option<mpsc::Receiver<Box<Input>>>, Unavailable> {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let mut engagements = self.lock();
        // Asked under the lock, so that none slips in after the handles were collected for leaving.
        if self.is_draining() {
            return Err(Unavailable::Draining);
        }
        let stream_id = &view.identity().stream_id;
        if engagements.contains_key(stream_id) {
            return Ok(None);
        }
        if engagements.len() >= limit {
            return Err(Unavailable::Full);
        }
        engagements.insert(stream_id.clone(), Handle { view: Arc::clone(view), commands });
        ::metrics::gauge!(metrics::ENGAGEMENTS).set(count(engagements.len()));
        Ok(Some(receiver))
    }

    /// What a new recording of this stream is to be.
    fn spec(&self, view: &View, account_id: Option<String>, server_urls: Vec<String>) -> RecordingSpec {
        RecordingSpec {
            data_dir: self.settings.data_dir.clone(),
            partition: self.settings.partition,
            identity: view.identity().clone(),
            started_at: view.started_at(),
            account_id,
            expect: self.settings.media.expected(view.identity().product),
            images: self.settings.media.as_images(),
            server_urls,
        }
    }

    fn spawn(
        self: &Arc<Self>,
        view: Arc<View>,
        server_urls: Vec<String>,
        origin: Origin,
        commands: mpsc::Receiver<Box<Input>>,
    ) {
        let identity = view.identity().clone();
        let settings = &self.settings;
        let session = SessionConfig {
            credentials: settings.credentials(identity.product).clone(),
            server_urls,
            media: settings.media.for_product(identity.product),
            sockets: settings.media_sockets,
            buffer_data: settings.buffer_startup_audio,
            rejoins: origin.was_joined(),
            timeouts: settings.timeouts,
            seed: seed(),
            identity,
        };
        let entry = Entry { registry: Arc::clone(self), stream_id: view.identity().stream_id.clone() };
        let writers = Arc::clone(&self.writers);
        let options = Arc::clone(&self.options);
        let on_shutdown = settings.on_shutdown;
        let video_is_chosen = settings.media.video_is_chosen();
        // On the heap as long as it begins: a task keeps the room for all that it ever holds at once.
        let begin = Box::pin(async move {
            let mut client = Client::new(session, options);
            if let Some(user_id) = origin.video_user_id().filter(|_| video_is_chosen) {
                let timestamp = UnixMillis(unix_millis());
                client.tell(Input::ChooseVideo { user_id, subscribe: true, timestamp });
            }
            Engagement { client, writers, view, origin, on_shutdown, commands }.begin().await
        });
        self.threads.spawn(&self.tasks, async move {
            let _entry = entry;
            if let Some(running) = begin.await {
                running.run().await;
            }
        });
    }

    /// Stops taking streams, leaves or ends every one as the settings have it, and waits for the recordings to be safe.
    pub(crate) async fn drain(&self, patience: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        let handles: Vec<_> = self.lock().values().cloned().collect();
        if !handles.is_empty() {
            let how =
                if self.settings.on_shutdown == OnShutdown::HandOver { "handing over" } else { "ending" };
            tracing::info!(engagements = handles.len(), "{how} all streams");
        }
        let wish = match self.settings.on_shutdown {
            OnShutdown::HandOver => Input::Leave,
            OnShutdown::Finish => Input::Close,
        };
        self.tasks.close();
        let leave_all = async {
            for handle in handles {
                // An engagement that ended by itself meanwhile needs no telling.
                drop(handle.commands.send(Box::new(wish.clone())).await);
            }
            self.tasks.wait().await;
        };
        if tokio::time::timeout(patience, leave_all).await.is_err() {
            tracing::warn!(
                left = self.lock().len(),
                "some recordings could not be finished in time; their files are readable"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.engagements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> MutexGuard<'_, Stopped> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an engagement out of the registry however its task ends.
struct Entry {
    registry: Arc<Registry>,
    stream_id: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut engagements = self.registry.lock();
        engagements.remove(&self.stream_id);
        ::metrics::gauge!(metrics::ENGAGEMENTS).set(count(engagements.len()));
    }
}

/// A seed that differs between streams and processes; the standard library's hasher keys are random.
fn seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
fn count(engagements: usize) -> f64 {
    engagements as f64
}

#[cfg(test)]
mod tests {
    use rtms_protocol::Product;
    use rtms_service::settings::{SettingsReader, Sources};

    use super::*;
    use crate::run::client_options;

    /// A registry that has been told to stop, and had nothing to leave or to end.
    async fn drained(on_shutdown: &str) -> (Arc<Registry>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources::new(folder.path())
            .with("ZOOM_APP_CLIENT_ID", "cid")
            .with("ZOOM_APP_CLIENT_SECRET", "secret")
            .with("RTMS_ON_SHUTDOWN", on_shutdown);
        let mut reader = SettingsReader::load(&crate::settings::TABLE, &sources);
        let settings = Settings::read(&mut reader);
        reader.finish().unwrap();
        let options = client_options(&settings).unwrap();
        let threads = MediaThreads::start().unwrap();
        let registry = Registry::new(settings, options, Writers::start().unwrap(), threads);
        registry.drain(Duration::from_secs(60)).await;
        (registry, folder)
    }

    fn stopped(reason: StopReason) -> StreamWebhook {
        StreamWebhook {
            identity: StreamIdentity { product: Product::Phone, id: "call".into(), stream_id: "s".into() },
            action: StreamAction::Stopped { reason: Some(reason) },
            account_id: None,
        }
    }

    #[tokio::test]
    async fn a_stop_that_comes_while_streams_are_handed_over_is_for_the_next_process() {
        let (leaving, _folder) = drained("handover").await;
        let told = leaving.on_webhook(stopped(StopReason::MeetingEnded), None);
        assert!(matches!(told, Err(Unavailable::Draining)), "{told:?}");
        let told = leaving.on_webhook(stopped(StopReason::StreamRevoked), None);
        assert!(matches!(told, Ok(Status::NotActive)), "content is deleted at once: {told:?}");

        let (finishing, _folder) = drained("finish").await;
        let told = finishing.on_webhook(stopped(StopReason::MeetingEnded), None);
        assert!(matches!(told, Ok(Status::NotActive)), "{told:?}");
    }
}
