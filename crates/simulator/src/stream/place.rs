//! Which server carries a stream: it can die, and the stream goes on elsewhere, or is forgotten.
//!
//! All servers share one listener; the path tells them apart. The first has none, as Zoom's own URLs, the next ones are
//! `/server-1`, `/server-2`, ….

use rtms_protocol::StatusCode;

use super::{Denial, Inner, Stream};
use crate::faults::Cut;

impl Inner {
    /// Gives up every seat without a word: whoever held them is no longer known.
    fn vacate(&mut self, how: Cut) {
        for seat in self.media.drain(..).chain(self.signaling.take()) {
            let _ = seat.cut.send(Some(how));
        }
        let now = tokio::time::Instant::now();
        self.signaling_lost.get_or_insert(now);
        self.media_lost = None;
    }
}

impl Stream {
    /// The URL of a socket at the server that carries the stream now.
    pub(crate) fn url(&self, path: &str) -> String {
        match self.inner().server {
            0 => format!("{}/{path}", self.base_url),
            server => format!("{}/server-{server}/{path}", self.base_url),
        }
    }

    /// Whether a handshake at this server finds the stream.
    pub(crate) fn is_at(&self, server: u32) -> Result<(), Denial> {
        let inner = self.inner();
        if inner.forgotten {
            return Err(StatusCode::InvalidStreamId.into());
        }
        if inner.server == server { Ok(()) } else { Err(inner.death) }
    }

    /// The server dies with all its sockets.
    pub(super) fn die(&self, how: Cut, refuses: Option<StatusCode>) {
        let mut inner = self.inner();
        inner.server += 1;
        inner.death = refuses.map_or(Denial::Cut(how), Denial::Status);
        inner.moving = true;
        inner.vacate(how);
        drop(inner);
        self.stage.send_modify(|stage| stage.ready = false);
    }

    /// Whether Zoom misses the client and tells so by webhook; after the death of a server it tells of the new one instead.
    pub(super) fn is_missed(&self) -> bool {
        let inner = self.inner();
        inner.signaling.is_none() && inner.joins > 0 && !inner.moving && !inner.forgotten
    }

    /// The stream is gone, and nobody is told.
    pub(super) fn forget(&self) {
        let mut inner = self.inner();
        inner.forgotten = true;
        inner.vacate(Cut::End);
        drop(inner);
        self.stage.send_modify(|stage| stage.ready = false);
    }
}
