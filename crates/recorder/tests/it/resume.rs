//! The same files go on, whatever ended the process before.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product, WireId};
use rtms_recorder::{
    Becoming, Manifest, Partition, RecordError, Recording, RecordingEnd, RecordingState, StoredManifest,
    manifests, read_manifest, repair_recording,
};
use serde_json::json;

use crate::support::{Bench, at, decoded, probe, sound, track, voice};
use crate::video::{clip, picture, pictures, source_pictures, times};

const CUSTOMER: Option<i64> = Some(1);
const AGENT: Option<i64> = Some(2);

fn stored(dir: &Path) -> StoredManifest {
    manifests(dir).next().unwrap()
}

fn words(ms: i64, text: &'static str) -> MediaPacket<'static> {
    let mut packet = MediaPacket::new(MediaKind::Transcript, at(ms), text);
    packet.channel_id = Some(WireId::Number(1));
    packet
}

fn message(ms: i64, text: &'static str) -> MediaPacket<'static> {
    MediaPacket::new(MediaKind::Chat, at(ms), text)
}

/// A call of two parties with pictures, words and chat, up to 2 s; everything of it came at 2 s at the latest.
fn two_seconds(bench: &mut Bench, units: &[Vec<u8>]) {
    bench.play(CUSTOMER, 0, &sound(1, 32_000));
    bench.play(AGENT, 0, &sound(2, 32_000));
    // Known later than the file is made: it takes the better name at the end.
    let info = json!({"event_type": 8, "participant_info": {"channel_id": 1, "display_name": "Ann"}});
    bench.event(5, &info);
    for (n, unit) in units.iter().take(50).enumerate() {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, unit)).unwrap();
    }
    bench.rec().media(at(1_500), &words(1_000, "one")).unwrap();
    bench.rec().media(at(1_900), &words(1_500, "two")).unwrap();
    bench.rec().media(at(1_900), &message(1_700, "hi")).unwrap();
}

#[test]
fn a_handover_costs_nothing() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let units = clip("320x180", 100, "");
    two_seconds(&mut bench, &units);
    bench.rec().server_urls_changed(vec!["wss://rtms.zoom.us/2".into()]);
    bench.rec().video_chosen(Some("16".into()));
    bench.hand_over(2_100);
    let left = stored(bench.dir.path());
    assert_eq!(left.manifest.state, RecordingState::Recording);
    assert_eq!(left.manifest.server_urls, ["wss://rtms.zoom.us/2"]);
    assert_eq!(left.manifest.interruptions[0].cause, "handover");
    assert_eq!(left.manifest.interruptions[0].resumed_at, None);
    assert_eq!(left.manifest.in_progress.as_ref().unwrap().video_user_id.as_deref(), Some("16"));
    let files: Vec<_> = left.manifest.files().map(str::to_owned).collect();
    // Zoom repeats the last half second, and goes on.
    bench.resume(3_000);
    let (a, b) = (sound(1, 64_000), sound(2, 64_000));
    for (n, _) in a[24_000..].chunks(320).enumerate() {
        let (ms, from) = (1_500 + n as i64 * 20, 24_000 + n * 320);
        for (who, source) in [(CUSTOMER, &a), (AGENT, &b)] {
            bench.rec().media(at((ms + 30).max(3_010)), &voice(who, ms, &source[from..from + 320])).unwrap();
        }
    }
    for (n, unit) in units.iter().enumerate().skip(60) {
        bench.rec().media(at(n as i64 * 40), &picture(n as i64 * 40, unit)).unwrap();
    }
    bench.rec().media(at(3_010), &words(1_500, "two")).unwrap();
    bench.rec().media(at(3_010), &words(2_500, "three")).unwrap();
    bench.rec().media(at(3_010), &message(1_700, "hi")).unwrap();
    bench.flush(4_000);
    let manifest = bench.finish(5_000);
    assert_eq!(manifest.problems, Vec::<String>::new());
    assert_eq!(manifest.interruptions.len(), 1);
    let interruption = &manifest.interruptions[0];
    assert_eq!((interruption.at, interruption.resumed_at), (at(2_100), Some(at(3_010))));
    assert_eq!((interruption.length_ms, interruption.lost_ms), (910, 0));
    assert_eq!(manifest.dropped.repeats, 2 * 25 + 2);
    assert_eq!(manifest.dropped.lost(), 0);
    assert_eq!((manifest.events.len(), manifest.participants.len()), (1, 1));
    let customer = track(&manifest, "consumer");
    assert_eq!((customer.packets, customer.gaps, customer.display_name.as_deref()), (200, 0, Some("Ann")));
    assert_eq!(decoded(&bench.path(&customer.file)), a);
    assert_eq!(decoded(&bench.path(&track(&manifest, "2").file)), b);
    let combined = track(&manifest, "combined");
    assert_eq!(combined.sides, [customer.file.clone(), track(&manifest, "2").file.clone()]);
    let both: Vec<i16> = a.iter().zip(&b).flat_map(|(a, b)| [*a, *b]).collect();
    assert_eq!(decoded(&bench.path(&combined.file)), both);
    let video = track(&manifest, "video");
    assert_eq!((video.packets, video.offset_ms), (90, 0));
    let shown: Vec<i64> = (0..50).chain(60..100).map(|n| n * 40).collect();
    assert_eq!(times(&bench.path(&video.file)), shown);
    let expected = source_pictures(&units);
    assert_eq!(pictures(&bench.path(&video.file), &[]), [&expected[..50], &expected[60..]].concat());
    check_words(&bench, &["Ann: one", "Ann: two", "Ann: three"]);
    assert_eq!(bench.text(&track(&manifest, "chat").file).lines().count(), 1);
    // The same files went on; only the customer's took its name, as it does at the end.
    for file in files.iter().filter(|file| !file.ends_with("_1.wav")) {
        assert!(manifest.files().any(|known| known == file), "{file}");
    }
}

