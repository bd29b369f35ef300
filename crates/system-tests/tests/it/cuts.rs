//! Pictures and coded sound when something breaks in the middle: a socket, and the worker itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rtms_protocol::Product;
use rtms_simulator::faults::{Cut, Faults};
use rtms_simulator::played::{PlayedPacket, PlayedPicture};
use rtms_simulator::scenario::Course;
use serde_json::Value;

use crate::crash::{Killed, Place, Worker};
use crate::failover::{REPEATED, at};
use crate::figures::json_lines;
use crate::files::{packets, picture_digests, samples, samples_as};
use crate::media::expected;
use crate::pictures::assert_same_times;
use crate::system::{Recorded, Setup};

/// Samples a ms of the sound that is compared.
const PER_MS: usize = 16;
/// How far sound and pictures may lie apart before anybody sees it.
const LIP_SYNC_MS: i64 = 40;
/// What a kill may cost: a file is at most so far behind.
const MOST_BEHIND: Duration = Duration::from_secs(1);
/// Between two pictures of the camera whose pictures the worker that is killed records, ms.
const PICTURE_MS: u128 = 200;

/// Each picture of a file with its ms.
fn pictures(file: &Path) -> Vec<(i64, Vec<u8>)> {
    packets(file, "v:0")
}

/// Each picture that was played, with its ms in the file of this track, which has sound from its beginning.
fn played(track: &Value, pictures: &[PlayedPicture]) -> Vec<(i64, Vec<u8>)> {
    assert!(pictures.len() > 2, "the test plays pictures");
    let from = track["offset_ms"].as_i64().unwrap().max(0);
    let ms = |picture: &PlayedPicture| from + picture.at.since(pictures[0].at);
    pictures.iter().map(|picture| (ms(picture), picture.bytes.to_vec())).collect()
}

/// An MP4 shows what was played, decoded.
fn assert_same_film(recorded: &Recorded, kind: &str, pictures: &[PlayedPicture]) {
    let file = recorded.file(recorded.any_track(kind));
    let source = file.with_extension("source");
    std::fs::write(&source, pictures.iter().flat_map(|p| p.bytes.iter().copied()).collect::<Vec<u8>>())
        .unwrap();
    assert_eq!(picture_digests(&file, None), picture_digests(&source, Some("h264")), "{kind}");
}

/// By how many ms the sound in a video comes later than it was played; both of 16 kHz.
fn late_ms(heard: &[i16], played: &[i16]) -> i64 {
    let value = |sound: &[i16], at: i64| {
        usize::try_from(at).ok().and_then(|at| sound.get(at)).map_or(0.0, |sample| f64::from(*sample))
    };
    let per_ms = PER_MS as i64;
    let alike = |late: i64| -> f64 {
        let every = (0..played.len() as i64).step_by(7);
        every.map(|at| value(played, at) * value(heard, at + late * per_ms)).sum()
    };
    (-200..=200).max_by(|a, b| alike(*a).total_cmp(&alike(*b))).unwrap()
}

