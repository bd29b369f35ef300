//! RTP packets (RFC 3550, section 5.1), as they come where audio was asked for with content type RTP.
//!
//! One payload of the media socket is one packet: a header, perhaps with contributing sources and an extension, the
//! codec's frames, perhaps padding. Its sequence number tells what is missing or out of order, its timestamp counts
//! samples from an arbitrary start. The payload type is not looked at: what the bytes are was granted in the handshake.
//!
//! Refuses other versions and lengths that lead out of the packet.

/// Bytes of a header without sources and extension.
const FIXED_BYTES: usize = 12;
/// The only version there is.
const VERSION: u8 = 2;
/// Most contributing sources that the header can count.
const MOST_SOURCES: usize = 15;

/// One packet; its variable parts are borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpPacket<'a> {
    /// Begins a talk spurt, where the sender says so.
    pub marker: bool,
    /// 7 bits; what the payload is by the sender's own numbering.
    pub payload_type: u8,
    /// Counts packets, from an arbitrary start, and wraps.
    pub sequence: u16,
    /// Counts the codec's clock, from an arbitrary start, and wraps.
    pub timestamp: u32,
    /// The sender's source.
    pub ssrc: u32,
    /// Contributing sources, four bytes each; at most 15 are written.
    pub sources: &'a [u8],
    /// The header extension: the profile's number, and its words.
    pub extension: Option<(u16, &'a [u8])>,
    /// The codec's bytes, padding taken off.
    pub payload: &'a [u8],
}

/// Why bytes are no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Fewer bytes than a header, or than the header says.
    #[error("{bytes} bytes are too few for its RTP header")]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// Another version.
    #[error("RTP version {0}, not 2")]
    Version(u8),
    /// Padding that is longer than the payload, or of no length.
    #[error("RTP padding of {0} bytes")]
    Padding(u8),
}

impl<'a> RtpPacket<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// It is none; see [`RtpError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let short = || RtpError::Short { bytes: bytes.len() };
        let (head, rest) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or_else(short)?;
        if head[0] >> 6 != VERSION {
            return Err(RtpError::Version(head[0] >> 6));
        }
        let (sources, rest) = rest.split_at_checked(usize::from(head[0] & 0x0f) * 4).ok_or_else(short)?;
        let (extension, rest) = match head[0] & 0x10 {
            0 => (None, rest),
            _ => extension(rest).ok_or_else(short)?,
        };
        let payload = if head[0] & 0x20 == 0 { rest } else { without_padding(rest).ok_or_else(short)?? };
        Ok(Self {
            marker: head[1] & 0x80 != 0,
            payload_type: head[1] & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            sources,
            extension,
            payload,
        })
    }

    /// Appends the packet's bytes, without padding. Sources beyond 15, and bytes that fill no source or word, are left
    /// out.
    pub fn write(&self, out: &mut Vec<u8>) {
        let count = (self.sources.len() / 4).min(MOST_SOURCES);
        let extended = u8::from(self.extension.is_some()) << 4;
        out.push(VERSION << 6 | extended | u8::try_from(count).unwrap_or(0));
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&self.sources[..count * 4]);
        if let Some((profile, words)) = self.extension {
            let length = u16::try_from(words.len() / 4).unwrap_or(u16::MAX);
            out.extend_from_slice(&profile.to_be_bytes());
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&words[..usize::from(length) * 4]);
        }
        out.extend_from_slice(self.payload);
    }
}

type Extension<'a> = (u16, &'a [u8]);

fn extension(bytes: &[u8]) -> Option<(Option<Extension<'_>>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    let (words, rest) = rest.split_at_checked(length)?;
    Some((Some((u16::from_be_bytes([head[0], head[1]]), words)), rest))
}

/// The last byte of a padded packet counts the bytes to leave out, itself included. `None` where there is none.
fn without_padding(bytes: &[u8]) -> Option<Result<&[u8], RtpError>> {
    let count = *bytes.last()?;
    let kept = bytes.len().checked_sub(usize::from(count)).filter(|_| count > 0);
    Some(kept.map(|kept| &bytes[..kept]).ok_or(RtpError::Padding(count)))
}

