//! One attempt: the event's raw body to a worker's `POST /webhook`, and what the answer means.
//!
//! Redirects are not followed and proxies not used: the internal token goes to the worker or nowhere.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};

/// As much of a worker's answer as is read, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024;

/// What an attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The worker has it.
    Taken {
        /// What it did, in its word.
        status: String,
    },
    /// The worker will never take it: 400 or 422. Trying again is pointless.
    Pointless {
        /// The status code.
        code: u16,
        /// The worker's reason.
        reason: String,
    },
    /// 401: the two services have different tokens.
    Unauthorized,
    /// 503 or 429: full, or stopping. It did surely not take it.
    Refused {
        /// When it asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// No connection: it did surely not take it.
    Unreachable {
        /// Why.
        cause: String,
    },
    /// Anything else; whether it took the event is not known.
    Failed {
        /// What happened.
        cause: String,
    },
}

impl Verdict {
    /// A word for a metric's label.
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "delivered",
            Self::Pointless { .. } => "pointless",
            Self::Unauthorized => "unauthorized",
            Self::Refused { .. } => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Tries once.
pub async fn attempt(client: &Client, base: &str, token: Option<&SecretString>, body: Bytes) -> Verdict {
    let request = authorized(client.post(format!("{base}/webhook")), token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    match request.send().await {
        Ok(answer) => verdict(answer).await,
        Err(problem) if problem.is_connect() => Verdict::Unreachable { cause: chain(&problem) },
        Err(problem) => Verdict::Failed { cause: chain(&problem) },
    }
}

/// Adds the internal token.
pub(super) fn authorized(
    request: reqwest::RequestBuilder,
    token: Option<&SecretString>,
) -> reqwest::RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token.expose_secret()),
        None => request,
    }
}

async fn verdict(answer: Response) -> Verdict {
    let code = answer.status();
    let retry_after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    match code {
        _ if code.is_success() => Verdict::Taken { status: field(answer, "status").await },
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            Verdict::Pointless { code: code.as_u16(), reason: field(answer, "error").await }
        }
        StatusCode::UNAUTHORIZED => Verdict::Unauthorized,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Verdict::Refused { retry_after },
        _ => Verdict::Failed { cause: format!("answered {code}") },
    }
}

/// A text field of a small JSON answer; empty when there is none. Reading it also frees the connection.
async fn field(answer: Response, name: &str) -> String {
    let body = limited(answer).await;
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    value.get(name).and_then(|v| v.as_str()).unwrap_or_default().chars().take(200).collect()
}

/// The answer's body, as far as [`LONGEST_ANSWER`].
pub(super) async fn limited(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            body.clear();
            break;
        }
    }
    body
}

/// An error with its causes in one line, without the URL (the log has it already).
pub(super) fn chain(problem: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = if problem.is_timeout() { "timed out".to_owned() } else { "cannot be reached".to_owned() };
    let mut source = problem.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
