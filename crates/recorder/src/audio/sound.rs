//! What a video takes as its sound: the mixed sound, or the parties combined, as an Ogg Opus file.
//!
//! Where Zoom sent Opus that file is there already. WAV is encoded into one that lies beside it for as long as videos
//! are finished; a process that dies meanwhile leaves it to the next, which overwrites and then removes it.

use std::path::{Path, PathBuf};

use super::encode::encode;
use super::pcm::PcmReader;
use super::tracks::AudioTracks;
use crate::error::RecordError;
use crate::files::{beside, remove};

/// The sound for the videos of a recording. It begins at time zero.
#[derive(Debug)]
pub(crate) struct Sound {
    path: PathBuf,
    temporary: bool,
}

impl Sound {
    /// The sound of a recording whose audio is finished; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or the disk refused.
    pub(crate) fn of(audio: &AudioTracks) -> Result<Option<Self>, RecordError> {
        let Some((path, is_opus)) = audio.together() else { return Ok(None) };
        if is_opus {
            return Ok(Some(Self { path: path.to_path_buf(), temporary: false }));
        }
        let mut reader = PcmReader::open(path)?;
        let sound = Self { path: beside(path), temporary: true };
        let spec = reader.spec();
        match encode(&sound.path, spec, |frames, out| reader.read(frames, out)) {
            Ok(()) => Ok(Some(sound)),
            Err(error) => {
                sound.discard();
                Err(error)
            }
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It is not needed any more.
    pub(crate) fn discard(self) {
        if self.temporary {
            // One that stays is overwritten by the next attempt.
            let _ = remove(&self.path);
        }
    }
}
