//! Any bytes: never a panic, never more than was announced.

use proptest::prelude::*;
use rtms_codec::{Codec, Decoder, Encoder, Format, MOST_FRAMES, packet};

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![
        Format::new(Codec::L16, 16_000, 1).unwrap(),
        Format::new(Codec::L16, 48_000, 2).unwrap(),
        Format::new(Codec::G711, 8_000, 1).unwrap(),
        Format::new(Codec::G722, 16_000, 1).unwrap(),
        Format::new(Codec::Opus, 48_000, 1).unwrap(),
        Format::new(Codec::Opus, 48_000, 2).unwrap(),
        Format::new(Codec::Opus, 48_000, 2).unwrap(),
    ])
}

/// Mostly what looks like Opus: a byte of any configuration with one or a few frames, and rubbish behind.
fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let payload = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(first, rest)| [vec![first], rest].concat());
    prop::collection::vec(payload, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_decode_or_are_refused(format in formats(), payloads in payloads()) {
        let mut decoder = Decoder::new(format).unwrap();
        let mut sound = Vec::new();
        for payload in payloads {
            match decoder.decode(&payload, &mut sound) {
                Ok(frames) => {
                    prop_assert_eq!(frames * usize::from(format.channels()), sound.len());
                    prop_assert!(frames <= MOST_FRAMES.max(payload.len() * 2));
                    if format.codec() == Codec::Opus {
                        prop_assert_eq!(packet::frames(&payload).unwrap() as usize, frames);
                    }
                }
                Err(_) => {
                    prop_assert!(sound.is_empty());
                    decoder.conceal(960, &mut sound);
                }
            }
        }
    }

    #[test]
    fn any_sound_encodes_and_decodes(format in formats(), seed in any::<u64>(), loud in 1_i64..32_768) {
        let mut encoder = Encoder::new(format, 24_000).unwrap();
        let mut decoder = Decoder::new(format).unwrap();
        let (mut payload, mut back) = (Vec::new(), Vec::new());
        let mut state = seed;
        for _ in 0..3 {
            let count = encoder.packet_frames() * usize::from(format.channels());
            let sound: Vec<i16> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    ((state >> 33) as i64 % (2 * loud) - loud) as i16
                })
                .collect();
            encoder.encode(&sound, &mut payload).unwrap();
            prop_assert_eq!(decoder.decode(&payload, &mut back).unwrap(), encoder.packet_frames());
        }
    }
}
