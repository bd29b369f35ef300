//! The header of a WAV file of ours: 80 bytes, whose sizes are replaced while the file grows.
//!
//! A `JUNK` chunk at the front keeps a place for `ds64`, which takes it when the sizes outgrow 32 bits (RF64). Until
//! then the file's note for a later process lies there.

use super::note::{NOTE_BYTES, WavNote};

/// Bytes before the first sample: RIFF, JUNK or ds64, fmt, data.
pub(crate) const HEADER_BYTES: u64 = 80;

/// The format of a WAV file of 16-bit samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WavSpec {
    /// Samples a second.
    pub rate: u32,
    /// 1 or 2.
    pub channels: u16,
}

impl WavSpec {
    /// Bytes of one frame: one sample for each channel.
    #[must_use]
    pub fn frame_bytes(self) -> u64 {
        u64::from(self.channels) * 2
    }

    /// Where frame `position` lies in the file, bytes.
    pub(crate) fn offset(self, position: u64) -> u64 {
        HEADER_BYTES + position * self.frame_bytes()
    }
}

/// The header of a file that holds `frames`.
#[must_use]
pub(crate) fn header(spec: WavSpec, frames: u64, note: WavNote) -> [u8; HEADER_BYTES as usize] {
    let data = frames * spec.frame_bytes();
    let riff = data + HEADER_BYTES - 8;
    let large = u32::try_from(riff).is_err();
    let size32 = |size: u64| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(HEADER_BYTES as usize);
    out.extend_from_slice(if large { b"RF64" } else { b"RIFF" });
    out.extend_from_slice(&if large { [0xff; 4] } else { size32(riff) });
    out.extend_from_slice(b"WAVE");
    out.extend_from_slice(if large { b"ds64" } else { b"JUNK" });
    out.extend_from_slice(&28_u32.to_le_bytes());
    if large {
        for size in [riff, data, frames] {
            out.extend_from_slice(&size.to_le_bytes());
        }
        out.extend_from_slice(&[0; 4]);
    } else {
        out.extend_from_slice(&note.to_bytes());
    }
    out.extend_from_slice(b"fmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&spec.channels.to_le_bytes());
    out.extend_from_slice(&spec.rate.to_le_bytes());
    out.extend_from_slice(&(spec.rate * u32::from(spec.channels) * 2).to_le_bytes());
    out.extend_from_slice(&(spec.channels * 2).to_le_bytes());
    out.extend_from_slice(&16_u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&if large { [0xff; 4] } else { size32(data) });
    let mut fixed = [0; HEADER_BYTES as usize];
    fixed.copy_from_slice(&out);
    fixed
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) spec: WavSpec,
    pub(super) note: WavNote,
    /// Frames, as of the last flush; 0 where it does not say.
    pub(super) frames: u64,
}

/// Reads a header of ours; `None` when it is not one.
pub(super) fn parse_header(bytes: &[u8; HEADER_BYTES as usize]) -> Option<Head> {
    let ours = matches!(&bytes[0..4], b"RIFF" | b"RF64")
        && matches!(&bytes[12..16], b"JUNK" | b"ds64")
        && &bytes[48..52] == b"fmt "
        && &bytes[72..76] == b"data"
        && bytes[56..58] == 1_u16.to_le_bytes()
        && bytes[70..72] == 16_u16.to_le_bytes();
    let channels = u16::from_le_bytes([bytes[58], bytes[59]]);
    let rate = u32::from_le_bytes([bytes[60], bytes[61], bytes[62], bytes[63]]);
    let mut note = [0; NOTE_BYTES];
    note.copy_from_slice(&bytes[20..48]);
    let spec = WavSpec { rate, channels };
    (ours && matches!(channels, 1 | 2) && rate > 0).then(|| {
        if bytes.starts_with(b"RF64") {
            return Head { spec, note: WavNote::default(), frames: 0 };
        }
        let data = u32::from_le_bytes([bytes[76], bytes[77], bytes[78], bytes[79]]);
        Head { spec, note: WavNote::from_bytes(&note), frames: u64::from(data) / spec.frame_bytes() }
    })
}

impl Head {
    /// How many of the `there` frames in the file are whole packets. What was written since the last flush may end
    /// within one, where the disk was full; its rest would be taken for jitter when Zoom repeats it.
    pub(super) fn whole(&self, there: u64) -> u64 {
        match (there.checked_sub(self.frames), u64::from(self.note.last_length)) {
            (Some(since), length @ 1..) => there - since % length,
            _ => there,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_four_gibibytes_it_is_rf64() {
        let frames = 3_000_000_000;
        let spec = WavSpec { rate: 48_000, channels: 2 };
        let bytes = header(spec, frames, WavNote::default());
        assert_eq!(&bytes[0..8], b"RF64\xff\xff\xff\xff");
        assert_eq!(&bytes[12..16], b"ds64");
        assert_eq!(bytes[20..28], (frames * 4 + 72).to_le_bytes());
        assert_eq!(bytes[28..36], (frames * 4).to_le_bytes());
        assert_eq!(bytes[36..44], frames.to_le_bytes());
        assert_eq!(parse_header(&bytes), Some(Head { spec, note: WavNote::default(), frames: 0 }));
    }
}
