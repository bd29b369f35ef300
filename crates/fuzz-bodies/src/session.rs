//! A session against a hostile Zoom: any sequence of sockets that open, fail and close, messages from a small grammar,
//! damaged ones, rubbish, webhooks and wishes, with time that passes as it likes.
//!
//! The driver's side of the contract is kept: a socket opens once, speaks only while open, closes once. News of
//! sockets that are long gone is part of the world, too. What must hold is asserted at each output.

mod grammar;

use std::collections::BTreeMap;

use bytes::Bytes;
use rtms_protocol::session::{CloseCause, MediaSockets, Notice, SocketId, SocketKind, Timeouts, Wake};
use rtms_protocol::{
    AudioParams, ChatParams, ClientMessage, Credentials, Input, Instant, MediaParams, MessageError, Output,
    Product, ServerMessage, Session, SessionConfig, ShareParams, StopReason, StreamIdentity,
    TranscriptParams, UnixMillis, VideoParams,
};

use crate::choices::Choices;

/// Outputs that one input may cause; more is a loop.
const MOST_OUTPUTS: usize = 200;
/// Inputs of one run.
const MOST_INPUTS: usize = 300;
/// Choices from here on are messages that were not kept; those below keep the meaning that the corpus was made for.
const FROM_HERE_NOT_KEPT: usize = 248;
/// A session that hears nothing more ends within this time, ms: silence is noticed, then a way back is sought in vain.
const LONGEST_LIFE_MS: u64 = 400_000;

/// Plays a whole life.
pub fn session(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut world = World::new(config(&mut choices));
    world.input(Input::Tick);
    for _ in 0..MOST_INPUTS {
        if choices.is_done() {
            break;
        }
        world.happen(&mut choices);
    }
    world.fall_silent();
}

fn config(choices: &mut Choices<'_>) -> SessionConfig {
    let all = MediaParams {
        audio: Some(AudioParams::default()),
        video: Some(VideoParams::default()),
        share: Some(ShareParams::default()),
        transcript: Some(TranscriptParams::default()),
        chat: Some(ChatParams::default()),
    };
    let sound = MediaParams { video: None, share: None, chat: None, ..all };
    SessionConfig {
        identity: StreamIdentity {
            product: choices.pick(&[Product::ContactCenter, Product::Meeting, Product::Phone]),
            id: "id".into(),
            stream_id: "stream".into(),
        },
        credentials: Credentials { client_id: "cid".into(), client_secret: "secret".into() },
        server_urls: urls(choices),
        media: choices.pick(&[sound, all, MediaParams::default()]),
        sockets: choices.pick(&[MediaSockets::Single, MediaSockets::PerKind]),
        buffer_data: true,
        timeouts: Timeouts::default(),
        seed: u64::from(choices.byte()),
        rejoins: choices.pick(&[false, true]),
    }
}

fn urls(choices: &mut Choices<'_>) -> Vec<String> {
    let list = ["wss://a.zoom.us", "wss://b.zoom.us"].map(String::from);
    match choices.below(4) {
        0 => Vec::new(),
        1 => list.to_vec(),
        n => vec![choices.pick(&list); n - 1],
    }
}

#[derive(Debug, Clone, Copy)]
struct Socket {
    kind: SocketKind,
    opened: bool,
}

struct World {
    session: Session,
    now: u64,
    sockets: BTreeMap<SocketId, Socket>,
    next_id: u64,
    wake: Option<Wake>,
    ended: bool,
    /// Messages that were told to be skipped or slowed down.
    odd: u32,
}

