//! The driver: obeys the session, carries frames, keeps the clock.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rtms_protocol::session::{CloseCause, Notice, Phase, SocketId, SocketKind, Wake};
use rtms_protocol::{Input, Instant, MediaFrame, Output, Session, SessionConfig};
use tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

use crate::bell::{Bell, Ringer};
use crate::bounds::{Bounds, Rate, Room};
use crate::connect::connect;
use crate::rhythm::{Rests, Rhythms};
use crate::socket::{Socket, SocketEvent};
use crate::tls::TlsRoots;
use crate::url_policy::UrlPolicy;

/// The largest WebSocket message that is read by default, in bytes: a whole screen as PNG, in base64.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Messages that one socket may bring in a second, by default. Eighty people who speak at once, in packets of 20 ms; the
/// processor's time for them is a few hundredths of a core.
const DEFAULT_MESSAGES_PER_SECOND: u32 = 4_000;

/// Messages that it may bring at once, by default: the 60 s that Zoom buffers, of six people in packets of 20 ms. More
/// of them only take longer.
const DEFAULT_MESSAGE_BURST: u32 = 20_000;

/// What messages over 64 KiB of all sessions may take together while they come in, by default, in bytes.
const DEFAULT_LARGE_MESSAGE_ROOM: usize = 256 * 1024 * 1024;

/// So many events of media at most come before news that came after them: more than come in a rest.
const MOST_BEFORE_NEWS: usize = 1_000;

/// What all sessions of a process share.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub(crate) tls: TlsRoots,
    pub(crate) policy: UrlPolicy,
    pub(crate) bounds: Bounds,
    pub(crate) rhythms: Option<Arc<Rhythms>>,
}

impl ClientOptions {
    /// Options with these roots and allowed hosts.
    #[must_use]
    pub fn new(tls: TlsRoots, policy: UrlPolicy) -> Self {
        let bounds = Bounds {
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            rate: Rate::new(DEFAULT_MESSAGES_PER_SECOND, DEFAULT_MESSAGE_BURST),
            room: Room::new(DEFAULT_LARGE_MESSAGE_ROOM),
        };
        Self { tls, policy, bounds, rhythms: None }
    }

    /// Sets the largest message that is kept, in bytes (default 16 MiB). A larger one is skipped while it comes in, up
    /// to 1 GiB; one that is larger still costs the connection, which is then made anew.
    #[must_use]
    pub const fn with_max_message_bytes(mut self, bytes: usize) -> Self {
        self.bounds.max_message_bytes = bytes;
        self
    }

    /// Sets how many messages one socket may bring in a second, and at once (default 4,000 and 20,000). A peer that
    /// sends more has to wait; nothing is lost.
    #[must_use]
    pub fn with_message_rate(mut self, per_second: u32, burst: u32) -> Self {
        self.bounds.rate = Rate::new(per_second, burst);
        self
    }

    /// Sets what messages over 64 KiB may take while they come in, in bytes, over all sessions with (clones of) these
    /// options (default 256 MiB). One that finds no room is skipped.
    #[must_use]
    pub fn with_large_message_room(mut self, bytes: usize) -> Self {
        self.bounds.room = Room::new(bytes);
        self
    }

    /// Lets media sockets be read at intervals instead of at each packet (default: at each packet): what comes waits in
    /// the system's buffers for up to a rest, and is then taken all at once. At packets of 20 ms and rests of 120 ms the
    /// processor's time is about half. A socket that brings more than 32 KiB in a rest, or nothing for long, is read as
    /// usual; so are all sockets of a client that is to be prompt ([`Client::set_prompt`]).
    #[must_use]
    pub fn with_rests(mut self, rests: Rests) -> Self {
        self.rhythms = Some(Arc::new(Rhythms::new(TokioInstant::now(), rests)));
        self
    }

    /// The hosts that may be connected to.
    #[must_use]
    pub const fn policy(&self) -> &UrlPolicy {
        &self.policy
    }
}

/// What a client hands out.
#[derive(Debug, Clone)]
pub enum ClientEvent {
    /// Media came.
    Media(MediaFrame),
    /// Something worth knowing; [`Notice::Ended`] is the last one.
    Notice(Box<Notice>),
}

