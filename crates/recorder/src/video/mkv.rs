//! JPEG or PNG pictures to Matroska, streaming, valid whenever it is looked at, seekable at the end.
//!
//! Each flush appends one whole cluster with one write, and then the duration, so a reader finds whole clusters. At the
//! end a table of times is appended, and one write at the front makes it known. Every picture is a key frame, and its
//! duration follows from the next one: nothing is held back. Times are milliseconds. Refuses times that do not
//! increase. (MP4 has no way to carry PNG that players know, and its JPEG is known to few.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ebml::{self, element, unsigned};
use super::mkv_front::{CUES, Ended, Front, TRACK, duration};
use crate::error::RecordError;
use crate::files::private;

const CLUSTER: u32 = 0x1f43_b675;
const TIMESTAMP: u32 = 0xe7;
const SIMPLE_BLOCK: u32 = 0xa3;

/// Bytes of pictures after which a cluster is written without waiting for the flush.
const CLUSTER_BYTES: usize = 64 * 1024;
/// Bytes of pictures that wait for a disk that refuses; then they are given up.
const WAITING_BYTES: usize = 1024 * 1024;
/// Longest time between the first and the last picture of a cluster, ms: they count from it in 16 bits.
const CLUSTER_MS: u64 = 30_000;
/// Least time between two entries of the table, ms.
const CUE_MS: u64 = 1_000;
/// More pictures than any cluster of ours has.
const CLUSTER_BLOCKS: usize = 16 * 1024;
/// Duration of a picture of which nothing better is known, and the longest of a last one, ms.
const LAST_MS: u64 = 1_000;
/// More than any front takes, bytes.
const FRONT_BYTES: usize = 1_024;
/// Bytes of a block in front of its picture: track, time, flags.
const BLOCK_HEADER: u64 = 4;

/// Writes one Matroska file.
#[derive(Debug)]
pub(crate) struct MkvWriter {
    path: PathBuf,
    front: Front,
    /// Opened anew after the disk refused: the volume may come back as another one.
    file: Option<File>,
    /// Where the next cluster goes.
    end: u64,
    /// Blocks that wait, and the time that they count from.
    blocks: Vec<u8>,
    base: u64,
    waiting: u64,
    last_at: Option<u64>,
    /// Duration that the last picture is given, ms.
    last_ms: u64,
    given_up: u64,
}

/// What a file holds.
#[derive(Debug, Default)]
struct Scan {
    pictures: u64,
    /// Of all pictures.
    bytes: u64,
    last_at: Option<u64>,
    last_ms: u64,
    /// Time, and place of the cluster.
    cues: Vec<(u64, u64)>,
    /// Where the last complete cluster ends.
    end: u64,
}

