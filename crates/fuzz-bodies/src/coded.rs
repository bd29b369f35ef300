//! Coded sound on its way to a file: Opus, G.711 and G.722, bare or in RTP packets that are lost, late, doubled, damaged
//! or none at all, with processes that die, and files whose end is torn.
//!
//! Whatever comes, an RTP packet that is read and written again reads the same, and every Ogg file is whole pages with
//! right checksums, in order, looked at by code that shares nothing with the writer's.

use std::path::{Path, PathBuf};

use rtms_protocol::frame::encode_payload;
use rtms_protocol::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, MediaKind, MediaPacket, MediaParams,
    MediaSet, Product, RtpPacket, SampleRate, StreamIdentity, UnixMillis, WireId,
};
use rtms_recorder::{
    Partition, Recording, RecordingEnd, RecordingSpec, RecordingState, StoredManifest, read_manifest,
};

use crate::choices::Choices;
use crate::files::{tidy, wav};
use crate::ogg;
use crate::run::play;

const START: i64 = 1_765_449_000_000;
/// Packets and other happenings of one run.
const MOST_STEPS: usize = 160;
/// Codec, rate and channels that Zoom grants.
const GRANTS: [(AudioCodec, SampleRate, Channels); 4] = [
    (AudioCodec::Opus, SampleRate::Hz48000, Channels::Mono),
    (AudioCodec::Opus, SampleRate::Hz48000, Channels::Stereo),
    (AudioCodec::G711, SampleRate::Hz8000, Channels::Mono),
    (AudioCodec::G722, SampleRate::Hz16000, Channels::Mono),
];

/// Records it, ends, and looks at what is left.
pub fn coded(bytes: &[u8]) {
    read_again(bytes);
    play(bytes, MOST_STEPS, Run::new, Run::step, Run::end);
}

/// A packet that is one is written and read as the same.
fn read_again(bytes: &[u8]) {
    let Ok(packet) = RtpPacket::parse(bytes) else { return };
    let mut written = Vec::new();
    packet.write(&mut written);
    assert_eq!(RtpPacket::parse(&written), Ok(packet));
}

struct Run {
    dir: PathBuf,
    recording: Recording,
    granted: AudioParams,
    /// ms since the start.
    now: i64,
    sequence: u16,
    killed: bool,
}

impl Run {
    fn new(dir: &Path, choices: &mut Choices<'_>) -> Self {
        let (codec, sample_rate, channels) = choices.pick(&GRANTS);
        let granted = AudioParams {
            codec,
            sample_rate,
            channels,
            content_type: choices.pick(&[AudioContent::Rtp, AudioContent::Raw]),
            data_opt: choices.pick(&[AudioData::Mixed, AudioData::Separate]),
            ..AudioParams::default()
        };
        let mut recording = Recording::create(RecordingSpec {
            data_dir: dir.to_path_buf(),
            partition: Partition::None,
            identity: StreamIdentity {
                product: Product::Meeting,
                id: "id".into(),
                stream_id: "stream".into(),
            },
            started_at: UnixMillis(START),
            account_id: None,
            expect: MediaSet::of(MediaKind::Audio),
            images: MediaSet::EMPTY,
            server_urls: Vec::new(),
        })
        .expect("a folder that can be written");
        recording.granted(&params(granted));
        let sequence = choices.pick(&[0, 65_530]);
        Self { dir: dir.to_path_buf(), recording, granted, now: 0, sequence, killed: false }
    }

    fn step(mut self, choices: &mut Choices<'_>) -> Self {
        match choices.below(32) {
            0 => self.now += i64::from(choices.byte()) * 20,
            1 => {
                self.recording.flush(UnixMillis(START + self.now)).expect("the disk is fine");
                self.look(true);
            }
            2 => return self.next_process(choices),
            _ => self.sound(choices),
        }
        self
    }

