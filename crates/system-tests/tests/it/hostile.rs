//! A server of Zoom's that sends what it should not, in the middle of a call: each message costs itself alone.

use rtms_protocol::Product;
use rtms_simulator::faults::{Faults, Rubbish, RubbishAt};

use crate::media::assert_two_parties;
use crate::system::Setup;

/// The sum of a counter's series whose labels hold `label`.
fn counted(metrics: &str, name: &str, label: &str) -> u64 {
    let series = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
    series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_in_the_middle_of_a_call_costs_itself_alone() {
    let system = Setup::default().start().await;
    let program = system.simulator.usual_program(Product::ContactCenter, 24_000);
    let rubbish = Rubbish::ALL.map(|what| RubbishAt { at_ms: 6_000, what }).to_vec();
    let sent = rubbish.len() as u64;
    let faults = Faults { rubbish, ..Faults::default() };
    let recorded = system.record_with(Product::ContactCenter, program, faults).await;

    assert!(recorded.outcome.is_complete(), "{:#}", recorded.outcome.summary());
    assert_eq!(recorded.manifest["state"], "complete");
    assert_two_parties(&recorded);
    assert_eq!(recorded.manifest["interruptions"], serde_json::json!([]));
    let connections = recorded.outcome.played.connections;
    assert_eq!((connections.signaling_handshakes, connections.media_handshakes), (1, 1), "{connections:?}");

    let metrics = system.metrics().await;
    let malformed = |socket| counted(&metrics, "rtms_worker_malformed_messages_total", socket);
    let undecodable = counted(&metrics, "rtms_worker_lost_packets_total", "undecodable");
    // What is not base64 is rubbish on media only.
    assert_eq!(malformed("signaling"), sent - 1);
    assert_eq!(malformed("media") + undecodable, sent, "{metrics}");
    assert!(undecodable > 0 && malformed("media") > 0, "both kinds were there");
    system.stop().await;
}
