//! What a Matroska file of ours begins with: what is in it, and where.
//!
//! Its length depends on the codec and on whether there is sound, so everything that changes is replaced in place: the
//! duration while the file grows, and at the end the size of the whole and the places of its parts. It is read back by
//! comparing. A file with sound has a tag besides, for a later process: when its pictures begin.

use rtms_protocol::VideoCodec;

use super::ebml::{UNKNOWN_SIZE, element, id, unsigned, wide_size};
use crate::audio::ogg::PRE_SKIP;
use crate::audio::ogg::head::opus_head;

const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114d_9b74;
const VOID: u32 = 0xec;
const INFO: u32 = 0x1549_a966;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_ae6b;
pub(crate) const CUES: u32 = 0x1c53_bb6b;
const TRACK_ENTRY: u32 = 0xae;
const TAGS: u32 = 0x1254_c367;

/// The number of the pictures' track.
pub(crate) const TRACK: u64 = 1;
/// The number of the sound's.
pub(crate) const SOUND: u64 = 2;
/// Bytes that the places of the parts take: three entries of 21 bytes and their header.
const SEEK_HEAD_BYTES: usize = 68;
/// Bytes that width and height take, the first one's id and size left out.
const SIDES_BYTES: usize = 10;
/// Nanoseconds in a unit of time: a millisecond.
const TIMESTAMP_SCALE: u64 = 1_000_000;
const WRITER: &[u8] = b"rtms-recorder";
/// The tag with the time at which the pictures begin, ms.
const PICTURES_FROM: &[u8] = b"RTMS_PICTURES_FROM_MS";
/// How many digits it has.
const FROM_DIGITS: usize = 12;
/// Nanoseconds that a decoder of Opus needs before what it gives is right, as RFC 7845 has it.
const SEEK_PRE_ROLL: u64 = 80_000_000;

/// What is fixed for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Front {
    /// JPG or PNG.
    pub(crate) codec: VideoCodec,
    /// Of the first picture, pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Of the sound between the pictures.
    pub(crate) sound: Option<Sounding>,
}

/// What a file with sound has besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sounding {
    /// 1 or 2.
    pub(crate) channels: u16,
    /// What is added to the pictures' times, which count from the first one, ms.
    pub(crate) pictures_from: u64,
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
    /// Where width and height are, four bytes each, two bytes apart.
    sides_at: usize,
}

impl Front {
    /// What is added to the pictures' times, ms.
    pub(crate) fn pictures_from(&self) -> u64 {
        self.sound.map_or(0, |sound| sound.pictures_from)
    }

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
        let (pictures, sound) = (self.pictures(), self.sound.map(sound_entry).unwrap_or_default());
        let mut tracks = Vec::new();
        element(&mut tracks, TRACK_ENTRY, &pictures);
        // They are the last of the pictures' entry.
        let sides_from_end = sound.len() + SIDES_BYTES;
        tracks.extend(sound);
        element(&mut bytes, TRACKS, &tracks);
        let sides_at = bytes.len() - sides_from_end;
        bytes.extend(self.sound.map(tags).unwrap_or_default());
        Layout { bytes, size_at, origin, duration_at, sides_at }
    }

    /// Reads the front of a file, whose first bytes these are; and whether the file was finished.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, bool)> {
        let sounds = [None, Some(1), Some(2)];
        let with = |codec| {
            sounds.map(|channels| {
                let sound = channels.map(|channels| Sounding { channels, pictures_from: 0 });
                Self { codec, width: 1, height: 1, sound }
            })
        };
        [VideoCodec::Jpg, VideoCodec::Png].into_iter().flat_map(with).find_map(|front| front.filled(bytes))
    }

    /// The front that these bytes are, where it differs from this one in what may differ only; and whether the file was
    /// finished.
    fn filled(self, bytes: &[u8]) -> Option<(Self, bool)> {
        let blank = self.layout(0, None);
        let bytes = bytes.get(..blank.bytes.len())?;
        let side = |at| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let from = || std::str::from_utf8(bytes.get(bytes.len() - FROM_DIGITS..)?).ok()?.parse().ok();
        let sound = match self.sound {
            Some(sound) => Some(Sounding { pictures_from: from()?, ..sound }),
            None => None,
        };
        let (width, height) = (side(blank.sides_at)?, side(blank.sides_at + 6)?);
        let front = Self { width, height, sound, ..self };
        let layout = front.layout(0, None);
        let (from, until) = (layout.size_at, layout.origin as usize + SEEK_HEAD_BYTES);
        let duration = layout.duration_at as usize..layout.duration_at as usize + 8;
        let same =
            |n: usize| (from..until).contains(&n) || duration.contains(&n) || bytes[n] == layout.bytes[n];
        let grows = bytes[from..from + 8] == layout.bytes[from..from + 8];
        (0..bytes.len()).all(same).then_some((front, !grows))
    }

    /// `V_MJPEG`, and for PNG the fourcc `png ` in a Windows header: the one that both VLC and ffmpeg know.
    fn pictures(&self) -> Vec<u8> {
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
        entry
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

/// Opus, whose delay a player takes off each time.
fn sound_entry(sound: Sounding) -> Vec<u8> {
    let mut entry = Vec::new();
    unsigned(&mut entry, 0xd7, SOUND);
    unsigned(&mut entry, 0x73c5, 2);
    // Sound, without lacing, in no language.
    unsigned(&mut entry, 0x83, 2);
    unsigned(&mut entry, 0x9c, 0);
    element(&mut entry, 0x22_b59c, b"und");
    element(&mut entry, 0x86, b"A_OPUS");
    element(&mut entry, 0x63a2, &opus_head(sound.channels));
    unsigned(&mut entry, 0x56aa, u64::from(PRE_SKIP) * 1_000_000 / 48);
    unsigned(&mut entry, 0x56bb, SEEK_PRE_ROLL);
    let mut audio = Vec::new();
    element(&mut audio, 0xb5, &48_000_f64.to_be_bytes());
    unsigned(&mut audio, 0x9f, u64::from(sound.channels));
    element(&mut entry, 0xe1, &audio);
    let mut out = Vec::new();
    element(&mut out, TRACK_ENTRY, &entry);
    out
}

/// One tag, of the whole file; its digits come last.
fn tags(sound: Sounding) -> Vec<u8> {
    let digits = format!("{:0width$}", sound.pictures_from, width = FROM_DIGITS);
    let (mut simple, mut tag, mut tags, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    element(&mut simple, 0x45a3, PICTURES_FROM);
    element(&mut simple, 0x4487, digits.as_bytes());
    element(&mut tag, 0x63c0, &[]);
    element(&mut tag, 0x67c8, &simple);
    element(&mut tags, 0x7373, &tag);
    element(&mut out, TAGS, &tags);
    out
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
            for channels in [None, Some(1), Some(2)] {
                let sound = channels.map(|channels| Sounding { channels, pictures_from: 86_400_123 });
                is_read(Front { codec, width: 1_920, height: 1_080, sound });
            }
        }
    }

    fn is_read(front: Front) {
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
