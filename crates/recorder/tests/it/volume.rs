//! A volume of its own that is filled and made read-only: everything that is written has to live with that.
//!
//! Needs the right to mount, which root has (`unshare --map-root-user --mount` gives it to others). Where it is missing
//! these tests say so and test nothing, but fail where `CI` is set: `disk` covers the same with files that refuse, but
//! not the folders and the manifest.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use rtms_protocol::{AudioData, Channels, MediaKind, MediaPacket, Product, SampleRate};
use rtms_recorder::{
    Manifest, Partition, Recording, RecordingEnd, RecordingState, manifests, read_manifest, repair_recording,
};

use crate::support::{at, decoded, granted, sound, spec, track, voice};
use crate::video::{clip, picture, pictures, source_pictures};

struct Volume {
    dir: tempfile::TempDir,
}

impl Volume {
    /// `None` where this user may not mount.
    fn new(size: &str) -> Option<Self> {
        let volume = Self { dir: tempfile::tempdir().unwrap() };
        match volume.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]) {
            Ok(()) => Some(volume),
            Err(problem) if std::env::var_os("CI").is_some() => panic!("{problem}"),
            Err(problem) => {
                eprintln!("NOT TESTED, this user may not mount a volume: {problem}");
                None
            }
        }
    }

    fn mount(&self, options: &[&str]) -> Result<(), String> {
        let run = Command::new("mount").args(options).arg(self.dir.path()).output().expect("mount on PATH");
        run.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&run.stderr).into_owned())
    }

    fn ballast(&self) -> PathBuf {
        self.dir.path().join("ballast")
    }

    /// Takes all the room there is, to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn recording(&self, audio: AudioData) -> Recording {
        let mut recording = Recording::create(spec(self.dir.path(), Product::ContactCenter)).unwrap();
        recording.granted(&granted(audio, SampleRate::Hz16000, Channels::Mono));
        recording
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // What stays mounted would keep the folder from being removed; there is nobody to tell.
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

const PARTIES: [i64; 2] = [1, 2];

/// Plays seconds `from` to `until` of both parties, words each second, a flush each 200 ms. Returns the refusals of
/// sound.
fn play(recording: &mut Recording, from: i64, until: i64) -> u64 {
    let sources = PARTIES.map(|who| sound(who as i16, until as usize * 16_000));
    let mut refused = 0;
    for n in from * 50..until * 50 {
        let ms = n * 20;
        for who in PARTIES {
            let samples = &sources[who as usize - 1][n as usize * 320..][..320];
            refused += u64::from(recording.media(at(ms + 30), &voice(Some(who), ms, samples)).is_err());
        }
        if n % 50 == 25 {
            let words = MediaPacket::new(MediaKind::Transcript, at(ms), format!("word {}", n / 50));
            recording.media(at(ms + 30), &words).unwrap();
        }
        if n % 10 == 9 {
            let _ = recording.flush(at(ms + 30));
        }
    }
    refused
}

fn check(volume: &Volume, manifest: &Manifest, seconds: usize, hole: std::ops::Range<usize>) {
    assert_eq!(manifest.problems, Vec::<String>::new());
    let mut both = vec![0; seconds * 32_000];
    for (side, who) in PARTIES.iter().enumerate() {
        let source = &sound(*who as i16, seconds * 16_000);
        let there = decoded(&volume.dir.path().join(&track(manifest, &who.to_string()).file));
        assert_eq!(there.len(), source.len());
        for (n, sample) in there.iter().enumerate() {
            let in_hole = hole.contains(&(n / 16_000));
            assert!(*sample == source[n] || (in_hole && *sample == 0), "party {who}, sample {n}");
            both[n * 2 + side] = *sample;
        }
        assert_eq!(track(manifest, &who.to_string()).gaps, u64::from(!hole.is_empty()));
    }
    assert_eq!(decoded(&volume.dir.path().join(&track(manifest, "combined").file)), both);
    let text = fs::read_to_string(volume.dir.path().join(&track(manifest, "transcript").file)).unwrap();
    let words = |second: &usize| text.contains(&format!("Unknown: word {second}\n"));
    assert!((0..seconds).all(|second| words(&second)), "no word is lost: {text}");
    assert_eq!(text.matches("Unknown: ").count(), seconds);
}

