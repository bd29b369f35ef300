//! The program itself: exit status, error lines, signals, a kill, a full disk.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use axum::http::StatusCode;
use rtms_protocol::sign_webhook;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::{PATIENCE, SECRET, Worker, client, event, folder, own_host};

const BINARY: &str = env!("CARGO_BIN_EXE_rtms-gateway");

fn command(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().current_dir(folder).kill_on_drop(true).envs(environment.iter().copied());
    command
}

async fn output(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = command(folder, environment);
    tokio::time::timeout(PATIENCE, command.args(arguments).output()).await.unwrap().unwrap()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// A port that is free at this process's own address; the program needs a number.
async fn free_port() -> u16 {
    TcpListener::bind((own_host(), 0)).await.unwrap().local_addr().unwrap().port()
}

/// A running gateway process.
struct Process {
    child: Child,
    port: u16,
    admin: u16,
}

impl Process {
    /// Starts it, by `shell` in front of it if that is given, and waits until it answers.
    async fn start(folder: &Path, worker: &str, shell: Option<&str>) -> Self {
        let (port, admin) = (free_port().await, free_port().await);
        let mut command = match shell {
            None => Command::new(BINARY),
            Some(before) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", &format!("{before} exec {BINARY}")]);
                command
            }
        };
        command.env_clear().current_dir(folder).kill_on_drop(true).stdout(Stdio::piped());
        command.env("ZOOM_SECRET_TOKEN", SECRET).env("RTMS_SERVER_URL", worker);
        command.env("GATEWAY_HOST", own_host().to_string()).env("GATEWAY_PORT", port.to_string());
        command.env("GATEWAY_ADMIN_PORT", admin.to_string());
        let process = Self { child: command.spawn().unwrap(), port, admin };
        let began = std::time::Instant::now();
        while client().get(process.at("health")).send().await.is_err() {
            assert!(began.elapsed() < PATIENCE, "the gateway does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}:{}/{path}", own_host(), self.port)
    }

    async fn deliver(&self, body: &Value) -> reqwest::Response {
        let body = body.to_string();
        let now = rtms_service::time::unix_millis() / 1000;
        let signature = sign_webhook(&SecretString::from(SECRET), now, body.as_bytes());
        client()
            .post(self.at("api/webhooks/zoom"))
            .header("x-zm-request-timestamp", now)
            .header("x-zm-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code()
    }
}

#[tokio::test]
async fn every_wrong_setting_is_one_line_and_the_status_is_2() {
    let dir = folder();
    let environment = [
        ("GATEWAY_PORT", "high"),
        ("RTMS_SERVER_URL", "worker:3002"),
        ("LOG_FORMAT", "xml"),
        ("GATEWAY_ADMIN_PORT", ""),
    ];
    for arguments in [&[][..], &["check"][..]] {
        let output = output(dir.path(), arguments, &environment).await;
        assert_eq!(output.status.code(), Some(2));
        let lines = lines(&output.stderr);
        let names: Vec<_> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(
            names,
            ["ZOOM_SECRET_TOKEN", "RTMS_SERVER_URL", "GATEWAY_PORT", "LOG_FORMAT"],
            "{lines:?}"
        );
        assert!(lines.iter().all(|line| line.contains("example: ")), "{lines:?}");
    }
    assert!(!dir.path().join("gateway-data").exists());
}

#[tokio::test]
async fn help_and_version() {
    let dir = folder();
    let help = output(dir.path(), &["--help"], &[]).await;
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in ["check", "health", "--config", "ZOOM_SECRET_TOKEN", "GATEWAY_ADMIN_PORT"] {
        assert!(text.contains(word), "{word}");
    }
    let version = output(dir.path(), &["--version"], &[]).await;
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("rtms-gateway "));
}

#[tokio::test]
async fn a_port_in_use_is_one_line_and_status_2() {
    let dir = folder();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for variable in ["GATEWAY_PORT", "GATEWAY_ADMIN_PORT"] {
        let (one, two) = if variable == "GATEWAY_PORT" { (port.as_str(), "0") } else { ("0", port.as_str()) };
        let environment = [
            ("ZOOM_SECRET_TOKEN", "a"),
            ("GATEWAY_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", one),
            ("GATEWAY_ADMIN_PORT", two),
        ];
        let output = output(dir.path(), &[], &environment).await;
        assert_eq!(output.status.code(), Some(2));
        let lines = lines(&output.stderr);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{variable}: ")) && lines[0].contains("in use"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_is_one_line_and_status_2() {
    let dir = folder();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let environment = [
        ("ZOOM_SECRET_TOKEN", "a"),
        ("GATEWAY_HOST", "127.0.0.1"),
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_ADMIN_PORT", "0"),
        ("GATEWAY_DATA_DIR", "file/below"),
        ("LOG_FORMAT", "json"),
    ];
    let output = output(dir.path(), &[], &environment).await;
    assert_eq!(output.status.code(), Some(2));
    let lines = lines(&output.stderr);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("GATEWAY_DATA_DIR: "), "{lines:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing is said to run");
}

#[tokio::test]
async fn check_reaches_for_the_worker_and_the_folder() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let url = worker.url();
    let good = output(dir.path(), &["check"], &[("ZOOM_SECRET_TOKEN", "a"), ("RTMS_SERVER_URL", &url)]).await;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    assert_eq!(lines(&good.stdout).len(), 3, "{good:?}");
    let environment = [("ZOOM_SECRET_TOKEN", "a"), ("RTMS_SERVER_URL", "http://127.0.0.1:1")];
    let bad = output(dir.path(), &["check"], &environment).await;
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("FAIL  worker http://127.0.0.1:1"), "{bad:?}");
}

