//! A thousand storms: a session against a played Zoom with made-up time, faults drawn from a seed.
//!
//! Whatever fails, four things must hold: at most one socket of a kind, every keep-alive answered, an end when told,
//! and no packet lost that Zoom delivered or kept. A failing seed is in the panic's message; `replay` runs it alone.

mod zoom;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};

use super::tests::config;
use super::{CloseCause, Notice, Outcome, Phase, SocketId, SocketKind};
use crate::{Input, Instant, MediaPacket, MessageError, Output, Session, SessionConfig, StopReason};

/// Zoom captures a packet this often, ms.
const PACKET_MS: u64 = 200;
/// Faults happen within this time, ms; then there is calm.
const STORM_MS: u64 = 60_000;
/// The stream is stopped at this time, ms.
const STOP_MS: u64 = 160_000;
/// Zoom keeps a stream this long without a connection, ms.
const WINDOW_MS: u64 = 60_000;

/// What is due at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Wake,
    Capture,
    KeepAlive,
    Fault,
    Stop,
    /// The client's socket opened, or failed to.
    Connected(u64, bool),
    /// A frame reaches the client.
    ToClient(u64, String),
    /// The client learns that a socket is gone.
    ClosedAtClient(u64),
    /// A frame reaches Zoom.
    ToZoom(u64, String),
    /// Zoom learns that a socket is gone.
    ClosedAtZoom(u64),
    /// A webhook tells that signaling is gone.
    Interrupted,
    /// Zoom moved the stream: a new `started`.
    Moved(String),
}

/// A socket on its way through the world.
#[derive(Debug, Clone)]
struct Wire {
    kind: SocketKind,
    /// The client still holds it.
    open: bool,
    /// Nothing passes any more, in either direction, and nobody is told.
    dead: bool,
    /// Frames keep their order: none arrives before this.
    client_at: u64,
    zoom_at: u64,
}

