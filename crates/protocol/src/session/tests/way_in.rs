//! The way in: handshakes, what is offered and refused, servers that never answer.

use super::*;

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
fn a_stream_of_an_earlier_session_is_asked_for_with_what_is_buffered_and_a_final_refusal_is_waited_out() {
    let refuse = || {
        let mut story = Story::begin(SessionConfig { rejoins: true, buffer_data: false, ..config() });
        let signaling = story.signaling();
        story.input(Input::Opened(signaling));
        assert_eq!(story.sent(signaling)[0]["buffer_data"], json!(true));
        story.frame(signaling, &signaling_answer(2));
        story.wait(20_000);
        assert!(story.open.is_empty() && story.outcome().is_none(), "it waits, and nobody is asked");
        story
    };
    let mut stopped = refuse();
    stopped.input(Input::Stopped(Some(StopReason::MeetingEnded)));
    stopped.wait(5_000);
    assert_eq!(stopped.outcome(), Some(Outcome::Stopped(Some(StopReason::MeetingEnded))));

    let mut moved = refuse();
    let known = config().server_urls;
    assert!(!moved.session.is_current(&known), "the server that refused may be named again");
    moved.input(Input::Restarted(known.clone()));
    assert!(moved.session.is_current(&known));
    moved.join();
    assert_eq!(moved.session.phase(), Phase::Streaming);

    let mut forgotten = refuse();
    forgotten.wait(100_001);
    let Some(Outcome::Refused(refused)) = forgotten.outcome() else { panic!("{:?}", forgotten.outcome()) };
    assert_eq!((refused.status, refused.after_media), (Some(StatusCode::InvalidStreamId), true));
}

#[test]
fn media_refused_while_signaling_is_lost_comes_after_signaling() {
    let mut story = Story::begin(config());
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(0));
    let media = story.media();
    story.input(Input::Opened(media));
    story.input(Input::Closed(signaling, lost()));
    story.frame(media, &json!({"msg_type": 4, "status_code": 1, "reason": "no signaling"}));
    assert_ne!(story.session.phase(), Phase::Ended);
    story.wait(500);
    assert_ne!(story.signaling(), signaling);
    story.join();
    assert_eq!(story.session.phase(), Phase::Streaming);
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
