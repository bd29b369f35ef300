//! A call recorded by many processes, each killed or handing over at any moment, against a model of a few lines: the
//! files must equal what came, sample for sample, but for what a kill took before it was flushed, which is silence, and
//! counted.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rtms_protocol::{AudioCodec, AudioData, Channels, MediaKind, MediaPacket, Product, SampleRate, WireId};
use rtms_recorder::{
    Manifest, Partition, Recording, RecordingEnd, RecordingState, manifests, read_manifest, repair_recording,
};

use crate::ogg::packets;
use crate::support::{at, binary, granted, spec, track, voice};

/// Frames and ms of a packet.
const FRAMES: usize = 320;
const MS: i64 = 20;

#[derive(Debug, Clone)]
enum Step {
    /// Both parties are heard for so many packets; a line is said.
    Talk(usize),
    /// Zoom sends nothing for so many packets: they are lost.
    Lose(usize),
    /// Zoom repeats so many packets, as after a reconnection.
    Repeat(usize),
    Flush,
    /// One of the parties falls silent, or speaks again.
    Mute(usize),
    /// The connection is gone for so many packets, of which Zoom keeps the last so many.
    Interrupt(usize, usize),
    /// The process is killed; the next one comes so many packets later, and Zoom repeats so many.
    Kill(usize, usize),
    /// The process hands over.
    HandOver(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let away = || (0_usize..200, 0_usize..200);
    prop_oneof![
        6 => (1_usize..60).prop_map(Step::Talk),
        1 => (1_usize..40).prop_map(Step::Lose),
        2 => (1_usize..80).prop_map(Step::Repeat),
        4 => Just(Step::Flush),
        1 => (0_usize..2).prop_map(Step::Mute),
        2 => away().prop_map(|(away, kept)| Step::Interrupt(away, kept)),
        2 => away().prop_map(|(away, kept)| Step::Kill(away, kept)),
        2 => away().prop_map(|(away, kept)| Step::HandOver(away, kept)),
    ]
}

/// What a party says in packet `n`: samples that tell whose they are, and where they belong.
fn said(party: usize, n: usize) -> Vec<i16> {
    (n * FRAMES..(n + 1) * FRAMES).map(|p| ((p * 7 + party * 9_001) % 15_000) as i16 + 1).collect()
}

/// The same as Opus: a packet that tells whose it is, and its number.
fn opus(party: usize, n: usize) -> Vec<u8> {
    let number = u32::try_from(n).unwrap().to_le_bytes();
    [&[31 << 3, party as u8, 7], &number[..]].concat()
}

/// What a party's Ogg file holds, as if it were the samples.
fn opus_file(path: &Path) -> Vec<i16> {
    let said_by = |packet: &[u8]| match packet {
        [_, party, 7, number @ ..] => {
            said(usize::from(*party), u32::from_le_bytes(number.try_into().unwrap()) as usize)
        }
        silence => {
            assert_eq!(silence, [31 << 3, 0xff, 0xfe]);
            vec![0; FRAMES]
        }
    };
    packets(path).iter().flat_map(|packet| said_by(packet)).collect()
}

struct World {
    codec: AudioCodec,
    dir: tempfile::TempDir,
    recording: Option<Recording>,
    /// What the parties' files must hold.
    files: [Vec<i16>; 2],
    /// The lines that must be there, and how many of them are flushed.
    lines: Vec<String>,
    lines_flushed: usize,
    flushed: [usize; 2],
    /// Next packet of the call.
    next: usize,
    muted: [bool; 2],
    /// Costs are predicted only while both were heard all the time.
    both_heard: bool,
    /// For each interruption what it must have cost, ms.
    costs: Vec<i64>,
    /// Where the sound ended when the connection came back, until sound comes.
    cut: Option<i64>,
}

impl World {
    fn new(codec: AudioCodec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(spec(dir.path(), Product::ContactCenter)).unwrap();
        let mut params = granted(AudioData::Separate, SampleRate::Hz16000, Channels::Mono);
        params.audio.as_mut().unwrap().codec = codec;
        recording.granted(&params);
        let mut world = Self {
            codec,
            dir,
            recording: Some(recording),
            files: [Vec::new(), Vec::new()],
            lines: Vec::new(),
            lines_flushed: 0,
            flushed: [0, 0],
            next: 0,
            muted: [false; 2],
            both_heard: true,
            costs: Vec::new(),
            cut: None,
        };
        world.live(1);
        world
    }

    fn now(&self) -> i64 {
        self.next as i64 * MS + 30
    }

    fn rec(&mut self) -> &mut Recording {
        self.recording.as_mut().unwrap()
    }

    fn live(&mut self, packets: usize) {
        self.next += packets;
        self.deliver(self.next - packets);
    }

