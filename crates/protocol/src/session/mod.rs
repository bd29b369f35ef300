//! One stream's life as a state machine: what happened goes in, what to do comes out.
//!
//! [`Session`] decides everything about the protocol and touches nothing: the driver (our client crate) opens the
//! sockets, reads the clock, and reports. There is one rule for a driver: **after every [`Session::handle_input`],
//! call [`Session::poll_output`] until it returns [`Output::Idle`]**, then wait for the next happening or for the
//! time that `Idle` names, whichever comes first.
//!
//! # The shape of a session
//! ```text
//! signaling:  wait ─▶ connect ─▶ handshake (1→2) ─▶ ready: subscribe (5), events (6), states (8, 9), keep-alive
//! media:                                            └▶ connect ─▶ handshake (3→4) ─▶ ready (7 on signaling): media flows
//! ```
//! * A media socket that is lost is rejoined alone; when that keeps failing, signaling is begun anew for fresh URLs.
//! * Signaling that is lost is begun anew; media sockets that still live are kept until they prove dead, because what
//!   is under way on them would be lost with them.
//! * A final refusal ends a session that never had media at once; after media, in this session or the one before, no more
//!   is tried, but until the window is over Zoom's `…started` with another server still brings it back.
//! * At most one socket of a kind exists at any time: a new one is asked for only after the old one was closed.
//! * After a stop, media still under way is taken before the session ends.
//!
//! # Example
//! ```
//! use rtms_protocol::session::{MediaSockets, Timeouts};
//! use rtms_protocol::{
//!     AudioParams, Credentials, Input, Instant, MediaParams, Output, Product, Session, SessionConfig, StreamIdentity,
//! };
//!
//! let mut session = Session::new(SessionConfig {
//!     identity: StreamIdentity { product: Product::Meeting, id: "m".into(), stream_id: "s".into() },
//!     credentials: Credentials { client_id: "cid".into(), client_secret: "secret".into() },
//!     server_urls: vec!["wss://rtms.zoom.us".into()],
//!     media: MediaParams { audio: Some(AudioParams::default()), ..MediaParams::default() },
//!     sockets: MediaSockets::Single,
//!     buffer_data: true,
//!     rejoins: false,
//!     timeouts: Timeouts::default(),
//!     seed: 1,
//! });
//! session.handle_input(Instant::from_millis(0), Input::Tick);
//! let Output::Open { socket, url, .. } = session.poll_output() else { panic!("the first thing is to connect") };
//! assert_eq!(url, "wss://rtms.zoom.us");
//! session.handle_input(Instant::from_millis(50), Input::Opened(socket));
//! let Output::Send(_, handshake) = session.poll_output() else { panic!("then to shake hands") };
//! assert!(handshake.contains("\"msg_type\":1"));
//! ```

mod backoff;
mod choice;
mod config;
mod ending;
mod io;
mod link;
mod media;
mod signaling;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;

pub use config::{MediaSockets, SessionConfig, Timeouts};
pub use io::{
    CloseCause, Input, Interruption, Notice, Outcome, Output, Phase, Refused, SocketId, SocketKind, Wake,
};

use crate::codes::StatusCode;
use crate::frame::{MediaFrame, peek_msg_type};
use crate::media::{MediaKind, MediaSet};
use crate::message::{ClientMessage, KeepAlive, MessageError, ServerMessage};
use crate::time::Instant;
use ending::Life;
use link::{Link, LinkState, Overdue};
use media::MediaLink;

/// The state machine of one stream; see the module.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    rng: fastrand::Rng,
    outputs: VecDeque<Output>,
    next_socket: u64,
    sequence: i64,
    life: Life,
    /// The phase that was last told.
    phase: Phase,
    signaling: Link,
    /// Which of the signaling URLs is tried next.
    url_index: usize,
    media: Vec<MediaLink>,
    /// Kinds still to be had: what the settings want, less what Zoom does not give.
    wanted: MediaSet,
    /// Kinds that were told to be unavailable.
    reported: MediaSet,
    /// Since when not everything is connected, and why; `None` while all is well.
    seeking: Option<(Instant, Interruption)>,
    /// An interruption that was not told yet: a socket that closes just before the stop is none.
    untold: Option<(Instant, Interruption)>,
    /// When the media was last heard that was just found dead.
    died: Option<Instant>,
    /// The final refusal after which only Zoom's new `…started` can help.
    refusal: Option<Refused>,
    started: bool,
    /// Whether a media handshake was answered well since signaling came up.
    media_worked: bool,
    ever_streamed: bool,
    paused: bool,
    reconnects: u32,
    choice: choice::Choice,
}

