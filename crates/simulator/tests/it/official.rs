//! Zoom's own client library joins over TLS. It is the only peer here that we did not write.

use std::process::Stdio;

use rtms_protocol::{Product, StreamIdentity};
use rtms_simulator::faults::Faults;
use rtms_simulator::{Simulator, SimulatorConfig};
use serde_json::Value;

use crate::client::credentials;

/// Joins as `product` with Zoom's client and returns what that client says; `None` where the check is switched off.
async fn join(product: Product, options: &[&str]) -> Option<Value> {
    if std::env::var("RTMS_SKIP_OFFICIAL_CLIENT").is_ok_and(|skip| skip == "1") {
        eprintln!("Zoom's own client is not asked: RTMS_SKIP_OFFICIAL_CLIENT=1");
        return None;
    }
    let simulator = Simulator::start(SimulatorConfig::new(credentials())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, simulator.ca_pem().unwrap()).unwrap();
    let identity = StreamIdentity { product, id: "abc123".into(), stream_id: "xyz789".into() };
    let stream =
        simulator.announce(identity, simulator.usual_program(product, 60_000), Faults::default()).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/official_client.py");
    let python = std::env::var("RTMS_PYTHON").unwrap_or_else(|_| "python3.11".into());
    let child = tokio::process::Command::new(python)
        .args([script, stream.signaling_url(), "xyz789", "abc123"])
        .arg(&ca)
        .args(options)
        .env("RTMS_CLIENT_ID", "cid")
        .env("RTMS_CLIENT_SECRET", "secret")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child)
        .await
        .expect("Zoom's client did not end")
        .expect("python3.11 is needed (or RTMS_PYTHON, or RTMS_SKIP_OFFICIAL_CLIENT=1)");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    Some(report.unwrap_or_else(|| {
        panic!("no report: is rtms==1.1.0 installed? {}\n{text}", String::from_utf8_lossy(&output.stderr))
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_receives_an_engagement() {
    let Some(report) =
        join(Product::ContactCenter, &["--until-audio", "260", "--until-transcripts", "1"]).await
    else {
        return;
    };
    assert_eq!(report["join"], 0, "{report}");
    assert!(report["audio"].as_u64().unwrap() >= 200, "{report}");
    assert_eq!(report["audio_bytes"].as_u64().unwrap(), report["audio"].as_u64().unwrap() * 640);
    assert_eq!(report["lines"][0], "Hello, this is Northwind support. How can I help you?");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_receives_a_meeting_with_video() {
    let Some(report) = join(Product::Meeting, &["--until-audio", "200", "--until-video", "40"]).await else {
        return;
    };
    assert_eq!(report["join"], 0, "{report}");
    assert!(report["video"].as_u64().unwrap() >= 40, "{report}");
}

/// Its own default is Opus, 48 kHz, stereo.
#[tokio::test(flavor = "multi_thread")]
async fn it_receives_its_default_which_is_opus() {
    let Some(report) = join(Product::ContactCenter, &["--library-default", "--until-audio", "200"]).await
    else {
        return;
    };
    assert_eq!(report["join"], 0, "{report}");
    let (packets, bytes) = (report["audio"].as_u64().unwrap(), report["audio_bytes"].as_u64().unwrap());
    assert!(packets >= 200, "{report}");
    // 20 ms of L16 in that format would be 3840 bytes.
    assert!((20..400).contains(&(bytes / packets)), "{report}");
}
