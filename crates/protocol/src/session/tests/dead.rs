//! Sockets that are dead without saying so, servers that are gone for good: what is told, since when, and for how long.

use super::*;

impl Story {
    /// Since how many ms media had stopped, by each interruption that was told, from now.
    fn stopped_for(&self) -> Vec<u128> {
        let ago =
            |n: &Notice| if let Notice::Interrupted { ago, .. } = n { Some(ago.as_millis()) } else { None };
        self.notices().into_iter().filter_map(ago).collect()
    }

    /// The beginnings (with their seconds) and ends (named or not) of waits for another server, in order.
    fn waits(&self) -> Vec<Result<u64, bool>> {
        let wait = |notice: &Notice| match notice {
            Notice::AwaitingServer { within } => Some(Ok(within.as_secs())),
            Notice::WaitOver { named } => Some(Err(*named)),
            _ => None,
        };
        self.notices().into_iter().filter_map(wait).collect()
    }

    /// Media flowed, everything went, and on the way back Zoom knows the stream no more.
    fn forgotten() -> Self {
        let mut story = Self::streaming();
        for socket in [story.signaling(), story.media()] {
            story.input(Input::Closed(socket, lost()));
        }
        story.wait(500);
        let signaling = story.signaling();
        story.input(Input::Opened(signaling));
        story.frame(signaling, &signaling_answer(2));
        story
    }

    fn ends(&self, socket: SocketId) -> (bool, bool) {
        let told =
            |wanted: fn(&Output) -> Option<SocketId>| self.outputs.iter().any(|o| wanted(o) == Some(socket));
        (
            told(|o| if let Output::Close(socket) = o { Some(*socket) } else { None }),
            told(|o| if let Output::Abandon(socket) = o { Some(*socket) } else { None }),
        )
    }
}

const GOODBYE: (bool, bool) = (true, false);
const ABANDONED: (bool, bool) = (false, true);

#[test]
fn a_wait_for_another_server_is_told_with_its_length_and_its_end() {
    let mut named = Story::forgotten();
    assert_eq!(named.waits(), [Ok(119)], "120 s from the loss, half a second ago");
    named.wait(30_000);
    named.input(Input::Restarted(vec!["wss://other".into()]));
    assert_eq!(named.waits(), [Ok(119), Err(true)]);
    named.join();
    named.wait(10_000);
    assert_eq!(named.waits().len(), 2, "told once");

    let mut in_vain = Story::forgotten();
    in_vain.wait(118_000);
    assert_eq!((in_vain.waits().len(), in_vain.outcome()), (1, None), "as long as it said");
    in_vain.wait(2_000);
    assert_eq!(in_vain.waits(), [Ok(119), Err(false)]);
    assert!(matches!(in_vain.outcome(), Some(Outcome::Refused(_))), "{:?}", in_vain.outcome());

    let mut stopped = Story::forgotten();
    stopped.input(Input::Stopped(Some(StopReason::MeetingEnded)));
    assert_eq!(stopped.waits(), [Ok(119), Err(false)]);
}

#[test]
fn who_was_never_let_in_waits_for_nobody() {
    let mut story = Story::begin(config());
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(2));
    assert!(story.outcome().is_some() && story.waits().is_empty());
}

#[test]
fn a_second_refusal_does_not_begin_a_second_wait() {
    let mut story = Story::begin(SessionConfig { sockets: MediaSockets::PerKind, ..config() });
    story.join();
    story.outputs.clear();
    let signaling = story.signaling();
    story.input(Input::Closed(signaling, lost()));
    let media: Vec<_> = story.open.iter().map(|(socket, ..)| *socket).collect();
    media.into_iter().for_each(|socket| story.input(Input::Closed(socket, lost())));
    story.wait(500);
    let signaling = story.signaling();
    story.input(Input::Opened(signaling));
    story.frame(signaling, &signaling_answer(0));
    story.wait(3_000);
    let media: Vec<_> =
        story.open.iter().filter(|(_, kind, _)| *kind != SocketKind::Signaling).map(|(s, ..)| *s).collect();
    assert!(media.len() > 1, "{:?}", story.open);
    for socket in media {
        story.input(Input::Opened(socket));
        story.frame(socket, &json!({"msg_type": 4, "status_code": 3}));
    }
    assert_eq!(story.waits().len(), 1, "{:?}", story.waits());
}

