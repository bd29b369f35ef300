//! Where a stream's clock stands still, and until when: a fault that hits nobody is none, and how fast a machine is must
//! not decide what it hits.
//!
//! A client is there once each of its media sockets has sent what was due. Before a cut the clock waits for that, however
//! long the way in, or back, takes; Zoom's patience with an absent client ends in real time all the same. Nothing waits
//! at what only an absent client meets: that a new server is announced, that the stream is forgotten.

use super::Stream;
use super::seats::Seat;

/// Who must be there for something to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nobody.
    Nothing,
    /// A client that was there once, whatever became of it.
    Visitor,
    /// The same, and its signaling socket, whatever became of media.
    Signaling,
    /// A client with all its sockets.
    Client,
}

impl Stream {
    /// Whether this is there now. Who was forgotten is not waited for.
    pub(super) fn has(&self, needs: Needs) -> bool {
        let inner = self.inner();
        if inner.forgotten {
            return true;
        }
        match needs {
            Needs::Nothing => true,
            Needs::Visitor => inner.caught_up,
            Needs::Signaling => inner.caught_up && inner.signaling.as_ref().is_some_and(Seat::is_alive),
            Needs::Client => {
                let mut alive = inner.media.iter().filter(|seat| seat.is_alive()).peekable();
                alive.peek().is_some() && alive.all(Seat::has_caught_up)
            }
        }
    }

    /// Whether this stream's end, of itself, is to wait for a client that is on its way.
    pub(super) fn end_waits(&self) -> bool {
        self.waits_at.is_some() && !self.has(Needs::Client)
    }

    /// Lets the clock stand still at the first of these offsets, or, where streams wait for their first client, there.
    pub(super) fn wait_at(&self, offsets: [Option<i64>; 2]) {
        let inner = self.inner();
        let first = self.waits_at.filter(|_| !inner.caught_up && !inner.forgotten);
        drop(inner);
        let stop = offsets.into_iter().chain([first]).flatten().min();
        if self.clock.stop_at(stop) {
            // Sockets that wait for what is due next learn when that is.
            self.stage.send_modify(|_| {});
        }
    }
}
