//! The two signatures of RTMS: the one by which Zoom proves a webhook, and the one by which we prove a handshake.
//!
//! # The trap in URL validation
//! Zoom validates a webhook URL by sending a `plainToken` and asking for its HMAC under the very key that signs
//! webhooks. Answered without care, that is a signing service: whoever sends `plainToken = "v0:<ts>:<body>"` gets
//! back a valid signature for any body. So an unsigned request is answered only for a token that cannot be such a
//! message (no colon, at most 64 harmless characters); see [`WebhookKeys::url_validation`].

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;

use crate::time::UnixMillis;

/// How far a webhook's timestamp may be from now, either way, in ms.
pub const TIMESTAMP_TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// The longest `plainToken` that is answered, in characters. Zoom's have 22.
const LONGEST_TOKEN: usize = 64;

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// `x-zm-signature` or `x-zm-request-timestamp` is missing.
    #[error("missing signature or timestamp header")]
    Missing,
    /// A header is not of Zoom's form.
    #[error("malformed signature or timestamp header")]
    Malformed,
    /// The timestamp is more than five minutes off.
    #[error("timestamp is too far from now")]
    Stale,
    /// The signature was not made with any of our secrets, or not for this body.
    #[error("signature does not match")]
    Mismatch,
}

/// Why secrets cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// No secret was given.
    #[error("no secret token given")]
    None,
    /// One of them is empty, which would let anybody sign.
    #[error("an empty secret token")]
    Empty,
}

/// The token is not one that Zoom sends; answering it could sign a forged webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("plainToken is not a token that Zoom sends")]
pub struct TokenRefused;

/// Answer to `endpoint.url_validation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlValidationAnswer {
    /// The token as it came.
    pub plain_token: String,
    /// Its HMAC-SHA256 under the first secret, in hex.
    pub encrypted_token: String,
}

/// The secrets that may sign webhooks; several while one is rotated.
#[derive(Debug, Clone)]
pub struct WebhookKeys {
    secrets: Vec<SecretString>,
}

impl WebhookKeys {
    /// Keys from secret tokens; the first one signs URL validations.
    ///
    /// # Errors
    /// When there is none, or one is empty.
    pub fn new(secrets: Vec<SecretString>) -> Result<Self, KeysError> {
        if secrets.is_empty() {
            return Err(KeysError::None);
        }
        if secrets.iter().any(|secret| secret.expose_secret().trim().is_empty()) {
            return Err(KeysError::Empty);
        }
        Ok(Self { secrets })
    }

    /// Checks a delivery: headers, age, and the signature over the raw bytes, compared in constant time.
    ///
    /// # Errors
    /// Tells which of these failed.
    pub fn verify(
        &self,
        now: UnixMillis,
        timestamp: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        if timestamp.is_empty() || timestamp.len() > 12 || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SignatureError::Malformed);
        }
        let seconds: i64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
        let given = signature.strip_prefix("v0=").and_then(from_hex).ok_or(SignatureError::Malformed)?;
        if now.since(UnixMillis(seconds.saturating_mul(1000))).saturating_abs() > TIMESTAMP_TOLERANCE_MS {
            return Err(SignatureError::Stale);
        }
        // Every key is tried, whichever matches, so the time does not tell which one it was.
        let matched = self.secrets.iter().fold(false, |matched, secret| {
            webhook_mac(secret, timestamp, body).verify_slice(&given).is_ok() | matched
        });
        if matched { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    /// Answers Zoom's URL validation with the first secret.
    ///
    /// The token must be one that Zoom would send, at most 64 characters of `[A-Za-z0-9_+/=.-]`. That holds for a
    /// signed request too: a colon never belongs there, and what is never signed can never be forged.
    ///
    /// # Errors
    /// When the token is anything else.
    pub fn url_validation(&self, plain_token: &str) -> Result<UrlValidationAnswer, TokenRefused> {
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"_+/=.-".contains(&b);
        if plain_token.is_empty() || plain_token.len() > LONGEST_TOKEN || !plain_token.bytes().all(harmless) {
            return Err(TokenRefused);
        }
        let secret = self.secrets.first().ok_or(TokenRefused)?;
        let mut mac = mac(secret);
        mac.update(plain_token.as_bytes());
        Ok(UrlValidationAnswer {
            plain_token: plain_token.to_owned(),
            encrypted_token: to_hex(&mac.finalize().into_bytes()),
        })
    }
}

/// What signs handshakes: the app's client id and secret, or the Video SDK's key and secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Client id, or SDK key.
    pub client_id: String,
    /// Client secret, or SDK secret.
    pub client_secret: SecretString,
}

/// The signature of a signaling or media handshake, in hex: HMAC-SHA256 over `client_id,id,rtms_stream_id`.
#[must_use]
pub fn handshake_signature(credentials: &Credentials, id: &str, stream_id: &str) -> String {
    to_hex(&handshake_mac(credentials, id, stream_id).finalize().into_bytes())
}

/// Whether `signature` (hex) is the handshake signature of these credentials; constant time. Zoom's side of it.
#[must_use]
pub fn handshake_signature_matches(
    credentials: &Credentials,
    id: &str,
    stream_id: &str,
    signature: &str,
) -> bool {
    let mac = handshake_mac(credentials, id, stream_id);
    from_hex(signature).is_some_and(|given| mac.verify_slice(&given).is_ok())
}

