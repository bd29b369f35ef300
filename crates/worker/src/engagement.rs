//! One engagement, one task: it owns the client and the way to the recording, and nobody else touches either.

use std::sync::Arc;
use std::time::Duration;

use rtms_client::{Client, ClientEvent};
use rtms_protocol::session::{Notice, Outcome, Phase};
use rtms_protocol::{Input, UnixMillis};
use rtms_recorder::{Manifest, RecordingEnd, RecordingState};
use rtms_service::time::unix_millis;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::live::Tap;
use crate::notices::{self, Teller};
use crate::settings::OnShutdown;
use crate::view::{VideoAnswer, View};
use crate::writer::{Batch, Item, Origin, SubmitError, WriterHandle, Writers, lost};

/// How long media may wait for company before it goes to the writer.
const BATCH_AGE: Duration = Duration::from_millis(100);
/// A batch of this size goes at once, bytes.
const BATCH_BYTES: usize = 128 * 1024;
/// A recording is flushed at least this often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Attempts to hand over the last batch, 2 s each.
const LAST_ATTEMPTS: usize = 15;

/// What an engagement is made of.
pub(crate) struct Engagement {
    pub(crate) client: Client,
    pub(crate) writers: Arc<Writers>,
    pub(crate) view: Arc<View>,
    pub(crate) origin: Origin,
    pub(crate) on_shutdown: OnShutdown,
    pub(crate) commands: mpsc::Receiver<Input>,
}

/// An engagement whose recording is begun.
struct Running {
    client: Client,
    writer: WriterHandle,
    view: Arc<View>,
    batch: Batch,
    /// When the batch got its first item, or the last flush was asked for.
    since: Instant,
    outcome: Outcome,
    streamed: bool,
    /// Whether Zoom has paused the stream.
    paused: bool,
    /// Whether an earlier process began the recording.
    resumed: bool,
    on_shutdown: OnShutdown,
    teller: Teller,
    /// For those who listen.
    tap: Tap,
}

impl Engagement {
    /// Runs to the end of the stream and finishes the recording.
    pub(crate) async fn run(self) {
        let Self { client, writers, view, origin, on_shutdown, mut commands } = self;
        let resumed = matches!(origin, Origin::Left { .. });
        let tap = Tap::new(Arc::clone(view.live()), origin.people());
        let writer = match writers.open(origin).await {
            Ok(writer) => writer,
            Err(error) => {
                let identity = view.identity();
                tracing::error!(stream = %identity.stream_id, %error, "no recording is possible; restart the worker");
                return;
            }
        };
        view.set_writer(writer.clone());
        let mut running = Running {
            client,
            writer,
            view,
            batch: Batch::default(),
            since: Instant::now(),
            outcome: Outcome::Left,
            streamed: false,
            paused: false,
            resumed,
            on_shutdown,
            teller: Teller::default(),
            tap,
        };
        running.follow(&mut commands).await;
        running.finish().await;
    }
}