impl MkvWriter {
    /// Begins a file. `file` is the empty one at `path`, open for reading and writing.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn create(file: File, path: PathBuf, front: Front) -> Result<Self, RecordError> {
        let bytes = front.layout(LAST_MS, None).bytes;
        file.write_all_at(&bytes, 0).map_err(RecordError::io("write", &path))?;
        Ok(Self::at(
            file,
            path,
            front,
            &Scan { end: bytes.len() as u64, last_ms: LAST_MS, ..Scan::default() },
        ))
    }

    /// Goes on with a file after a restart, behind its last complete cluster; one that was finished becomes one that
    /// grows again. Also returns how many pictures it holds, and their bytes.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours.
    pub(crate) fn resume(path: &Path) -> Result<(Self, u64, u64), RecordError> {
        let file = open(path)?;
        let io = |action| RecordError::io(action, path);
        let mut bytes = vec![0; FRONT_BYTES];
        let there = read_up_to(&file, &mut bytes).map_err(io("read"))?;
        let Some((front, finished)) = Front::read(&bytes[..there]) else {
            return Err(RecordError::Foreign {
                path: path.into(),
                reason: "not one of our Matroska files".into(),
            });
        };
        let scan = scan(&file, &front).map_err(io("read"))?;
        let writer = Self::at(file, path.to_path_buf(), front, &scan);
        let file = writer.file.as_ref();
        if let Some(file) = file.filter(|_| finished) {
            let growing = front.layout(writer.duration_ms(), None).bytes;
            file.write_all_at(&growing, 0).map_err(io("write"))?;
        }
        if let Some(file) = file {
            file.set_len(scan.end).map_err(io("truncate"))?;
        }
        Ok((writer, scan.pictures, scan.bytes))
    }

    fn at(file: File, path: PathBuf, front: Front, scan: &Scan) -> Self {
        Self {
            path,
            front,
            file: Some(file),
            end: scan.end,
            blocks: Vec::new(),
            base: 0,
            waiting: 0,
            last_at: scan.last_at,
            last_ms: scan.last_ms,
            given_up: 0,
        }
    }

    /// What is fixed for the file.
    pub(crate) fn front(&self) -> Front {
        self.front
    }

    /// Pictures given up since this was last asked.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// When the last picture is shown, ms after the first.
    pub(crate) fn last_at(&self) -> Option<u64> {
        self.last_at
    }

    /// Length so far, ms, the last picture included.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.last_at.map_or(0, |at| at + self.last_ms)
    }

    /// Takes a picture shown at `at` (ms after the first, later than the last one).
    ///
    /// # Errors
    /// The disk refused for so long that waiting pictures were given up.
    pub(crate) fn push(&mut self, at: u64, picture: &[u8]) -> Result<(), RecordError> {
        let full = self.blocks.len() + picture.len() > CLUSTER_BYTES;
        if (full || at.saturating_sub(self.base) > CLUSTER_MS)
            && let Err(error) = self.flush()
            && (self.blocks.len() + picture.len() > WAITING_BYTES || !full)
        {
            self.given_up += self.waiting;
            self.blocks = Vec::new();
            self.waiting = 0;
            return Err(error);
        }
        if self.waiting == 0 {
            self.base = at;
        }
        let since = i16::try_from(at.saturating_sub(self.base)).unwrap_or(i16::MAX);
        ebml::id(&mut self.blocks, SIMPLE_BLOCK);
        ebml::size(&mut self.blocks, BLOCK_HEADER + picture.len() as u64);
        ebml::size(&mut self.blocks, TRACK);
        self.blocks.extend_from_slice(&since.to_be_bytes());
        // A key frame.
        self.blocks.push(0x80);
        self.blocks.extend_from_slice(picture);
        self.waiting += 1;
        self.last_ms = self.last_at.map_or(LAST_MS, |last| at.saturating_sub(last).clamp(1, LAST_MS));
        self.last_at = Some(at);
        Ok(())
    }

    /// Writes every picture.
    ///
    /// # Errors
    /// The disk refused; the pictures wait for the next time.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        if self.waiting == 0 {
            return Ok(());
        }
        let mut time = Vec::new();
        unsigned(&mut time, TIMESTAMP, self.base);
        let mut out = Vec::with_capacity(self.blocks.len() + 24);
        ebml::id(&mut out, CLUSTER);
        ebml::size(&mut out, (time.len() + self.blocks.len()) as u64);
        out.extend(time);
        out.extend_from_slice(&self.blocks);
        let length = duration(self.duration_ms());
        let duration_at = self.front.layout(0, None).duration_at;
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        let written =
            file.write_all_at(&out, self.end).and_then(|()| file.write_all_at(&length, duration_at));
        if let Err(error) = written {
            self.file = None;
            return Err(RecordError::io("write", &self.path)(error));
        }
        self.end += out.len() as u64;
        self.waiting = 0;
        self.blocks.clear();
        self.blocks.shrink_to(CLUSTER_BYTES);
        Ok(())
    }

    /// Writes the rest, and the table of times.
    ///
    /// # Errors
    /// The disk refused; the file is still a valid one that grows.
    pub(crate) fn finish(&mut self) -> Result<(), RecordError> {
        self.flush()?;
        let file = open(&self.path)?;
        let io = |error| RecordError::io("finish", &self.path)(error);
        file.set_len(self.end).map_err(io)?;
        let scan = scan(&file, &self.front).map_err(io)?;
        let cues = cues(&scan.cues, self.front.layout(0, None).origin);
        file.write_all_at(&cues, self.end).map_err(io)?;
        // The table must be on the disk before it is made known.
        file.sync_data().map_err(io)?;
        let ended = Ended { cues_at: self.end, end: self.end + cues.len() as u64 };
        file.write_all_at(&self.front.layout(self.duration_ms(), Some(ended)).bytes, 0).map_err(io)
    }
}

fn open(path: &Path) -> Result<File, RecordError> {
    private().open(path).map_err(RecordError::io("open", path))
}

/// Fills as much of `bytes` as the file has; how much that was.
fn read_up_to(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(bytes.len());
    file.read_exact_at(&mut bytes[..length], 0)?;
    Ok(length)
}

