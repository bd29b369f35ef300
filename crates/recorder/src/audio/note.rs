//! What a WAV file of ours says about itself, so that a later process can go on with it to the sample.
//!
//! It lies in the `JUNK` chunk that keeps a place for `ds64`; readers skip it. It is written together with the sizes,
//! so it is as current as they are, and a file that is replaced changes its samples and its time zero in one step. The
//! manifest could be older by seconds. Where the file outgrew 4 GiB (RF64) its place is taken, and nothing is known.

use rtms_protocol::UnixMillis;

/// Bytes that a note takes: what `ds64` needs.
pub(crate) const NOTE_BYTES: usize = 28;
const MAGIC: [u8; 4] = *b"rtms";

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WavNote {
    /// Zoom's clock at the first frame.
    pub(crate) zero: Option<UnixMillis>,
    /// By how many frames the last packet ended later by its timestamp than it did in the file: tolerated jitter.
    pub(crate) ahead: i32,
    /// Length of the last packet, frames; 0 where there was none.
    pub(crate) last_length: u32,
    /// Of a combined file: the track (in the order in which tracks were made) that is on the left.
    pub(crate) left: Option<u32>,
}

impl WavNote {
    /// The note as bytes; all zero when it says nothing.
    pub(crate) fn to_bytes(self) -> [u8; NOTE_BYTES] {
        let mut bytes = [0; NOTE_BYTES];
        if self != Self::default() {
            bytes[0..4].copy_from_slice(&MAGIC);
            // No time zero of ours is the smallest number.
            bytes[4..12].copy_from_slice(&self.zero.map_or(i64::MIN, |zero| zero.0).to_le_bytes());
            bytes[12..16].copy_from_slice(&self.ahead.to_le_bytes());
            bytes[16..20].copy_from_slice(&self.last_length.to_le_bytes());
            bytes[20..24].copy_from_slice(&self.left.map_or(u32::MAX, |left| left).to_le_bytes());
        }
        bytes
    }

    /// Reads a note; one that is not ours says nothing.
    pub(crate) fn from_bytes(bytes: &[u8; NOTE_BYTES]) -> Self {
        let [a, b, c, d, zero @ .., h0, h1, h2, h3, l0, l1, l2, l3, s0, s1, s2, s3, _, _, _, _] = *bytes;
        if [a, b, c, d] != MAGIC {
            return Self::default();
        }
        let left = u32::from_le_bytes([s0, s1, s2, s3]);
        let zero = i64::from_le_bytes(zero);
        Self {
            zero: (zero != i64::MIN).then_some(UnixMillis(zero)),
            ahead: i32::from_le_bytes([h0, h1, h2, h3]),
            last_length: u32::from_le_bytes([l0, l1, l2, l3]),
            left: (left != u32::MAX).then_some(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let full = WavNote { zero: Some(UnixMillis(-5)), ahead: -96, last_length: 320, left: Some(1) };
        for note in [full, WavNote::default(), WavNote { ahead: 1, ..WavNote::default() }] {
            assert_eq!(WavNote::from_bytes(&note.to_bytes()), note);
        }
        assert_eq!(WavNote::from_bytes(&[7; NOTE_BYTES]), WavNote::default());
    }
}