/// What waits until the media sockets are read empty.
enum Held {
    Told(Input),
    /// News of a signaling socket, which is not asked for more meanwhile.
    Signaled(SocketId, SocketEvent),
}

/// One stream, joined and kept joined.
pub struct Client {
    session: Session,
    sockets: Vec<Socket>,
    /// Tells which of them have something.
    ringer: Ringer,
    /// Which socket is asked first, so that a busy one does not starve the others.
    turn: usize,
    options: Arc<ClientOptions>,
    epoch: TokioInstant,
    wake: Option<Wake>,
    timer: Pin<Box<Sleep>>,
    prompt: bool,
    /// What is heeded once the media sockets are read empty. What Zoom sent before must be heard before: a socket that is
    /// closed on such news would take it along.
    held: VecDeque<Held>,
    /// Events since something was held.
    heard: usize,
    ended: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("phase", &self.session.phase()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for one stream. Nothing happens before [`Client::next`] is called. Needs a tokio runtime.
    #[must_use]
    pub fn new(session: SessionConfig, options: Arc<ClientOptions>) -> Self {
        let epoch = TokioInstant::now();
        let mut client = Self {
            session: Session::new(session),
            sockets: Vec::new(),
            ringer: Ringer::default(),
            turn: 0,
            options,
            epoch,
            wake: None,
            timer: Box::pin(sleep_until(epoch)),
            prompt: false,
            held: VecDeque::new(),
            heard: 0,
            ended: false,
        };
        client.input(Input::Tick);
        client
    }

    /// Where the session stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.session.phase()
    }

    /// How often media flowed again after an interruption.
    #[must_use]
    pub const fn reconnects(&self) -> u32 {
        self.session.reconnects()
    }

    /// Whether a `…started` webhook with these URLs brings nothing new.
    #[must_use]
    pub fn is_current(&self, server_urls: &[String]) -> bool {
        self.session.is_current(server_urls)
    }

    /// Passes on a webhook or a wish; what follows from it comes out of [`Client::next`].
    pub fn tell(&mut self, input: Input) {
        self.end_rests();
        self.hold(Held::Told(input));
    }

    /// Whether media is wanted as soon as it comes, in spite of [`ClientOptions::with_rests`] (default: no).
    pub fn set_prompt(&mut self, prompt: bool) {
        if self.prompt != prompt {
            self.prompt = prompt;
            self.sockets.iter_mut().for_each(|socket| socket.set_prompt(prompt));
        }
    }

    /// Whether media comes in bunches, and one was read: nothing more is before the next rest is over. Ask when
    /// [`Client::poll_next`] has no more to give. `false` while any of it is taken as it comes, and while there is none.
    pub fn rests(&mut self) -> bool {
        let media = self.sockets.iter_mut().filter(|socket| !socket.is_signaling);
        let mut rests = media.filter_map(Socket::rests).peekable();
        rests.peek().is_some() && rests.all(|rests| rests)
    }

