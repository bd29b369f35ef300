//! One engagement, one task: it owns the client and the way to the recording, and nobody else touches either.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rtms_client::{Bell, Client, ClientEvent};
use rtms_protocol::session::{Notice, Outcome, Phase};
use rtms_protocol::{Input, UnixMillis};
use rtms_recorder::{Manifest, RecordingEnd, RecordingState};
use rtms_service::time::unix_millis;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::live::Tap;
use crate::notices::{self, Teller};
use crate::settings::OnShutdown;
use crate::view::{VideoAnswer, View};
use crate::writer::{Batch, Item, Origin, SubmitError, WriterHandle, Writers, lost};

/// What is read packet by packet goes to the writer at once, if this long has passed since the last time. Where all media
/// rests between reads (see [`crate::run`]), what was read goes there at once in any case.
const BATCH_RIPE: Duration = Duration::from_millis(50);
/// How long media waits for more before it goes to the writer without.
const BATCH_AGE: Duration = Duration::from_millis(100);
/// Events that are taken before commands and the clock are looked at.
const EVENTS_AT_ONCE: usize = 32;
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
    /// Boxed, because a channel has room for 32 of them from the beginning.
    pub(crate) commands: mpsc::Receiver<Box<Input>>,
}

/// What an engagement does next.
enum Turn {
    /// Somebody wants something; `None` when nobody ever will again.
    Command(Option<Box<Input>>),
    /// The batch goes to the writer, or a flush is due.
    HandOver,
    /// The stream is over.
    Over,
}

/// An engagement whose recording is begun.
pub(crate) struct Running {
    client: Client,
    commands: mpsc::Receiver<Box<Input>>,
    /// Rings when there may be a command: to look for one costs more than a packet.
    knock: Bell,
    writer: WriterHandle,
    view: Arc<View>,
    batch: Batch,
    /// When a batch went to the writer, or a flush was asked for.
    since: Instant,
    outcome: Outcome,
    streamed: bool,
    /// Whether Zoom has paused the stream.
    paused: bool,
    /// Whether an earlier process began the recording.
    resumed: bool,
    /// Whether it had got into the stream.
    was_joined: bool,
    on_shutdown: OnShutdown,
    teller: Teller,
    /// For those who listen.
    tap: Tap,
}

impl Engagement {
    /// Begins the recording; `None` where there is no thread for it.
    pub(crate) async fn begin(self) -> Option<Box<Running>> {
        let Self { client, writers, view, origin, on_shutdown, commands } = self;
        let resumed = matches!(origin, Origin::Left { .. });
        let was_joined = origin.was_joined();
        let tap = Tap::new(Arc::clone(view.live()), origin.people());
        let writer = match writers.open(origin).await {
            Ok(writer) => writer,
            Err(error) => {
                let identity = view.identity();
                tracing::error!(stream = %identity.stream_id, %error, "no recording is possible; restart the worker");
                return None;
            }
        };
        view.set_writer(writer.clone());
        Some(Box::new(Running {
            knock: client.bell(),
            client,
            commands,
            writer,
            view,
            batch: Batch::default(),
            since: Instant::now(),
            outcome: Outcome::Left,
            streamed: false,
            paused: false,
            resumed,
            was_joined,
            on_shutdown,
            teller: Teller::default(),
            tap,
        }))
    }
}

impl Running {
    /// Runs to the end of the stream and finishes the recording.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.follow().await;
        Box::pin(self.finish()).await;
    }

    /// Follows the stream until the session says that it is over.
    async fn follow(&mut self) {
        let mut timer = pin!(sleep_until(self.due()));
        loop {
            match poll_fn(|cx| self.poll_turn(cx, timer.as_mut())).await {
                Turn::Command(Some(input)) => self.on_command(*input),
                // The registry is gone: so is the process, soon.
                Turn::Command(None) => self.client.tell(Input::Leave),
                Turn::HandOver => self.hand_over().await,
                Turn::Over => return,
            }
        }
    }

    /// What is to be done next. What comes from Zoom is taken as it comes, several events in one go, because looking for
    /// commands and at the clock costs as much as a packet; and then those are looked at, whatever else has come.
    fn poll_turn(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<Turn> {
        self.client.set_prompt(self.tap.is_heard());
        let mut more = true;
        let mut now = None;
        for _ in 0..EVENTS_AT_ONCE {
            let Poll::Ready(event) = self.client.poll_next(cx) else {
                more = false;
                break;
            };
            let Some(event) = event else { return Poll::Ready(Turn::Over) };
            self.on_event(event, *now.get_or_insert_with(|| UnixMillis(unix_millis())));
            if self.batch.bytes() >= BATCH_BYTES {
                return Poll::Ready(Turn::HandOver);
            }
        }
        if let Poll::Ready(command) = self.poll_command() {
            return Poll::Ready(Turn::Command(command));
        }
        if !self.batch.is_empty() {
            // Where the writer had no room there is no hurry with what is left.
            let is_bunch = !more && !self.writer.is_shedding() && self.client.rests();
            if is_bunch || self.since.elapsed() >= BATCH_RIPE {
                return Poll::Ready(Turn::HandOver);
            }
            if self.due() < timer.deadline() {
                timer.as_mut().reset(self.due());
            }
        }
        while timer.as_mut().poll(cx).is_ready() {
            // What it was set for may have gone before.
            let due = self.due();
            if due <= Instant::now() {
                return Poll::Ready(Turn::HandOver);
            }
            timer.as_mut().reset(due);
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn poll_command(&mut self) -> Poll<Option<Box<Input>>> {
        if !self.knock.rang() {
            return Poll::Pending;
        }
        let polled = self.commands.poll_recv(&mut Context::from_waker(self.knock.waker()));
        if polled.is_ready() {
            self.knock.again();
        }
        polled
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

    fn on_event(&mut self, event: ClientEvent, now: UnixMillis) {
        match event {
            ClientEvent::Media(frame) => {
                self.tap.media(&frame);
                self.batch.push(Item::Media(now, frame));
            }
            ClientEvent::Notice(notice) => self.on_notice(now, *notice),
        }
    }

    fn on_notice(&mut self, now: UnixMillis, notice: Notice) {
        // Before it is told, because whoever reads it may act on it.
        match &notice {
            Notice::AwaitingServer { .. } => self.view.set_awaits_server(true),
            Notice::WaitOver { .. } => self.view.set_awaits_server(false),
            _ => {}
        }
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

    async fn finish(mut self: Box<Self>) {
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
    async fn hand_on(self: Box<Self>) {
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
    async fn end(self: Box<Self>) {
        let state = notices::state_of(&self.outcome, self.streamed || self.was_joined);
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
