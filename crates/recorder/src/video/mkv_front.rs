//! What a Matroska file of ours begins with: what is in it, and where.
//!
//! Its length depends on the codec alone, so everything that changes is replaced in place: the duration while the file
//! grows, and at the end the size of the whole and the places of its parts. It is read back by comparing.

use rtms_protocol::VideoCodec;

use super::ebml::{UNKNOWN_SIZE, element, id, unsigned, wide_size};

const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114d_9b74;
const VOID: u32 = 0xec;
const INFO: u32 = 0x1549_a966;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_ae6b;
pub(crate) const CUES: u32 = 0x1c53_bb6b;

/// The number of the one track.
pub(crate) const TRACK: u64 = 1;
/// Bytes that the places of the parts take: three entries of 21 bytes and their header.
const SEEK_HEAD_BYTES: usize = 68;
/// Nanoseconds in a unit of time: a millisecond.
const TIMESTAMP_SCALE: u64 = 1_000_000;
const WRITER: &[u8] = b"rtms-recorder";

/// What is fixed for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Front {
    /// JPG or PNG.
    pub(crate) codec: VideoCodec,
    /// Of the first picture, pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// What is known of a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Where the table of times begins.
    pub(crate) cues_at: u64,
    /// Where the file ends.
    pub(crate) end: u64,
}

/// A front as bytes, and what is where.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) bytes: Vec<u8>,
    /// Where the segment's size is.
    size_at: usize,
    /// Where what positions are counted from is: behind the segment's size.
    pub(crate) origin: u64,
    /// Where the eight bytes of the duration are.
    pub(crate) duration_at: u64,
}

impl Front {
    /// The front of a file of `duration_ms` that still grows, or has ended.
    pub(crate) fn layout(&self, duration_ms: u64, ended: Option<Ended>) -> Layout {
        let mut bytes = Vec::with_capacity(512);
        element(&mut bytes, EBML, &ebml());
        id(&mut bytes, SEGMENT);
        let size_at = bytes.len();
        let origin = size_at as u64 + 8;
        wide_size(&mut bytes, ended.map_or(UNKNOWN_SIZE, |ended| ended.end.saturating_sub(origin)));
        let info = info(duration_ms);
        let info_at = SEEK_HEAD_BYTES as u64;
        match ended {
            Some(ended) => {
                let tracks_at = info_at + info.len() as u64;
                let cues_at = ended.cues_at.saturating_sub(origin);
                bytes.extend(seek_head([(INFO, info_at), (TRACKS, tracks_at), (CUES, cues_at)]));
            }
            None => element(&mut bytes, VOID, &[0; SEEK_HEAD_BYTES - 2]),
        }
        // The duration comes first in the information, behind the id and size of both.
        let duration_at = bytes.len() as u64 + 5 + 3;
        bytes.extend(info);
        bytes.extend(self.tracks());
        Layout { bytes, size_at, origin, duration_at }
    }

    /// Reads the front of a file, whose first bytes these are; and whether the file was finished.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, bool)> {
        [VideoCodec::Jpg, VideoCodec::Png].into_iter().find_map(|codec| {
            let length = Self { codec, width: 1, height: 1 }.layout(0, None).bytes.len();
            let bytes = bytes.get(..length)?;
            // The last twelve bytes are width and height, four each, behind their ids and sizes.
            let [.., w3, w2, w1, w0, _, _, h3, h2, h1, h0] = *bytes else { return None };
            let (width, height) =
                (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
            let front = Self { codec, width, height };
            let layout = front.layout(0, None);
            let (from, until) = (layout.size_at, layout.origin as usize + SEEK_HEAD_BYTES);
            let duration = layout.duration_at as usize..layout.duration_at as usize + 8;
            let same =
                |n: usize| (from..until).contains(&n) || duration.contains(&n) || bytes[n] == layout.bytes[n];
            let grows = bytes[from..from + 8] == layout.bytes[from..from + 8];
            (0..length).all(same).then_some((front, !grows))
        })
    }

