//! The media sockets: which are wanted, their handshakes, and what happens when one is lost.

use super::ending::Life;
use super::io::{CloseCause, Interruption, Notice, Output, SocketId, SocketKind};
use super::link::{Link, LinkState, Overdue};
use super::{MediaSockets, Session, overdue_cause};
use crate::codes::{Refusal, StatusCode};
use crate::media::{MediaKind, MediaParams, MediaSet};
use crate::message::{
    ClientMessage, IdFields, MediaAnswer, MediaHandshake, MediaUrls, PROTOCOL_VERSION, ServerMessage,
};
use crate::signature::handshake_signature;
use crate::time::Instant;

/// After every so many failures in a row on one media socket, fresh URLs are asked for.
const FAILURES_BEFORE_NEW_URLS: u32 = 4;

/// One media socket that is to be kept connected.
#[derive(Debug, Clone)]
pub(super) struct MediaLink {
    pub(super) kinds: MediaSet,
    pub(super) url: String,
    pub(super) link: Link,
    /// Whether Zoom was told that this socket is ready.
    pub(super) announced: bool,
}

impl MediaLink {
    fn new(now: Instant, kinds: MediaSet, url: &str) -> Self {
        Self { kinds, url: url.to_owned(), link: Link::due(now), announced: false }
    }
}

impl Session {
    /// Lays out the media sockets after signaling is up: what is wanted, offered, and not already connected.
    pub(super) fn plan_media(&mut self, now: Instant, urls: &MediaUrls) {
        for kind in self.wanted.without(urls.offered()).iter() {
            self.unavailable(kind, None, "Zoom does not offer it to this app for this stream");
        }
        if self.wanted.is_empty() {
            return self.refused(None, "none of the wanted media is to be had".to_owned());
        }
        let mut links: Vec<MediaLink> = match urls.all() {
            Some(all) if self.config.sockets == MediaSockets::Single || urls.for_any().is_none() => {
                vec![MediaLink::new(now, self.wanted, all)]
            }
            _ => self
                .wanted
                .iter()
                .filter_map(|kind| Some((kind, urls.for_kind(kind)?)))
                .map(|(kind, url)| MediaLink::new(now, MediaSet::of(kind), url))
                .collect(),
        };
        self.keep_living_sockets(now, &mut links);
        self.media = links;
        self.announce();
    }

    /// Sockets that survived a loss of signaling are kept if the new plan has the same place for them; they must prove
    /// themselves. All others are closed before anything new is opened.
    fn keep_living_sockets(&mut self, now: Instant, links: &mut [MediaLink]) {
        for old in std::mem::take(&mut self.media) {
            let place = links.iter_mut().find(|new| new.kinds == old.kinds && new.url == old.url);
            let Some(socket) = old.link.socket() else {
                // A URL that failed before keeps its count: fresh signaling is no reason to hammer it.
                if let Some(new) = place {
                    new.link.backoff = old.link.backoff;
                }
                continue;
            };
            match place {
                Some(new) if old.link.is_ready() => {
                    new.link = old.link;
                    new.link.probe(now, self.config.timeouts.probe);
                }
                _ => self.outputs.push_back(Output::Close(socket)),
            }
        }
    }

    fn connect_media(&mut self, now: Instant, index: usize) {
        let Some((kinds, url)) = self.media.get(index).map(|media| (media.kinds, media.url.clone())) else {
            return;
        };
        let socket = self.open(now, SocketKind::Media(kinds), url);
        let timeouts = self.config.timeouts;
        if let Some(media) = self.media.get_mut(index) {
            media.announced = false;
            media.link.connecting(socket, now, &timeouts);
        }
    }

