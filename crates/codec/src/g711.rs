//! G.711 A-law: one byte is a sample of 13 bits on a scale that is logarithmic, piece by piece (ITU-T G.711, G.191).

/// Each byte's sample.
const DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = expand(byte as u8);
        byte += 1;
    }
    table
};

/// Even bits are sent inverted, so that silence has edges for a line to keep its clock by.
const EVEN_BITS: u8 = 0x55;

const fn expand(byte: u8) -> i16 {
    let code = byte ^ EVEN_BITS;
    let segment = (code & 0x7f) >> 4;
    let step = (code & 0x0f) as i16;
    let size = match segment {
        0 => (step << 4) + 8,
        _ => (((step + 16) << 4) + 8) << (segment - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

pub(crate) fn decode(payload: &[u8], out: &mut Vec<i16>) {
    out.extend(payload.iter().map(|byte| DECODED[usize::from(*byte)]));
}

pub(crate) fn encode(samples: &[i16], out: &mut Vec<u8>) {
    out.extend(samples.iter().map(|sample| compress(*sample)));
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "0 to 2047, then 0 to 127")]
const fn compress(sample: i16) -> u8 {
    let mut size = (if sample < 0 { !sample } else { sample } as u16) >> 4;
    if size > 15 {
        let mut segment = 1;
        while size > 31 {
            size >>= 1;
            segment += 1;
        }
        size = size - 16 + (segment << 4);
    }
    let sign = if sample < 0 { 0 } else { 0x80 };
    (size as u8 | sign) ^ EVEN_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(expand(0xd5), 8);
        assert_eq!(expand(0x55), -8);
        assert_eq!(expand(0xaa), 32_256);
        assert_eq!(expand(0x2a), -32_256);
    }

    #[test]
    fn each_byte_comes_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(compress(expand(byte)), byte, "{byte:#04x}");
        }
    }

    #[test]
    fn each_sample_is_kept_within_its_step() {
        for sample in i16::MIN..=i16::MAX {
            let off = (i32::from(expand(compress(sample))) - i32::from(sample)).abs();
            let step = (i32::from(sample).abs() / 16).max(16);
            assert!(off <= step, "{sample} is off by {off}");
        }
    }
}
