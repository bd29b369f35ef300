//! Every codec and packing that Zoom grants, compared with what ffmpeg makes of the same bytes.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use rtms_codec::{Codec, Encoder, Format};
use rtms_protocol::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, MediaKind, MediaPacket, MediaParams, Product,
    RtpPacket, SampleRate, WireId,
};
use rtms_recorder::{Manifest, RecordError, manifests, repair_recording};
use serde_json::json;

use crate::ogg::packets;
use crate::support::{Bench, at, binary, decoded, probe, track};

const CUSTOMER: Option<i64> = Some(7);
const AGENT: Option<i64> = Some(8);

fn params(codec: AudioCodec, rate: SampleRate, channels: Channels, data_opt: AudioData) -> AudioParams {
    AudioParams { codec, sample_rate: rate, channels, data_opt, ..AudioParams::default() }
}

fn opus(data_opt: AudioData) -> AudioParams {
    params(AudioCodec::Opus, SampleRate::Hz48000, Channels::Mono, data_opt)
}

fn bench(audio: AudioParams) -> Bench {
    let product = if audio.data_opt == AudioData::Mixed { Product::Meeting } else { Product::ContactCenter };
    let mut bench = Bench::new(product, audio.data_opt);
    audio.validate().unwrap();
    bench.rec().granted(&MediaParams { audio: Some(audio), ..MediaParams::default() });
    bench
}

/// Frames `from..to` of two tones that are never silent; channels differ.
fn tones(format: Format, pitch: f64, frames: std::ops::Range<usize>) -> Vec<i16> {
    let mut samples = Vec::new();
    for n in frames {
        let t = n as f64 / f64::from(format.rate());
        for channel in 0..format.channels() {
            let pitch = pitch * (1.0 + f64::from(channel) * 0.5);
            samples.push(((t * pitch * 6.2).sin() * 7_000.0 + (t * pitch * 2.3).sin() * 3_000.0) as i16);
        }
    }
    samples
}

/// `count` payloads of 20 ms, and the samples they were made of.
fn payloads(format: Format, pitch: f64, count: usize) -> (Vec<Vec<u8>>, Vec<i16>) {
    let mut encoder = Encoder::new(format, 64_000).unwrap();
    let source = tones(format, pitch, 0..encoder.packet_frames() * count);
    let size = encoder.packet_frames() * usize::from(format.channels());
    let encode = |samples: &[i16]| {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).unwrap();
        payload
    };
    (source.chunks(size).map(encode).collect(), source)
}

fn packet(who: Option<i64>, ms: i64, payload: &[u8]) -> MediaPacket<'static> {
    let mut packet = binary(MediaKind::Audio, ms, payload);
    packet.user_id = Some(WireId::Number(0));
    packet.channel_id = who.map(WireId::Number);
    packet
}

/// Plays payloads of 20 ms, the first of which is number `from` of the call.
fn play(bench: &mut Bench, who: Option<i64>, from: usize, payloads: &[Vec<u8>]) {
    for (n, payload) in payloads.iter().enumerate() {
        let ms = (from + n) as i64 * 20;
        bench.rec().media(at(ms + 30), &packet(who, ms, payload)).unwrap();
        if n % 5 == 4 {
            bench.flush(ms + 30);
        }
    }
}