impl Session {
    /// A session that begins with the first [`Input::Tick`].
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(config.seed),
            outputs: VecDeque::new(),
            next_socket: 0,
            sequence: 0,
            life: Life::Alive,
            phase: Phase::Connecting,
            signaling: Link::idle(),
            url_index: 0,
            media: Vec::new(),
            wanted: config.media.kinds(),
            reported: MediaSet::EMPTY,
            seeking: None,
            untold: None,
            died: None,
            refusal: None,
            started: false,
            media_worked: false,
            ever_streamed: false,
            paused: false,
            reconnects: 0,
            choice: choice::Choice::default(),
            config,
        }
    }

    /// Where the session stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// How often media flowed again after an interruption.
    #[must_use]
    pub const fn reconnects(&self) -> u32 {
        self.reconnects
    }

    /// Whether a `…started` webhook with these URLs brings nothing new: the session is connected, or connecting, to them.
    #[must_use]
    pub fn is_current(&self, server_urls: &[String]) -> bool {
        let tries = self.refusal.is_none() && !matches!(self.life, Life::Ended);
        tries && self.config.server_urls == server_urls
    }

    /// Takes what happened. Drain [`Session::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        if matches!(self.life, Life::Ended) {
            return;
        }
        if !self.started {
            self.start(now);
        }
        match input {
            Input::Tick => {}
            Input::Opened(socket) => self.on_opened(now, socket),
            Input::Frame(socket, bytes) => self.on_frame(now, socket, bytes),
            Input::Skipped(socket, error) => {
                if let Some(kind) = self.hear(now, socket) {
                    self.malformed(kind, error);
                }
            }
            Input::Throttled(socket) => {
                if let Some(kind) = self.hear(now, socket) {
                    self.notice(Notice::Throttled { kind });
                }
            }
            Input::Closed(socket, cause) => self.on_closed(now, socket, cause),
            Input::Restarted(server_urls) => self.on_restarted(now, server_urls),
            Input::Interrupted => self.on_interrupted(now),
            Input::Stopped(reason) => self.stop(now, Outcome::Stopped(reason)),
            Input::Close => self.close(now),
            Input::Leave => self.leave(now),
            Input::ChooseVideo { user_id, subscribe, timestamp } => {
                self.choose_video(user_id, subscribe, timestamp);
            }
        }
        self.run_timers(now);
        self.note_phase(now);
    }

    /// The next thing to do or to know, [`Output::Idle`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(self.wake()))
    }

    fn start(&mut self, now: Instant) {
        self.started = true;
        self.signaling = Link::due(now);
        self.seeking = Some((now, Interruption::SignalingLost));
    }

    fn on_opened(&mut self, now: Instant, socket: SocketId) {
        if self.signaling.socket() == Some(socket) {
            self.shake_hands_on_signaling(now, socket);
        } else if let Some(index) = self.media_index(socket) {
            self.shake_hands_on_media(now, socket, index);
        }
    }

    fn on_frame(&mut self, now: Instant, socket: SocketId, bytes: Bytes) {
        let Some(kind) = self.hear(now, socket) else { return };
        if let (SocketKind::Media(_), Some(media)) =
            (kind, peek_msg_type(&bytes).and_then(MediaKind::of_msg_type))
        {
            self.outputs.push_back(Output::Media(MediaFrame { kind: media, bytes }));
            return;
        }
        match ServerMessage::parse(&bytes) {
            Ok(ServerMessage::KeepAlive(keep_alive)) => self.answer_keep_alive(socket, keep_alive),
            Ok(ServerMessage::Unknown(msg_type)) => {
                self.notice(Notice::UnknownMessage { kind, msg_type: msg_type.code() });
            }
            Ok(message) => match kind {
                SocketKind::Signaling => self.on_signaling_message(now, socket, message),
                SocketKind::Media(_) => self.on_media_message(now, socket, message),
            },
            Err(error) => self.malformed(kind, error),
        }
    }

    /// Notes that something came on a socket; tells what the socket is for, `None` for one of the past.
    fn hear(&mut self, now: Instant, socket: SocketId) -> Option<SocketKind> {
        let kind = if self.signaling.socket() == Some(socket) {
            self.signaling.heard(now);
            SocketKind::Signaling
        } else {
            let media = self.media.iter_mut().find(|media| media.link.socket() == Some(socket))?;
            media.link.heard(now);
            SocketKind::Media(media.kinds)
        };
        self.life.heard(now);
        Some(kind)
    }

    fn malformed(&mut self, kind: SocketKind, error: MessageError) {
        self.notice(Notice::Malformed { kind, error });
    }

    fn answer_keep_alive(&mut self, socket: SocketId, keep_alive: KeepAlive) {
        self.send(socket, &ClientMessage::KeepAlive(keep_alive));
    }

    fn on_closed(&mut self, now: Instant, socket: SocketId, cause: CloseCause) {
        if let CloseCause::NotAllowed(reason) = &cause
            && (self.signaling.socket() == Some(socket) || self.media_index(socket).is_some())
        {
            let reason = reason.clone();
            self.forget(socket);
            return self.refused(None, reason);
        }
        if self.signaling.socket() == Some(socket) {
            self.signaling_lost(now, Interruption::SignalingLost, cause);
        } else if let Some(index) = self.media_index(socket) {
            self.media_lost(now, index, Interruption::MediaLost, cause);
        }
    }

    /// Acts on every deadline that has passed.
    fn run_timers(&mut self, now: Instant) {
        // Each round brings at least one link into another state, whose deadline lies ahead; the bound is a seat belt.
        for _ in 0..=2 * (self.media.len() + 1) {
            if matches!(self.life, Life::Ended) || !self.run_one_timer(now) {
                return;
            }
        }
    }

    fn run_one_timer(&mut self, now: Instant) -> bool {
        if self.life.is_over(now) {
            self.finish_life();
            return true;
        }
        if self.seek_deadline().is_some_and(|at| at <= now) {
            return self.give_up();
        }
        if let Some(overdue) = self.signaling.overdue(now, &self.config.timeouts) {
            self.signaling_overdue(now, overdue);
            return true;
        }
        let timeouts = self.config.timeouts;
        let found =
            self.media.iter().enumerate().find_map(|(index, media)| {
                media.link.overdue(now, &timeouts).map(|overdue| (index, overdue))
            });
        if let Some((index, overdue)) = found {
            self.media_overdue(now, index, overdue);
            return true;
        }
        false
    }

    /// When something is due next.
    fn wake(&self) -> Option<Wake> {
        if matches!(self.life, Life::Ended) || !self.started {
            return None;
        }
        let timeouts = &self.config.timeouts;
        let links = std::iter::once(&self.signaling).chain(self.media.iter().map(|media| &media.link));
        let seek = self.seek_deadline().map(|at| Wake { at, why: "give up" });
        links
            .filter_map(|link| link.wake(timeouts))
            .chain(self.life.wake())
            .chain(seek)
            .min_by_key(|wake| wake.at)
    }

    fn seek_deadline(&self) -> Option<Instant> {
        let alive = matches!(self.life, Life::Alive);
        self.seeking.filter(|_| alive).map(|(since, _)| since + self.config.timeouts.give_up)
    }

    /// No way back within the window: what is connected goes on, what is not is let go.
    fn give_up(&mut self) -> bool {
        let Some((_, cause)) = self.seeking else { return false };
        if self.signaling.is_ready() && self.media.iter().any(|media| media.link.is_ready()) {
            let lost: Vec<_> = self.media.extract_if(.., |media| !media.link.is_ready()).collect();
            for media in lost {
                if let Some(socket) = media.link.socket() {
                    self.outputs.push_back(Output::Close(socket));
                }
                for kind in media.kinds.iter() {
                    self.unavailable(kind, None, "its media server could not be reached");
                }
            }
            self.seeking = None;
            self.stop_waiting(false);
        } else {
            let refusal = self.refusal.clone();
            let outcome = refusal.map_or(Outcome::GaveUp(cause), Outcome::Refused);
            self.end(outcome);
        }
        true
    }

    /// Tells a change of phase, and with it the beginning and end of interruptions.
    fn note_phase(&mut self, now: Instant) {
        let flowing = matches!(self.phase, Phase::Streaming | Phase::Paused);
        // On the way back a socket that was kept counts once it has proven itself: until then it may be dead already, and
        // the interruption is the same one. While all is well, a doubt is no interruption.
        let up = |media: &MediaLink| media.link.is_ready() && (flowing || !media.link.is_in_doubt());
        let connected = self.signaling.is_ready() && !self.media.is_empty() && self.media.iter().all(up);
        let phase = match self.life {
            Life::Ended => Phase::Ended,
            Life::Closing { .. } | Life::Draining { .. } => Phase::Stopping,
            Life::Alive if connected && self.paused => Phase::Paused,
            Life::Alive if connected => Phase::Streaming,
            Life::Alive if self.ever_streamed => Phase::Reconnecting,
            Life::Alive => Phase::Connecting,
        };
        let before = std::mem::replace(&mut self.phase, phase);
        let died = self.died.take();
        if phase == before {
            return;
        }
        self.notice(Notice::Phase(phase));
        match (before, phase) {
            (Phase::Streaming | Phase::Paused, Phase::Reconnecting) => {
                let (since, cause) = *self.seeking.get_or_insert((now, Interruption::MediaLost));
                self.untold = Some((died.map_or(since, |died| died.min(since)), cause));
            }
            (Phase::Reconnecting, Phase::Streaming | Phase::Paused) => {
                self.tell_interruption(now);
                self.reconnects = self.reconnects.saturating_add(1);
                self.notice(Notice::Resumed);
            }
            _ => {}
        }
        if connected {
            self.ever_streamed = true;
            self.seeking = None;
            self.stop_waiting(false);
        }
    }

    /// Tells of an interruption once it is sure to be one: when a way back is tried.
    fn tell_interruption(&mut self, now: Instant) {
        if let Some((since, cause)) = self.untold.take() {
            self.notice(Notice::Interrupted { cause, ago: now.since(since) });
        }
    }

    /// Notes that something is missing from now on, unless something is already.
    fn seek(&mut self, now: Instant, cause: Interruption) {
        self.seeking.get_or_insert((now, cause));
    }

    /// The socket is of no more use. One that was found dead is not said goodbye to.
    fn let_go(&mut self, socket: SocketId, overdue: Overdue) {
        self.outputs.push_back(match overdue.is_death() {
            true => Output::Abandon(socket),
            false => Output::Close(socket),
        });
    }

    fn unavailable(&mut self, kind: MediaKind, status: Option<StatusCode>, reason: &str) {
        self.wanted.remove(kind);
        if !self.reported.contains(kind) {
            self.reported.insert(kind);
            self.notice(Notice::Unavailable { kind, status, reason: reason.to_owned() });
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(Box::new(notice)));
    }

    fn send(&mut self, socket: SocketId, message: &ClientMessage) {
        self.outputs.push_back(Output::Send(socket, message.to_json()));
    }

    fn open(&mut self, now: Instant, kind: SocketKind, url: String) -> SocketId {
        self.tell_interruption(now);
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.outputs.push_back(Output::Open { socket, kind, url });
        socket
    }

    const fn next_sequence(&mut self) -> i64 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// The socket is gone, or was told to close: what comes next must not close it once more.
    fn forget(&mut self, socket: SocketId) {
        let mut links =
            std::iter::once(&mut self.signaling).chain(self.media.iter_mut().map(|m| &mut m.link));
        if let Some(link) = links.find(|link| link.socket() == Some(socket)) {
            link.state = LinkState::Idle;
        }
    }

    fn media_index(&self, socket: SocketId) -> Option<usize> {
        self.media.iter().position(|media| media.link.socket() == Some(socket))
    }
}

/// In what words a link that is overdue is lost.
fn overdue_cause(overdue: Overdue) -> (Interruption, CloseCause) {
    match overdue {
        Overdue::Connect | Overdue::NotOpened => {
            (Interruption::MediaLost, CloseCause::ConnectFailed("no connection in time".to_owned()))
        }
        Overdue::NotAnswered => {
            (Interruption::MediaLost, CloseCause::Broken("handshake not answered in time".to_owned()))
        }
        Overdue::Silent => {
            (Interruption::Silence, CloseCause::Broken("nothing received for too long".to_owned()))
        }
        Overdue::ProbeFailed => (
            Interruption::ReportedByZoom,
            CloseCause::Broken("Zoom reported it gone, and nothing came since".to_owned()),
        ),
    }
}
