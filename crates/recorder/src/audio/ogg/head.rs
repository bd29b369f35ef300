//! The two pages that an Ogg Opus file of ours begins with: what the stream is, and what the file says of itself.
//!
//! The note for a later process is a comment of fixed length in the second page, so that it can be replaced in place.

use super::PRE_SKIP;
use super::page::{BEGIN, PageHead, packets, push_segments};
use super::pages::{Page, Pages};
use crate::audio::note::{NOTE_BYTES, WavNote};
use crate::error::RecordError;

/// Bytes of the first page: its header, one segment, and `OpusHead`.
pub(crate) const NOTE_PAGE_AT: u64 = 27 + 1 + 19;
const VENDOR: &[u8] = b"rtms-recorder";
const COMMENT: &[u8] = b"RTMS_NOTE=";

/// `OpusHead`, which tells a decoder what comes.
pub(crate) fn opus_head(channels: u16) -> Vec<u8> {
    let mut packet = b"OpusHead\x01".to_vec();
    packet.push(u8::try_from(channels).unwrap_or(1));
    packet.extend_from_slice(&PRE_SKIP.to_le_bytes());
    packet.extend_from_slice(&48_000_u32.to_le_bytes());
    // No gain; one stream of one or two channels.
    packet.extend_from_slice(&[0, 0, 0]);
    packet
}

/// The page with `OpusHead`.
pub(crate) fn head_page(serial: u32, channels: u16) -> Vec<u8> {
    let packet = opus_head(channels);
    page(&PageHead { flags: BEGIN, granule: 0, serial, sequence: 0 }, &packet)
}

/// The page with `OpusTags`, which hold the note.
pub(crate) fn note_page(serial: u32, note: WavNote) -> Vec<u8> {
    let digits: String = note.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let comment = [COMMENT, digits.as_bytes()].concat();
    let mut packet = b"OpusTags".to_vec();
    for (count, text) in [(None, VENDOR), (Some(1_u32), comment.as_slice())] {
        packet.extend(count.iter().flat_map(|count| count.to_le_bytes()));
        packet.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        packet.extend_from_slice(text);
    }
    page(&PageHead { flags: 0, granule: 0, serial, sequence: 1 }, &packet)
}

fn page(head: &PageHead, packet: &[u8]) -> Vec<u8> {
    let (mut segments, mut out) = (Vec::new(), Vec::new());
    push_segments(packet.len(), &mut segments);
    head.write(&segments, packet, &mut out);
    out
}

/// What the first two pages say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) serial: u32,
    pub(crate) channels: u16,
    pub(crate) note: WavNote,
}

/// Reads the first two pages; `None` where they are not ours.
///
/// # Errors
/// The disk refused.
pub(crate) fn read_head(pages: &mut Pages, page: &mut Page) -> Result<Option<Head>, RecordError> {
    if !pages.next(page)? || page.span.0 != 0 {
        return Ok(None);
    }
    let serial = page.head.serial;
    let channels = match page.body.as_slice() {
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, channels @ 1..=2, ..] => u16::from(*channels),
        _ => return Ok(None),
    };
    if !pages.next(page)? || page.span.0 != NOTE_PAGE_AT || page.head.serial != serial {
        return Ok(None);
    }
    let note = packets(&page.segments, &page.body).next().and_then(note_of);
    Ok(note.map(|note| Head { serial, channels, note }))
}

fn note_of(packet: &[u8]) -> Option<WavNote> {
    let at = packet.len().checked_sub(NOTE_BYTES * 2)?;
    let (before, digits) = packet.split_at(at);
    if !before.starts_with(b"OpusTags") || !before.ends_with(COMMENT) {
        return None;
    }
    let mut bytes = [0; NOTE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(WavNote::from_bytes(&bytes))
}
