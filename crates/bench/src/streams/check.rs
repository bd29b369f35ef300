//! That everything was recorded: a figure of a recorder that loses packets is worth nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rtms_recorder::{Manifest, RecordingState, manifests};

use super::generator::{Load, Report};
use super::recorder::Kind;

/// Of a WAV file: its format, and notes that differ from stream to stream.
const HEADER_BYTES: usize = 80;

/// Fails unless every packet that was sent is in a file, at its place; how often streams were interrupted.
pub(crate) fn nothing_lost(
    kind: Kind,
    data: &Path,
    report: &Report,
    taken: u64,
    load: &Load,
) -> anyhow::Result<usize> {
    // Where streams are cut, packets are sent again, and some do not arrive the first time.
    let cut = load.cut_percent > 0;
    ensure!(
        cut || taken == report.audio_packets,
        "{} packets were sent, {taken} were taken",
        report.audio_packets
    );
    if kind == Kind::Floor {
        return Ok(0);
    }
    let (mut recordings, mut interruptions, mut first) = (0, 0, None);
    for stored in manifests(data) {
        let of = || stored.path.display().to_string();
        let file = whole_track(&stored.manifest, load.duration, cut)
            .with_context(|| format!("{}: samples are missing", of()))?;
        let sound = fs::read(data.join(file)).with_context(of)?.split_off(HEADER_BYTES);
        // All streams play the same: one that differs has lost or moved something.
        ensure!(first.get_or_insert_with(|| sound.clone()) == &sound, "{} sounds differently", of());
        interruptions += stored.manifest.interruptions.len();
        recordings += 1;
    }
    ensure!(recordings == report.complete, "{} streams, {recordings} recordings", report.complete);
    Ok(interruptions)
}

/// The file of its sound, if all of it is there.
fn whole_track(manifest: &Manifest, duration: Duration, cut: bool) -> anyhow::Result<&str> {
    ensure!(manifest.state == RecordingState::Complete, "it is {:?}", manifest.state);
    ensure!(cut || manifest.interruptions.is_empty(), "it was interrupted");
    ensure!(manifest.interruptions.iter().all(|one| one.lost_ms == 0), "{:?}", manifest.interruptions);
    let dropped = &manifest.dropped;
    ensure!(if cut { dropped.lost() == 0 } else { dropped.is_empty() }, "packets were dropped: {dropped:?}");
    ensure!(manifest.time_zero == Some(manifest.started_at), "it begins late");
    let track = manifest.tracks.iter().find(|track| track.kind == "audio").context("no audio")?;
    let expected_ms = duration.as_millis() / 20 * 20;
    ensure!(
        track.gaps == 0 && u128::try_from(track.duration_ms) == Ok(expected_ms),
        "{} ms of {expected_ms}, {} gaps",
        track.duration_ms,
        track.gaps
    );
    ensure!(
        manifest.tracks.iter().any(|track| track.kind == "transcript" && track.packets > 0),
        "no transcript"
    );
    Ok(&track.file)
}
