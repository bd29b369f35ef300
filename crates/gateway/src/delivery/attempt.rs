//! One attempt: the event's raw body to a worker's `POST /webhook`, and what the answer means.
//!
//! Redirects are not followed and proxies not used: the internal token goes to the worker or nowhere.

use std::error::Error;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};

use super::connections::{Answer, Connections, Problem};

/// As much of a worker's answer as is read, in bytes.
pub(super) const LONGEST_ANSWER: usize = 16 * 1024;
/// How long an attempt may take; workers answer before they join, so this is long.
pub(super) const ATTEMPT_PATIENCE: Duration = Duration::from_secs(10);

/// What an attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
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
    pub(super) const fn result(&self) -> &'static str {
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

/// Tries once, without TLS.
pub(super) async fn attempt(way: &Connections, body: Bytes) -> Verdict {
    match tokio::time::timeout(ATTEMPT_PATIENCE, way.post(body)).await {
        Ok(Ok(Answer { status, headers, body })) => verdict(status, &headers, &body),
        Ok(Err(Problem::Unreachable(problem))) => {
            Verdict::Unreachable { cause: causes(NOT_REACHED, &*problem) }
        }
        Ok(Err(Problem::Broken(problem))) => Verdict::Failed { cause: causes(NOT_REACHED, &*problem) },
        Err(_) => Verdict::Failed { cause: TIMED_OUT.to_owned() },
    }
}

/// Tries once, with TLS.
pub(super) async fn attempt_by_tls(
    client: &Client,
    base: &str,
    token: Option<&SecretString>,
    body: Bytes,
) -> Verdict {
    let request = authorized(client.post(format!("{base}/webhook")), token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    match request.send().await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            // Reading it also frees the connection.
            verdict(status, &headers, &limited(answer).await)
        }
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

fn verdict(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict {
    let retry_after = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    match code {
        _ if code.is_success() => Verdict::Taken { status: field(body, "status") },
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            Verdict::Pointless { code: code.as_u16(), reason: field(body, "error") }
        }
        StatusCode::UNAUTHORIZED => Verdict::Unauthorized,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Verdict::Refused { retry_after },
        _ => Verdict::Failed { cause: format!("answered {code}") },
    }
}

/// A text field of a small JSON answer; empty when there is none.
fn field(body: &[u8], name: &str) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
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

/// What is said of a request that was not answered in time.
const TIMED_OUT: &str = "timed out";
/// What is said of one that was not answered for another reason.
const NOT_REACHED: &str = "cannot be reached";

/// An error with its causes in one line, without the URL (the log has it already).
pub(super) fn chain(problem: &reqwest::Error) -> String {
    let text = if problem.is_timeout() { TIMED_OUT } else { NOT_REACHED };
    problem.source().map_or_else(|| text.to_owned(), |source| causes(text, source))
}

/// `text`, an error and its causes in one line.
fn causes(text: &str, problem: &(dyn Error + 'static)) -> String {
    let mut text = text.to_owned();
    let mut cause = Some(problem);
    while let Some(problem) = cause {
        text = format!("{text}: {problem}");
        cause = problem.source();
    }
    text
}