impl World {
    fn new(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            now: 0,
            sockets: BTreeMap::new(),
            next_id: 0,
            wake: None,
            ended: false,
            odd: 0,
        }
    }

    /// One thing happens.
    fn happen(&mut self, choices: &mut Choices<'_>) {
        let choice = choices.below(256);
        if choice >= FROM_HERE_NOT_KEPT {
            return self.is_not_kept(choices);
        }
        match choice % 24 {
            0 => self.input(Input::Restarted(urls(choices))),
            1 => self.input(Input::Interrupted),
            2 => self.input(Input::Stopped(choices.pick(&[None, Some(StopReason::MeetingEnded)]))),
            3 => self.input(Input::Stopped(Some(StopReason::from_code(i64::from(choices.byte()))))),
            4 => self.input(Input::Close),
            5 => self.input(Input::Leave),
            6 => {
                let (user_id, subscribe) = (choices.text(8), choices.flag());
                let timestamp = UnixMillis(choices.i64());
                self.input(Input::ChooseVideo { user_id, subscribe, timestamp });
            }
            7 => self.stale_news(choices),
            8 => self.pass(u64::from(choices.byte()).pow(2)),
            9 | 10 => self.pass_to_wake(),
            11 | 12 => self.closes(choices),
            13..=16 => self.opens(choices),
            17 => {
                let bytes = choices.bytes(120).to_vec();
                self.frame(choices, bytes);
            }
            18 => {
                let bytes = grammar::damaged(choices);
                self.frame(choices, bytes);
            }
            _ => {
                let bytes = grammar::message(choices).into_bytes();
                self.frame(choices, bytes);
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.input(Input::Tick);
        let wake = self.wake.map(|wake| wake.at);
        assert!(wake.is_none_or(|at| at > Instant::from_millis(self.now)), "due at once again: {wake:?}");
    }

    fn pass_to_wake(&mut self) {
        let Some(wake) = self.wake else { return };
        let at = u64::try_from(wake.at.0.as_nanos().div_ceil(1_000_000)).expect("in this age");
        self.pass(at.saturating_sub(self.now));
    }

    fn pick(&self, choices: &mut Choices<'_>, opened: bool) -> Option<SocketId> {
        let ids: Vec<_> =
            self.sockets.iter().filter(|(_, s)| s.opened == opened).map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| choices.pick(&ids))
    }

    fn opens(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.pick(choices, false) else { return };
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.opened = true;
        }
        self.input(Input::Opened(id));
    }

    fn closes(&mut self, choices: &mut Choices<'_>) {
        let opened = choices.flag();
        let Some(id) = self.pick(choices, opened) else { return };
        let cause = match choices.below(8) {
            0 => CloseCause::NotAllowed("host".into()),
            1 | 2 => CloseCause::ConnectFailed("refused".into()),
            3 | 4 => CloseCause::ClosedByPeer(Some(1000)),
            _ => CloseCause::Broken("reset".into()),
        };
        self.sockets.remove(&id);
        self.input(Input::Closed(id, cause));
    }

    fn frame(&mut self, choices: &mut Choices<'_>, bytes: Vec<u8>) {
        let Some(id) = self.pick(choices, true) else { return };
        let must_answer = match ServerMessage::parse(&bytes) {
            Ok(ServerMessage::KeepAlive(asked)) if !self.ended => Some(ClientMessage::KeepAlive(asked)),
            _ => None,
        };
        let sent = self.told(Input::Frame(id, Bytes::from(bytes)));
        if let Some(answer) = must_answer {
            assert!(sent.contains(&(id, answer.to_json())), "a keep-alive was not answered");
        }
    }

    /// A message is skipped, or its sender has to wait: told once, for a socket of the past not at all, and nothing else
    /// follows from it.
    fn is_not_kept(&mut self, choices: &mut Choices<'_>) {
        let (kind, old) = (choices.below(4), SocketId(u64::from(choices.byte())));
        let id = self.pick(choices, true).unwrap_or(old);
        let id = if kind == 3 && !self.sockets.contains_key(&old) { old } else { id };
        let (odd, sockets) = (self.odd, self.sockets.len());
        let sent = self.told(match choices.below(3) {
            0 => Input::Throttled(id),
            1 => Input::Skipped(id, MessageError::TooLarge),
            _ => Input::Skipped(id, MessageError::NoRoom),
        });
        assert!(sent.is_empty() && self.sockets.len() == sockets, "more followed: {sent:?}");
        assert_eq!(self.odd - odd, u32::from(self.sockets.contains_key(&id)));
    }

    /// Something about a socket that is gone, or never was: to be ignored.
    fn stale_news(&mut self, choices: &mut Choices<'_>) {
        let id = SocketId(u64::from(choices.byte()));
        if self.sockets.contains_key(&id) {
            return;
        }
        self.input(match choices.below(3) {
            0 => Input::Opened(id),
            1 => Input::Closed(id, CloseCause::NotAllowed("old".into())),
            _ => Input::Frame(id, Bytes::from(grammar::message(choices))),
        });
    }

    fn input(&mut self, input: Input) {
        let _ = self.told(input);
    }

    /// Tells the session and obeys; returns what it sent.
    fn told(&mut self, input: Input) -> Vec<(SocketId, String)> {
        let revoked = matches!(input, Input::Stopped(Some(StopReason::StreamRevoked)));
        let was_over = self.ended;
        self.session.handle_input(Instant::from_millis(self.now), input);
        let mut sent = Vec::new();
        for count in 0.. {
            assert!(count < MOST_OUTPUTS, "outputs without end");
            let output = self.session.poll_output();
            if let Output::Idle(wake) = output {
                self.wake = wake;
                break;
            }
            assert!(!self.ended, "after the end: {output:?}");
            self.obey(output, &mut sent);
        }
        assert_eq!(self.wake.is_none(), self.ended, "alive with nothing due, or due after the end");
        assert!(!revoked || self.ended, "a withdrawn permission ends at once");
        assert!(!was_over || sent.is_empty());
        if self.ended {
            assert!(self.sockets.is_empty(), "left open: {:?}", self.sockets);
        }
        sent
    }

    fn obey(&mut self, output: Output, sent: &mut Vec<(SocketId, String)>) {
        match output {
            Output::Open { socket, kind, url } => self.open(socket, kind, &url),
            Output::Send(socket, text) => {
                assert!(
                    self.sockets.get(&socket).is_some_and(|s| s.opened),
                    "sent to no open socket: {text}"
                );
                ClientMessage::parse(text.as_bytes()).expect("what is sent can be read");
                sent.push((socket, text));
            }
            Output::Close(socket) | Output::Abandon(socket) => {
                assert!(self.sockets.remove(&socket).is_some(), "closed what was not open");
            }
            Output::Finish(socket) => {
                assert!(self.sockets.get(&socket).is_some_and(|s| s.opened), "goodbye to no open socket");
            }
            Output::Media(frame) => {
                let _ = frame.packet();
            }
            Output::Notice(notice) => {
                self.ended |= matches!(*notice, Notice::Ended(_));
                self.odd += u32::from(matches!(*notice, Notice::Malformed { .. } | Notice::Throttled { .. }));
            }
            Output::Idle(_) => {}
        }
    }

    fn open(&mut self, id: SocketId, kind: SocketKind, url: &str) {
        assert!(id.0 >= self.next_id && !url.is_empty(), "a name used twice");
        self.next_id = id.0 + 1;
        let clash = self.sockets.values().any(|other| match (other.kind, kind) {
            (SocketKind::Signaling, SocketKind::Signaling) => true,
            (SocketKind::Media(a), SocketKind::Media(b)) => a.iter().any(|kind| b.contains(kind)),
            _ => false,
        });
        assert!(!clash, "a second socket of a kind: {kind:?} beside {:?}", self.sockets);
        self.sockets.insert(id, Socket { kind, opened: false });
    }

    /// Nothing comes any more: the session must find its end by itself.
    fn fall_silent(&mut self) {
        let from = self.now;
        while !self.ended {
            self.pass_to_wake();
            assert!(self.now <= from + LONGEST_LIFE_MS, "lives on in silence");
        }
        for input in [Input::Tick, Input::Interrupted, Input::Close, Input::Leave, Input::Stopped(None)] {
            self.input(input);
        }
        assert_eq!(self.session.phase().word(), "ended");
    }
}
