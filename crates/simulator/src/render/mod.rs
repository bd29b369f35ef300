//! Media messages, rendered once and shared by every stream that sends them.
//!
//! A rendered message is the whole JSON text but for its 13-digit timestamp, which is the only thing that differs from
//! stream to stream; with RTP, so does the header, whose 12 bytes are the first 16 characters of the payload. To send one
//! is a copy into a reused buffer and some bytes patched: no JSON, no codec, no allocation.

mod picture;
mod sound;
mod text;

use bytes::{BufMut, Bytes, BytesMut};
use rtms_protocol::{MediaPacket, UnixMillis};

pub(crate) use picture::PictureCache;
pub use sound::AudioLoop;
pub(crate) use sound::{LoopCache, Source};
pub(crate) use text::{chat, transcript};

/// Stands for the timestamp while a message is rendered: 13 digits like every time from 2001 to 2286.
const PLACEHOLDER: UnixMillis = UnixMillis(9_999_999_999_999);
const DIGITS: usize = 13;
/// The smallest number of 13 digits; JSON knows no leading zeros.
const EARLIEST: i64 = 1_000_000_000_000;
/// An RTP header without sources and extension.
pub(crate) const RTP_HEADER: usize = 12;
/// The same in base64, without a remainder: what follows is the codec's bytes by themselves.
const RTP_CHARS: usize = RTP_HEADER / 3 * 4;

/// A media message that lacks its timestamp.
#[derive(Debug, Clone)]
pub struct Template {
    text: Bytes,
    slot: usize,
    data: usize,
}

impl Template {
    /// Renders a packet; what its timestamp was does not matter.
    #[must_use]
    pub fn render(packet: &MediaPacket<'_>) -> Self {
        let packet = MediaPacket { timestamp: PLACEHOLDER, ..packet.clone() };
        let text = packet.to_json();
        // The last one: a text that somebody says may hold the same digits, but it comes before the timestamp.
        let key = format!("\"timestamp\":{}", PLACEHOLDER.0);
        let slot = text.rfind(&key).map_or(0, |at| at + key.len() - DIGITS);
        // The first one: inside of a string every quote is escaped.
        let key = "\"data\":\"";
        let data = text.find(key).map_or(0, |at| at + key.len());
        Self { text: text.into(), slot, data }
    }

    /// The message with its timestamp. `buffer` is reused: once the message is gone, its memory comes back.
    #[must_use]
    pub fn stamp(&self, timestamp: UnixMillis, buffer: &mut BytesMut) -> Bytes {
        self.fill(timestamp, None, buffer)
    }

    /// The message of an RTP packet, with its timestamp and this header. The payload must have been rendered with room
    /// for one.
    #[must_use]
    pub(crate) fn stamp_rtp(
        &self,
        timestamp: UnixMillis,
        header: [u8; RTP_HEADER],
        buffer: &mut BytesMut,
    ) -> Bytes {
        self.fill(timestamp, Some(header), buffer)
    }

    fn fill(&self, timestamp: UnixMillis, header: Option<[u8; RTP_HEADER]>, buffer: &mut BytesMut) -> Bytes {
        use base64_simd::AsOut as _;
        buffer.reserve(self.text.len());
        buffer.put_slice(&self.text);
        let digits = timestamp.0.clamp(EARLIEST, PLACEHOLDER.0);
        if let Some(slot) = buffer.get_mut(self.slot..self.slot + DIGITS) {
            write_digits(digits.unsigned_abs(), slot);
        }
        if let Some((header, slot)) = header.zip(buffer.get_mut(self.data..self.data + RTP_CHARS)) {
            let _ = base64_simd::STANDARD.encode(&header, slot.as_out());
        }
        buffer.split().freeze()
    }

    /// The payload, decoded; of an RTP packet with an empty header.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Ok(packet) = MediaPacket::parse(&self.text) {
            // It was encoded here.
            let _ = packet.decode_into(&mut payload);
        }
        payload
    }
}

fn base64(payload: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(payload)
}

/// Decimal digits, right-aligned.
fn write_digits(mut number: u64, slot: &mut [u8]) {
    for digit in slot.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::MediaKind;

    use super::*;

    #[test]
    fn a_template_becomes_the_packet_it_was_made_from() {
        let mut packet =
            MediaPacket::new(MediaKind::Transcript, UnixMillis(0), "\"timestamp\":9999999999999");
        packet.user_name = Some("Ada".into());
        let template = Template::render(&packet);
        let mut buffer = BytesMut::new();
        let text = template.stamp(UnixMillis(1_765_449_000_020), &mut buffer);
        let read = MediaPacket::parse(&text).unwrap();
        assert_eq!(read.timestamp, UnixMillis(1_765_449_000_020));
        assert_eq!(read.text(), "\"timestamp\":9999999999999");
    }

    #[test]
    fn a_header_takes_its_place_before_the_payload() {
        let payload = [[0; RTP_HEADER].as_slice(), b"payload"].concat();
        let mut packet = MediaPacket::new(MediaKind::Audio, UnixMillis(0), base64(&payload));
        packet.user_name = Some("\"data\":\"".into());
        let template = Template::render(&packet);
        let header: [u8; RTP_HEADER] = *b"\x80headerhead\xff";
        let text = template.stamp_rtp(UnixMillis(1_765_449_000_020), header, &mut BytesMut::new());
        let mut bytes = Vec::new();
        MediaPacket::parse(&text).unwrap().decode_into(&mut bytes).unwrap();
        assert_eq!(bytes, [header.as_slice(), b"payload"].concat());
        assert_eq!(template.payload(), payload);
    }

    #[test]
    fn the_buffer_is_used_again() {
        let template = Template::render(&MediaPacket::new(MediaKind::Audio, UnixMillis(0), "AAAA"));
        let mut buffer = BytesMut::with_capacity(4096);
        let first = template.stamp(UnixMillis(1), &mut buffer).as_ptr();
        for _ in 0..1_000 {
            drop(template.stamp(UnixMillis(1_765_449_000_020), &mut buffer));
        }
        let capacity = buffer.capacity();
        assert!(capacity <= 4096, "{capacity}");
        assert!(!first.is_null());
    }
}
