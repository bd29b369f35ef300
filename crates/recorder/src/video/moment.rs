//! What came for one timestamp: usually one message with one picture.
//!
//! But one picture may come in several messages, cut anywhere, even within a start code; several pictures may come in
//! one message, or with the same timestamp. So the bytes of the last timestamp are kept, and read again as a whole
//! when more comes for it. A message that came before, to the byte, is a repeat after a reconnection.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rtms_protocol::UnixMillis;

use super::access_unit::AccessUnits;
use super::parameter_sets::ParameterSets;

/// Most bytes that are kept of one timestamp. More is taken, but nothing can be added to it.
const RAW_BYTES: usize = 4 * 1024 * 1024;
/// Most messages of one timestamp.
const MESSAGES: usize = 64;
/// Capacity that buffers keep between pictures, bytes.
const KEPT_BYTES: usize = 32 * 1024;

/// How a message stands to the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The first of its timestamp.
    First,
    /// More for the timestamp of the last one; the access units are those of all its messages.
    More,
    /// It was there already.
    Repeat,
    /// More than one timestamp can hold.
    TooMuch,
}

/// The messages of the last timestamp.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    timestamp: Option<UnixMillis>,
    raw: Vec<u8>,
    /// Whether `raw` is all that came.
    whole: bool,
    digests: Vec<u64>,
    pub(crate) units: AccessUnits,
    /// Whether a key frame was awaited before it.
    pub(crate) awaited_key: bool,
    /// Where it lies on the recording's clock, once a picture of it was taken.
    pub(crate) placed: Option<UnixMillis>,
}

impl Moment {
    /// Takes a message that may be a part of a picture.
    pub(crate) fn add(&mut self, timestamp: UnixMillis, message: &[u8]) -> Part {
        let part = self.add_whole(timestamp, message);
        let fits = self.raw.len() + message.len() <= RAW_BYTES;
        match part {
            Part::First => self.whole = fits,
            Part::More if !self.whole || !fits => {
                self.digests.pop();
                return Part::TooMuch;
            }
            Part::More => {}
            Part::Repeat | Part::TooMuch => return part,
        }
        if fits {
            self.raw.extend_from_slice(message);
        }
        part
    }

    /// Takes a message that is a whole picture.
    pub(crate) fn add_whole(&mut self, timestamp: UnixMillis, message: &[u8]) -> Part {
        let digest = digest(message);
        if self.timestamp != Some(timestamp) {
            self.begin(timestamp);
            self.digests.push(digest);
            return Part::First;
        }
        if self.digests.contains(&digest) {
            return Part::Repeat;
        }
        if self.digests.len() == MESSAGES {
            return Part::TooMuch;
        }
        self.digests.push(digest);
        Part::More
    }

    /// Reads the access units of the message, or where `part` says that it is one of several, of all of them. False
    /// where there is no unit in it.
    pub(crate) fn read(&mut self, part: Part, message: &[u8], sets: &mut ParameterSets) -> bool {
        let bytes = if part == Part::More { &self.raw } else { message };
        self.units.read(bytes, sets)
    }

    /// Gives memory back that a large picture took.
    pub(crate) fn tidy(&mut self) {
        self.units.clear(KEPT_BYTES);
    }

    /// Nothing can be added to it any more.
    pub(crate) fn forget(&mut self) {
        self.whole = false;
        self.raw = Vec::new();
    }

    fn begin(&mut self, timestamp: UnixMillis) {
        self.timestamp = Some(timestamp);
        self.raw.clear();
        self.raw.shrink_to(KEPT_BYTES);
        self.digests.clear();
        self.placed = None;
    }
}

/// Of the same process only, so the hash need not be a stable one.
fn digest(message: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_repeats_from_more() {
        let mut moment = Moment::default();
        let (a, b) = (UnixMillis(1), UnixMillis(2));
        assert_eq!(moment.add(a, b"x"), Part::First);
        assert_eq!(moment.add(a, b"y"), Part::More);
        assert_eq!(moment.add(a, b"x"), Part::Repeat);
        assert_eq!(moment.add(b, b"x"), Part::First);
    }

    #[test]
    fn what_one_moment_holds_has_a_limit() {
        let mut moment = Moment::default();
        let parts: Vec<_> = (0..=MESSAGES).map(|n| moment.add(UnixMillis(1), &n.to_be_bytes())).collect();
        assert_eq!(parts[MESSAGES - 1..], [Part::More, Part::TooMuch]);
        let large = vec![0; RAW_BYTES + 1];
        assert_eq!(moment.add(UnixMillis(2), &large), Part::First);
        assert_eq!(moment.add(UnixMillis(2), b"x"), Part::TooMuch);
        assert!(moment.raw.is_empty());
    }
}