    fn sound(&mut self, choices: &mut Choices<'_>) {
        self.now += 20;
        let frames = codec_bytes(self.granted.codec, choices);
        let payload = match self.granted.content_type {
            AudioContent::Rtp => self.rtp(&frames, choices),
            _ => frames,
        };
        let late = i64::from(choices.pick(&[0_u8, 0, 0, 0, 0, 1, 20, 200]));
        let at = UnixMillis(START + self.now - late);
        let mut packet = MediaPacket::new(MediaKind::Audio, at, encode_payload(&payload));
        packet.user_id = Some(WireId::Number(i64::from(choices.byte() & 1)));
        // Refusals are part of the game; what matters is that the next packet is taken all the same.
        let _ = self.recording.media(UnixMillis(START + self.now), &packet);
    }

    /// A packet of RTP, mostly the next one; sometimes another, or any bytes.
    fn rtp(&mut self, frames: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
        let step = choices.pick(&[1_i16, 1, 1, 1, 1, 1, 2, 0, -1, 9, 300]);
        self.sequence = self.sequence.wrapping_add_signed(step);
        let clock = self.granted.sample_rate.hz().unwrap_or(48_000) / 50;
        let off = u32::from(choices.pick(&[0_u8, 0, 0, 0, 0, 1, 255]));
        let packet = RtpPacket {
            sequence: self.sequence,
            timestamp: u32::from(self.sequence).wrapping_mul(clock).wrapping_add(off * off),
            ssrc: u32::from(choices.byte() & 1),
            payload: frames,
            ..RtpPacket::default()
        };
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        if choices.below(16) == 0 {
            // One byte is another: version, counts, lengths, flags.
            let at = choices.below(bytes.len().min(16));
            bytes[at] = choices.byte();
        }
        read_again(&bytes);
        bytes
    }

    /// This process dies, the end of its files is torn, and another one goes on.
    fn next_process(mut self, choices: &mut Choices<'_>) -> Self {
        let path = self.recording.manifest_path().to_path_buf();
        drop(self.recording);
        self.killed = true;
        self.now += i64::from(choices.byte()) * 20;
        let manifest = read_manifest(&path).expect("a readable manifest");
        if choices.flag() {
            let torn = choices.bytes(100);
            ogg::tear(&self.dir, &manifest, torn);
        }
        let stored = StoredManifest { manifest, path };
        let now = UnixMillis(START + self.now);
        let mut recording =
            Recording::resume(&self.dir, stored, Partition::None, now).expect("the disk is fine");
        recording.granted(&params(self.granted));
        Self { recording, ..self }
    }

    /// What the manifest names is whole.
    fn look(&self, growing: bool) {
        let manifest = read_manifest(self.recording.manifest_path()).expect("a readable manifest");
        for file in manifest.files() {
            let path = self.dir.join(file);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("wav") => drop(wav(&path, growing)),
                Some("ogg") => ogg::whole(&path, growing),
                _ => {}
            }
        }
    }

    fn end(self) {
        let manifest_path = self.recording.manifest_path().to_path_buf();
        let at = UnixMillis(START + self.now);
        let Self { recording, dir, killed, .. } = self;
        let end = RecordingEnd { at, state: RecordingState::Complete, stop_reason: None };
        let manifest = recording.finish(end).expect("the disk is fine");
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        for track in &manifest.tracks {
            let path = dir.join(&track.file);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("wav") => drop(wav(&path, false)),
                Some("ogg") => ogg::whole(&path, false),
                _ => {}
            }
        }
        if !killed {
            // A file that was begun in the second before a kill may be known to no manifest.
            tidy(&dir, &manifest_path, &manifest);
        }
    }
}

fn params(audio: AudioParams) -> MediaParams {
    MediaParams { audio: Some(audio), ..MediaParams::default() }
}

/// Bytes of a codec: of Opus any table of contents, of the others any length that may be right.
fn codec_bytes(codec: AudioCodec, choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(8) {
        0 => choices.bytes(200).to_vec(),
        1 if codec == AudioCodec::Opus => [&[choices.byte()], choices.bytes(60)].concat(),
        // 20 ms of silence, mono and stereo.
        2 if codec == AudioCodec::Opus => vec![0xfc, 0xff, 0xfe],
        _ if codec == AudioCodec::Opus => vec![0xf8, 0xff, 0xfe],
        n => vec![choices.byte(); if n == 1 { 80 } else { 160 }],
    }
}
