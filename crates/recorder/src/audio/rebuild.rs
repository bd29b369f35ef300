//! The combined audio file made anew from the parties' files.
//!
//! The combined file is derived: whatever happened to it (a party joined, time zero moved, the disk was full, the
//! process died) it is made again by streaming through the parties' files, a chunk at a time. So memory stays the
//! same for a minute and for a day, and exactly one piece of code says how parties are combined.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::header::header;
use super::note::WavNote;
use super::wav::WavSpec;
use crate::error::RecordError;
use crate::files::{beside, create_private};

/// Frames combined at a time.
const CHUNK_FRAMES: usize = 16 * 1024;

/// How parties share the combined file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One party.
    Mono,
    /// Two parties: the first left, the second right.
    Stereo,
    /// Three and more: their sum, saturated.
    Sum,
}

impl Layout {
    /// The layout for so many parties.
    #[must_use]
    pub(crate) fn for_parties(parties: usize) -> Self {
        match parties {
            0 | 1 => Self::Mono,
            2 => Self::Stereo,
            _ => Self::Sum,
        }
    }

    /// Channels of the combined file.
    #[must_use]
    pub(crate) fn channels(self) -> u16 {
        if self == Self::Stereo { 2 } else { 1 }
    }
}

/// One party's file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub spec: WavSpec,
    /// Frames in it.
    pub frames: u64,
}

/// One sample for each frame of `bytes`: itself, or the mean of a stereo pair.
pub(crate) fn mono_samples(bytes: &[u8], channels: u16) -> impl Iterator<Item = i16> + '_ {
    let sample = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
    bytes.chunks_exact(usize::from(channels.max(1)) * 2).map(move |frame| match frame.get(2..4) {
        Some(right) => i16::midpoint(sample(frame), sample(right)),
        None => sample(frame),
    })
}

/// A combined file to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) rate: u32,
    pub(crate) layout: Layout,
    /// The parties, in the order of their channels.
    pub(crate) sources: &'a [Source],
    /// What the file is to say about itself.
    pub(crate) note: WavNote,
}

impl Plan<'_> {
    fn spec(&self) -> WavSpec {
        WavSpec { rate: self.rate, channels: self.layout.channels() }
    }

    fn frames(&self) -> u64 {
        self.sources.iter().map(|source| source.frames).max().unwrap_or(0)
    }
}

/// Makes the file at `target` anew and returns how many frames it holds.
///
/// # Errors
/// The disk refused; what was at `target` is still there.
pub(crate) fn rebuild(target: &Path, plan: &Plan<'_>) -> Result<u64, RecordError> {
    let temporary = beside(target);
    let written = create_private(&temporary).and_then(|file| write_from(&file, plan, 0));
    match written.and_then(|()| fs::rename(&temporary, target)) {
        Ok(()) => Ok(plan.frames()),
        Err(error) => {
            // Only the cause matters; a left-over is overwritten by the next attempt.
            let _ = fs::remove_file(&temporary);
            Err(RecordError::io("combine into", target)(error))
        }
    }
}

/// Makes only what begins at frame `from` anew, in place, and returns how many frames the file holds. For a file of
/// the same layout that is right up to there.
///
/// # Errors
/// The disk refused; the file is right up to `from`.
pub(crate) fn rebuild_tail(target: &Path, plan: &Plan<'_>, from: u64) -> Result<u64, RecordError> {
    OpenOptions::new()
        .write(true)
        .open(target)
        .and_then(|file| write_from(&file, plan, from))
        .map(|()| plan.frames())
        .map_err(RecordError::io("combine into", target))
}

