//! What an engagement's task shares with those who listen: what is known of the stream, and the ring of each listener.
//!
//! One lock orders both, so that a newcomer's hello and the news after it fit together. It is held for moves and small
//! JSON, never across an await. The task asks [`Hall::is_heard`] first, which takes no lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rtms_protocol::session::Phase;
use rtms_protocol::{StreamIdentity, UnixMillis};

use super::message::{End, Hello, Sound, State, Track, json};
use super::ring::Ring;
use crate::metrics;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Sound, as packets of samples.
    Audio,
    /// Words, as events.
    Transcript,
}

impl Feed {
    /// The word for metrics and logs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Transcript => "transcript",
        }
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// As many as may listen to this engagement do.
    Full,
    /// The stream is over.
    Ended,
}

/// The listeners of one engagement, and what they are told on arrival.
#[derive(Debug)]
pub(crate) struct Hall {
    identity: StreamIdentity,
    /// How many listen to sound and to words; changed under the lock, read without.
    heard: [AtomicUsize; 2],
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    rings: [Vec<Arc<Ring>>; 2],
    state: State,
    /// Rate and channels as granted, where they are known.
    format: Option<(u32, u16)>,
    tracks: Vec<Track>,
    ended: bool,
}

impl Hall {
    /// The hall of a stream that is being joined since `now`.
    pub(crate) fn new(identity: StreamIdentity, now: UnixMillis) -> Self {
        let inside = Inside {
            rings: Default::default(),
            state: State::of(Phase::Connecting, now),
            format: None,
            tracks: Vec::new(),
            ended: false,
        };
        Self { identity, heard: Default::default(), inside: Mutex::new(inside) }
    }

    /// Which stream it is.
    pub(super) fn stream_id(&self) -> &str {
        &self.identity.stream_id
    }

    /// Whether anybody listens: what a packet costs that nobody wants.
    pub(crate) fn is_heard(&self, feed: Feed) -> bool {
        self.heard[feed as usize].load(Ordering::Relaxed) > 0
    }

    /// Lets a listener in, if fewer than `limit` are: its ring begins with the hello.
    pub(super) fn enter(
        &self,
        feed: Feed,
        limit: usize,
        time_zero: Option<UnixMillis>,
    ) -> Result<Arc<Ring>, NoPlace> {
        let mut inside = self.lock();
        if inside.ended {
            return Err(NoPlace::Ended);
        }
        if inside.rings.iter().map(Vec::len).sum::<usize>() >= limit {
            return Err(NoPlace::Full);
        }
        let sound = (feed == Feed::Audio).then(|| Sound {
            encoding: "s16le",
            sample_rate: inside.format.map(|(rate, _)| rate),
            channels: inside.format.map(|(_, channels)| channels),
            tracks: &inside.tracks,
        });
        let hello = json("hello", &Hello::new(&self.identity, inside.state, time_zero, sound));
        let ring = Arc::new(Ring::default());
        ring.note("hello", hello);
        inside.rings[feed as usize].push(Arc::clone(&ring));
        self.heard[feed as usize].fetch_add(1, Ordering::Relaxed);
        Ok(ring)
    }

    /// Lets a listener go.
    pub(super) fn leave(&self, feed: Feed, ring: &Arc<Ring>) {
        let mut inside = self.lock();
        let rings = &mut inside.rings[feed as usize];
        if let Some(place) = rings.iter().position(|known| Arc::ptr_eq(known, ring)) {
            rings.swap_remove(place);
            self.heard[feed as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Hands a packet to everyone who listens to `feed`.
    pub(super) fn packet(&self, feed: Feed, event: &'static str, number: u64, packet: &Bytes) {
        let lost: u64 = self.lock().rings[feed as usize]
            .iter()
            .map(|ring| ring.packet(event, number, packet.clone()))
            .sum();
        if lost > 0 {
            ::metrics::counter!(metrics::LIVE_LOST, "feed" => feed.word()).increment(lost);
        }
    }

    /// Learns what was granted.
    pub(super) fn granted(&self, rate: u32, channels: u16) {
        self.lock().format = Some((rate, channels));
    }

    /// Learns of a track, or more about it, and tells it.
    pub(super) fn track(&self, track: &Track) {
        let mut inside = self.lock();
        match inside.tracks.iter_mut().find(|known| known.track == track.track) {
            Some(known) => *known = track.clone(),
            None => inside.tracks.push(track.clone()),
        }
        let note = json("track", track);
        inside.rings[Feed::Audio as usize].iter().for_each(|ring| ring.note("track", note.clone()));
    }

    /// Learns where the stream stands, and tells it.
    pub(super) fn phase(&self, phase: Phase, since: UnixMillis) {
        let mut inside = self.lock();
        inside.state = State::of(phase, since);
        inside.tell("state", &json("state", &inside.state));
    }

    /// Tells the end. Nobody is let in afterwards.
    pub(super) fn end(&self, end: End) {
        let mut inside = self.lock();
        if !std::mem::replace(&mut inside.ended, true) {
            inside.tell("end", &json("end", &end));
            inside.rings.iter().flatten().for_each(|ring| ring.close());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn tell(&self, event: &'static str, note: &Bytes) {
        self.rings.iter().flatten().for_each(|ring| ring.note(event, note.clone()));
    }
}
