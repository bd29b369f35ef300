//! Sound at another rate: a windowed sinc, computed once for each place between two samples.
//!
//! No library: a whole file is converted once, before anything is played, so neither speed nor streaming is asked for, and
//! fifty lines are easier to vouch for than a crate with an FFT beneath. Going up keeps the original samples: 16 kHz can
//! be had back exactly from 32 and 48. Going down, what the lower rate cannot hold is filtered out first.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 16.0;
/// Of the lower rate's half, what is let through on the way down.
const PASS: f64 = 0.94;
/// Places between two samples for which there are weights; beyond it, rates are so odd that the nearest place will do.
const MOST_PHASES: u64 = 4_096;

/// The same sound, of interleaved `channels`, at another rate (Hz).
///
/// ```
/// let up = rtms_simulator::pcm::resample(&[0, 300, -300], 1, 16_000, 48_000);
/// assert_eq!((up.len(), up[0], up[3], up[6]), (9, 0, 300, -300));
/// ```
#[must_use]
pub fn resample(samples: &[i16], channels: u16, from_hz: u32, to_hz: u32) -> Vec<i16> {
    if from_hz == to_hz || from_hz == 0 || to_hz == 0 || channels == 0 {
        return samples.to_vec();
    }
    let divisor = gcd(from_hz, to_hz);
    let (up, down) = (u64::from(to_hz / divisor), u64::from(from_hz / divisor));
    let kernel = Kernel::new(up.min(MOST_PHASES), f64::from(to_hz) / f64::from(from_hz));
    let channels = usize::from(channels);
    let frames = samples.len() / channels;
    let length = frames as u64 * up / down;
    let mut out = Vec::with_capacity(usize::try_from(length).unwrap_or(0) * channels);
    for frame in 0..length {
        // Its place among the samples that there are: a whole one, and a part of the way to the next.
        let place = frame * down;
        let (whole, part) = (usize::try_from(place / up).unwrap_or(usize::MAX), place % up);
        let weights = kernel.weights(part * kernel.phases / up);
        for channel in 0..channels {
            out.push(kernel.sum(samples, channels, channel, whole, weights));
        }
    }
    out
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Weights of the samples around a place, for each place between two samples.
struct Kernel {
    phases: u64,
    /// Samples before a place that count, itself included.
    reach: usize,
    /// `2 * reach` for each phase.
    weights: Vec<f32>,
}

impl Kernel {
    fn new(phases: u64, ratio: f64) -> Self {
        let cutoff = if ratio < 1.0 { ratio * PASS } else { 1.0 };
        let reach = (CROSSINGS / cutoff).ceil() as usize;
        let mut weights = Vec::new();
        for phase in 0..phases {
            let part = phase as f64 / phases as f64;
            let taps: Vec<f64> = (0..2 * reach)
                .map(|tap| windowed_sinc(part + reach as f64 - 1.0 - tap as f64, cutoff, reach as f64))
                .collect();
            // However the window cuts, a constant stays what it is.
            let sum: f64 = taps.iter().sum();
            weights.extend(taps.iter().map(|tap| (tap / sum) as f32));
        }
        Self { phases, reach, weights }
    }

    fn weights(&self, phase: u64) -> &[f32] {
        let taps = 2 * self.reach;
        let at = usize::try_from(phase.min(self.phases - 1)).unwrap_or(0) * taps;
        &self.weights[at..at + taps]
    }

    fn sum(&self, samples: &[i16], channels: usize, channel: usize, whole: usize, weights: &[f32]) -> i16 {
        let mut sum = 0.0_f32;
        for (tap, weight) in weights.iter().enumerate() {
            let Some(frame) = (whole + tap + 1).checked_sub(self.reach) else { continue };
            let Some(sample) = samples.get(frame * channels + channel) else { break };
            sum += f32::from(*sample) * weight;
        }
        // `as` saturates.
        sum.round() as i16
    }
}

fn windowed_sinc(distance: f64, cutoff: f64, reach: f64) -> f64 {
    if distance.abs() >= reach {
        return 0.0;
    }
    let x = distance * cutoff * PI;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    let turn = PI * distance / reach;
    // Blackman.
    sinc * (0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count)
            .map(|n| ((2.0 * PI * hz * n as f64 / f64::from(rate)).sin() * 12_000.0).round() as i16)
            .collect()
    }

    /// Largest difference in the middle, away from the edges.
    fn worst(a: &[i16], b: &[i16]) -> i32 {
        let middle = a.len() / 4..a.len() * 3 / 4;
        middle.map(|at| (i32::from(a[at]) - i32::from(b[at])).abs()).max().unwrap()
    }

    #[test]
    fn going_up_keeps_the_original_samples() {
        let sound = [0, 300, -300, i16::MAX, i16::MIN, 5];
        for (hz, factor) in [(16_000, 1), (32_000, 2), (48_000, 3)] {
            let up = resample(&sound, 1, 16_000, hz);
            assert_eq!(up.len(), sound.len() * factor);
            assert_eq!(up.into_iter().step_by(factor).collect::<Vec<_>>(), sound);
        }
    }

    #[test]
    fn a_tone_stays_a_tone() {
        for (from, to) in
            [(44_100, 48_000), (44_100, 16_000), (16_000, 48_000), (48_000, 8_000), (22_050, 32_000)]
        {
            let made = resample(&tone(1_000.0, from, 0.5), 1, from, to);
            let right = tone(1_000.0, to, 0.5);
            assert!(made.len().abs_diff(right.len()) <= 1, "{from} {to}");
            let worst = worst(&right, &made);
            assert!(worst <= 24, "{from} to {to}: {worst} of 12000 is more than -54 dB");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone() {
        let made = resample(&tone(6_000.0, 16_000, 0.5), 1, 16_000, 8_000);
        let silence = vec![0; made.len()];
        assert!(worst(&silence, &made) <= 24);
    }

    #[test]
    fn channels_stay_apart() {
        let left = tone(500.0, 16_000, 0.1);
        let stereo: Vec<i16> = left.iter().flat_map(|&s| [s, 7]).collect();
        let made = resample(&stereo, 2, 16_000, 48_000);
        assert!(made.iter().skip(1).step_by(2).skip(60).take(4_000).all(|&s| s == 7));
        let alone = resample(&left, 1, 16_000, 48_000);
        assert_eq!(made.into_iter().step_by(2).collect::<Vec<_>>(), alone);
    }

    #[test]
    fn odd_rates_are_no_burden() {
        for (from, to) in [(4_001, 48_000), (191_999, 8_000), (44_101, 16_000)] {
            let made = resample(&tone(200.0, from, 0.3), 1, from, to);
            assert!(worst(&tone(200.0, to, 0.3), &made) <= 60, "{from} {to}");
        }
    }
}
