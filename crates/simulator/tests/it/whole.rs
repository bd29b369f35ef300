//! A stream that is taken whole, by a client that does everything right.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rtms_protocol::{MediaParams, Product, event_name};
use rtms_simulator::content::Content;
use rtms_simulator::faults::Faults;
use rtms_simulator::scenario::{Program, Scenario};
use rtms_simulator::{Played, Simulator};
use serde_json::{Value, json};

use crate::client::{Received, Stage, config, ready, received};

/// What came, and what the simulator says that it sent.
pub(crate) struct Whole {
    /// Media messages.
    pub(crate) messages: Vec<Value>,
    /// The same, read.
    pub(crate) packets: Vec<Received>,
    /// Messages on the signaling socket.
    pub(crate) told: Vec<Value>,
    pub(crate) played: Played,
}

/// What is to be taken.
pub(crate) struct Wish {
    pub(crate) scenario: Scenario,
    pub(crate) content: Arc<Content>,
    pub(crate) media_type: i64,
    pub(crate) params: Value,
    pub(crate) faults: Faults,
    /// How many times faster than life.
    pub(crate) speed: f64,
}

impl Wish {
    pub(crate) fn usual(product: Product, duration_ms: i64, media_type: i64, params: Value) -> Self {
        Self::of(Scenario::of(product, duration_ms), media_type, params)
    }

    pub(crate) fn of(scenario: Scenario, media_type: i64, params: Value) -> Self {
        Self {
            scenario,
            content: Content::built_in(),
            media_type,
            params,
            faults: Faults::default(),
            speed: 10.0,
        }
    }

    /// Takes all of it on one socket, as fast as it comes.
    pub(crate) async fn taken(self) -> Whole {
        let simulator = Simulator::start(config(self.speed)).await.unwrap();
        let product = self.scenario.product;
        let events: Vec<Value> = (2..30)
            .filter(|&code| code != 7 && event_name(product, code) != "UNKNOWN")
            .map(|code| json!({"event_type": code, "subscribe": true}))
            .collect();
        let program = Program::new(self.scenario, self.content);
        // The stream's clock does not wait for a codec.
        let params: MediaParams = serde_json::from_value(self.params.clone()).unwrap();
        program.render(&params);
        let mut stage = Stage::playing(simulator, program, self.faults);
        let mut signaling = stage.signaling().await;
        signaling.send(&json!({"msg_type": 5, "events": events})).await;
        let mut media = stage.media("media/all", self.media_type, self.params).await;
        signaling.send(&ready()).await;
        let (messages, told) = tokio::join!(media.rest(), signaling.rest());
        let packets = messages.iter().map(received).collect();
        Whole { messages, packets, told, played: stage.stream.ended().await }
    }
}

impl Whole {
    /// Codes and contents of the events, in the order in which they came.
    pub(crate) fn events(&self) -> Vec<(i64, &Value)> {
        let events = self.told.iter().filter(|m| m["msg_type"] == 6).map(|m| &m["event"]);
        events.filter_map(|event| Some((event["event_type"].as_i64()?, event))).collect()
    }
}

/// What ffmpeg or ffprobe writes, reading `input`; a complaint is a failure.
pub(crate) fn asked(program: &str, arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(["-v", "error"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg and ffprobe must be on PATH for these tests");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // ffprobe stops reading when it knows enough.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
