//! Anything that could come: no panic, no file longer than the passed time allows, small memory.

use std::fs;

use proptest::prelude::*;
use rtms_protocol::{AudioData, Event, MediaKind, MediaPacket, Product, UnixMillis, WireId};
use rtms_recorder::{Partition, Recording, RecordingEnd, RecordingState};
use serde_json::json;

use crate::support::{Bench, START, at, granted, sound, spec};

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => START..START + 20_000,
        1 => START - 200_000..START + 200_000,
        1 => any::<i64>(),
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
        1 => Just(0_i64),
    ]
}

fn any_packet() -> impl Strategy<Value = MediaPacket<'static>> {
    let kind = prop::sample::select(MediaKind::ALL.to_vec());
    let data = prop_oneof![
        Just(base64_simd::STANDARD.encode_to_string(vec![7; 640])),
        Just(base64_simd::STANDARD.encode_to_string([0, 0, 1, 0x65, 1, 2, 3])),
        ".{0,40}",
    ];
    let ids = (prop::option::of(-2_i64..4), prop::option::of(".{0,8}"), prop::option::of(".{0,8}"));
    (kind, any_time(), data, ids, any_time(), any_time()).prop_map(|(kind, at, data, ids, start, end)| {
        let mut packet = MediaPacket::new(kind, UnixMillis(at), data);
        packet.channel_id = ids.0.map(WireId::Number);
        packet.user_id = ids.1.map(|id| WireId::Text(id.into()));
        packet.user_name = ids.2.map(Into::into);
        packet.start_time = Some(UnixMillis(start));
        packet.end_time = Some(UnixMillis(end));
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_is_survived_and_no_file_outgrows_the_time(
        packets in prop::collection::vec((any_packet(), 0_i64..300), 1..120),
        id in ".{0,60}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec(dir.path(), Product::Webinar);
        spec.identity.id = id;
        spec.partition = Partition::Date;
        let mut recording = Recording::create(spec).unwrap();
        recording.granted(&granted(
            AudioData::Separate,
            rtms_protocol::SampleRate::Hz16000,
            rtms_protocol::Channels::Mono,
        ));
        let mut now = 0;
        for (n, (packet, step)) in packets.iter().enumerate() {
            now += step;
            // Refusals are expected; what matters is that the next packet is taken all the same.
            let _ = recording.media(at(now), packet);
            if n % 9 == 0 {
                let fields = json!({"event_type": 8, "timestamp": packet.timestamp.0, "channel_id": n});
                let fields = fields.as_object().unwrap().clone();
                recording.event(&Event::from_fields(Product::ContactCenter, fields).unwrap());
                recording.flush(at(now)).unwrap();
            }
        }
        let end = RecordingEnd { at: at(now), state: RecordingState::Complete, stop_reason: None };
        let manifest = recording.finish(end).unwrap();
        prop_assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        // The passed time, what may have been buffered before, and what zero may move back by.
        let limit = now + 75_000 + 10_000 + 60_000 + packets.len() as i64 * 100;
        for track in manifest.tracks.iter().filter(|track| track.kind == "audio") {
            prop_assert!(track.duration_ms <= limit, "{} > {limit}", track.duration_ms);
        }
        for file in manifest.files() {
            prop_assert!(dir.path().join(file).is_file(), "{file}");
        }
    }
}

#[test]
fn a_recording_may_move_between_threads() {
    fn assert_send<T: Send>() {}
    assert_send::<Recording>();
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn many_recordings_take_little_memory_and_it_does_not_grow() {
    const RECORDINGS: u64 = 100;
    let mut benches: Vec<Bench> =
        (0..RECORDINGS).map(|_| Bench::new(Product::ContactCenter, AudioData::Separate)).collect();
    let source = sound(1, 16_000);
    let mut play = |second: i64| {
        for bench in &mut benches {
            for who in [Some(1), Some(2)] {
                bench.play(who, second * 1_000, &source);
            }
            let text =
                MediaPacket::new(MediaKind::Transcript, at(second * 1_000), "Some words of this second.");
            bench.rec().media(at(second * 1_000), &text).unwrap();
            bench.flush((second + 1) * 1_000);
        }
    };
    let before = resident_kib();
    (0..2).for_each(&mut play);
    let warm = resident_kib();
    (2..4).for_each(&mut play);
    let after = resident_kib();
    let each = after.saturating_sub(before) / RECORDINGS;
    assert!(each < 64, "{each} KiB a recording of two parties, transcript and combined file");
    assert!(after.saturating_sub(warm) / RECORDINGS < 8, "{} KiB more after as long again", after - warm);
}

#[test]
fn floods_of_unfinished_and_corrected_words_cost_neither_memory_nor_the_words_of_others() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 320));
    let words = |ms: i64, start: i64, attribute: &'static str, text: String| {
        let mut packet = MediaPacket::new(MediaKind::Transcript, at(ms), text);
        packet.start_time = Some(at(start));
        packet.channel_id = Some(WireId::Number(start % 7));
        packet.attribute = Some(attribute.into());
        packet
    };
    let override_mark = '\u{202e}';
    let mut play = |from: i64| {
        for n in from..from + 10_000 {
            let attribute = ["interim", "interim", "corrected", "deleted"][(n % 4) as usize];
            let packet = words(n, n * 31 % 5_000, attribute, format!("{override_mark}{n}\n[x] forged"));
            bench.rec().media(at(n), &packet).unwrap();
            if n % 2_000 == 0 {
                let long = words(n, 1_000_000 + n, "final", "\u{5d0}".repeat(500_000));
                bench.rec().media(at(n), &long).unwrap();
            }
            if n % 250 == 0 {
                bench.flush(n);
            }
        }
    };
    play(0);
    let warm = resident_kib();
    play(10_000);
    let grown = resident_kib().saturating_sub(warm);
    assert!(grown < 16 * 1024, "{grown} KiB more after as much again");
    bench.rec().media(at(20_000), &words(20_000, 9_000_000, "final", "heard".into())).unwrap();
    let manifest = bench.finish(21_000);
    assert!(manifest.problems.is_empty() && manifest.dropped.disk == 0, "{:?}", manifest.dropped);
    let text = fs::read_to_string(bench.file("transcripts", ".txt")).unwrap();
    assert!(text.contains("] Unknown: heard\n") && !text.contains(override_mark));
    assert!(
        text.lines()
            .skip(5)
            .filter(|line| !line.is_empty())
            .all(|line| line.starts_with(['[', '=']) || line.starts_with("Total Duration: "))
    );
    assert_eq!(text.lines().filter(|line| line.len() > 900_000).count(), 10);
}