    fn packet(&self, party: usize, n: usize, samples: &[i16]) -> MediaPacket<'static> {
        let (channel, ms) = (party as i64 + 1, n as i64 * MS);
        if self.codec != AudioCodec::Opus {
            return voice(Some(channel), ms, samples);
        }
        let mut packet = binary(MediaKind::Audio, ms, &opus(party, n));
        packet.channel_id = Some(WireId::Number(channel));
        packet
    }

    /// Zoom sends everything from packet `from` up to now.
    fn deliver(&mut self, from: usize) {
        let now = at(self.now());
        for n in from..self.next {
            for party in 0..2 {
                if self.muted[party] {
                    continue;
                }
                if let Some(cut) = self.cut.take() {
                    *self.costs.last_mut().unwrap() = (n as i64 * MS - cut).max(0);
                }
                let samples = said(party, n);
                let packet = self.packet(party, n, &samples);
                self.rec().media(now, &packet).unwrap();
                let file = &mut self.files[party];
                if file.len() < (n + 1) * FRAMES {
                    let begin = file.len().max(n * FRAMES);
                    file.resize(begin, 0);
                    file.extend_from_slice(&samples[begin - n * FRAMES..]);
                }
            }
            if n % 25 == 7 {
                let text = format!("line {n}");
                let ms = n as i64 * MS;
                self.rec()
                    .media(now, &MediaPacket::new(MediaKind::Transcript, at(ms), text.clone()))
                    .unwrap();
                if !self.lines.contains(&text) {
                    self.lines.push(text);
                }
            }
        }
    }

    fn flush(&mut self) {
        let now = at(self.now());
        self.rec().flush(now).unwrap();
        self.is_flushed();
    }

    fn is_flushed(&mut self) {
        self.flushed = [self.files[0].len(), self.files[1].len()];
        self.lines_flushed = self.lines.len();
    }

    fn file(&self, folder: &str, ending: &str) -> PathBuf {
        let entries = fs::read_dir(self.dir.path().join(folder)).unwrap();
        let mut found = entries.map(|e| e.unwrap().path()).filter(|p| p.to_str().unwrap().ends_with(ending));
        let one = found.next().unwrap();
        assert_eq!(found.next(), None, "no file is begun twice");
        one
    }

