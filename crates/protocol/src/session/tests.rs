//! Failover stories with made-up time: each test plays Zoom by hand.

mod dead;

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
fn the_straight_way_in() {
    let mut story = Story::begin(config());
    let signaling = story.signaling();
    assert_eq!(story.open[0].2, "wss://one");
    story.input(Input::Opened(signaling));
    let hello = &story.sent(signaling)[0];
    assert_eq!((&hello["engagement_id"], &hello["meeting_uuid"]), (&json!("abc"), &json!("abc")));
    assert_eq!(hello["buffer_data"], json!(true));
    story.frame(signaling, &signaling_answer(0));
    story.frame(signaling, &json!({"msg_type": 6, "event": {"event_type": 1, "timestamp": 5}}));
    let media = story.media();
    story.input(Input::Opened(media));
    let hello = &story.sent(media)[0];
    assert_eq!(hello["media_type"], json!(1 | 2 | 8));
    assert_eq!(hello["media_params"]["audio"]["send_rate"], json!(20));
    assert_eq!(story.sent_types(signaling), [1, 5], "not ready before the media handshake is answered");
    story.frame(
        media,
        &json!({"msg_type": 4, "status_code": 0, "media_params": {"audio": {"codec": 1, "sample_rate": 3}}}),
    );
    assert_eq!(story.sent_types(signaling), [1, 5, 7]);
    let granted =
        story.notices().into_iter().find_map(|n| if let Notice::Granted(p) = n { Some(*p) } else { None });
    let granted = granted.unwrap();
    assert_eq!(granted.audio.unwrap().sample_rate, crate::SampleRate::Hz48000);
    assert!(granted.video.is_some(), "what the answer leaves out is granted as asked");
    story.frame(media, &audio(1));
    assert_eq!(story.media_frames(), 1);
    assert_eq!(story.session.phase(), Phase::Streaming);
}

#[test]
fn keep_alives_are_echoed_on_both_sockets() {
    let mut story = Story::streaming();
    for socket in [story.signaling(), story.media()] {
        story.frame(socket, &json!({"msg_type": 12, "sequence": 4, "timestamp": 99}));
        assert_eq!(story.sent(socket), [json!({"msg_type": 13, "sequence": 4, "timestamp": 99})]);
    }
}

#[test]
fn one_socket_a_kind_where_wished() {
    let mut story = Story::begin(SessionConfig { sockets: MediaSockets::PerKind, ..config() });
    story.join();
    assert_eq!(story.open.len(), 4);
    assert_eq!(story.session.phase(), Phase::Streaming);
    let readies = story.sent_types(story.signaling()).into_iter().filter(|t| *t == 7).count();
    assert_eq!(readies, 1, "ready is said once, when all handshakes are answered");
}

#[test]
fn what_zoom_does_not_offer_is_left_out() {
    let mut story = Story::begin(config());
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &json!({"msg_type": 2, "status_code": 0, "media_server": {"server_urls": {"audio": "wss://a", "all": "wss://m"}}}));
    let media = story.media();
    story.input(Input::Opened(media));
    assert_eq!(story.sent(media)[0]["media_type"], json!(1));
    let gone: Vec<_> = story
        .notices()
        .into_iter()
        .filter_map(|n| if let Notice::Unavailable { kind, .. } = n { Some(*kind) } else { None })
        .collect();
    assert_eq!(gone, [MediaKind::Video, MediaKind::Transcript]);
}

#[test]
fn a_refused_kind_costs_only_itself() {
    for (status, kind) in [(10, MediaKind::Video), (30, MediaKind::Video), (12, MediaKind::Transcript)] {
        let mut story = Story::begin(config());
        let signaling = story.signaling();
        story.input(Input::Opened(signaling));
        story.frame(signaling, &signaling_answer(0));
        let first = story.media();
        story.input(Input::Opened(first));
        story.frame(first, &json!({"msg_type": 4, "status_code": status, "reason": "no scope"}));
        let second = story.media();
        assert_ne!(first, second);
        story.join_media();
        let asked = story.sent(second)[0]["media_type"].as_i64().unwrap();
        assert_eq!(asked, 11 - i64::from(kind.bit()));
        assert_eq!(story.session.phase(), Phase::Streaming);
    }
}

