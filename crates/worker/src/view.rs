//! What others may know of an engagement while its task runs.

use std::sync::{Arc, Mutex, OnceLock};

use rtms_protocol::session::Phase;
use rtms_protocol::{StatusCode, StreamIdentity, UnixMillis};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::live::Hall;
use crate::writer::WriterHandle;

/// Answers of Zoom that may wait for somebody who asked.
const ANSWERS: usize = 16;

/// What Zoom said to the choice of a participant's video.
#[derive(Debug, Clone)]
pub(crate) struct VideoAnswer {
    pub(crate) user_id: String,
    /// Whether on or off was asked for.
    pub(crate) subscribe: bool,
    pub(crate) status: StatusCode,
    /// Zoom's words.
    pub(crate) reason: String,
}

impl VideoAnswer {
    /// Whether it is as was asked. That it was so already is as good.
    pub(crate) const fn is_yes(&self) -> bool {
        matches!(self.status, StatusCode::Ok)
            || (self.subscribe && matches!(self.status, StatusCode::DuplicateVideoSubscription))
    }
}

/// The part of an engagement that is read from outside its task.
#[derive(Debug)]
pub(crate) struct View {
    identity: StreamIdentity,
    started_at: UnixMillis,
    heard_at: UnixMillis,
    changing: Mutex<Changing>,
    writer: OnceLock<WriterHandle>,
    live: Arc<Hall>,
    /// For those who ask; there is none before the first does.
    video_answers: OnceLock<broadcast::Sender<VideoAnswer>>,
}

#[derive(Debug, Clone)]
struct Changing {
    phase: Phase,
    since: UnixMillis,
    reconnects: u32,
    server_urls: Vec<String>,
    /// `event_ts` of the `…started` that named them.
    urls_from: UnixMillis,
    /// Whether Zoom has refused the stream for good and is waited for to name a server.
    awaits_server: bool,
    /// Whose video Zoom sends, where one participant's was chosen.
    video_user_id: Option<String>,
}

/// An engagement in an answer of `GET /engagements`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) rtms_stream_id: String,
    pub(crate) id: String,
    pub(crate) product: &'static str,
    pub(crate) state: &'static str,
    pub(crate) since: String,
    pub(crate) started_at: String,
    pub(crate) reconnects: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video_user_id: Option<String>,
}

impl View {
    pub(crate) fn new(
        identity: StreamIdentity,
        started_at: UnixMillis,
        now: UnixMillis,
        server_urls: Vec<String>,
    ) -> Self {
        let changing = Changing {
            phase: Phase::Connecting,
            since: now,
            reconnects: 0,
            server_urls,
            urls_from: started_at,
            awaits_server: false,
            video_user_id: None,
        };
        let live = Arc::new(Hall::new(identity.clone(), now));
        let changing = Mutex::new(changing);
        Self {
            identity,
            started_at,
            heard_at: now,
            changing,
            writer: OnceLock::new(),
            live,
            video_answers: OnceLock::new(),
        }
    }

    pub(crate) const fn identity(&self) -> &StreamIdentity {
        &self.identity
    }

    pub(crate) const fn started_at(&self) -> UnixMillis {
        self.started_at
    }

    /// When we heard of the stream.
    pub(crate) const fn heard_at(&self) -> UnixMillis {
        self.heard_at
    }

    /// What Zoom answers from now on to the choice of a participant's video.
    pub(crate) fn video_answers(&self) -> broadcast::Receiver<VideoAnswer> {
        self.video_answers.get_or_init(|| broadcast::Sender::new(ANSWERS)).subscribe()
    }

    /// Notes an answer and passes it on. Returns whose video is sent from now on, where that is another one than before.
    pub(crate) fn video_answered(&self, answer: VideoAnswer) -> Option<Option<String>> {
        let changed = self.with(|changing| {
            let was_chosen = changing.video_user_id.as_ref() == Some(&answer.user_id);
            let chosen = match (answer.is_yes(), answer.subscribe) {
                (true, true) => Some(answer.user_id.clone()),
                // Ended; or no longer to be had, when it was asked for again.
                (true, false) | (false, true) if was_chosen => None,
                _ => return None,
            };
            let before = std::mem::replace(&mut changing.video_user_id, chosen.clone());
            (before != chosen).then_some(chosen)
        });
        // Nobody may be waiting for it.
        if let Some(answers) = self.video_answers.get() {
            drop(answers.send(answer));
        }
        changed
    }

    pub(crate) fn set_writer(&self, writer: WriterHandle) {
        // Set once, by the engagement's task.
        drop(self.writer.set(writer));
    }

    pub(crate) fn writer(&self) -> Option<&WriterHandle> {
        self.writer.get()
    }

    /// Where listeners meet the engagement.
    pub(crate) const fn live(&self) -> &Arc<Hall> {
        &self.live
    }

    pub(crate) fn phase(&self) -> Phase {
        self.with(|changing| changing.phase)
    }

    pub(crate) fn set_phase(&self, phase: Phase, now: UnixMillis, reconnects: u32) {
        self.with(|changing| {
            changing.phase = phase;
            changing.since = now;
            changing.reconnects = reconnects;
        });
    }

    /// Whether Zoom has refused the stream for good and is waited for to name a server.
    pub(crate) fn awaits_server(&self) -> bool {
        self.with(|changing| changing.awaits_server)
    }

    pub(crate) fn set_awaits_server(&self, awaits: bool) {
        self.with(|changing| changing.awaits_server = awaits);
    }

    /// Whether these are the signaling URLs in use.
    pub(crate) fn has_urls(&self, urls: &[String]) -> bool {
        self.with(|changing| changing.server_urls == urls)
    }

    pub(crate) fn set_urls(&self, urls: Vec<String>, from: UnixMillis) {
        self.with(|changing| {
            changing.server_urls = urls;
            changing.urls_from = from;
        });
    }

    /// Whether a `…started` of this time is older than the one that is followed: Zoom repeats what was not taken, up to
    /// 85 minutes later, when the server that it names may be long gone.
    pub(crate) fn is_older(&self, started_at: UnixMillis) -> bool {
        self.with(|changing| started_at < changing.urls_from)
    }

    pub(crate) fn summary(&self) -> Summary {
        let changing = self.with(|changing| changing.clone());
        Summary {
            rtms_stream_id: self.identity.stream_id.clone(),
            id: self.identity.id.clone(),
            product: self.identity.product.word(),
            state: changing.phase.word(),
            since: changing.since.to_string(),
            started_at: self.started_at.to_string(),
            reconnects: changing.reconnects,
            video_user_id: changing.video_user_id,
        }
    }

    /// The lock is held for a few assignments and never across an await.
    fn with<T>(&self, act: impl FnOnce(&mut Changing) -> T) -> T {
        act(&mut self.changing.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