#[test]
fn a_full_volume_costs_the_sound_of_that_time_and_no_word() {
    let Some(volume) = Volume::new("4m") else { return };
    let mut recording = volume.recording(AudioData::Separate);
    assert_eq!(play(&mut recording, 0, 3), 0);
    volume.fill();
    let refused = play(&mut recording, 3, 9);
    assert!(refused > 100, "{refused}");
    let live = read_manifest(recording.manifest_path()).unwrap();
    assert_eq!(live.state, RecordingState::Recording, "the old manifest stays, whole");
    fs::remove_file(volume.ballast()).unwrap();
    assert_eq!(play(&mut recording, 9, 20), 0);
    let end = RecordingEnd { at: at(20_000), state: RecordingState::Complete, stop_reason: None };
    let manifest = recording.finish(end).unwrap();
    assert_eq!(manifest.dropped.disk, refused);
    assert_eq!(PARTIES.map(|who| track(&manifest, &who.to_string()).dropped).iter().sum::<u64>(), refused);
    check(&volume, &manifest, 20, 3..9);
}

#[test]
fn killed_on_a_full_volume_it_goes_on_when_there_is_room() {
    let Some(volume) = Volume::new("4m") else { return };
    let mut recording = volume.recording(AudioData::Separate);
    assert_eq!(play(&mut recording, 0, 3), 0);
    volume.fill();
    play(&mut recording, 3, 5);
    drop(recording);
    let resume = || {
        let stored = manifests(volume.dir.path()).next().unwrap();
        Recording::resume(volume.dir.path(), stored, Partition::None, at(6_000))
    };
    assert!(resume().is_err_and(|error| error.is_disk()), "nothing is noted without a manifest");
    fs::remove_file(volume.ballast()).unwrap();
    let mut recording = resume().unwrap();
    // Zoom repeats from second 3 on: not even the sound is lost, nor the words that waited in the dead process.
    assert_eq!(play(&mut recording, 3, 8), 0);
    let end = RecordingEnd { at: at(8_000), state: RecordingState::Complete, stop_reason: None };
    let manifest = recording.finish(end).unwrap();
    check(&volume, &manifest, 8, 0..0);
    assert_eq!(manifest.interruptions[0].lost_ms, 0);
}

#[test]
fn a_read_only_volume_is_an_error_each_time_and_then_forgotten() {
    let Some(volume) = Volume::new("8m") else { return };
    let mut recording = volume.recording(AudioData::Separate);
    assert_eq!(play(&mut recording, 0, 2), 0);
    // For long without news: idle files are closed, or the volume could not be made read-only.
    (0..100).for_each(|_| recording.flush(at(2_100)).unwrap());
    volume.mount(&["-o", "remount,ro"]).unwrap();
    let refused = play(&mut recording, 2, 4);
    assert!(recording.flush(at(4_000)).is_err_and(|error| error.is_disk()));
    let stored = manifests(volume.dir.path()).next().unwrap();
    assert!(repair_recording(volume.dir.path(), &stored, at(4_000)).is_err());
    volume.mount(&["-o", "remount,rw"]).unwrap();
    assert_eq!(play(&mut recording, 4, 6), 0);
    let end = RecordingEnd { at: at(6_000), state: RecordingState::Complete, stop_reason: None };
    let manifest = recording.finish(end).unwrap();
    assert_eq!(manifest.dropped.disk, refused);
    check(&volume, &manifest, 6, 2..4);
}

#[test]
fn pictures_that_were_given_up_are_counted_and_a_key_frame_goes_on() {
    let Some(volume) = Volume::new("4m") else { return };
    let mut recording = volume.recording(AudioData::Mixed);
    let units = clip("640x360", 200, "bitrate=4000");
    let expected = source_pictures(&units);
    let at_picture = |recording: &mut Recording, n: usize| {
        let ms = n as i64 * 40;
        let refused = recording.media(at(ms), &picture(ms, &units[n])).is_err();
        let _ = recording.flush(at(ms));
        u64::from(refused)
    };
    assert_eq!((0..40).map(|n| at_picture(&mut recording, n)).sum::<u64>(), 0);
    volume.fill();
    let refused: u64 = (40..160).map(|n| at_picture(&mut recording, n)).sum();
    assert!(refused > 0, "the clip is too small for this test");
    fs::remove_file(volume.ballast()).unwrap();
    assert_eq!((160..200).map(|n| at_picture(&mut recording, n)).sum::<u64>(), 0);
    let end = RecordingEnd { at: at(9_000), state: RecordingState::Complete, stop_reason: None };
    let manifest = recording.finish(end).unwrap();
    let video = track(&manifest, "video");
    let seen = pictures(&volume.dir.path().join(&video.file), &[]);
    assert_eq!(seen.len() as u64, video.packets);
    assert_eq!(video.packets + video.dropped, 200, "each picture is in the file or counted");
    assert_eq!(manifest.dropped.disk + manifest.dropped.before_key_frame, video.dropped);
    assert!(video.gaps > 0);
    let mut rest = expected.iter();
    assert!(seen.iter().all(|hash| rest.any(|source| source == hash)), "every picture is as it was sent");
}