fn check_words(bench: &Bench, lines: &[&str]) {
    let text = fs::read_to_string(bench.file("transcripts", ".txt")).unwrap();
    let said: Vec<_> = text.lines().filter_map(|line| line.split_once("Z] ")).map(|(_, said)| said).collect();
    assert_eq!(said, lines);
    assert_eq!(text.matches("Transcript Started").count(), 1);
    assert_eq!(text.matches("Transcript Ended").count(), 1);
    let captions = fs::read_to_string(bench.file("transcripts", ".vtt")).unwrap();
    assert_eq!(captions.matches(" --> ").count(), lines.len());
    let json = fs::read_to_string(bench.file("transcripts", ".jsonl")).unwrap();
    assert_eq!(json.lines().count(), lines.len());
}

#[test]
fn a_kill_costs_what_was_not_flushed_and_says_so() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let units = clip("320x180", 100, "");
    two_seconds(&mut bench, &units);
    bench.flush(2_000);
    // 200 ms more, of which the last packets wait in memory, and a line that is half written.
    bench.play(CUSTOMER, 2_000, &sound(1, 64_000)[32_000..35_200]);
    bench.play(AGENT, 2_000, &sound(2, 64_000)[32_000..35_200]);
    bench.die();
    for (file, tail) in [
        (bench.file("transcripts", ".jsonl"), &b"{\"timestamp\":17"[..]),
        (bench.file("transcripts", ".txt"), b"[2025"),
        (bench.file("video", ".mp4"), b"\0\0\x10\0moof\0\0"),
        (bench.file("audio", "_1.wav"), &[9]),
    ] {
        OpenOptions::new().append(true).open(file).unwrap().write_all(tail).unwrap();
    }
    let there = |ending: &str| (fs::metadata(bench.file("audio", ending)).unwrap().len() as usize - 80) / 2;
    let (ours, theirs) = (there("_1.wav"), there("_2.wav"));
    assert!((32_000..35_200).contains(&ours) && (32_000..35_200).contains(&theirs));
    bench.resume(5_000);
    assert_eq!(stored(bench.dir.path()).manifest.interruptions[0].cause, "process_killed");
    // Zoom has nothing kept: it goes on live, at 3.2 s.
    bench.rec().resumed(at(5_200));
    let (a, b) = (sound(1, 96_000), sound(2, 96_000));
    bench.play(CUSTOMER, 5_200, &a[83_200..]);
    bench.play(AGENT, 5_200, &b[83_200..]);
    bench.rec().media(at(5_300), &words(1_500, "two")).unwrap();
    bench.rec().media(at(5_300), &words(5_200, "three")).unwrap();
    let manifest = bench.finish(7_000);
    assert_eq!(manifest.problems, Vec::<String>::new());
    let lost = 5_200 - (ours.min(theirs) / 16) as i64;
    let [interruption] = manifest.interruptions.as_slice() else { panic!("{:?}", manifest.interruptions) };
    assert_eq!(interruption.lost_ms, lost);
    assert!(interruption.at >= at(2_000) && interruption.at <= at(2_300), "{interruption:?}");
    for (name, source, flushed) in [("consumer", &a, ours), ("2", &b, theirs)] {
        let mut expected = source.clone();
        expected[flushed..83_200].fill(0);
        assert_eq!(decoded(&bench.path(&track(&manifest, name).file)), expected, "{name}");
        assert_eq!(track(&manifest, name).gaps, 1);
    }
    check_words(&bench, &["Ann: one", "Ann: two", "Ann: three"]);
    probe(&bench.path(&track(&manifest, "video").file), &["-show_streams"]);
}