/// What ffmpeg decodes of raw bytes.
fn ffmpeg(input: &str, bytes: &[u8]) -> Vec<i16> {
    let mut run = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(input.split(' '))
        .args(["-i", "-", "-f", "s16le", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut pipe, bytes) = (run.stdin.take().unwrap(), bytes.to_vec());
    let feeding = std::thread::spawn(move || pipe.write_all(&bytes).unwrap());
    let output = run.wait_with_output().unwrap();
    feeding.join().unwrap();
    output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn mixed(bench: &Bench, manifest: &Manifest) -> Vec<i16> {
    decoded(&bench.path(&track(manifest, "mixed").file))
}

/// How alike two sounds are, from -1 to 1, where they are most alike, and by how many samples `got` comes later there.
fn likeness(right: &[i16], got: &[i16]) -> (f64, i64) {
    let value = |sound: &[i16], at: i64| {
        usize::try_from(at).ok().and_then(|at| sound.get(at)).map_or(0.0, |sample| f64::from(*sample))
    };
    let alike = |late: i64| {
        let (mut both, mut one, mut other) = (0.0, 0.0, 1.0);
        for at in 0..right.len() as i64 {
            let (a, b) = (value(right, at), value(got, at + late));
            (both, one, other) = (both + a * b, one + a * a, other + b * b);
        }
        both / (one * other).sqrt()
    };
    let lags = (-60..=60).step_by(2);
    lags.map(|late| (alike(late), late)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

/// Opus keeps what is heard, not the samples; it must be heard where it was said, to half a ms.
fn assert_heard(right: &[i16], got: &[i16], what: &str) {
    let (alike, late) = likeness(right, got);
    assert!(alike > 0.75 && late.abs() <= 24, "{what}: {alike} alike, {late} samples late");
}

#[test]
fn telephone_codecs_become_the_samples_that_ffmpeg_decodes() {
    for (codec, zoom, rate, input) in [
        (Codec::G711, AudioCodec::G711, 8_000, "-f alaw -ar 8000 -ac 1"),
        (Codec::G722, AudioCodec::G722, 16_000, "-f g722"),
    ] {
        let rate_code = SampleRate::from_hz(rate).unwrap();
        let mut bench = bench(params(zoom, rate_code, Channels::Mono, AudioData::Mixed));
        let (sent, _) = payloads(Format::new(codec, rate, 1).unwrap(), 300.0, 150);
        play(&mut bench, None, 0, &sent[..50]);
        // A second is lost; half a second is repeated, which no decoder must hear twice.
        play(&mut bench, None, 100, &sent[50..100]);
        play(&mut bench, None, 125, &sent[75..]);
        let manifest = bench.finish(4_100);
        let mut expected = ffmpeg(input, &sent.concat());
        let second = rate as usize;
        expected.splice(second..second, std::iter::repeat_n(0, second));
        assert_eq!(mixed(&bench, &manifest), expected);
        let entry = track(&manifest, "mixed");
        assert!(entry.file.ends_with(".wav"));
        assert_eq!((entry.codec.as_str(), entry.sample_rate), (zoom.name(), Some(rate)));
        assert_eq!((entry.duration_ms, entry.gaps, manifest.dropped.repeats), (4_000, 1, 25));
    }
}

#[test]
fn two_parties_by_telephone_are_side_by_side() {
    let mut bench = bench(params(AudioCodec::G711, SampleRate::Hz8000, Channels::Mono, AudioData::Separate));
    let format = Format::new(Codec::G711, 8_000, 1).unwrap();
    let ((agent, _), (customer, _)) = (payloads(format, 250.0, 50), payloads(format, 400.0, 50));
    play(&mut bench, AGENT, 0, &agent);
    bench.event(100, &json!({"event_type": 8, "participant_info": {"channel_id": 7}}));
    play(&mut bench, CUSTOMER, 25, &customer);
    bench.finish(2_000);
    let (left, right) =
        (decoded(&bench.file("audio", "_consumer.wav")), decoded(&bench.file("audio", "_8.wav")));
    assert_eq!(right, ffmpeg("-f alaw -ar 8000 -ac 1", &agent.concat()));
    let both = decoded(&bench.file("audio", "000Z.wav"));
    assert_eq!(both.len(), 12_000 * 2);
    for (n, frame) in both.chunks(2).enumerate() {
        assert_eq!(frame, [left[n], right.get(n).copied().unwrap_or(0)], "frame {n}");
    }
}

#[test]
fn l16_at_every_rate_width_and_send_rate() {
    for rate in [8_000, 16_000, 32_000, 48_000] {
        for channels in [Channels::Mono, Channels::Stereo] {
            for send_rate in [20, 40, 60, 100, 260, 1_000] {
                let rate_code = SampleRate::from_hz(rate).unwrap();
                let params = params(AudioCodec::L16, rate_code, channels, AudioData::Mixed);
                let mut bench = bench(AudioParams { send_rate_ms: send_rate, ..params });
                let format = Format::new(Codec::L16, rate, channels.count()).unwrap();
                let frames = rate as usize / 1_000 * usize::from(send_rate);
                let source = tones(format, 200.0, 0..frames * 4);
                let width = usize::from(channels.count());
                let bytes: Vec<u8> = source.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                for (n, payload) in bytes.chunks(frames * width * 2).enumerate().filter(|(n, _)| *n != 2) {
                    let ms = n as i64 * i64::from(send_rate);
                    bench.rec().media(at(ms + 1_000), &packet(None, ms, payload)).unwrap();
                }
                let manifest = bench.finish(5_000);
                let mut expected = source;
                expected[frames * width * 2..frames * width * 3].fill(0);
                assert_eq!(mixed(&bench, &manifest), expected, "{rate} {width} {send_rate}");
                assert_eq!(track(&manifest, "mixed").duration_ms, i64::from(send_rate) * 4);
            }
        }
    }
}

#[test]
fn opus_goes_into_ogg_as_it_came() {
    for channels in [Channels::Mono, Channels::Stereo] {
        let mut bench = bench(AudioParams { channels, ..opus(AudioData::Mixed) });
        let format = Format::new(Codec::Opus, 48_000, channels.count()).unwrap();
        let (sent, source) = payloads(format, 300.0, 100);
        play(&mut bench, None, 0, &sent[..60]);
        // While it grows, and with the last flush, it is a whole file.
        let growing = bench.file("audio", "000Z.ogg");
        let width = usize::from(channels.count());
        assert_eq!(decoded(&growing).len(), (60 * 960 - 312) * width);
        // 400 ms are lost, some is repeated.
        play(&mut bench, None, 40, &sent[40..60]);
        play(&mut bench, None, 80, &sent[80..]);
        let manifest = bench.finish(2_000);
        let mut expected = sent.clone();
        expected[60..80].fill(rtms_codec::packet::silence(960, channels.count()).to_vec());
        assert_eq!(packets(&growing), expected);
        // To the sample where it was said.
        let heard = mixed(&bench, &manifest);
        assert_eq!(heard.len(), source.len());
        let part = |from: usize, to: usize| from * width..to * width;
        for seconds in [part(4_800, 57_000), part(82_000, 96_000)] {
            let mono = |sound: &[i16]| sound.iter().step_by(width).copied().collect::<Vec<i16>>();
            assert_heard(&mono(&source[seconds.clone()]), &mono(&heard[seconds]), "mixed");
        }
        assert!(heard[part(60_000, 76_000)].iter().all(|sample| sample.abs() <= 1));
        let stream = &probe(&growing, &["-show_streams"])["streams"][0];
        assert_eq!(
            (stream["codec_name"].as_str(), stream["channels"].as_u64()),
            (Some("opus"), Some(width as u64))
        );
        let entry = track(&manifest, "mixed");
        assert_eq!((entry.codec.as_str(), entry.duration_ms, entry.gaps), ("OPUS", 2_000, 1));
        assert_eq!((entry.packets, manifest.dropped.repeats), (80, 20));
        let seconds =
            probe(&growing, &["-show_format"])["format"]["duration"].as_str().unwrap().parse::<f64>();
        // ffprobe counts the pre-skip in.
        assert!((seconds.unwrap() - 2.0).abs() < 0.007);
    }
}

#[test]
fn gaps_in_opus_are_exact_though_silence_comes_in_pieces() {
    let mut bench = bench(opus(AudioData::Mixed));
    let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
    let (sent, _) = payloads(format, 300.0, 1);
    // Each packet 33 to 61 ms after the one before, for a while; then an hour of nothing.
    let mut ms = 0;
    for n in 0..500_i64 {
        bench.rec().media(at(ms + 30), &packet(None, ms, &sent[0])).unwrap();
        ms += 33 + n * 7 % 29;
    }
    ms += 3_600_000;
    bench.rec().media(at(ms + 30), &packet(None, ms, &sent[0])).unwrap();
    let manifest = bench.finish(ms + 100);
    let frames = decoded(&bench.file("audio", ".ogg")).len();
    assert!(frames.abs_diff((ms as usize + 20) * 48) <= 60, "{frames}");
    assert_eq!(track(&manifest, "mixed").duration_ms, frames as i64 / 48);
    assert!(fs::metadata(bench.file("audio", ".ogg")).unwrap().len() < 1_000_000);
}

#[test]
fn two_opus_parties_are_side_by_side_at_the_end_also_after_a_crash() {
    for crash in [false, true] {
        let mut bench = bench(opus(AudioData::Separate));
        let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
        let ((agent, agent_said), (customer, customer_said)) =
            (payloads(format, 250.0, 100), payloads(format, 400.0, 50));
        play(&mut bench, AGENT, 0, &agent);
        bench.event(2_000, &json!({"event_type": 8, "participant_info": {"channel_id": 7}}));
        play(&mut bench, CUSTOMER, 75, &customer);
        bench.flush(2_500);
        let manifest = if crash {
            bench.die();
            let stored = manifests(bench.dir.path()).next().unwrap();
            repair_recording(bench.dir.path(), &stored, at(60_000)).unwrap()
        } else {
            bench.finish(2_500)
        };
        assert_eq!(manifest.problems, Vec::<String>::new());
        let combined = track(&manifest, "combined");
        assert_eq!((combined.channels, combined.duration_ms), (Some(2), 2_500));
        assert_eq!(combined.sides, [&*track(&manifest, "consumer").file, &*track(&manifest, "8").file]);
        assert!(combined.sha256.is_some());
        let both = decoded(&bench.file("audio", "000Z.ogg"));
        assert_eq!(both.len(), 120_000 * 2);
        let side = |side: usize| both.iter().skip(side).step_by(2).copied().collect::<Vec<i16>>();
        let (left, right) = (side(0), side(1));
        assert_heard(&customer_said[9_600..], &left[72_000 + 9_600..], "left");
        assert_heard(&agent_said[9_600..60_000], &right[9_600..60_000], "right");
        let loudest = left[..70_000].iter().map(|sample| sample.abs()).max();
        assert!(loudest < Some(1_000), "{loudest:?}");
        assert_eq!(manifest.tracks.len(), 3);
    }
}

#[test]
fn one_opus_party_is_copied_and_three_are_summed() {
    let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
    let (sent, _) = payloads(format, 300.0, 50);
    let mut alone = bench(opus(AudioData::Separate));
    play(&mut alone, AGENT, 0, &sent);
    let manifest = alone.finish(1_000);
    assert_eq!(track(&manifest, "combined").duration_ms, 1_000);
    assert_eq!(packets(&alone.file("audio", "000Z.ogg")), sent);

    let mut three = bench(opus(AudioData::Separate));
    let (loud, said) = payloads(format, 300.0, 50);
    for who in [1, 2, 3] {
        play(&mut three, Some(who), 0, &loud);
    }
    let manifest = three.finish(1_000);
    assert_eq!(track(&manifest, "combined").channels, Some(1));
    let sum: Vec<i16> = said.iter().map(|sample| sample.saturating_mul(3)).collect();
    let heard = decoded(&three.file("audio", "000Z.ogg"));
    assert_heard(&sum[9_600..], &heard[9_600..], "sum");
}

#[test]
fn time_zero_moves_back_for_opus_too() {
    let mut bench = bench(opus(AudioData::Separate));
    let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
    let (sent, _) = payloads(format, 300.0, 50);
    play(&mut bench, AGENT, 50, &sent);
    play(&mut bench, CUSTOMER, 15, &sent);
    play(&mut bench, AGENT, 100, &sent[..10]);
    let manifest = bench.finish(2_200);
    assert_eq!(manifest.time_zero, Some(at(300)));
    let silence = vec![rtms_codec::packet::silence(960, 1).to_vec(); 35];
    let expected = [silence.as_slice(), &sent, &sent[..10]].concat();
    assert_eq!(packets(&bench.file("audio", "_8.ogg")), expected);
    assert_eq!(packets(&bench.file("audio", "_7.ogg")), sent);
}

#[test]
fn a_page_that_was_cut_off_anywhere_is_taken_away() {
    let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
    let (sent, _) = payloads(format, 300.0, 60);
    let mut first = bench(opus(AudioData::Mixed));
    play(&mut first, None, 0, &sent[..40]);
    first.die();
    let whole = fs::read(first.file("audio", ".ogg")).unwrap();
    let last = whole.windows(4).rposition(|bytes| bytes == b"OggS").unwrap();
    for cut in (last..=whole.len()).step_by(37).chain([last + 1, whole.len() - 1, whole.len()]) {
        let stored = manifests(first.dir.path()).next().unwrap();
        let manifest = fs::read(&stored.path).unwrap();
        fs::write(first.file("audio", ".ogg"), &whole[..cut]).unwrap();
        first.resume(900);
        play(&mut first, None, 30, &sent[30..]);
        first.flush(1_300);
        let expected = if cut == whole.len() { 40 } else { 35 };
        assert_eq!(packets(&first.file("audio", ".ogg")), sent, "cut at {cut}, {expected} were left");
        first.die();
        fs::write(&stored.path, manifest).unwrap();
    }
}

/// The same payloads in RTP.
fn rtp(payloads: &[Vec<u8>], ticks: u32) -> Vec<Vec<u8>> {
    let write = |(n, payload): (usize, &Vec<u8>)| {
        let n = n as u32;
        let mut bytes = Vec::new();
        let sequence = (65_520 + n) as u16;
        let timestamp = 0_u32.wrapping_sub(1_000).wrapping_add(n * ticks);
        RtpPacket { sequence, timestamp, ssrc: 5, payload_type: 111, payload, ..RtpPacket::default() }
            .write(&mut bytes);
        bytes
    };
    payloads.iter().enumerate().map(write).collect()
}

#[test]
fn rtp_is_put_in_order_and_what_is_lost_is_silence() {
    for (codec, zoom, rate, ticks) in [
        (Codec::G711, AudioCodec::G711, 8_000, 160),
        (Codec::G722, AudioCodec::G722, 16_000, 160),
        (Codec::Opus, AudioCodec::Opus, 48_000, 960),
    ] {
        let format = Format::new(codec, rate, 1).unwrap();
        let params = params(zoom, SampleRate::from_hz(rate).unwrap(), Channels::Mono, AudioData::Mixed);
        let (bare, _) = payloads(format, 300.0, 60);
        let sent = rtp(&bare, ticks);
        // Swapped, doubled, lost (20, 21), much too late (22 after 35).
        let mut order: Vec<usize> = (0..60).filter(|n| ![20, 21, 22].contains(n)).collect();
        order.swap(3, 4);
        order.swap(10, 12);
        order.insert(8, 6);
        order.insert(34, 22);
        let mut in_rtp = bench(AudioParams { content_type: AudioContent::Rtp, ..params });
        for (step, n) in order.iter().enumerate() {
            let ms = *n as i64 * 20;
            in_rtp.rec().media(at(step as i64 * 20 + 100), &packet(None, ms, &sent[*n])).unwrap();
            if step % 5 == 0 {
                in_rtp.flush(step as i64 * 20 + 100);
            }
        }
        let error = in_rtp.rec().media(at(1_300), &packet(None, 1_180, &[0x80, 0, 0])).unwrap_err();
        assert!(matches!(error, RecordError::Rtp(_)), "{error}");
        let manifest = in_rtp.finish(1_400);
        assert_eq!((manifest.dropped.repeats, manifest.dropped.behind), (1, 1), "{zoom}");
        assert_eq!(manifest.dropped.undecodable, 1);

        let mut plain = bench(params);
        for n in (0..60).filter(|n| !(20..23).contains(n)) {
            let ms = n as i64 * 20;
            plain.rec().media(at(ms + 30), &packet(None, ms, &bare[n])).unwrap();
        }
        let expected = plain.finish(1_400);
        assert_eq!(mixed(&in_rtp, &manifest), mixed(&plain, &expected), "{zoom}");
    }
}

#[test]
fn rtp_timestamps_tell_the_sample() {
    let params = params(AudioCodec::G711, SampleRate::Hz8000, Channels::Mono, AudioData::Mixed);
    let mut bench = bench(AudioParams { content_type: AudioContent::Rtp, ..params });
    let format = Format::new(Codec::G711, 8_000, 1).unwrap();
    let (bare, _) = payloads(format, 300.0, 60);
    let sent = rtp(&bare, 160);
    // Zoom's ms wander by up to 3; two packets of three are lost, so that each third one is placed by itself.
    for n in (0..2).chain((2..60).step_by(3)) {
        let ms = n as i64 * 20 + [0, 3, 1, 2][n % 4] - if n < 2 { [0, 3][n] } else { 0 };
        bench.rec().media(at(ms + 300), &packet(None, ms, &sent[n])).unwrap();
    }
    let manifest = bench.finish(1_600);
    let heard = mixed(&bench, &manifest);
    for n in (2..60).step_by(3) {
        let alone = ffmpeg("-f alaw -ar 8000 -ac 1", &bare[n]);
        assert_eq!(heard[n * 160..(n + 1) * 160], alone, "packet {n}");
    }
}

#[test]
fn what_does_not_decode_costs_that_packet() {
    let mut bench = bench(opus(AudioData::Mixed));
    let format = Format::new(Codec::Opus, 48_000, 1).unwrap();
    let (sent, _) = payloads(format, 300.0, 10);
    for (n, payload) in sent.iter().enumerate() {
        let ms = n as i64 * 20;
        // A code that counts frames without the count; nothing at all.
        let bytes = match n {
            4 => &[3][..],
            5 => &[],
            _ => payload,
        };
        bench.rec().media(at(ms + 30), &packet(None, ms, bytes)).unwrap();
    }
    let manifest = bench.finish(300);
    assert_eq!(manifest.dropped.undecodable, 2);
    let mut expected = sent;
    expected[4..6].fill(rtms_codec::packet::silence(960, 1).to_vec());
    assert_eq!(packets(&bench.file("audio", ".ogg")), expected);
}