#[test]
fn a_change_of_server_counts_from_when_media_was_last_heard() {
    let mut story = Story::streaming();
    story.wait(5_000);
    let media = story.media();
    story.frame(media, &audio(1));
    // Half open from here on; signaling goes on talking.
    for _ in 0..2 {
        story.wait(10_000);
        story.frame(story.signaling(), &json!({"msg_type": 12}));
    }
    story.input(Input::Restarted(vec!["wss://new".into()]));
    story.wait(300);
    story.join();
    assert_eq!(story.interruptions(), [Interruption::ServerChanged]);
    assert_eq!(story.stopped_for(), [20_300], "not from the webhook, 300 ms ago");
}

#[test]
fn a_change_of_server_opens_a_whole_window_however_long_it_was_silent() {
    let mut story = Story::streaming();
    story.wait(60_000);
    story.input(Input::Restarted(vec!["wss://new".into()]));
    story.wait(119_000);
    assert_eq!(story.outcome(), None);
    story.wait(2_000);
    assert_eq!(story.outcome(), Some(Outcome::GaveUp(Interruption::ServerChanged)));
}

#[test]
fn silence_counts_from_when_media_was_last_heard() {
    let mut story = Story::streaming();
    for _ in 0..12 {
        story.wait(5_000);
        story.frame(story.signaling(), &json!({"msg_type": 12}));
    }
    story.wait(5_500);
    assert_eq!(story.interruptions(), [Interruption::Silence]);
    let [ago] = story.stopped_for()[..] else { panic!("{:?}", story.stopped_for()) };
    assert!((65_000..65_500).contains(&ago), "{ago}");
}

#[test]
fn a_socket_that_broke_stopped_when_it_broke() {
    let mut story = Story::streaming();
    story.wait(9_000);
    let media = story.media();
    story.input(Input::Closed(media, lost()));
    story.wait(450);
    let [ago] = story.stopped_for()[..] else { panic!("{:?}", story.stopped_for()) };
    assert!(ago <= 400, "nobody spoke for 9 s, and the socket was well: {ago}");
}

#[test]
fn the_dead_get_no_goodbye() {
    let mut silent = Story::streaming();
    let (signaling, media) = (silent.signaling(), silent.media());
    silent.wait(64_900);
    assert_eq!((silent.ends(signaling), silent.ends(media)), ((false, false), (false, false)));
    silent.wait(200);
    assert_eq!((silent.ends(signaling), silent.ends(media)), (ABANDONED, ABANDONED));

    let mut reported = Story::streaming();
    let (signaling, media) = (reported.signaling(), reported.media());
    reported.frame(signaling, &json!({"msg_type": 6, "event": {"event_type": 7, "timestamp": 1}}));
    reported.wait(2_100);
    assert_eq!((reported.ends(signaling), reported.ends(media)), ((false, false), ABANDONED));

    let mut interrupted = Story::streaming();
    let signaling = interrupted.signaling();
    interrupted.input(Input::Interrupted);
    interrupted.wait(2_100);
    assert_eq!(interrupted.ends(signaling), ABANDONED);
}

#[test]
fn the_living_get_one() {
    let mut moved = Story::streaming();
    let sockets = [moved.signaling(), moved.media()];
    moved.input(Input::Restarted(vec!["wss://new".into()]));
    assert_eq!(sockets.map(|socket| moved.ends(socket)), [GOODBYE; 2]);

    let mut stopped = Story::streaming();
    let sockets = [stopped.signaling(), stopped.media()];
    stopped.input(Input::Stopped(None));
    stopped.wait(5_000);
    assert_eq!(sockets.map(|socket| stopped.ends(socket)), [GOODBYE; 2]);

    // Its handshake may have been taken, although no answer came: Zoom is told.
    let mut mute = Story::begin(config());
    let signaling = mute.signaling();
    mute.input(Input::Opened(signaling));
    mute.wait(10_100);
    assert_eq!(mute.ends(signaling), GOODBYE);
}