#[test]
fn what_zoom_kept_for_a_minute_comes_at_once_after_minutes_away() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(1, 16_000 * 100);
    bench.play(None, 0, &source[..16_000 * 20]);
    bench.hand_over(20_050);
    // A minute of the call is gone for good; the next comes in one burst.
    bench.resume(79_000);
    for (n, chunk) in source[16_000 * 30..16_000 * 80].chunks(320).enumerate() {
        bench.rec().media(at(80_000 + n as i64 / 50), &voice(None, 30_000 + n as i64 * 20, chunk)).unwrap();
    }
    bench.play(None, 80_000, &source[16_000 * 80..]);
    let manifest = bench.finish(101_000);
    let mut expected = source;
    expected[16_000 * 20..16_000 * 30].fill(0);
    assert_eq!(decoded(&bench.path(&track(&manifest, "mixed").file)), expected);
    assert_eq!((manifest.dropped.ahead, manifest.dropped.behind, manifest.dropped.repeats), (0, 0, 0));
    assert_eq!(manifest.interruptions[0].lost_ms, 10_000);
}

#[test]
fn an_absurd_timestamp_is_refused_also_as_the_first_one_after_a_restart() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(1, 16_000 * 3);
    bench.play(None, 0, &source[..32_000]);
    bench.hand_over(2_000);
    bench.resume(2_100);
    bench.rec().media(at(2_110), &voice(None, 86_400_000, &source[..320])).unwrap();
    bench.play(None, 2_000, &source[32_000..]);
    let manifest = bench.finish(4_000);
    assert_eq!(decoded(&bench.path(&track(&manifest, "mixed").file)), source);
    assert_eq!(manifest.dropped.ahead, 1);
}

#[test]
fn a_jump_of_the_clock_is_still_known() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(5, 16_000 * 6);
    let hour = 3_600_000;
    bench.play(None, 0, &source[..16_000]);
    let jumped = |bench: &mut Bench, from: usize, until: usize| {
        for (n, chunk) in source[from * 16_000..until * 16_000].chunks(320).enumerate() {
            let ms = from as i64 * 1_000 + n as i64 * 20;
            bench.rec().media(at(ms + 30), &voice(None, ms + hour, chunk)).unwrap();
        }
    };
    jumped(&mut bench, 1, 3);
    bench.flush(3_100);
    bench.die();
    bench.resume(4_000);
    jumped(&mut bench, 4, 6);
    let manifest = bench.finish(7_000);
    let mut expected = source.clone();
    expected[16_000..32_000].fill(0);
    expected[48_000..64_000].fill(0);
    assert_eq!(decoded(&bench.path(&track(&manifest, "mixed").file)), expected);
    assert_eq!((manifest.jumps.len(), track(&manifest, "mixed").correction_ms), (1, -hour));
    assert_eq!(manifest.interruptions[0].lost_ms, 1_000);
}

#[test]
fn jitter_is_remembered_so_that_repeats_still_vanish() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(1, 3_200);
    let late = |n: usize| if n == 4 { 86 } else { n as i64 * 20 };
    for (n, chunk) in source[..1_600].chunks(320).enumerate() {
        bench.rec().media(at(200), &voice(None, late(n), chunk)).unwrap();
    }
    bench.flush(200);
    bench.die();
    bench.resume(300);
    for (n, chunk) in source.chunks(320).enumerate().skip(2) {
        bench.rec().media(at(400), &voice(None, late(n), chunk)).unwrap();
    }
    let manifest = bench.finish(1_000);
    assert_eq!(decoded(&bench.path(&track(&manifest, "mixed").file)), source);
}

