//! A whole recording in a folder of its own: packets of every medium with any time, length, owner and name, events,
//! interruptions, flushes, processes that die or hand over, and one of three ends: finished, revoked, or killed and
//! repaired.
//!
//! Sound carries the number of its packet in every sample, so a sample that is written twice, or in front of an
//! earlier one, shows.

use std::path::{Path, PathBuf};

use rtms_protocol::frame::encode_payload;
use rtms_protocol::{
    AudioData, AudioParams, Channels, Event, MediaKind, MediaPacket, MediaParams, MediaSet, Product,
    SampleRate, StopReason, StreamIdentity, UnixMillis, WireId,
};
use rtms_recorder::{
    Manifest, Partition, Recording, RecordingEnd, RecordingSpec, RecordingState, StoredManifest,
    read_manifest, repair_recording,
};
use serde_json::json;

use crate::choices::Choices;
use crate::files::{below, tidy, wav};
use crate::run::play;

const START: i64 = 1_765_449_000_000;
/// Packets and other happenings of one run.
const MOST_STEPS: usize = 120;
/// What may lie before the start and beyond the passed time, ms: Zoom's buffer, what zero may move back by, tolerance.
const SLACK_MS: i64 = 145_000;
/// The longest packet here, ms.
const PACKET_MS: i64 = 255;

/// Records, ends, and looks at what is left.
pub fn recording(bytes: &[u8]) {
    play(bytes, MOST_STEPS, Run::new, Run::step, Run::end);
}

struct Run {
    dir: PathBuf,
    recording: Recording,
    granted: AudioParams,
    now: i64,
    packets: Vec<usize>,
    ending: usize,
    killed: bool,
}

impl Run {
    fn new(dir: &Path, choices: &mut Choices<'_>) -> Self {
        let product = choices.pick(&[Product::ContactCenter, Product::Meeting, Product::Phone]);
        let ending = choices.below(4);
        let granted = AudioParams {
            data_opt: choices.pick(&[AudioData::Mixed, AudioData::Separate]),
            sample_rate: choices.pick(&[SampleRate::Hz8000, SampleRate::Hz16000]),
            channels: choices.pick(&[Channels::Mono, Channels::Mono, Channels::Mono, Channels::Stereo]),
            ..AudioParams::default()
        };
        let mut recording = Recording::create(RecordingSpec {
            data_dir: dir.to_path_buf(),
            partition: choices.pick(&[Partition::None, Partition::Date]),
            identity: StreamIdentity { product, id: choices.text(40), stream_id: choices.text(8) },
            started_at: UnixMillis(choices.pick(&[START, START, START, i64::MIN, i64::MAX, 0])),
            account_id: None,
            expect: MediaSet::ALL,
            images: choices.pick(&[MediaSet::EMPTY, MediaSet::ALL]),
            server_urls: vec!["wss://a.zoom.us".into()],
        })
        .expect("a folder that can be written");
        recording.granted(&MediaParams { audio: Some(granted), ..MediaParams::default() });
        Self {
            dir: dir.to_path_buf(),
            recording,
            granted,
            now: 0,
            packets: Vec::new(),
            ending,
            killed: false,
        }
    }

    fn step(mut self, choices: &mut Choices<'_>) -> Self {
        let now = UnixMillis(START + self.now);
        match choices.below(16) {
            0 => self.now += i64::from(choices.byte()) * 20,
            1 => {
                self.recording.flush(now).expect("the disk is fine");
                self.look();
            }
            2 => self.event(choices),
            3 => self.recording.interrupted(now, "media_lost"),
            4 => self.recording.resumed(now),
            5 => {
                // Refusals are part of the game; what matters is that the next packet is taken all the same.
                let _ = self.recording.media(now, &text(choices, self.now));
            }
            6 => {
                let _ = self.recording.media(now, &picture(choices, self.now));
            }
            15 => return self.next_process(choices),
            _ => self.sound(choices),
        }
        self
    }

