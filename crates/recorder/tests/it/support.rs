//! A recording to play into, and readers for what comes out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rtms_protocol::{
    AudioCodec, AudioContent, AudioData, AudioParams, Channels, Event, MediaKind, MediaPacket, MediaParams,
    MediaSet, Product, SampleRate, StreamIdentity, UnixMillis, WireId,
};
use rtms_recorder::{
    Manifest, Partition, RecordError, Recording, RecordingEnd, RecordingSpec, RecordingState, StoredManifest,
    TrackEntry, manifests,
};
use serde_json::{Value, json};

/// 2025-12-11T10:30:00.000Z, the start of every recording here.
pub(crate) const START: i64 = 1_765_449_000_000;

/// `ms` after the start.
pub(crate) fn at(ms: i64) -> UnixMillis {
    UnixMillis(START + ms)
}

/// A recording in a folder of its own.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    recording: Option<Recording>,
}

impl Bench {
    pub(crate) fn new(product: Product, audio: AudioData) -> Self {
        let mut bench = Self::of(|dir| spec(dir, product));
        bench.rec().granted(&granted(audio, SampleRate::Hz16000, Channels::Mono));
        bench
    }

    /// One to whom nothing was granted yet.
    pub(crate) fn of(spec: impl FnOnce(&Path) -> RecordingSpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let recording = Recording::create(spec(dir.path())).unwrap();
        Self { dir, recording: Some(recording) }
    }

    pub(crate) fn rec(&mut self) -> &mut Recording {
        self.recording.as_mut().unwrap()
    }

    /// Plays 20 ms packets of `samples` (16 kHz mono) that begin at `from` ms, as they arrive in real time.
    pub(crate) fn play(&mut self, who: Option<i64>, from: i64, samples: &[i16]) {
        for (n, chunk) in samples.chunks(320).enumerate() {
            let ms = from + n as i64 * 20;
            self.rec().media(at(ms + 30), &voice(who, ms, chunk)).unwrap();
        }
    }

    pub(crate) fn event(&mut self, ms: i64, value: &Value) {
        let mut fields = value.as_object().unwrap().clone();
        fields.insert("timestamp".into(), json!(START + ms));
        let product = Product::ContactCenter;
        self.rec().event(&Event::from_fields(product, fields).unwrap());
    }

    pub(crate) fn flush(&mut self, ms: i64) {
        self.rec().flush(at(ms)).unwrap();
    }

    pub(crate) fn finish(&mut self, ms: i64) -> Manifest {
        self.end(ms, RecordingState::Complete).unwrap()
    }

    pub(crate) fn end(&mut self, ms: i64, state: RecordingState) -> Result<Manifest, RecordError> {
        let end = RecordingEnd { at: at(ms), state, stop_reason: None };
        self.recording.take().unwrap().finish(end)
    }

    /// The process dies.
    pub(crate) fn die(&mut self) {
        std::mem::forget(self.recording.take());
    }

    /// The process leaves the recording to the next one.
    pub(crate) fn hand_over(&mut self, ms: i64) {
        self.take().hand_over(at(ms)).unwrap();
    }

    /// The next process takes the recording up.
    pub(crate) fn resume(&mut self, ms: i64) {
        let stored = manifests(self.dir.path()).next().unwrap();
        self.resume_from(stored, ms);
    }

    pub(crate) fn resume_from(&mut self, stored: StoredManifest, ms: i64) {
        assert!(self.recording.is_none());
        let resumed = Recording::resume(self.dir.path(), stored, Partition::None, at(ms)).unwrap();
        self.recording = Some(resumed);
    }

    pub(crate) fn take(&mut self) -> Recording {
        self.recording.take().unwrap()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The file of that kind whose name ends so.
    pub(crate) fn file(&self, folder: &str, ending: &str) -> PathBuf {
        let found: Vec<_> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with(ending))
            .collect();
        let [one] = found.as_slice() else { panic!("{ending}: {found:?}") };
        one.clone()
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}

pub(crate) fn spec(dir: &Path, product: Product) -> RecordingSpec {
    RecordingSpec {
        data_dir: dir.to_path_buf(),
        partition: Partition::None,
        identity: StreamIdentity { product, id: "abc123".into(), stream_id: "xyz789".into() },
        started_at: at(0),
        account_id: Some("account".into()),
        expect: MediaSet::of(MediaKind::Audio),
        images: MediaSet::EMPTY,
        server_urls: vec!["wss://rtms.zoom.us/1".into()],
    }
}

pub(crate) fn granted(data_opt: AudioData, sample_rate: SampleRate, channels: Channels) -> MediaParams {
    let audio = AudioParams {
        content_type: AudioContent::Raw,
        codec: AudioCodec::L16,
        sample_rate,
        channels,
        data_opt,
        send_rate_ms: 20,
    };
    MediaParams { audio: Some(audio), ..MediaParams::default() }
}

/// An audio packet of user 0 or of a channel.
pub(crate) fn voice(channel: Option<i64>, ms: i64, samples: &[i16]) -> MediaPacket<'static> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut packet = binary(MediaKind::Audio, ms, &bytes);
    packet.user_id = Some(WireId::Number(0));
    packet.channel_id = channel.map(WireId::Number);
    packet
}

/// A packet with a payload in base64.
pub(crate) fn binary(kind: MediaKind, ms: i64, bytes: &[u8]) -> MediaPacket<'static> {
    MediaPacket::new(kind, at(ms), base64_simd::STANDARD.encode_to_string(bytes))
}

/// Sound that never repeats: each sample tells its own position.
pub(crate) fn sound(seed: i16, count: usize) -> Vec<i16> {
    (0..count).map(|n| ((n as i64 * 7 + i64::from(seed) * 1_009) % 20_000) as i16 + 1).collect()
}

/// The samples of a WAV, as ffmpeg reads them, interleaved.
pub(crate) fn decoded(path: &Path) -> Vec<i16> {
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-f", "s16le", "-c:a", "pcm_s16le", "-"])
        .output()
        .expect("ffmpeg must be on PATH for these tests");
    assert!(run.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&run.stderr));
    run.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// What ffprobe says of a file; with it every complaint is a failure.
pub(crate) fn probe(path: &Path, entries: &[&str]) -> Value {
    let run = Command::new("ffprobe")
        .args(["-v", "warning", "-of", "json"])
        .args(entries)
        .arg(path)
        .output()
        .expect("ffprobe must be on PATH for these tests");
    assert!(run.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&run.stderr));
    assert_eq!(String::from_utf8_lossy(&run.stderr), "", "{}", path.display());
    serde_json::from_slice(&run.stdout).unwrap()
}

/// The one track of a manifest that is called so.
pub(crate) fn track<'m>(manifest: &'m Manifest, name: &str) -> &'m TrackEntry {
    let found: Vec<_> = manifest.tracks.iter().filter(|track| track.name == name).collect();
    let [one] = found.as_slice() else { panic!("{name}: {:?}", manifest.tracks) };
    one
}
