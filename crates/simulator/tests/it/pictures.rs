//! Cameras and screens: every codec, who is seen, and who was chosen.

use rtms_protocol::{MediaKind, Product};
use rtms_simulator::played::PlayedPicture;
use rtms_simulator::scenario::{Program, Scenario};
use rtms_simulator::{Simulator, content::Content, faults::Faults};
use serde_json::{Value, json};

use crate::client::{Client, Received, Stage, config, ready, received};
use crate::whole::{Whole, Wish, asked};

const JPG: i64 = 5;
const PNG: i64 = 6;
const H264: i64 = 7;

fn of_kind(whole: &Whole, kind: MediaKind) -> Vec<&Received> {
    whole.packets.iter().filter(|packet| packet.kind == kind).collect()
}

fn are_those_played(came: &[&Received], played: &[PlayedPicture]) {
    assert!(!came.is_empty());
    let came: Vec<_> = came.iter().map(|p| (p.timestamp, p.who.clone(), p.bytes.clone())).collect();
    let sent: Vec<_> = played.iter().map(|p| (p.at.0, p.user_id.to_string(), p.bytes.to_vec())).collect();
    assert!(came == sent, "{} came, {} were sent", came.len(), sent.len());
}

/// Codec, width and height as ffprobe sees them.
fn probed(picture: &[u8]) -> String {
    let said = asked("ffprobe", "-show_entries stream=codec_name,width,height -of csv=p=0 -", picture);
    String::from_utf8(said).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_cameras_and_screens() {
    for (codec, fps, camera, screen) in
        [(JPG, 5, "mjpeg,160,96", "mjpeg,320,180"), (PNG, 2, "png,160,96", "png,320,180")]
    {
        let params = json!({"video": {"codec": codec, "fps": fps, "resolution": 1}, "deskshare": {"codec": codec, "fps": 1}});
        let whole = Wish::usual(Product::Meeting, 10_000, 6, params).taken().await;
        let (video, share) = (of_kind(&whole, MediaKind::Video), of_kind(&whole, MediaKind::Share));
        are_those_played(&video, &whole.played.video);
        are_those_played(&share, &whole.played.share);
        assert_eq!(probed(&video[0].bytes), camera);
        assert_eq!(probed(&share[0].bytes), screen);
        let step = 1000 / fps;
        let within =
            |packets: &[&Received], step| packets.windows(2).all(|w| w[1].timestamp - w[0].timestamp == step);
        let (on, off): (Vec<&Received>, Vec<&Received>) =
            video.iter().partition(|p| p.timestamp - whole.played.time_zero.0 < 9_000);
        assert!(within(&on, step) && off.is_empty() && within(&share, 1_000));
        assert!(share.len() <= 3, "3 s at one a second");
        let codes: Vec<i64> = whole.events().into_iter().map(|(code, _)| code).collect();
        assert!(codes.contains(&5) && codes.contains(&6), "{codes:?}");
    }
}

/// Annex B that came, as ffmpeg decodes it: one line a picture, with its size.
fn decoded(pictures: &[&Received]) -> Vec<String> {
    let all: Vec<u8> = pictures.iter().flat_map(|p| p.bytes.iter().copied()).collect();
    let said = asked("ffprobe", "-f h264 -show_entries frame=width,height -of csv=p=0 -", &all);
    // A picture with side data is followed by an empty line.
    let lines = String::from_utf8(said).unwrap();
    lines.lines().map(|line| line.trim_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_changes_with_the_speaker_and_in_size() {
    let params = json!({"video": {}, "deskshare": {"codec": H264, "fps": 15}});
    let scenario = Scenario::busy(Product::Meeting, 24_000);
    let whole = Wish::of(scenario, 6, params).taken().await;
    let (video, share) = (of_kind(&whole, MediaKind::Video), of_kind(&whole, MediaKind::Share));
    are_those_played(&video, &whole.played.video);
    are_those_played(&share, &whole.played.share);
    let sizes = decoded(&video);
    assert_eq!(sizes.len(), video.len(), "every picture that came decodes");
    for size in ["320,180", "480,272"] {
        assert!(sizes.iter().any(|s| s == size), "{size}");
    }
    assert!(decoded(&share).iter().all(|size| size == "640,360"));
    let people: std::collections::BTreeSet<&str> = video.iter().map(|p| p.who.as_str()).collect();
    assert_eq!(people.len(), 3, "{people:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_rate_is_kept_to() {
    let params = json!({"video": {"fps": 10}});
    // Whoever joins late begins with a later key picture, and the clip's rate is not the same everywhere.
    let whole = Wish { speed: 2.0, ..Wish::usual(Product::VideoSdk, 9_000, 2, params) }.taken().await;
    let video = of_kind(&whole, MediaKind::Video);
    let pictures = i64::try_from(video.len()).unwrap();
    let shown_ms = video.last().unwrap().timestamp - video[0].timestamp;
    assert!((9_000..=10_500).contains(&(pictures * 1_000_000 / shown_ms)), "{pictures} in {shown_ms} ms");
    assert_eq!(decoded(&video).len(), video.len());
}

async fn choose(signaling: &mut Client, user_id: Value, subscribe: bool) -> Value {
    signaling
        .send(&json!({"msg_type": 28, "user_id": user_id, "subscribe": subscribe, "timestamp": 1}))
        .await;
    signaling.next_of(29).await["status_code"].clone()
}

async fn next_picture(media: &mut Client) -> Received {
    received(&media.next_of(15).await)
}

/// Whether decoding can begin with this picture: it has parameter sets.
fn is_key(picture: &Received) -> bool {
    picture.bytes.windows(4).any(|w| w[..3] == [0, 0, 1] && w[3] & 0x1f == 7)
}

/// The next picture of somebody else than `before`, which must come within a few.
async fn next_of_another(media: &mut Client, before: &str) -> Received {
    for _ in 0..200 {
        let picture = next_picture(media).await;
        if picture.who != before {
            return picture;
        }
    }
    panic!("still {before}'s pictures");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_choice_replaces_the_last_and_begins_with_a_key_picture() {
    let simulator = Simulator::start(config(1.0)).await.unwrap();
    let mut scenario = Scenario::busy(Product::Meeting, 600_000);
    for camera in &mut scenario.cameras {
        camera.on = vec![0..300_000, 300_000..600_000];
    }
    let [host, guest] = [0, 1].map(|party| scenario.parties[party].user_id.clone());
    let program = Program::new(scenario, Content::built_in());
    let stage = Stage::playing(simulator, program, Faults::default());
    let mut signaling = stage.signaling().await;
    let mut media = stage.media("media/video", 2, json!({"video": {"data_opt": 4}})).await;
    signaling.send(&ready()).await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), media.next()).await;
    assert!(early.is_err(), "nothing comes before a choice: {early:?}");

    assert_eq!(choose(&mut signaling, json!("nobody"), true).await, 4);
    assert_eq!(choose(&mut signaling, json!(host.to_string()), true).await, 0, "a number, as text");
    assert_eq!(choose(&mut signaling, json!(host), true).await, 44);
    let first = next_picture(&mut media).await;
    assert!(is_key(&first) && first.who == host.to_string());
    assert!(!is_key(&next_picture(&mut media).await));
    assert_eq!(choose(&mut signaling, json!(guest), true).await, 0);
    let first = next_of_another(&mut media, &host.to_string()).await;
    assert!(is_key(&first) && first.who == guest.to_string());
    assert_eq!(choose(&mut signaling, json!(host), false).await, 0, "it was not chosen any more");
    assert_eq!(next_picture(&mut media).await.who, guest.to_string());
    assert_eq!(choose(&mut signaling, json!(guest), false).await, 0);
    let quiet = async {
        while tokio::time::timeout(std::time::Duration::from_millis(500), media.next()).await.is_ok() {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), quiet).await.expect("nobody is chosen");
}
