//! A copy of a party's file with silence in front, for when time zero moves back.

use std::fs::{self, File};
use std::path::PathBuf;

use super::note::WavNote;

/// A copy of a track with silence in front, not yet in its place.
#[derive(Debug)]
pub struct LeadCopy {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) frames: u64,
    pub(crate) note: WavNote,
    /// Of Ogg: where its next page goes, bytes, and that page's number.
    pub(crate) end: u64,
    pub(crate) sequence: u32,
}

impl LeadCopy {
    /// Frames of silence in front: in Ogg whole packets, so a little more or less than was asked for.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Throws the copy away.
    pub fn discard(self) {
        // A copy that stays is overwritten by the next one.
        let _ = fs::remove_file(&self.path);
    }
}
