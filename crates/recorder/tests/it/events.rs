//! The events file: every event in our words, on the recording's clock, whatever happens to the process.

use rtms_protocol::{AudioData, Product, StopReason};
use rtms_recorder::{Manifest, RecordingEnd, RecordingState};
use serde_json::{Value, json};

use crate::support::{Bench, START, at, sound};

fn lines(bench: &Bench, manifest: &Manifest) -> Vec<Value> {
    let file = &manifest.timeline.as_ref().unwrap().file;
    bench.text(file).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn words(lines: &[Value]) -> Vec<(&str, i64)> {
    lines.iter().map(|l| (l["event"].as_str().unwrap(), l["offset_ms"].as_i64().unwrap())).collect()
}

/// The manifest is one replaced file a stream; with a thousand streams that is what the disk has to do.
#[test]
fn a_change_of_speaker_alone_replaces_no_manifest_but_is_in_the_events_at_once() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.event(400, &json!({"event_type": 3, "participants": [{"user_id": 7, "user_name": "Bo"}]}));
    bench.play(None, 400, &sound(1, 16_000));
    bench.flush(1_500);
    let stored = |bench: &mut Bench| std::fs::read(bench.rec().manifest_path()).unwrap();
    let before = stored(&mut bench);
    bench.event(3_000, &json!({"event_type": 2, "user_id": 7, "user_name": "Bo"}));
    bench.flush(5_000);
    assert!(stored(&mut bench) == before, "it waits for the next manifest");
    let events = std::fs::read_to_string(bench.file("events", ".jsonl")).unwrap();
    assert_eq!(events.matches("active_speaker").count(), 1, "{events}");
    bench.event(5_500, &json!({"event_type": 4, "participants": [{"user_id": 7}]}));
    bench.flush(6_600);
    let after = String::from_utf8(stored(&mut bench)).unwrap();
    assert!(after.contains("ACTIVE_SPEAKER_CHANGE") && after.contains("PARTICIPANT_LEAVE"), "{after}");
}

#[test]
fn a_call_is_told_in_order_with_offsets_and_people() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let customer = json!({"channel_id": 1, "participant_mode": "caller", "display_name": "Ann"});
    bench.event(400, &json!({"event_type": 8, "participant_info": customer}));
    bench.event(900, &json!({"event_type": 10, "participant_info": {"channel_id": "2", "user_id": "u7", "display_name": "Bo"}}));
    bench.flush(950);
    let early = std::fs::read_to_string(bench.file("events", ".jsonl")).unwrap();
    assert!(early.contains("\"offset_ms\":null"), "there is no time zero yet: {early}");
    bench.play(Some(1), 1_000, &sound(1, 32_000));
    bench.flush(3_030);
    bench.event(3_100, &json!({"event_type": 12, "participant_info": {"channel_id": 2}}));
    bench.rec().interrupted(at(3_230), "media_lost");
    bench.rec().interrupted(at(3_240), "signaling_lost");
    bench.rec().resumed(at(4_230));
    bench.rec().paused(at(5_030));
    bench.rec().unpaused(at(6_030));
    bench.event(6_500, &json!({"event_type": 33, "name": "forged", "event": "answered", "channel_id": 9}));
    let end = RecordingEnd {
        at: at(7_030),
        state: RecordingState::Complete,
        stop_reason: Some(StopReason::AgentDisconnected),
    };
    let manifest = bench.take().finish(end).unwrap();
    let lines = lines(&bench, &manifest);
    assert_eq!(
        words(&lines),
        [
            ("answered", -600),
            ("answered", -100),
            ("hold", 2_100),
            ("interrupted", 2_200),
            ("reconnected", 3_200),
            ("paused", 4_000),
            ("resumed", 5_000),
            ("unknown", 5_500),
            ("stopped", 6_000),
        ]
    );
    assert_eq!((lines[0]["role"].as_str(), lines[0]["channel_id"].as_str()), (Some("consumer"), Some("1")));
    assert_eq!(lines[0]["name"], "CONSUMER_ANSWERED");
    assert_eq!(lines[0]["fields"]["participant_info"]["participant_mode"], "caller");
    let hold = &lines[2];
    assert_eq!((hold["user_id"].as_str(), hold["display_name"].as_str()), (Some("u7"), Some("Bo")));
    assert_eq!((hold["timestamp"].as_i64(), hold["event_type"].as_i64()), (Some(START + 3_100), Some(12)));
    assert_eq!(lines[3]["fields"]["cause"], "media_lost");
    assert_eq!(
        (lines[7]["name"].as_str(), lines[7]["fields"]["name"].as_str()),
        (Some("UNKNOWN"), Some("forged"))
    );
    assert_eq!(lines[8]["fields"]["stop_reason"]["name"], "AGENT_DISCONNECTED");
}

