//! Seats: at most one signaling socket, and one media socket for each kind. Who takes one is refused or replaces.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rtms_protocol::{MediaSet, StatusCode};
use tokio::sync::{mpsc, watch};

use super::{Denial, Phase, Stream, ToSignaling};
use crate::faults::{Cut, Rubbish};

/// What happens to a second connection of a kind. Zoom is known to do either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecondConnection {
    /// It is refused (8, 15 or 16).
    #[default]
    Refuse,
    /// The first one is closed.
    Replace,
}

/// A socket's place in a stream.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    kinds: MediaSet,
    everything: bool,
    done: Arc<AtomicBool>,
    caught_up: Arc<AtomicBool>,
    pub(super) cut: watch::Sender<Option<Cut>>,
    pub(super) news: mpsc::Sender<ToSignaling>,
    pub(super) rubbish: mpsc::Sender<Rubbish>,
}

impl Seat {
    /// Whether the socket has sent what it must before the stream may end.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Whether nothing has ended the socket yet.
    pub(super) fn is_alive(&self) -> bool {
        self.cut.borrow().is_none()
    }

    /// Whether the socket has once sent all that was due.
    pub(super) fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }
}

/// What the signaling socket holds while it is seated.
#[derive(Debug)]
pub(crate) struct SignalingSeat {
    pub(crate) id: u64,
    pub(crate) cut: watch::Receiver<Option<Cut>>,
    pub(crate) news: mpsc::Receiver<ToSignaling>,
    pub(crate) rubbish: mpsc::Receiver<Rubbish>,
    pub(crate) done: Arc<AtomicBool>,
}

/// What a media socket holds while it is seated.
#[derive(Debug)]
pub(crate) struct MediaSeat {
    pub(crate) id: u64,
    pub(crate) cut: watch::Receiver<Option<Cut>>,
    pub(crate) rubbish: mpsc::Receiver<Rubbish>,
    pub(crate) done: Arc<AtomicBool>,
    pub(crate) caught_up: Arc<AtomicBool>,
}

fn seat(id: u64, kinds: MediaSet, everything: bool) -> (Seat, SignalingSeat) {
    let (cut, cut_receiver) = watch::channel(None);
    let (news, news_receiver) = mpsc::channel(16);
    let (rubbish, rubbish_receiver) = mpsc::channel(16);
    let done = Arc::new(AtomicBool::new(false));
    let held = SignalingSeat {
        id,
        cut: cut_receiver,
        news: news_receiver,
        rubbish: rubbish_receiver,
        done: Arc::clone(&done),
    };
    let caught_up = Arc::default();
    (Seat { id, kinds, everything, done, caught_up, cut, news, rubbish }, held)
}

/// What the plan of faults has for a handshake.
fn planned(attempt: u32, refuse: &[StatusCode], mute: &Range<u32>) -> Result<(), Denial> {
    if mute.contains(&attempt) {
        return Err(Denial::Cut(Cut::Silence));
    }
    let refused = usize::try_from(attempt).ok().and_then(|attempt| refuse.get(attempt));
    refused.filter(|status| **status != StatusCode::Ok).map_or(Ok(()), |status| Err((*status).into()))
}

impl Stream {
    /// Seats a signaling socket whose handshake was right.
    pub(crate) fn attach_signaling(
        self: &Arc<Self>,
        second: SecondConnection,
        buffer_data: bool,
    ) -> Result<SignalingSeat, Denial> {
        let mut inner = self.inner();
        if self.stage.borrow().phase != Phase::Open {
            return Err(StatusCode::InvalidStreamId.into());
        }
        let attempt = inner.connections.signaling_handshakes;
        inner.connections.signaling_handshakes += 1;
        planned(attempt, &self.faults.refuse_signaling, &self.faults.mute_signaling)?;
        let mut alive = 0;
        if let Some(first) = inner.signaling.take() {
            inner.connections.duplicates += 1;
            if second == SecondConnection::Refuse {
                inner.signaling = Some(first);
                return Err(StatusCode::DuplicateSignalRequest.into());
            }
            alive = first.is_alive().into();
            let _ = first.cut.send(Some(Cut::Close));
        }
        inner.connections.signaling(alive);
        inner.moving = false;
        inner.next_seat += 1;
        let id = inner.next_seat;
        let (place, held) = seat(id, MediaSet::EMPTY, false);
        inner.signaling = Some(place);
        inner.signaling_lost = None;
        inner.subscriptions.clear();
        if inner.joins == 0 {
            inner.buffer_data = buffer_data;
        }
        drop(inner);
        // A choice of video is made on a connection, as subscriptions are, and made anew on the next.
        self.stage.send_modify(|stage| stage.video_choice = None);
        self.presence.notify_one();
        Ok(held)
    }

