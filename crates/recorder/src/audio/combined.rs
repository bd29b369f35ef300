//! The combined file of a recording with separate streams, kept up while the parties' files grow.
//!
//! Packets of different parties arrive in any order, late or in bursts. Each is laid over what is there at its
//! absolute position, through a small window of the file, so memory stays constant. When the layout changes, the
//! disk refused, or the process died, the file is marked stale, whole or from some point on, and made anew from the
//! parties' files (see [`super::rebuild`]) at the next flush. It is therefore never the only place where a sample is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rtms_protocol::UnixMillis;

use super::header::header;
use super::note::WavNote;
use super::rebuild::{Layout, Plan, Source, mono_samples, rebuild, rebuild_tail};
use super::wav::{WavSpec, WavWriter};
use crate::error::RecordError;

/// The window holds this part of a second.
const WINDOWS_PER_SECOND: u32 = 8;
/// A wrong side is put right at once in a file shorter than this, else at the end, seconds.
const SWAP_AT_ONCE_SECONDS: u64 = 120;
/// How late a packet can be laid over what is there, seconds: what Zoom buffers, and more. When the file stopped
/// growing, everything before that is in it.
const LATE_SECONDS: u64 = 120;
/// After the disk refused to combine, it is tried again after this time, ms.
const RETRY_MS: i64 = 10_000;

/// One combined file.
#[derive(Debug)]
pub(crate) struct Combined {
    path: PathBuf,
    rate: u32,
    /// Tracks, by their index, in the order of their channels.
    members: Vec<usize>,
    layout: Layout,
    file: Option<File>,
    window: Vec<i16>,
    window_at: u64,
    dirty: bool,
    frames: u64,
    in_header: u64,
    /// From this frame on the file does not show what the parties' files hold; 0: it is to be made anew as a whole.
    stale: Option<u64>,
    retry_at: UnixMillis,
    /// The track that belongs to the left.
    left: Option<usize>,
    /// The end result may be off until the file is made anew: a sum saturated before its last party came, or it was
    /// begun by another process.
    unsure: bool,
    /// Where all files begin, Zoom's clock.
    zero: Option<UnixMillis>,
}

impl Combined {
    /// Begins with no party. `file` is the one at `path`, open for reading and writing.
    ///
    /// # Errors
    /// The header cannot be written.
    pub(crate) fn create(file: File, path: PathBuf, rate: u32) -> Result<Self, RecordError> {
        let spec = WavSpec { rate, channels: 1 };
        let header = header(spec, 0, WavNote::default());
        file.write_all_at(&header, 0).map_err(RecordError::io("write", &path))?;
        Ok(Self { file: Some(file), ..Self::at(path, rate) })
    }

    fn at(path: PathBuf, rate: u32) -> Self {
        Self {
            path,
            rate,
            members: Vec::new(),
            layout: Layout::Mono,
            file: None,
            window: Vec::new(),
            window_at: 0,
            dirty: false,
            frames: 0,
            in_header: 0,
            stale: None,
            retry_at: UnixMillis(i64::MIN),
            left: None,
            unsure: false,
            zero: None,
        }
    }

    /// Goes on with a file that another process wrote for the tracks `members`, whose files hold `frames` at most.
    /// `whole` says whether that process had written everything. What cannot be used is made anew.
    pub(crate) fn resume(
        path: PathBuf,
        rate: u32,
        members: Vec<usize>,
        frames: u64,
        zero: Option<UnixMillis>,
        whole: bool,
    ) -> Self {
        let mut combined = Self { members, zero, unsure: true, ..Self::at(path, rate) };
        combined.layout = Layout::for_parties(combined.members.len());
        let usable = WavWriter::resume(combined.path.clone())
            .ok()
            .filter(|wav| wav.spec() == combined.spec() && wav.note().zero == zero && zero.is_some());
        let Some(wav) = usable else {
            combined.stale = Some(0);
            return combined;
        };
        let is_left = |member: Option<&usize>, left| member.is_some_and(|member| as_number(*member) == left);
        if wav.note().left.is_some_and(|left| is_left(combined.members.get(1), left)) {
            combined.members.swap(0, 1);
        }
        combined.frames = wav.frames();
        combined.in_header = wav.frames();
        let complete = whole && wav.frames() == frames;
        combined.stale = (!complete).then(|| combined.settled());
        combined
    }

