//! What an engagement hands to its writer thread, in the order in which it happened.

use rtms_protocol::{Event, MediaFrame, MediaKind, MediaParams, UnixMillis};

/// Fixed cost of an item that holds no media, bytes; about its size in memory.
const ITEM_BYTES: usize = 256;

/// What is kept of a batch that finds no room, bytes. Words are small; this is hours of them.
const SHED_BYTES: usize = 1024 * 1024;

/// One thing to record.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// Media, with the time of its arrival.
    Media(UnixMillis, MediaFrame),
    /// An event from signaling.
    Event(Box<Event>),
    /// What Zoom granted.
    Granted(Box<MediaParams>),
    /// Media stopped; why.
    Interrupted(UnixMillis, &'static str),
    /// Media flows again.
    Resumed(UnixMillis),
    /// Zoom paused the stream.
    Paused(UnixMillis),
    /// Zoom resumed the stream that it had paused.
    Unpaused(UnixMillis),
    /// Zoom moved the stream to these signaling URLs.
    ServerUrls(Vec<String>),
    /// Whose video Zoom sends from now on, where one participant's was chosen.
    VideoChosen(Option<String>),
}

impl Item {
    /// Whether it is given up first when the disk does not keep up: sound and pictures are, words and events are not.
    const fn is_bulky(&self) -> bool {
        matches!(self, Self::Media(_, frame) if !matches!(frame.kind, MediaKind::Transcript | MediaKind::Chat))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Media(_, frame) => frame.bytes.len() + size_of::<Self>(),
            _ => ITEM_BYTES,
        }
    }
}

/// Items on their way, with their size.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    bytes: usize,
    /// Packets that were given up on the way, for the manifest.
    lost: u64,
}

impl Batch {
    pub(crate) fn push(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.items.push(item);
    }

    /// Bytes that it keeps in memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it tells nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.lost == 0
    }

    /// Packets that were given up on the way.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// When the last of its packets arrived; `None` where it holds none.
    pub(crate) fn newest(&self) -> Option<UnixMillis> {
        let arrived = |item: &Item| match item {
            Item::Media(arrived, _) => Some(*arrived),
            _ => None,
        };
        self.items.iter().filter_map(arrived).max()
    }

    /// Gives up sound and pictures, and beyond [`SHED_BYTES`] everything; returns how many packets that were.
    pub(crate) fn shed(&mut self) -> u64 {
        let before = self.items.len();
        let mut kept = 0;
        self.items.retain(|item| {
            let keep = !item.is_bulky() && kept + item.bytes() <= SHED_BYTES;
            kept += if keep { item.bytes() } else { 0 };
            keep
        });
        self.bytes = kept;
        let given_up = (before - self.items.len()) as u64;
        self.lost += given_up;
        given_up
    }

    pub(crate) fn into_items(self) -> Vec<Item> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn media(kind: MediaKind, bytes: usize) -> Item {
        Item::Media(UnixMillis(0), MediaFrame { kind, bytes: Bytes::from(vec![b' '; bytes]) })
    }

    #[test]
    fn words_and_events_are_given_up_last() {
        let mut batch = Batch::default();
        batch.push(media(MediaKind::Audio, 1_000));
        batch.push(media(MediaKind::Transcript, 1_000));
        batch.push(Item::Resumed(UnixMillis(1)));
        batch.push(media(MediaKind::Video, 1_000));
        assert_eq!(batch.shed(), 2);
        assert_eq!(batch.items.len(), 2);
        assert_eq!(batch.bytes(), batch.items.iter().map(Item::bytes).sum::<usize>());
        batch.push(media(MediaKind::Transcript, SHED_BYTES));
        assert_eq!(batch.shed(), 1, "even words have a limit");
        assert_eq!(batch.lost(), 3, "the recording is told of all of them");
    }

    #[test]
    fn a_batch_of_which_nothing_is_left_still_tells_of_it() {
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        batch.push(media(MediaKind::Audio, 1_000));
        batch.shed();
        assert!(!batch.is_empty());
    }
}
