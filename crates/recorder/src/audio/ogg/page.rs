//! One page of Ogg: a header with a checksum, a table of segments, and packets (RFC 3533, section 6).

/// Bytes of a header before its table of segments.
pub(crate) const HEADER_BYTES: usize = 27;
/// Most segments of a page.
pub(crate) const SEGMENTS: usize = 255;
/// Most bytes of a page.
pub(crate) const PAGE_BYTES: usize = HEADER_BYTES + SEGMENTS + SEGMENTS * 255;
/// What every page begins with.
pub(crate) const MAGIC: &[u8; 4] = b"OggS";
/// Flag of the first page.
pub(crate) const BEGIN: u8 = 2;
/// Flag of the last page.
pub(crate) const END: u8 = 4;
/// Where the checksum lies.
const CHECKSUM: std::ops::Range<usize> = 22..26;

const POLYNOMIAL: u32 = 0x04c1_1db7;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

/// The checksum of a page, whose own four bytes count as zeros.
fn checksum(page: &[u8]) -> u32 {
    crc(crc(crc(0, &page[..CHECKSUM.start]), &[0; 4]), &page[CHECKSUM.end..])
}

/// What a page's header says, and its table of segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PageHead {
    pub(crate) flags: u8,
    /// Frames up to the end of its last packet.
    pub(crate) granule: u64,
    pub(crate) serial: u32,
    pub(crate) sequence: u32,
}

impl PageHead {
    /// Appends a page of the packets in `body`, whose segments are `segments`, at most [`SEGMENTS`].
    pub(crate) fn write(&self, segments: &[u8], body: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        let segments = &segments[..segments.len().min(SEGMENTS)];
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0, self.flags]);
        out.extend_from_slice(&self.granule.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.push(u8::try_from(segments.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(segments);
        out.extend_from_slice(body);
        let sum = checksum(&out[begin..]).to_le_bytes();
        out[begin + CHECKSUM.start..begin + CHECKSUM.end].copy_from_slice(&sum);
    }
}

/// How many bytes the page takes that `bytes` begins with; `None` where that cannot be said yet.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let count = usize::from(*bytes.get(HEADER_BYTES - 1)?);
    let segments = bytes.get(HEADER_BYTES..HEADER_BYTES + count)?;
    Some(HEADER_BYTES + count + segments.iter().map(|size| usize::from(*size)).sum::<usize>())
}

/// Reads a page that fills `bytes`; `None` where it is none, or damaged.
pub(crate) fn read(bytes: &[u8]) -> Option<(PageHead, &[u8], &[u8])> {
    if length(bytes) != Some(bytes.len()) || !bytes.starts_with(MAGIC) || bytes[4] != 0 {
        return None;
    }
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if word(CHECKSUM.start) != checksum(bytes) {
        return None;
    }
    let granule = u64::from(word(6)) | u64::from(word(10)) << 32;
    let head = PageHead { flags: bytes[5], granule, serial: word(14), sequence: word(18) };
    let (segments, body) = bytes[HEADER_BYTES..].split_at(usize::from(bytes[HEADER_BYTES - 1]));
    Some((head, segments, body))
}

/// Segments that a packet of `bytes` takes.
pub(crate) fn segments_of(bytes: usize) -> usize {
    bytes / 255 + 1
}

/// Appends the segments of a packet of `bytes`.
pub(crate) fn push_segments(bytes: usize, segments: &mut Vec<u8>) {
    segments.resize(segments.len() + bytes / 255, 255);
    segments.push(u8::try_from(bytes % 255).unwrap_or(0));
}

/// The packets of a page, by its segments. A packet that goes on in the next page is not one of ours, and left out.
pub(crate) fn packets<'a>(segments: &'a [u8], body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let (mut at, mut size) = (0, 0);
    segments.iter().filter_map(move |segment| {
        size += usize::from(*segment);
        if *segment == 255 {
            return None;
        }
        let packet = body.get(at..at + size);
        at += size;
        size = 0;
        packet
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_wrong_bit_is_seen() {
        let head = PageHead { flags: BEGIN, granule: 1 << 40 | 7, serial: 9, sequence: 3 };
        let packets_in = [vec![1; 600], vec![], vec![2; 255], vec![3; 4]];
        let (mut segments, mut out) = (Vec::new(), Vec::new());
        for packet in &packets_in {
            push_segments(packet.len(), &mut segments);
        }
        assert_eq!(segments.len(), packets_in.iter().map(|packet| segments_of(packet.len())).sum::<usize>());
        head.write(&segments, &packets_in.concat(), &mut out);
        assert_eq!(length(&out), Some(out.len()));
        let (read_head, segments, body) = read(&out).expect("a page");
        assert_eq!(read_head, head);
        assert_eq!(packets(segments, body).collect::<Vec<_>>(), packets_in);
        for bit in 0..out.len() * 8 {
            out[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&out).is_none(), "bit {bit}");
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
