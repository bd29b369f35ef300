//! What is lost and rejoined, and for how long it is tried.

use super::*;

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