    /// `V_MJPEG`, and for PNG the fourcc `png ` in a Windows header: the one that both VLC and ffmpeg know.
    fn tracks(&self) -> Vec<u8> {
        let mut entry = Vec::new();
        unsigned(&mut entry, 0xd7, TRACK);
        unsigned(&mut entry, 0x73c5, 1);
        // Video, without lacing, in no language.
        unsigned(&mut entry, 0x83, 1);
        unsigned(&mut entry, 0x9c, 0);
        element(&mut entry, 0x22_b59c, b"und");
        if self.codec == VideoCodec::Png {
            element(&mut entry, 0x86, b"V_MS/VFW/FOURCC");
            element(&mut entry, 0x63a2, &self.bitmap_header());
        } else {
            element(&mut entry, 0x86, b"V_MJPEG");
        }
        let mut video = Vec::new();
        element(&mut video, 0xb0, &self.width.to_be_bytes());
        element(&mut video, 0xba, &self.height.to_be_bytes());
        element(&mut entry, 0xe0, &video);
        let mut track = Vec::new();
        element(&mut track, 0xae, &entry);
        let mut out = Vec::new();
        element(&mut out, TRACKS, &track);
        out
    }

    /// `BITMAPINFOHEADER`: size of itself, width, height, planes, bits of a pixel, fourcc, and five fields of no use.
    fn bitmap_header(&self) -> [u8; 40] {
        let mut header = [0; 40];
        header[0..4].copy_from_slice(&40_u32.to_le_bytes());
        header[4..8].copy_from_slice(&self.width.to_le_bytes());
        header[8..12].copy_from_slice(&self.height.to_le_bytes());
        header[12..16].copy_from_slice(&[1, 0, 24, 0]);
        header[16..20].copy_from_slice(b"png ");
        header
    }
}

fn ebml() -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, value) in [(0x4286, 1), (0x42f7, 1), (0x42f2, 4), (0x42f3, 8)] {
        unsigned(&mut out, kind, value);
    }
    element(&mut out, 0x4282, b"matroska");
    unsigned(&mut out, 0x4287, 4);
    unsigned(&mut out, 0x4285, 2);
    out
}

fn info(duration_ms: u64) -> Vec<u8> {
    let mut body = Vec::new();
    element(&mut body, DURATION, &duration(duration_ms));
    unsigned(&mut body, 0x2a_d7b1, TIMESTAMP_SCALE);
    element(&mut body, 0x4d80, WRITER);
    element(&mut body, 0x5741, WRITER);
    let mut out = Vec::new();
    element(&mut out, INFO, &body);
    out
}

/// A duration as Matroska has it.
#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
pub(crate) fn duration(ms: u64) -> [u8; 8] {
    (ms as f64).to_be_bytes()
}

fn seek_head(parts: [(u32, u64); 3]) -> Vec<u8> {
    let mut body = Vec::new();
    for (part, at) in parts {
        let mut seek = Vec::new();
        element(&mut seek, 0x53ab, &part.to_be_bytes());
        element(&mut seek, 0x53ac, &at.to_be_bytes());
        element(&mut body, 0x4dbb, &seek);
    }
    let mut out = Vec::new();
    element(&mut out, SEEK_HEAD, &body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for codec in [VideoCodec::Jpg, VideoCodec::Png] {
            let front = Front { codec, width: 1_920, height: 1_080 };
            let growing = front.layout(5_000, None);
            let ended = front.layout(7_000, Some(Ended { cues_at: 9_000, end: 9_100 }));
            assert_eq!(growing.bytes.len(), ended.bytes.len());
            let at = usize::try_from(growing.duration_at).expect("small");
            assert_eq!(growing.bytes[at..at + 8], 5_000_f64.to_be_bytes());
            let longer = [growing.bytes.clone(), vec![1; 40]].concat();
            assert_eq!(Front::read(&longer), Some((front, false)));
            assert_eq!(Front::read(&ended.bytes), Some((front, true)));
            assert_eq!(Front::read(&growing.bytes[..200]), None);
            let mut other = growing.bytes;
            other[at + 10] ^= 1;
            assert_eq!(Front::read(&other), None);
        }
    }
}
