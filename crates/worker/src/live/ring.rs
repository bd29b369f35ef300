//! What waits for one listener: bounded, never waiting, the oldest packets lost first.
//!
//! Packets may be lost; notes (tracks, states, the end) may not, because a listener that missed one could not read
//! what follows. Somebody who lets even the notes pile up is given up.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Packets that may wait for one listener, bytes: a minute of two parties at 16 kHz comes at once when Zoom has buffered
/// it. What comes as people speak fills less than half of that before a listener that takes nothing is given up.
const PACKET_BYTES: usize = 4 * 1024 * 1024;
/// Notes that may wait for one listener, bytes.
const NOTE_BYTES: usize = 1024 * 1024;
/// Fixed cost of an item, bytes; about its size in memory.
const ITEM_BYTES: usize = 128;
/// Items that a listener takes at a time.
const TAKEN: usize = 64;

/// Something for a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// JSON, never lost; the event's name.
    Note(&'static str, Bytes),
    /// A packet of sound, or words: the event's name, its number, and what it holds.
    Packet(&'static str, u64, Bytes),
    /// So many packets were lost before the next one.
    Lost(u64),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Note(_, bytes) | Self::Packet(_, _, bytes) => ITEM_BYTES + bytes.len(),
            Self::Lost(_) => ITEM_BYTES,
        }
    }

    const fn is_packet(&self) -> bool {
        matches!(self, Self::Packet(..))
    }
}

/// The queue of one listener.
#[derive(Debug, Default)]
pub(super) struct Ring {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    packet_bytes: usize,
    note_bytes: usize,
    /// Packets lost since the listener was last told.
    lost: u64,
    /// Nothing follows.
    closed: bool,
}

impl Ring {
    /// Adds a note; where too many wait, it is the last one.
    pub(super) fn note(&self, event: &'static str, json: Bytes) {
        self.lock().add_note(Item::Note(event, json));
        self.wake.notify_one();
    }

    /// Adds a packet. Returns how many packets are lost by that.
    pub(super) fn packet(&self, event: &'static str, number: u64, packet: Bytes) -> u64 {
        let lost = self.lock().add_packet(Item::Packet(event, number, packet));
        self.wake.notify_one();
        lost
    }

    /// Says that nothing follows; what waits can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits for items and adds them to `taken`; false when nothing follows any more.
    ///
    /// # Cancel safety
    /// Safe: what was not taken stays.
    pub(super) async fn take(&self, taken: &mut Vec<Item>) -> bool {
        loop {
            {
                let mut queue = self.lock();
                if queue.take(taken) {
                    return true;
                }
                if queue.closed {
                    return false;
                }
            }
            self.wake.notified().await;
        }
    }

    /// The lock is held for a few moves and never across an await.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn add_note(&mut self, note: Item) {
        if !self.closed {
            self.note_bytes += note.bytes();
            self.items.push_back(note);
            self.closed = self.note_bytes > NOTE_BYTES;
        }
    }

    fn add_packet(&mut self, packet: Item) -> u64 {
        if self.closed {
            return 0;
        }
        let bytes = packet.bytes();
        let mut lost = 0;
        while self.packet_bytes + bytes > PACKET_BYTES && self.drop_oldest() {
            lost += 1;
        }
        if self.packet_bytes + bytes > PACKET_BYTES {
            lost += 1;
        } else {
            self.packet_bytes += bytes;
            self.items.push_back(packet);
        }
        self.lost += lost;
        lost
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.items.iter().position(Item::is_packet).and_then(|at| self.items.remove(at));
        self.packet_bytes -= oldest.as_ref().map_or(0, Item::bytes);
        oldest.is_some()
    }

    /// Whether there was anything to take. What was lost is told first: it lies before all that is left.
    fn take(&mut self, taken: &mut Vec<Item>) -> bool {
        let before = taken.len();
        if self.lost > 0 {
            taken.push(Item::Lost(std::mem::take(&mut self.lost)));
        }
        for item in self.items.drain(..self.items.len().min(TAKEN)) {
            let sum = if item.is_packet() { &mut self.packet_bytes } else { &mut self.note_bytes };
            *sum -= item.bytes();
            taken.push(item);
        }
        taken.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u64, bytes: usize) -> Item {
        Item::Packet("packet", number, Bytes::from(vec![0; bytes]))
    }

    fn push(ring: &Ring, number: u64, bytes: usize) -> u64 {
        ring.packet("packet", number, Bytes::from(vec![0; bytes]))
    }

    async fn all(ring: &Ring) -> Vec<Item> {
        let mut taken = Vec::new();
        while ring.take(&mut taken).await {}
        taken
    }

    #[tokio::test]
    async fn what_is_taken_in_time_is_complete_and_in_order() {
        let ring = Ring::default();
        let mut taken = Vec::new();
        for number in 0..10_000 {
            assert_eq!(push(&ring, number, 640), 0);
            if number % 100 == 99 {
                while taken.len() <= usize::try_from(number).unwrap() {
                    assert!(ring.take(&mut taken).await);
                }
            }
        }
        assert!((0..10_000).zip(&taken).all(|(n, item)| *item == packet(n, 640)));
    }

    #[tokio::test]
    async fn the_oldest_packets_are_lost_and_told_before_the_next_and_notes_stay() {
        let ring = Ring::default();
        let note = Item::Note("track", Bytes::from_static(b"{}"));
        push(&ring, 0, 640);
        ring.note("track", Bytes::from_static(b"{}"));
        let lost: u64 = (1..20_000).map(|number| push(&ring, number, 640)).sum();
        ring.close();
        let taken = all(&ring).await;
        assert!(lost > 13_000, "{lost}");
        assert_eq!(taken[..3], [Item::Lost(lost), note, packet(lost, 640)]);
        assert_eq!(taken.last(), Some(&packet(19_999, 640)));
        assert_eq!(taken.iter().filter(|item| item.is_packet()).count() as u64 + lost, 20_000);
        assert!(taken.iter().map(Item::bytes).sum::<usize>() <= PACKET_BYTES + 4 * ITEM_BYTES);
    }

    #[tokio::test]
    async fn a_packet_that_fits_no_ring_is_lost_alone() {
        let ring = Ring::default();
        assert_eq!(push(&ring, 0, PACKET_BYTES), 1);
        assert_eq!(push(&ring, 1, 640), 0);
        ring.close();
        assert_eq!(all(&ring).await, [Item::Lost(1), packet(1, 640)]);
        assert_eq!(push(&ring, 2, 640), 0, "nothing follows the end");
    }

    #[tokio::test]
    async fn notes_that_nobody_takes_end_it() {
        let ring = Ring::default();
        (0..100_000).for_each(|_| ring.note("state", Bytes::from_static(b"{}")));
        let kept = all(&ring).await;
        assert!(kept.len() * ITEM_BYTES <= NOTE_BYTES + ITEM_BYTES);
    }
}
