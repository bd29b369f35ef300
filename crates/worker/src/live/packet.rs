//! The binary message of the audio feed: 16 bytes of header, then the samples.
//!
//! | bytes | what, little endian |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | flags: 1, something is missing between the track's last packet and this one |
//! | 2–3 | track, as announced, unsigned |
//! | 4–7 | sequence, unsigned: one more with every packet of the track, and from its highest to 0 |
//! | 8–15 | timestamp of the first sample, signed: Unix ms by Zoom's clock |
//! | 16– | 16-bit signed samples, interleaved |

use bytes::{BufMut as _, Bytes, BytesMut};
use rtms_protocol::UnixMillis;

/// Version of the packets and of the messages around them.
pub(super) const VERSION: u8 = 1;
/// Length of the header, bytes.
const HEADER_BYTES: usize = 16;
/// The flag of a packet that does not go on where the track's last one ended.
const AFTER_HOLE: u8 = 1;

/// What stands before the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) track: u16,
    pub(super) after_hole: bool,
    pub(super) sequence: u32,
    pub(super) timestamp: UnixMillis,
}

impl Header {
    /// The message with these samples.
    pub(super) fn with(self, samples: &[i16]) -> Bytes {
        let mut message = BytesMut::with_capacity(HEADER_BYTES + size_of_val(samples));
        message.put_u8(VERSION);
        message.put_u8(if self.after_hole { AFTER_HOLE } else { 0 });
        message.put_u16_le(self.track);
        message.put_u32_le(self.sequence);
        message.put_i64_le(self.timestamp.0);
        samples.iter().for_each(|sample| message.put_i16_le(*sample));
        message.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_documented() {
        let header = Header {
            track: 0x0203,
            after_hole: true,
            sequence: 0x0405_0607,
            timestamp: UnixMillis(0x0102_0304_0506_0708),
        };
        let message = header.with(&[-2, 0x0B0A]);
        assert_eq!(
            message[..],
            [1, 1, 3, 2, 7, 6, 5, 4, 8, 7, 6, 5, 4, 3, 2, 1, 0xFE, 0xFF, 0x0A, 0x0B],
            "docs/live.md tells people these bytes"
        );
        let header = Header { track: 1, after_hole: false, sequence: 0, timestamp: UnixMillis(-1) };
        assert_eq!(header.with(&[])[..], [1, 0, 1, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    }
}