#[tokio::test]
async fn health_asks_the_running_one_and_sigterm_stops_it() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let mut process = Process::start(dir.path(), &worker.url(), None).await;
    let (host, port) = (own_host().to_string(), process.port.to_string());
    let environment = [("GATEWAY_HOST", host.as_str()), ("GATEWAY_PORT", port.as_str())];
    let asked = output(dir.path(), &["health"], &environment).await;
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await, Some(0));
    let asked = output(dir.path(), &["health"], &environment).await;
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let dir = folder();
    let mut process = Process::start(dir.path(), "http://127.0.0.1:1", None).await;
    // A request in work, which the graceful stop waits for.
    let mut stream = TcpStream::connect((own_host(), process.port)).await.unwrap();
    let head = "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The gateway asks for the rest once it has begun to work on it.
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(asked, *b"HTTP/1.1 100");
    process.signal(Signal::TERM);
    while TcpStream::connect((own_host(), process.port)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.signal(Signal::INT);
    assert_eq!(process.ended().await, Some(130));
}

#[tokio::test]
async fn logs_are_json_lines_without_secrets_or_payloads() {
    let (dir, worker) = (folder(), Worker::start(&[500]).await);
    let dot_env = "LOG_FORMAT=json\nRUST_LOG=debug\nRTMS_INTERNAL_TOKEN=inner-secret\n";
    std::fs::write(dir.path().join(".env"), dot_env).unwrap();
    let mut process = Process::start(dir.path(), &worker.url(), None).await;
    process.deliver(&event("started", "xyz789", 1)).await;
    process
        .deliver(&json!({"event": "endpoint.url_validation", "payload": {"plainToken": "tokenXYZ"}}))
        .await;
    worker.wait_for(2).await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await, Some(0));
    let mut log = String::new();
    process.child.stdout.take().unwrap().read_to_string(&mut log).await.unwrap();
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let timestamp = value["timestamp"].as_str().unwrap();
        assert_eq!((timestamp.len(), timestamp.ends_with('Z')), (24, true), "{line}");
        assert!(value["level"].is_string() && value["message"].is_string(), "{line}");
    }
    assert!(log.contains("\"stream\":\"xyz789\""), "{log}");
    for secret in [SECRET, "inner-secret", "tokenXYZ", "wss://rtms.zoom.us"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[tokio::test]
async fn killed_right_after_its_answer_it_still_delivers() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let mut process = Process::start(dir.path(), "http://127.0.0.1:1", None).await;
    for n in 0..10 {
        assert_eq!(process.deliver(&event("started", &format!("s{n}"), 1)).await.status(), StatusCode::OK);
    }
    process.signal(Signal::KILL);
    assert_eq!(process.ended().await, None);
    let process = Process::start(dir.path(), &worker.url(), None).await;
    let mut arrived = worker.wait_for(10).await;
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived.len(), 10);
    // And what Zoom repeats after the kill is recognised.
    assert_eq!(process.deliver(&event("started", "s3", 1)).await.status(), StatusCode::OK);
    process.deliver(&event("started", "last", 1)).await;
    assert_eq!(worker.wait_for(11).await.last().unwrap(), "started last");
}

/// A file that may not grow is to SQLite what a full disk is.
#[tokio::test]
async fn on_a_full_disk_zoom_gets_503_and_what_got_200_is_delivered() {
    let (dir, worker) = (folder(), Worker::start(&[]).await);
    let full = "trap '' XFSZ; ulimit -f 600;";
    let mut process = Process::start(dir.path(), "http://127.0.0.1:1", Some(full)).await;
    let mut accepted = Vec::new();
    let mut refused = 0;
    for n in 0..40 {
        let stream = format!("s{n}");
        let mut body = event("started", &stream, 1);
        body["payload"]["padding"] = json!("x".repeat(40_000));
        let answer = process.deliver(&body).await;
        match answer.status() {
            StatusCode::OK => accepted.push(format!("started {stream}")),
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(answer.headers().contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused > 0, "the disk never was full");
    assert!(!accepted.is_empty());
    let alive = client().get(process.at("health")).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    let metrics =
        client().get(format!("http://{}:{}/metrics", own_host(), process.admin)).send().await.unwrap();
    assert!(metrics.text().await.unwrap().contains("outcome=\"not_written\""));
    process.signal(Signal::KILL);
    process.ended().await;
    let _process = Process::start(dir.path(), &worker.url(), None).await;
    let mut arrived = worker.wait_for(accepted.len()).await;
    arrived.sort();
    arrived.dedup();
    accepted.sort();
    assert_eq!(arrived, accepted);
}
