//! One band of G.722: a predictor that follows the sound, and a step that follows its loudness.

use super::quantize::{high_2, high_code, high_logarithm, low_4, low_6, low_code, low_logarithm, step};
use super::saturate;

/// Range of what a band holds, 15 bits.
const BAND_RANGE: (i32, i32) = (-16_384, 16_383);
/// Where a band's logarithm of the step becomes a step of one, octaves.
const LOW_OCTAVES: i32 = 8;
const HIGH_OCTAVES: i32 = 10;

/// Predicts the next value from the last ones: two poles and six zeros that adapt by signs (block 4).
#[derive(Debug, Clone, Default)]
struct Predictor {
    /// What is expected next, and the zeros' part of it.
    expected: i32,
    from_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last differences, newest first.
    differences: [i32; 6],
    /// The last sums of difference and zeros, and the last reconstructed values, newest first.
    sums: [i32; 2],
    values: [i32; 2],
}

impl Predictor {
    fn learn(&mut self, difference: i32) {
        let value = saturate(self.expected + difference);
        let sum = saturate(self.from_zeros + difference);
        self.adapt_poles(sum);
        self.adapt_zeros(difference);
        self.sums = [sum, self.sums[0]];
        self.values = [value, self.values[0]];
        self.predict();
    }

    fn adapt_poles(&mut self, sum: i32) {
        let same = |past: i32| (sum < 0) == (past < 0);
        let first = saturate(self.poles[0] << 2);
        let turned = (if same(self.sums[0]) { -first } else { first }).min(32_767);
        let second =
            (turned >> 7) + (if same(self.sums[1]) { 128 } else { -128 }) + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let grown = (if same(self.sums[0]) { 192 } else { -192 }) + ((self.poles[0] * 32_640) >> 15);
        // Stable only while the first pole keeps this distance from the second.
        let limit = saturate(15_360 - second);
        self.poles = [saturate(grown).clamp(-limit, limit), second];
    }

    fn adapt_zeros(&mut self, difference: i32) {
        let by = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(&self.differences) {
            let towards = if (*past < 0) == (difference < 0) { by } else { -by };
            *zero = saturate(towards + ((*zero * 32_640) >> 15));
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
    }

    fn predict(&mut self) {
        let part = |weight: &i32, value: &i32| (weight * saturate(value + value)) >> 15;
        let from_poles = self.poles.iter().zip(&self.values).map(|(pole, value)| part(pole, value)).sum();
        let from_zeros = self.zeros.iter().zip(&self.differences).map(|(zero, past)| part(zero, past)).sum();
        self.from_zeros = saturate(from_zeros);
        self.expected = saturate(saturate(from_poles) + self.from_zeros);
    }
}

/// 0 to 4 kHz, six bits.
#[derive(Debug, Clone)]
pub(super) struct Low {
    predictor: Predictor,
    logarithm: i32,
    step: i32,
}

impl Default for Low {
    fn default() -> Self {
        Self { predictor: Predictor::default(), logarithm: 0, step: 32 }
    }
}

impl Low {
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let value = self.predictor.expected + low_6(code, self.step);
        self.follow(code);
        value.clamp(BAND_RANGE.0, BAND_RANGE.1)
    }

    pub(super) fn encode(&mut self, value: i32) -> u8 {
        let code = low_code(saturate(value - self.predictor.expected), self.step);
        self.follow(code);
        code
    }

    fn follow(&mut self, code: u8) {
        let difference = low_4(code, self.step);
        self.logarithm = low_logarithm(self.logarithm, code);
        self.step = step(self.logarithm, LOW_OCTAVES);
        self.predictor.learn(difference);
    }
}

/// 4 to 8 kHz, two bits.
#[derive(Debug, Clone)]
pub(super) struct High {
    predictor: Predictor,
    logarithm: i32,
    step: i32,
}

impl Default for High {
    fn default() -> Self {
        Self { predictor: Predictor::default(), logarithm: 0, step: 8 }
    }
}

impl High {
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let value = self.predictor.expected + high_2(code, self.step);
        self.follow(code);
        value.clamp(BAND_RANGE.0, BAND_RANGE.1)
    }

    pub(super) fn encode(&mut self, value: i32) -> u8 {
        let code = high_code(saturate(value - self.predictor.expected), self.step);
        self.follow(code);
        code
    }

    fn follow(&mut self, code: u8) {
        let difference = high_2(code, self.step);
        self.logarithm = high_logarithm(self.logarithm, code);
        self.step = step(self.logarithm, HIGH_OCTAVES);
        self.predictor.learn(difference);
    }
}
