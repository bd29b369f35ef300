//! Captions of a transcript in two forms, WebVTT and SubRip, that count from time zero.
//!
//! They grow as lines are said. Time zero may become known, or move, after the first words, and words may be corrected:
//! then both are made anew from the JSON lines, each in one step.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rtms_protocol::UnixMillis;

use super::append::AppendFile;
use super::readback::Line;
use super::resolve::{Order, each_shown};
use super::status::Status;
use super::{srt, vtt};
use crate::error::RecordError;

/// One caption, on the recording's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cue<'c> {
    pub(crate) start: UnixMillis,
    pub(crate) end: UnixMillis,
    pub(crate) speaker: &'c str,
    pub(crate) text: &'c str,
}

impl<'c> Cue<'c> {
    pub(crate) fn of(line: &'c Line<'_>) -> Self {
        Self { start: line.cue_start, end: line.cue_end, speaker: &line.speaker, text: &line.text }
    }
}

/// The caption files of one transcript.
#[derive(Debug)]
pub(crate) struct Captions {
    pub(crate) vtt: AppendFile,
    pub(crate) srt: AppendFile,
    /// The time zero that they are written for; `None` while none is known, and nothing is written.
    zero: Option<UnixMillis>,
    /// Cues so far.
    cues: u64,
    last_start: UnixMillis,
    /// Whether the cues are in the order of their times.
    in_order: bool,
    /// A cue found no place.
    stale: bool,
}

impl Captions {
    /// Captions in two files that are empty, or to be made anew.
    pub(crate) fn new(mut vtt: AppendFile, srt: AppendFile) -> Self {
        if vtt.end() == 0 {
            vtt.push(vtt::HEADER);
        }
        Self { vtt, srt, zero: None, cues: 0, last_start: UnixMillis(i64::MIN), in_order: true, stale: false }
    }

    /// Adds a caption.
    pub(crate) fn push(&mut self, cue: Cue<'_>) {
        self.in_order &= cue.start >= self.last_start;
        self.last_start = self.last_start.max(cue.start);
        let Some(zero) = self.zero else { return };
        self.cues += 1;
        // What finds no place is made from the JSON lines later.
        let vtt = self.vtt.push(&vtt::cue(zero, cue.start, cue.end, cue.speaker, cue.text));
        let srt = self.srt.push(&srt::cue(self.cues, zero, cue.start, cue.end, cue.speaker, cue.text));
        self.stale |= !vtt || !srt;
    }

    /// Whether they are written for `zero`.
    pub(crate) fn count_from(&self, zero: UnixMillis) -> bool {
        self.zero == Some(zero)
    }

    /// Whether a cue is missing.
    pub(crate) fn are_stale(&self) -> bool {
        self.stale
    }

    /// Whether the cues are in the order of their times.
    pub(crate) fn in_order(&self) -> bool {
        self.in_order
    }

    /// Everything so far into the page cache.
    ///
    /// # Errors
    /// The first refusal of the disk; the other file is flushed all the same.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        let vtt = self.vtt.flush();
        vtt.and(self.srt.flush())
    }

    /// Makes both anew from the JSON lines at `lines`, in the order of their times and counted from `zero`.
    ///
    /// # Errors
    /// The disk refused: what was there is still there.
    pub(crate) fn write(
        &mut self,
        lines: &Path,
        hidden: &[u64],
        zero: UnixMillis,
    ) -> Result<(), RecordError> {
        self.vtt.rewrite(|file| {
            file.write_all(vtt::HEADER.as_bytes())?;
            each_shown(&File::open(lines)?, hidden, Order::Time, |_, line| {
                let cue = Cue::of(line);
                let is_shown = line.status() != Status::Deletion;
                let text = is_shown.then(|| vtt::cue(zero, cue.start, cue.end, cue.speaker, cue.text));
                file.write_all(text.unwrap_or_default().as_bytes())
            })
        })?;
        let (mut cues, mut last_start) = (0, UnixMillis(i64::MIN));
        self.srt.rewrite(|file| {
            each_shown(&File::open(lines)?, hidden, Order::Time, |_, line| {
                if line.status() == Status::Deletion {
                    return Ok(());
                }
                let cue = Cue::of(line);
                (cues, last_start) = (cues + 1, cue.start);
                file.write_all(srt::cue(cues, zero, cue.start, cue.end, cue.speaker, cue.text).as_bytes())
            })
        })?;
        (self.cues, self.last_start) = (cues, last_start);
        (self.zero, self.in_order, self.stale) = (Some(zero), true, false);
        Ok(())
    }
}
