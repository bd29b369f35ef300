//! How a recording ends in this process: finished, left to the next one, or revoked.

use std::path::Path;

use rtms_protocol::{MediaKind, UnixMillis};

use super::{Recording, RecordingEnd};
use crate::audio::sound::Sound;
use crate::error::RecordError;
use crate::files::{Durability, seal};
use crate::ledger::Ledger;
use crate::manifest::{InProgress, Manifest, RecordingState, TrackEntry, contained};
use crate::text::chat::Chat;
use crate::totals::totals;

/// The cause of an interruption that a planned change of processes makes.
const HANDOVER: &str = "handover";

impl Recording {
    /// Leaves the recording to the next process, which takes it up by [`Self::resume`]: everything is written, and the
    /// manifest notes an interruption that lasts from `at` on (cause `handover`).
    ///
    /// # Errors
    /// The first refusal of the disk. The files are as good as after a kill.
    pub fn hand_over(mut self, at: UnixMillis) -> Result<(), RecordError> {
        self.release_sound(at, true);
        self.interrupted(at, HANDOVER);
        let mut result = self.flush(at);
        result = result.and(self.video.flush_all()).and(self.share.flush_all());
        let mut manifest = self.manifest(at);
        // A process that finds this counts on the files; they are whole only if all of them were written.
        if let (Some(in_progress), Ok(())) = (&mut manifest.in_progress, &result) {
            in_progress.handed_over_at = Some(at);
        }
        result.and(manifest.store(&self.manifest_path, Durability::Process).map(drop))
    }

    /// Gives every file its final form, and writes the last manifest. Revoked: deletes every file instead, and keeps
    /// a manifest without content.
    ///
    /// What cannot be finished is named in the manifest and stays as readable as it was. A process that dies meanwhile
    /// leaves a recording that can be taken up or repaired.
    ///
    /// # Errors
    /// The manifest cannot be written: it still says `recording`, and the next start finds it.
    pub fn finish(mut self, end: RecordingEnd) -> Result<Manifest, RecordError> {
        if end.state == RecordingState::Revoked {
            return self.revoke(end);
        }
        self.release_sound(end.at, true);
        self.tell_ending(&end);
        let problems = self.finish_files(end.at);
        let hole = self.hole(end.at);
        self.journal.finish(end.at, hole);
        let mut manifest = self.manifest(end.at);
        manifest.state = final_state(end.state);
        manifest.ended_at = Some(end.at);
        manifest.stop_reason = end.stop_reason.map(Into::into);
        manifest.problems.extend(problems.iter().map(ToString::to_string));
        manifest.missing = self.missing(&manifest.tracks);
        manifest.server_urls = Vec::new();
        manifest.in_progress = None::<InProgress>;
        for track in &mut manifest.tracks {
            seal_track(self.names.data_dir(), track, &mut manifest.problems);
        }
        if let Some(timeline) = &mut manifest.timeline {
            seal_file(self.names.data_dir(), &timeline.file, &mut timeline.sha256, &mut manifest.problems);
        }
        match totals(self.names.data_dir(), &manifest) {
            Ok(totals) => manifest.totals = totals,
            Err(error) => manifest.problems.push(format!("no totals: {error}")),
        }
        manifest.store(&self.manifest_path, Durability::Power)?;
        close_ledger(self.names.ledger());
        Ok(manifest)
    }

    /// Tells the manifest how it ends, before what takes long begins.
    fn tell_ending(&mut self, end: &RecordingEnd) {
        if self.ending.is_none() {
            self.stopped(end);
        }
        self.ending = Some(final_state(end.state));
        self.head.ended_at = Some(end.at);
        self.head.stop_reason = end.stop_reason.map(Into::into);
        self.head.server_urls = Vec::new();
        // Where the disk refuses, a process that dies now is followed by one that only knows that it ended.
        let _ = self.events.flush(self.clock.zero()).and(self.store_manifest(end.at));
    }

