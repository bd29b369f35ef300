//! L16, G.711 and G.722.

use rtms_codec::{Codec, CodecError, Decoder, Encoder, Format};

use crate::ffmpeg::{bytes, ffmpeg, samples, snr, speech};

fn encoded(format: Format, sound: &[i16]) -> Vec<u8> {
    let mut encoder = Encoder::new(format, 0).unwrap();
    let (mut all, mut payload) = (Vec::new(), Vec::new());
    for packet in sound.chunks(encoder.packet_frames() * usize::from(format.channels())) {
        encoder.encode(packet, &mut payload).unwrap();
        all.extend_from_slice(&payload);
    }
    all
}

fn decoded(format: Format, payloads: &[u8], size: usize) -> Vec<i16> {
    let mut decoder = Decoder::new(format).unwrap();
    let (mut all, mut sound) = (Vec::new(), Vec::new());
    for payload in payloads.chunks(size) {
        let frames = decoder.decode(payload, &mut sound).unwrap();
        assert_eq!(frames * usize::from(format.channels()), sound.len());
        all.extend_from_slice(&sound);
    }
    all
}

/// Bytes that visit every code in every state, and a loud sound.
fn rough() -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..64_000).map(|_| next()).collect()
}

#[test]
fn a_law_decodes_as_ffmpegs() {
    let format = Format::new(Codec::G711, 8_000, 1).unwrap();
    let payload = rough();
    let theirs = samples(&ffmpeg("-f alaw -ar 8000 -ac 1 -i - -f s16le -", &payload));
    assert_eq!(decoded(format, &payload, 160), theirs);
}

#[test]
fn g722_decodes_as_ffmpegs_to_the_bit() {
    let format = Format::new(Codec::G722, 16_000, 1).unwrap();
    for payload in [rough(), ffmpeg("-f s16le -ar 16000 -ac 1 -i - -f g722 -", &bytes(&speech(16_000, 1)))] {
        let theirs = samples(&ffmpeg("-f g722 -i - -f s16le -", &payload));
        let ours = decoded(format, &payload, 160);
        assert_eq!(ours.len(), theirs.len());
        assert_eq!(ours.iter().zip(&theirs).position(|(a, b)| a != b), None);
    }
}

#[test]
fn what_we_encode_others_decode() {
    let sound = speech(16_000, 1);
    let payload = encoded(Format::new(Codec::G722, 16_000, 1).unwrap(), &sound);
    let theirs = samples(&ffmpeg("-f g722 -i - -f s16le -", &payload));
    // 22 samples is the delay of the two filters.
    let quality = snr(&sound[..sound.len() - 22], &theirs[22..]);
    assert!(quality > 15.0, "G.722 {quality} dB");

    let sound = speech(8_000, 1);
    let payload = encoded(Format::new(Codec::G711, 8_000, 1).unwrap(), &sound);
    let theirs = samples(&ffmpeg("-f alaw -ar 8000 -ac 1 -i - -f s16le -", &payload));
    let quality = snr(&sound, &theirs);
    assert!(quality > 35.0, "G.711 {quality} dB");
}

#[test]
fn l16_is_the_samples() {
    let format = Format::new(Codec::L16, 48_000, 2).unwrap();
    let sound = speech(48_000, 2);
    assert_eq!(decoded(format, &encoded(format, &sound), 192_000), sound);
}

#[test]
fn torn_payloads_cost_themselves() {
    let mut out = vec![1];
    let mut decoder = Decoder::new(Format::new(Codec::L16, 16_000, 2).unwrap()).unwrap();
    assert!(matches!(decoder.decode(&[0; 6], &mut out), Err(CodecError::Torn { bytes: 6, .. })));
    assert!(out.is_empty());
    assert_eq!(decoder.decode(&[], &mut out), Err(CodecError::Empty));
    assert_eq!(decoder.decode(&[1, 0, 2, 0], &mut out), Ok(1));
    assert_eq!(out, [1, 2]);
    let mut encoder = Encoder::new(Format::new(Codec::G722, 16_000, 1).unwrap(), 0).unwrap();
    assert!(matches!(encoder.encode(&[1, 2, 3], &mut Vec::new()), Err(CodecError::Torn { .. })));
}
