//! Pauses and ends, told by whom and how.

use super::*;

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
