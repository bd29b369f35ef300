//! Every row of Zoom's table of sound: what was played, as it lies on the disk.
//!
//! Samples are compared one by one, with what ffmpeg decodes of the bytes that travelled; packets of Opus to the byte
//! and the sample. Each row is played twice: undisturbed, and with a media socket that is cut in the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use rtms_protocol::AudioCodec::{G711, G722, L16, Opus};
use rtms_protocol::AudioContent::{Raw, Rtp};
use rtms_protocol::Channels::{Mono, Stereo};
use rtms_protocol::SampleRate::{Hz8000, Hz16000, Hz32000, Hz48000};
use rtms_protocol::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, MediaParams, Product, SampleRate,
};
use rtms_service::settings::{SettingsReader, Sources};
use rtms_simulator::content::Content;
use rtms_simulator::faults::{Cut, Faults, RtpFaults};
use rtms_simulator::played::{Played, PlayedTrack};
use rtms_simulator::scenario::{Course, Program};
use serde_json::Value;

use crate::failover::{REPEATED, at};
use crate::files::{packets, probe, samples, samples_of};
use crate::media::{assert_same_sound, expected};
use crate::system::{Recorded, Setup, worker_variables};

/// How many systems run side by side.
const SIDE_BY_SIDE: usize = 4;
/// What an Opus encoder delays by, in samples: players skip so much at the begin of a file.
const PRE_SKIP: i64 = 312;
/// Loss, delay and repeats as of a bad network.
const BAD_NETWORK: RtpFaults = RtpFaults { lose_every: 10, delay_every: 7, double_every: 4 };

/// A combination that Zoom grants.
const fn row(
    codec: AudioCodec,
    content_type: AudioContent,
    sample_rate: SampleRate,
    channels: Channels,
    send_rate_ms: u16,
) -> AudioParams {
    AudioParams { content_type, sample_rate, channels, codec, data_opt: AudioData::Mixed, send_rate_ms }
}

const LINEAR: [AudioParams; 8] = [
    row(L16, Raw, Hz8000, Mono, 20),
    row(L16, Raw, Hz8000, Stereo, 100),
    row(L16, Raw, Hz16000, Mono, 1000),
    row(L16, Raw, Hz16000, Stereo, 20),
    row(L16, Raw, Hz32000, Mono, 100),
    row(L16, Raw, Hz32000, Stereo, 1000),
    row(L16, Raw, Hz48000, Mono, 100),
    row(L16, Raw, Hz48000, Stereo, 20),
];
const TELEPHONE: [AudioParams; 4] = [
    row(G711, Raw, Hz8000, Mono, 20),
    row(G711, Rtp, Hz8000, Mono, 20),
    row(G722, Raw, Hz16000, Mono, 20),
    row(G722, Rtp, Hz16000, Mono, 20),
];
const OPUS: [AudioParams; 4] = [
    row(Opus, Raw, Hz48000, Mono, 20),
    row(Opus, Raw, Hz48000, Stereo, 20),
    row(Opus, Rtp, Hz48000, Mono, 20),
    row(Opus, Rtp, Hz48000, Stereo, 20),
];

fn setup(row: &AudioParams) -> Setup {
    let streams = if row.data_opt == AudioData::Mixed { "mixed" } else { "separate" };
    Setup::default()
        .worker("RTMS_MEDIA", "audio")
        .worker("RTMS_AUDIO_STREAMS", streams)
        .worker("RTMS_AUDIO_CODEC", &row.codec.name().to_lowercase())
        .worker("RTMS_AUDIO_CONTENT", if row.content_type == Rtp { "rtp" } else { "raw" })
        .worker("RTMS_AUDIO_SAMPLE_RATE", &row.sample_rate.hz().unwrap().to_string())
        .worker("RTMS_AUDIO_CHANNELS", &row.channels.count().to_string())
        .worker("RTMS_AUDIO_SEND_RATE_MS", &row.send_rate_ms.to_string())
}

