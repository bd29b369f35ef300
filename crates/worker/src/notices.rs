//! What a session learned, in words for the operator and numbers for the metrics.

use rtms_protocol::session::{CloseCause, Notice, Outcome, Refused, SocketKind};
use rtms_protocol::{StreamIdentity, brief};
use rtms_recorder::RecordingState;

use crate::metrics;
use crate::settings::carries;

/// Lines about odd messages that one engagement may log; the rest is only counted. A server that sends nothing but
/// rubbish must not fill the disk with our complaints.
const ODD_TOLD: u32 = 20;

/// Tells what an engagement learns.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    odd: u32,
}

impl Teller {
    /// Logs and counts one notice.
    pub(crate) fn tell(&mut self, identity: &StreamIdentity, notice: &Notice) {
        match notice {
            Notice::Malformed { kind, .. } => {
                malformed(*kind);
                if !self.may_tell_odd(identity) {
                    return;
                }
            }
            Notice::UnknownMessage { .. } if !self.may_tell_odd(identity) => return,
            _ => {}
        }
        tell(identity, notice);
    }

    fn may_tell_odd(&mut self, identity: &StreamIdentity) -> bool {
        self.odd = self.odd.saturating_add(1);
        if self.odd == ODD_TOLD {
            let stream = &identity.stream_id;
            tracing::warn!(%stream, "many odd messages on this stream; further ones are only counted, see the metrics");
        }
        self.odd < ODD_TOLD
    }
}

fn tell(identity: &StreamIdentity, notice: &Notice) {
    let (stream, engagement) = (&identity.stream_id, &identity.id);
    match notice {
        Notice::Phase(phase) => tracing::debug!(%stream, %engagement, phase = phase.word(), "phase"),
        Notice::Granted(params) => {
            let audio = params.audio.map(|audio| audio.to_string());
            tracing::info!(%stream, %engagement, media = %params.kinds(), audio, "Zoom granted media");
        }
        Notice::Unavailable { kind, status: None, .. } if !carries(identity.product, *kind) => {
            tracing::info!(%stream, %engagement, media = kind.word(), "this product has none; it is left out");
        }
        Notice::Unavailable { kind, status, reason } => {
            let status = status.map(|status| status.to_string());
            tracing::warn!(
                %stream, %engagement, media = kind.word(), status, %reason,
                "this media is not to be had and is left out; the rest is recorded (scopes of the app? RTMS_MEDIA?)"
            );
        }
        Notice::HandshakeRefused { kind, status, reason, retry } => {
            let socket = kind.word();
            ::metrics::counter!(metrics::REFUSALS, "socket" => socket, "status" => status.name())
                .increment(1);
            let next = if *retry { "it is tried again" } else { "it is not tried again" };
            tracing::warn!(
                %stream, %engagement, socket, %status, %reason, advice = status.advice(),
                "Zoom refused a handshake; {next}"
            );
        }
        Notice::SocketLost { kind, cause, .. } => {
            let socket = kind.word();
            if matches!(cause, CloseCause::ClosedByPeer(_)) {
                tracing::info!(%stream, %engagement, socket, %cause, "socket closed; unless the stream ends it is sought again");
            } else {
                tracing::warn!(%stream, %engagement, socket, %cause, "socket lost; it is sought again");
            }
        }
        Notice::AwaitingServer { within } => {
            let seconds = within.as_secs();
            tracing::warn!(
                %stream, %engagement, seconds,
                "no server takes this stream now; waiting {seconds} s for Zoom to name another"
            );
        }
        Notice::WaitOver { named: true } => {
            tracing::info!(%stream, %engagement, "Zoom named another server; the wait is over");
        }
        Notice::WaitOver { named: false } => {
            tracing::info!(%stream, %engagement, "Zoom named no other server; the wait is over");
        }
        Notice::Interrupted { cause, .. } => {
            ::metrics::counter!(metrics::INTERRUPTIONS, "cause" => cause.word()).increment(1);
            tracing::warn!(%stream, %engagement, cause = cause.word(), "media interrupted; reconnecting");
        }
        Notice::Resumed => {
            ::metrics::counter!(metrics::RECONNECTS).increment(1);
            tracing::info!(%stream, %engagement, "media flows again");
        }
        Notice::Event(event) => {
            tracing::debug!(%stream, %engagement, code = event.code, name = event.name, "event");
        }
        Notice::Malformed { kind, error } => {
            tracing::warn!(%stream, %engagement, socket = kind.word(), %error, "a message could not be used and was skipped");
        }
        Notice::Throttled { kind } => {
            let socket = kind.word();
            ::metrics::counter!(metrics::THROTTLED, "socket" => socket).increment(1);
            tracing::warn!(%stream, %engagement, socket, "more messages come than are taken; the sender has to wait");
        }
        Notice::UnknownMessage { kind, msg_type } => {
            tracing::info!(%stream, %engagement, socket = kind.word(), msg_type, "a message of an unknown type was skipped");
        }
        Notice::VideoChoice { user_id, subscribe, status, reason } => {
            tracing::info!(
                %stream, %engagement, user = %brief(user_id), subscribe, %status, %reason,
                "Zoom answered the choice of a participant's video"
            );
        }
        Notice::Ended(outcome) => ended(identity, outcome),
    }
}

fn malformed(kind: SocketKind) {
    ::metrics::counter!(metrics::MALFORMED, "socket" => kind.word()).increment(1);
}

fn ended(identity: &StreamIdentity, outcome: &Outcome) {
    let (stream, engagement) = (&identity.stream_id, &identity.id);
    match outcome {
        Outcome::Stopped(reason) => {
            let reason = reason.map(|reason| reason.to_string());
            tracing::info!(%stream, %engagement, reason, "Zoom stopped the stream; finishing the recording");
        }
        Outcome::Closed => {
            tracing::info!(%stream, %engagement, "left the stream as asked; finishing the recording");
        }
        Outcome::Left => tracing::info!(%stream, %engagement, "left the stream; finishing the recording"),
        Outcome::Refused(Refused { status, reason, .. }) => {
            let advice = status.map(|status| status.advice());
            let status = status.map(|status| status.to_string());
            tracing::error!(
                %stream, %engagement, status, %reason, advice,
                "the stream is refused for good and not tried again; other streams go on"
            );
        }
        Outcome::GaveUp(cause) => tracing::error!(
            %stream, %engagement, cause = cause.word(),
            "no way back within the time that Zoom allows; what was recorded is kept. Was Zoom reachable from here?"
        ),
    }
}

/// The state of a recording whose session ended like this. `joined`: media flowed, now or in an earlier session. A
/// stream that nobody got into before it ended is no complete recording.
pub(crate) const fn state_of(outcome: &Outcome, joined: bool) -> RecordingState {
    match outcome {
        Outcome::Stopped(Some(reason)) if reason.is_revocation() => RecordingState::Revoked,
        Outcome::Stopped(_) | Outcome::Closed if joined => RecordingState::Complete,
        Outcome::Stopped(_) | Outcome::Closed => RecordingState::Failed,
        Outcome::Refused(_) if !joined => RecordingState::Failed,
        Outcome::Left | Outcome::Refused(_) | Outcome::GaveUp(_) => RecordingState::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_cannot_fill_the_log() {
        let identity = StreamIdentity {
            product: rtms_protocol::Product::Meeting,
            id: "m".into(),
            stream_id: "s".into(),
        };
        let mut teller = Teller::default();
        let told = (0..10_000).filter(|_| teller.may_tell_odd(&identity)).count();
        assert!(told < usize::try_from(ODD_TOLD).unwrap(), "{told}");
    }
}
