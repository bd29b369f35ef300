//! One socket's life, signaling or media: waiting, connecting, shaking hands, ready, lost.

use std::time::Duration;

use super::backoff::Backoff;
use super::config::Timeouts;
use super::io::{SocketId, Wake};
use crate::time::Instant;

/// Where a link stands; each state owns what is valid only then.
#[derive(Debug, Clone)]
pub(super) enum LinkState {
    /// Not to be connected now.
    Idle,
    /// To be connected at `until`.
    Waiting { until: Instant },
    /// Opening was asked for.
    Connecting { socket: SocketId, deadline: Instant },
    /// The handshake was sent.
    Handshaking { socket: SocketId, deadline: Instant },
    /// In use.
    Ready(Ready),
}

/// A link in use.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) socket: SocketId,
    /// When anything last came.
    pub(super) heard: Instant,
    /// Zoom says that it is gone: unless something comes by then, that is so.
    pub(super) probe: Option<Instant>,
}

/// What is overdue on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The wait is over: connect.
    Connect,
    /// The socket did not open in time.
    NotOpened,
    /// The handshake was not answered in time.
    NotAnswered,
    /// Nothing came for too long.
    Silent,
    /// It did not prove itself alive.
    ProbeFailed,
}

impl Overdue {
    /// Whether the link was in use and is dead.
    pub(super) const fn is_death(self) -> bool {
        matches!(self, Self::Silent | Self::ProbeFailed)
    }
}

/// One socket that is to be kept connected.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) state: LinkState,
    pub(super) backoff: Backoff,
}

impl Link {
    pub(super) fn idle() -> Self {
        Self { state: LinkState::Idle, backoff: Backoff::default() }
    }

    pub(super) fn due(at: Instant) -> Self {
        Self { state: LinkState::Waiting { until: at }, backoff: Backoff::default() }
    }

    /// The socket in use or in the making.
    pub(super) const fn socket(&self) -> Option<SocketId> {
        match &self.state {
            LinkState::Idle | LinkState::Waiting { .. } => None,
            LinkState::Connecting { socket, .. } | LinkState::Handshaking { socket, .. } => Some(*socket),
            LinkState::Ready(ready) => Some(ready.socket),
        }
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, LinkState::Ready(_))
    }

    /// When anything last came, of a link in use.
    pub(super) const fn last_heard(&self) -> Option<Instant> {
        match &self.state {
            LinkState::Ready(ready) => Some(ready.heard),
            _ => None,
        }
    }

    /// Between the first packet out and the answer.
    pub(super) const fn is_pending(&self) -> bool {
        matches!(self.state, LinkState::Connecting { .. } | LinkState::Handshaking { .. })
    }

    pub(super) fn connecting(&mut self, socket: SocketId, now: Instant, timeouts: &Timeouts) {
        self.state = LinkState::Connecting { socket, deadline: now + timeouts.connect };
    }

    pub(super) fn handshaking(&mut self, socket: SocketId, now: Instant, timeouts: &Timeouts) {
        self.state = LinkState::Handshaking { socket, deadline: now + timeouts.handshake };
    }

    pub(super) fn ready(&mut self, socket: SocketId, now: Instant) {
        self.backoff.reset();
        self.state = LinkState::Ready(Ready { socket, heard: now, probe: None });
    }

    /// Connects again after the backoff; returns when.
    pub(super) fn retry(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Instant {
        let wait = self.backoff.next(rng);
        self.retry_after(now, wait)
    }

    /// Connects again after `wait`; returns when.
    pub(super) fn retry_after(&mut self, now: Instant, wait: Duration) -> Instant {
        let until = now + wait;
        self.state = LinkState::Waiting { until };
        until
    }

    /// Something came on this link.
    pub(super) const fn heard(&mut self, now: Instant) {
        if let LinkState::Ready(ready) = &mut self.state {
            ready.heard = now;
            ready.probe = None;
        }
    }

    /// Unless something comes before `now + within`, the link is dead.
    pub(super) fn probe(&mut self, now: Instant, within: Duration) {
        if let LinkState::Ready(ready) = &mut self.state {
            ready.probe.get_or_insert(now + within);
        }
    }

    /// Whether it was asked to prove itself and has not yet.
    pub(super) const fn is_in_doubt(&self) -> bool {
        matches!(self.state, LinkState::Ready(Ready { probe: Some(_), .. }))
    }

    /// When something is due here next.
    pub(super) fn wake(&self, timeouts: &Timeouts) -> Option<Wake> {
        Some(match &self.state {
            LinkState::Idle => return None,
            LinkState::Waiting { until } => Wake { at: *until, why: "connect" },
            LinkState::Connecting { deadline, .. } => Wake { at: *deadline, why: "connect deadline" },
            LinkState::Handshaking { deadline, .. } => Wake { at: *deadline, why: "handshake deadline" },
            LinkState::Ready(ready) => match ready.probe {
                Some(at) => Wake { at, why: "probe" },
                None => Wake { at: ready.heard + timeouts.silence, why: "silence" },
            },
        })
    }

    /// What is overdue at `now`.
    pub(super) fn overdue(&self, now: Instant, timeouts: &Timeouts) -> Option<Overdue> {
        if self.wake(timeouts)?.at > now {
            return None;
        }
        Some(match &self.state {
            LinkState::Idle => return None,
            LinkState::Waiting { .. } => Overdue::Connect,
            LinkState::Connecting { .. } => Overdue::NotOpened,
            LinkState::Handshaking { .. } => Overdue::NotAnswered,
            LinkState::Ready(Ready { probe: Some(_), .. }) => Overdue::ProbeFailed,
            LinkState::Ready(_) => Overdue::Silent,
        })
    }
}
