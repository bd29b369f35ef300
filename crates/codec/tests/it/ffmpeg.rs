//! ffmpeg as a pipe, and sounds to send through it.

use std::f64::consts::{PI, TAU};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs ffmpeg with `args` between `input` and what is returned.
pub(crate) fn ffmpeg(args: &str, input: &[u8]) -> Vec<u8> {
    let mut run = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(args.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg must be on PATH for these tests");
    let mut pipe = run.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || pipe.write_all(&input));
    let output = run.wait_with_output().unwrap();
    feeding.join().unwrap().unwrap();
    assert!(output.status.success(), "{args}");
    output.stdout
}

pub(crate) fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

pub(crate) fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Two seconds like speech: voiced syllables that glide, hisses, and pauses. Channels differ.
pub(crate) fn speech(rate: u32, channels: u16) -> Vec<i16> {
    let mut noise = 1_u32;
    let mut sound = Vec::new();
    for n in 0..rate * 2 {
        let t = f64::from(n) / f64::from(rate);
        for channel in 0..channels {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pitch = 110.0 + 60.0 * f64::from(channel) + 30.0 * (t * 3.0).sin();
            let syllable = (t * 4.0 * PI).sin().max(0.0);
            let voiced: f64 = (1..20).map(|k| (t * pitch * TAU * f64::from(k)).sin() / f64::from(k)).sum();
            let hiss = f64::from(noise >> 16) / 32_768.0 - 1.0;
            let breath = if (t * 2.0).fract() > 0.85 { 0.15 } else { 0.003 };
            sound.push((6_000.0 * syllable * voiced + 8_000.0 * breath * hiss) as i16);
        }
    }
    sound
}

/// How much louder `right` is than its difference from `got`, dB.
pub(crate) fn snr(right: &[i16], got: &[i16]) -> f64 {
    assert_eq!(right.len(), got.len());
    let power = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let signal = power(&mut right.iter().map(|sample| f64::from(*sample)));
    let noise = power(&mut right.iter().zip(got).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    10.0 * (signal / noise.max(1.0)).log10()
}
