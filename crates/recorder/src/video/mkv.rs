//! JPEG or PNG pictures to Matroska, streaming, valid whenever it is looked at, seekable at the end.
//!
//! Each flush appends one whole cluster with one write, and then the duration, so a reader finds whole clusters. At the
//! end sound is laid between the pictures (see [`super::mkv_sound`]), a table of times is appended, and one write at the
//! front makes it known. Every picture is a key frame, and its duration follows from the next one: nothing is held back.
//! Times are milliseconds. Refuses times that do not increase. (MP4 has no way to carry PNG that players know, and its
//! JPEG is known to few.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ebml::{element, unsigned};
use super::mkv_cluster::{CLUSTER_BYTES, Cluster, Clusters};
use super::mkv_front::{CUES, Ended, Front, TRACK, duration};
use super::mkv_sound::{Sounded, add_sound};
use crate::error::RecordError;
use crate::files::private;
use crate::take_up::remove_left_over;

/// Bytes of pictures that wait for a disk that refuses; then they are given up.
const WAITING_BYTES: usize = 1024 * 1024;
/// Longest time between the first and the last picture of a cluster, ms: they count from it in 16 bits.
const CLUSTER_MS: u64 = 30_000;
/// Least time between two entries of the table, ms.
const CUE_MS: u64 = 1_000;
/// Duration of a picture of which nothing better is known, and the longest of a last one, ms.
const LAST_MS: u64 = 1_000;
/// More than any front takes, bytes.
const FRONT_BYTES: usize = 1_024;

/// Writes one Matroska file.
#[derive(Debug)]
pub(crate) struct MkvWriter {
    path: PathBuf,
    front: Front,
    /// Opened anew after the disk refused: the volume may come back as another one.
    file: Option<File>,
    /// Where the next cluster goes.
    end: u64,
    /// Pictures that wait.
    waiting: Cluster,
    last_at: Option<u64>,
    /// Duration that the last picture is given, ms.
    last_ms: u64,
    /// Until when there is sound, ms of the file.
    sound_until: u64,
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
    /// When the last packet of sound begins, ms of the file.
    sound_until: u64,
    /// Time, and place of the cluster.
    cues: Vec<(u64, u64)>,
    /// Where the last complete cluster ends.
    end: u64,
}

impl Scan {
    /// Notes a picture at `at`, ms of the file, in the cluster at hand.
    fn picture(&mut self, front: &Front, at: u64, bytes: u64) {
        if self.cues.last().is_none_or(|(last, _)| at >= last + CUE_MS) {
            self.cues.push((at, self.end));
        }
        let at = at.saturating_sub(front.pictures_from());
        self.last_ms = self.last_at.map_or(LAST_MS, |last| at.saturating_sub(last).clamp(1, LAST_MS));
        self.last_at = Some(at);
        self.pictures += 1;
        self.bytes += bytes;
    }
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
        remove_left_over(path)?;
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
            let growing = front.layout(writer.until(), None).bytes;
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
            waiting: Cluster::default(),
            last_at: scan.last_at,
            last_ms: scan.last_ms,
            sound_until: scan.sound_until,
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

    /// The same on the clock of the file, and the sound with it.
    fn until(&self) -> u64 {
        (self.front.pictures_from() + self.duration_ms()).max(self.sound_until)
    }

    /// Takes a picture shown at `at` (ms after the first, later than the last one).
    ///
    /// # Errors
    /// The disk refused for so long that waiting pictures were given up.
    pub(crate) fn push(&mut self, at: u64, picture: &[u8]) -> Result<(), RecordError> {
        let full = self.waiting.len() + picture.len() > CLUSTER_BYTES;
        if (full || self.waiting.since_first(at) > CLUSTER_MS)
            && let Err(error) = self.flush()
            && (self.waiting.len() + picture.len() > WAITING_BYTES || !full)
        {
            self.given_up += self.waiting.count();
            self.waiting = Cluster::default();
            return Err(error);
        }
        self.waiting.push(TRACK, at, picture);
        self.last_ms = self.last_at.map_or(LAST_MS, |last| at.saturating_sub(last).clamp(1, LAST_MS));
        self.last_at = Some(at);
        Ok(())
    }