#[test]
fn a_move_of_time_zero_that_was_cut_short_is_completed() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (a, b) = (sound(1, 16_000), sound(2, 16_000));
    bench.play(AGENT, 1_000, &a);
    bench.flush(2_100);
    let file = bench.file("audio", "_2.wav");
    let before = fs::read(&file).unwrap();
    bench.play(CUSTOMER, 600, &b);
    bench.flush(2_200);
    bench.die();
    // As if the process had died before the agent's file was moved, and before the manifest was replaced.
    fs::write(&file, before).unwrap();
    let mut old = stored(bench.dir.path());
    old.manifest.time_zero = Some(at(1_000));
    bench.resume_from(old, 3_000);
    bench.play(AGENT, 2_000, &a);
    let manifest = bench.finish(4_000);
    assert_eq!(manifest.time_zero, Some(at(600)));
    let ours = [vec![0; 6_400], a.clone(), a].concat();
    assert_eq!(decoded(&file), ours);
    assert_eq!(decoded(&bench.file("audio", "_1.wav")), b);
    let both = decoded(&bench.path(&track(&manifest, "combined").file));
    assert!(both.chunks(2).zip(&ours).all(|(frame, agent)| frame.contains(agent)));
}

#[test]
fn a_finish_that_was_cut_short_is_done_again_or_undone() {
    for goes_on in [false, true] {
        let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
        let units = clip("320x180", 100, "");
        two_seconds(&mut bench, &units);
        bench.flush(2_000);
        let path = bench.rec().manifest_path().to_path_buf();
        let mut before = read_manifest(&path).unwrap();
        let finished = bench.finish(2_100);
        // Everything was done but the last manifest: the one before speaks of the name to come.
        let customer = before.tracks.iter_mut().find(|track| track.name == "1").unwrap();
        customer.becoming =
            Some(Becoming { file: track(&finished, "consumer").file.clone(), name: "consumer".into() });
        fs::write(&path, serde_json::to_vec(&before).unwrap()).unwrap();
        let again: Manifest = if goes_on {
            bench.resume(2_200);
            bench.play(CUSTOMER, 2_000, &sound(1, 320));
            bench.rec().media(at(2_600), &picture(2_400, &units[60])).unwrap();
            bench.rec().media(at(2_600), &words(2_500, "three")).unwrap();
            bench.finish(3_000)
        } else {
            repair_recording(bench.dir.path(), &stored(bench.dir.path()), at(60_000)).unwrap()
        };
        assert_eq!(again.problems, Vec::<String>::new());
        let files = |manifest: &Manifest| manifest.files().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(files(&again), files(&finished));
        let seen = pictures(&bench.path(&track(&again, "video").file), &[]);
        let expected = source_pictures(&units);
        if goes_on {
            assert_eq!(decoded(&bench.path(&track(&again, "consumer").file)).len(), 32_320);
            assert_eq!(seen[..50], expected[..50]);
            assert_eq!((seen.len(), &seen[50]), (51, &expected[60]));
            check_words(&bench, &["Ann: one", "Ann: two", "Ann: three"]);
        } else {
            assert_eq!(decoded(&bench.path(&track(&again, "consumer").file)), sound(1, 32_000));
            assert_eq!(seen, expected[..50]);
            check_words(&bench, &["Ann: one", "Ann: two"]);
        }
    }
}

#[test]
fn one_file_that_is_gone_does_not_cost_the_others() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    bench.play(CUSTOMER, 0, &sound(1, 16_000));
    bench.play(AGENT, 0, &sound(2, 16_000));
    bench.flush(1_000);
    bench.die();
    fs::write(bench.file("audio", "_1.wav"), "rubbish").unwrap();
    bench.resume(1_100);
    bench.play(CUSTOMER, 1_000, &sound(3, 16_000));
    bench.play(AGENT, 1_000, &sound(4, 16_000));
    let manifest = bench.finish(2_000);
    assert!(manifest.problems[0].contains("_1.wav is not a recording of ours"), "{:?}", manifest.problems);
    let ours = bench.file("audio", "_1_2.wav");
    assert_eq!(decoded(&ours), [vec![0; 16_000], sound(3, 16_000)].concat());
    assert_eq!(decoded(&bench.file("audio", "000Z_2.wav")), [sound(2, 16_000), sound(4, 16_000)].concat());
    assert_eq!(manifest.tracks.iter().filter(|track| track.name == "1").count(), 2);
}

