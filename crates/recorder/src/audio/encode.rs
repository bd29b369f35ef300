//! Samples to an Ogg Opus file, as a stream.

use std::path::Path;

use rtms_codec::Encoder;

use super::header::WavSpec;
use super::ogg::writer::OggWriter;
use super::resample::Resampler;
use crate::error::RecordError;
use crate::files::create_private;

/// Bits a second of one channel and of two: speech at full bandwidth.
const MONO_BITS: u32 = 32_000;
const STEREO_BITS: u32 = 48_000;
/// The rate of L16 that Opus has not.
const ODD_RATE: u32 = 32_000;

/// Makes the file at `target` anew of what `read` gives: it replaces its buffer by so many frames of `spec`, fewer at the
/// end only, and returns how many.
///
/// # Errors
/// The disk refused, here or there.
pub(crate) fn encode(
    target: &Path,
    spec: WavSpec,
    mut read: impl FnMut(usize, &mut Vec<i16>) -> Result<usize, RecordError>,
) -> Result<(), RecordError> {
    if spec.rate == ODD_RATE {
        let mut resampler = Resampler::new(spec.channels);
        let spec = WavSpec { rate: 48_000, ..spec };
        return encode_even(target, spec, |frames, out| resampler.read(frames, out, &mut read));
    }
    encode_even(target, spec, read)
}

fn encode_even(
    target: &Path,
    spec: WavSpec,
    mut read: impl FnMut(usize, &mut Vec<i16>) -> Result<usize, RecordError>,
) -> Result<(), RecordError> {
    let bits = if spec.channels == 2 { STEREO_BITS } else { MONO_BITS };
    let mut encoder = Encoder::opus(spec.rate, spec.channels, bits)?;
    let file = create_private(target).map_err(RecordError::io("create", target))?;
    let mut ogg = OggWriter::create(file, target.to_path_buf(), spec.channels)?;
    let (size, width) = (encoder.packet_frames(), usize::from(spec.channels));
    let (mut frames, mut samples, mut packet) = (0_u64, Vec::new(), Vec::new());
    loop {
        let count = read(size, &mut samples)?;
        frames += count as u64;
        samples.resize(size * width, 0);
        encoder.encode(&samples, &mut packet)?;
        let (begin, end) = (ogg.frames(), frames * 48_000 / u64::from(spec.rate));
        // The last packet pushes the encoder's delay out.
        if count < size && begin + 960 >= end + encoder.delay() as u64 {
            return ogg.close_with(&packet, end);
        }
        ogg.write(begin, &packet, 960)?;
    }
}
