//! Keep-alives of one socket, from Zoom's side: one each interval, with a sequence; too many unanswered end the socket.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Shared;
use super::socket::Socket;
use crate::clock::unix_now;
use crate::faults::Cut;
use crate::stream::{Stream, Timing};

/// What is due.
pub(super) enum Beat {
    /// Send this.
    Ask(Value),
    /// The client is dead: cut.
    Dead,
}

/// The state of one socket's keep-alives.
pub(super) struct KeepAlive {
    timing: Timing,
    next: Instant,
    sequence: u64,
    unanswered: u32,
}

impl KeepAlive {
    pub(super) fn begin(timing: Timing) -> Self {
        Self { timing, next: Instant::now() + timing.keep_alive, sequence: 0, unanswered: 0 }
    }

    /// When [`Self::beat`] is to be called.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn beat(&mut self) -> Beat {
        // From now on: after a stall, missed beats must not come in one go, before an answer can.
        self.next = Instant::now() + self.timing.keep_alive;
        if self.unanswered >= self.timing.keep_alive_misses {
            return Beat::Dead;
        }
        self.unanswered += 1;
        self.sequence += 1;
        Beat::Ask(json!({"msg_type": 12, "sequence": self.sequence, "timestamp": unix_now().0}))
    }

    /// The client answered; which one does not matter.
    pub(super) const fn answered(&mut self) {
        self.unanswered = 0;
    }
}

/// A socket on which nothing passes any more: Zoom notices by its keep-alives and lets go of it (`forget`), while the
/// connection itself stays until the client goes, or the stream ends.
pub(super) async fn half_open(shared: &Shared, stream: &Stream, socket: Socket, forget: impl FnOnce()) {
    let noticed = tokio::time::sleep(stream.timing.keep_alive * stream.timing.keep_alive_misses);
    let gone = async {
        tokio::select! {
            () = socket.end(Cut::Silence) => {}
            () = shared.closed(stream) => {}
        }
    };
    tokio::pin!(gone);
    tokio::select! {
        () = &mut gone => forget(),
        () = noticed => {
            forget();
            gone.await;
        }
    }
}
