//! 32 kHz to 48 kHz: the one rate of L16 that Opus does not take.
//!
//! Three samples for two, each a sum of its 32 neighbours weighted by a windowed sinc, so that nothing is shifted and
//! speech is not dulled.

use std::f64::consts::PI;

use crate::error::RecordError;

/// Neighbours that a sample is made of.
const TAPS: usize = 32;
/// Those that lie before it, the nearest included.
const BEFORE: usize = TAPS / 2;
/// Samples made of two.
const PHASES: usize = 3;
/// Frames read at a time.
const CHUNK: usize = 4_096;

/// Resamples one stream.
#[derive(Debug)]
pub(super) struct Resampler {
    channels: usize,
    weights: [[f32; TAPS]; PHASES],
    /// Frames read, interleaved; silence lies before the first and after the last.
    input: Vec<i16>,
    /// Number of the frame that `input` begins with, and of the next one to be made. The first counts from
    /// [`BEFORE`] - 1 frames of silence on.
    begin: u64,
    next: u64,
    /// Frames read in all, and whether those were all there are.
    read: u64,
    ended: bool,
    chunk: Vec<i16>,
}

impl Resampler {
    pub(super) fn new(channels: u16) -> Self {
        let channels = usize::from(channels.max(1));
        let input = vec![0; (BEFORE - 1) * channels];
        Self {
            channels,
            weights: weights(),
            input,
            begin: 0,
            next: 0,
            read: 0,
            ended: false,
            chunk: Vec::new(),
        }
    }

    /// Replaces `out` by the next `frames` of 48 kHz, made of what `read` gives; fewer at the end only.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn read(
        &mut self,
        frames: usize,
        out: &mut Vec<i16>,
        mut read: impl FnMut(usize, &mut Vec<i16>) -> Result<usize, RecordError>,
    ) -> Result<usize, RecordError> {
        out.clear();
        for made in 0..frames {
            let place = self.next * 2 / PHASES as u64;
            while !self.ended && place + (TAPS as u64) > self.begin + self.held() {
                self.fill(place, &mut read)?;
            }
            if self.ended && place >= self.read {
                return Ok(made);
            }
            self.make(place, out);
            self.next += 1;
        }
        Ok(frames)
    }

    fn held(&self) -> u64 {
        (self.input.len() / self.channels) as u64
    }

    fn fill(
        &mut self,
        place: u64,
        read: &mut impl FnMut(usize, &mut Vec<i16>) -> Result<usize, RecordError>,
    ) -> Result<(), RecordError> {
        let done = (place - self.begin).min(self.held());
        self.input.drain(..usize::try_from(done).unwrap_or(0) * self.channels);
        self.begin += done;
        let count = read(CHUNK, &mut self.chunk)?;
        self.input.extend_from_slice(&self.chunk[..count * self.channels]);
        self.read += count as u64;
        if count < CHUNK {
            self.ended = true;
            self.input.resize(self.input.len() + TAPS * self.channels, 0);
        }
        Ok(())
    }

    fn make(&self, place: u64, out: &mut Vec<i16>) {
        let phase = usize::try_from(self.next * 2 % PHASES as u64).unwrap_or(0);
        let at = usize::try_from(place - self.begin).unwrap_or(0) * self.channels;
        for channel in 0..self.channels {
            let near = self.input[at + channel..].iter().step_by(self.channels);
            let sum: f32 =
                near.zip(&self.weights[phase]).map(|(sample, weight)| f32::from(*sample) * weight).sum();
            // A conversion from f32 saturates.
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            out.push(sum.round() as i16);
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers; weights")]
fn weights() -> [[f32; TAPS]; PHASES] {
    let mut weights = [[0.0; TAPS]; PHASES];
    for (phase, taps) in weights.iter_mut().enumerate() {
        let offset = (phase as f64) / (PHASES as f64);
        for (tap, weight) in taps.iter_mut().enumerate() {
            let x = tap as f64 - (BEFORE - 1) as f64 - offset;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let window = 0.5 + 0.5 * (PI * x / BEFORE as f64).cos();
            *weight = (sinc * window) as f32;
        }
        let sum: f32 = taps.iter().sum();
        taps.iter_mut().for_each(|weight| *weight /= sum);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stays_where_it_is() {
        let tone = |n: usize, rate: f64| ((n as f64 / rate * 3_000.0 * 2.0 * PI).sin() * 10_000.0) as i16;
        let source: Vec<i16> = (0..32_000).flat_map(|n| [tone(n, 32_000.0), 77]).collect();
        let mut at = 0;
        let mut read = |frames: usize, out: &mut Vec<i16>| {
            let end = (at + frames).min(32_000);
            out.clear();
            out.extend_from_slice(&source[at * 2..end * 2]);
            let count = end - at;
            at = end;
            Ok(count)
        };
        let mut resampler = Resampler::new(2);
        let (mut all, mut out) = (Vec::new(), Vec::new());
        while let count @ 1.. = resampler.read(960, &mut out, &mut read).expect("read") {
            assert_eq!(out.len(), count * 2);
            all.extend_from_slice(&out);
        }
        assert_eq!(all.len(), 48_000 * 2);
        for (n, frame) in all.chunks(2).enumerate().take(47_000).skip(1_000) {
            assert!((frame[0] - tone(n, 48_000.0)).abs() < 60, "{n}: {} {}", frame[0], tone(n, 48_000.0));
            assert_eq!(frame[1], 77);
        }
    }
}