/// Records a phone call, whose sound is mixed, or an engagement, whose parties come separately; once with each of these
/// faults.
async fn record(row: AudioParams, course: Course, each: Vec<Faults>) {
    let product = if row.data_opt == AudioData::Mixed { Product::Phone } else { Product::ContactCenter };
    let duration_ms = if course == Course::Busy { 24_000 } else { 6_000 };
    let program = Program::new(course.scenario(product, duration_ms), Content::built_in());
    // Encoding without optimisation takes longer than such a call: it is done before.
    let (rendered, params) =
        (Arc::clone(&program), MediaParams { audio: Some(row), ..MediaParams::default() });
    tokio::task::spawn_blocking(move || rendered.render(&params)).await.unwrap();
    for faults in each {
        let what = format!("{row} {faults:?}");
        let interruptions = faults.cut_media.len();
        let system = setup(&row).start().await;
        let recorded = system.record_with(product, Arc::clone(&program), faults).await;
        assert!(recorded.outcome.played.complete, "{what}: {:#}", recorded.outcome.summary());
        assert_eq!(recorded.manifest["state"], "complete", "{what}");
        let told = recorded.manifest["interruptions"].as_array().unwrap();
        assert_eq!(told.len(), interruptions, "{what}: {told:#?}");
        assert!(told.iter().all(|interruption| interruption["lost_ms"] == 0), "{what}: {told:#?}");
        let tracks = &recorded.outcome.played.tracks;
        let parties = if row.data_opt == AudioData::Mixed { 1 } else { 2 };
        assert!(tracks.len() >= parties, "{what}: {} tracks", tracks.len());
        for track in tracks {
            assert_recorded(&recorded, track, &what);
        }
        assert_combined(&recorded, &what);
        system.stop().await;
    }
}

/// The file of a party, or of the mix, holds what was played.
fn assert_recorded(recorded: &Recorded, track: &PlayedTrack, what: &str) {
    let (codec, rate, channels) =
        (track.params.codec, track.sample_rate.to_string(), track.channels.to_string());
    let entry = own(&recorded.manifest, track);
    let file = recorded.file(entry);
    let stream = probe(&file);
    assert_eq!(entry["codec"], codec.name(), "{what}");
    assert_eq!((entry["sample_rate"].to_string(), &stream["sample_rate"]), (rate.clone(), &rate.into()));
    assert_eq!((entry["channels"].to_string(), stream["channels"].to_string()), (channels.clone(), channels));
    let played = &recorded.outcome.played;
    if codec == Opus {
        assert_eq!((file.extension().unwrap(), &stream["codec_name"]), ("ogg".as_ref(), &"opus".into()));
        assert_same_packets(&file, played, track, what);
    } else {
        assert_eq!((file.extension().unwrap(), &stream["codec_name"]), ("wav".as_ref(), &"pcm_s16le".into()));
        let sound = expected(played, &as_decoded(track, file.parent().unwrap()));
        assert_same_sound(&samples(&file), &sound, what);
    }
}

/// The entry of this track in the manifest.
fn own<'m>(manifest: &'m Value, track: &PlayedTrack) -> &'m Value {
    let channel = track.party.as_ref().and_then(|party| party.channel_id.as_deref());
    let entries = manifest["tracks"].as_array().unwrap();
    let own =
        entries.iter().find(|entry| entry["kind"] == "audio" && entry["channel_id"].as_str() == channel);
    own.unwrap_or_else(|| panic!("nothing of {:?}: {entries:#?}", track.party))
}

/// The track with the samples that ffmpeg decodes of what travelled; of L16 it is these samples that travelled.
fn as_decoded(track: &PlayedTrack, folder: &Path) -> PlayedTrack {
    let format: &[&str] = match track.params.codec {
        G711 => &["-f", "alaw", "-ar", "8000", "-ac", "1"],
        G722 => &["-f", "g722"],
        _ => return track.clone(),
    };
    let raw = folder.with_file_name("travelled");
    let bytes: Vec<u8> = track.packets.iter().flat_map(|packet| packet.payload.iter().copied()).collect();
    std::fs::write(&raw, bytes).unwrap();
    let decoded = samples_of(&raw, format);
    let mut track = track.clone();
    let size = track.packets[0].samples.len();
    assert_eq!(decoded.len(), size * track.packets.len(), "ffmpeg decodes all of it");
    for (packet, samples) in track.packets.iter_mut().zip(decoded.chunks(size)) {
        packet.samples = samples.to_vec();
    }
    track
}

/// Each packet of Opus where it belongs and unchanged; between them silence alone; as long as what was played.
fn assert_same_packets(file: &Path, played: &Played, track: &PlayedTrack, what: &str) {
    let sound = expected(played, track);
    let frames = i64::try_from(sound.len() / usize::from(track.channels)).unwrap();
    let end = |track: &PlayedTrack| track.packets.last().map_or(0, |last| last.position + 960);
    let lead = i64::try_from(end(track)).unwrap() - frames;
    let mut in_file: BTreeMap<i64, Vec<u8>> = packets(file, "a:0").into_iter().collect();
    for packet in &track.packets {
        let at = i64::try_from(packet.position).unwrap() - lead - PRE_SKIP;
        let found = in_file.remove(&at);
        assert!(found.as_ref() == Some(&packet.payload), "{what}: at sample {at} is {found:?}");
    }
    assert!(in_file.values().all(|packet| packet.len() <= 3), "{what}: what nobody played");
    assert_eq!(samples(file).len(), sound.len(), "{what}: samples");
}

