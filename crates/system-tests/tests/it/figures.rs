//! What is told about a call: its events, who talked for how long, what is left of words and messages.

use std::path::Path;

use rtms_protocol::Product;
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::Course;
use serde_json::Value;

use crate::system::{Recorded, Setup};

pub(crate) fn json_lines(recorded: &Recorded, file: &Value) -> Vec<Value> {
    let text = recorded.text(Path::new(file.as_str().unwrap()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of a text form, without times.
fn said(text: &str) -> Vec<String> {
    text.lines().filter(|l| l.starts_with('[')).map(|l| l.split_once("] ").unwrap().1.to_owned()).collect()
}

fn near(got: &Value, expected: i64, within: i64) {
    let got = got.as_i64().unwrap();
    assert!((got - expected).abs() <= within, "{got} is not within {within} of {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_held_monitored_and_transferred() {
    let system = Setup::default().worker("RTMS_AUDIO_STREAMS", "separate").start().await;
    let program = system.simulator.program(Product::ContactCenter, Course::Busy, 24_000);
    let recorded = system.record_with(Product::ContactCenter, program, Faults::default()).await;

    let events = json_lines(&recorded, &recorded.manifest["timeline"]["file"]);
    let told = |line: &Value| {
        let offset = line["offset_ms"].as_i64().unwrap();
        (line["event"].as_str().unwrap().to_owned(), offset, line["channel_id"].as_str().map(str::to_owned))
    };
    let zooms: Vec<_> =
        events.iter().filter(|line| line["event_type"].as_i64() > Some(7)).map(told).collect();
    let expected = [
        ("answered", 0, "1"),
        ("answered", 600, "2"),
        ("monitor_started", 4_000, "3"),
        ("monitor_transitioned", 8_000, "3"),
        ("hold", 11_500, "2"),
        ("unhold", 15_500, "2"),
        ("monitor_ended", 15_500, "3"),
        ("takeover", 15_500, "3"),
        ("ended", 15_600, "2"),
        ("transfer_initiated", 18_000, "3"),
        ("transfer_accepted", 19_000, "4"),
        ("transfer_completed", 20_000, "4"),
        ("answered", 20_000, "4"),
        ("ended", 20_100, "3"),
        ("ended", 23_800, "1"),
        ("ended", 23_900, "4"),
    ];
    assert_eq!(zooms, expected.map(|(word, at, channel)| (word.to_owned(), at, Some(channel.to_owned()))));
    assert_eq!(events.last().unwrap()["event"], "stopped");

    let totals = &recorded.manifest["totals"];
    assert_eq!(totals["source"], "audio");
    assert_eq!((&totals["hold_count"], &totals["hold_ms"]), (&1.into(), &4_000.into()));
    near(&totals["duration_ms"], 24_000, 20);
    near(&totals["time_to_first_word_ms"], 900, 100);
    let party = |channel: &str| {
        let parties = totals["parties"].as_array().unwrap();
        parties.iter().find(|party| party["channel_id"] == channel).unwrap().clone()
    };
    near(&party("1")["talk_ms"], 7_294, 700);
    near(&party("2")["talk_ms"], 6_446, 700);
    near(&party("3")["talk_ms"], 3_463, 400);
    near(&party("4")["talk_ms"], 1_625, 300);
    near(&party("4")["first_word_ms"], 21_404, 100);
    assert_eq!((&party("2")["hold_count"], &party("1")["hold_count"]), (&1.into(), &0.into()));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_words_and_messages() {
    let system = Setup::default().worker("RTMS_MEDIA", "audio,transcript,chat").start().await;
    let program = system.simulator.program(Product::Meeting, Course::Busy, 24_000);
    let recorded = system.record_with(Product::Meeting, program, Faults::default()).await;

    let played = &recorded.outcome.played;
    let track = recorded.any_track("transcript");
    let mut expected: Vec<_> =
        played.resolved_transcript().iter().map(|line| format!("{}: {}", line.name, line.text)).collect();
    expected.sort();
    let mut shown = said(&recorded.text(Path::new(track["file"].as_str().unwrap())));
    shown.sort();
    assert_eq!(shown, expected);
    assert_eq!(json_lines(&recorded, &track["also"][0]["file"]).len(), played.transcript.len());

    let chat = recorded.any_track("chat");
    let actions: Vec<_> = json_lines(&recorded, &chat["file"])
        .iter()
        .map(|line| {
            (line["message_id"].as_str().unwrap().to_owned(), line["action"].as_str().unwrap().to_owned())
        })
        .collect();
    let did =
        [("m1", "new"), ("m2", "new"), ("m2", "update"), ("m3", "new"), ("m3", "delete"), ("m4", "new")];
    assert_eq!(actions, did.map(|(id, action)| (id.to_owned(), action.to_owned())));
    let lines = said(&recorded.text(Path::new(chat["also"][0]["file"].as_str().unwrap())));
    assert_eq!(lines.len(), 4);
    assert!(lines[1].ends_with(" (edited)") && lines[2].ends_with(": (message deleted)"), "{lines:?}");
    system.stop().await;
}