    /// Gives the signaling seat back. With it go readiness and every media socket.
    pub(crate) fn detach_signaling(&self, id: u64) {
        let mut inner = self.inner();
        if inner.signaling.as_ref().is_none_or(|seat| seat.id != id) {
            return;
        }
        inner.signaling = None;
        inner.signaling_lost = Some(tokio::time::Instant::now());
        for seat in &inner.media {
            let _ = seat.cut.send(Some(Cut::Close));
        }
        drop(inner);
        self.stage.send_modify(|stage| stage.ready = false);
        self.presence.notify_one();
    }

    /// Notes that a socket has sent what it must before the stream may end.
    pub(crate) fn mark_done(&self, done: &AtomicBool) {
        if !done.swap(true, Ordering::AcqRel) {
            self.presence.notify_one();
        }
    }

    /// Notes that a media socket has sent all that was due.
    pub(crate) fn mark_caught_up(&self, caught_up: &AtomicBool) {
        if !caught_up.swap(true, Ordering::AcqRel) {
            self.inner().caught_up = true;
            self.presence.notify_one();
        }
    }

    /// Whether signaling is up: media may not come before it.
    pub(crate) fn has_signaling(&self) -> bool {
        self.inner().signaling.is_some()
    }

    /// Seats a media socket whose handshake was right.
    pub(crate) fn attach_media(
        self: &Arc<Self>,
        second: SecondConnection,
        kinds: MediaSet,
        everything: bool,
    ) -> Result<MediaSeat, Denial> {
        let mut inner = self.inner();
        let attempt = inner.connections.media_handshakes;
        inner.connections.media_handshakes += 1;
        planned(attempt, &self.faults.refuse_media, &self.faults.mute_media)?;
        let clashes =
            |seat: &&Seat| seat.everything || everything || !seat.kinds.intersection(kinds).is_empty();
        let mut alive = 0;
        if let Some(all) = inner.media.iter().find(clashes).map(|first| first.everything) {
            inner.connections.duplicates += 1;
            if second == SecondConnection::Refuse {
                let status =
                    if all { StatusCode::AllConnectionExists } else { StatusCode::DuplicateMediaConnection };
                return Err(status.into());
            }
            for seat in inner.media.iter().filter(clashes) {
                alive += usize::from(seat.is_alive());
                let _ = seat.cut.send(Some(Cut::Close));
            }
        }
        inner.connections.media(alive);
        inner.next_seat += 1;
        let id = inner.next_seat;
        let (place, SignalingSeat { id, cut, rubbish, done, .. }) = seat(id, kinds, everything);
        let caught_up = Arc::clone(&place.caught_up);
        inner.media.retain(|seat| seat.cut.borrow().is_none());
        inner.media.push(place);
        inner.media_lost = None;
        inner.joins += 1;
        drop(inner);
        self.presence.notify_one();
        Ok(MediaSeat { id, cut, rubbish, done, caught_up })
    }

    /// Gives a media seat back; an interruption unless the stream is over or another socket took the seat.
    pub(crate) fn detach_media(&self, id: u64) {
        let mut inner = self.inner();
        let before = inner.media.len();
        inner.media.retain(|seat| seat.id != id);
        let was_seated = inner.media.len() < before;
        if was_seated && inner.media.is_empty() {
            inner.media_lost = Some(tokio::time::Instant::now());
        }
        drop(inner);
        if was_seated && self.stage.borrow().phase == Phase::Open {
            self.tell_signaling(ToSignaling::MediaInterrupted);
        }
        self.presence.notify_one();
    }
}