/// How many packets `sequence` is after `before`, the shorter way around; negative where it is earlier.
#[must_use]
pub const fn sequence_since(sequence: u16, before: u16) -> i16 {
    sequence.wrapping_sub(before).cast_signed()
}

/// How many ticks `timestamp` is after `before`, the shorter way around; negative where it is earlier.
#[must_use]
pub const fn timestamp_since(timestamp: u32, before: u32) -> i32 {
    timestamp.wrapping_sub(before).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_packet_with_everything() {
        let mut bytes = vec![0xb2, 0x89, 0x12, 0x34, 0, 0, 1, 0, 9, 9, 9, 9];
        bytes.extend([1, 1, 1, 1, 2, 2, 2, 2, 0xbe, 0xde, 0, 1, 5, 6, 7, 8, b'h', b'i', 0, 0, 3]);
        let packet = RtpPacket::parse(&bytes).expect("a packet");
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence, packet.timestamp), (9, 0x1234, 256));
        assert_eq!(packet.sources, [1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(packet.extension, Some((0xbede, [5, 6, 7, 8].as_slice())));
        assert_eq!(packet.payload, b"hi");
    }

    #[test]
    fn refuses_what_leads_out_of_the_packet() {
        let head = [0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        assert_eq!(RtpPacket::parse(&head).map(|packet| packet.payload.len()), Ok(0));
        assert_eq!(RtpPacket::parse(&head[..11]), Err(RtpError::Short { bytes: 11 }));
        let changed = |first: u8, more: &[u8]| {
            let mut bytes = head.to_vec();
            bytes[0] = first;
            bytes.extend_from_slice(more);
            RtpPacket::parse(&bytes).map(|packet| packet.payload.to_vec())
        };
        assert_eq!(changed(0x40, &[]), Err(RtpError::Version(1)));
        assert_eq!(changed(0x81, &[1, 2, 3]), Err(RtpError::Short { bytes: 15 }));
        assert_eq!(changed(0x90, &[0, 0, 0, 2, 1, 2, 3, 4]), Err(RtpError::Short { bytes: 20 }));
        assert_eq!(changed(0xa0, &[]), Err(RtpError::Short { bytes: 12 }));
        assert_eq!(changed(0xa0, &[7, 3]), Err(RtpError::Padding(3)));
        assert_eq!(changed(0xa0, &[7, 0]), Err(RtpError::Padding(0)));
        assert_eq!(changed(0xa0, &[7, 1]), Ok(vec![7]));
    }

    #[test]
    fn numbers_wrap() {
        assert_eq!(sequence_since(2, 65_534), 4);
        assert_eq!(sequence_since(65_534, 2), -4);
        assert_eq!(timestamp_since(160, u32::MAX - 159), 320);
        assert_eq!(timestamp_since(u32::MAX - 159, 160), -320);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..120), first in 0x80_u8..0xc0) {
            let _ = RtpPacket::parse(&bytes);
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Ok(packet) = RtpPacket::parse(&bytes) {
                prop_assert!(packet.payload.len() + FIXED_BYTES <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(
            (marker, payload_type, sequence, timestamp, ssrc) in any::<(bool, u8, u16, u32, u32)>(),
            sources in 0_usize..=15,
            extension in prop::option::of((any::<u16>(), 0_usize..5)),
            payload in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let filler = [7_u8; 60];
            let packet = RtpPacket {
                marker,
                payload_type: payload_type & 0x7f,
                sequence,
                timestamp,
                ssrc,
                sources: &filler[..sources * 4],
                extension: extension.map(|(profile, words)| (profile, &filler[..words * 4])),
                payload: &payload,
            };
            let mut bytes = Vec::new();
            packet.write(&mut bytes);
            prop_assert_eq!(RtpPacket::parse(&bytes), Ok(packet));
        }
    }
}
