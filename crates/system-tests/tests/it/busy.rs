//! Streams in which about everything happens that can, from the simulator to the files.

use std::path::Path;

use rtms_protocol::Product;
use rtms_simulator::faults::{Faults, RtpFaults};
use rtms_simulator::pcm;
use rtms_simulator::scenario::Course;
use serde_json::Value;

use crate::files::{probe, samples};
use crate::media::{assert_same_sound, expected, party_sounds};
use crate::system::{Recorded, Setup};

fn audio(recorded: &Recorded) -> Vec<&Value> {
    recorded.manifest["tracks"].as_array().unwrap().iter().filter(|track| track["kind"] == "audio").collect()
}

/// The transcript as it stands in the end, and nothing of what came before.
fn assert_resolved(recorded: &Recorded) {
    let said = recorded.outcome.played.resolved_transcript();
    assert!(said.len() < recorded.outcome.played.transcript.len(), "words developed");
    let text = recorded.text(Path::new(recorded.any_track("transcript")["file"].as_str().unwrap()));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(lines.len(), said.len(), "{text}");
    for (line, said) in lines.iter().zip(said) {
        assert!(line.contains(&said.start.to_string()) && line.contains(&said.text), "{line}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_four_hands() {
    let system = Setup::default().start().await;
    let program = system.simulator.program(Product::ContactCenter, Course::Busy, 24_000);
    let recorded = system.record_with(Product::ContactCenter, program, Faults::default()).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    let tracks = audio(&recorded);
    let played = &recorded.outcome.played;
    for track in &played.tracks {
        let channel = track.party.as_ref().unwrap().channel_id.clone().unwrap();
        let own = tracks.iter().find(|entry| entry["channel_id"] == channel.as_str());
        let own = own.unwrap_or_else(|| panic!("nobody on channel {channel}: {tracks:#?}"));
        assert_same_sound(&samples(&recorded.file(own)), &expected(played, track), &channel);
    }
    let all = tracks.iter().find(|entry| entry["channel_id"].is_null()).unwrap();
    let parties = party_sounds(played);
    let sum = pcm::mix(&parties.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_same_sound(&samples(&recorded.file(all)), &sum, "the sum");
    let names: Vec<_> = tracks.iter().filter_map(|entry| entry["display_name"].as_str()).collect();
    for name in ["Ines Calloway", "Zoë Hartmann", "Priya Raman", "Tomás Ibarra"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert_resolved(&recorded);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_with_everything() {
    let setup = Setup::default()
        .worker("RTMS_MEDIA", "audio,video,share,transcript,chat")
        .worker("RTMS_AUDIO_STREAMS", "separate")
        .worker("RTMS_AUDIO_CODEC", "opus")
        .worker("RTMS_AUDIO_CONTENT", "rtp")
        .worker("RTMS_AUDIO_SAMPLE_RATE", "48000");
    let system = setup.speed(2.0).start().await;
    let program = system.simulator.program(Product::Meeting, Course::Busy, 24_000);
    let rtp = RtpFaults { lose_every: 50, delay_every: 7, double_every: 9 };
    let recorded = system.record_with(Product::Meeting, program, Faults { rtp, ..Faults::default() }).await;
    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    let played = &recorded.outcome.played;
    let tracks = audio(&recorded);
    for track in &played.tracks {
        let id = track.party.as_ref().unwrap().user_id.to_string();
        let own = tracks.iter().find(|entry| entry["user_id"] == id.as_str());
        let own = own.unwrap_or_else(|| panic!("no sound of {id}: {tracks:#?}"));
        let seconds = own["duration_ms"].as_i64().unwrap();
        assert!((23_000..=24_100).contains(&seconds) || id == "16781312", "{id}: {seconds} ms");
    }
    assert_eq!(probe(&recorded.file(recorded.any_track("video")))["codec_name"], "h264");
    let share = recorded.any_track("share");
    assert_eq!(probe(&recorded.file(share))["codec_name"], "mjpeg");
    assert_resolved(&recorded);
    let chat = recorded.any_track("chat");
    let also = chat["also"].as_array().unwrap();
    let files = also.iter().chain([chat]).filter_map(|entry| entry["file"].as_str());
    let resolved = files.filter(|file| file.ends_with(".txt")).map(|file| recorded.text(Path::new(file)));
    for text in resolved {
        assert!(text.contains("Thanks, got it") && !text.contains("Thakns"), "{text}");
        assert!(!text.contains("4111"), "what was deleted is gone: {text}");
    }
    system.stop().await;
}
