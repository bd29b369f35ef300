//! How loud a sound file is, window by window.

use std::path::Path;

use super::voice::Level;
use super::{MOST_WINDOWS, WINDOW_MS};
use crate::audio::pcm::PcmReader;
use crate::error::RecordError;
use crate::manifest::TrackEntry;
use crate::take_up::TakeUp;

/// Windows read at a time: a second.
const CHUNK_WINDOWS: usize = 50;

/// The levels of a track's windows, from time zero on; at most a day of them.
///
/// # Errors
/// The file cannot be read.
pub(super) fn levels(data_dir: &Path, track: &TrackEntry) -> Result<Vec<Level>, RecordError> {
    let mut sound = PcmReader::open(&TakeUp::path(data_dir, &track.file)?)?;
    let window_ms = u32::try_from(WINDOW_MS).unwrap_or(1);
    let frames = usize::try_from(sound.spec().rate / 1000 * window_ms).unwrap_or(0).max(1);
    let window = frames * usize::from(sound.spec().channels.max(1));
    let (mut levels, mut samples) = (Vec::new(), Vec::new());
    while levels.len() < MOST_WINDOWS && sound.read(CHUNK_WINDOWS * frames, &mut samples)? > 0 {
        levels.extend(samples.chunks(window).map(level));
    }
    levels.truncate(MOST_WINDOWS);
    Ok(levels)
}

/// The level of samples, of all channels together.
fn level(samples: &[i16]) -> Level {
    let (mut power, mut count) = (0.0, 0.0);
    for sample in samples.iter().copied().map(f64::from) {
        power += sample * sample;
        count += 1.0;
    }
    if power == 0.0 {
        return 0;
    }
    let db = 10.0 * (power / count / (32_768.0 * 32_768.0)).log10();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 200")]
    let level = ((db + 100.0) * 2.0).round().clamp(1.0, 200.0) as Level;
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_half_decibels() {
        let of = |sample: i16| level(&[sample; 320]);
        assert_eq!(of(0), 0);
        assert_eq!(of(i16::MIN), 200);
        assert_eq!(of(3_277), 160, "-20 dBFS");
        assert_eq!(of(1), 19, "-90.3 dBFS");
        assert_eq!(level(&[]), 0);
    }
}