impl Running {
    /// Follows the stream until the session says that it is over.
    async fn follow(&mut self, commands: &mut mpsc::Receiver<Input>) {
        let timer = tokio::time::sleep_until(self.due());
        tokio::pin!(timer);
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(input) => self.on_command(input),
                    // The registry is gone: so is the process, soon.
                    None => self.client.tell(Input::Leave),
                },
                () = timer.as_mut() => {
                    self.hand_over().await;
                    timer.as_mut().reset(self.due());
                }
                event = self.client.next() => match event {
                    Some(event) => {
                        let was_empty = self.batch.is_empty();
                        self.on_event(event);
                        if self.batch.bytes() >= BATCH_BYTES {
                            self.hand_over().await;
                        }
                        if was_empty {
                            self.since = Instant::now();
                            timer.as_mut().reset(self.due());
                        }
                    }
                    None => return,
                },
            }
        }
    }

    fn on_command(&mut self, input: Input) {
        if let Input::Restarted(urls) = &input {
            self.batch.push(Item::ServerUrls(urls.clone()));
        }
        self.client.tell(input);
    }

    fn due(&self) -> Instant {
        self.since + if self.batch.is_empty() { FLUSH_EVERY } else { BATCH_AGE }
    }

    fn on_event(&mut self, event: ClientEvent) {
        let now = UnixMillis(unix_millis());
        match event {
            ClientEvent::Media(frame) => {
                self.tap.media(&frame);
                self.batch.push(Item::Media(now, frame));
            }
            ClientEvent::Notice(notice) => self.on_notice(now, *notice),
        }
    }

    fn on_notice(&mut self, now: UnixMillis, notice: Notice) {
        self.teller.tell(self.view.identity(), &notice);
        match notice {
            Notice::Phase(phase) => {
                if phase == Phase::Streaming && !std::mem::replace(&mut self.streamed, true) {
                    let waited = now.since(self.view.heard_at());
                    let waited = Duration::from_millis(u64::try_from(waited).unwrap_or(0));
                    ::metrics::histogram!(crate::metrics::JOIN_SECONDS).record(waited.as_secs_f64());
                    if self.resumed {
                        self.batch.push(Item::Resumed(now));
                    }
                }
                self.note_pause(phase, now);
                self.view.set_phase(phase, now, self.client.reconnects());
                self.tap.phase(phase, now);
            }
            Notice::Event(event) => {
                self.tap.event(&event);
                self.batch.push(Item::Event(Box::new(event)));
            }
            Notice::Granted(params) => {
                self.tap.granted(&params);
                self.batch.push(Item::Granted(Box::new(params)));
            }
            Notice::Interrupted { cause, ago } => {
                let ago = i64::try_from(ago.as_millis()).unwrap_or(0);
                self.batch.push(Item::Interrupted(now.plus(-ago), cause.word()));
            }
            Notice::Resumed => self.batch.push(Item::Resumed(now)),
            Notice::VideoChoice { user_id, subscribe, status, reason } => {
                let answer = VideoAnswer { user_id, subscribe, status, reason };
                if let Some(chosen) = self.view.video_answered(answer) {
                    self.batch.push(Item::VideoChosen(chosen));
                }
            }
            Notice::Ended(outcome) => {
                self.tap.end(&outcome);
                self.outcome = outcome;
            }
            Notice::Unavailable { .. }
            | Notice::HandshakeRefused { .. }
            | Notice::AwaitingServer { .. }
            | Notice::WaitOver { .. }
            | Notice::SocketLost { .. }
            | Notice::Malformed { .. }
            | Notice::Throttled { .. }
            | Notice::UnknownMessage { .. } => {}
        }
    }

    /// Tells the recording when Zoom pauses the stream and goes on with it. A connection that is lost meanwhile changes
    /// nothing about that.
    fn note_pause(&mut self, phase: Phase, now: UnixMillis) {
        match (self.paused, phase) {
            (false, Phase::Paused) => self.batch.push(Item::Paused(now)),
            (true, Phase::Streaming) => self.batch.push(Item::Unpaused(now)),
            _ => return,
        }
        self.paused = phase == Phase::Paused;
    }

    /// Gives the batch to the writer, or asks for a flush when there is none. Without room, media is given up and the
    /// rest is kept for the next time.
    async fn hand_over(&mut self) {
        self.since = Instant::now();
        if self.batch.is_empty() {
            return self.writer.flush();
        }
        if let Err((error, batch)) = self.writer.submit(std::mem::take(&mut self.batch)).await {
            self.batch = batch;
            let dropped = self.batch.shed();
            lost("budget", dropped);
            if error == SubmitError::Gone || dropped > 0 {
                let stream = &self.view.identity().stream_id;
                tracing::error!(%stream, %error, dropped, "media was dropped; it becomes silence in the recording");
            }
        }
    }

    async fn finish(mut self) {
        for _ in 0..LAST_ATTEMPTS {
            if self.batch.is_empty() {
                break;
            }
            match self.writer.submit(std::mem::take(&mut self.batch)).await {
                Ok(()) => break,
                Err((SubmitError::Full, batch)) => self.batch = batch,
                Err((SubmitError::Gone, _)) => break,
            }
        }
        lost("budget", self.batch.shed());
        if self.outcome == Outcome::Left && self.on_shutdown == OnShutdown::HandOver {
            self.hand_on().await;
        } else {
            self.end().await;
        }
    }

    /// Leaves the recording for the next process.
    async fn hand_on(self) {
        let stream = &self.view.identity().stream_id;
        match self.writer.hand_over(self.batch, UnixMillis(unix_millis())).await {
            Some(Ok(())) => {
                tracing::info!(%stream, "handed over: the next worker on this data folder goes on");
            }
            Some(Err(error)) => {
                tracing::error!(%stream, %error, "handed over with a fault; the next worker repairs what it finds");
            }
            None => {
                tracing::error!(%stream, "there is no recording to hand over: the data folder never took one");
            }
        }
    }

    /// Finishes the recording.
    async fn end(self) {
        let state = notices::state_of(&self.outcome, self.streamed || self.resumed);
        let stop_reason = match &self.outcome {
            Outcome::Stopped(reason) => *reason,
            _ => None,
        };
        let end = RecordingEnd { at: UnixMillis(unix_millis()), state, stop_reason };
        let stream = &self.view.identity().stream_id;
        if state == RecordingState::Failed {
            tracing::error!(%stream, "the stream is over and was never joined; nothing of it is recorded");
        }
        match self.writer.finish(self.batch, end).await {
            Some(Ok(manifest)) => finished(&manifest),
            Some(Err(error)) => {
                tracing::error!(%stream, %error, "the recording could not be finished; its files stay readable as they are");
            }
            None => tracing::error!(%stream, "there is no recording: the data folder never took one"),
        }
    }
}

fn finished(manifest: &Manifest) {
    let state = match serde_json::to_value(manifest.state) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    };
    ::metrics::counter!(crate::metrics::FINISHED, "state" => state.clone()).increment(1);
    let longest_ms =
        manifest.tracks.iter().map(|track| track.offset_ms + track.duration_ms).max().unwrap_or(0);
    tracing::info!(
        stream = %manifest.rtms_stream_id,
        engagement = %manifest.id,
        state,
        tracks = manifest.tracks.len(),
        seconds = longest_ms / 1000,
        interruptions = manifest.interruptions.len(),
        lost_packets = manifest.dropped.lost(),
        "recording finished"
    );
}
