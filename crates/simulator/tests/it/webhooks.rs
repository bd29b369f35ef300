//! Webhooks as a gateway sees them, from the library and from the program.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtms_protocol::{Product, UnixMillis, WebhookKeys, handshake_signature};
use rtms_simulator::engagement::{self, Plan};
use rtms_simulator::faults::Faults;
use rtms_simulator::webhook::{Layout, WebhookSender};
use rtms_simulator::{Encryption, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, config, credentials, identity, quick, ready};

const TOKEN: &str = "token";

/// A gateway that verifies, remembers, and fails as often as it is told.
struct Gateway {
    url: String,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Gateway {
    async fn start(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Value>>> = Arc::default();
        let seen = Arc::clone(&received);
        tokio::spawn(async move {
            let mut count = 0;
            while let Ok((tcp, _)) = listener.accept().await {
                count += 1;
                serve(tcp, count <= failures, &seen).await;
            }
        });
        Self { url, received }
    }

    fn events(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|body| body["event"].as_str().unwrap().to_owned()).collect()
    }
}

async fn serve(tcp: TcpStream, fail: bool, seen: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(tcp);
    let (mut length, mut timestamp, mut signature, mut line) =
        (0, String::new(), String::new(), String::new());
    reader.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("POST /api/webhooks/zoom "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name {
            "content-length" => length = value.parse().unwrap(),
            "x-zm-request-timestamp" => value.clone_into(&mut timestamp),
            "x-zm-signature" => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    let keys = WebhookKeys::new(vec![TOKEN.to_owned().into()]).unwrap();
    let now = UnixMillis(timestamp.parse::<i64>().unwrap() * 1000);
    keys.verify(now, &timestamp, &signature, &body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (status, answer) = if fail { ("503 No", json!({})) } else { ("200 OK", answer(&keys, &body)) };
    if !fail {
        seen.lock().unwrap().push(body);
    }
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    reader.get_mut().write_all((head + &answer).as_bytes()).await.unwrap();
}

fn answer(keys: &WebhookKeys, body: &Value) -> Value {
    match body["payload"]["plainToken"].as_str() {
        Some(plain) => serde_json::to_value(keys.url_validation(plain).unwrap()).unwrap(),
        None => json!({"received": true}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engagement_is_announced_again_until_it_is_accepted() {
    let gateway = Gateway::start(2).await;
    let again = vec![Duration::from_millis(20), Duration::from_millis(20)];
    let sender = WebhookSender::new(&gateway.url, TOKEN.to_owned().into(), again).unwrap();
    let simulator = Simulator::start(config(1.0)).await.unwrap();
    let program = simulator.usual_program(Product::Phone, 3_000);
    let plan = Plan {
        identity: identity(Product::Phone),
        program,
        faults: Faults::default(),
        layout: Layout::Nested,
    };
    let client = async {
        let mut signaling = Client::open(&simulator, "signaling").await;
        signaling.send(&crate::client::handshake()).await;
        signaling.next().await;
        let mut media = Client::open(&simulator, "media/all").await;
        media.send(&crate::client::media_handshake(32, json!({}))).await;
        media.next().await;
        signaling.send(&ready()).await;
        tokio::join!(media.rest(), signaling.rest())
    };
    let (outcome, _) = tokio::join!(engagement::play(&simulator, &sender, plan), client);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.started.attempts, outcome.started.status), (3, Some(200)));
    assert!(outcome.is_complete());
    assert_eq!(gateway.events(), ["phone.rtms_started", "phone.rtms_stopped"]);
    let bodies = gateway.received.lock().unwrap().clone();
    assert_eq!(bodies[0]["event_ts"], outcome.played.time_zero.0);
    assert!(bodies[0]["payload"]["object"]["server_urls"].as_str().unwrap().ends_with("/signaling"));
    assert_eq!(bodies[1]["payload"]["object"]["stop_reason"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_came_is_no_success() {
    let gateway = Gateway::start(0).await;
    let sender = WebhookSender::new(&gateway.url, TOKEN.to_owned().into(), Vec::new()).unwrap();
    let mut config = config(1.0);
    (config.timing, config.encryption) = (quick(), Encryption::MadeUp);
    let simulator = Simulator::start(config).await.unwrap();
    let program = simulator.usual_program(Product::ContactCenter, 60_000);
    let identity = identity(Product::ContactCenter);
    let plan = Plan { identity, program, faults: Faults::default(), layout: Layout::Flat };
    let outcome = engagement::play(&simulator, &sender, plan).await.unwrap();
    assert!(!outcome.is_complete());
    assert_eq!(gateway.events(), ["contact_center.voice_rtms_started", "contact_center.voice_rtms_stopped"]);
    assert_eq!(gateway.received.lock().unwrap()[1]["payload"]["stop_reason"], 11);
}

/// Joins the stream of a `…started` and takes all of it.
async fn take(started: Value) {
    let payload = &started["payload"];
    let (id, stream_id) =
        (payload["engagement_id"].as_str().unwrap(), payload["rtms_stream_id"].as_str().unwrap());
    let address =
        payload["server_urls"].as_str().unwrap().trim_start_matches("ws://").replace("/signaling", "");
    let signature = handshake_signature(&credentials(), id, stream_id);
    let with = |mut message: Value| {
        message["engagement_id"] = json!(id);
        message["rtms_stream_id"] = json!(stream_id);
        message["signature"] = json!(signature);
        message
    };
    let mut signaling = Client::connect(&address, "signaling").await;
    signaling.send(&with(crate::client::handshake())).await;
    signaling.next().await;
    let mut media = Client::connect(&address, "media/all").await;
    media.send(&with(crate::client::media_handshake(32, json!({})))).await;
    media.next().await;
    signaling.send(&with(ready())).await;
    tokio::join!(media.rest(), signaling.rest());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_loads_and_reports_its_own_lateness() {
    let gateway = Gateway::start(0).await;
    let received = Arc::clone(&gateway.received);
    let clients = tokio::spawn(async move {
        let (mut seen, mut taking) = (0, tokio::task::JoinSet::new());
        while taking.len() < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let news: Vec<Value> = received.lock().unwrap()[seen..].to_vec();
            seen += news.len();
            for started in
                news.into_iter().filter(|body| body["event"].as_str().unwrap().ends_with("started"))
            {
                taking.spawn(take(started));
            }
        }
        taking.join_all().await;
    });
    let arguments = ["load", "--streams", "20", "--ramp", "0.5", "--duration", "6", "--insecure", "--json"];
    let output = program(&arguments)
        .args([
            "--gateway",
            &gateway.url,
            "--secret-token",
            TOKEN,
            "--client-id",
            "cid",
            "--client-secret",
            "secret",
        ])
        .output()
        .await
        .unwrap();
    clients.await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&report["complete"], &report["audio_packets"]), (&json!(20), &json!(20 * 300)));
    assert!(report["own_lateness"]["packets"].as_u64().unwrap() > 0);
    eprintln!("{report}");
}

fn program(arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rtms-simulator"));
    command.args(arguments).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_calls_and_says_what_was_not_taken() {
    let gateway = Gateway::start(0).await;
    let output = program(&[
        "call",
        "--gateway",
        &gateway.url,
        "--validate-url",
        "--duration",
        "1",
        "--speed",
        "20",
        "--json",
    ])
    .env("ZOOM_SECRET_TOKEN", TOKEN)
    .env("ZOOM_APP_CLIENT_ID", credentials().client_id)
    .env("ZOOM_APP_CLIENT_SECRET", "secret")
    .output()
    .await
    .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "nobody joined: {log}");
    assert!(log.contains("INFO") && !log.contains('\u{1b}'), "no colours where nobody looks: {log}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["complete"], &summary["started_webhook"]["status"]), (&json!(false), &json!(200)));
    assert_eq!(gateway.events()[0], "endpoint.url_validation");
    assert_eq!(gateway.events().len(), 3);
}

#[tokio::test]
async fn missing_settings_are_all_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(&["call"]).current_dir(folder.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["ZOOM_APP_CLIENT_ID", "ZOOM_APP_CLIENT_SECRET", "ZOOM_SECRET_TOKEN"] {
        assert_eq!(text.lines().filter(|line| line.contains(&format!("{name}:"))).count(), 1, "{text}");
    }
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn settings_come_from_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret\n").unwrap();
    let file = folder.path().join("simulator.toml");
    let text = format!(
        "zoom_app_client_id = \"cid\"\nZOOM_APP_CLIENT_SECRET_FILE = {secret:?}\nGATEWAY_PORT = 3001\n"
    );
    std::fs::write(&file, text).unwrap();
    let ca = folder.path().join("ca.pem");
    let arguments = [
        "--config",
        file.to_str().unwrap(),
        "serve",
        "--port",
        "0",
        "--run-for",
        "0",
        "--ca-out",
        ca.to_str().unwrap(),
    ];
    let output = program(&arguments).current_dir(folder.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("wss://localhost:"));
    assert!(std::fs::read_to_string(ca).unwrap().contains("BEGIN CERTIFICATE"));
}
