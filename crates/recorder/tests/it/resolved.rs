//! Interim, corrected and deleted texts: the JSON lines keep all, the other forms show what is left.

use std::process::Command;

use proptest::prelude::*;
use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product, WireId};
use serde_json::Value;

use crate::support::{Bench, at, sound};

fn words(ms: i64, who: i64, attribute: &'static str, text: &str) -> MediaPacket<'static> {
    let mut packet = MediaPacket::new(MediaKind::Transcript, at(ms), text.to_owned());
    packet.start_time = Some(at(ms));
    packet.end_time = Some(at(ms + 500));
    packet.user_name = Some(format!("P{who}").into());
    packet.channel_id = Some(WireId::Number(who));
    packet.attribute = Some(attribute.into());
    packet
}

/// What the text, the captions in both forms, and the JSON lines say now.
fn forms(bench: &Bench) -> [Vec<String>; 4] {
    let read = |ending| std::fs::read_to_string(bench.file("transcripts", ending)).unwrap();
    let said = |line: &str| line.split_once("] ").map(|(_, said)| said.to_owned());
    let vtt =
        read(".vtt").lines().filter_map(|l| l.strip_prefix("<v ").map(|l| l.replace('>', ": "))).collect();
    let srt = read(".srt").lines().filter(|l| l.starts_with('P')).map(str::to_owned).collect();
    let json = |l: &str| serde_json::from_str::<Value>(l).unwrap()["text"].as_str().unwrap().to_owned();
    [
        read(".txt").lines().filter(|l| l.starts_with('[')).filter_map(said).collect(),
        vtt,
        srt,
        read(".jsonl").lines().map(json).collect(),
    ]
}

fn assert_shown(bench: &Bench, expected: &[&str]) {
    let [txt, vtt, srt, _] = forms(bench);
    assert_eq!(
        [txt, vtt, srt],
        [expected, expected, expected].map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    );
}

fn bench() -> Bench {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 320));
    bench.flush(50);
    bench
}

#[test]
fn an_interim_text_gives_way_to_what_follows() {
    let mut bench = bench();
    for (now, packet) in [
        (1_300, words(1_000, 1, "interim", "How")),
        (1_400, words(1_200, 2, "interim", "Me")),
        (1_600, words(1_000, 1, "partial", "How are")),
    ] {
        bench.rec().media(at(now), &packet).unwrap();
        bench.flush(now);
    }
    assert_shown(&bench, &[]);
    bench.rec().media(at(1_900), &words(1_000, 1, "final", "How are you?")).unwrap();
    bench.flush(1_900);
    assert_shown(&bench, &["P1: How are you?"]);
    bench.flush(11_399);
    assert_shown(&bench, &["P1: How are you?"]);
    bench.flush(11_400);
    assert_shown(&bench, &["P1: How are you?", "P2: Me"]);
    bench.rec().media(at(11_500), &words(1_200, 2, "final", "Me too.")).unwrap();
    bench.flush(17_000);
    assert_shown(&bench, &["P1: How are you?", "P2: Me too."]);
    bench.rec().media(at(17_500), &words(17_000, 2, "interim", "Cut o")).unwrap();
    bench.finish(18_000);
    assert_shown(&bench, &["P1: How are you?", "P2: Me too.", "P2: Cut o"]);
    assert_eq!(forms(&bench)[3].len(), 6, "the JSON lines keep everything");
    let jsonl = std::fs::read_to_string(bench.file("transcripts", ".jsonl")).unwrap();
    let status: Vec<Value> =
        jsonl.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["status"].clone()).collect();
    assert_eq!(status, ["interim", "interim", "interim", "final", "final", "interim"]);
}

#[test]
fn a_correction_takes_the_place_of_the_line() {
    let mut bench = bench();
    bench.rec().media(at(1_000), &words(1_000, 1, "final", "I scream")).unwrap();
    bench.rec().media(at(2_000), &words(2_000, 2, "whatever", "for")).unwrap();
    bench.flush(2_000);
    bench.rec().media(at(3_000), &words(1_000, 1, "corrected", "Ice cream")).unwrap();
    bench.rec().media(at(3_000), &words(2_500, 2, "", "taken back")).unwrap();
    bench.rec().media(at(3_100), &words(2_500, 2, "deleted", "")).unwrap();
    bench.flush(9_000);
    assert_shown(&bench, &["P1: Ice cream", "P2: for"]);
    bench.finish(10_000);
    assert_shown(&bench, &["P1: Ice cream", "P2: for"]);
}

#[test]
fn what_waited_when_the_process_died_is_resolved_by_the_next() {
    let mut bench = bench();
    bench.rec().media(at(1_000), &words(1_000, 1, "final", "One.")).unwrap();
    bench.rec().media(at(2_000), &words(2_000, 1, "interim", "Tw")).unwrap();
    bench.flush(2_000);
    assert_shown(&bench, &["P1: One."]);
    bench.die();
    bench.resume(3_000);
    bench.flush(3_000);
    assert_shown(&bench, &["P1: One.", "P1: Tw"]);
    bench.rec().media(at(3_100), &words(2_000, 1, "interim", "Tw")).unwrap();
    bench.rec().media(at(3_200), &words(2_000, 1, "final", "Two.")).unwrap();
    bench.flush(9_000);
    assert_shown(&bench, &["P1: One.", "P1: Two."]);
    let manifest = bench.finish(10_000);
    assert_shown(&bench, &["P1: One.", "P1: Two."]);
    assert_eq!(manifest.dropped.repeats, 1);
}