#[test]
fn a_final_refusal_ends_it_without_hammering() {
    let mut story = Story::begin(config());
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(3));
    let Some(Outcome::Refused(refused)) = story.outcome() else { panic!() };
    assert_eq!((refused.status, refused.after_media), (Some(StatusCode::InvalidSignature), false));
    story.outputs.clear();
    story.wait(600_000);
    assert!(story.outputs.is_empty(), "{:?}", story.outputs);
}

#[test]
fn a_final_refusal_after_media_waits_for_another_server_and_tries_nothing() {
    let refuse = || {
        let mut story = Story::streaming();
        let (signaling, media) = (story.signaling(), story.media());
        story.input(Input::Closed(signaling, lost()));
        story.input(Input::Closed(media, lost()));
        story.wait(500);
        let signaling = story.signaling();
        story.input(Input::Opened(signaling));
        story.frame(signaling, &signaling_answer(2));
        story.wait(20_000);
        assert!(story.open.is_empty() && story.outcome().is_none(), "it waits, and nobody is asked");
        story
    };
    let mut moved = refuse();
    moved.input(Input::Restarted(vec!["wss://other".into()]));
    assert_eq!(moved.open[0].2, "wss://other");
    moved.join();
    assert_eq!(moved.session.phase(), Phase::Streaming);
    assert_eq!((moved.interruptions(), moved.resumed()), (vec![Interruption::SignalingLost], 1));

    let mut forgotten = refuse();
    forgotten.wait(120_000);
    let Some(Outcome::Refused(refused)) = forgotten.outcome() else { panic!("{:?}", forgotten.outcome()) };
    assert_eq!((refused.status, refused.after_media), (Some(StatusCode::InvalidStreamId), true));
}

#[test]
fn media_refused_for_good_after_it_had_worked_begins_with_signaling() {
    let mut story = Story::streaming();
    let signaling = story.signaling();
    let media = story.media();
    story.input(Input::Closed(media, lost()));
    story.wait(500);
    let media = story.media();
    story.input(Input::Opened(media));
    story.frame(media, &json!({"msg_type": 4, "status_code": 1, "reason": "no signaling"}));
    story.wait(500);
    assert_ne!(story.signaling(), signaling);
    story.join();
    assert_eq!(story.session.phase(), Phase::Streaming);
}

#[test]
fn a_duplicate_waits_and_a_transient_refusal_comes_back_soon() {
    for (status, at_least, at_most) in [(8, 3_000, 3_700), (45, 100, 400)] {
        let mut story = Story::begin(config());
        let signaling = story.signaling();
        story.input(Input::Opened(signaling));
        story.frame(signaling, &signaling_answer(status));
        assert!(story.open.is_empty(), "the refused socket is closed first");
        story.wait(at_least - 1);
        assert!(story.open.is_empty(), "{status}: too soon");
        story.wait(at_most - at_least + 1);
        assert_eq!(story.open.len(), 1, "{status}: too late");
    }
}

#[test]
fn urls_are_tried_in_turn() {
    let mut story = Story::begin(config());
    let first = story.signaling();
    story.input(Input::Closed(first, CloseCause::ConnectFailed("refused".into())));
    story.wait(500);
    assert_eq!(story.open[0].2, "wss://two");
}

#[test]
fn a_server_that_accepts_and_never_answers() {
    let mut story = Story::begin(config());
    let first = story.signaling();
    story.input(Input::Opened(first));
    story.wait(11_000);
    assert_ne!(story.signaling(), first, "the handshake deadline begins a new attempt");
    let mut stalled = Story::begin(config());
    let first = stalled.signaling();
    stalled.wait(11_000);
    assert_ne!(stalled.signaling(), first, "the connect deadline too");
}

