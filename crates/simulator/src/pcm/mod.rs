//! The arithmetic of what is heard: mixing, sample rates and channels.
//!
//! It is public so that a test can compute what a recording must hold, sample for sample, with the same functions.

mod resample;

pub use resample::resample;

/// The sum of several voices, saturated at the limits of 16 bit; shorter ones count as silence at their end.
///
/// ```
/// assert_eq!(rtms_simulator::pcm::mix(&[&[1, 30_000], &[2, 30_000, 5]]), [3, 32_767, 5]);
/// ```
#[must_use]
pub fn mix(voices: &[&[i16]]) -> Vec<i16> {
    let length = voices.iter().map(|voice| voice.len()).max().unwrap_or(0);
    let sample = |at: usize| {
        let sum: i32 = voices.iter().filter_map(|voice| voice.get(at)).map(|&s| i32::from(s)).sum();
        i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX })
    };
    (0..length).map(sample).collect()
}

/// The same mono sound on each of `channels` channels, interleaved.
#[must_use]
pub fn spread(samples: &[i16], channels: u16) -> Vec<i16> {
    samples.iter().flat_map(|&s| std::iter::repeat_n(s, usize::from(channels))).collect()
}

/// Stereo as mono: the mean of both channels.
///
/// ```
/// assert_eq!(rtms_simulator::pcm::fold(&[3, 5, -32_768, -32_768]), [4, -32_768]);
/// ```
#[must_use]
pub fn fold(stereo: &[i16]) -> Vec<i16> {
    let mean =
        |pair: &[i16]| i16::try_from((i32::from(pair[0]) + i32::from(pair[1])) / 2).unwrap_or_default();
    stereo.chunks_exact(2).map(mean).collect()
}

/// 16-bit samples as L16 travels here: little endian, as Zoom sends it.
#[must_use]
pub fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_saturates_on_both_sides() {
        assert_eq!(mix(&[&[-30_000, 7], &[-30_000]]), [i16::MIN, 7]);
        assert!(mix(&[]).is_empty());
    }

    #[test]
    fn stereo_doubles_each_sample() {
        assert_eq!(spread(&[1, 2], 2), [1, 1, 2, 2]);
        assert_eq!(fold(&spread(&[1, 2, i16::MAX], 2)), [1, 2, i16::MAX]);
        assert_eq!(bytes(&[1, -2]), [1, 0, 0xfe, 0xff]);
    }
}
