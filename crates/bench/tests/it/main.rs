//! The benchmark as a program: a quick run does its work, proves it, and leaves JSON that a machine can read.

#![expect(clippy::expect_used, reason = "a test's helper fails its test by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn run(which: &str, out: &Path) -> Value {
    let run = Command::new(env!("CARGO_BIN_EXE_rtms-bench"))
        .args([which, "--quick", "--out"])
        .arg(out)
        .output()
        .expect("the benchmark starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let json = fs::read(out.join(format!("{which}.json"))).expect("JSON is there");
    serde_json::from_slice(&json).expect("JSON can be read")
}

fn positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

#[test]
fn audio_is_played_and_measured_and_nothing_is_left() {
    let out = tempfile::tempdir().expect("tempdir");
    let found = run("audio", out.path());
    let cases = found["cases"].as_array().expect("cases");
    assert!(cases.len() > 5, "{found}");
    assert!(cases.iter().all(|case| positive(&case["us_per_packet"]["median"])), "{found}");
    let left: Vec<_> =
        fs::read_dir(out.path()).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(left, ["audio.json"]);
}

#[test]
fn webhooks_are_answered_and_delivered() {
    let out = tempfile::tempdir().expect("tempdir");
    let found = run("webhooks", out.path());
    assert!(positive(&found["verify_us"]["median"]), "{found}");
    let cases = found["gateway"].as_array().expect("cases");
    assert!(cases.iter().all(|case| positive(&case["answers_per_second"]["median"])), "{found}");
    assert!(cases.iter().any(|case| positive(&case["us_per_delivered"]["median"])), "{found}");
}

#[test]
fn listeners_hear_every_packet_of_every_engagement() {
    let out = tempfile::tempdir().expect("tempdir");
    let found = run("live", out.path());
    let cases = found["cases"].as_array().expect("cases");
    assert!(cases.iter().all(|case| positive(&case["us_per_packet"]["median"])), "{found}");
    let heard = &cases[1]["heard"];
    assert!(positive(&heard["p99_ms"]["median"]) && positive(&heard["packets"]["median"]), "{found}");
}