#[test]
fn a_lost_media_socket_is_rejoined_without_touching_signaling() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(media, lost()));
    assert_eq!(story.session.phase(), Phase::Reconnecting);
    story.wait(500);
    assert_eq!(story.signaling(), signaling);
    assert_ne!(story.media(), media);
    story.join_media();
    assert_eq!(story.sent_types(signaling), [7]);
    assert_eq!((story.interruptions(), story.resumed()), (vec![Interruption::MediaLost], 1));
    assert_eq!(story.session.reconnects(), 1);
}

#[test]
fn media_that_keeps_failing_gets_fresh_urls() {
    let mut story = Story::streaming();
    let signaling = story.signaling();
    let media = story.media();
    story.input(Input::Closed(media, lost()));
    let mut attempts = 0;
    while story.find(|kind| kind == SocketKind::Signaling) == Some(signaling) {
        story.wait(1_000);
        if let Some(media) = story.find(|kind| kind != SocketKind::Signaling) {
            story.input(Input::Closed(media, CloseCause::ConnectFailed("refused".into())));
            attempts += 1;
        }
        assert!(attempts < 10);
    }
    story.wait(500);
    story.join();
    assert_eq!(story.session.phase(), Phase::Streaming);
}

#[test]
fn lost_signaling_keeps_media_that_still_flows() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(signaling, lost()));
    story.frame(media, &audio(1));
    assert_eq!(story.media_frames(), 1);
    story.wait(500);
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(0));
    assert_eq!(story.media(), media, "it lives: nothing under way is given away");
    story.frame(media, &audio(2));
    story.wait(5_000);
    assert_eq!(story.media(), media);
    assert_eq!(story.session.phase(), Phase::Streaming);
}

#[test]
fn a_kept_socket_that_was_dying_is_part_of_the_same_interruption() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(signaling, lost()));
    story.wait(500);
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(0));
    assert_eq!(story.session.phase(), Phase::Reconnecting, "the kept socket has proven nothing yet");
    story.input(Input::Closed(media, lost()));
    story.wait(500);
    story.join_media();
    assert_eq!(story.session.phase(), Phase::Streaming);
    assert_eq!((story.interruptions(), story.resumed()), (vec![Interruption::SignalingLost], 1));
}

#[test]
fn a_doubt_while_all_is_well_is_no_interruption() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.frame(signaling, &json!({"msg_type": 6, "event": {"event_type": 7, "timestamp": 1}}));
    story.input(Input::Interrupted);
    assert_eq!(story.session.phase(), Phase::Streaming);
    story.frame(signaling, &json!({"msg_type": 20, "state": 1}));
    story.frame(media, &audio(1));
    story.wait(5_000);
    assert_eq!((story.signaling(), story.media()), (signaling, media));
    assert_eq!((story.interruptions(), story.resumed()), (vec![], 0));
}

#[test]
fn lost_signaling_with_dead_media_rejoins_both() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(signaling, lost()));
    story.input(Input::Closed(media, lost()));
    story.wait(500);
    story.join();
    assert_eq!(story.session.phase(), Phase::Streaming);
    assert_eq!((story.interruptions().len(), story.resumed()), (1, 1));

    let mut half_open = Story::streaming();
    let media = half_open.media();
    let signaling = half_open.signaling();
    half_open.input(Input::Closed(signaling, lost()));
    half_open.wait(500);
    let signaling = half_open.signaling();
    half_open.input(Input::Opened(signaling));
    half_open.frame(signaling, &signaling_answer(0));
    half_open.wait(3_000);
    assert_ne!(half_open.media(), media, "a media socket that does not prove itself is replaced");
}