/// Reads what a file holds, cluster by cluster; pictures are skipped. What is not understood, or not whole, ends it.
///
/// # Errors
/// The disk refused.
fn scan(file: &File, front: &Front) -> io::Result<Scan> {
    let limit = file.metadata()?.len();
    let mut scan =
        Scan { end: front.layout(0, None).bytes.len() as u64, last_ms: LAST_MS, ..Scan::default() };
    while let Some(found) = ebml::find(file, scan.end, limit)?.filter(|found| found.id == CLUSTER) {
        let Some(cluster) = blocks(file, found.body, found.end)? else { break };
        for (at, bytes) in cluster {
            if scan.cues.last().is_none_or(|(last, _)| at >= last + CUE_MS) {
                scan.cues.push((at, scan.end));
            }
            scan.last_ms = scan.last_at.map_or(LAST_MS, |last| at.saturating_sub(last).clamp(1, LAST_MS));
            scan.last_at = Some(at);
            scan.pictures += 1;
            scan.bytes += bytes;
        }
        scan.end = found.end;
    }
    Ok(scan)
}

/// Time and size of each picture in a cluster; `None` where it is not one of ours.
fn blocks(file: &File, from: u64, until: u64) -> io::Result<Option<Vec<(u64, u64)>>> {
    let Some(time) = ebml::find(file, from, until)?.filter(|found| found.id == TIMESTAMP) else {
        return Ok(None);
    };
    let mut bytes = [0; 8];
    let Some(place) = usize::try_from(time.end - time.body).ok().and_then(|n| bytes.len().checked_sub(n))
    else {
        return Ok(None);
    };
    file.read_exact_at(&mut bytes[place..], time.body)?;
    let base = u64::from_be_bytes(bytes);
    let mut found = Vec::new();
    let mut at = time.end;
    while at < until {
        let block = ebml::find(file, at, until)?;
        let ours = |b: &ebml::Found| b.id == SIMPLE_BLOCK && b.end - b.body >= BLOCK_HEADER;
        let Some(block) = block.filter(ours).filter(|_| found.len() < CLUSTER_BLOCKS) else {
            return Ok(None);
        };
        let mut header = [0; 4];
        file.read_exact_at(&mut header, block.body)?;
        let [_, high, low, _] = header;
        let since = u64::from(u16::from_be_bytes([high, low]));
        found.push((base.saturating_add(since), block.end - block.body - BLOCK_HEADER));
        at = block.end;
    }
    Ok(Some(found))
}

/// The table of times, with places counted from `origin`.
fn cues(entries: &[(u64, u64)], origin: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for (time, at) in entries {
        let (mut place, mut point) = (Vec::with_capacity(16), Vec::with_capacity(32));
        unsigned(&mut place, 0xf7, TRACK);
        unsigned(&mut place, 0xf1, at.saturating_sub(origin));
        unsigned(&mut point, 0xb3, *time);
        element(&mut point, 0xb7, &place);
        element(&mut body, 0xbb, &point);
    }
    let mut out = Vec::with_capacity(body.len() + 12);
    element(&mut out, CUES, &body);
    out
}

#[cfg(test)]
mod tests {
    use rtms_protocol::VideoCodec;

    use super::*;

    /// Lets the disk of a writer be full, or not.
    fn fill(writer: &mut MkvWriter, path: &Path) {
        writer.path = path.to_path_buf();
        writer.file = None;
    }

    #[test]
    fn what_can_wait_for_the_disk_waits_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.mkv");
        let front = Front { codec: VideoCodec::Jpg, width: 16, height: 16 };
        let file = private().create_new(true).open(&path).expect("created");
        let mut writer = MkvWriter::create(file, path.clone(), front).expect("begun");
        writer.push(0, &[1; 100]).expect("taken");
        writer.flush().expect("written");
        fill(&mut writer, Path::new("/dev/full"));
        writer.push(1_000, &[2; 100]).expect("waits");
        assert!(writer.flush().is_err_and(|error| error.is_disk()));
        // Too long for one cluster, and too much for memory: each costs what waited, and the picture itself.
        assert!(writer.push(40_000, &[3; 100]).is_err());
        writer.push(41_000, &vec![4; WAITING_BYTES]).expect("nothing waited");
        assert!(writer.push(41_500, &[5; 100]).is_err());
        assert_eq!(writer.take_given_up(), 2);
        fill(&mut writer, &path);
        writer.push(42_000, &[6; 100]).expect("taken");
        writer.finish().expect("finished");
        let (again, pictures, bytes) = MkvWriter::resume(&path).expect("ours");
        assert_eq!((pictures, bytes, again.last_at(), again.front()), (2, 200, Some(42_000), front));
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.mkv");
        std::fs::write(&path, [0x1a, 0x45, 0xdf, 0xa3, 0x80, 1, 2, 3]).expect("written");
        assert!(matches!(MkvWriter::resume(&path), Err(RecordError::Foreign { .. })));
        assert_eq!(std::fs::read(&path).expect("there").len(), 8);
    }
}