    fn wav(&self, ending: &str) -> Vec<i16> {
        let bytes = fs::read(self.file("audio", ending)).unwrap();
        bytes[80..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    /// What a party's file holds.
    fn party(&self, party: usize) -> Vec<i16> {
        if self.codec == AudioCodec::Opus {
            opus_file(&self.file("audio", &format!("_{}.ogg", party + 1)))
        } else {
            self.wav(&format!("_{}.wav", party + 1))
        }
    }

    /// The process is gone: what it had flushed must be there, what it had not may be; the model forgets the rest.
    fn forget_unflushed(&mut self) {
        for party in 0..2 {
            let there = self.party(party);
            assert!(there.len() >= self.flushed[party], "{} of {}", there.len(), self.flushed[party]);
            assert_eq!(there[..], self.files[party][..there.len()]);
            self.files[party].truncate(there.len());
        }
        let spoken = self.dir.path().join("transcripts").exists();
        let jsonl = spoken.then(|| fs::read_to_string(self.file("transcripts", ".jsonl")).unwrap());
        let there = jsonl.unwrap_or_default().lines().count();
        assert!(there >= self.lines_flushed);
        self.lines.truncate(there);
        self.is_flushed();
    }

    fn take_up(&mut self) {
        let stored = manifests(self.dir.path()).next().unwrap();
        let resumed = Recording::resume(self.dir.path(), stored, Partition::None, at(self.now())).unwrap();
        self.recording = Some(resumed);
    }

    /// The connection is back: Zoom sends what it kept, from packet `from` on.
    fn back(&mut self, from: usize) {
        let ends = self.files.iter().map(|file| (file.len() / FRAMES) as i64 * MS);
        let latest = ends.clone().max().unwrap();
        self.cut = ends.filter(|end| latest - end <= 500).min();
        if from >= self.next || self.muted == [true; 2] {
            // No media says that the connection is back.
            let now = at(self.now());
            self.rec().resumed(now);
        }
        self.deliver(from);
    }

    fn away(&mut self, packets: usize, kept: usize) -> usize {
        self.costs.push(0);
        self.next += packets;
        self.next.saturating_sub(kept)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Talk(packets) => self.live(packets),
            Step::Lose(packets) => {
                self.next += packets;
                self.both_heard = false;
            }
            Step::Repeat(packets) => self.deliver(self.next.saturating_sub(packets)),
            Step::Flush => self.flush(),
            Step::Mute(party) => {
                self.muted[party] = !self.muted[party];
                self.both_heard = false;
            }
            Step::Interrupt(away, kept) => {
                let gone = at(self.now());
                self.rec().interrupted(gone, "media_lost");
                let from = self.away(away, kept);
                let now = at(self.now());
                self.rec().resumed(now);
                self.back(from);
            }
            Step::Kill(away, kept) => {
                drop(self.recording.take());
                self.forget_unflushed();
                let from = self.away(away, kept);
                self.take_up();
                self.back(from);
            }
            Step::HandOver(away, kept) => {
                let gone = at(self.now());
                self.recording.take().unwrap().hand_over(gone).unwrap();
                self.is_flushed();
                self.forget_unflushed();
                let from = self.away(away, kept);
                self.take_up();
                self.back(from);
            }
        }
    }

    fn check(&self, manifest: &Manifest) {
        assert_eq!(manifest.problems, Vec::<String>::new());
        for party in 0..2 {
            let there = self.party(party);
            let expected = &self.files[party];
            assert_eq!(there.len(), expected.len());
            if let Some(place) = (0..there.len()).find(|place| there[*place] != expected[*place]) {
                panic!("party {party}, sample {place}: {} is not {}", there[place], expected[place]);
            }
        }
        self.check_both(manifest);
        self.check_words();
        if self.both_heard {
            let costs: Vec<i64> = manifest.interruptions.iter().map(|entry| entry.lost_ms).collect();
            assert_eq!(costs, self.costs, "{:?}", manifest.interruptions);
        }
        assert!(manifest.in_progress.is_none() && manifest.server_urls.is_empty());
        assert!(manifest.tracks.iter().all(|track| track.sha256.is_some() && track.becoming.is_none()));
    }

    fn check_both(&self, manifest: &Manifest) {
        let frames = self.files.iter().map(Vec::len).max().unwrap();
        if self.codec == AudioCodec::Opus {
            let both = track(manifest, "combined");
            assert_eq!((both.channels, both.duration_ms), (Some(2), frames as i64 / 16));
            assert_eq!(packets(&self.file("audio", "000Z.ogg")).len(), frames / FRAMES);
            return;
        }
        let both = self.wav("000Z.wav");
        assert_eq!(both.len(), frames * 2);
        for (n, frame) in both.chunks(2).enumerate() {
            let expected = [0, 1].map(|party: usize| self.files[party].get(n).copied().unwrap_or(0));
            assert_eq!(frame, expected, "combined, frame {n}");
        }
    }

    fn check_words(&self) {
        if self.lines.is_empty() {
            return;
        }
        let text = fs::read_to_string(self.file("transcripts", ".txt")).unwrap();
        let there: Vec<&str> =
            text.lines().filter_map(|line| line.split_once("] Unknown: ")).map(|(_, said)| said).collect();
        assert_eq!(there, self.lines);
        assert_eq!(text.matches("=== ZCC Engagement Transcript Started").count(), 1);
        assert_eq!(text.matches("=== Transcript Ended").count(), 1);
        let captions = fs::read_to_string(self.file("transcripts", ".vtt")).unwrap();
        assert_eq!(captions.matches(" --> ").count(), self.lines.len());
    }

    fn left_overs(&self) -> Vec<PathBuf> {
        fn below(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { below(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        below(self.dir.path(), &mut found);
        found.retain(|path| path.extension().is_some_and(|ending| ending == "tmp"));
        found
    }
}

proptest! {
    // Each case is a call with files; `PROPTEST_CASES` asks for more than the usual number.
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
    ))]

    #[test]
    fn however_often_it_dies_the_files_hold_what_came(
        codec in prop::sample::select(vec![AudioCodec::L16, AudioCodec::Opus]),
        steps in prop::collection::vec(step(), 1..30),
        repaired in any::<bool>(),
    ) {
        let mut world = World::new(codec);
        steps.iter().for_each(|step| world.step(step));
        let now = at(world.now());
        let manifest = if repaired {
            drop(world.recording.take());
            world.forget_unflushed();
            let stored = manifests(world.dir.path()).next().unwrap();
            // Nobody goes on with it: what no sound came after is not measured.
            world.both_heard &= world.cut.is_none();
            repair_recording(world.dir.path(), &stored, now).unwrap()
        } else {
            let end = RecordingEnd { at: now, state: RecordingState::Complete, stop_reason: None };
            world.both_heard &= world.cut.is_none();
            world.recording.take().unwrap().finish(end).unwrap()
        };
        world.check(&manifest);
        prop_assert_eq!(world.left_overs(), Vec::<PathBuf>::new());
        let stored = manifests(world.dir.path()).next().unwrap();
        prop_assert_eq!(&read_manifest(&stored.path).unwrap(), &manifest);
        prop_assert_eq!(track(&manifest, "combined").sides.len(), 2);
    }
}