    /// What was laid before this frame is in the file, whatever happened.
    fn settled(&self) -> u64 {
        self.frames.saturating_sub(LATE_SECONDS * u64::from(self.rate))
    }

    /// All files begin at `zero`.
    pub(crate) fn begins_at(&mut self, zero: UnixMillis) {
        if self.zero.is_some_and(|known| known != zero) {
            self.stale = Some(0);
        }
        self.zero = Some(zero);
    }

    /// The tracks of the left and the right side, where the file has two.
    pub(crate) fn sides(&self) -> &[usize] {
        if self.layout == Layout::Stereo { &self.members } else { &[] }
    }

    fn note(&self) -> WavNote {
        let left = self.sides().first().map(|left| as_number(*left));
        WavNote { zero: self.zero, left, ..WavNote::default() }
    }

    /// The format of the file as it is now.
    #[must_use]
    pub(crate) fn spec(&self) -> WavSpec {
        WavSpec { rate: self.rate, channels: self.layout.channels() }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Frames so far.
    #[must_use]
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// A party joins. Two make stereo, three a sum: the file is made anew at the next flush.
    pub(crate) fn add(&mut self, track: usize) {
        self.members.push(track);
        if Layout::for_parties(self.members.len()) != self.layout {
            self.stale = Some(0);
        }
    }

    /// The customer is known: to the left with them. A long file is not rewritten for that in mid-call, but at the
    /// end.
    pub(crate) fn put_left(&mut self, track: usize) {
        self.left = Some(track);
        let short = self.frames <= SWAP_AT_ONCE_SECONDS * u64::from(self.rate);
        if short && self.has_wrong_side() {
            self.stale = Some(0);
        }
    }

    fn has_wrong_side(&self) -> bool {
        self.layout == Layout::Stereo && self.left.is_some() && self.members.get(1).copied() == self.left
    }

    /// Lays a party's frames over the file from `position` on.
    ///
    /// # Errors
    /// The disk refused: the file is stale until it could be made anew.
    pub(crate) fn mix(
        &mut self,
        track: usize,
        position: u64,
        channels: u16,
        bytes: &[u8],
    ) -> Result<(), RecordError> {
        let Some(place) = self.members.iter().position(|member| *member == track) else { return Ok(()) };
        if self.stale.is_some() {
            return Ok(());
        }
        let mut samples = mono_samples(bytes, channels);
        let end = position + bytes.len() as u64 / (2 * u64::from(channels.max(1)));
        let mut at = position;
        while at < end {
            if !self.in_window(at)
                && let Err(error) = self.move_window(at)
            {
                self.refused();
                return Err(RecordError::io("write", &self.path)(error));
            }
            // All that fits the window in one go: the bounds are checked once, not for each sample.
            let until = end.min(self.window_at + self.window_frames());
            self.lay(place, at, until, &mut samples);
            at = until;
        }
        Ok(())
    }

    /// Makes the file anew where it is stale, else writes the window and the sizes. `sources` gives a track's file,
    /// flushed.
    ///
    /// # Errors
    /// The disk refused; it is tried again later.
    pub(crate) fn flush(
        &mut self,
        now: UnixMillis,
        source: impl Fn(usize) -> Source,
    ) -> Result<(), RecordError> {
        if let Some(from) = self.stale {
            if now < self.retry_at {
                return Ok(());
            }
            self.retry_at = now.plus(RETRY_MS);
            self.make_anew(from, source)?;
            self.retry_at = UnixMillis(i64::MIN);
            return Ok(());
        }
        if self.frames == self.in_header && !self.dirty {
            self.file = None;
            return Ok(());
        }
        let header = header(self.spec(), self.frames, self.note());
        let written = self.write_window().and_then(|()| self.open()?.write_all_at(&header, 0));
        if let Err(error) = written {
            self.refused();
            return Err(RecordError::io("write", &self.path)(error));
        }
        self.in_header = self.frames;
        Ok(())
    }

    /// Brings the file into its final form: sides right, sums exact.
    ///
    /// # Errors
    /// The disk refused; the file is as good as it was.
    pub(crate) fn finish(
        &mut self,
        now: UnixMillis,
        source: impl Fn(usize) -> Source,
    ) -> Result<(), RecordError> {
        if self.unsure || self.has_wrong_side() {
            self.stale = Some(0);
        }
        self.retry_at = UnixMillis(i64::MIN);
        self.flush(now, source)
    }

    /// The disk refused: what was laid lately is in doubt, and the volume may come back as another one.
    fn refused(&mut self) {
        self.stale = Some(self.settled());
        self.file = None;
    }

    fn make_anew(&mut self, from: u64, source: impl Fn(usize) -> Source) -> Result<(), RecordError> {
        let layout = Layout::for_parties(self.members.len());
        if from == 0 && layout == Layout::Stereo && self.members.get(1).copied() == self.left {
            self.members.swap(0, 1);
        }
        let before = std::mem::replace(&mut self.layout, layout);
        let sources: Vec<Source> = self.members.iter().map(|track| source(*track)).collect();
        let plan = Plan { rate: self.rate, layout, sources: &sources, note: self.note() };
        self.file = None;
        self.window = Vec::new();
        self.dirty = false;
        let made = match from {
            0 => rebuild(&self.path, &plan),
            from => rebuild_tail(&self.path, &plan, from),
        };
        self.frames = made.inspect_err(|_| self.layout = before)?;
        self.in_header = self.frames;
        self.stale = None;
        self.unsure &= from > 0;
        Ok(())
    }

    fn window_frames(&self) -> u64 {
        u64::from((self.rate / WINDOWS_PER_SECOND).max(1))
    }

    fn in_window(&self, at: u64) -> bool {
        !self.window.is_empty() && at >= self.window_at && at - self.window_at < self.window_frames()
    }

    fn lay(&mut self, place: usize, at: u64, until: u64, samples: &mut impl Iterator<Item = i16>) {
        let channels = usize::from(self.layout.channels());
        let slot = |frame: u64| usize::try_from(frame - self.window_at).unwrap_or(0) * channels;
        let slots = slot(at)..slot(until);
        let Some(part) = self.window.get_mut(slots) else { return };
        match self.layout {
            Layout::Mono => part.iter_mut().zip(samples).for_each(|(there, sample)| *there = sample),
            Layout::Stereo => {
                part.chunks_exact_mut(2).zip(samples).for_each(|(pair, sample)| pair[place.min(1)] = sample);
            }
            Layout::Sum => part.iter_mut().zip(samples).for_each(|(there, sample)| {
                self.unsure |= there.checked_add(sample).is_none();
                *there = there.saturating_add(sample);
            }),
        }
        self.dirty = true;
        self.frames = self.frames.max(until);
    }

    /// Writes the window back and loads the part of the file around `at`, a little before it too, because the
    /// other parties' packets of the same time come next.
    fn move_window(&mut self, at: u64) -> io::Result<()> {
        self.write_window()?;
        let frames = self.window_frames();
        let spec = self.spec();
        let from = at.saturating_sub(frames / 4);
        let mut bytes = vec![0; usize::try_from(frames * spec.frame_bytes()).unwrap_or(0)];
        if from < self.frames {
            let file = self.open()?;
            let mut read = 0;
            while read < bytes.len() {
                match file.read_at(&mut bytes[read..], spec.offset(from) + read as u64) {
                    Ok(0) => break,
                    Ok(n) => read += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.window.clear();
        self.window.extend(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        self.window_at = from;
        Ok(())
    }

    fn write_window(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        let spec = self.spec();
        let used = self.window_frames().min(self.frames.saturating_sub(self.window_at));
        let samples = usize::try_from(used).unwrap_or(0) * usize::from(spec.channels);
        let bytes: Vec<u8> = self.window.iter().take(samples).flat_map(|s| s.to_le_bytes()).collect();
        let offset = spec.offset(self.window_at);
        self.open()?.write_all_at(&bytes, offset)?;
        self.dirty = false;
        Ok(())
    }

    fn open(&mut self) -> io::Result<&File> {
        match &mut self.file {
            Some(file) => Ok(file),
            slot => Ok(slot.insert(OpenOptions::new().read(true).write(true).open(&self.path)?)),
        }
    }
}

fn as_number(track: usize) -> u32 {
    u32::try_from(track).unwrap_or(u32::MAX)
}