    fn finish_files(&mut self, at: UnixMillis) -> Vec<RecordError> {
        let zero = self.clock.zero().unwrap_or(self.head.started_at);
        let transcript = self.transcript.as_mut().map(|t| t.finish(zero, self.head.started_at, at));
        [
            transcript.unwrap_or(Ok(())),
            self.chat.as_mut().map_or(Ok(()), Chat::finish),
            self.audio.finish(at, &self.people),
            self.mix(at),
            self.finish_pictures(zero),
            self.events.flush(self.clock.zero()),
            self.take_names(at),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect()
    }

    /// Finishes the videos, with the sound of the recording in each.
    fn finish_pictures(&mut self, zero: UnixMillis) -> Result<(), RecordError> {
        let wanted = self.video.takes_sound() || self.share.takes_sound();
        let (sound, missed) = match wanted.then(|| Sound::of(&self.audio)).transpose() {
            Ok(sound) => (sound.flatten(), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let mut result = self.video.finish(sound.as_ref(), zero);
        result = result.and(self.share.finish(sound.as_ref(), zero));
        sound.into_iter().for_each(Sound::discard);
        missed.and(result)
    }

    /// Makes the combined sound of parties that came as Opus; the manifest tells of it first.
    fn mix(&mut self, at: UnixMillis) -> Result<(), RecordError> {
        if !self.audio.claim_mixture(&self.names)? {
            return Ok(());
        }
        let told = self.store_manifest(at);
        told.and(self.audio.make_mixture(&self.people))
    }

    /// Gives the parties' files the names that are known by now; the manifest tells of it first.
    fn take_names(&mut self, at: UnixMillis) -> Result<(), RecordError> {
        match self.audio.claim_names(&self.people, &self.names) {
            Ok(false) => Ok(()),
            Ok(true) => {
                let told = self.store_manifest(at);
                let taken = self.audio.take_names(&self.people, told.is_ok());
                told.and(taken)
            }
            Err(error) => self.audio.take_names(&self.people, false).and(Err(error)),
        }
    }

    fn revoke(self, end: RecordingEnd) -> Result<Manifest, RecordError> {
        let mut manifest = self.manifest(end.at);
        manifest.ended_at = Some(end.at);
        let path = self.manifest_path.clone();
        let data_dir = self.names.data_dir().to_path_buf();
        drop(self);
        crate::store::revoke(&data_dir, &path, &manifest, end.at)
    }

    fn missing(&self, tracks: &[TrackEntry]) -> Vec<String> {
        let came =
            |kind: MediaKind| tracks.iter().any(|track| track.kind == kind.word() && track.packets > 0);
        self.expect.iter().filter(|kind| !came(*kind)).map(|kind| kind.word().to_owned()).collect()
    }
}

/// The manifest tells of everything now. What cannot be removed is removed by the next start.
fn close_ledger(ledger: Option<&Ledger>) {
    if let Some(Err(error)) = ledger.map(Ledger::close) {
        tracing::debug!(%error, "a ledger stays behind");
    }
}

fn final_state(state: RecordingState) -> RecordingState {
    if state == RecordingState::Recording { RecordingState::Interrupted } else { state }
}

/// Syncs a track's files and enters their hashes; what cannot be read is a problem for the manifest.
fn seal_track(data_dir: &Path, track: &mut TrackEntry, problems: &mut Vec<String>) {
    let files = std::iter::once((&track.file, &mut track.sha256))
        .chain(track.also.iter_mut().map(|also| (&also.file, &mut also.sha256)));
    for (file, sum) in files {
        seal_file(data_dir, file, sum, problems);
    }
}

fn seal_file(data_dir: &Path, file: &str, sum: &mut Option<String>, problems: &mut Vec<String>) {
    let Some(path) = contained(data_dir, file) else { return };
    match seal(&path) {
        Ok(digest) => *sum = Some(digest),
        Err(error) => {
            let problem = error.to_string();
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
}
