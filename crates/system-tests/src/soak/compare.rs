//! A recording beside what was played.

use std::path::Path;

use rtms_protocol::UnixMillis;
use rtms_simulator::played::{Played, PlayedLine};
use serde_json::Value;

/// What is missing from one recording.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loss {
    /// Samples compared, all tracks.
    pub(crate) samples: u64,
    /// Samples that differ from what was played.
    pub(crate) lost_samples: u64,
    /// Transcript lines compared.
    pub(crate) lines: u64,
    /// Those that are missing.
    pub(crate) lost_lines: u64,
    /// Those that are missing where the connection was reset right after they were sent: they may never have arrived.
    pub(crate) lines_taken_by_resets: u64,
    /// What is missing, in words.
    pub(crate) what: Vec<String>,
    /// Times without a connection.
    pub(crate) interruptions: u64,
}

impl Loss {
    /// Whether the recording has everything that arrived.
    pub(crate) const fn is_none(&self) -> bool {
        self.lost_samples == 0 && self.lost_lines == 0
    }

    fn note_line(&mut self, line: &PlayedLine, played: &Played) {
        let count = if line.in_doubt { &mut self.lines_taken_by_resets } else { &mut self.lost_lines };
        *count += 1;
        let at_ms = line.start.since(played.time_zero);
        let reset = if line.in_doubt { ", sent right before a reset" } else { "" };
        self.what.push(format!("the line {:?} of {} that begins at {at_ms} ms{reset}", line.text, line.name));
    }
}

/// Compares every audio track and every transcript line.
pub(crate) fn compare(data: &Path, manifest: &Value, played: &Played) -> Result<Loss, String> {
    let tracks = manifest["tracks"].as_array().ok_or("no tracks")?;
    let zero = played.tracks.iter().map(|track| track.packets[0].timestamp).min().unwrap_or(UnixMillis(0));
    let mut loss = Loss {
        interruptions: manifest["interruptions"].as_array().map_or(0, Vec::len) as u64,
        ..Loss::default()
    };
    for track in &played.tracks {
        let party = track.party.as_ref();
        let entry = tracks.iter().filter(|entry| entry["kind"] == "audio").find(|entry| match party {
            None => true,
            Some(party) => {
                entry["channel_id"].as_str() == party.channel_id.as_deref() && entry["channel_id"].is_string()
            }
        });
        let file = entry
            .and_then(|entry| entry["file"].as_str())
            .ok_or_else(|| format!("a track is missing: {tracks:?}"))?;
        let actual = wav(&data.join(file))?;
        let lead =
            usize::try_from(zero.since(played.time_zero) * i64::from(track.sample_rate) / 1000).unwrap_or(0);
        let expected = track.pcm().split_off(lead * usize::from(track.channels));
        loss.samples += expected.len() as u64;
        let differing = actual.iter().zip(&expected).filter(|(a, e)| a != e).count();
        let lost = differing + actual.len().abs_diff(expected.len());
        if lost > 0 {
            loss.lost_samples += lost as u64;
            loss.what.push(format!("{lost} samples of {file}"));
        }
    }
    let jsonl = tracks
        .iter()
        .find(|track| track["kind"] == "transcript")
        .and_then(|track| track["also"][0]["file"].as_str());
    let mut recorded = jsonl.map_or_else(|| Ok(Vec::new()), |file| lines(&data.join(file)))?;
    loss.lines = played.transcript.len() as u64;
    for line in &played.transcript {
        let same = |known: &(i64, String)| *known == (line.start.0, line.text.clone());
        match recorded.iter().position(same) {
            Some(index) => drop(recorded.swap_remove(index)),
            None => loss.note_line(line, played),
        }
    }
    Ok(loss)
}

/// Begin and text of every line of a transcript's JSON form.
fn lines(path: &Path) -> Result<Vec<(i64, String)>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let line = |line: &str| {
        let json: Value = serde_json::from_str(line).ok()?;
        Some((json["start_time"].as_i64()?, json["text"].as_str()?.to_owned()))
    };
    text.lines().map(|json| line(json).ok_or_else(|| format!("{}: {json}", path.display()))).collect()
}

/// The samples of a WAV file: the `data` chunk, wherever it lies.
fn wav(path: &Path) -> Result<Vec<i16>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut at = 12;
    while let (Some(name), Some(size)) = (bytes.get(at..at + 4), bytes.get(at + 4..at + 8)) {
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        if name == b"data" {
            let data = bytes.get(at + 8..at + 8 + size).ok_or("a WAV shorter than its header says")?;
            return Ok(data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect());
        }
        at += 8 + size + size % 2;
    }
    Err(format!("{}: no data chunk", path.display()))
}

/// Deletes a compared recording, so that a long run needs little disk.
pub(crate) fn delete(data: &Path, manifest: &Value, path: &Path) -> std::io::Result<()> {
    for track in manifest["tracks"].as_array().into_iter().flatten() {
        let also = track["also"].as_array().into_iter().flatten().filter_map(|also| also["file"].as_str());
        for file in track["file"].as_str().into_iter().chain(also) {
            std::fs::remove_file(data.join(file))?;
        }
    }
    std::fs::remove_file(path)
}
