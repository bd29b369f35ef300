//! The signaling socket: handshake, subscriptions, events, states.

use std::time::Duration;

use super::ending::Life;
use super::io::{CloseCause, Interruption, Notice, Outcome, Output, Refused, SocketId, SocketKind};
use super::link::{LinkState, Overdue};
use super::{Session, overdue_cause};
use crate::codes::{Refusal, SessionState, StatusCode, StopReason, StreamState};
use crate::events::{Event, EventKind, subscribable_events};
use crate::message::{
    ClientMessage, IdFields, PROTOCOL_VERSION, ServerMessage, SessionStateUpdate, SignalingAnswer,
    SignalingHandshake, StreamStateUpdate, Subscription,
};
use crate::signature::handshake_signature;
use crate::time::Instant;

impl Session {
    /// Asks for a signaling socket to the next URL.
    pub(super) fn connect_signaling(&mut self, now: Instant) {
        let urls = &self.config.server_urls;
        let Some(url) = urls.get(self.url_index % urls.len().max(1)).cloned() else {
            return self.refused(None, "no signaling URL was given".to_owned());
        };
        let socket = self.open(now, SocketKind::Signaling, url);
        self.signaling.connecting(socket, now, &self.config.timeouts);
    }

    pub(super) fn shake_hands_on_signaling(&mut self, now: Instant, socket: SocketId) {
        let identity = &self.config.identity;
        let handshake = SignalingHandshake {
            protocol_version: PROTOCOL_VERSION,
            sequence: 0,
            ids: IdFields::for_stream(identity.product, &identity.id),
            rtms_stream_id: identity.stream_id.clone(),
            signature: handshake_signature(&self.config.credentials, &identity.id, &identity.stream_id),
            // Only the first join chooses: what is buffered across an interruption is always wanted.
            buffer_data: self.config.buffer_data || self.had_media(),
        };
        let sequence = self.next_sequence();
        self.send(socket, &ClientMessage::SignalingHandshake(SignalingHandshake { sequence, ..handshake }));
        self.signaling.handshaking(socket, now, &self.config.timeouts);
    }

    pub(super) fn on_signaling_message(&mut self, now: Instant, socket: SocketId, message: ServerMessage) {
        match message {
            ServerMessage::SignalingAnswer(answer) => self.on_signaling_answer(now, socket, answer),
            ServerMessage::EventUpdate(fields) => {
                if let Some(event) = Event::from_fields(self.config.identity.product, fields) {
                    self.on_event(now, event);
                }
            }
            ServerMessage::StreamState(update) => self.on_stream_state(now, &update),
            ServerMessage::StreamStateAnswer(update) => {
                // A stream that Zoom no longer has is over, even if we missed the update that said so.
                if matches!(update.state, StreamState::Terminated | StreamState::Terminating) {
                    self.on_stream_state(now, &update);
                }
            }
            ServerMessage::SessionState(update) | ServerMessage::SessionStateAnswer(update) => {
                self.on_session_state(&update);
            }
            ServerMessage::VideoSubscriptionAnswer(answer) => self.on_video_answer(answer),
            ServerMessage::StreamCloseAnswer(answer) => {
                if answer.status_code != StatusCode::Ok && matches!(self.life, Life::Closing { .. }) {
                    self.stop(now, Outcome::Closed);
                }
            }
            ServerMessage::MediaAnswer(_)
            | ServerMessage::KeepAlive(_)
            | ServerMessage::Media(_)
            | ServerMessage::Unknown(_) => {}
        }
    }

    fn on_signaling_answer(&mut self, now: Instant, socket: SocketId, answer: SignalingAnswer) {
        if self.signaling.is_ready() {
            return;
        }
        if answer.status_code != StatusCode::Ok {
            return self.signaling_refused(now, socket, answer);
        }
        self.signaling.ready(socket, now);
        self.media_worked = false;
        let events = subscribable_events(self.config.identity.product)
            .into_iter()
            .map(|event_type| Subscription { event_type, subscribe: true })
            .collect();
        self.send(socket, &ClientMessage::EventSubscription(events));
        self.plan_media(now, &answer.media_server.unwrap_or_default().server_urls);
    }

    fn signaling_refused(&mut self, now: Instant, socket: SocketId, answer: SignalingAnswer) {
        let SignalingAnswer { status_code: status, reason, .. } = answer;
        let refusal = status.refusal();
        self.notice(Notice::HandshakeRefused {
            kind: SocketKind::Signaling,
            status,
            reason: reason.clone(),
            retry: refusal != Refusal::Final,
        });
        self.outputs.push_back(Output::Close(socket));
        self.forget(socket);
        match refusal {
            Refusal::Final => self.refused_by_zoom(now, None, status, reason),
            Refusal::Duplicate => {
                let wait = self.jittered(self.config.timeouts.duplicate);
                self.signaling.retry_after(now, wait);
            }
            Refusal::Transient => {
                self.next_url();
                self.signaling.retry(now, &mut self.rng);
            }
        }
    }

    /// `wait` plus up to a fifth, so that many streams do not come back in step.
    pub(super) fn jittered(&mut self, wait: Duration) -> Duration {
        wait + wait.mul_f64(self.rng.f64() / 5.0)
    }

    /// Ends the session for good, unless Zoom merely forgot a stream that had been running.
    pub(super) fn refused(&mut self, status: Option<StatusCode>, reason: String) {
        let after_media = self.had_media();
        self.end(Outcome::Refused(Refused { status, reason, after_media }));
    }

    /// Whether Zoom had once let us have the stream, in this session or the one before.
    const fn had_media(&self) -> bool {
        self.ever_streamed || self.config.rejoins
    }