#[test]
fn zoom_reports_media_gone_before_we_notice() {
    for report in [
        json!({"msg_type": 6, "event": {"event_type": 7, "timestamp": 1}}),
        json!({"msg_type": 8, "state": 2, "reason": 14}),
    ] {
        let mut story = Story::streaming();
        let (signaling, media) = (story.signaling(), story.media());
        story.frame(signaling, &report);
        story.wait(2_500);
        assert_ne!(story.media(), media);
        assert_eq!(story.signaling(), signaling);
        let mut alive = Story::streaming();
        let (signaling, media) = (alive.signaling(), alive.media());
        alive.frame(signaling, &report);
        alive.wait(1_000);
        alive.frame(media, &audio(1));
        alive.wait(10_000);
        assert_eq!(alive.media(), media, "a stale report costs nothing");
    }
}

#[test]
fn the_interrupted_webhook_makes_signaling_prove_itself() {
    let mut dead = Story::streaming();
    let signaling = dead.signaling();
    dead.input(Input::Interrupted);
    assert_eq!(dead.sent_types(signaling), [19]);
    dead.wait(2_600);
    assert_ne!(dead.signaling(), signaling);

    let mut alive = Story::streaming();
    let signaling = alive.signaling();
    alive.input(Input::Interrupted);
    alive.frame(signaling, &json!({"msg_type": 20, "state": 1}));
    alive.wait(10_000);
    assert_eq!(alive.signaling(), signaling);

    let mut noticed = Story::streaming();
    let signaling = noticed.signaling();
    noticed.input(Input::Closed(signaling, lost()));
    noticed.input(Input::Interrupted);
    noticed.wait(500);
    assert_eq!(noticed.open.iter().filter(|(_, kind, _)| *kind == SocketKind::Signaling).count(), 1);
}

#[test]
fn new_urls_in_the_midst_of_a_reconnection() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(signaling, lost()));
    story.input(Input::Closed(media, lost()));
    story.input(Input::Restarted(vec!["wss://new".into()]));
    assert_eq!(story.open.len(), 1);
    assert_eq!(story.open[0].2, "wss://new");
    story.join();
    assert_eq!(story.session.phase(), Phase::Streaming);
    assert!(story.session.is_current(&["wss://new".into()]));
}

#[test]
fn new_urls_while_all_is_well_replace_everything() {
    let mut story = Story::streaming();
    story.input(Input::Restarted(vec!["wss://new".into()]));
    story.join();
    assert_eq!(story.interruptions(), [Interruption::ServerChanged]);
    assert_eq!(story.resumed(), 1);
}

#[test]
fn silence_for_65_seconds_begins_with_signaling() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    for _ in 0..6 {
        story.wait(10_000);
        story.frame(signaling, &json!({"msg_type": 12}));
    }
    story.wait(4_900);
    assert_eq!(story.media(), media);
    story.wait(600);
    assert_ne!(story.signaling(), signaling);
    assert_eq!(story.interruptions(), [Interruption::Silence]);
}

#[test]
fn after_the_window_it_gives_up_and_stays_quiet() {
    let mut story = Story::streaming();
    for socket in [story.signaling(), story.media()] {
        story.input(Input::Closed(socket, lost()));
    }
    for _ in 0..200 {
        story.wait(1_000);
        if let Some(socket) = story.find(|kind| kind == SocketKind::Signaling) {
            story.input(Input::Closed(socket, CloseCause::ConnectFailed("refused".into())));
        }
    }
    assert_eq!(story.outcome(), Some(Outcome::GaveUp(Interruption::SignalingLost)));
    assert_eq!(story.now, Instant::from_millis(200_000));
    let attempts = story.outputs.iter().filter(|o| matches!(o, Output::Open { .. })).count();
    assert!((12..=25).contains(&attempts), "{attempts} attempts in 120 s");
}

#[test]
fn a_stop_takes_what_is_under_way() {
    let mut story = Story::streaming();
    let media = story.media();
    story.input(Input::Stopped(Some(StopReason::CustomerDisconnected)));
    assert_eq!(story.session.phase(), Phase::Stopping);
    story.frame(media, &audio(1));
    story.frame(media, &audio(2));
    story.input(Input::Closed(media, CloseCause::ClosedByPeer(Some(1000))));
    assert_eq!(story.media_frames(), 2);
    assert_eq!(story.outcome(), Some(Outcome::Stopped(Some(StopReason::CustomerDisconnected))));
    assert!(story.open.is_empty());
}

