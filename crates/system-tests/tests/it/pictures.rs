//! Cameras and screens in every codec, as Zoom may send them, held against what was played to the byte.

use std::path::Path;

use rtms_protocol::Product;
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::played::PlayedPicture;
use rtms_simulator::scenario::{Course, Program, Scenario};
use serde_json::Value;

use crate::files::{image_bytes, packet_times, picture_digests, picture_sizes};
use crate::system::{Recorded, Setup, System};

/// A meeting with two cameras and a shared screen, recorded.
async fn busy_meeting(setup: Setup) -> (System, Recorded) {
    let system = setup.worker("RTMS_MEDIA", "audio,video,share").start().await;
    let program = system.simulator.program(Product::Meeting, Course::Busy, 24_000);
    let recorded = system.record_with(Product::Meeting, program, Faults::default()).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    assert_eq!(recorded.manifest.get("dropped"), None, "nothing is lost");
    (system, recorded)
}

/// When each picture was played, after the first one.
fn times(played: &[PlayedPicture]) -> Vec<i64> {
    played.iter().map(|picture| picture.at.since(played[0].at)).collect()
}

fn bytes(played: &[PlayedPicture]) -> Vec<u8> {
    played.iter().flat_map(|picture| picture.bytes.iter().copied()).collect()
}

/// Who was to be seen, each as often as they came.
fn seen(played: &[PlayedPicture]) -> Vec<String> {
    let mut seen: Vec<_> = played.iter().map(|picture| picture.user_id.to_string()).collect();
    seen.dedup();
    seen
}

fn shown(track: &Value) -> Vec<String> {
    let entries = track["shown"].as_array().unwrap();
    entries.iter().map(|entry| entry["user_id"].as_str().unwrap().to_owned()).collect()
}

/// Of a video with sound, which begins at time zero: so the first picture comes that much later.
pub(crate) fn assert_same_times(file: &Path, track: &Value, played: &[PlayedPicture]) {
    let offset = track["offset_ms"].as_i64().unwrap().max(0);
    let expected: Vec<_> = times(played).into_iter().map(|ms| offset + ms).collect();
    assert_eq!(packet_times(file), expected, "{}", file.display());
}

fn assert_same_images(file: &Path, track: &Value, played: &[PlayedPicture]) {
    assert!(played.len() > 2, "the test plays pictures");
    assert_same_times(file, track, played);
    assert!(image_bytes(file) == bytes(played), "{}: other bytes than were played", file.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_speaker_changes_and_the_screen_comes_as_jpg_by_default() {
    let (system, recorded) = busy_meeting(Setup::default()).await;
    let played = &recorded.outcome.played;
    assert!(seen(&played.video).len() > 1, "the active speaker changes");
    let video = recorded.any_track("video");
    assert_eq!(shown(video), seen(&played.video));
    let file = recorded.file(video);
    assert_same_times(&file, video, &played.video);
    let source = system.data().join("source.h264");
    std::fs::write(&source, bytes(&played.video)).unwrap();
    assert_eq!(picture_digests(&file, None), picture_digests(&source, Some("h264")));
    let share = recorded.any_track("share");
    assert_eq!((&share["codec"], share["file"].as_str().unwrap().ends_with(".mkv")), (&"JPG".into(), true));
    assert_same_images(&recorded.file(share), share, &played.share);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_changes_its_size_in_mid_stream() {
    let system = Setup::default().start().await;
    let mut scenario = Scenario::of(Product::Meeting, 24_000);
    // The one of the built-in cameras whose size changes, each time with a key picture and other parameter sets.
    scenario.cameras[0].camera = 2;
    let program = Program::new(scenario, Content::built_in());
    let recorded = system.record_with(Product::Meeting, program, Faults::default()).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    let (played, video) = (&recorded.outcome.played.video, recorded.any_track("video"));
    let file = recorded.file(video);
    assert_same_times(&file, video, played);
    let source = system.data().join("source.h264");
    std::fs::write(&source, bytes(played)).unwrap();
    let digests = picture_digests(&file, None);
    assert_eq!(digests.len(), played.len(), "every picture decodes");
    assert_eq!(digests, picture_digests(&source, Some("h264")), "to what was sent, each in its own size");
    let mut sizes = picture_sizes(&file);
    sizes.dedup();
    assert!(sizes.len() > 3, "the size changes there and back: {sizes:?}");
    assert!(sizes.iter().all(|size| [(320, 180), (480, 272)].contains(size)), "{sizes:?}");
    assert_eq!((video["width"].as_u64(), video["height"].as_u64()), (Some(320), Some(180)), "the first size");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_and_screens_in_the_other_codecs() {
    for (video, share) in [("png", "png"), ("jpg", "h264")] {
        let setup = Setup::default()
            .worker("RTMS_VIDEO_CODEC", video)
            .worker("RTMS_VIDEO_FPS", "5")
            .worker("RTMS_SHARE_CODEC", share)
            .worker("RTMS_SHARE_FPS", if share == "h264" { "15" } else { "1" });
        let (system, recorded) = busy_meeting(setup).await;
        let played = &recorded.outcome.played;
        let (camera, screen) = (recorded.any_track("video"), recorded.any_track("share"));
        assert_same_images(&recorded.file(camera), camera, &played.video);
        let file = recorded.file(screen);
        if share == "h264" {
            assert_same_times(&file, screen, &played.share);
        } else {
            assert_same_images(&file, screen, &played.share);
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_as_image_files_where_they_are_wanted() {
    let (system, recorded) = busy_meeting(Setup::default().worker("RTMS_SHARE_IMAGES", "true")).await;
    let played = &recorded.outcome.played.share;
    let share = recorded.any_track("share");
    assert_eq!(share["images"], played.len());
    let list = recorded.file(share);
    let lines = std::fs::read_to_string(&list).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["ms"].as_i64().unwrap()).collect::<Vec<_>>(), times(played));
    for (line, picture) in lines.iter().zip(played) {
        let image = list.with_extension("").join(line["file"].as_str().unwrap());
        assert!(std::fs::read(image).unwrap() == picture.bytes, "{line}");
    }
    system.stop().await;
}
