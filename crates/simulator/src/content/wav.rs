//! Reads WAV files of the usual kinds: PCM of 8, 16, 24 or 32 bit, or float, mono or stereo, of any rate.
//!
//! All become 16-bit samples at the file's own rate. What else a RIFF file can hold (A-law, MPEG, more channels) is
//! refused with what would be right.

use super::Sound;

const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Why a WAV file cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// No RIFF/WAVE header.
    #[error("not a WAV file; `ffmpeg -i IN out.wav` makes one of most others")]
    NotWav,
    /// A chunk runs past the end of the file.
    #[error(
        "cut off: a chunk of {stated} bytes has {actual}; `ffmpeg -i IN out.wav` writes what is there anew"
    )]
    Cut {
        /// Bytes it says that it has.
        stated: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// Another format than PCM or float.
    #[error("format {tag:#06x} of {bits} bit; needed is PCM of 8, 16, 24 or 32 bit, or float of 32 or 64")]
    Format {
        /// The format's number.
        tag: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// Neither mono nor stereo.
    #[error("{0} channels; needed are 1 or 2 (`ffmpeg -i IN -ac 1 out.wav`)")]
    Channels(u16),
    /// A rate that no sound has.
    #[error("{0} samples a second; needed are 4000 to 192000")]
    Rate(u32),
    /// Not one sample.
    #[error("no sound in it")]
    Empty,
}

/// How samples lie in the file.
#[derive(Clone, Copy)]
struct Format {
    hz: u32,
    channels: u16,
    sample: Sample,
}

#[derive(Clone, Copy)]
enum Sample {
    /// Unsigned.
    Byte,
    /// Signed, of so many bytes.
    Integer(usize),
    Float32,
    Float64,
}

impl Sample {
    const fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Integer(bytes) => bytes,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The upper 16 bit of a sample; of a float the nearest, saturated.
    fn read(self, bytes: &[u8]) -> i16 {
        match (self, bytes) {
            (Self::Byte, [byte]) => (i16::from(*byte) - 128) << 8,
            (Self::Integer(_), [.., low, high]) => i16::from_le_bytes([*low, *high]),
            (Self::Float32, &[a, b, c, d]) => nearest(f64::from(f32::from_le_bytes([a, b, c, d]))),
            (Self::Float64, &[a, b, c, d, e, f, g, h]) => {
                nearest(f64::from_le_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => 0,
        }
    }
}

/// `as` saturates, and makes 0 of what is no number.
fn nearest(sample: f64) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// Reads the sound of a WAV file.
///
/// # Errors
/// When it is no WAV file, or of a kind that is not played.
pub(super) fn parse(file: &[u8]) -> Result<Sound, WavError> {
    let body = file.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)).ok_or(WavError::NotWav)?;
    let mut chunks = body.strip_prefix(b"WAVE").ok_or(WavError::NotWav)?;
    let mut format = None;
    while let Some((header, rest)) = chunks.split_at_checked(8) {
        let mut length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let is_data = header.starts_with(b"data");
        // Written to a pipe, a file could not go back to say how long it is.
        if is_data && length == u32::MAX as usize {
            length = rest.len();
        }
        let chunk = rest.get(..length).ok_or(WavError::Cut { stated: length, actual: rest.len() })?;
        match format {
            None if header.starts_with(b"fmt ") => format = Some(read_format(chunk)?),
            Some(format) if is_data => return samples(format, chunk),
            _ => {}
        }
        chunks = rest.get(length + length % 2..).unwrap_or_default();
    }
    Err(WavError::NotWav)
}

fn samples(format: Format, data: &[u8]) -> Result<Sound, WavError> {
    let frame = format.sample.bytes() * usize::from(format.channels);
    let whole = &data[..data.len() / frame * frame];
    if whole.is_empty() {
        return Err(WavError::Empty);
    }
    let samples = whole.chunks_exact(format.sample.bytes()).map(|bytes| format.sample.read(bytes)).collect();
    Ok(Sound { hz: format.hz, channels: format.channels, samples })
}

fn read_format(chunk: &[u8]) -> Result<Format, WavError> {
    let word = |at: usize| chunk.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let (Some(tag), Some(channels), Some(low), Some(high), Some(bits)) =
        (word(0), word(2), word(4), word(6), word(14))
    else {
        return Err(WavError::NotWav);
    };
    // 0xfffe: the format's number lies in an extension.
    let tag = if tag == 0xfffe { word(24).unwrap_or(tag) } else { tag };
    let sample = match (tag, bits) {
        (1, 8) => Sample::Byte,
        (1, 16 | 24 | 32) => Sample::Integer(usize::from(bits / 8)),
        (3, 32) => Sample::Float32,
        (3, 64) => Sample::Float64,
        _ => return Err(WavError::Format { tag, bits }),
    };
    if !matches!(channels, 1 | 2) {
        return Err(WavError::Channels(channels));
    }
    let hz = u32::from(low) | u32::from(high) << 16;
    if !RATES.contains(&hz) {
        return Err(WavError::Rate(hz));
    }
    Ok(Format { hz, channels, sample })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(hz.to_le_bytes());
        file.extend([0; 6]);
        file.extend(bits.to_le_bytes());
        file.extend(b"LIST\x03\0\0\0abc\0data");
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn every_kind_of_sample_becomes_16_bit() {
        let read = |tag, bits, data: &[u8]| parse(&wav(tag, 1, 44_100, bits, data)).unwrap().samples;
        assert_eq!(read(1, 16, &[1, 0, 0xfe, 0xff]), [1, -2]);
        assert_eq!(read(1, 8, &[0, 128, 255]), [-32_768, 0, 32_512]);
        assert_eq!(read(1, 24, &[9, 1, 0, 9, 0xfe, 0xff]), [1, -2]);
        assert_eq!(read(1, 32, &[9, 9, 1, 0]), [1]);
        let floats: Vec<u8> = [0.5_f32, -1.0, 2.0, f32::NAN].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(read(3, 32, &floats), [16_384, -32_768, 32_767, 0]);
        assert_eq!(read(3, 64, &0.25_f64.to_le_bytes()), [8_192]);
    }

    #[test]
    fn stereo_and_rates_are_kept() {
        let sound = parse(&wav(1, 2, 44_100, 16, &[1, 0, 2, 0, 3, 0])).unwrap();
        assert_eq!((sound.hz, sound.channels, sound.samples), (44_100, 2, vec![1, 2]));
    }

    #[test]
    fn refuses_what_it_cannot_play() {
        assert_eq!(parse(b"OggS"), Err(WavError::NotWav));
        assert_eq!(parse(&wav(1, 6, 48_000, 16, &[0; 12])), Err(WavError::Channels(6)));
        assert_eq!(parse(&wav(6, 1, 8_000, 8, &[0])), Err(WavError::Format { tag: 6, bits: 8 }));
        assert_eq!(parse(&wav(1, 1, 100, 16, &[0, 0])), Err(WavError::Rate(100)));
        assert_eq!(parse(&wav(1, 1, 8_000, 16, &[0])), Err(WavError::Empty));
        let cut = wav(1, 1, 8_000, 16, &[0; 6]);
        assert_eq!(parse(&cut[..cut.len() - 1]), Err(WavError::Cut { stated: 6, actual: 5 }));
    }

    #[test]
    fn a_file_that_came_through_a_pipe_has_no_length() {
        let mut file = wav(1, 1, 8_000, 16, &[1, 0, 2, 0]);
        let at = file.len() - 8;
        file[at..at + 4].fill(0xff);
        assert_eq!(parse(&file).unwrap().samples, [1, 2]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(file in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&file);
            let _ = parse(&[b"RIFF\0\0\0\0WAVE".as_slice(), &file].concat());
        }
    }
}
