//! What the worker counts. Labels are words of fixed sets, never an id.

use rtms_protocol::MediaKind;
use rtms_protocol::session::Interruption;
use rtms_service::metrics::Metric;

use crate::live::Feed;

/// Active engagements.
pub(crate) const ENGAGEMENTS: &str = "rtms_worker_engagements";
/// Webhooks, by status.
pub(crate) const WEBHOOKS: &str = "rtms_worker_webhooks_total";
/// Packets received, by kind.
pub(crate) const PACKETS: &str = "rtms_worker_packets_total";
/// Bytes of messages received, by kind.
pub(crate) const PACKET_BYTES: &str = "rtms_worker_packet_bytes_total";
/// Packets that were not recorded, by reason.
pub(crate) const LOST_PACKETS: &str = "rtms_worker_lost_packets_total";
/// Interruptions, by cause.
pub(crate) const INTERRUPTIONS: &str = "rtms_worker_interruptions_total";
/// Ways back.
pub(crate) const RECONNECTS: &str = "rtms_worker_reconnects_total";
/// Refused handshakes, by socket and status.
pub(crate) const REFUSALS: &str = "rtms_worker_handshake_refusals_total";
/// Messages that could not be used, by socket.
pub(crate) const MALFORMED: &str = "rtms_worker_malformed_messages_total";
/// Connections whose peer had to wait, by socket.
pub(crate) const THROTTLED: &str = "rtms_worker_throttled_connections_total";
/// Finished recordings, by state.
pub(crate) const FINISHED: &str = "rtms_worker_recordings_finished_total";
/// Errors of the disk.
pub(crate) const DISK_ERRORS: &str = "rtms_worker_disk_errors_total";
/// Time from the webhook to the first media.
pub(crate) const JOIN_SECONDS: &str = "rtms_worker_join_seconds";
/// Time that a batch took to the page cache.
pub(crate) const WRITE_SECONDS: &str = "rtms_worker_write_seconds";
/// Recordings deleted by retention.
pub(crate) const RETIRED: &str = "rtms_worker_recordings_retired_total";

/// Listeners, by feed.
pub(crate) const LIVE_LISTENERS: &str = "rtms_worker_live_listeners";
/// Packets that slow listeners lost, by feed.
pub(crate) const LIVE_LOST: &str = "rtms_worker_live_lost_packets_total";
/// Listeners given up because they took or answered nothing, by feed.
pub(crate) const LIVE_GIVEN_UP: &str = "rtms_worker_live_listeners_given_up_total";
/// Listeners that found no place.
pub(crate) const LIVE_REFUSED: &str = "rtms_worker_live_listeners_refused_total";

/// The table, with HELP texts.
pub(crate) const TABLE: &[Metric] = &[
    Metric::gauge(ENGAGEMENTS, "Streams that are joined or being joined."),
    Metric::counter(
        WEBHOOKS,
        "Webhooks from the gateway, by what they came to (started, already_active, reconnecting, stopped, not_active, ignored, invalid, refused, full).",
    ),
    Metric::counter(PACKETS, "Media packets received, by kind."),
    Metric::counter(PACKET_BYTES, "Bytes of media messages received, by kind."),
    Metric::counter(
        LOST_PACKETS,
        "Media packets that were not recorded, by reason (undecodable, disk, budget).",
    ),
    Metric::counter(INTERRUPTIONS, "Times that media stopped, by cause."),
    Metric::counter(RECONNECTS, "Times that media flowed again after an interruption."),
    Metric::counter(REFUSALS, "Handshakes that Zoom refused, by socket and status."),
    Metric::counter(MALFORMED, "Messages that could not be used and were skipped, by socket."),
    Metric::counter(
        THROTTLED,
        "Connections that brought more messages than are taken, so that the peer had to wait, by socket.",
    ),
    Metric::counter(FINISHED, "Recordings finished, by state (complete, interrupted, failed, revoked)."),
    Metric::counter(DISK_ERRORS, "Errors of the data folder's disk; recordings may have holes."),
    Metric::histogram(JOIN_SECONDS, "Time from a started webhook to media flowing, in seconds."),
    Metric::histogram(WRITE_SECONDS, "Time a batch of packets took to the page cache, in seconds."),
    Metric::counter(RETIRED, "Recordings deleted by RETENTION_DAYS or RETENTION_MAX_BYTES."),
    Metric::gauge(LIVE_LISTENERS, "Who listens to running streams, by feed (audio, transcript)."),
    Metric::counter(
        LIVE_LOST,
        "Packets that listeners lost because they were too slow, by feed. Recordings have them.",
    ),
    Metric::counter(LIVE_GIVEN_UP, "Listeners that were cut because they took or answered nothing, by feed."),
    Metric::counter(
        LIVE_REFUSED,
        "Listeners that found no place (RTMS_LIVE_LISTENERS, RTMS_LIVE_LISTENERS_EACH).",
    ),
];

/// Shows every series from the start with 0, so that a rate over the first event is not missed.
pub(crate) fn begin() {
    ::metrics::gauge!(ENGAGEMENTS).set(0.0);
    for name in [RECONNECTS, DISK_ERRORS, RETIRED, LIVE_REFUSED] {
        ::metrics::counter!(name).increment(0);
    }
    for kind in MediaKind::ALL {
        ::metrics::counter!(PACKETS, "kind" => kind.word()).increment(0);
        ::metrics::counter!(PACKET_BYTES, "kind" => kind.word()).increment(0);
    }
    for cause in Interruption::ALL {
        ::metrics::counter!(INTERRUPTIONS, "cause" => cause.word()).increment(0);
    }
    for reason in ["undecodable", "disk", "budget"] {
        ::metrics::counter!(LOST_PACKETS, "reason" => reason).increment(0);
    }
    for feed in [Feed::Audio, Feed::Transcript].map(Feed::word) {
        ::metrics::gauge!(LIVE_LISTENERS, "feed" => feed).set(0.0);
        ::metrics::counter!(LIVE_LOST, "feed" => feed).increment(0);
        ::metrics::counter!(LIVE_GIVEN_UP, "feed" => feed).increment(0);
    }
    for socket in ["signaling", "media"] {
        ::metrics::counter!(MALFORMED, "socket" => socket).increment(0);
        ::metrics::counter!(THROTTLED, "socket" => socket).increment(0);
    }
    for state in ["complete", "interrupted", "failed", "revoked"] {
        ::metrics::counter!(FINISHED, "state" => state).increment(0);
    }
}
