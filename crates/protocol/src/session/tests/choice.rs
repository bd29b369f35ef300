//! One participant's video, chosen, refused and chosen again.

use super::*;

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
