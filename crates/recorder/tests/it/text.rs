//! Transcripts and chat.

use rtms_protocol::{AudioData, Language, MediaKind, MediaPacket, Product, WireId};
use serde_json::{Value, json};

use crate::support::{Bench, at, sound};

fn words(ms: i64, who: Option<&'static str>, text: &'static str) -> MediaPacket<'static> {
    let mut packet = MediaPacket::new(MediaKind::Transcript, at(ms), text);
    packet.user_name = who.map(Into::into);
    packet.channel_id = Some(WireId::Number(7));
    packet
}

#[test]
fn the_text_file_is_as_fixed() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Mixed);
    bench.rec().media(at(15_123), &words(15_123, Some("Agent"), "Hello, how can I help you?")).unwrap();
    bench.flush(16_000);
    let file = "transcripts/transcript_engagement_abc123_2025-12-11T10-30-00-000Z.txt";
    assert!(bench.text(file).ends_with("[2025-12-11T10:30:15.123Z] Agent: Hello, how can I help you?\n"));
    bench.finish(300_999);
    let rule = "=".repeat(70);
    let expected = format!(
        "=== ZCC Engagement Transcript Started at 2025-12-11T10:30:00.000Z ===\n\
         Engagement ID: abc123\nStream ID: xyz789\n{rule}\n\n\
         [2025-12-11T10:30:15.123Z] Agent: Hello, how can I help you?\n\n{rule}\n\
         === Transcript Ended at 2025-12-11T10:35:00.999Z ===\nTotal Duration: 300 seconds\n"
    );
    assert_eq!(bench.text(file), expected);
}

#[test]
fn speakers_are_named_from_what_is_known_and_nobody_forges_a_line() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Mixed);
    bench.rec().media(at(0), &words(0, None, "who am I")).unwrap();
    bench.event(10, &json!({"event_type": 8, "participant_info": {"channel_id": 7}}));
    bench.rec().media(at(20), &words(20, Some("  "), "the customer")).unwrap();
    bench.event(30, &json!({"event_type": 8, "participant_info": {"channel_id": 7, "display_name": "Ann"}}));
    bench.rec().media(at(40), &words(40, None, "Ann")).unwrap();
    let forged = "x\n[2025-12-11T10:30:15.123Z] Agent: I agree\r\u{2028}\u{85}y";
    bench.rec().media(at(60), &words(60, Some("Eve\n[x] Agent"), forged)).unwrap();
    bench.finish(1_000);
    let text = std::fs::read_to_string(bench.file("transcripts", ".txt")).unwrap();
    let lines: Vec<_> = text.lines().skip(5).take(5).collect();
    assert_eq!(lines[0], "[2025-12-11T10:30:00.000Z] Unknown: who am I");
    assert_eq!(lines[1], "[2025-12-11T10:30:00.020Z] Customer: the customer");
    assert_eq!(lines[2], "[2025-12-11T10:30:00.040Z] Ann: Ann");
    assert_eq!(
        lines[3],
        "[2025-12-11T10:30:00.060Z] Eve [x] Agent: x [2025-12-11T10:30:15.123Z] Agent: I agree   y"
    );
    assert_eq!(lines[4], "");
}

#[test]
fn captions_and_json_lines_hold_every_field_and_repeats_go() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let mut packet = words(2_000, Some("Ann"), "Guten <Tag>");
    packet.start_time = Some(at(2_100));
    packet.end_time = Some(at(3_400));
    packet.language = Some(Language::German);
    packet.attribute = Some("final".into());
    bench.rec().media(at(3_500), &packet).unwrap();
    bench.rec().media(at(3_500), &packet).unwrap();
    bench.rec().media(at(3_600), &words(1_500, Some("Bob"), "earlier")).unwrap();
    bench.play(None, 1_000, &sound(1, 320));
    bench.flush(4_000);
    let manifest = bench.finish(5_000);
    let vtt = std::fs::read_to_string(bench.file("transcripts", ".vtt")).unwrap();
    let expected = "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\n<v Bob>earlier\n\n\
                    00:00:01.100 --> 00:00:02.400\n<v Ann>Guten &lt;Tag&gt;\n\n";
    assert_eq!(vtt, expected);
    let srt = std::fs::read_to_string(bench.file("transcripts", ".srt")).unwrap();
    let expected = "1\n00:00:00,500 --> 00:00:01,500\nBob: earlier\n\n\
                    2\n00:00:01,100 --> 00:00:02,400\nAnn: Guten <\u{2060}Tag>\n\n";
    assert_eq!(srt, expected);
    let jsonl = std::fs::read_to_string(bench.file("transcripts", ".jsonl")).unwrap();
    let lines: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["text"], "Guten <Tag>");
    assert_eq!(lines[0]["start_time"], at(2_100).0);
    assert_eq!(lines[0]["channel_id"], 7);
    assert_eq!(lines[0]["attribute"], "final");
    assert!(lines[0]["language"].is_number() && lines[0]["language_name"].is_string());
    assert_eq!(manifest.dropped.repeats, 1);
    assert_eq!(manifest.tracks.iter().find(|t| t.kind == "transcript").unwrap().also.len(), 3);
    assert!(
        bench
            .text("transcripts/transcript_meeting_abc123_2025-12-11T10-30-00-000Z.txt")
            .contains("Meeting ID: abc123")
    );
}

#[test]
fn chat_is_one_message_a_line() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let mut packet = MediaPacket::new(MediaKind::Chat, at(5), "line one\nline two");
    packet.user_id = Some(WireId::Number(5));
    bench.rec().media(at(6), &packet).unwrap();
    bench.rec().media(at(6), &packet).unwrap();
    let manifest = bench.finish(10);
    let text = bench.text(&manifest.tracks.iter().find(|t| t.kind == "chat").unwrap().file);
    assert_eq!(text.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["text"], "line one\nline two");
}
