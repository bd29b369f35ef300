//! How a client behaved at the door: what it tried, what it was given, and whether it ever came twice; and a stream in
//! few numbers.

use std::time::Duration;

use serde_json::{Value, json};

/// What became of a stream, without its content: cheap enough for thousands at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Audio packets sent, repeats included.
    pub audio_packets: u64,
    /// Whether all audio and transcript of the scenario was sent (to a client that asked for it).
    pub complete: bool,
    /// Real time from the announcement until the client first said that it is ready; `None` where it never did.
    pub joined_after: Option<Duration>,
}

/// Handshakes of one stream, counted. A handshake counts once it named the stream and was signed rightly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Signaling handshakes, whatever came of them.
    pub signaling_handshakes: u32,
    /// Media handshakes, whatever came of them.
    pub media_handshakes: u32,
    /// Signaling sockets that were accepted.
    pub signaling_accepted: u32,
    /// Media sockets that were accepted.
    pub media_accepted: u32,
    /// The most signaling sockets that were accepted and alive at the same time; more than 1 is the client's fault.
    pub most_signaling: u32,
    /// The most media sockets of one kind that were accepted and alive at the same time.
    pub most_media: u32,
    /// Handshakes that came while Zoom still held the client's earlier socket of that kind.
    pub duplicates: u32,
}

impl Connections {
    /// Notes a signaling socket that was accepted beside `alive` others.
    pub(super) fn signaling(&mut self, alive: usize) {
        self.signaling_accepted += 1;
        self.most_signaling = self.most_signaling.max(more_than(alive));
    }

    /// Notes a media socket that was accepted beside `alive` others of its kinds.
    pub(super) fn media(&mut self, alive: usize) {
        self.media_accepted += 1;
        self.most_media = self.most_media.max(more_than(alive));
    }

    pub(crate) fn summary(&self) -> Value {
        json!({"signaling_handshakes": self.signaling_handshakes, "media_handshakes": self.media_handshakes,
            "signaling_accepted": self.signaling_accepted, "media_accepted": self.media_accepted,
            "most_signaling": self.most_signaling, "most_media": self.most_media, "duplicates": self.duplicates})
    }
}

fn more_than(alive: usize) -> u32 {
    u32::try_from(alive).unwrap_or(u32::MAX).saturating_add(1)
}