#[test]
fn other_scripts_are_shown_right_and_nobody_forges_a_cue() {
    let mut bench = bench();
    let hebrew = "שלום, עולם.";
    bench.rec().media(at(1_000), &words(1_000, 1, "", hebrew)).unwrap();
    bench.rec().media(at(2_000), &words(2_000, 1, "", "👩\u{200d}👧 e\u{301} กำลัง")).unwrap();
    let mut forged = words(3_000, 1, "", "x\n\n9\n00:00:01,000 --> 00:00:09,000\n\u{202e}reversed");
    forged.user_name = Some("00:00:01,000 --> 00:00:02,000".into());
    bench.rec().media(at(3_000), &forged).unwrap();
    bench.finish(5_000);
    let srt = bench.file("transcripts", ".srt");
    let text = std::fs::read_to_string(&srt).unwrap();
    assert!(text.contains(&format!("\u{2068}P1\u{2069}: {hebrew}\n")), "{text}");
    assert_eq!(text.matches("-->").count(), 3);
    for (file, speaker) in [(srt, true), (bench.file("transcripts", ".vtt"), false)] {
        let run =
            Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&file).args(["-f", "srt", "-"]).output();
        let run = run.expect("ffmpeg must be on PATH for these tests");
        let read = String::from_utf8(run.stdout).unwrap();
        assert_eq!(String::from_utf8_lossy(&run.stderr), "");
        let times = read.lines().filter(|l| l.starts_with("00:") && l.contains(" --> "));
        assert_eq!(times.count(), 3, "{read}");
        assert!(read.contains(hebrew) && read.contains("👩\u{200d}👧 e\u{301} กำลัง"), "{read}");
        assert!(!read.contains('\u{202e}') && read.contains("P1") == speaker, "{read}");
    }
}

fn chat(
    ms: i64,
    who: i64,
    id: Option<&'static str>,
    attribute: Option<&'static str>,
    text: &str,
) -> MediaPacket<'static> {
    let mut packet = MediaPacket::new(MediaKind::Chat, at(ms), text.to_owned());
    packet.user_id = Some(WireId::Number(who));
    packet.user_name = Some(format!("P{who}").into());
    packet.message_id = id.map(|id| WireId::Text(id.into()));
    packet.attribute = attribute.map(Into::into);
    packet
}

#[test]
fn chat_shows_the_last_version_and_nothing_of_what_was_deleted() {
    let mut bench = bench();
    for packet in [
        chat(1_000, 1, Some("a"), None, "helo"),
        chat(2_000, 2, Some("b"), None, "the secret"),
        chat(3_000, 1, Some("a"), Some("updated"), "hello"),
        chat(4_000, 2, Some("b"), Some("delete"), ""),
        chat(5_000, 1, None, None, r#"{"message_id":"c","action":"new","text":"in JSON"}"#),
        chat(6_000, 1, None, None, r#"{"message_id":"c","action":"edit","text":"in JSON, edited"}"#),
        chat(7_000, 2, None, None, r#"{"message_id":"c","action":"delete"}"#),
        chat(8_000, 2, None, None, r#"{"json":"but no message"}"#),
    ] {
        bench.rec().media(packet.timestamp, &packet).unwrap();
        bench.flush(packet.timestamp.since(at(0)));
    }
    bench.die();
    bench.resume(9_000);
    let again = chat(6_000, 1, None, None, r#"{"message_id":"c","action":"edit","text":"in JSON, edited"}"#);
    bench.rec().media(at(9_100), &again).unwrap();
    let manifest = bench.finish(10_000);
    let track = manifest.tracks.iter().find(|track| track.kind == "chat").unwrap();
    let [also] = track.also.as_slice() else { panic!("{:?}", track.also) };
    let lines: Vec<String> =
        bench.text(&also.file).lines().map(|l| l.split_once("] ").unwrap().1.to_owned()).collect();
    assert_eq!(
        lines,
        [
            "P1: hello (edited)",
            "P2: (message deleted)",
            "P1: in JSON, edited (edited)",
            "P2: (message deleted)",
            r#"P2: {"json":"but no message"}"#,
        ]
    );
    let jsonl = bench.text(&track.file);
    let actions: Vec<Value> =
        jsonl.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["action"].clone()).collect();
    assert_eq!(actions, ["new", "new", "update", "delete", "new", "update", "delete", "new"]);
    assert!(also.sha256.is_some() && manifest.dropped.repeats == 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However texts follow each other, and whenever the process dies: what is left depends on what came, only.
    #[test]
    fn what_is_left_depends_on_what_came(
        said in prop::collection::vec((0_i64..6, 0_i64..2, 0_usize..5, 0_i64..9_000), 1..40),
        deaths in prop::collection::vec(0_usize..40, 0..4),
    ) {
        let attributes = ["interim", "final", "corrected", "deleted", "interim"];
        let play = |deaths: &[usize]| {
            let mut bench = bench();
            let mut now = 1_000;
            for (n, (start, who, attribute, later)) in said.iter().enumerate() {
                now += later;
                let packet = words(start * 1_000, *who, attributes[*attribute], &format!("words {n}"));
                bench.rec().media(at(now), &packet).unwrap();
                bench.flush(now);
                if deaths.contains(&n) {
                    bench.die();
                    bench.resume(now);
                }
            }
            bench.finish(now + 100);
            forms(&bench)
        };
        let [txt, vtt, srt, jsonl] = play(&[]);
        let mut sorted = [txt.clone(), vtt.clone(), srt.clone()];
        sorted.iter_mut().for_each(|lines| lines.sort());
        prop_assert!(sorted[0] == sorted[1] && sorted[1] == sorted[2], "{sorted:?}");
        prop_assert_eq!(jsonl.len(), said.len());
        prop_assert_eq!(play(&deaths), [txt, vtt, srt, jsonl]);
    }
}