    /// A bell for something else that the task which polls this client looks at: so it need not look where nobody called.
    /// Ask [`Bell::rang`] after [`Client::poll_next`] in the same turn, never before it: a ring in between would wake nobody.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.ringer.bell()
    }

    /// The next media or notice; `None` after [`Notice::Ended`].
    ///
    /// # Cancel safety
    /// Safe: what was received stays with the client.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(Instant(self.epoch.elapsed()), input);
    }

    /// [`Client::next`] for a task that polls other things too.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.ringer.wakes(cx.waker());
        loop {
            if let Some(event) = self.obey() {
                return Poll::Ready(Some(event));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let waits = self.held.is_empty() || self.heard < MOST_BEFORE_NEWS;
            if (waits && self.poll_sockets()) || self.heed() || self.poll_timer(cx) {
                continue;
            }
            return Poll::Pending;
        }
    }

    /// Does what the session asks until it has something to hand out, or nothing more to do.
    fn obey(&mut self) -> Option<ClientEvent> {
        loop {
            match self.session.poll_output() {
                Output::Open { socket, kind, url } => self.open(socket, kind, &url),
                Output::Send(socket, text) => {
                    if let Some(socket) = self.socket(socket) {
                        socket.send(text);
                    }
                }
                Output::Finish(socket) => {
                    if let Some(socket) = self.socket(socket) {
                        socket.finish();
                    }
                }
                Output::Close(socket) => {
                    if let Some(socket) = self.take(socket) {
                        socket.close();
                    }
                }
                Output::Abandon(socket) => drop(self.take(socket)),
                Output::Media(frame) => return Some(ClientEvent::Media(frame)),
                Output::Notice(notice) => {
                    self.ended |= matches!(*notice, Notice::Ended(_));
                    return Some(ClientEvent::Notice(notice));
                }
                Output::Idle(wake) => {
                    self.wake = wake;
                    return None;
                }
            }
        }
    }

    fn open(&mut self, id: SocketId, kind: SocketKind, url: &str) {
        match self.options.policy.check(url) {
            Ok(target) => {
                let connecting = connect(target, kind, Arc::clone(&self.options));
                let mut socket = Socket::new(id, kind, self.ringer.bell(), connecting);
                if let (Some(rhythms), SocketKind::Media(_)) = (&self.options.rhythms, kind) {
                    socket = socket.with_rhythm(rhythms.next(), self.prompt);
                }
                self.sockets.push(socket);
            }
            Err(refused) => self.input(Input::Closed(id, CloseCause::NotAllowed(refused.to_string()))),
        }
    }

    /// Lets all media sockets be read now; whether one was resting.
    fn end_rests(&mut self) -> bool {
        let mut rested = false;
        for socket in &mut self.sockets {
            rested |= socket.end_rest();
        }
        rested
    }

    fn hold(&mut self, news: Held) {
        if self.held.is_empty() {
            self.heard = 0;
        }
        self.held.push_back(news);
    }

    /// Heeds what waited for the media sockets; whether anything did.
    fn heed(&mut self) -> bool {
        match self.held.pop_front() {
            Some(Held::Told(input)) => self.input(input),
            Some(Held::Signaled(id, event)) => self.on_event(id, event),
            None => return false,
        }
        true
    }

    /// Polls the sockets that woke us, in turn, until one has news; tells the session.
    fn poll_sockets(&mut self) -> bool {
        for step in 0..self.sockets.len() {
            let index = (self.turn + step) % self.sockets.len();
            let Some(socket) = self.sockets.get_mut(index) else { continue };
            let (id, is_signaling) = (socket.id, socket.is_signaling);
            if is_signaling && !self.held.is_empty() {
                continue;
            }
            if let Poll::Ready(event) = socket.poll() {
                self.turn = index + 1;
                self.heard += 1;
                if is_signaling && self.end_rests() {
                    self.hold(Held::Signaled(id, event));
                } else {
                    self.on_event(id, event);
                }
                return true;
            }
        }
        false
    }

    fn on_event(&mut self, id: SocketId, event: SocketEvent) {
        match event {
            SocketEvent::Opened => self.input(Input::Opened(id)),
            SocketEvent::Frame(bytes) => self.input(Input::Frame(id, bytes)),
            SocketEvent::Skipped(error) => self.input(Input::Skipped(id, error)),
            SocketEvent::Throttled => self.input(Input::Throttled(id)),
            SocketEvent::Closed(cause) => {
                drop(self.take(id));
                self.input(Input::Closed(id, cause));
            }
        }
    }

    /// Ticks the session when it is due. The timer is only ever moved when it fired or is set too late: deadlines that
    /// wander with every packet would otherwise cost a timer operation a packet.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(wake) = self.wake else { return false };
        let at = self.epoch + wake.at.0;
        // The clock is asked first: a task that has used up its turn would not be told that a timer fired.
        if at <= TokioInstant::now() {
            self.input(Input::Tick);
            return true;
        }
        if at < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(at);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            self.timer.as_mut().reset(at);
            if at <= TokioInstant::now() {
                self.input(Input::Tick);
                return true;
            }
        }
        false
    }

    fn socket(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.sockets.iter_mut().find(|socket| socket.id == id)
    }

    fn take(&mut self, id: SocketId) -> Option<Socket> {
        let index = self.sockets.iter().position(|socket| socket.id == id)?;
        Some(self.sockets.swap_remove(index))
    }
}