    /// Zoom refuses a handshake for good. Where media had flowed, in this session or the one before, a server may be gone
    /// that knew the stream, and Zoom's `…started` with another one still be under way: it is waited for, without another
    /// try, while the window lasts.
    pub(super) fn refused_by_zoom(
        &mut self,
        now: Instant,
        media: Option<usize>,
        status: StatusCode,
        reason: String,
    ) {
        if !self.had_media() {
            return self.refused(Some(status), reason);
        }
        let link = match media {
            Some(index) => self.media.get_mut(index).map(|media| &mut media.link),
            None => Some(&mut self.signaling),
        };
        if let Some(link) = link {
            link.state = LinkState::Idle;
        }
        self.seek(now, if media.is_some() { Interruption::MediaLost } else { Interruption::SignalingLost });
        let refused = Refused { status: Some(status), reason, after_media: true };
        if self.refusal.replace(refused).is_none() {
            let within = self.seek_deadline().map_or(Duration::ZERO, |until| until.since(now));
            self.notice(Notice::AwaitingServer { within });
        }
    }

    /// Another server is not waited for any more.
    pub(super) fn stop_waiting(&mut self, named: bool) {
        if self.refusal.take().is_some() {
            self.notice(Notice::WaitOver { named });
        }
    }

    const fn next_url(&mut self) {
        self.url_index = self.url_index.wrapping_add(1);
    }

    /// Signaling is gone: seek it again. Media sockets stay; what is under way on them is not given away.
    pub(super) fn signaling_lost(&mut self, now: Instant, why: Interruption, cause: CloseCause) {
        if !matches!(self.life, Life::Alive) {
            self.signaling = super::Link::idle();
            return self.closing_lost_signaling(now);
        }
        if !self.signaling.is_ready() {
            self.next_url();
        }
        self.seek(now, why);
        let retry_at = self.signaling.retry(now, &mut self.rng);
        self.notice(Notice::SocketLost { kind: SocketKind::Signaling, cause, retry_at: Some(retry_at) });
    }

    pub(super) fn signaling_overdue(&mut self, now: Instant, overdue: Overdue) {
        if overdue == Overdue::Connect {
            return self.connect_signaling(now);
        }
        let (why, cause) = overdue_cause(overdue);
        let why = if why == Interruption::MediaLost { Interruption::SignalingLost } else { why };
        if let Some(socket) = self.signaling.socket() {
            self.let_go(socket, overdue);
        }
        self.signaling_lost(now, why, cause);
    }

    /// Begins again with the signaling handshake, for fresh media URLs.
    pub(super) fn restart_signaling(&mut self, now: Instant, why: Interruption) {
        if let Some(socket) = self.signaling.socket() {
            self.outputs.push_back(Output::Close(socket));
        }
        self.seek(now, why);
        self.signaling.retry(now, &mut self.rng);
    }

    /// Zoom moved the stream: everything is connected anew, at the new URLs.
    pub(super) fn on_restarted(&mut self, now: Instant, server_urls: Vec<String>) {
        if !matches!(self.life, Life::Alive) || server_urls.is_empty() {
            return;
        }
        let sockets =
            self.signaling.socket().into_iter().chain(self.media.iter().filter_map(|m| m.link.socket()));
        let closes: Vec<_> = sockets.map(Output::Close).collect();
        self.outputs.extend(closes);
        // Media stopped with the old server, which may be long before Zoom says so.
        self.died = self.media.iter().filter_map(|media| media.link.last_heard()).max();
        self.media.clear();
        self.config.server_urls = server_urls;
        self.url_index = 0;
        self.stop_waiting(true);
        // A new server means a new window.
        self.seeking = Some((now, Interruption::ServerChanged));
        self.signaling = super::Link::due(now);
    }

    /// Zoom says that signaling is gone. Where we have not noticed, it must prove itself alive: a question is asked,
    /// and any message counts as the answer.
    pub(super) fn on_interrupted(&mut self, now: Instant) {
        let Some(socket) = self.signaling.socket().filter(|_| self.signaling.is_ready()) else { return };
        let rtms_stream_id = self.config.identity.stream_id.clone();
        self.send(socket, &ClientMessage::StreamStateRequest { rtms_stream_id });
        self.signaling.probe(now, self.config.timeouts.probe);
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        if event.kind() == EventKind::MediaConnectionInterrupted {
            self.probe_media(now);
        }
        self.notice(Notice::Event(event));
    }

    fn on_stream_state(&mut self, now: Instant, update: &StreamStateUpdate) {
        match update.state {
            StreamState::Terminated => self.stop(now, Outcome::Stopped(update.reason)),
            StreamState::Paused => self.paused = true,
            StreamState::Active | StreamState::Resumed => self.paused = false,
            StreamState::Interrupted => {
                let media =
                    [StopReason::DataConnectionInterrupted, StopReason::DataConnectionClosedAbnormally];
                if update.reason.is_none_or(|reason| media.contains(&reason)) {
                    self.probe_media(now);
                }
            }
            StreamState::Inactive | StreamState::Terminating | StreamState::Unknown(_) => {}
        }
    }

    const fn on_session_state(&mut self, update: &SessionStateUpdate) {
        match update.state {
            SessionState::Paused => self.paused = true,
            SessionState::Started | SessionState::Resumed => self.paused = false,
            // One session of several may stop; the stream's own state tells when all is over.
            SessionState::Inactive
            | SessionState::Initialize
            | SessionState::Stopped
            | SessionState::Unknown(_) => {}
        }
    }
}
