//! Sound: every sample where it belongs.

use rtms_protocol::{AudioData, Channels, MediaKind, MediaPacket, Product, SampleRate};
use rtms_recorder::{RecordError, Recording, RecordingEnd, RecordingState};
use serde_json::json;

use crate::support::{Bench, at, binary, decoded, granted, probe, sound, spec, track, voice};

const CUSTOMER: Option<i64> = Some(16_778_240);
const AGENT: Option<i64> = Some(33_555_456);

#[test]
fn mixed_sound_is_the_source_with_gaps_and_repeats_put_right() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(1, 16_000 * 3);
    bench.play(None, 500, &source[..16_000]);
    // 200 ms are missing, then Zoom repeats half a second after a reconnection.
    bench.play(None, 1_700, &source[19_200..32_000]);
    bench.play(None, 2_000, &source[24_000..]);
    let manifest = bench.finish(4_000);
    let mut expected = source;
    expected[16_000..19_200].fill(0);
    let mixed = track(&manifest, "mixed");
    assert_eq!(mixed.file, "audio/audio_meeting_abc123_2025-12-11T10-30-00-000Z.wav");
    assert_eq!(decoded(&bench.path(&mixed.file)), expected);
    assert_eq!((mixed.gaps, mixed.duration_ms, mixed.offset_ms), (1, 3_000, 0));
    assert_eq!(mixed.sha256.as_ref().map(String::len), Some(64));
    assert_eq!(manifest.dropped.repeats, 25);
    assert_eq!(manifest.dropped.lost(), 0);
}

#[test]
fn two_parties_make_stereo_with_the_customer_left() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (agent, customer) = (sound(1, 16_000), sound(2, 16_000 * 2));
    // The agent comes first; who is who is told later.
    bench.play(AGENT, 0, &agent);
    bench.flush(1_000);
    bench.play(CUSTOMER, 500, &customer);
    bench.flush(2_000);
    let info =
        json!({"event_type": 8, "participant_info": {"channel_id": 16_778_240, "display_name": "Ann"}});
    bench.event(2_100, &info);
    let info =
        json!({"event_type": 10, "participant_info": [{"channel_id": "33555456", "display_name": "Bob"}]});
    bench.event(2_200, &info);
    bench.play(AGENT, 3_000, &agent);
    let manifest = bench.finish(5_000);
    let left = decoded(&bench.file("audio", "000Z_consumer.wav"));
    let right = decoded(&bench.file("audio", "000Z_agent.wav"));
    let silence = |samples: usize| std::iter::repeat_n(0_i16, samples);
    assert_eq!(left, silence(8_000).chain(customer).collect::<Vec<_>>());
    assert_eq!(right, agent.iter().copied().chain(silence(32_000)).chain(agent.clone()).collect::<Vec<_>>());
    let combined = track(&manifest, "combined");
    assert_eq!((combined.channels, combined.duration_ms), (Some(2), 4_000));
    let both = decoded(&bench.file("audio", "000Z.wav"));
    for (n, frame) in both.chunks(2).enumerate() {
        let expected = [left.get(n).copied().unwrap_or(0), right.get(n).copied().unwrap_or(0)];
        assert_eq!(frame, expected, "frame {n}");
    }
    let consumer = track(&manifest, "consumer");
    assert_eq!(consumer.channel_id.as_deref(), Some("16778240"));
    assert_eq!(consumer.display_name.as_deref(), Some("Ann"));
}

#[test]
fn one_party_alone_is_mono() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let voice = sound(3, 16_000);
    bench.play(AGENT, 0, &voice);
    let manifest = bench.finish(1_000);
    assert_eq!(track(&manifest, "combined").channels, Some(1));
    assert_eq!(decoded(&bench.file("audio", "000Z.wav")), voice);
}

#[test]
fn three_parties_are_summed_and_saturated_also_when_they_interleave() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Separate);
    let loud: Vec<i16> = sound(1, 16_000).iter().map(|s| s.saturating_mul(2)).collect();
    let soft: Vec<i16> = loud.iter().map(|s| -(s / 2)).collect();
    for (n, _) in (0..50).enumerate() {
        let (from, ms) = (n * 320, n as i64 * 20);
        for (who, source) in [(1, &loud), (2, &loud), (3, &soft)] {
            let late = if who == 3 { 0 } else { ms };
            let _ = late;
            bench.rec().media(at(ms), &user(who, ms, &source[from..from + 320])).unwrap();
        }
        if n % 10 == 9 {
            bench.flush(ms);
        }
    }
    let manifest = bench.finish(1_000);
    assert_eq!(track(&manifest, "combined").channels, Some(1));
    let expected: Vec<i16> = loud
        .iter()
        .zip(&soft)
        .map(|(loud, soft)| (i32::from(*loud) * 2 + i32::from(*soft)).clamp(-32_768, 32_767) as i16)
        .collect();
    assert_eq!(decoded(&bench.file("audio", "000Z.wav")), expected);
}

