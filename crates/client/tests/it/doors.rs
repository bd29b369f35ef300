//! Servers that are not to be believed: wrong certificates, and answers that point elsewhere.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rtms_client::{ClientOptions, TlsRoots, UrlPolicy};
use rtms_protocol::session::{CloseCause, Notice};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::zoom::{Learned, client, learn, plain_options};

/// Why the first attempt failed.
fn first_failure(learned: &Learned) -> Option<&str> {
    learned.notices.iter().find_map(|notice| match notice {
        Notice::SocketLost { cause: CloseCause::ConnectFailed(why), .. } => Some(why.as_str()),
        _ => None,
    })
}

/// A CA, in a file of its own for [`TlsRoots`].
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Ca {
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file, _folder: folder }
    }

    /// What a server shows: a certificate for `host`, changed by `change`.
    fn server(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Connects to a TLS server once. Returns what the client says of it, and the bytes that the server got to read.
async fn knock(acceptor: TlsAcceptor, trusted: &Ca) -> (String, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/signaling", listener.local_addr().unwrap().port());
    let (sender, mut got) = mpsc::channel(1);
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        if let Ok(mut stream) = acceptor.accept(tcp).await {
            // One read: the upgrade. Then the connection ends, which fails this attempt in every case.
            let _ = stream.read_buf(&mut bytes).await;
        }
        sender.send(bytes).await.unwrap();
    });
    let roots = TlsRoots::system(Some(&trusted.file)).unwrap();
    let options = ClientOptions::new(roots, UrlPolicy::parse("localhost", false).unwrap());
    let mut client = client(&url, options);
    let learned = learn(&mut client, |learned| first_failure(learned).is_some()).await;
    (first_failure(&learned).unwrap().to_owned(), got.recv().await.unwrap())
}

#[tokio::test]
async fn a_certificate_that_is_right_gets_the_upgrade() {
    let ca = Ca::named("trusted");
    let (_, got) = knock(ca.server("localhost", |_| {}), &ca).await;
    assert!(got.starts_with(b"GET /signaling HTTP/1.1\r\n"), "{got:?}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_refused() {
    for (name, expected) in [("another", "UnknownIssuer"), ("trusted", "BadSignature")] {
        let (why, got) = knock(Ca::named(name).server("localhost", |_| {}), &Ca::named("trusted")).await;
        assert!(why.contains(expected), "{why}");
        assert!(got.is_empty(), "not a byte was said to it");
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let ca = Ca::named("trusted");
    let (why, got) = knock(ca.server("rtms.zoom.us", |_| {}), &ca).await;
    assert!(why.contains("not valid for name"), "{why}");
    assert!(got.is_empty());
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let ca = Ca::named("trusted");
    let expired = ca.server("localhost", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let (why, got) = knock(expired, &ca).await;
    assert!(why.contains("expired"), "{why}");
    assert!(got.is_empty());
}

#[tokio::test]
async fn a_redirect_is_a_failed_attempt_and_not_followed() {
    for status in [301, 302, 307, 308] {
        let (listener, elsewhere) = (listen().await, listen().await);
        let target = format!("ws://{}/", elsewhere.local_addr().unwrap());
        let url = format!("ws://{}/signaling", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.read_buf(&mut Vec::new()).await.unwrap();
            let answer =
                format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
            tcp.write_all(answer.as_bytes()).await.unwrap();
            // Open until the client leaves, so that the answer is what ends the attempt.
            let _ = tcp.read_buf(&mut Vec::new()).await;
        });
        let mut client = client(&url, plain_options());
        let learned = learn(&mut client, |learned| first_failure(learned).is_some()).await;
        let why = first_failure(&learned).unwrap();
        assert!(why.contains(&format!("HTTP status {status}")), "{why}");
        // The attempt is over, so a redirect that was followed would have left a connection here.
        let came =
            std::future::poll_fn(|cx| std::task::Poll::Ready(elsewhere.poll_accept(cx).is_ready())).await;
        assert!(!came, "{status} was followed");
    }
}

/// Where the HTTP answer ends, the frames begin: that must not be a matter of opinion.
#[tokio::test]
async fn an_answer_with_another_end_is_refused() {
    for (before, end) in [("", "\n\n"), ("\r\n\r\n", "\r\n\r\n")] {
        let listener = listen().await;
        let url = format!("ws://{}/signaling", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = tcp.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]);
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = derive_accept_key(key.trim().as_bytes());
            let answer = format!(
                "{before}HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}{end}"
            );
            tcp.write_all(answer.as_bytes()).await.unwrap();
            let _ = tcp.read_buf(&mut Vec::new()).await;
        });
        let mut client = client(&url, plain_options());
        let learned = learn(&mut client, |learned| first_failure(learned).is_some()).await;
        let why = first_failure(&learned).unwrap();
        assert!(why.contains("does not end"), "{before:?} {end:?}: {why}");
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