    pub(super) fn shake_hands_on_media(&mut self, now: Instant, socket: SocketId, index: usize) {
        let sequence = self.next_sequence();
        let timeouts = self.config.timeouts;
        let Some(media) = self.media.get_mut(index) else { return };
        media.link.handshaking(socket, now, &timeouts);
        let kinds = media.kinds;
        let identity = &self.config.identity;
        let media_type =
            if kinds == MediaSet::ALL { MediaSet::ALL_ON_ONE_SOCKET } else { i64::from(kinds.bits()) };
        let handshake = MediaHandshake {
            protocol_version: PROTOCOL_VERSION,
            sequence,
            ids: IdFields::for_stream(identity.product, &identity.id),
            rtms_stream_id: identity.stream_id.clone(),
            signature: handshake_signature(&self.config.credentials, &identity.id, &identity.stream_id),
            media_type,
            payload_encryption: false,
            media_params: self.config.media.only(kinds),
        };
        self.send(socket, &ClientMessage::MediaHandshake(Box::new(handshake)));
    }

    pub(super) fn on_media_message(&mut self, now: Instant, socket: SocketId, message: ServerMessage) {
        let ServerMessage::MediaAnswer(answer) = message else { return };
        let Some(index) = self.media_index(socket) else { return };
        let Some(media) = self.media.get_mut(index) else { return };
        if media.link.is_ready() {
            return;
        }
        if answer.status_code != StatusCode::Ok {
            return self.media_refused(now, socket, index, answer);
        }
        media.link.ready(socket, now);
        let kinds = media.kinds;
        self.media_worked = true;
        let granted = granted(self.config.media.only(kinds), answer.media_params);
        self.notice(Notice::Granted(granted));
        self.announce();
    }

    /// Tells Zoom that media may flow, once no handshake is outstanding.
    fn announce(&mut self) {
        let outstanding = |media: &MediaLink| {
            media.link.is_pending()
                || (matches!(media.link.state, LinkState::Waiting { .. })
                    && media.link.backoff.failures() == 0)
        };
        let Some(signaling) = self.signaling.socket().filter(|_| self.signaling.is_ready()) else { return };
        if self.media.iter().any(outstanding) {
            return;
        }
        let mut news = false;
        for media in self.media.iter_mut().filter(|media| media.link.is_ready()) {
            news |= !std::mem::replace(&mut media.announced, true);
        }
        if news {
            let rtms_stream_id = self.config.identity.stream_id.clone();
            self.send(signaling, &ClientMessage::ClientReady { rtms_stream_id });
            self.choose_video_again();
        }
    }

    fn media_refused(&mut self, now: Instant, socket: SocketId, index: usize, answer: MediaAnswer) {
        let MediaAnswer { status_code: status, reason, .. } = answer;
        let Some(kinds) = self.media.get(index).map(|media| media.kinds) else { return };
        let refused_kind = kind_of_refusal(status).filter(|kind| kinds.contains(*kind));
        let refusal = status.refusal();
        // Without signaling Zoom refuses any media: that says nothing about this stream.
        let bereft = !self.signaling.is_ready();
        self.notice(Notice::HandshakeRefused {
            kind: SocketKind::Media(kinds),
            status,
            reason: reason.clone(),
            retry: refused_kind.is_some() || refusal != Refusal::Final || self.media_worked || bereft,
        });
        self.outputs.push_back(Output::Close(socket));
        self.forget(socket);
        match (refused_kind, refusal) {
            (Some(kind), _) => self.go_on_without(now, index, kind, status, &reason),
            (None, Refusal::Final) if bereft => {
                // Signaling is under way, and media is asked for again after it.
                self.retry_media(now, index, None);
            }
            (None, Refusal::Final) if self.media_worked => {
                // What Zoom took a moment ago it refuses now: it lost our signaling, and has not told us yet.
                self.retry_media(now, index, None);
                self.restart_signaling(now, Interruption::MediaLost);
            }
            (None, Refusal::Final) => self.refused_by_zoom(now, Some(index), status, reason),
            (None, Refusal::Duplicate) => {
                let wait = self.jittered(self.config.timeouts.duplicate);
                self.retry_media(now, index, Some(wait));
            }
            (None, Refusal::Transient) => {
                self.retry_media(now, index, None);
            }
        }
    }

