//! Sound to the sample and pictures to the millisecond, for every product.

use std::path::{Path, PathBuf};

use rtms_protocol::{Product, UnixMillis};
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::played::{Played, PlayedTrack};
use rtms_simulator::scenario::{Program, Scenario};

use crate::files::{packet_times, picture_digests, probe, samples};
use crate::system::{Recorded, Setup, manifests};

/// The first audio timestamp of a stream, where every file begins.
pub(crate) fn zero(played: &Played) -> UnixMillis {
    played.tracks.iter().map(|track| track.packets[0].timestamp).min().unwrap()
}

/// A track as a file must hold it: from time zero on, silence where nothing was sent.
pub(crate) fn expected(played: &Played, track: &PlayedTrack) -> Vec<i16> {
    let lead_ms = zero(played).since(played.time_zero);
    let lead = usize::try_from(lead_ms * i64::from(track.sample_rate) / 1000).unwrap();
    track.pcm().split_off(lead * usize::from(track.channels))
}

/// Compares without printing half a million samples.
pub(crate) fn assert_same_sound(actual: &[i16], expected: &[i16], what: &str) {
    if let Some(at) = actual.iter().zip(expected).position(|(a, e)| a != e) {
        panic!("{what}: sample {at} is {}, not {} (of {})", actual[at], expected[at], expected.len());
    }
    assert_eq!(actual.len(), expected.len(), "{what}: number of samples");
    assert!(
        expected.iter().any(|&sample| sample.unsigned_abs() > 1_000),
        "{what}: the test plays sound, not silence"
    );
}

pub(crate) fn assert_mixed(recorded: &Recorded) {
    let played = &recorded.outcome.played;
    let [track] = played.tracks.as_slice() else { panic!("{} tracks", played.tracks.len()) };
    let file = recorded.file(recorded.any_track("audio"));
    assert_same_sound(&samples(&file), &expected(played, track), "mixed");
}

/// What each party's file must hold, in the order of the parties.
pub(crate) fn party_sounds(played: &Played) -> Vec<Vec<i16>> {
    played.tracks.iter().map(|track| expected(played, track)).collect()
}