#[test]
fn sockets_that_close_with_the_stream_are_no_interruption() {
    let mut story = Story::streaming();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(media, CloseCause::ClosedByPeer(Some(1000))));
    story.wait(50);
    story.frame(signaling, &json!({"msg_type": 8, "state": 4, "reason": 6}));
    assert_eq!(story.outcome(), Some(Outcome::Stopped(Some(StopReason::MeetingEnded))));
    assert!(story.interruptions().is_empty());
}

#[test]
fn a_stop_ends_after_quiet_and_at_the_latest_after_three_seconds() {
    let mut quiet = Story::streaming();
    quiet.input(Input::Stopped(None));
    quiet.wait(999);
    assert_eq!(quiet.outcome(), None);
    quiet.wait(1);
    assert_eq!(quiet.outcome(), Some(Outcome::Stopped(None)));

    let mut busy = Story::streaming();
    let media = busy.media();
    busy.input(Input::Stopped(None));
    for ts in 0..200 {
        busy.wait(20);
        if busy.outcome().is_none() {
            busy.frame(media, &audio(ts));
        }
    }
    assert_eq!(busy.outcome(), Some(Outcome::Stopped(None)));
    assert!(busy.media_frames() >= 149);
}

#[test]
fn a_state_update_stops_it_and_the_webhook_adds_the_reason() {
    let mut story = Story::streaming();
    let signaling = story.signaling();
    story.frame(signaling, &json!({"msg_type": 8, "state": 3, "reason": 6}));
    assert_eq!(story.session.phase(), Phase::Streaming);
    story.frame(signaling, &json!({"msg_type": 8, "state": 4}));
    story.input(Input::Stopped(Some(StopReason::MeetingEnded)));
    story.wait(1_000);
    assert_eq!(story.outcome(), Some(Outcome::Stopped(Some(StopReason::MeetingEnded))));
}

#[test]
fn a_revocation_ends_at_once() {
    let mut story = Story::streaming();
    story.input(Input::Stopped(Some(StopReason::StreamRevoked)));
    assert_eq!(story.outcome(), Some(Outcome::Stopped(Some(StopReason::StreamRevoked))));
    let mut draining = Story::streaming();
    draining.input(Input::Stopped(None));
    draining.input(Input::Stopped(Some(StopReason::StreamRevoked)));
    assert_eq!(draining.outcome(), Some(Outcome::Stopped(Some(StopReason::StreamRevoked))));
}

#[test]
fn pause_and_resume_keep_the_sockets() {
    let mut story = Story::streaming();
    let signaling = story.signaling();
    story.frame(signaling, &json!({"msg_type": 9, "state": 3}));
    assert_eq!(story.session.phase(), Phase::Paused);
    story.frame(signaling, &json!({"msg_type": 9, "state": 4}));
    assert_eq!(story.session.phase(), Phase::Streaming);
    assert_eq!(story.open.len(), 2);
    assert!(story.interruptions().is_empty());
}

#[test]
fn closing_asks_zoom_and_waits_for_the_end() {
    let mut story = Story::streaming();
    let signaling = story.signaling();
    story.input(Input::Close);
    assert_eq!(story.sent(signaling), [json!({"msg_type": 21, "rtms_stream_id": "xyz"})]);
    story.frame(signaling, &json!({"msg_type": 22, "status_code": 0}));
    story.frame(signaling, &json!({"msg_type": 8, "state": 4, "reason": 20}));
    story.wait(1_000);
    assert_eq!(story.outcome(), Some(Outcome::Stopped(Some(StopReason::ReceiverRequestClose))));

    let mut mute = Story::streaming();
    mute.input(Input::Close);
    mute.wait(5_000);
    assert_eq!(mute.outcome(), Some(Outcome::Closed), "Zoom need not answer");
}