    /// This process dies, or hands over, and another one goes on after a while.
    fn next_process(mut self, choices: &mut Choices<'_>) -> Self {
        let path = self.recording.manifest_path().to_path_buf();
        if choices.flag() {
            self.recording.hand_over(UnixMillis(START + self.now)).expect("the disk is fine");
        } else {
            drop(self.recording);
            self.killed = true;
        }
        self.now += i64::from(choices.byte()) * 20;
        let stored = StoredManifest { manifest: read_manifest(&path).expect("a readable manifest"), path };
        let now = UnixMillis(START + self.now);
        let recording = Recording::resume(&self.dir, stored, Partition::None, now).expect("the disk is fine");
        Self { recording, ..self }
    }

    fn sound(&mut self, choices: &mut Choices<'_>) {
        self.now += i64::from(choices.byte() & 31);
        let at = time(choices, self.now);
        let channels = usize::from(self.granted.channels.count());
        let ms = usize::from(choices.pick(&[20_u8, 20, 20, 40, 100, 255, 1, 0]));
        let samples = ms * if self.granted.sample_rate == SampleRate::Hz8000 { 8 } else { 16 } * channels;
        let number = i16::try_from(self.packets.len() + 1).expect("few packets");
        let mut payload: Vec<u8> = std::iter::repeat_n(number.to_le_bytes(), samples).flatten().collect();
        // Now and then half a sample too much.
        payload.extend(std::iter::repeat_n(7, choices.below(64) / 63));
        self.packets.push(samples);
        let mut packet = MediaPacket::new(MediaKind::Audio, at, encode_payload(&payload));
        who(choices, &mut packet);
        let _ = self.recording.media(UnixMillis(START + self.now), &packet);
    }

    fn event(&mut self, choices: &mut Choices<'_>) {
        let fields = json!({
            "event_type": choices.below(36),
            "timestamp": time(choices, self.now).0,
            "user_id": choices.byte() & 3,
            "user_name": choices.text(20),
            "participant_info": {"channel_id": choices.byte() & 3, "display_name": choices.text(20)},
        });
        let fields = fields.as_object().cloned().unwrap_or_default();
        if let Some(event) = Event::from_fields(Product::ContactCenter, fields) {
            self.recording.event(&event);
        }
    }

    /// At any moment: the manifest reads, and every WAV is whole.
    fn look(&self) {
        let path = self.recording.manifest_path();
        let manifest = read_manifest(path).expect("a readable manifest");
        for file in manifest.files().filter(|file| file.ends_with(".wav")) {
            let _ = wav(&self.dir.join(file), true);
        }
    }

    fn end(self) {
        let manifest_path = self.recording.manifest_path().to_path_buf();
        let at = UnixMillis(START + self.now);
        let end = |state| RecordingEnd { at, state, stop_reason: Some(StopReason::MeetingEnded) };
        let Self { recording, packets, now, ending, killed, dir, .. } = self;
        let dir = dir.as_path();
        let manifest = match ending {
            0 => {
                // The process is killed; the next one repairs.
                drop(recording);
                let manifest = read_manifest(&manifest_path).expect("a readable manifest");
                let stored = StoredManifest { path: manifest_path, manifest };
                let manifest = repair_recording(dir, &stored, at).expect("the disk is fine");
                return sounds(dir, &manifest, &packets);
            }
            1 => recording.finish(end(RecordingState::Revoked)),
            _ => recording.finish(end(RecordingState::Complete)),
        }
        .expect("the disk is fine");
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        if !killed {
            // A file that was begun in the second before a kill may be known to no manifest.
            tidy(dir, &manifest_path, &manifest);
        }
        if ending == 1 && !killed {
            assert_eq!(below(dir).len(), 1, "revoked: only the proof is left");
        }
        sounds(dir, &manifest, &packets);
        let limit = now + SLACK_MS + PACKET_MS * i64::try_from(packets.len()).unwrap_or(i64::MAX);
        for track in manifest.tracks.iter().filter(|track| track.kind == "audio") {
            assert!(track.duration_ms <= limit, "{} ms of sound within {limit} ms", track.duration_ms);
        }
    }
}

