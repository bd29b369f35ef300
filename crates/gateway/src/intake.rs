//! The webhook endpoint: body, gate, outbox, answer, in this order and never another.
//!
//! Zoom waits three seconds, so nothing here waits for a worker, and a disk that hangs is answered with
//! 503 in time: Zoom delivers again, and the digest recognises what was written late all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use rtms_protocol::{SignatureError, UnixMillis};
use rtms_service::http::error;
use serde_json::json;

use crate::body::{BodyError, BodyReader};
use crate::delivery::Notifier;
use crate::envelope::Envelope;
use crate::metrics;
use crate::outbox::{Appended, Kept, NewEvent, Outbox, OutboxError};
use crate::sparingly::Sparingly;
use crate::verify::{Admission, Gate, Refusal, Verified};

/// How long an event may take to reach the disk, below the three seconds of Zoom's patience.
const WRITE_PATIENCE: Duration = Duration::from_millis(2500);
/// What a 503 asks for, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// What the endpoint works with.
pub(crate) struct Intake<O> {
    pub(crate) bodies: BodyReader,
    pub(crate) gate: Gate,
    pub(crate) outbox: Arc<O>,
    pub(crate) notifier: Notifier,
    pub(crate) unsigned_told: Sparingly,
    pub(crate) refused_told: Sparingly,
}

/// An answer, and the word it is counted under.
type Outcome = (&'static str, Response);

/// `POST /api/webhooks/zoom`.
pub(crate) async fn webhook<O: Outbox>(State(intake): State<Arc<Intake<O>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = intake.bodies.read(&parts.headers, body).await;
    let began = Instant::now();
    let (outcome, answer) = match read {
        Ok(body) => intake.answer(&parts.headers, body).await,
        Err(problem) => without_body(problem),
    };
    ::metrics::counter!(metrics::ANSWERS, "outcome" => outcome).increment(1);
    ::metrics::histogram!(metrics::ANSWER_SECONDS).record(began.elapsed());
    answer
}

/// The answer to a body that could not be had.
fn without_body(problem: BodyError) -> Outcome {
    let text = problem.to_string();
    match problem {
        BodyError::TooLarge => ("too_large", error(StatusCode::PAYLOAD_TOO_LARGE, &text)),
        BodyError::Crowded => ("not_written", try_again(&text)),
        BodyError::Broken => ("malformed", error(StatusCode::BAD_REQUEST, &text)),
    }
}

impl<O: Outbox> Intake<O> {
    async fn answer(&self, headers: &HeaderMap, body: Bytes) -> Outcome {
        let now = UnixMillis(rtms_service::time::unix_millis());
        match self.gate.admit(headers, body, now) {
            Ok(Admission::Verified(verified)) => self.verified(&verified, now).await,
            Ok(Admission::UrlValidation(answer)) => {
                if self.unsigned_told.is_due(now) {
                    tracing::info!(
                        "answered an unsigned URL validation; others within the next minute are only counted"
                    );
                }
                ("url_validation", Json(answer).into_response())
            }
            Err(refusal) => {
                ::metrics::counter!(metrics::REFUSALS, "reason" => refusal.reason()).increment(1);
                self.tell_refused(&refusal, now);
                ("refused", error(StatusCode::UNAUTHORIZED, &refusal.to_string()))
            }
        }
    }

    /// Strangers must not be able to fill the log: one line a minute for what our own mistakes look like too, nothing
    /// but the metric for the rest.
    fn tell_refused(&self, refusal: &Refusal, now: UnixMillis) {
        let reason = refusal.reason();
        let advice = match refusal {
            Refusal::Signature(SignatureError::Mismatch) => {
                "if it is Zoom that calls, check ZOOM_SECRET_TOKEN"
            }
            Refusal::Signature(SignatureError::Stale) => {
                "if it is Zoom that calls, check this machine's clock"
            }
            _ => return tracing::debug!(reason, "refused a request that is not signed by Zoom"),
        };
        if self.refused_told.is_due(now) {
            tracing::warn!(
                reason,
                advice,
                "refused a request with a wrong signature; others within a minute are only counted"
            );
        }
    }

    async fn verified(&self, verified: &Verified, now: UnixMillis) -> Outcome {
        let envelope = match Envelope::read(verified, now) {
            Ok(envelope) => envelope,
            Err(problem) => {
                tracing::warn!(error = %problem, "a signed request is no webhook; answered 400");
                return ("malformed", error(StatusCode::BAD_REQUEST, &problem.to_string()));
            }
        };
        ::metrics::counter!(metrics::EVENTS, "kind" => envelope.kind()).increment(1);
        match envelope {
            Envelope::UrlValidation { plain_token } => match self.gate.url_validation(&plain_token) {
                Ok(answer) => {
                    tracing::info!("answered a URL validation");
                    ("url_validation", Json(answer).into_response())
                }
                Err(refused) => ("malformed", error(StatusCode::BAD_REQUEST, &refused.to_string())),
            },
            Envelope::Stream(event) => self.keep(event, now).await,
            Envelope::Incomplete(problem) => {
                // Repeating it would not mend it, so Zoom is not asked to.
                tracing::error!(error = %problem, "a stream event that cannot be forwarded; nothing was started for it");
                ("ignored", received())
            }
            Envelope::Account { event, concurrency } => {
                tracing::warn!(
                    ?event,
                    concurrency,
                    "Zoom reports on the account's streams; check its limits"
                );
                ("ignored", received())
            }
            Envelope::Other => ("ignored", received()),
        }
    }

    /// Writes the event down; only then is it received.
    async fn keep(&self, event: NewEvent, now: UnixMillis) -> Outcome {
        let stream = event.stream.clone();
        let action = event.action;
        let before = self.notifier.moment();
        let write = self.outbox.append_for(self.notifier.worker_for(action), event, now);
        let kept = tokio::time::timeout(WRITE_PATIENCE, write).await;
        match kept {
            Ok(Ok(Kept { appended: Appended::New, first })) => {
                tracing::info!(%stream, action = action.word(), "event accepted");
                self.notifier.accepted(stream, first, before);
                ("accepted", received())
            }
            Ok(Ok(Kept { appended: Appended::Duplicate, .. })) => {
                ::metrics::counter!(metrics::DUPLICATES).increment(1);
                tracing::debug!(%stream, action = action.word(), "the same delivery again, already accepted");
                ("duplicate", received())
            }
            Ok(Err(problem)) => not_written(&stream, &problem),
            Err(_) => not_written(&stream, &OutboxError::Busy),
        }
    }
}

fn received() -> Response {
    Json(json!({ "received": true })).into_response()
}

fn not_written(stream: &str, problem: &OutboxError) -> Outcome {
    tracing::error!(%stream, error = %problem, "event not written, answered 503: Zoom delivers it again in minutes");
    ("not_written", try_again("the event could not be written, try again"))
}

fn try_again(text: &str) -> Response {
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    answer
}