#[test]
fn leaving_says_goodbye_and_takes_what_is_under_way() {
    let mut story = Story::streaming();
    let media = story.media();
    story.input(Input::Leave);
    assert!(story.outputs.iter().any(|o| matches!(o, Output::Finish(socket) if *socket == media)));
    story.frame(media, &audio(1));
    story.input(Input::Closed(media, CloseCause::ClosedByPeer(None)));
    assert_eq!((story.media_frames(), story.outcome()), (1, Some(Outcome::Left)));
    assert!(
        !story.outputs.iter().any(|o| matches!(o, Output::Send(_, text) if text.contains("\"msg_type\":21")))
    );
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

fn choose(story: &mut Story, user: &str, subscribe: bool) {
    story.input(Input::ChooseVideo { user_id: user.into(), subscribe, timestamp: UnixMillis(1) });
}

/// Zoom answers a choice; what the session told of it.
fn answer_choice(story: &mut Story, status: i64) -> Option<(String, bool, StatusCode)> {
    let signaling = story.signaling();
    story.outputs.clear();
    story.frame(signaling, &json!({"msg_type": 29, "status_code": status, "reason": "r"}));
    story.notices().into_iter().find_map(|notice| match notice {
        Notice::VideoChoice { user_id, subscribe, status, .. } => {
            Some((user_id.clone(), *subscribe, *status))
        }
        _ => None,
    })
}

/// The media socket is lost and comes back: for whom is asked then?
fn asked_after_reconnecting(story: &mut Story) -> Vec<String> {
    story.outputs.clear();
    let (signaling, media) = (story.signaling(), story.media());
    story.input(Input::Closed(media, lost()));
    story.wait(500);
    story.join_media();
    let asked = story.sent(signaling).into_iter().filter(|message| message["msg_type"] == 28);
    asked.map(|message| message["user_id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_chosen_video_is_chosen_again_after_a_reconnection_whether_answered_or_not() {
    let mut story = Story::streaming();
    choose(&mut story, "16", true);
    assert_eq!(asked_after_reconnecting(&mut story), ["16"]);
    assert_eq!(
        answer_choice(&mut story, 44),
        Some(("16".into(), true, StatusCode::DuplicateVideoSubscription))
    );
    assert_eq!(answer_choice(&mut story, 0), None, "nothing was asked");
    assert_eq!(asked_after_reconnecting(&mut story), ["16"]);
    assert_eq!(answer_choice(&mut story, 0), Some(("16".into(), true, StatusCode::Ok)));
}

#[test]
fn what_zoom_refuses_leaves_the_choice_before_it_in_force() {
    let mut story = Story::streaming();
    choose(&mut story, "16", true);
    choose(&mut story, "17", true);
    assert_eq!(answer_choice(&mut story, 0).map(|told| told.0), Some("16".into()));
    assert_eq!(answer_choice(&mut story, 4), Some(("17".into(), true, StatusCode::InvalidPayload)));
    assert_eq!(asked_after_reconnecting(&mut story), ["16"]);
    assert_eq!(answer_choice(&mut story, 4).map(|told| told.0), Some("16".into()), "gone meanwhile");
    assert_eq!(asked_after_reconnecting(&mut story), [""; 0]);
}

#[test]
fn a_choice_can_be_made_before_media_flows_and_ended() {
    let mut story = Story::begin(config());
    choose(&mut story, "16", true);
    choose(&mut story, "17", true);
    story.join();
    let signaling = story.signaling();
    assert_eq!(story.sent_types(signaling).into_iter().filter(|kind| *kind == 28).count(), 1);
    answer_choice(&mut story, 0);
    choose(&mut story, "17", false);
    assert_eq!(answer_choice(&mut story, 0), Some(("17".into(), false, StatusCode::Ok)));
    assert_eq!(asked_after_reconnecting(&mut story), [""; 0]);
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
