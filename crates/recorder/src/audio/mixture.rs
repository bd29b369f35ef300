//! The combined file of parties whose sound came as Opus.
//!
//! Opus packets cannot be put side by side without decoding, and to do that while a call lasts would cost more than
//! everything else. So it is made at the end, from the parties' files, as streams: decoded, laid side by side or summed,
//! and encoded. Of one party alone it is a copy. It can be made anew at any time.

use std::fs;
use std::path::{Path, PathBuf};

use super::encode::encode;
use super::header::WavSpec;
use super::pcm::PcmReader;
use super::rebuild::{Layout, saturated};
use crate::error::RecordError;
use crate::files::{beside, create_private};

/// Several parties' samples as one stream.
#[derive(Debug)]
pub(crate) struct Mixer {
    readers: Vec<PcmReader>,
    layout: Layout,
    party: Vec<i16>,
    sums: Vec<i32>,
}

impl Mixer {
    /// Mixes the files at `paths`, all of one rate; of two the first is on the left.
    ///
    /// # Errors
    /// One cannot be read, or is not one of ours.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, RecordError> {
        let readers = paths.iter().map(|path| PcmReader::open(path)).collect::<Result<Vec<_>, _>>()?;
        let layout = Layout::for_parties(readers.len());
        Ok(Self { readers, layout, party: Vec::new(), sums: Vec::new() })
    }

    /// Channels of the stream.
    pub(crate) fn channels(&self) -> u16 {
        self.layout.channels()
    }

    /// Replaces `out` by the next `frames`; fewer come at the end only. Returns how many.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn read(&mut self, frames: usize, out: &mut Vec<i16>) -> Result<usize, RecordError> {
        let channels = usize::from(self.layout.channels());
        self.sums.clear();
        self.sums.resize(frames * channels, 0);
        let mut longest = 0;
        for (place, reader) in self.readers.iter_mut().enumerate() {
            longest = longest.max(reader.read(frames, &mut self.party)?);
            let side = if self.layout == Layout::Stereo { place.min(1) } else { 0 };
            let width = usize::from(reader.spec().channels);
            for (sum, frame) in
                self.sums[side..].iter_mut().step_by(channels).zip(self.party.chunks_exact(width))
            {
                *sum += match frame {
                    [left, right] => i32::from(i16::midpoint(*left, *right)),
                    _ => frame.first().map_or(0, |sample| i32::from(*sample)),
                };
            }
        }
        out.clear();
        out.extend(self.sums[..longest * channels].iter().map(|sum| saturated(*sum)));
        Ok(longest)
    }
}

/// Makes the file at `target` anew from the parties' files; of two the first is on the left. Returns its channels.
///
/// # Errors
/// The disk refused; what was at `target` is still there.
pub(crate) fn make(target: &Path, parties: &[PathBuf]) -> Result<u16, RecordError> {
    let temporary = beside(target);
    let made = match parties {
        [one] => copy(one, &temporary),
        _ => mix(parties, &temporary),
    };
    let renamed = made.and_then(|made| {
        fs::rename(&temporary, target).map_err(RecordError::io("combine into", target)).map(|()| made)
    });
    renamed.inspect_err(|_| {
        // Only the cause matters; a left-over is overwritten by the next attempt.
        let _ = fs::remove_file(&temporary);
    })
}

fn copy(party: &Path, target: &Path) -> Result<u16, RecordError> {
    let io = RecordError::io("copy to", target);
    let copied =
        create_private(target).and_then(|mut to| std::io::copy(&mut fs::File::open(party)?, &mut to));
    copied.map_err(io)?;
    PcmReader::open(party).map(|reader| reader.spec().channels)
}

fn mix(parties: &[PathBuf], target: &Path) -> Result<u16, RecordError> {
    let mut mixer = Mixer::open(parties)?;
    let channels = mixer.channels();
    let spec = WavSpec { rate: 48_000, channels };
    encode(target, spec, |frames, out| mixer.read(frames, out)).map(|()| channels)
}
