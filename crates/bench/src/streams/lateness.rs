//! How late a packet is on disk, as a reader of the file sees it.
//!
//! Some files are looked at every few milliseconds: what the header says is there is compared with the time when those
//! packets were due at the sender, which their timestamps are, because the simulator's timestamps are this machine's
//! clock. So the generator's own lateness, the network and everything in the worker is in it, and up to one look more.
//!
//! While streams start, their recordings are found as they appear, which costs up to one search more. There a packet is
//! late also because its stream was joined late, or because the worker was busy with the beginning of another recording.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use rtms_recorder::{manifests, read_manifest};
use serde::Serialize;

use crate::stats::percentile;

/// Files that are looked at.
const FILES: usize = 20;
/// The same while streams start: one beginning in so many may be a bad one.
const FILES_STARTING: usize = 50;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two searches for new recordings.
const SEARCH_EVERY: Duration = Duration::from_millis(20);
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
    thread: JoinHandle<Late>,
}

/// One file.
struct Watched {
    path: PathBuf,
    /// `None` until the recorder has made it.
    file: Option<File>,
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
        files.push(Watched { path, file: Some(file), zero_ms, seen_ms });
    }
    ensure!(!files.is_empty(), "there is no recording to look at");
    Ok(Watch { thread: std::thread::spawn(move || look(files, None, window)) })
}

/// Watches recordings from their beginning on, of `streams` that start from now on, for as long as `window`.
pub(crate) fn watch_starts(data: &Path, streams: u32, window: Duration) -> Watch {
    let search = Search::new(data, streams);
    Watch { thread: std::thread::spawn(move || look(Vec::new(), Some(search), window)) }
}

/// Finds recordings as they appear, and takes one of so many.
struct Search {
    data: PathBuf,
    each: usize,
    known: HashSet<OsString>,
    /// Those to be watched whose manifest cannot be read yet.
    begun: Vec<PathBuf>,
    at: Instant,
}

impl Search {
    fn new(data: &Path, streams: u32) -> Self {
        let streams = usize::try_from(streams).unwrap_or(usize::MAX);
        let each = streams.div_ceil(FILES_STARTING).max(1);
        Self { data: data.to_owned(), each, known: HashSet::new(), begun: Vec::new(), at: Instant::now() }
    }

    fn search(&mut self, files: &mut Vec<Watched>) {
        if self.at.elapsed() < SEARCH_EVERY {
            return;
        }
        self.at = Instant::now();
        let manifests = self.data.join("manifests");
        // The first recording makes the folder.
        for entry in fs::read_dir(&manifests).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_one = Path::new(&name).extension().is_some_and(|extension| extension == "json");
            if is_one && self.known.insert(name.clone()) && self.known.len().is_multiple_of(self.each) {
                self.begun.push(manifests.join(name));
            }
        }
        self.begun.retain(|path| {
            let Ok(manifest) = read_manifest(path) else { return true };
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let path = self.data.join("audio").join(format!("audio_{stem}.wav"));
            let zero_ms = u64::try_from(manifest.started_at.0).unwrap_or(0);
            files.push(Watched { path, file: None, zero_ms, seen_ms: 0 });
            false
        });
    }
}

impl Watched {
    /// How much of it is recorded, ms; nothing before there is a whole header.
    fn recorded_ms(&mut self) -> u64 {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        self.file.as_ref().and_then(|file| recorded_ms(file).ok()).unwrap_or(0)
    }
}

impl Watch {
    /// Waits for the end of the window.
    pub(crate) fn found(self) -> anyhow::Result<Late> {
        let late = self.thread.join().ok().context("the look-out failed")?;
        ensure!(late.files > 0, "no recording appeared");
        Ok(late)
    }
}

fn look(mut files: Vec<Watched>, mut search: Option<Search>, window: Duration) -> Late {
    let began = Instant::now();
    let mut late: Vec<u32> = Vec::new();
    while began.elapsed() < window {
        if let Some(search) = &mut search {
            search.search(&mut files);
        }
        for watched in &mut files {
            let there_ms = watched.recorded_ms();
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
    Late {
        files: files.len(),
        packets: late.len(),
        p50_ms: percentile(&late, 50),
        p99_ms: percentile(&late, 99),
        max_ms: percentile(&late, 100),
    }
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
    use rtms_protocol::{MediaSet, Product, StreamIdentity, UnixMillis};
    use rtms_recorder::{Partition, Recording, RecordingSpec};

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
        let watched = Watched { path, file: Some(file), zero_ms: now_ms() - 600, seen_ms: 100 };
        says(140);
        let late = look(vec![watched], None, Duration::from_millis(20));
        assert_eq!((late.files, late.packets), (1, 3));
        assert!((500..30_000).contains(&late.max_ms), "{late:?}");
        assert!((460..=late.max_ms).contains(&late.p50_ms), "{late:?}");
    }
    #[test]
    fn recordings_are_found_when_they_begin() {
        let dir = tempfile::tempdir().unwrap();
        let watch = watch_starts(dir.path(), 1, Duration::from_millis(400));
        let started_at = UnixMillis(i64::try_from(now_ms()).unwrap() - 1_000);
        let recording = Recording::create(RecordingSpec {
            data_dir: dir.path().to_owned(),
            partition: Partition::None,
            identity: StreamIdentity { product: Product::Phone, id: "call".into(), stream_id: "s".into() },
            started_at,
            account_id: None,
            expect: MediaSet::EMPTY,
            images: MediaSet::EMPTY,
            server_urls: Vec::new(),
        })
        .unwrap();
        let stem = recording.manifest_path().file_stem().unwrap().to_str().unwrap();
        fs::create_dir(dir.path().join("audio")).unwrap();
        let sound = File::create(dir.path().join("audio").join(format!("audio_{stem}.wav"))).unwrap();
        sound.write_all_at(&u32::try_from(100 * BYTES_PER_MS).unwrap().to_le_bytes(), SIZE_AT).unwrap();
        let late = watch.found().unwrap();
        // Five packets, and the one that never comes.
        assert_eq!((late.files, late.packets), (1, 6));
        assert!((1_000..30_000).contains(&late.max_ms), "{late:?}");
        assert!(watch_starts(&dir.path().join("audio"), 1, Duration::ZERO).found().is_err());
    }
}
