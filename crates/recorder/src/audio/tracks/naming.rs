//! The final names of the parties' files.
//!
//! A file is named when its first packet comes, and by then its party may be no more than a number. In the end it takes
//! the name that is known. A process that dies in the midst of that must not orphan a file, so the manifest is told
//! between the claim of a name and its use.

use super::{AudioTrack, AudioTracks};
use crate::audio::party::PartyKey;
use crate::error::RecordError;
use crate::files::remove;
use crate::names::Names;
use crate::people::People;

impl AudioTracks {
    /// The name of a new party's file until the end: what the party is known by, or its id where the file of an earlier
    /// party will take that name. Sound and events come on two sockets, and which of the two agents becomes `agent_2` must
    /// not depend on which socket was faster.
    pub(super) fn name_for_now(&self, key: &PartyKey, people: &People, names: &Names) -> String {
        let name = key.name(people);
        let base = |name: &str| names.base("audio", Some(name));
        let is_promised = self
            .tracks
            .iter()
            .any(|track| base(&track.name) != base(&name) && base(&track.key.name(people)) == base(&name));
        if is_promised { key.id().to_owned() } else { name }
    }

    /// Claims the names that the parties are known by now; true where there are any. The manifest is to tell of them
    /// before [`Self::take_names`], so that a process that dies between the two orphans no file.
    ///
    /// # Errors
    /// The first refusal of the disk.
    pub(crate) fn claim_names(&mut self, people: &People, names: &Names) -> Result<bool, RecordError> {
        let mut result = Ok(());
        for track in self.tracks.iter_mut().filter(|track| track.key != PartyKey::Mixed) {
            result = result.and(track.claim_name(people, names));
        }
        let any = self.tracks.iter().any(|track| track.becoming.is_some());
        result.map(|()| any)
    }

    /// Gives the claimed names to the files, or back.
    ///
    /// # Errors
    /// The first refusal of the disk.
    pub(crate) fn take_names(&mut self, people: &People, told: bool) -> Result<(), RecordError> {
        let mut result = Ok(());
        for track in &mut self.tracks {
            result = result.and(track.take_name(people, told));
        }
        result
    }
}

impl AudioTrack {
    /// Claims the name that the party is known by now, if its file must be called otherwise for it.
    fn claim_name(&mut self, people: &People, names: &Names) -> Result<(), RecordError> {
        let name = self.key.name(people);
        if name == self.name || self.becoming.is_some() {
            return Ok(());
        }
        let base = names.base("audio", Some(&name));
        if base == names.base("audio", Some(&self.name)) {
            self.name = name;
        } else {
            self.becoming = Some(names.claim("audio", &base, self.format.extension())?);
        }
        Ok(())
    }

    /// The claim is an empty file that keeps the name; the recording replaces it, where the manifest was told.
    fn take_name(&mut self, people: &People, told: bool) -> Result<(), RecordError> {
        let Some(claimed) = self.becoming.take() else { return Ok(()) };
        if !told {
            return remove(&claimed.path);
        }
        let claim = claimed.path.clone();
        // Only the cause matters; an empty file that stays is harmless.
        self.sink.rename(claimed.path).inspect_err(|_| drop(remove(&claim)))?;
        self.relative = claimed.relative;
        self.name = self.key.name(people);
        Ok(())
    }
}