#[derive(Debug)]
struct Storm {
    rng: fastrand::Rng,
    session: Session,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Due)>>,
    count: u64,
    wake: Option<u64>,
    wires: HashMap<u64, Wire>,
    // Zoom's side.
    signaling: Option<u64>,
    media: Option<u64>,
    ready: bool,
    captured: u64,
    sent: u64,
    lonely_since: Option<u64>,
    terminated: bool,
    // What the session told.
    received: BTreeSet<u64>,
    outcome: Option<Outcome>,
    moves: u32,
    /// Messages that were told to be skipped or slowed down.
    odd: u32,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let session = Session::new(SessionConfig { seed: rng.u64(..), ..config() });
        let mut storm = Self {
            rng,
            session,
            now: 0,
            queue: BinaryHeap::new(),
            count: 0,
            wake: None,
            wires: HashMap::new(),
            signaling: None,
            media: None,
            ready: false,
            captured: 0,
            sent: 0,
            lonely_since: Some(0),
            terminated: false,
            received: BTreeSet::new(),
            outcome: None,
            moves: 0,
            odd: 0,
        };
        for (at, due) in [
            (0, Due::Wake),
            (0, Due::Capture),
            (10_000, Due::KeepAlive),
            (1_000, Due::Fault),
            (STOP_MS, Due::Stop),
        ] {
            storm.at(at, due);
        }
        storm
    }

    fn at(&mut self, at: u64, due: Due) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count, due)));
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, due))) = self.queue.pop() {
            self.now = self.now.max(at);
            if self.outcome.is_some() || self.now > STOP_MS + 10_000 {
                return;
            }
            self.happen(due);
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Wake => {
                if self.wake.is_none_or(|wake| wake <= self.now) {
                    self.wake = None;
                    self.input(Input::Tick);
                }
            }
            Due::Capture => self.capture(),
            Due::KeepAlive => self.keep_alive(),
            Due::Fault => self.fault(),
            Due::Stop => self.input(Input::Stopped(Some(StopReason::MeetingEnded))),
            Due::Connected(socket, true) => {
                if self.is_open(socket) {
                    self.input(Input::Opened(SocketId(socket)));
                }
            }
            Due::Connected(socket, false) | Due::ClosedAtClient(socket) => {
                if self.is_open(socket) {
                    self.forget(socket);
                    self.input(Input::Closed(SocketId(socket), CloseCause::Broken("reset".into())));
                }
            }
            Due::ToClient(socket, text) => {
                if self.is_open(socket) && !self.is_dead(socket) {
                    self.deliver(socket, text);
                }
            }
            Due::ToZoom(socket, text) => {
                if !self.is_dead(socket) {
                    self.on_zoom(socket, &text);
                }
            }
            Due::ClosedAtZoom(socket) => self.gone_at_zoom(socket),
            Due::Interrupted => self.input(Input::Interrupted),
            Due::Moved(url) => self.input(Input::Restarted(vec![url])),
        }
    }

    fn is_open(&self, socket: u64) -> bool {
        self.wires.get(&socket).is_some_and(|wire| wire.open)
    }

    fn is_dead(&self, socket: u64) -> bool {
        self.wires.get(&socket).is_none_or(|wire| wire.dead)
    }

    fn forget(&mut self, socket: u64) {
        if let Some(wire) = self.wires.get_mut(&socket) {
            wire.open = false;
        }
        // Zoom notices later, and until then takes a newcomer for a second connection.
        let later = self.now + self.rng.u64(0..3_000);
        self.at(later, Due::ClosedAtZoom(socket));
    }

    fn delay(&mut self) -> u64 {
        self.rng.u64(5..150)
    }

    fn send_client(&mut self, socket: u64, message: &Value) {
        let delay = self.delay();
        let Some(wire) = self.wires.get_mut(&socket) else { return };
        wire.client_at = wire.client_at.max(self.now + delay);
        let at = wire.client_at;
        self.at(at, Due::ToClient(socket, message.to_string()));
    }

    /// Hands a frame over; a keep-alive must be answered at once.
    fn deliver(&mut self, socket: u64, text: String) {
        let keep_alive = text.contains("\"msg_type\":12");
        let before = self.count;
        self.input(Input::Frame(SocketId(socket), Bytes::from(text)));
        if keep_alive && self.is_open(socket) {
            let answered = self.queue.iter().any(|Reverse((_, count, due))| {
                *count > before && matches!(due, Due::ToZoom(to, text) if *to == socket && text.contains("\"msg_type\":13"))
            });
            assert!(answered, "a keep-alive was not answered");
        }
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(Instant::from_millis(self.now), input);
        loop {
            match self.session.poll_output() {
                Output::Open { socket, kind, url: _ } => self.opens(socket.0, kind),
                Output::Send(socket, text) => self.sends(socket.0, text),
                Output::Close(socket) | Output::Abandon(socket) => self.forget(socket.0),
                Output::Finish(_) => {}
                Output::Media(frame) => {
                    let at = MediaPacket::parse(&frame.bytes).unwrap().timestamp;
                    self.received.insert(u64::try_from(at.0).unwrap());
                }
                Output::Notice(notice) => {
                    self.odd +=
                        u32::from(matches!(*notice, Notice::Malformed { .. } | Notice::Throttled { .. }));
                    if let Notice::Ended(outcome) = *notice {
                        self.outcome = Some(outcome);
                    }
                }
                Output::Idle(wake) => {
                    let Some(wake) = wake else { return };
                    let at = u64::try_from(wake.at.0.as_nanos().div_ceil(1_000_000)).unwrap().max(self.now);
                    assert!(at < self.now + 200_000, "a wake-up in the far future: {wake:?}");
                    if self.wake.is_none_or(|before| at < before || before <= self.now) {
                        self.wake = Some(at);
                        self.at(at, Due::Wake);
                    }
                    return;
                }
            }
        }
    }

    fn opens(&mut self, socket: u64, kind: SocketKind) {
        let same = |wire: &Wire| {
            wire.open && (wire.kind == SocketKind::Signaling) == (kind == SocketKind::Signaling)
        };
        assert!(!self.wires.values().any(same), "a second socket of a kind");
        let wire = Wire { kind, open: true, dead: false, client_at: self.now, zoom_at: self.now };
        self.wires.insert(socket, wire);
        let stormy = self.now < STORM_MS;
        let (works, stalls) = (!stormy || self.rng.f64() < 0.7, stormy && self.rng.f64() < 0.05);
        if !stalls {
            let at = self.now + self.delay();
            self.at(at, Due::Connected(socket, works));
        }
    }

    fn sends(&mut self, socket: u64, text: String) {
        let delay = self.delay();
        if let Some(wire) = self.wires.get_mut(&socket) {
            wire.zoom_at = wire.zoom_at.max(self.now + delay);
            let at = wire.zoom_at;
            self.at(at, Due::ToZoom(socket, text));
        }
    }

    fn fault(&mut self) {
        if self.now >= STORM_MS {
            return;
        }
        let next = self.now + self.rng.u64(500..8_000);
        self.at(next, Due::Fault);
        let signaling = self.signaling;
        let media = self.media;
        match self.rng.u32(0..11) {
            0 | 1 => self.cut(media),
            2 => self.cut(signaling),
            3 => {
                self.cut(media);
                self.cut(signaling);
            }
            4 => self.half_open(media),
            5 => self.half_open(signaling),
            6 => self.at(self.now, Due::Interrupted),
            7 => {
                if let Some(signaling) = signaling {
                    self.send_client(signaling, &json!({"msg_type": 8, "state": 2, "reason": 14}));
                }
            }
            8 => self.oddity(media),
            9 => self.oddity(signaling),
            _ => self.move_stream(),
        }
    }

    /// A message comes that is not kept, or too many do.
    fn oddity(&mut self, socket: Option<u64>) {
        let Some(socket) = socket.filter(|socket| self.is_open(*socket) && !self.is_dead(*socket)) else {
            return;
        };
        let (id, odd) = (SocketId(socket), self.odd);
        let throttled = self.rng.bool();
        self.input(if throttled { Input::Throttled(id) } else { Input::Skipped(id, MessageError::TooLarge) });
        assert_eq!(self.odd, odd + 1, "told once");
        assert!(self.is_open(socket), "a message costs itself, and not the socket");
    }

    fn cut(&mut self, socket: Option<u64>) {
        let Some(socket) = socket else { return };
        if let Some(wire) = self.wires.get_mut(&socket) {
            wire.dead = true;
        }
        let (client, zoom) = (self.now + self.rng.u64(0..500), self.now + self.rng.u64(0..3_000));
        self.at(client, Due::ClosedAtClient(socket));
        self.at(zoom, Due::ClosedAtZoom(socket));
    }

    /// Nobody tells the client; Zoom notices within the time of its keep-alives.
    fn half_open(&mut self, socket: Option<u64>) {
        let Some(socket) = socket else { return };
        if let Some(wire) = self.wires.get_mut(&socket) {
            wire.dead = true;
        }
        let zoom = self.now + self.rng.u64(0..30_000);
        self.at(zoom, Due::ClosedAtZoom(socket));
    }

    /// The server dies with all its sockets; another one announces the stream.
    fn move_stream(&mut self) {
        for socket in [self.signaling.take(), self.media.take()].into_iter().flatten() {
            if let Some(wire) = self.wires.get_mut(&socket) {
                wire.dead = true;
            }
            if self.rng.bool() {
                let client = self.now + self.rng.u64(0..500);
                self.at(client, Due::ClosedAtClient(socket));
            }
        }
        self.ready = false;
        self.rewind();
        self.moves += 1;
        let (at, url) = (self.now + self.rng.u64(0..2_000), format!("wss://moved-{}", self.moves));
        self.at(at, Due::Moved(url));
    }
}