fn user(id: i64, ms: i64, samples: &[i16]) -> MediaPacket<'static> {
    let mut packet = voice(None, ms, samples);
    packet.user_id = Some(rtms_protocol::WireId::Number(id));
    packet.user_name = Some(format!("Ann/{id}").into());
    packet
}

#[test]
fn an_earlier_packet_of_a_second_party_moves_time_zero_back() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (a, b) = (sound(1, 16_000), sound(2, 16_000));
    bench.rec().media(at(900), &words(700, "before")).unwrap();
    bench.play(AGENT, 1_000, &a);
    bench.flush(2_100);
    bench.play(CUSTOMER, 600, &b);
    bench.flush(2_200);
    let manifest = bench.finish(3_000);
    assert_eq!(manifest.time_zero, Some(at(600)));
    let silence: Vec<i16> = vec![0; 6_400];
    assert_eq!(decoded(&bench.file("audio", "_33555456.wav")), [silence, a.clone()].concat());
    assert_eq!(decoded(&bench.file("audio", "_16778240.wav")), b);
    let both = decoded(&bench.file("audio", "000Z.wav"));
    assert_eq!(both[6_400 * 2..][..2], [a[0], b[6_400]]);
    let captions = std::fs::read_to_string(bench.file("transcripts", ".vtt")).unwrap();
    assert!(captions.contains("00:00:00.100 -->"), "{captions}");
}

fn words(ms: i64, text: &'static str) -> MediaPacket<'static> {
    MediaPacket::new(MediaKind::Transcript, at(ms), text)
}

#[test]
fn a_backlog_comes_faster_than_real_time() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let source = sound(4, 16_000 * 40);
    for (n, chunk) in source.chunks(320).enumerate().filter(|(n, _)| *n < 100 || *n > 1_500) {
        bench.rec().media(at(45_000), &voice(AGENT, n as i64 * 20, chunk)).unwrap();
    }
    let manifest = bench.finish(46_000);
    let mut expected = source;
    expected[32_000..1_501 * 320].fill(0);
    assert_eq!(decoded(&bench.file("audio", "000Z.wav")), expected);
    assert!(manifest.dropped.is_empty());
}

#[test]
fn a_wrong_timestamp_is_dropped_and_a_new_clock_is_followed() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let source = sound(5, 16_000 * 4);
    let hour = 3_600_000;
    bench.play(None, 0, &source[..16_000]);
    bench.rec().media(at(1_010), &voice(None, hour, &[9; 320])).unwrap();
    bench.play(None, 1_000, &source[16_000..32_000]);
    for (n, chunk) in source[32_000..].chunks(320).enumerate() {
        let ms = 2_000 + n as i64 * 20;
        bench.rec().media(at(ms + 30), &voice(None, ms + hour, chunk)).unwrap();
    }
    let manifest = bench.finish(4_000);
    let mixed = track(&manifest, "mixed");
    let got = decoded(&bench.path(&mixed.file));
    // One second proves the new clock and is dropped; what follows is where it was said.
    let mut expected = source;
    expected[32_000..48_000].fill(0);
    assert_eq!(got.len(), expected.len());
    assert_eq!(got, expected);
    assert_eq!((manifest.dropped.ahead, mixed.dropped), (51, 51));
    assert_eq!(manifest.jumps.len(), 1);
    assert_eq!(manifest.jumps[0].correction_ms, -hour);
}

#[test]
fn every_rate_and_stereo_open() {
    for (rate, hz) in
        [(SampleRate::Hz8000, 8_000), (SampleRate::Hz32000, 32_000), (SampleRate::Hz48000, 48_000)]
    {
        for channels in [Channels::Mono, Channels::Stereo] {
            let dir = tempfile::tempdir().unwrap();
            let mut recording = Recording::create(spec(dir.path(), Product::Meeting)).unwrap();
            recording.granted(&granted(AudioData::Mixed, rate, channels));
            let frame = usize::from(channels.count());
            let source = sound(6, hz / 50 * 30 * frame);
            for (n, chunk) in source.chunks(hz / 50 * frame).enumerate() {
                recording.media(at(n as i64 * 20), &voice(None, n as i64 * 20, chunk)).unwrap();
            }
            let end = RecordingEnd { at: at(600), state: RecordingState::Complete, stop_reason: None };
            let manifest = recording.finish(end).unwrap();
            let path = dir.path().join(&track(&manifest, "mixed").file);
            assert_eq!(decoded(&path), source);
            let stream = &probe(&path, &["-show_streams"])["streams"][0];
            assert_eq!(stream["sample_rate"], hz.to_string());
            assert_eq!(stream["channels"], channels.count());
        }
    }
}