/// Each packet's samples come at most once, and in order.
fn sounds(dir: &Path, manifest: &Manifest, packets: &[usize]) {
    for track in manifest.tracks.iter().filter(|track| track.file.ends_with(".wav")) {
        let wav = wav(&dir.join(&track.file), false);
        if track.name == "combined" || wav.channels != 1 {
            continue;
        }
        let mut last = 0;
        let mut counts = vec![0_usize; packets.len() + 1];
        for sample in wav.samples.into_iter().filter(|sample| *sample != 0) {
            assert!(sample >= last, "{}: packet {sample} behind packet {last}", track.name);
            last = sample;
            counts[usize::try_from(sample).expect("not negative")] += 1;
        }
        for (count, packet) in counts.iter().skip(1).zip(packets) {
            assert!(count <= packet, "{}: {count} samples of a packet of {packet}", track.name);
        }
    }
}

/// Mostly about now, on the grid of packets or off it; sometimes anything.
fn time(choices: &mut Choices<'_>, now: i64) -> UnixMillis {
    let about = |by: i64| UnixMillis(START + now + by);
    match choices.below(16) {
        0 => UnixMillis(choices.i64()),
        1 => UnixMillis(choices.pick(&[i64::MIN, i64::MAX, 0, -1, 1, START * 1000])),
        2 => about(choices.i16() * 10),
        3 => about(choices.i16() / 100),
        _ => about(0),
    }
}

fn who(choices: &mut Choices<'_>, packet: &mut MediaPacket<'_>) {
    match choices.below(8) {
        0 => {
            packet.user_id = Some(WireId::Text(choices.text(12).into()));
            packet.user_name = Some(choices.text(80).into());
        }
        1 => packet.channel_id = Some(WireId::Number(choices.i64())),
        n @ 2..=4 => packet.channel_id = Some(WireId::Number(i64::from(n as u8))),
        _ => packet.user_id = Some(WireId::Number(0)),
    }
}

fn text(choices: &mut Choices<'_>, now: i64) -> MediaPacket<'static> {
    let kind = choices.pick(&[MediaKind::Transcript, MediaKind::Chat]);
    let mut packet = MediaPacket::new(kind, time(choices, now), choices.text(120));
    packet.start_time = choices.flag().then(|| time(choices, now));
    packet.end_time = choices.flag().then(|| time(choices, now));
    who(choices, &mut packet);
    // From what is there already, so that older inputs still mean what they meant.
    let length = packet.data.len();
    let attributes = [None, Some("interim"), Some("final"), Some("corrected"), Some("deleted")];
    packet.attribute = attributes[length % attributes.len()].map(Into::into);
    packet.message_id = (length % 3 == 1).then_some(WireId::Number((length % 4) as i64));
    packet
}

/// Pictures: real beginnings of H.264 with any bytes behind, or rubbish.
fn picture(choices: &mut Choices<'_>, now: i64) -> MediaPacket<'static> {
    const SPS: &[u8] = &[
        0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x07, 0x3c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 3,
        0xc4, 0x89, 0x92,
    ];
    const PPS: &[u8] = &[0, 0, 0, 1, 0x68, 0xcb, 0x83, 0xcb, 0x20];
    const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 16, 0, 16, 1, 1, 0x11, 0, 0xff, 0xda, 0, 2];
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0";
    let kind = choices.pick(&[MediaKind::Video, MediaKind::Video, MediaKind::Share]);
    let at = time(choices, now);
    let (front, end): (Vec<u8>, &[u8]) = match choices.below(6) {
        0 => (Vec::new(), &[]),
        1 => ([SPS, PPS, &[0, 0, 1, 0x65]].concat(), &[]),
        2 => (vec![0, 0, 1, 0x65], &[]),
        3 => (JPEG.to_vec(), &[0xff, 0xd9]),
        4 => (PNG.to_vec(), b"\0\0\0\0IEND\xaeB`\x82"),
        _ => (vec![0, 0, 1, 0x41], &[]),
    };
    let bytes = [&front, choices.bytes(60), end].concat();
    MediaPacket::new(kind, at, encode_payload(&bytes))
}
