//! A disk that refuses for a while: the recording goes on, the hole is silence.

use std::fs;
use std::path::{Path, PathBuf};

use rtms_protocol::{AudioData, MediaKind, MediaPacket, Product};

use crate::support::{Bench, at, decoded, sound, track, voice};

#[test]
fn a_refused_write_costs_its_packets_and_nothing_else() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(1, 16_000 * 3);
    bench.play(None, 0, &source[..16_000]);
    bench.flush(1_000);
    // Twice without news: the file is closed, and moving it away makes every write fail.
    bench.flush(1_100);
    let file = bench.file("audio", ".wav");
    let hidden = bench.path("hidden");
    fs::rename(&file, &hidden).unwrap();
    let mut refused = 0;
    for (n, chunk) in source[16_000..32_000].chunks(320).enumerate() {
        let ms = 1_000 + n as i64 * 20;
        refused += u64::from(bench.rec().media(at(ms), &voice(None, ms, chunk)).is_err());
    }
    assert!(bench.rec().flush(at(2_000)).is_err_and(|error| error.is_disk()));
    fs::rename(&hidden, &file).unwrap();
    bench.play(None, 2_000, &source[32_000..]);
    let manifest = bench.finish(3_000);
    let mixed = track(&manifest, "mixed");
    assert!(refused > 0);
    assert_eq!((manifest.dropped.disk, mixed.dropped), (refused, refused));
    let got = decoded(&bench.path(&mixed.file));
    assert_eq!(got.len(), source.len());
    let lost = refused as usize * 320;
    assert_eq!(got[..32_000 - lost], source[..32_000 - lost]);
    assert!(got[32_000 - lost..32_000].iter().all(|sample| *sample == 0));
    assert_eq!(got[32_000..], source[32_000..]);
}

fn away(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    path.with_file_name(format!("{name}.away"))
}

#[test]
fn a_full_disk_leaves_the_words_waiting_and_the_rest_in_place() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let source = sound(1, 16_000 * 3);
    bench.play(Some(1), 0, &source[..16_000]);
    bench.flush(1_000);
    bench.flush(1_100);
    let files = ["_1.wav", "000Z.wav", ".txt", ".jsonl"];
    let folder = |ending: &str| if ending.ends_with("wav") { "audio" } else { "transcripts" };
    let words = |ms: i64, text: &'static str| MediaPacket::new(MediaKind::Transcript, at(ms), text);
    bench.rec().media(at(1_000), &words(1_000, "before")).unwrap();
    bench.flush(1_200);
    let paths: Vec<_> = files.iter().map(|ending| bench.file(folder(ending), ending)).collect();
    for path in &paths {
        fs::rename(path, away(path)).unwrap();
        std::os::unix::fs::symlink("/dev/full", path).unwrap();
    }
    for (n, chunk) in source[16_000..32_000].chunks(320).enumerate() {
        let ms = 1_000 + n as i64 * 20;
        let _ = bench.rec().media(at(ms), &voice(Some(1), ms, chunk));
    }
    bench.rec().media(at(1_900), &words(1_900, "meanwhile")).unwrap();
    assert!(bench.rec().flush(at(2_000)).is_err_and(|error| error.is_disk()));
    for path in &paths {
        fs::remove_file(path).unwrap();
        fs::rename(away(path), path).unwrap();
    }
    bench.play(Some(1), 2_000, &source[32_000..]);
    let manifest = bench.finish(15_000);
    assert!(manifest.dropped.disk > 0 && manifest.problems.is_empty(), "{:?}", manifest.problems);
    let party = decoded(&paths[0]);
    assert_eq!((party.len(), &party[32_000..]), (source.len(), &source[32_000..]));
    assert_eq!(decoded(&paths[1]), party, "the combined file is made anew");
    let text = fs::read_to_string(&paths[2]).unwrap();
    assert!(text.contains("before\n") && text.contains("meanwhile\n"), "no word is lost: {text}");
}
