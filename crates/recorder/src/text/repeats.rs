//! Tells text that Zoom sends again after a reconnection from text that is new.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use rtms_protocol::{MediaPacket, UnixMillis, WireId};

/// Messages that are remembered. Zoom repeats a minute or so.
const REMEMBERED: usize = 256;

/// The last messages, as hashes of source, time and text.
#[derive(Debug, Default)]
pub struct Repeats(VecDeque<u64>);

impl Repeats {
    /// Whether the message is new; it is remembered from then on.
    pub fn is_new(&mut self, packet: &MediaPacket<'_>) -> bool {
        let message = Message::of(packet);
        let new = !self.holds(&message);
        if new {
            self.remember(&message);
        }
        new
    }

    /// Whether the message was here already.
    pub(crate) fn holds(&self, message: &Message<'_>) -> bool {
        self.0.contains(&message.hash())
    }

    /// Remembers a message that was recorded.
    pub(crate) fn remember(&mut self, message: &Message<'_>) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(message.hash());
    }
}

/// What makes a message the same as another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'m> {
    pub(crate) channel_id: Option<&'m WireId<'m>>,
    pub(crate) user_id: Option<&'m WireId<'m>>,
    pub(crate) timestamp: UnixMillis,
    /// Of words that are still being said all that may differ.
    pub(crate) end_time: Option<UnixMillis>,
    pub(crate) attribute: Option<&'m str>,
    pub(crate) text: &'m str,
}

impl<'m> Message<'m> {
    pub(crate) fn of(packet: &'m MediaPacket<'m>) -> Self {
        Self {
            channel_id: packet.channel_id.as_ref(),
            user_id: packet.user_id.as_ref(),
            timestamp: packet.timestamp,
            end_time: packet.end_time,
            attribute: packet.attribute.as_deref(),
            text: packet.text(),
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let source = self.channel_id.or(self.user_id).map(ToString::to_string);
        (source, self.timestamp, self.end_time, self.attribute, self.text).hash(&mut hasher);
        hasher.finish()
    }
}
