//! Words: every line, in its three forms.

use std::path::Path;
use std::sync::Arc;

use rtms_protocol::Product;
use rtms_simulator::content::Content;
use rtms_simulator::faults::{Cut, Faults};
use rtms_simulator::scenario::{Program, Scenario};
use serde_json::Value;

use crate::failover::at;
use crate::figures::json_lines;
use crate::system::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn the_transcript_line_for_line() {
    let system = Setup::default().start().await;
    let recorded = system.record(Product::ContactCenter, 24_000).await;
    let played = &recorded.outcome.played;
    assert!(played.transcript.len() >= 5, "the conversation has words");
    let track = recorded.any_track("transcript");
    let text = recorded.text(Path::new(track["file"].as_str().unwrap()));

    let line = "=".repeat(70);
    let started = recorded.manifest["started_at"].as_str().unwrap();
    let ended = recorded.manifest["ended_at"].as_str().unwrap();
    let mut lines: Vec<String> = vec![
        format!("=== ZCC Engagement Transcript Started at {started} ==="),
        "Engagement ID: call/1==".into(),
        "Stream ID: stream-1".into(),
        line.clone(),
        String::new(),
    ];
    lines.extend(
        played.transcript.iter().map(|said| format!("[{}] {}: {}", said.start, said.name, said.text)),
    );
    lines.extend([String::new(), line, format!("=== Transcript Ended at {ended} ===")]);
    let actual: Vec<_> = text.lines().collect();
    let (last, before) = actual.split_last().unwrap();
    assert_eq!(before, lines);
    assert!(last.starts_with("Total Duration: ") && last.ends_with(" seconds"), "{last}");

    let also: Vec<_> =
        track["also"].as_array().unwrap().iter().map(|a| a["file"].as_str().unwrap()).collect();
    let jsonl = also.iter().find(|file| file.ends_with(".jsonl")).unwrap();
    let said: Vec<Value> =
        recorded.text(Path::new(jsonl)).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), played.transcript.len());
    for (json, said) in said.iter().zip(&played.transcript) {
        assert_eq!(json["text"], said.text.as_str());
        assert_eq!((&json["start_time"], &json["end_time"]), (&said.start.0.into(), &said.end.0.into()));
    }
    let vtt = also.iter().find(|file| file.ends_with(".vtt")).unwrap();
    let vtt = recorded.text(Path::new(vtt));
    assert!(vtt.starts_with("WEBVTT"), "{vtt}");
    let cues = vtt.lines().filter(|line| line.contains(" --> ")).count();
    assert_eq!(cues, played.transcript.len());
    for said in &played.transcript {
        assert!(vtt.contains(&format!("<v {}>", said.name)), "{} is not in:\n{vtt}", said.name);
    }
    system.stop().await;
}

/// Words from right to left, with marks on letters, of several code points.
const SCRIPTS: [&str; 4] = [
    "\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}, \u{5de}\u{5d4} \u{5e9}\u{5dc}\u{5d5}\u{5de}\u{5da}?",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}\u{64b}\u{60c} \u{631}\u{642}\u{645} 42 \u{645}\u{646} \u{641}\u{636}\u{644}\u{643}",
    "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{4f60}\u{597d}\u{ff0c}cafe\u{301}",
];

#[tokio::test(flavor = "multi_thread")]
async fn words_of_every_script_that_change_while_a_socket_is_cut() {
    let system = Setup::default().worker("RTMS_MEDIA", "audio,transcript").start().await;
    let mut content = Content::clone(&Content::built_in());
    for (caption, text) in content.captions.iter_mut().zip(SCRIPTS.iter().cycle()) {
        caption.text = (*text).to_owned();
    }
    let scenario = Scenario::of(Product::Meeting, 24_000).with_interim();
    let cut = Faults { cut_media: vec![at(6_000, Cut::End)], ..Faults::default() };
    let program = Program::new(scenario, Arc::new(content));
    let recorded = system.record_with(Product::Meeting, program, cut).await;
    let played = &recorded.outcome.played;
    let left = played.resolved_transcript();
    assert!(left.len() >= SCRIPTS.len() && left.len() < played.transcript.len(), "words developed");

    let track = recorded.any_track("transcript");
    let text = recorded.text(Path::new(track["file"].as_str().unwrap()));
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with('[')).collect();
    let expected = left.iter().map(|said| format!("[{}] {}: {}", said.start, said.name, said.text));
    assert_eq!(lines, expected.collect::<Vec<_>>());
    for also in track["also"].as_array().unwrap() {
        let file = also["file"].as_str().unwrap();
        if file.ends_with(".jsonl") {
            let lines = json_lines(&recorded, &also["file"]);
            let texts: Vec<_> = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
            assert_eq!(texts, played.transcript.iter().map(|said| said.text.as_str()).collect::<Vec<_>>());
        } else {
            let captions = recorded.text(Path::new(file));
            let cues = captions.lines().filter(|line| line.contains(" --> ")).count();
            assert_eq!(cues, left.len(), "{captions}");
            assert!(left.iter().all(|said| captions.contains(&said.text)), "{captions}");
        }
    }
    system.stop().await;
}
