//! The gate: nothing of a request is acted on before Zoom's signature holds for its raw bytes.
//!
//! [`Verified`] can only be made here, and only what takes a `Verified` may parse, write or forward. The one
//! thing an unsigned request can get is the answer to Zoom's URL validation, and that answer is an HMAC
//! under the very key that signs webhooks. So a request that carries a signature must verify, whatever it
//! asks, and a token is only answered when it cannot be the text that a webhook's signature covers
//! (`v0:…:…`); that refusal holds for signed requests too, because a key that never signs such a text
//! cannot be misused.

use axum::http::HeaderMap;
use bytes::Bytes;
use rtms_protocol::{
    SignatureError, TokenRefused, UnixMillis, UrlValidationAnswer, Webhook, WebhookKeys, WebhookKind,
};

/// Zoom's signature header.
const SIGNATURE: &str = "x-zm-signature";
/// Zoom's timestamp header, Unix seconds.
const TIMESTAMP: &str = "x-zm-request-timestamp";
/// The longest unsigned body that is looked at, in bytes: a URL validation has about 150.
const LONGEST_UNSIGNED: usize = 4096;

/// A body whose signature held.
#[derive(Debug, Clone)]
pub struct Verified {
    body: Bytes,
}

impl Verified {
    /// The bytes that were signed.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// What the gate lets in.
#[derive(Debug)]
pub enum Admission {
    /// A signed request.
    Verified(Verified),
    /// An unsigned URL validation with a harmless token, answered.
    UrlValidation(UrlValidationAnswer),
}

/// Why the gate stays shut. The answer is 401 each time; the reason is for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An unsigned URL validation whose token Zoom would not send.
    #[error(transparent)]
    Token(#[from] TokenRefused),
}

impl Refusal {
    /// A word for a metric's label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Signature(SignatureError::Missing) => "missing",
            Self::Signature(SignatureError::Malformed) => "malformed",
            Self::Signature(SignatureError::Stale) => "stale",
            Self::Signature(SignatureError::Mismatch) => "mismatch",
            Self::Token(TokenRefused) => "token",
        }
    }
}

/// Holds the secrets and decides.
#[derive(Debug)]
pub struct Gate {
    keys: WebhookKeys,
}

impl Gate {
    /// A gate for these secrets.
    pub fn new(keys: WebhookKeys) -> Self {
        Self { keys }
    }

    /// Decides about a request; `now` is the gateway's clock.
    ///
    /// # Errors
    /// When it is not Zoom's.
    pub fn admit(&self, headers: &HeaderMap, body: Bytes, now: UnixMillis) -> Result<Admission, Refusal> {
        if !headers.contains_key(SIGNATURE) {
            return self.unsigned(&body).map(Admission::UrlValidation);
        }
        let (signature, timestamp) = (only(headers, SIGNATURE)?, only(headers, TIMESTAMP)?);
        self.keys.verify(now, timestamp, signature, &body)?;
        Ok(Admission::Verified(Verified { body }))
    }

    /// Answers a token that came in a request with or without signature.
    ///
    /// # Errors
    /// When it is none that Zoom sends.
    pub fn url_validation(&self, plain_token: &str) -> Result<UrlValidationAnswer, TokenRefused> {
        self.keys.url_validation(plain_token)
    }

    fn unsigned(&self, body: &[u8]) -> Result<UrlValidationAnswer, Refusal> {
        if body.len() > LONGEST_UNSIGNED {
            return Err(SignatureError::Missing.into());
        }
        match Webhook::parse(body).map(|webhook| webhook.kind) {
            Ok(WebhookKind::UrlValidation { plain_token }) => Ok(self.url_validation(&plain_token)?),
            _ => Err(SignatureError::Missing.into()),
        }
    }
}

/// A header that must be there exactly once: with two, gateway and proxy may believe different ones.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureError::Missing)?;
    if values.next().is_some() {
        return Err(SignatureError::Malformed);
    }
    value.to_str().map_err(|_| SignatureError::Malformed)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use rtms_protocol::sign_webhook;
    use secrecy::SecretString;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_765_449_000_000);

    fn gate() -> Gate {
        Gate::new(WebhookKeys::new(vec![SecretString::from("hush")]).unwrap())
    }

    fn signed(secret: &str, body: &[u8]) -> HeaderMap {
        let seconds = NOW.0 / 1000;
        let mut headers = HeaderMap::new();
        let signature = sign_webhook(&SecretString::from(secret), seconds, body);
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        headers
    }

    fn refusal(headers: &HeaderMap, body: &'static [u8]) -> &'static str {
        gate().admit(headers, Bytes::from_static(body), NOW).unwrap_err().reason()
    }

    const VALIDATION: &[u8] = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"q9ibPh"}}"#;

    #[test]
    fn a_signed_body_is_verified() {
        let admitted = gate().admit(&signed("hush", b"x"), Bytes::from_static(b"x"), NOW).unwrap();
        assert!(matches!(admitted, Admission::Verified(v) if v.body() == "x"));
        assert_eq!(refusal(&signed("other", b"x"), b"x"), "mismatch");
        assert_eq!(refusal(&signed("hush", b"y"), b"x"), "mismatch");
    }

    #[test]
    fn an_unsigned_request_gets_url_validation_and_nothing_else() {
        let none = HeaderMap::new();
        let admitted = gate().admit(&none, Bytes::from_static(VALIDATION), NOW).unwrap();
        assert!(matches!(admitted, Admission::UrlValidation(a) if a.plain_token == "q9ibPh"));
        assert_eq!(refusal(&none, b"{}"), "missing");
        assert_eq!(refusal(&none, b"rubbish"), "missing");
        assert_eq!(refusal(&none, br#"{"event":"meeting.rtms_started"}"#), "missing");
        let oracle = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1765449000:{}"}}"#;
        assert_eq!(refusal(&none, oracle), "token");
    }

    #[test]
    fn a_bad_signature_is_not_excused_by_a_harmless_token() {
        assert_eq!(refusal(&signed("other", VALIDATION), VALIDATION), "mismatch");
        let mut without_time = signed("hush", VALIDATION);
        without_time.remove(TIMESTAMP);
        assert_eq!(refusal(&without_time, VALIDATION), "missing");
    }

    #[test]
    fn a_doubled_header_is_refused() {
        let mut headers = signed("hush", b"x");
        headers.append(TIMESTAMP, HeaderValue::from_static("1"));
        assert_eq!(refusal(&headers, b"x"), "malformed");
    }

    proptest! {
        /// The oracle: no token whatsoever makes the gate sign what a webhook's signature covers.
        #[test]
        fn no_answer_is_a_webhook_signature(token in "(v0:)?[ -~]{0,80}") {
            let body = serde_json::json!({"event": "endpoint.url_validation", "payload": {"plainToken": token}});
            let admitted = gate().admit(&HeaderMap::new(), Bytes::from(body.to_string()), NOW);
            if let Ok(Admission::UrlValidation(answer)) = admitted {
                prop_assert!(!answer.plain_token.contains(':'));
            }
        }
    }
}