#[test]
fn the_file_goes_on_after_a_crash_and_follows_time_zero() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    bench.play(Some(1), 1_000, &sound(1, 16_000));
    bench.event(1_500, &json!({"event_type": 12, "participant_info": {"channel_id": 1}}));
    bench.flush(2_030);
    // The second party turns out to be the earlier one.
    bench.play(Some(2), 800, &sound(2, 16_000));
    bench.flush(2_040);
    let file = bench.file("events", ".jsonl");
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"offset_ms\":700"));
    bench.die();
    let torn = std::fs::read_to_string(&file).unwrap() + "{\"event\":\"unh";
    std::fs::write(&file, torn).unwrap();
    bench.resume(4_000);
    bench.event(4_000, &json!({"event_type": 13, "participant_info": {"channel_id": 1}}));
    bench.play(Some(1), 4_000, &sound(1, 320));
    let manifest = bench.finish(5_000);
    assert_eq!(manifest.problems, Vec::<String>::new());
    let lines = lines(&bench, &manifest);
    let told: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["hold", "interrupted", "unhold", "reconnected", "stopped"]);
    assert_eq!(lines[1]["fields"]["cause"], "process_killed");
    assert_eq!(lines[2]["offset_ms"], 3_200);
}

#[test]
fn the_file_has_no_bound_and_the_manifest_has_one() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 320));
    for n in 0..12_000 {
        bench.event(n, &json!({"event_type": 2, "user_id": n, "user_name": "Bo"}));
        if n % 1_000 == 0 {
            bench.flush(n);
        }
    }
    let manifest = bench.finish(20_000);
    assert_eq!(manifest.events.len(), 10_000);
    let lines = lines(&bench, &manifest);
    assert_eq!(lines.len(), 12_001);
    assert_eq!(words(&lines)[11_999], ("active_speaker", 11_999));
}

#[test]
fn times_that_are_none_have_no_offset() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 320));
    let fields =
        json!({"event_type": 3, "timestamp": i64::MAX, "participants": [{"user_id": 1}, {"user_id": 2}]});
    let fields = fields.as_object().unwrap().clone();
    bench.rec().event(&rtms_protocol::Event::from_fields(Product::Meeting, fields).unwrap());
    let manifest = bench.finish(1_000);
    let lines = lines(&bench, &manifest);
    assert_eq!((&lines[0]["offset_ms"], lines[0]["timestamp"].as_i64()), (&Value::Null, Some(i64::MAX)));
    assert_eq!(lines[0]["participants"].as_array().unwrap().len(), 2);
}

#[test]
fn an_event_that_tells_no_time_is_told_at_the_time_that_it_is() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 320));
    bench.flush(60_030);
    let fields = json!({"event_type": 5}).as_object().unwrap().clone();
    bench.rec().event(&rtms_protocol::Event::from_fields(Product::Meeting, fields).unwrap());
    let manifest = bench.finish(61_000);
    assert_eq!(words(&lines(&bench, &manifest))[0], ("sharing_started", 60_000));
}
