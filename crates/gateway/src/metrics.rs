//! What the gateway counts. Labels are words of fixed sets.

use rtms_service::metrics::Metric;

/// Answers, by outcome.
pub(crate) const ANSWERS: &str = "rtms_gateway_webhooks_total";
/// Verified events, by kind.
pub(crate) const EVENTS: &str = "rtms_gateway_events_total";
/// Refused requests, by reason.
pub(crate) const REFUSALS: &str = "rtms_gateway_verify_failures_total";
/// Repeated deliveries.
pub(crate) const DUPLICATES: &str = "rtms_gateway_duplicates_total";
/// Time from head to answer.
pub(crate) const ANSWER_SECONDS: &str = "rtms_gateway_answer_seconds";
/// Attempts at a worker, by result.
pub(crate) const ATTEMPTS: &str = "rtms_gateway_forward_attempts_total";
/// Events that left the outbox, by result.
pub(crate) const SETTLED: &str = "rtms_gateway_forwards_total";
/// Time from acceptance to delivery.
pub(crate) const FORWARD_SECONDS: &str = "rtms_gateway_forward_seconds";
/// Events that wait.
pub(crate) const PENDING: &str = "rtms_gateway_pending_events";
/// Age of the oldest of them.
pub(crate) const OLDEST: &str = "rtms_gateway_oldest_pending_seconds";
/// Whether events can be written.
pub(crate) const WRITABLE: &str = "rtms_gateway_outbox_writable";
/// Workers that answer.
pub(crate) const REACHABLE: &str = "rtms_gateway_workers_reachable";

/// The table, with HELP texts.
pub(crate) const TABLE: &[Metric] = &[
    Metric::counter(
        ANSWERS,
        "Requests to the webhook endpoint, by outcome (accepted, duplicate, ignored, url_validation, refused, malformed, too_large, not_written).",
    ),
    Metric::counter(EVENTS, "Verified events, by kind."),
    Metric::counter(
        REFUSALS,
        "Requests refused before anything was read, by reason (missing, malformed, stale, mismatch, token).",
    ),
    Metric::counter(DUPLICATES, "Verified deliveries that had been accepted before."),
    Metric::histogram(ANSWER_SECONDS, "Time from a webhook's body to its answer, in seconds."),
    Metric::counter(ATTEMPTS, "Attempts to forward an event, by what the worker answered."),
    Metric::counter(
        SETTLED,
        "Events that left the outbox, by result (delivered, refused, over, expired); all but delivered deserve a look.",
    ),
    Metric::histogram(FORWARD_SECONDS, "Time from an event's acceptance to its delivery, in seconds."),
    Metric::gauge(PENDING, "Events that wait for a worker."),
    Metric::gauge(OLDEST, "Age of the oldest event that waits, in seconds; 0 when none does."),
    Metric::gauge(WRITABLE, "1 while events can be written down, 0 while Zoom gets 503."),
    Metric::gauge(REACHABLE, "Workers whose /health answers."),
];

/// Shows every series from the start with 0, so that a rate over the first event is not missed.
pub(crate) fn begin() {
    let series: [(&'static str, &'static str, &[&'static str]); 5] = [
        (
            ANSWERS,
            "outcome",
            &[
                "accepted",
                "duplicate",
                "ignored",
                "url_validation",
                "refused",
                "malformed",
                "too_large",
                "not_written",
            ],
        ),
        (
            EVENTS,
            "kind",
            &[
                "started",
                "stopped",
                "interrupted_or_other",
                "url_validation",
                "incomplete",
                "account",
                "other",
            ],
        ),
        (REFUSALS, "reason", &["missing", "malformed", "stale", "mismatch", "token"]),
        (ATTEMPTS, "result", &["delivered", "pointless", "unauthorized", "refused", "unreachable", "failed"]),
        (SETTLED, "result", &["delivered", "refused", "over", "expired"]),
    ];
    for (name, label, words) in series {
        for word in words {
            ::metrics::counter!(name, label => *word).increment(0);
        }
    }
    ::metrics::counter!(DUPLICATES).increment(0);
}
