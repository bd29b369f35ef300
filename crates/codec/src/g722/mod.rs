//! G.722 at 64 kbit/s: two bands of adaptive differential PCM, two samples of 16 kHz in a byte (ITU-T G.722, mode 1).
//!
//! All in 32-bit integers, as the recommendation defines them, so the samples are those of every other right decoder.
//! Names of blocks are the recommendation's.

mod band;
mod quantize;

use band::{High, Low};

/// Taps of the quadrature mirror filter that splits and joins the bands.
const TAPS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// The last 24 inputs of a quadrature mirror filter, two of which come at a time.
#[derive(Debug, Clone, Default)]
struct Mirror {
    past: [i32; 24],
}

impl Mirror {
    /// Takes two values in; the sums over the even and the odd ones.
    fn step(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.past.copy_within(2.., 0);
        self.past[22] = first;
        self.past[23] = second;
        let (mut even, mut odd) = (0, 0);
        for (pair, (tap, back)) in self.past.chunks_exact(2).zip(TAPS.iter().zip(TAPS.iter().rev())) {
            even += pair[0] * tap;
            odd += pair[1] * back;
        }
        (even, odd)
    }
}

/// Bytes to samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decoder {
    low: Low,
    high: High,
    mirror: Mirror,
}

impl Decoder {
    pub(crate) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.reserve(payload.len() * 2);
        for byte in payload {
            let low = self.low.decode(byte & 0x3f);
            let high = self.high.decode(byte >> 6);
            let (even, odd) = self.mirror.step(low + high, low - high);
            out.extend([saturated(odd >> 11), saturated(even >> 11)]);
        }
    }
}

/// Samples to bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Encoder {
    low: Low,
    high: High,
    mirror: Mirror,
}

impl Encoder {
    /// Encodes pairs of samples; one that is left over is ignored.
    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        for pair in samples.chunks_exact(2) {
            let (even, odd) = self.mirror.step(i32::from(pair[0]), i32::from(pair[1]));
            let low = self.low.encode((odd + even) >> 14);
            let high = self.high.encode((odd - even) >> 14);
            out.push(high << 6 | low);
        }
    }
}

/// The nearest value of 16 bits.
fn saturated(value: i32) -> i16 {
    i16::try_from(value).unwrap_or(if value < 0 { i16::MIN } else { i16::MAX })
}

/// The same, in the width in which the recommendation's sums go on.
fn saturate(value: i32) -> i32 {
    i32::from(saturated(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_stays_nearly_silent() {
        let (mut bytes, mut samples) = (Vec::new(), Vec::new());
        Encoder::default().encode(&[0; 640], &mut bytes);
        Decoder::default().decode(&bytes, &mut samples);
        assert_eq!((bytes.len(), samples.len()), (320, 640));
        assert!(samples.iter().all(|sample| sample.abs() < 8), "{samples:?}");
    }

    #[test]
    fn a_tone_comes_back_22_samples_later() {
        let tone: Vec<i16> = (0..3_200).map(|n| ((n as f64 * 0.3).sin() * 8_000.0) as i16).collect();
        let (mut bytes, mut samples) = (Vec::new(), Vec::new());
        Encoder::default().encode(&tone, &mut bytes);
        Decoder::default().decode(&bytes, &mut samples);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (sent, got) in tone[1_000..].iter().zip(&samples[1_022..]) {
            signal += f64::from(*sent).powi(2);
            noise += (f64::from(*sent) - f64::from(*got)).powi(2);
        }
        let snr = 10.0 * (signal / noise).log10();
        assert!(snr > 20.0, "{snr} dB");
    }
}