/// The `x-zm-signature` of a webhook. Zoom's side of [`WebhookKeys::verify`].
#[must_use]
pub fn sign_webhook(secret: &SecretString, unix_seconds: i64, body: &[u8]) -> String {
    let mac = webhook_mac(secret, &unix_seconds.to_string(), body);
    format!("v0={}", to_hex(&mac.finalize().into_bytes()))
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length; the error type is shared with ciphers"
)]
fn mac(secret: &SecretString) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length")
}

fn handshake_mac(credentials: &Credentials, id: &str, stream_id: &str) -> Hmac<Sha256> {
    let mut mac = mac(&credentials.client_secret);
    for part in [&credentials.client_id, ",", id, ",", stream_id] {
        mac.update(part.as_bytes());
    }
    mac
}

fn webhook_mac(secret: &SecretString, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = mac(secret);
    mac.update(b"v0:");
    mac.update(timestamp.as_bytes());
    mac.update(b":");
    mac.update(body);
    mac
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The 32 bytes of a digest in hex, either case.
fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMillis = UnixMillis(1_765_449_000_000);
    const TS: &str = "1765449000";

    fn keys(secrets: &[&str]) -> WebhookKeys {
        WebhookKeys::new(secrets.iter().map(|s| SecretString::from(*s)).collect()).unwrap()
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        sign_webhook(&SecretString::from(secret), 1_765_449_000, body)
    }

    #[test]
    fn matches_a_signature_made_elsewhere() {
        // printf 'v0:1765449000:{}' | openssl dgst -sha256 -hmac secret
        let expected = "v0=6c87b053aed026d6616ab363b8c6ef442a7261fa2513f3166bf65d51313dc182";
        assert_eq!(sign("secret", b"{}"), expected);
        keys(&["secret"]).verify(NOW, TS, expected, b"{}").unwrap();
    }

    #[test]
    fn handshake_signature_made_elsewhere() {
        // printf 'cid,abc123,xyz789' | openssl dgst -sha256 -hmac csecret
        let credentials = Credentials { client_id: "cid".into(), client_secret: "csecret".into() };
        let expected = "05de692a17dd6129feb350b0babaa646cd8a823ba184f9d9804bab979e8cae26";
        assert_eq!(handshake_signature(&credentials, "abc123", "xyz789"), expected);
        assert!(handshake_signature_matches(&credentials, "abc123", "xyz789", expected));
        assert!(!handshake_signature_matches(&credentials, "abc124", "xyz789", expected));
    }

    #[test]
    fn any_of_several_secrets_verifies_and_the_first_signs() {
        let both = keys(&["new", "old"]);
        both.verify(NOW, TS, &sign("old", b"x"), b"x").unwrap();
        both.verify(NOW, TS, &sign("new", b"x"), b"x").unwrap();
        assert_eq!(both.verify(NOW, TS, &sign("else", b"x"), b"x"), Err(SignatureError::Mismatch));
        assert_eq!(both.url_validation("abc").unwrap(), keys(&["new"]).url_validation("abc").unwrap());
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(WebhookKeys::new(vec![]).unwrap_err(), KeysError::None);
        assert_eq!(WebhookKeys::new(vec!["a".into(), " ".into()]).unwrap_err(), KeysError::Empty);
    }

    #[test]
    fn five_minutes_either_way() {
        let keys = keys(&["s"]);
        let signature = sign("s", b"x");
        let at = |ms| keys.verify(NOW.plus(ms), TS, &signature, b"x");
        assert_eq!(at(300_000), Ok(()));
        assert_eq!(at(-300_000), Ok(()));
        assert_eq!(at(300_001), Err(SignatureError::Stale));
        assert_eq!(at(-300_001), Err(SignatureError::Stale));
    }

    #[test]
    fn odd_headers_are_malformed() {
        let keys = keys(&["s"]);
        let signature = sign("s", b"x");
        for timestamp in
            ["", "abc", "1765449000.0", "-1765449000", "+1765449000", "9999999999999", " 1765449000"]
        {
            assert_eq!(
                keys.verify(NOW, timestamp, &signature, b"x"),
                Err(SignatureError::Malformed),
                "{timestamp}"
            );
        }
        for signature in ["", "v0=", "v1=00", &signature[3..], "v0=zz"] {
            assert_eq!(keys.verify(NOW, TS, signature, b"x"), Err(SignatureError::Malformed), "{signature}");
        }
    }

    #[test]
    fn url_validation_signs_no_webhook() {
        let keys = keys(&["s"]);
        let forged = format!("v0:{TS}:{{}}");
        assert_eq!(keys.url_validation(&forged), Err(TokenRefused));
        assert_eq!(keys.url_validation(""), Err(TokenRefused));
        assert_eq!(keys.url_validation(&"a".repeat(65)), Err(TokenRefused));
        assert!(keys.url_validation(&"a".repeat(64)).is_ok());
        assert!(keys.url_validation("q9ibPhGeRZ6ayx5WTrXjRw").is_ok());
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", keys(&["hush-hush"]));
        assert!(!shown.contains("hush"), "{shown}");
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_noticed(body in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>()) {
            let keys = keys(&["s"]);
            let signature = sign("s", &body);
            prop_assert_eq!(keys.verify(NOW, TS, &signature, &body), Ok(()));
            let mut forged = body.clone();
            forged[at.index(body.len())] ^= 1;
            prop_assert_eq!(keys.verify(NOW, TS, &signature, &forged), Err(SignatureError::Mismatch));
        }

        #[test]
        fn no_answered_token_is_a_signed_message(token in ".{0,80}") {
            if keys(&["s"]).url_validation(&token).is_ok() {
                prop_assert!(!token.contains(':'));
            }
        }
    }
}