#[test]
fn what_was_set_aside_once_stays_so_and_what_took_its_place_goes_on() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let units = clip("320x180", 100, "");
    two_seconds(&mut bench, &units);
    bench.flush(2_000);
    bench.die();
    fs::write(bench.file("video", ".mp4"), "rubbish").unwrap();
    let go_on = |bench: &mut Bench, now: i64, numbers: std::ops::Range<usize>| {
        bench.resume(now);
        for n in numbers.clone() {
            let ms = n as i64 * 40;
            bench.rec().media(at(ms.max(now)), &picture(ms, &units[n])).unwrap();
        }
        bench.flush(numbers.end as i64 * 40);
        bench.die();
    };
    let files = |manifest: &Manifest| -> Vec<String> {
        manifest.tracks.iter().filter(|track| track.kind == "video").map(|track| track.file.clone()).collect()
    };
    // A key frame begins the new file; the old one is rubbish for good.
    go_on(&mut bench, 2_100, 50..75);
    let first = stored(bench.dir.path()).manifest;
    go_on(&mut bench, 3_100, 75..100);
    let last = repair_recording(bench.dir.path(), &stored(bench.dir.path()), at(60_000)).unwrap();
    assert_eq!(files(&first).len(), 2, "{:?}", files(&first));
    assert_eq!(files(&last), files(&first), "no third file is begun");
    assert_eq!(last.problems, first.problems, "and no second one given up");
    let shown = times(&bench.path(files(&last).last().unwrap()));
    let (first, last) = (shown.first().unwrap(), shown.last().unwrap());
    assert!(last - first > 1_500, "longer than the second that either process brought: {shown:?}");
}

#[test]
fn a_finished_recording_is_not_taken_up() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    bench.play(None, 0, &sound(1, 320));
    bench.finish(100);
    let taken = Recording::resume(bench.dir.path(), stored(bench.dir.path()), Partition::None, at(200));
    assert!(matches!(taken, Err(RecordError::Foreign { .. })));
}

#[test]
fn in_a_long_call_only_the_end_of_the_combined_sound_is_made_anew() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (a, b) = (sound(1, 320), sound(2, 320));
    for ms in [0, 300_000] {
        bench.play(CUSTOMER, ms, &a);
        bench.play(AGENT, ms, &b);
        bench.flush(ms + 100);
    }
    bench.play(CUSTOMER, 300_020, &a);
    bench.die();
    let combined = bench.file("audio", "000Z.wav");
    // A mark where nothing needs to be made anew.
    let mark = std::os::unix::fs::FileExt::write_all_at;
    mark(&OpenOptions::new().write(true).open(&combined).unwrap(), &[7, 7], 80 + 4 * 16_000 * 60).unwrap();
    bench.resume(301_000);
    bench.play(AGENT, 301_000, &b);
    bench.flush(301_100);
    let both = decoded(&combined);
    assert_eq!(both[16_000 * 60 * 2], 0x0707, "the mark is still there");
    assert_eq!(both[301_000 * 32..301_000 * 32 + 4], [0, b[0], 0, b[1]]);
    assert_eq!(both[300_000 * 32..300_000 * 32 + 2], [a[0], b[0]]);
    // In the end it is what the parties' files hold, to the last sample.
    let manifest = bench.finish(302_000);
    assert_eq!(decoded(&bench.path(&track(&manifest, "combined").file))[16_000 * 60 * 2], 0);
}

#[test]
fn handed_over_twice_in_a_row_it_is_one_interruption() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(1, 32_000);
    bench.play(None, 0, &source[..16_000]);
    bench.hand_over(1_050);
    bench.resume(1_200);
    bench.hand_over(1_300);
    bench.resume(1_400);
    bench.die();
    bench.resume(1_500);
    bench.play(None, 1_000, &source[16_000..]);
    let end = RecordingEnd { at: at(3_000), state: RecordingState::Complete, stop_reason: None };
    let manifest = bench.take().finish(end).unwrap();
    assert_eq!(decoded(&bench.path(&track(&manifest, "mixed").file)), source);
    let causes: Vec<_> = manifest.interruptions.iter().map(|entry| entry.cause.as_str()).collect();
    assert_eq!(causes, ["handover", "process_killed"]);
    assert!(manifest.interruptions.iter().all(|entry| entry.lost_ms == 0));
}