/// Plays one storm and checks what must hold; whether Zoom kept the stream to the end.
fn play(seed: u64) -> bool {
    let mut storm = Storm::new(seed);
    storm.run();
    let outcome = storm.outcome.clone();
    assert!(
        outcome.is_some(),
        "told to end at {STOP_MS} ms, and at {} ms it is {:?}",
        storm.now,
        storm.session.phase()
    );
    assert_eq!(storm.session.phase(), Phase::Ended);
    let lost = (0..storm.captured).filter(|packet| !storm.received.contains(packet)).count();
    let kept = !storm.terminated;
    if kept {
        assert_eq!(outcome, Some(Outcome::Stopped(Some(StopReason::MeetingEnded))));
        assert_eq!(lost, 0, "packets lost of {}", storm.captured);
    }
    let open = storm.wires.values().filter(|wire| wire.open).count();
    assert_eq!(open, 0, "sockets left open");
    kept
}

#[test]
fn a_thousand_storms() {
    let mut kept = 0;
    for seed in 0..1_000 {
        match std::panic::catch_unwind(|| play(seed)) {
            Ok(true) => kept += 1,
            Ok(false) => {}
            Err(_) => {
                panic!("seed {seed} failed; RTMS_STORM_SEED={seed} cargo test -p rtms-protocol storm::replay")
            }
        }
    }
    assert!(kept >= 990, "Zoom kept the stream in {kept} of 1000 storms only: the way back takes too long");
}

/// Runs one storm alone: `RTMS_STORM_SEED=17 cargo test -p rtms-protocol storm::replay`.
#[test]
fn replay() {
    let seed = std::env::var("RTMS_STORM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    play(seed);
}