    /// Writes every picture.
    ///
    /// # Errors
    /// The disk refused; the pictures wait for the next time.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        if self.waiting.count() == 0 {
            return Ok(());
        }
        let out = self.waiting.encoded(self.front.pictures_from());
        let length = duration(self.until());
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
        self.waiting.clear();
        Ok(())
    }

    /// Writes the rest, the Ogg Opus file `sound` between the pictures, where there is one, which begin so many ms after
    /// it, and the table of times.
    ///
    /// # Errors
    /// The disk refused; the file is still a valid one that grows. Where only the sound could not be had, it is finished
    /// without.
    pub(crate) fn finish(&mut self, sound: Option<(&Path, i64)>) -> Result<(), RecordError> {
        self.flush()?;
        let sounded = sound.map_or(Ok(()), |(ogg, offset)| self.take_sound(ogg, offset));
        self.complete().and(sounded)
    }

    fn take_sound(&mut self, ogg: &Path, offset: i64) -> Result<(), RecordError> {
        let Sounded { file, front, end, sound_until } = add_sound(&self.path, &self.front, ogg, offset)?;
        (self.file, self.front, self.end, self.sound_until) = (Some(file), front, end, sound_until);
        Ok(())
    }

    /// Appends the table, and makes it known.
    fn complete(&self) -> Result<(), RecordError> {
        let file = open(&self.path)?;
        let io = |error| RecordError::io("finish", &self.path)(error);
        file.set_len(self.end).map_err(io)?;
        let scan = scan(&file, &self.front).map_err(io)?;
        let cues = cues(&scan.cues, self.front.layout(0, None).origin);
        file.write_all_at(&cues, self.end).map_err(io)?;
        // The table must be on the disk before it is made known.
        file.sync_data().map_err(io)?;
        let ended = Ended { cues_at: self.end, end: self.end + cues.len() as u64 };
        file.write_all_at(&self.front.layout(self.until(), Some(ended)).bytes, 0).map_err(io)
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
    let mut clusters = Clusters::new(file, front.layout(0, None).bytes.len() as u64)?;
    let mut scan = Scan { last_ms: LAST_MS, ..Scan::default() };
    loop {
        scan.end = clusters.at();
        let Some(blocks) = clusters.next()? else { return Ok(scan) };
        for block in blocks {
            if block.track == TRACK {
                scan.picture(front, block.at, block.bytes);
            } else {
                scan.sound_until = block.at;
            }
        }
    }
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
        let front = Front { codec: VideoCodec::Jpg, width: 16, height: 16, sound: None };
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
        writer.finish(None).expect("finished");
        let (again, pictures, bytes) = MkvWriter::resume(&path).expect("ours");
        assert_eq!((pictures, bytes, again.last_at(), again.front()), (2, 200, Some(42_000), front));
    }

    #[test]
    fn where_the_sound_cannot_be_had_the_pictures_are_finished_all_the_same() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (path, ogg) = (dir.path().join("a.mkv"), dir.path().join("a.ogg"));
        let front = Front { codec: VideoCodec::Png, width: 16, height: 16, sound: None };
        let file = private().create_new(true).open(&path).expect("created");
        let mut writer = MkvWriter::create(file, path.clone(), front).expect("begun");
        writer.push(0, &[1; 100]).expect("taken");
        assert!(writer.finish(Some((&ogg, 0))).is_err_and(|error| error.is_disk()), "there is none");
        std::fs::write(&ogg, "no Ogg").expect("written");
        assert!(matches!(writer.finish(Some((&ogg, 0))), Err(RecordError::Foreign { .. })));
        let bytes = std::fs::read(&path).expect("there");
        assert_eq!(Front::read(&bytes), Some((front, true)), "finished, without sound");
        assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 2, "nothing is left beside it");
        let (again, pictures, payload) = MkvWriter::resume(&path).expect("ours");
        assert_eq!((pictures, payload, again.duration_ms()), (1, 100, LAST_MS));
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
