//! One stream, as Zoom's side sees it: who is connected, how far each kind of media is, and what was played.
//!
//! Sockets take a seat, and give it back with their cursors when they go; the [`conductor`] watches the clock. Nothing
//! is really buffered: a buffer is the cursor's distance from now, because the schedule can render any packet at any time.

pub(crate) mod conductor;
mod place;
mod seats;
mod standstill;
mod tally;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rtms_protocol::{StatusCode, StopReason, StreamIdentity};
use tokio::sync::{mpsc, watch};

use crate::clock::StreamClock;
use crate::faults::{Cut, Faults, Rubbish};
use crate::played::{Log, Played};
use crate::render::Source;
use crate::scenario::Program;

pub use seats::SecondConnection;
pub(crate) use seats::{MediaSeat, SignalingSeat};
pub use tally::{Connections, Tally};

/// How long Zoom waits, in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two keep-alives.
    pub keep_alive: Duration,
    /// Unanswered keep-alives after which a socket is cut.
    pub keep_alive_misses: u32,
    /// For the first connection, and for signaling to come back.
    pub signaling_window: Duration,
    /// For a media socket to come back.
    pub media_window: Duration,
    /// For a handshake to arrive on a fresh socket.
    pub handshake: Duration,
    /// At the end, for connected sockets to take what is left.
    pub drain: Duration,
    /// How much audio (ms of the stream) is kept for a client that is away.
    pub buffer_ms: i64,
}

impl Default for Timing {
    /// Zoom's own numbers.
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(10),
            keep_alive_misses: 3,
            signaling_window: Duration::from_secs(60),
            media_window: Duration::from_secs(65),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            buffer_ms: 60_000,
        }
    }
}

/// How far the stream's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It runs.
    Open,
    /// Media up to the end is being sent.
    Draining,
    /// Signaling is told.
    Terminating,
    /// Sockets are closed.
    Closed,
}

/// What all sockets of a stream must know; a change wakes them.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) phase: Phase,
    pub(crate) ready: bool,
    pub(crate) pauses: Arc<[Range<i64>]>,
    /// Where the stream ends, and why; its full duration until something ends it sooner.
    pub(crate) end_ms: i64,
    pub(crate) reason: StopReason,
    /// The party whose video was chosen (message 28).
    pub(crate) video_choice: Option<usize>,
}

/// News for the signaling socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToSignaling {
    /// Event 7.
    MediaInterrupted,
    /// The stream is paused.
    Paused,
    /// It goes on.
    Resumed,
}

/// Something that whoever announced the stream may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The signaling socket is gone: Zoom sends the `…interrupted` webhook.
    Interrupted,
    /// The server died and another one took over: Zoom sends a `…started` webhook with its URL.
    Moved {
        /// The new signaling URL.
        signaling_url: String,
    },
    /// The stream is no longer known: Zoom sends nothing about it any more.
    Forgotten,
    /// The stream is over: Zoom sends the `…stopped` webhook.
    Ended(StopReason),
}

/// A handshake that leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It is answered with this status.
    Status(StatusCode),
    /// It is not answered; the socket ends like this.
    Cut(Cut),
}

impl From<StatusCode> for Denial {
    fn from(status: StatusCode) -> Self {
        Self::Status(status)
    }
}

/// What a stream can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Stop(StopReason),
    Pause,
    Resume,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Which server carries the stream.
    server: u32,
    /// What a handshake at a server comes to that has died.
    death: Denial,
    /// A server died, and the client has not come to the next one yet.
    moving: bool,
    forgotten: bool,
    /// Some media socket had once sent all that was due.
    caught_up: bool,
    signaling: Option<seats::Seat>,
    media: Vec<seats::Seat>,
    next_seat: u64,
    signaling_lost: Option<tokio::time::Instant>,
    media_lost: Option<tokio::time::Instant>,
    connections: Connections,
    pub(crate) buffer_data: bool,
    pub(crate) subscriptions: HashSet<i64>,
    pub(crate) events_sent: Vec<bool>,
    /// End of the audio sent so far, ms; `None` before the first packet.
    pub(crate) audio_until: Option<i64>,
    pub(crate) next_cue: Option<usize>,
    pub(crate) next_chat: Option<usize>,
    pub(crate) log: Log,
    pub(crate) joins: u32,
    joined_after: Option<std::time::Duration>,
}

/// One stream.
pub(crate) struct Stream {
    pub(crate) identity: StreamIdentity,
    pub(crate) program: Arc<Program>,
    pub(crate) clock: StreamClock,
    pub(crate) faults: Faults,
    pub(crate) timing: Timing,
    /// Where its clock waits for a client.
    waits_at: Option<i64>,
    base_url: String,
    pub(crate) stage: watch::Sender<Stage>,
    pub(crate) commands: mpsc::Sender<Command>,
    inner: Mutex<Inner>,
    presence: tokio::sync::Notify,
    notices: mpsc::Sender<Notice>,
}

/// What a stream is made of.
pub(crate) struct Parts {
    pub(crate) identity: StreamIdentity,
    pub(crate) program: Arc<Program>,
    pub(crate) clock: StreamClock,
    pub(crate) faults: Faults,
    pub(crate) timing: Timing,
    pub(crate) waits_at: Option<i64>,
    /// Scheme, host and port of its URLs.
    pub(crate) base_url: String,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) notices: mpsc::Sender<Notice>,
}