#[test]
fn readable_in_the_midst_and_after_a_kill() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (a, b) = (sound(1, 16_000 * 2), sound(2, 16_000 * 2));
    for second in 0..2 {
        bench.play(AGENT, second * 1_000, &a[second as usize * 16_000..][..16_000]);
        bench.play(CUSTOMER, second * 1_000, &b[second as usize * 16_000..][..16_000]);
        bench.flush((second + 1) * 1_000);
        let both = decoded(&bench.file("audio", "000Z.wav"));
        let frames = (second as usize + 1) * 16_000;
        assert_eq!(both.len(), frames * 2);
        assert_eq!(both.iter().step_by(2).copied().collect::<Vec<_>>(), a[..frames]);
        probe(&bench.file("audio", "000Z.wav"), &["-show_streams"]);
    }
    bench.die();
    assert_eq!(decoded(&bench.file("audio", "_16778240.wav")), b);
}

#[test]
fn an_unknown_codec_is_refused_with_a_remedy_and_rubbish_costs_one_packet() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Mixed);
    let mut params = granted(AudioData::Mixed, SampleRate::Hz48000, Channels::Mono);
    params.audio.as_mut().unwrap().codec = rtms_protocol::AudioCodec::Unknown(9);
    bench.rec().granted(&params);
    let error = bench.rec().media(at(0), &voice(None, 0, &[1; 320])).unwrap_err();
    assert!(matches!(error, RecordError::UnsupportedCodec { .. }));
    assert!(error.to_string().contains("L16"), "{error}");
    bench.rec().granted(&granted(AudioData::Mixed, SampleRate::Hz16000, Channels::Mono));
    let rubbish = MediaPacket::new(MediaKind::Audio, at(0), "not base64!");
    assert!(matches!(bench.rec().media(at(0), &rubbish), Err(RecordError::Packet(_))));
    bench.rec().media(at(0), &binary(MediaKind::Audio, 0, &[1])).unwrap();
    bench.rec().media(at(0), &binary(MediaKind::Audio, i64::MAX - at(0).0, &[1; 640])).unwrap();
    bench.play(None, 0, &sound(1, 320));
    let manifest = bench.finish(100);
    assert_eq!(decoded(&bench.path(&track(&manifest, "mixed").file)), sound(1, 320));
    assert_eq!(
        (manifest.dropped.unsupported, manifest.dropped.undecodable, manifest.dropped.ahead),
        (1, 2, 1)
    );
}

#[test]
fn the_number_of_parties_is_bounded() {
    let mut bench = Bench::new(Product::Meeting, AudioData::Separate);
    for id in 1..=rtms_recorder::TRACKS_LIMIT as i64 {
        bench.rec().media(at(0), &user(id, 0, &[1; 16])).unwrap();
    }
    let error = bench.rec().media(at(0), &user(5_000, 0, &[1; 16])).unwrap_err();
    assert!(matches!(error, RecordError::TooManyTracks { .. }));
}

#[test]
fn in_a_long_call_the_customer_gets_the_left_side_at_the_end() {
    let mut bench = Bench::new(Product::ContactCenter, AudioData::Separate);
    let (agent, customer) = (sound(1, 320), sound(2, 320));
    let frame = |bench: &Bench, n: usize| {
        let both = decoded(&bench.file("audio", "000Z.wav"));
        [both[n * 2], both[n * 2 + 1]]
    };
    for ms in [0, 130_000] {
        bench.play(AGENT, ms, &agent);
        bench.play(CUSTOMER, ms, &customer);
        bench.flush(ms + 100);
    }
    bench.event(131_000, &json!({"event_type": 8, "participant_info": {"channel_id": 16_778_240}}));
    bench.play(CUSTOMER, 132_000, &customer);
    bench.flush(133_000);
    assert_eq!(frame(&bench, 0), [agent[0], customer[0]], "not rewritten in mid-call");
    assert_eq!(frame(&bench, 132_000 * 16), [0, customer[0]], "and the sides do not change within the file");
    let manifest = bench.finish(134_000);
    for n in [0, 130_000 * 16 + 319] {
        assert_eq!(frame(&bench, n), [customer[n % 320], agent[n % 320]]);
    }
    assert_eq!(frame(&bench, 132_000 * 16), [customer[0], 0]);
    assert_eq!(track(&manifest, "consumer").gaps, 2);
}
