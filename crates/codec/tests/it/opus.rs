//! Opus: what libopus made decodes to what libopus decodes, and the other way round.

use std::io::Cursor;

use opus_pure::{OggOpusReader, OggOpusWriter, OpusHead, OpusMode};
use rtms_codec::{Codec, CodecError, Decoder, Encoder, Format, packet};

use crate::ffmpeg::{bytes, ffmpeg, samples, snr, speech};

fn format(channels: u16) -> Format {
    Format::new(Codec::Opus, 48_000, channels).unwrap()
}

/// The packets of an Ogg Opus file, and its pre-skip.
fn packets(file: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut reader = OggOpusReader::new(Cursor::new(file)).unwrap();
    let skip = reader.head().pre_skip as usize;
    (reader.packets().map(|packet| packet.unwrap().data).collect(), skip)
}

fn decoded(packets: &[Vec<u8>], channels: u16) -> Vec<i16> {
    let mut decoder = Decoder::new(format(channels)).unwrap();
    let (mut all, mut sound) = (Vec::new(), Vec::new());
    for payload in packets {
        let frames = decoder.decode(payload, &mut sound).unwrap();
        assert_eq!(frames, packet::frames(payload).unwrap() as usize);
        all.extend_from_slice(&sound);
    }
    all
}

/// ffmpeg's decode by libopus, all of it, the pre-skip too.
fn libopus_decode(packets: &[Vec<u8>], channels: u16) -> Vec<i16> {
    let mut head = OpusHead::new(u8::try_from(channels).unwrap(), 48_000).unwrap();
    head.pre_skip = 0;
    let mut writer = OggOpusWriter::new(Vec::new(), head).unwrap();
    for payload in packets {
        writer.write_packet(payload).unwrap();
    }
    let file = writer.finish().unwrap();
    samples(&ffmpeg("-c:a libopus -i - -f s16le -c:a pcm_s16le -", &file))
}

#[test]
fn what_libopus_encodes_decodes_as_by_libopus() {
    let mut modes = Vec::new();
    for (channels, options) in [
        (1, "-application voip -b:a 10k"),
        (2, "-application voip -b:a 20k -frame_duration 60"),
        (1, "-application voip -b:a 20k -cutoff 20000"),
        (1, "-application voip -b:a 28k"),
        (2, "-application voip -b:a 40k -frame_duration 10"),
        (1, "-application audio -b:a 64k -frame_duration 40"),
        (2, "-application lowdelay -b:a 96k -frame_duration 2.5"),
        (2, "-application audio -b:a 128k"),
    ] {
        let pcm = bytes(&speech(48_000, channels));
        let args = format!("-f s16le -ar 48000 -ac {channels} -i - -c:a libopus {options} -f opus -");
        let (packets, _) = packets(&ffmpeg(&args, &pcm));
        modes.extend(packets.iter().map(|payload| opus_pure::packet::mode(payload).unwrap()));
        let quality = snr(&libopus_decode(&packets, channels), &decoded(&packets, channels));
        assert!(quality > 60.0, "{channels} {options}: {quality} dB");
    }
    for mode in [OpusMode::SilkOnly, OpusMode::Hybrid, OpusMode::CeltOnly] {
        assert!(modes.contains(&mode), "{mode:?} was not tried");
    }
}

/// How well `theirs`, which comes `delay` frames late, keeps `sound`.
fn quality(sound: &[i16], theirs: &[i16], delay: usize, channels: u16) -> f64 {
    let late = delay * usize::from(channels);
    let length = (theirs.len() - late).min(sound.len());
    snr(&sound[..length], &theirs[late..late + length])
}

#[test]
fn what_we_encode_libopus_decodes_as_well_as_its_own() {
    for (channels, rate) in [(1, 12_000), (1, 32_000), (2, 48_000), (2, 128_000)] {
        let sound = speech(48_000, channels);
        let mut encoder = Encoder::new(format(channels), rate).unwrap();
        let mut ours = Vec::new();
        for chunk in sound.chunks_exact(encoder.packet_frames() * usize::from(channels)) {
            let mut payload = Vec::new();
            encoder.encode(chunk, &mut payload).unwrap();
            ours.push(payload);
        }
        let theirs = libopus_decode(&ours, channels);
        assert!(snr(&theirs, &decoded(&ours, channels)) > 60.0, "{channels} {rate}");

        let args = format!(
            "-f s16le -ar 48000 -ac {channels} -i - -c:a libopus -application voip -b:a {rate} -f opus -"
        );
        let (reference, skip) = packets(&ffmpeg(&args, &bytes(&sound)));
        let right = quality(&sound, &libopus_decode(&reference, channels), skip, channels);
        let got = quality(&sound, &theirs, encoder.delay(), channels);
        assert!(got > right - 2.0, "{channels} {rate}: {got} dB, where libopus has {right} dB");

        let size = |packets: &[Vec<u8>]| packets.iter().map(Vec::len).sum::<usize>();
        assert!(size(&ours) < size(&reference) * 5 / 4, "{channels} {rate}: {} bytes", size(&ours));
    }
}

#[test]
fn samples_of_lower_rates_make_packets_of_the_same_delay() {
    for rate in [8_000, 16_000, 24_000, 48_000] {
        let mut encoder = Encoder::opus(rate, 1, 32_000).unwrap();
        assert_eq!((encoder.packet_frames(), encoder.delay()), (rate as usize / 50, 312));
        let mut payload = Vec::new();
        encoder.encode(&vec![1_000; encoder.packet_frames()], &mut payload).unwrap();
        assert_eq!(packet::frames(&payload), Ok(960));
    }
    assert!(Encoder::opus(32_000, 1, 32_000).is_err());
}

#[test]
fn packets_of_silence_are_silent_and_as_long_as_they_say() {
    for channels in [1, 2] {
        for frames in packet::SILENCES {
            let silence = packet::silence(frames, channels).to_vec();
            assert_eq!(packet::frames(&silence), Ok(frames));
            let packets = vec![silence; 50];
            let theirs = libopus_decode(&packets, channels);
            assert_eq!(theirs.len(), 50 * frames as usize * usize::from(channels));
            assert!(theirs.iter().all(|sample| *sample == 0));
            assert_eq!(decoded(&packets, channels), theirs);
        }
    }
    assert_eq!(packet::frames(&packet::silence(700, 1)), Ok(480));
}

#[test]
fn what_is_no_packet_is_refused() {
    let mut decoder = Decoder::new(format(2)).unwrap();
    let mut out = Vec::new();
    assert_eq!(decoder.decode(&[], &mut out), Err(CodecError::Empty));
    // Three frames of 60 ms are more than a packet may hold; a count of frames without the count.
    for wrong in [[0b0001_1011, 0b0000_0011].as_slice(), &[0b0000_0011]] {
        assert!(matches!(decoder.decode(wrong, &mut out), Err(CodecError::Opus(_))), "{wrong:?}");
        assert!(packet::frames(wrong).is_err());
    }
    decoder.conceal(960, &mut out);
    assert_eq!(out.len(), 1_920);
    assert_eq!(decoder.decode(&packet::silence(960, 2), &mut out), Ok(960));
}