impl Inner {
    fn begin(events: usize) -> Self {
        Self {
            server: 0,
            death: Denial::Cut(Cut::End),
            moving: false,
            forgotten: false,
            caught_up: false,
            signaling: None,
            media: Vec::new(),
            next_seat: 0,
            signaling_lost: Some(tokio::time::Instant::now()),
            media_lost: None,
            connections: Connections::default(),
            buffer_data: true,
            subscriptions: HashSet::new(),
            events_sent: vec![false; events],
            audio_until: None,
            next_cue: None,
            next_chat: None,
            log: Log::default(),
            joins: 0,
            joined_after: None,
        }
    }
}

impl Stream {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { identity, program, clock, faults, timing, waits_at, base_url, commands, notices } = parts;
        let scenario = &program.scenario;
        let stage = Stage {
            phase: Phase::Open,
            ready: false,
            pauses: scenario.pauses.clone().into(),
            end_ms: scenario.duration_ms,
            reason: scenario.stop_reason,
            video_choice: None,
        };
        let inner = Inner::begin(program.events.len());
        Self {
            identity,
            program,
            clock,
            faults,
            timing,
            waits_at,
            base_url,
            stage: watch::Sender::new(stage),
            commands,
            inner: Mutex::new(inner),
            presence: tokio::sync::Notify::new(),
            notices,
        }
    }

    /// The shared state; never held across an await.
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client has said that it is ready.
    pub(crate) fn set_ready(&self) {
        self.inner().joined_after.get_or_insert(self.clock.age());
        self.stage.send_if_modified(|stage| !std::mem::replace(&mut stage.ready, true));
    }

    /// Tells whoever announced the stream.
    fn notify(&self, notice: Notice) {
        // Nobody has to listen.
        let _ = self.notices.try_send(notice);
    }

    /// Tells the signaling socket, if there is one.
    pub(crate) fn tell_signaling(&self, news: ToSignaling) {
        if let Some(seat) = &self.inner().signaling {
            // A socket that has 16 pieces of news unread is about to be cut by its keep-alives.
            let _ = seat.news.try_send(news);
        }
    }

    /// Ends all media sockets in the same way.
    pub(crate) fn cut_media(&self, how: Cut) {
        for seat in &self.inner().media {
            let _ = seat.cut.send(Some(how));
        }
    }

    /// Sends rubbish on every socket that is there.
    pub(crate) fn send_rubbish(&self, what: Rubbish) {
        let inner = self.inner();
        for seat in inner.media.iter().chain(&inner.signaling) {
            // Whoever has not even taken the last 16 need not get more.
            let _ = seat.rubbish.try_send(what);
        }
    }

    /// Ends the signaling socket, and with it everything else.
    pub(crate) fn cut_signaling(&self, how: Cut) {
        if let Some(seat) = &self.inner().signaling {
            let _ = seat.cut.send(Some(how));
        }
    }

    /// What was sent so far. Sockets report when they close, so it is whole once the stream has ended.
    pub(crate) fn played(&self) -> Played {
        let stage = self.stage.borrow().clone();
        let inner = self.inner();
        let mut played = Played::new(
            self.identity.clone(),
            self.clock.time_zero,
            &self.program,
            &inner.log,
            &stage.pauses,
            &self.faults.rtp,
        );
        played.connections = inner.connections;
        played.stop_reason = (stage.phase == Phase::Closed).then_some(stage.reason);
        played.complete = self.is_complete(&inner, &stage);
        played
    }

    /// [`Self::played`] in few numbers.
    pub(crate) fn tally(&self) -> Tally {
        let stage = self.stage.borrow().clone();
        let inner = self.inner();
        Tally {
            audio_packets: inner.log.audio_packets,
            complete: self.is_complete(&inner, &stage),
            joined_after: inner.joined_after,
        }
    }

    fn is_complete(&self, inner: &Inner, stage: &Stage) -> bool {
        // A last packet that would reach past the end is not sent.
        let reaches_end = inner.audio_until.is_none_or(|until| until + 1_000 > stage.end_ms);
        let cues_due = self.program.cues.iter().filter(|cue| cue.due_ms <= stage.end_ms).count();
        let cues_sent = inner.next_cue.is_none_or(|next| next >= cues_due);
        let chat_due = self.program.chat.iter().filter(|line| line.at_ms <= stage.end_ms).count();
        let chat_sent = inner.next_chat.is_none_or(|next| next >= chat_due);
        let log = &inner.log;
        let lines = log.cues.len() + log.chat.len();
        let something = inner.audio_until.is_some() || lines + log.video.len() + log.share.len() > 0;
        inner.joins > 0 && something && reaches_end && cues_sent && chat_sent
    }
}

/// Whether one of the spans holds the offset.
pub(crate) fn in_spans(spans: &[Range<i64>], offset_ms: i64) -> bool {
    spans.iter().any(|span| span.contains(&offset_ms))
}

/// The sound of a track (`None`: the mix) at an offset; `None` where nothing is sent.
pub(crate) fn heard_source(program: &Program, party: Option<usize>, offset_ms: i64) -> Option<Source> {
    let parties = &program.scenario.parties;
    match party {
        Some(index) => {
            let party = &parties[index];
            party.is_heard(offset_ms).then(|| Source::Party(index, party.name_number(offset_ms)))
        }
        None => {
            let heard = parties.iter().filter(|party| party.is_heard(offset_ms));
            let mut voices: Vec<usize> = heard.filter_map(|party| party.voice).collect();
            voices.sort_unstable();
            Some(Source::Mixed(voices))
        }
    }
}