/// Records a meeting whose pictures all come in this codec, so many a second, and whose media socket is cut.
async fn record_cut(codec: &str, video_fps: &str, share_fps: &str) {
    let setup = Setup::default()
        .worker("RTMS_MEDIA", "audio,video,share")
        .worker("RTMS_VIDEO_CODEC", codec)
        .worker("RTMS_VIDEO_FPS", video_fps)
        .worker("RTMS_SHARE_CODEC", codec)
        .worker("RTMS_SHARE_FPS", share_fps);
    let system = setup.start().await;
    let program = system.simulator.program(Product::Meeting, Course::Busy, 24_000);
    let cut = Faults { cut_media: vec![at(11_000, Cut::End)], repeat_packets: REPEATED, ..Faults::default() };
    let recorded = system.record_with(Product::Meeting, program, cut).await;
    let told = recorded.manifest["interruptions"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["lost_ms"]), (1, &0.into()), "{codec}: {told:#?}");
    let outcome = &recorded.outcome.played;
    let sound = expected(outcome, &outcome.tracks[0]);
    for (kind, shown) in [("video", &outcome.video), ("share", &outcome.share)] {
        let track = recorded.any_track(kind);
        let file = recorded.file(track);
        if codec == "h264" {
            assert_same_film(&recorded, kind, shown);
            assert_same_times(&file, track, shown);
        } else {
            assert!(
                pictures(&file) == played(track, shown),
                "{codec} {kind}: other pictures than were played"
            );
        }
        let heard = samples_as(&file, &["-ac", "1", "-ar", "16000"]);
        let late = late_ms(&heard, &sound);
        assert!(late.abs() <= LIP_SYNC_MS, "{codec} {kind}: the sound is {late} ms late");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_go_on_behind_a_cut_socket_and_stay_with_the_sound() {
    tokio::join!(record_cut("h264", "25", "15"), record_cut("jpg", "5", "1"), record_cut("png", "5", "1"));
}

/// Packets of Opus, each at its sample: those that are not there are one stretch, of so many ms.
fn missing_ms(recorded: &Recorded) -> i64 {
    let file = recorded.file(recorded.any_track("audio"));
    let track = &recorded.outcome.played.tracks[0];
    let in_file: BTreeMap<i64, Vec<u8>> = packets(&file, "a:0").into_iter().collect();
    let first = i64::try_from(track.packets[0].position).unwrap();
    let begin = in_file.keys().next().unwrap();
    let is_there = |packet: &&PlayedPacket| {
        let at = i64::try_from(packet.position).unwrap() - first + begin;
        in_file.get(&at) == Some(&packet.payload)
    };
    let missing: Vec<_> = track.packets.iter().filter(|packet| !is_there(packet)).collect();
    let [one, .., other] = missing.as_slice() else { return 20 * missing.len() as i64 };
    assert_eq!(
        other.timestamp.since(one.timestamp),
        20 * (missing.len() as i64 - 1),
        "what is missing is one stretch"
    );
    assert_eq!(samples(&file).len(), expected(&recorded.outcome.played, track).len(), "and nothing moved");
    20 * missing.len() as i64
}

/// Every line that was said, once, in each form.
fn assert_words(recorded: &Recorded) {
    let track = recorded.any_track("transcript");
    let said = &recorded.outcome.played.transcript;
    let form = |extension: &str| {
        let also = track["also"].as_array().unwrap();
        also.iter()
            .map(|also| &also["file"])
            .find(|file| file.as_str().unwrap().ends_with(extension))
            .unwrap()
    };
    let lines = json_lines(recorded, form(".jsonl"));
    let texts: Vec<_> = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, said.iter().map(|line| line.text.as_str()).collect::<Vec<_>>());
    let srt = recorded.text(Path::new(form(".srt").as_str().unwrap()));
    let cues = srt.lines().filter(|line| line.contains(" --> ")).count();
    assert_eq!(cues, recorded.outcome.played.resolved_transcript().len(), "{srt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_is_taken_up_after_a_kill() {
    let settings = [
        ("RTMS_MEDIA", "audio,video,share,transcript,chat"),
        ("RTMS_AUDIO_CODEC", "opus"),
        ("RTMS_AUDIO_SAMPLE_RATE", "48000"),
        ("RTMS_VIDEO_CODEC", "png"),
        ("RTMS_VIDEO_FPS", "5"),
    ];
    let place = Place::own();
    let setup = Setup::default().speed(1.0).worker_elsewhere(&place.url());
    let system = Arc::new(setup.start().await);
    let worker = Worker::start_with(&system, place, "handover", &settings).await;
    let program = system.simulator.usual_program(Product::Meeting, 14_000);
    let plan = system.plan(Product::Meeting, "m", "killed", program, Faults::default());
    let playing = Arc::clone(&system);
    let call = tokio::spawn(async move { playing.play(plan).await });
    system.until_packets("killed", 150).await;
    // What was late at the beginning does not matter any more.
    system.simulator.lateness().take_recent_ms();
    system.until_packets("killed", 250).await;
    let Killed { place, may_lose } = worker.kill(&system, MOST_BEHIND).await;
    let worker = Worker::start_with(&system, place, "handover", &settings).await;
    let recorded = system.recorded("killed", call.await.unwrap()).await;

    assert_eq!(recorded.manifest["state"], "complete", "{}", worker.log(&system));
    let told = recorded.manifest["interruptions"].as_array().unwrap();
    let killed = told.iter().find(|told| told["cause"] == "process_killed").unwrap();
    let (missing, counted) = (missing_ms(&recorded), killed["lost_ms"].as_i64().unwrap());
    let most = i64::try_from(may_lose.as_millis()).unwrap();
    assert!(missing <= counted && counted <= most, "{missing} ms are missing, {counted} told, of {most}");
    let video = recorded.any_track("video");
    let (sent, kept) = (played(video, &recorded.outcome.played.video), pictures(&recorded.file(video)));
    assert!(kept.iter().all(|picture| sent.contains(picture)), "every picture is one that was played");
    let most = usize::try_from(may_lose.as_millis().div_ceil(PICTURE_MS)).unwrap() + 1;
    assert!(kept.len() + most >= sent.len(), "{} of {} pictures", kept.len(), sent.len());
    assert!(kept.last() == sent.last(), "the recording went on");
    assert_words(&recorded);
    let events = json_lines(&recorded, &recorded.manifest["timeline"]["file"]);
    assert_eq!(
        (&events[0]["event"], &events.last().unwrap()["event"]),
        (&"first_packet".into(), &"stopped".into())
    );
    drop(worker);
}