    /// Asks again at once for what is left without `kind`.
    fn go_on_without(
        &mut self,
        now: Instant,
        index: usize,
        kind: MediaKind,
        status: StatusCode,
        reason: &str,
    ) {
        self.unavailable(kind, Some(status), reason);
        if let Some(media) = self.media.get_mut(index) {
            media.kinds.remove(kind);
            media.link = Link::due(now);
        }
        self.media.retain(|media| !media.kinds.is_empty());
        if self.media.is_empty() {
            return self.refused(Some(status), reason.to_owned());
        }
        self.announce();
    }

    fn retry_media(
        &mut self,
        now: Instant,
        index: usize,
        wait: Option<std::time::Duration>,
    ) -> Option<Instant> {
        let media = self.media.get_mut(index)?;
        Some(match wait {
            Some(wait) => {
                // Counted as a failure, so that the other sockets need not wait for this one.
                media.link.backoff.next(&mut self.rng);
                media.link.retry_after(now, wait)
            }
            None => media.link.retry(now, &mut self.rng),
        })
    }

    /// A media socket is gone: it is rejoined alone, and with fresh URLs when that keeps failing.
    pub(super) fn media_lost(&mut self, now: Instant, index: usize, why: Interruption, cause: CloseCause) {
        let Some(media) = self.media.get_mut(index) else { return };
        media.announced = false;
        let kind = SocketKind::Media(media.kinds);
        if !matches!(self.life, Life::Alive) {
            media.link = Link::idle();
            return self.draining_lost_media();
        }
        self.seek(now, why);
        let retry_at = self.retry_media(now, index, None);
        self.notice(Notice::SocketLost { kind, cause, retry_at });
        let failures = self.media.get(index).map_or(0, |media| media.link.backoff.failures());
        let failing = failures > 0 && failures.is_multiple_of(FAILURES_BEFORE_NEW_URLS);
        if self.signaling.is_ready() && (failing || why == Interruption::Silence) {
            self.restart_signaling(now, why);
        }
        self.announce();
    }

    pub(super) fn media_overdue(&mut self, now: Instant, index: usize, overdue: Overdue) {
        if overdue == Overdue::Connect {
            if !matches!(self.life, Life::Alive) || !self.signaling.is_ready() {
                // Media follows signaling: the plan is made anew when signaling is up.
                if let Some(media) = self.media.get_mut(index) {
                    media.link.state = LinkState::Idle;
                }
                return;
            }
            return self.connect_media(now, index);
        }
        let (why, cause) = overdue_cause(overdue);
        if let Some(link) = self.media.get(index).map(|media| &media.link) {
            self.died = self.died.max(link.last_heard());
            if let Some(socket) = link.socket() {
                self.let_go(socket, overdue);
            }
        }
        self.media_lost(now, index, why, cause);
    }

    /// Zoom says that a media socket is gone, without saying which: each must prove itself alive.
    pub(super) fn probe_media(&mut self, now: Instant) {
        let within = self.config.timeouts.probe;
        self.media.iter_mut().for_each(|media| media.link.probe(now, within));
    }
}

/// What an answer grants: what it says, and where it says nothing, what was asked.
fn granted(asked: MediaParams, answer: Option<MediaParams>) -> MediaParams {
    let mut granted = asked;
    if let Some(answer) = answer {
        granted.merge(&answer.only(asked.kinds()));
    }
    granted
}

/// The kind of media that a refusal is about: 9–13, or a parameter of one kind.
fn kind_of_refusal(status: StatusCode) -> Option<MediaKind> {
    status.unsupported_media().or_else(|| {
        Some(match status.code() {
            18..=24 => MediaKind::Audio,
            25..=30 => MediaKind::Video,
            31..=35 => MediaKind::Share,
            36 | 37 | 43 => MediaKind::Transcript,
            38 | 39 => MediaKind::Chat,
            _ => return None,
        })
    })
}
