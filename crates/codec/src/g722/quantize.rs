//! The tables of G.722 and the quantizers that go by them.

/// Steps of the low band's 6-bit inverse quantizer (QM6).
const LOW_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];

/// Steps of the low band's 4-bit inverse quantizer (QM4), by which the predictor adapts.
const LOW_4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// Steps of the high band's inverse quantizer (QM2).
const HIGH_2: [i32; 4] = [-7408, -1616, 7408, 1616];

/// How a code of the low band changes the logarithm of its step (WL of RL42).
const LOW_CHANGE: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// The same for the high band (WH of RH2).
const HIGH_CHANGE: [i32; 4] = [798, -214, 798, -214];

/// Powers of two between two octaves (ILB).
const LOGARITHM: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Limits between the low band's codes (Q6), in parts of the step.
const LOW_LIMITS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
    1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Codes of the low band's differences below zero and above (ILN, ILP), from the smallest on.
const LOW_NEGATIVE: [u8; 30] = [
    63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
    6, 5, 4,
];
const LOW_POSITIVE: [u8; 30] = [
    61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
    35, 34, 33, 32,
];

/// The limit between the high band's two sizes, in parts of the step.
const HIGH_LIMIT: i32 = 564;

/// The difference that a 6-bit code of the low band stands for at this step.
pub(super) fn low_6(code: u8, step: i32) -> i32 {
    (step * LOW_6[usize::from(code & 63)]) >> 15
}

/// The same, coarsely: without the two last bits of the code.
pub(super) fn low_4(code: u8, step: i32) -> i32 {
    (step * LOW_4[usize::from(code >> 2 & 15)]) >> 15
}

/// The difference that a code of the high band stands for at this step.
pub(super) fn high_2(code: u8, step: i32) -> i32 {
    (step * HIGH_2[usize::from(code & 3)]) >> 15
}

/// The low band's code for a difference at this step.
pub(super) fn low_code(difference: i32, step: i32) -> u8 {
    let size = if difference < 0 { -(difference + 1) } else { difference };
    let place = LOW_LIMITS.partition_point(|limit| (limit * step) >> 12 <= size);
    if difference < 0 { LOW_NEGATIVE[place] } else { LOW_POSITIVE[place] }
}

/// The high band's code for a difference at this step.
pub(super) fn high_code(difference: i32, step: i32) -> u8 {
    let size = if difference < 0 { -(difference + 1) } else { difference };
    match (difference < 0, size >= (HIGH_LIMIT * step) >> 12) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}

/// The logarithm of the low band's step after `code`.
pub(super) fn low_logarithm(before: i32, code: u8) -> i32 {
    (((before * 127) >> 7) + LOW_CHANGE[usize::from(code >> 2 & 15)]).clamp(0, 18_432)
}

/// The logarithm of the high band's step after `code`.
pub(super) fn high_logarithm(before: i32, code: u8) -> i32 {
    (((before * 127) >> 7) + HIGH_CHANGE[usize::from(code & 3)]).clamp(0, 22_528)
}

/// The step of a logarithm; `octaves` is where it becomes one.
pub(super) fn step(logarithm: i32, octaves: i32) -> i32 {
    let mantissa = LOGARITHM[usize::try_from(logarithm >> 6 & 31).unwrap_or(0)];
    let down = octaves - (logarithm >> 11);
    (if down < 0 { mantissa << -down } else { mantissa >> down }) << 2
}
