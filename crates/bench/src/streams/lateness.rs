//! How late a packet is on disk, as a reader of the file sees it.
//!
//! Some files are looked at every few milliseconds: what the header says is there is compared with the time when those
//! packets were due at the sender, which their timestamps are, because the simulator's timestamps are this machine's
//! clock. So the generator's own lateness, the network and everything in the worker is in it, and up to one look more.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use rtms_recorder::manifests;
use serde::Serialize;

use crate::stats::percentile;

/// Files that are looked at.
const FILES: usize = 20;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Where a header says how many bytes of samples follow.
const SIZE_AT: u64 = 76;
/// Of 16 kHz, 16 bit, mono.
const BYTES_PER_MS: u64 = 32;
/// Of sound in a packet.
const PACKET_MS: u64 = 20;

/// What was found, ms.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Late {
    files: usize,
    packets: usize,
    pub(crate) p50_ms: u32,
    pub(crate) p99_ms: u32,
    pub(crate) max_ms: u32,
}

/// Looks that are being taken.
pub(crate) struct Watch {
    thread: JoinHandle<std::io::Result<Late>>,
}

/// One file.
struct Watched {
    file: File,
    /// When its first sample was due, Unix ms.
    zero_ms: u64,
    seen_ms: u64,
}

/// Watches recordings that are going on, for as long as `window`.
pub(crate) fn watch(data: &Path, window: Duration) -> anyhow::Result<Watch> {
    let all: Vec<_> = manifests(data).collect();
    let mut files = Vec::new();
    for stored in all.iter().step_by(all.len().div_ceil(FILES).max(1)) {
        let stem = stored.path.file_stem().context("a manifest without a name")?.to_string_lossy();
        let path = data.join("audio").join(format!("audio_{stem}.wav"));
        // A worker that does not keep up has not begun every file; those that it has tell enough.
        let Ok(file) = File::open(&path) else { continue };
        let zero_ms = u64::try_from(stored.manifest.started_at.0)?;
        let seen_ms = recorded_ms(&file)?;
        files.push(Watched { file, zero_ms, seen_ms });
    }
    ensure!(!files.is_empty(), "there is no recording to look at");
    Ok(Watch { thread: std::thread::spawn(move || look(files, window)) })
}

impl Watch {
    /// Waits for the end of the window.
    pub(crate) fn found(self) -> anyhow::Result<Late> {
        let found = self.thread.join().ok().context("the look-out failed")?;
        Ok(found?)
    }
}

fn look(mut files: Vec<Watched>, window: Duration) -> std::io::Result<Late> {
    let began = Instant::now();
    let mut late: Vec<u32> = Vec::new();
    while began.elapsed() < window {
        for watched in &mut files {
            let there_ms = recorded_ms(&watched.file)?;
            let now_ms = now_ms();
            while watched.seen_ms < there_ms {
                let due_ms = watched.zero_ms + watched.seen_ms;
                late.push(u32::try_from(now_ms.saturating_sub(due_ms)).unwrap_or(u32::MAX));
                watched.seen_ms += PACKET_MS;
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // What never came in the window has been late at least since then.
    let end_ms = now_ms();
    late.extend(
        files.iter().map(|file| {
            u32::try_from(end_ms.saturating_sub(file.zero_ms + file.seen_ms)).unwrap_or(u32::MAX)
        }),
    );
    late.sort_unstable();
    Ok(Late {
        files: files.len(),
        packets: late.len(),
        p50_ms: percentile(&late, 50),
        p99_ms: percentile(&late, 99),
        max_ms: percentile(&late, 100),
    })
}

fn recorded_ms(file: &File) -> std::io::Result<u64> {
    let mut size = [0; 4];
    file.read_exact_at(&mut size, SIZE_AT)?;
    Ok(u64::from(u32::from_le_bytes(size)) / BYTES_PER_MS)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_late_as_the_header_that_tells_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let write = File::create(&path).unwrap();
        let says = |ms: u64| {
            let bytes = u32::try_from(ms * BYTES_PER_MS).unwrap();
            write.write_all_at(&bytes.to_le_bytes(), SIZE_AT).unwrap();
        };
        says(100);
        // Its first 100 ms were there before anybody looked; 40 ms more are there at once, due 500 and 480 ms ago; what
        // would follow, due 460 ms ago, never comes.
        let file = File::open(&path).unwrap();
        let watched = Watched { file, zero_ms: now_ms() - 600, seen_ms: 100 };
        says(140);
        let late = look(vec![watched], Duration::from_millis(20)).unwrap();
        assert_eq!((late.files, late.packets), (1, 3));
        assert!((500..30_000).contains(&late.max_ms), "{late:?}");
        assert!((460..=late.max_ms).contains(&late.p50_ms), "{late:?}");
    }
}
