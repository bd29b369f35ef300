//! Failover stories with made-up time: each test plays Zoom by hand.

mod choice;
mod dead;
mod ending;
mod way_in;
mod ways_back;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{CloseCause, Interruption, MediaSockets, Notice, Outcome, Phase, SocketId, SocketKind, Timeouts};
use crate::{
    AudioParams, Credentials, Input, Instant, MediaKind, MediaParams, MessageError, Output, Product, Session,
    SessionConfig, StatusCode, StopReason, StreamIdentity, TranscriptParams, UnixMillis, VideoParams,
};

/// A session, a clock, and everything that the session asked for.
struct Story {
    session: Session,
    now: Instant,
    outputs: Vec<Output>,
    open: Vec<(SocketId, SocketKind, String)>,
}

pub(super) fn config() -> SessionConfig {
    SessionConfig {
        identity: StreamIdentity {
            product: Product::ContactCenter,
            id: "abc".into(),
            stream_id: "xyz".into(),
        },
        credentials: Credentials { client_id: "cid".into(), client_secret: "secret".into() },
        server_urls: vec!["wss://one".into(), "wss://two".into()],
        media: MediaParams {
            audio: Some(AudioParams::default()),
            video: Some(VideoParams::default()),
            transcript: Some(TranscriptParams::default()),
            ..MediaParams::default()
        },
        sockets: MediaSockets::Single,
        buffer_data: true,
        rejoins: false,
        timeouts: Timeouts::default(),
        seed: 7,
    }
}

impl Story {
    fn begin(config: SessionConfig) -> Self {
        let mut story = Self {
            session: Session::new(config),
            now: Instant::default(),
            outputs: Vec::new(),
            open: Vec::new(),
        };
        story.input(Input::Tick);
        story
    }

    /// A story in which media flows already.
    fn streaming() -> Self {
        let mut story = Self::begin(config());
        story.join();
        assert_eq!(story.session.phase(), Phase::Streaming);
        story.outputs.clear();
        story
    }

    fn input(&mut self, input: Input) {
        if let Input::Closed(socket, _) = &input {
            self.open.retain(|(open, ..)| open != socket);
        }
        self.session.handle_input(self.now, input);
        loop {
            match self.session.poll_output() {
                Output::Idle(_) => return,
                Output::Open { socket, kind, url } => {
                    let double = |(_, other, _): &&(SocketId, SocketKind, String)| match (kind, other) {
                        (SocketKind::Signaling, SocketKind::Signaling) => true,
                        (SocketKind::Media(new), SocketKind::Media(old)) => {
                            !new.intersection(*old).is_empty()
                        }
                        _ => false,
                    };
                    assert!(
                        !self.open.iter().any(|open| double(&open)),
                        "second {kind:?} while {:?}",
                        self.open
                    );
                    self.open.push((socket, kind, url.clone()));
                    self.outputs.push(Output::Open { socket, kind, url });
                }
                output => {
                    if let Output::Close(socket) | Output::Abandon(socket) = output {
                        let before = self.open.len();
                        self.open.retain(|(open, ..)| *open != socket);
                        assert_eq!(self.open.len() + 1, before, "closed what was not open");
                    }
                    self.outputs.push(output);
                }
            }
        }
    }

    /// Lets time pass, ticking whenever the session wants to be woken.
    fn wait(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Output::Idle(Some(wake)) = self.session.poll_output() {
            if wake.at > until {
                break;
            }
            self.now = self.now.max(wake.at);
            self.input(Input::Tick);
        }
        self.now = until;
        self.input(Input::Tick);
    }

    fn signaling(&self) -> SocketId {
        self.find(|kind| kind == SocketKind::Signaling).expect("no signaling socket")
    }

    fn media(&self) -> SocketId {
        self.find(|kind| kind != SocketKind::Signaling).expect("no media socket")
    }

    fn find(&self, want: impl Fn(SocketKind) -> bool) -> Option<SocketId> {
        self.open.iter().find(|(_, kind, _)| want(*kind)).map(|(socket, ..)| *socket)
    }

    fn frame(&mut self, socket: SocketId, json: &Value) {
        self.input(Input::Frame(socket, Bytes::from(json.to_string())));
    }

    fn join(&mut self) {
        let signaling = self.signaling();
        self.input(Input::Opened(signaling));
        self.frame(signaling, &signaling_answer(0));
        self.join_media();
    }

    fn join_media(&mut self) {
        let media: Vec<_> = self
            .open
            .iter()
            .filter(|(_, kind, _)| *kind != SocketKind::Signaling)
            .map(|(s, ..)| *s)
            .collect();
        for socket in media {
            self.input(Input::Opened(socket));
            self.frame(socket, &json!({"msg_type": 4, "status_code": 0}));
        }
    }