/// The file of all parties together begins and ends with them.
fn assert_combined(recorded: &Recorded, what: &str) {
    let entries = recorded.manifest["tracks"].as_array().unwrap();
    let combined = entries.iter().find(|entry| entry["channel_id"].is_null()).unwrap();
    let file = recorded.file(combined);
    let played = &recorded.outcome.played;
    let seconds = |track| expected(played, track).len() / usize::from(track.channels);
    let longest = played.tracks.iter().map(seconds).max().unwrap();
    let channels = usize::try_from(combined["channels"].as_u64().unwrap()).unwrap();
    assert_eq!(samples(&file).len() / channels, longest, "{what}: {combined:#}");
    assert_eq!(
        probe(&file)["codec_name"],
        if played.tracks[0].params.codec == Opus { "opus" } else { "pcm_s16le" },
        "{what}"
    );
    if played.tracks.len() > 1 {
        assert_eq!(channels, if played.tracks.len() == 2 { 2 } else { 1 }, "{what}");
    }
}

/// Each row mixed and separate, with each of these faults.
async fn every(rows: impl IntoIterator<Item = AudioParams>, course: Course, each: &[Faults]) {
    let of = |row| [AudioData::Mixed, AudioData::Separate].map(|data_opt| AudioParams { data_opt, ..row });
    let plays = rows.into_iter().flat_map(of).map(|row| record(row, course, each.to_vec()));
    futures_util::stream::iter(plays).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
}

/// Nothing goes wrong; then a media socket is cut, and what was under way comes again.
fn undisturbed_and_cut() -> [Faults; 2] {
    let cut = Faults { cut_media: vec![at(2_500, Cut::End)], repeat_packets: REPEATED, ..Faults::default() };
    [Faults::default(), cut]
}

#[tokio::test(flavor = "multi_thread")]
async fn linear_samples_of_every_rate() {
    every(LINEAR, Course::Usual, &undisturbed_and_cut()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_telephone_codecs_bare_and_in_rtp() {
    every(TELEPHONE, Course::Usual, &undisturbed_and_cut()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_bare_and_in_rtp() {
    every(OPUS, Course::Usual, &undisturbed_and_cut()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rtp_over_a_bad_network() {
    let rows = TELEPHONE.into_iter().chain(OPUS).filter(|row| row.content_type == Rtp);
    let faults = Faults { rtp: BAD_NETWORK, ..Faults::default() };
    every(rows, Course::Usual, &[faults]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_parties_in_codecs() {
    let separate = |row| AudioParams { data_opt: AudioData::Separate, ..row };
    let plays = [TELEPHONE[1], TELEPHONE[2], OPUS[0]]
        .map(|row| record(separate(row), Course::Busy, vec![Faults::default()]));
    futures_util::future::join_all(plays).await;
}

/// Settings that Zoom would refuse, the variable that is wrong, and the nearest that is right.
type Refused = (&'static [(&'static str, &'static str)], &'static str, &'static str);

#[test]
fn what_zoom_would_refuse_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let rows: [Refused; 6] = [
        (
            &[("AUDIO_CODEC", "opus"), ("AUDIO_CHANNELS", "2")],
            "RTMS_AUDIO_SAMPLE_RATE",
            "RAW opus 48000 Hz stereo mixed every 20 ms",
        ),
        (&[("AUDIO_CODEC", "g711")], "RTMS_AUDIO_SAMPLE_RATE", "RAW g711 8000 Hz mono mixed every 20 ms"),
        (
            &[("AUDIO_CODEC", "g722"), ("AUDIO_CHANNELS", "2")],
            "RTMS_AUDIO_CHANNELS",
            "RAW g722 16000 Hz mono mixed every 20 ms",
        ),
        (&[("AUDIO_CONTENT", "rtp")], "RTMS_AUDIO_CONTENT", "RAW l16 16000 Hz mono mixed every 20 ms"),
        (&[("VIDEO_CODEC", "png"), ("VIDEO_FPS", "25")], "RTMS_VIDEO_FPS", "png hd at 5 pictures a second"),
        (&[("SHARE_CODEC", "jpg"), ("SHARE_FPS", "5")], "RTMS_SHARE_FPS", "jpg fhd at 1 picture"),
    ];
    for (settings, variable, nearest) in rows {
        let mut sources = Sources::new(folder.path());
        for (name, value) in worker_variables(folder.path()) {
            sources = sources.with(name, &value);
        }
        for (name, value) in settings {
            sources = sources.with(&format!("RTMS_{name}"), value);
        }
        sources = sources.with("RTMS_MEDIA", "audio,video,share");
        let mut reader = SettingsReader::load(&rtms_worker::TABLE, &sources);
        drop(rtms_worker::Settings::read(&mut reader));
        let said = reader.finish().unwrap_err().to_string();
        assert!(said.contains(variable) && said.contains(nearest), "{settings:?}: {said}");
    }
}
