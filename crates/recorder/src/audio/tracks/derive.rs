//! The combined file of parties that came as Opus: claimed, told, then made.
//!
//! Claim and making are two steps, so that the manifest can tell of the file in between: a process that dies meanwhile
//! leaves a file that the next one knows, and makes anew.

use std::path::{Path, PathBuf};

use rtms_protocol::{MediaKind, Role};

use super::{AudioTrack, AudioTracks, millis};
use crate::audio::mixture;
use crate::audio::party::PartyKey;
use crate::audio::rebuild::Layout;
use crate::error::RecordError;
use crate::files::remove;
use crate::manifest::{COMBINED, TrackEntry, contained};
use crate::names::Names;
use crate::people::People;

/// The combined file of Opus parties.
#[derive(Debug)]
pub(super) struct Mixture {
    path: PathBuf,
    relative: String,
    channels: u16,
    /// Frames of 48 kHz.
    frames: u64,
    /// Tracks, by their index; of two the left one first.
    members: Vec<usize>,
}

impl Mixture {
    /// The file that another process told of.
    pub(super) fn stored(data_dir: &Path, entry: &TrackEntry) -> Option<Self> {
        let path = contained(data_dir, &entry.file)?;
        let (relative, members) = (entry.file.clone(), Vec::new());
        Some(Self { path, relative, channels: entry.channels.unwrap_or(1), frames: 0, members })
    }

    pub(super) fn entry(&self, tracks: &[AudioTrack]) -> TrackEntry {
        let sides =
            if Layout::for_parties(self.members.len()) == Layout::Stereo { &*self.members } else { &[] };
        let file = |side: &usize| tracks.get(*side).map(|track| track.relative.clone());
        TrackEntry {
            kind: MediaKind::Audio.word().to_owned(),
            file: self.relative.clone(),
            name: COMBINED.to_owned(),
            codec: rtms_codec::Codec::Opus.name().to_owned(),
            sample_rate: Some(48_000),
            channels: Some(self.channels),
            sides: sides.iter().filter_map(file).collect(),
            duration_ms: millis(self.frames, 48_000),
            ..TrackEntry::default()
        }
    }
}

impl AudioTracks {
    /// Claims a name for the combined file of the parties that came as Opus; true where there is one to be made. The
    /// manifest is to tell of it before [`Self::make_mixture`].
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn claim_mixture(&mut self, names: &Names) -> Result<bool, RecordError> {
        if self.opus_parties().next().is_none() {
            return Ok(false);
        }
        if self.mixture.is_none() {
            let claimed = names.claim("audio", &names.base("audio", None), "ogg")?;
            let (path, relative) = (claimed.path, claimed.relative);
            self.mixture = Some(Mixture { path, relative, channels: 1, frames: 0, members: Vec::new() });
        }
        Ok(true)
    }

    /// Makes the combined file from the parties' files, which are finished.
    ///
    /// # Errors
    /// The disk refused: there is no combined file.
    pub(crate) fn make_mixture(&mut self, people: &People) -> Result<(), RecordError> {
        let Some(mut mixture) = self.mixture.take() else { return Ok(()) };
        mixture.members = self.opus_parties().map(|(index, _)| index).collect();
        let is_customer = |index: &usize| {
            let person = self.tracks.get(*index).and_then(|track| track.key.person(people));
            person.is_some_and(|person| person.role == Some(Role::Consumer))
        };
        if let [_, second] = mixture.members.as_slice()
            && is_customer(second)
        {
            mixture.members.swap(0, 1);
        }
        let members = || mixture.members.iter().filter_map(|index| self.tracks.get(*index));
        let parties: Vec<PathBuf> = members().map(|track| track.sink.path().to_path_buf()).collect();
        mixture.frames = members().map(|track| track.line.frames()).max().unwrap_or(0);
        match mixture::make(&mixture.path, &parties) {
            Ok(channels) => {
                mixture.channels = channels;
                self.mixture = Some(mixture);
                Ok(())
            }
            // Without it, its name is only in the way.
            Err(error) => remove(&mixture.path).and(Err(error)),
        }
    }

    /// The finished file in which all are heard together, and whether it is Opus.
    pub(crate) fn together(&self) -> Option<(&Path, bool)> {
        let mixture = self.mixture.as_ref().map(|mixture| (&*mixture.path, true));
        let combined = self.combined.as_ref().map(|(combined, _)| (combined.path(), false));
        let mixed =
            self.tracks.iter().filter(|track| track.key == PartyKey::Mixed && track.line.frames() > 0);
        let longest = mixed.max_by_key(|track| track.line.millis(track.line.frames()));
        mixture.or(combined).or(longest.map(|track| (track.sink.path(), track.format.is_opus())))
    }

    fn opus_parties(&self) -> impl Iterator<Item = (usize, &AudioTrack)> {
        let is = |track: &AudioTrack| track.format.is_opus() && track.key != PartyKey::Mixed;
        self.tracks.iter().enumerate().filter(move |(_, track)| is(track))
    }
}