/// Every party's file and the stereo file, the customer left.
pub(crate) fn assert_two_parties(recorded: &Recorded) {
    let played = &recorded.outcome.played;
    let parties = party_sounds(played);
    for (role, sound) in ["consumer", "agent"].iter().zip(&parties) {
        let track =
            recorded.manifest["tracks"].as_array().unwrap().iter().find(|track| track["role"] == *role);
        let track =
            track.unwrap_or_else(|| panic!("no track of the {role}: {:#}", recorded.manifest["tracks"]));
        let file = recorded.file(track);
        assert!(file.to_str().unwrap().ends_with(&format!("_{role}.wav")), "{}", file.display());
        assert_same_sound(&samples(&file), sound, role);
    }
    let tracks = recorded.manifest["tracks"].as_array().unwrap();
    let stereo = tracks.iter().find(|track| track["kind"] == "audio" && track["channels"] == 2).unwrap();
    let length = parties.iter().map(Vec::len).max().unwrap();
    let at = |side: &Vec<i16>, n: usize| side.get(n).copied().unwrap_or(0);
    let interleaved: Vec<i16> = (0..length).flat_map(|n| [at(&parties[0], n), at(&parties[1], n)]).collect();
    assert_same_sound(&samples(&recorded.file(stereo)), &interleaved, "stereo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_center_engagement_on_two_channels() {
    let system = Setup::default().start().await;
    let recorded = system.record(Product::ContactCenter, 24_000).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    assert_eq!(recorded.manifest["state"], "complete");
    assert_eq!(recorded.manifest["stop_reason"]["name"], "CUSTOMER_DISCONNECTED");
    assert_two_parties(&recorded);
    let names: Vec<_> = recorded.manifest["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    for name in ["CONSUMER_ANSWERED", "USER_ANSWERED", "USER_HOLD", "USER_UNHOLD", "CONSUMER_END", "USER_END"]
    {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_channel_alone_becomes_mono() {
    let system = Setup::default().start().await;
    let mut scenario = Scenario::of(Product::ContactCenter, 8_000);
    scenario.parties.truncate(1);
    let program = Program::new(scenario, Content::built_in());
    let recorded = system.record_with(Product::ContactCenter, program, Faults::default()).await;
    let played = &recorded.outcome.played;
    let sound = expected(played, &played.tracks[0]);
    let tracks = recorded.manifest["tracks"].as_array().unwrap();
    let audio: Vec<_> = tracks.iter().filter(|track| track["kind"] == "audio").collect();
    assert_eq!(audio.len(), 2, "the party's file and the combined one");
    for track in audio {
        assert_eq!(track["channels"], 1);
        assert_same_sound(&samples(&recorded.file(track)), &sound, track["name"].as_str().unwrap());
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_with_mixed_sound_and_video() {
    let system = Setup::default().start().await;
    let recorded = system.record(Product::Meeting, 20_000).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    assert_mixed(&recorded);
    let played = &recorded.outcome.played;
    let video = recorded.any_track("video");
    let file = recorded.file(video);
    assert_eq!(probe(&file)["codec_name"], "h264");
    let first = played.video[0].at;
    let begin = first.min(zero(played));
    let times: Vec<_> = played.video.iter().map(|picture| picture.at.since(begin)).collect();
    assert_eq!(packet_times(&file), times, "pictures have the times that Zoom gave, in time with the sound");
    assert_eq!(video["offset_ms"], first.since(zero(played)));
    let source = system.data().join("source.h264");
    let bytes: Vec<u8> = played.video.iter().flat_map(|picture| picture.bytes.iter().copied()).collect();
    std::fs::write(&source, bytes).unwrap();
    assert_eq!(
        picture_digests(&file, None),
        picture_digests(&source, Some("h264")),
        "pictures are unchanged"
    );
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_with_separate_sound_and_a_socket_for_each_kind() {
    let setup =
        Setup::default().worker("RTMS_AUDIO_STREAMS", "separate").worker("RTMS_MEDIA_SOCKETS", "per_kind");
    let system = setup.start().await;
    let recorded = system.record(Product::Meeting, 12_000).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    let played = &recorded.outcome.played;
    for track in &played.tracks {
        let user_id = track.party.as_ref().unwrap().user_id.to_string();
        let tracks = recorded.manifest["tracks"].as_array().unwrap();
        let entry = tracks.iter().find(|entry| entry["user_id"] == user_id.as_str());
        let entry = entry.unwrap_or_else(|| panic!("no track of {user_id}"));
        assert_same_sound(&samples(&recorded.file(entry)), &expected(played, track), &user_id);
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webinar_a_video_sdk_session_and_a_phone_call() {
    let setup = Setup::default()
        .video_sdk("sdk-key", "sdk-secret")
        .worker("ZOOM_VIDEO_SDK_KEY", "sdk-key")
        .worker("ZOOM_VIDEO_SDK_SECRET", "sdk-secret");
    let system = setup.start().await;
    for (product, kind) in
        [(Product::Webinar, "meeting"), (Product::VideoSdk, "session"), (Product::Phone, "call")]
    {
        let stream_id = format!("stream-{}", product.word());
        let program = system.simulator.usual_program(product, 6_000);
        let outcome = system.play(system.plan(product, "id", &stream_id, program, Faults::default())).await;
        assert!(outcome.is_complete(), "{:#}", outcome.summary());
        let manifest = system.finished(&stream_id).await;
        assert_eq!((&manifest["state"], &manifest["product"]), (&"complete".into(), &product.word().into()));
        let audio =
            manifest["tracks"].as_array().unwrap().iter().find(|track| track["kind"] == "audio").unwrap();
        let file = audio["file"].as_str().unwrap();
        assert!(file.starts_with(&format!("audio/audio_{kind}_id_")), "{file}");
        let [track] = outcome.played.tracks.as_slice() else { panic!() };
        assert_same_sound(
            &samples(&system.data().join(file)),
            &expected(&outcome.played, track),
            product.word(),
        );
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rates_and_packets() {
    for (rate, channels, send_rate) in [("8000", "1", "100"), ("48000", "2", "20"), ("32000", "1", "1000")] {
        let setup = Setup::default()
            .worker("RTMS_AUDIO_SAMPLE_RATE", rate)
            .worker("RTMS_AUDIO_CHANNELS", channels)
            .worker("RTMS_AUDIO_SEND_RATE_MS", send_rate);
        let system = setup.start().await;
        let recorded = system.record(Product::Phone, 6_000).await;
        assert_mixed(&recorded);
        let stream = probe(&recorded.file(recorded.any_track("audio")));
        assert_eq!(
            (&stream["sample_rate"], stream["channels"].to_string().as_str()),
            (&rate.into(), channels)
        );
        system.stop().await;
    }
}

/// The first file in a folder, once it is more than a name.
fn begun(folder: &Path) -> Option<PathBuf> {
    let file = std::fs::read_dir(folder).ok()?.flatten().next()?;
    (file.metadata().ok()?.len() > 0).then(|| file.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_can_be_read_while_they_grow() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::Meeting, 40_000);
    let plan = system.plan(Product::Meeting, "m", "growing", program, Faults::default());
    let look = async {
        system.until_packets("growing", 1).await;
        let mut seen = 0;
        system
            .until("three seconds are in the file", || {
                let file = begun(&system.data().join("audio"))?;
                let length = samples(&file).len();
                assert!(length >= seen, "a file only grows");
                seen = length;
                (length >= 48_000).then_some(())
            })
            .await;
        let video = system.data().join("video");
        system.until("a picture is in the file", || packet_times(&begun(&video)?).pop()).await;
        let manifest = manifests(&system.data()).pop().unwrap();
        assert_eq!(manifest["state"], "recording", "all that was seen while they grew");
    };
    let (outcome, ()) = tokio::join!(system.play(plan), look);
    assert!(outcome.is_complete());
    system.finished("growing").await;
    system.stop().await;
}