    /// Messages sent on `socket`, newest last.
    fn sent(&self, socket: SocketId) -> Vec<Value> {
        self.outputs
            .iter()
            .filter_map(|output| match output {
                Output::Send(to, text) if *to == socket => serde_json::from_str(text).ok(),
                _ => None,
            })
            .collect()
    }

    fn sent_types(&self, socket: SocketId) -> Vec<i64> {
        self.sent(socket).iter().filter_map(|message| message["msg_type"].as_i64()).collect()
    }

    fn notices(&self) -> Vec<&Notice> {
        self.outputs
            .iter()
            .filter_map(|o| if let Output::Notice(n) = o { Some(&**n) } else { None })
            .collect()
    }

    fn outcome(&self) -> Option<Outcome> {
        self.notices().into_iter().find_map(|n| if let Notice::Ended(o) = n { Some(o.clone()) } else { None })
    }

    fn media_frames(&self) -> usize {
        self.outputs.iter().filter(|output| matches!(output, Output::Media(_))).count()
    }

    fn interruptions(&self) -> Vec<Interruption> {
        self.notices()
            .into_iter()
            .filter_map(|n| if let Notice::Interrupted { cause, .. } = n { Some(*cause) } else { None })
            .collect()
    }

    fn resumed(&self) -> usize {
        self.notices().into_iter().filter(|notice| matches!(notice, Notice::Resumed)).count()
    }
}

fn signaling_answer(status: i64) -> Value {
    json!({"msg_type": 2, "protocol_version": 1, "sequence": 1, "status_code": status, "reason": "words",
        "media_server": {"server_urls": {"audio": "wss://a", "video": "wss://v", "transcript": "wss://t", "all": "wss://m"}}})
}

fn audio(timestamp: i64) -> Value {
    json!({"msg_type": 14, "content": {"user_id": 0, "data": "AAAA", "timestamp": timestamp}})
}

fn lost() -> CloseCause {
    CloseCause::Broken("reset".into())
}

#[test]
fn a_url_that_is_not_allowed_is_final() {
    let mut story = Story::begin(config());
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(0));
    let media = story.media();
    story.input(Input::Closed(media, CloseCause::NotAllowed("host evil.example".into())));
    let Some(Outcome::Refused(refused)) = story.outcome() else { panic!() };
    assert_eq!((refused.status, refused.reason.as_str()), (None, "host evil.example"));
}

#[test]
fn odd_messages_cost_themselves() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    for socket in [signaling, media] {
        for odd in [
            &b"not json"[..],
            b"{}",
            b"\xff\xfe",
            br#"{"msg_type":8,"state":"secret"}"#,
            br#"{"msg_type":99}"#,
        ] {
            story.input(Input::Frame(socket, Bytes::from_static(odd)));
        }
    }
    let malformed = story.notices().into_iter().filter(|n| matches!(n, Notice::Malformed { .. })).count();
    let unknown = story
        .notices()
        .into_iter()
        .filter(|n| matches!(n, Notice::UnknownMessage { msg_type: 99, .. }))
        .count();
    assert_eq!((malformed, unknown), (8, 2));
    assert_eq!(story.session.phase(), Phase::Streaming);
}

#[test]
fn late_news_of_old_sockets_is_ignored() {
    let mut story = Story::streaming();
    let media = story.media();
    story.input(Input::Closed(media, lost()));
    story.wait(500);
    story.join_media();
    story.outputs.clear();
    story.frame(media, &audio(1));
    story.input(Input::Closed(media, lost()));
    story.input(Input::Opened(media));
    assert!(story.outputs.is_empty(), "{:?}", story.outputs);
}

#[test]
fn a_session_can_move_between_threads_and_its_outputs_stay_small() {
    fn is_send<T: Send + std::panic::UnwindSafe>() {}
    is_send::<Session>();
    assert!(std::mem::size_of::<Output>() <= 64, "{}", std::mem::size_of::<Output>());
}

#[test]
fn a_message_that_was_not_kept_is_told_and_shows_that_the_link_lives() {
    let mut story = Story::streaming();
    let media = story.media();
    for _ in 0..3 {
        story.wait(50_000);
        story.input(Input::Frame(story.signaling(), Bytes::from_static(br#"{"msg_type":12}"#)));
        story.input(Input::Skipped(media, MessageError::TooLarge));
    }
    story.input(Input::Skipped(SocketId(999), MessageError::TooLarge));
    story.input(Input::Throttled(media));
    story.input(Input::Throttled(SocketId(999)));
    assert_eq!(story.session.phase(), Phase::Streaming);
    let notices = story.notices();
    let count = |wanted: fn(&Notice) -> bool| notices.iter().filter(|notice| wanted(notice)).count();
    assert_eq!(count(|n| matches!(n, Notice::Malformed { error: MessageError::TooLarge, .. })), 3);
    assert_eq!(count(|n| matches!(n, Notice::Throttled { kind: SocketKind::Media(_) })), 1);
    assert_eq!(notices.len(), 4, "sockets of the past are silent: {notices:?}");
}