fn write_from(file: &File, plan: &Plan<'_>, from: u64) -> io::Result<()> {
    let (spec, frames) = (plan.spec(), plan.frames());
    let channels = usize::from(spec.channels);
    let mut sums = vec![0_i32; CHUNK_FRAMES * channels];
    let mut input = Vec::new();
    let mut output = Vec::new();
    let mut at = from;
    while at < frames {
        let count = usize::try_from(frames - at).unwrap_or(usize::MAX).min(CHUNK_FRAMES);
        sums.fill(0);
        for (place, source) in plan.sources.iter().enumerate().filter(|(_, source)| source.frames > at) {
            read_frames(source, at, count, &mut input)?;
            let channel = if plan.layout == Layout::Stereo { place.min(1) } else { 0 };
            for (frame, sample) in mono_samples(&input, source.spec.channels).enumerate() {
                sums[frame * channels + channel] += i32::from(sample);
            }
        }
        output.clear();
        for sum in &sums[..count * channels] {
            output.extend_from_slice(&saturated(*sum).to_le_bytes());
        }
        file.write_all_at(&output, spec.offset(at))?;
        at += count as u64;
    }
    // A window that was written ahead of the parties' files may reach further.
    file.set_len(spec.offset(frames))?;
    file.write_all_at(&header(spec, frames, plan.note), 0)
}

pub(crate) fn saturated(sum: i32) -> i16 {
    i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX })
}

fn read_frames(source: &Source, at: u64, count: usize, input: &mut Vec<u8>) -> io::Result<()> {
    let left = usize::try_from(source.frames - at).unwrap_or(usize::MAX);
    let bytes = count.min(left) * usize::from(source.spec.channels) * 2;
    input.resize(bytes, 0);
    // Opened for each chunk: a meeting has more parties than a process has file descriptors to spare.
    File::open(&source.path)?.read_exact_at(input, source.spec.offset(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::header::HEADER_BYTES;
    use crate::audio::wav::WavWriter;

    fn party(dir: &Path, name: &str, samples: &[i16]) -> Source {
        let path = dir.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("new");
        let spec = WavSpec { rate: 8_000, channels: 1 };
        let mut wav = WavWriter::create(file, path.clone(), spec).expect("created");
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        wav.write_at(0, &bytes).expect("taken");
        wav.flush().expect("flushed");
        Source { path, spec, frames: samples.len() as u64 }
    }

    fn combined(layout: Layout, sources: &[Source], dir: &Path) -> Vec<i16> {
        let target = dir.join("combined.wav");
        let plan = Plan { rate: 8_000, layout, sources, note: WavNote::default() };
        rebuild(&target, &plan).expect("combined");
        let whole = fs::read(&target).expect("readable");
        // A tail made anew, over rubbish, gives the same.
        let from = plan.frames() / 2;
        let file = OpenOptions::new().write(true).open(&target).expect("open");
        file.write_all_at(&[7; 6], plan.spec().offset(from)).expect("written");
        rebuild_tail(&target, &plan, from).expect("combined");
        assert_eq!(fs::read(&target).expect("readable"), whole);
        fs::read(target).expect("readable")[HEADER_BYTES as usize..]
            .chunks(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn each_layout_is_exact() {
        let dir = tempfile::tempdir().expect("tempdir");
        let long: Vec<i16> = (0..40_000).map(|n| (n % 1000) as i16).collect();
        let a = party(dir.path(), "a.wav", &long);
        let b = party(dir.path(), "b.wav", &[30_000, -30_000]);
        let c = party(dir.path(), "c.wav", &[30_000, -30_000, 5]);
        let d = party(dir.path(), "d.wav", &[-30_000]);
        assert_eq!(combined(Layout::Mono, std::slice::from_ref(&a), dir.path()), long);
        let stereo = combined(Layout::Stereo, &[b.clone(), a], dir.path());
        assert_eq!(stereo.len(), 80_000);
        assert_eq!(stereo[..6], [30_000, 0, -30_000, 1, 0, 2]);
        assert_eq!(stereo[79_999], 999);
        // The sum saturates at the end only: 30,000 + 30,000 − 30,000 is 30,000.
        assert_eq!(combined(Layout::Sum, &[b, c, d], dir.path()), [30_000, i16::MIN, 5]);
    }
}
