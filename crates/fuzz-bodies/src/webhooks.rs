//! A request to the public endpoint: two headers and a body, as a stranger may choose them.
//!
//! The input is three parts with a line break between them: timestamp, signature, body. The same body is also tried
//! with a signature that holds, and as the token of a URL validation.

use rtms_protocol::webhook::LONGEST_ID;
use rtms_protocol::{
    SignatureError, StreamAction, UnixMillis, Webhook, WebhookKeys, WebhookKind, sign_webhook,
};
use secrecy::SecretString;

const NOW: UnixMillis = UnixMillis(1_765_449_000_000);
const SECRETS: [&str; 2] = ["hush", "former"];

/// Verifies, reads, answers.
pub fn webhooks(bytes: &[u8]) {
    let keys = WebhookKeys::new(SECRETS.map(SecretString::from).to_vec()).expect("two secrets");
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut header = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (timestamp, signature) = (header(), header());
    let body = parts.next().unwrap_or_default();
    strangers_signature(&keys, &timestamp, &signature, body);
    true_signature(&keys, body);
    token(&keys, &signature);
    if let Ok(text) = std::str::from_utf8(body) {
        token(&keys, text);
    }
    if let Ok(webhook) = Webhook::parse(body) {
        read(&keys, webhook.kind);
    }
}

/// Believed only if it is what one of the secrets makes of exactly these bytes, at about this time.
fn strangers_signature(keys: &WebhookKeys, timestamp: &str, signature: &str, body: &[u8]) {
    if keys.verify(NOW, timestamp, signature, body).is_ok() {
        let seconds: i64 = timestamp.parse().expect("digits only");
        assert!((NOW.0 - seconds * 1000).abs() <= 300_000, "believed at {timestamp}");
        let made = |secret: &str| hex_of(&sign_webhook(&SecretString::from(secret), seconds, body));
        // A number can be written with zeros in front, and is signed as it was written.
        let padded = timestamp != seconds.to_string();
        assert!(padded || SECRETS.iter().any(|secret| made(secret) == hex_of(signature)));
    }
}

fn hex_of(signature: &str) -> String {
    signature.trim_start_matches("v0=").to_ascii_lowercase()
}

fn true_signature(keys: &WebhookKeys, body: &[u8]) {
    let seconds = NOW.0 / 1000;
    let signature = sign_webhook(&SecretString::from(SECRETS[1]), seconds, body);
    assert_eq!(keys.verify(NOW, &seconds.to_string(), &signature, body), Ok(()));
    let longer = [body, b" "].concat();
    let refused = keys.verify(NOW, &seconds.to_string(), &signature, &longer);
    assert_eq!(refused, Err(SignatureError::Mismatch));
    let later = NOW.plus(300_001);
    assert_eq!(keys.verify(later, &seconds.to_string(), &signature, body), Err(SignatureError::Stale));
}

/// What is answered cannot be the text that a webhook's signature covers.
fn token(keys: &WebhookKeys, token: &str) {
    if let Ok(answer) = keys.url_validation(token) {
        assert!(!token.contains(':') && token.len() <= 64, "{token:?} was signed");
        assert!(answer.plain_token == token && answer.encrypted_token.len() == 64);
    }
}

fn read(keys: &WebhookKeys, kind: WebhookKind) {
    match kind {
        WebhookKind::UrlValidation { plain_token } => token(keys, &plain_token),
        WebhookKind::Stream(stream) => {
            let identity = stream.identity;
            assert!(!identity.stream_id.is_empty() && identity.stream_id.len() <= LONGEST_ID);
            assert!(identity.id.len() <= LONGEST_ID);
            if let StreamAction::Started { server_urls, .. } = stream.action {
                assert!(!identity.id.is_empty() && (1..=16).contains(&server_urls.len()));
                assert!(server_urls.iter().all(|url| !url.is_empty()));
            }
        }
        WebhookKind::Account(_) | WebhookKind::Other => {}
    }
}
