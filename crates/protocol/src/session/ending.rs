//! The ways a session ends: stopped, closed by us, left to another process, refused, given up.

use super::Session;
use super::io::{Interruption, Notice, Outcome, Output, Wake};
use crate::codes::StopReason;
use crate::message::ClientMessage;
use crate::time::Instant;

/// Whether the session lives, is coming to its end, or is over.
#[derive(Debug, Clone)]
pub(super) enum Life {
    /// Sockets are kept connected.
    Alive,
    /// Zoom was asked to end the stream.
    Closing { deadline: Instant },
    /// The end is known; media still under way is taken.
    Draining { outcome: Outcome, deadline: Instant, quiet_at: Instant, quiet: std::time::Duration },
    /// Nothing more happens.
    Ended,
}

impl Life {
    /// A message came: something is still under way.
    pub(super) fn heard(&mut self, now: Instant) {
        if let Self::Draining { quiet_at, quiet, .. } = self {
            *quiet_at = now + *quiet;
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.wake().is_some_and(|wake| wake.at <= now)
    }

    pub(super) fn wake(&self) -> Option<Wake> {
        match self {
            Self::Alive | Self::Ended => None,
            Self::Closing { deadline } => Some(Wake { at: *deadline, why: "close deadline" }),
            Self::Draining { deadline, quiet_at, .. } => {
                Some(Wake { at: *deadline.min(quiet_at), why: "drained" })
            }
        }
    }
}

impl Session {
    /// Zoom stopped the stream, or we are done: takes what is under way, then ends.
    pub(super) fn stop(&mut self, now: Instant, outcome: Outcome) {
        let revoked = matches!(outcome, Outcome::Stopped(Some(StopReason::StreamRevoked)));
        if let Life::Draining { outcome: before, .. } = &mut self.life
            && !revoked
        {
            // Told twice, over HTTP and over signaling: the one that gives a reason counts.
            if matches!(before, Outcome::Stopped(None) | Outcome::Closed) {
                *before = outcome;
            }
            return;
        }
        if revoked || !self.media.iter().any(|media| media.link.is_ready()) {
            return self.end(outcome);
        }
        let timeouts = &self.config.timeouts;
        // Whoever leaves is expected elsewhere: goodbyes are answered at once or not at all.
        let longest = if outcome == Outcome::Left { timeouts.drain_quiet } else { timeouts.drain };
        self.life = Life::Draining {
            outcome,
            deadline: now + longest,
            quiet_at: now + timeouts.drain_quiet,
            quiet: timeouts.drain_quiet,
        };
        self.drop_unready_links();
    }

    /// Asks Zoom to end the stream.
    pub(super) fn close(&mut self, now: Instant) {
        if !matches!(self.life, Life::Alive) {
            return;
        }
        match self.signaling.socket() {
            Some(socket) if self.signaling.is_ready() => {
                let rtms_stream_id = self.config.identity.stream_id.clone();
                self.send(socket, &ClientMessage::StreamClose { rtms_stream_id });
                self.life = Life::Closing { deadline: now + self.config.timeouts.close };
            }
            _ => self.stop(now, Outcome::Closed),
        }
    }

    /// Leaves without ending the stream: says goodbye on the media sockets and takes what is under way.
    pub(super) fn leave(&mut self, now: Instant) {
        if matches!(self.life, Life::Draining { .. }) {
            return;
        }
        self.stop(now, Outcome::Left);
        let farewells: Vec<_> =
            self.media.iter().filter_map(|m| m.link.socket()).map(Output::Finish).collect();
        if matches!(self.life, Life::Draining { .. }) {
            self.outputs.extend(farewells);
        }
    }

    /// Sockets in the making are of no use any more.
    fn drop_unready_links(&mut self) {
        let unready: Vec<_> = self.media.extract_if(.., |media| !media.link.is_ready()).collect();
        let closes = unready.iter().filter_map(|media| media.link.socket()).map(Output::Close);
        self.outputs.extend(closes);
        if !self.signaling.is_ready() {
            let close = self.signaling.socket().map(Output::Close);
            self.outputs.extend(close);
            self.signaling = super::Link::idle();
        }
    }

    /// Signaling went while we were ending: nobody is left to answer a close request.
    pub(super) fn closing_lost_signaling(&mut self, now: Instant) {
        if matches!(self.life, Life::Closing { .. }) {
            self.life = Life::Alive;
            self.stop(now, Outcome::Closed);
        }
    }

    /// A media socket went while we were ending; with the last one nothing can be under way.
    pub(super) fn draining_lost_media(&mut self) {
        let all_gone = self.media.iter().all(|media| media.link.socket().is_none());
        if all_gone && let Life::Draining { outcome, .. } = &self.life {
            let outcome = outcome.clone();
            self.end(outcome);
        }
    }

    /// The time of the ending is over.
    pub(super) fn finish_life(&mut self) {
        let outcome = match &self.life {
            Life::Draining { outcome, .. } => outcome.clone(),
            Life::Closing { .. } => Outcome::Closed,
            Life::Alive | Life::Ended => Outcome::GaveUp(Interruption::SignalingLost),
        };
        self.end(outcome);
    }

    /// Closes every socket and says the last word.
    pub(super) fn end(&mut self, outcome: Outcome) {
        let sockets =
            self.signaling.socket().into_iter().chain(self.media.iter().filter_map(|m| m.link.socket()));
        let closes: Vec<_> = sockets.map(Output::Close).collect();
        self.outputs.extend(closes);
        self.stop_waiting(false);
        self.media.clear();
        self.signaling = super::Link::idle();
        self.seeking = None;
        self.life = Life::Ended;
        self.phase = super::Phase::Ended;
        self.notice(Notice::Phase(super::Phase::Ended));
        self.notice(Notice::Ended(outcome));
    }
}
