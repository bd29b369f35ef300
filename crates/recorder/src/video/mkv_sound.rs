//! The sound track of a finished Matroska file.
//!
//! Players read Matroska from front to back, so sound must lie between the pictures; and its times count from what came
//! first, which is not known before the end. Therefore the pictures are copied once, beside the file and with the Opus
//! packets in their places, and the copy takes the file's place in one step: until then there is the file as it was, and
//! from then on one that plays, whoever dies. One cluster is in memory at a time; the disk holds both for a while. Sound
//! laid between while the recording goes on would need no copy, but then the parties are not combined yet, and time zero
//! can still move.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::mkv_cluster::{Block, CLUSTER_BYTES, Cluster, Clusters};
use super::mkv_front::{Front, SOUND, Sounding, TRACK};
use crate::audio::ogg::packets::OggPackets;
use crate::error::RecordError;
use crate::files::{beside, create_private, remove, sync_folder};

/// Longest time between the first and the last block of a cluster, ms.
const CLUSTER_MS: u64 = 1_000;
/// Largest picture that is copied, bytes; messages are smaller.
const PICTURE_BYTES: u64 = 32 * 1024 * 1024;
/// Frames of sound in a ms.
const FRAMES_MS: u64 = 48;

/// A file that got its sound.
#[derive(Debug)]
pub(super) struct Sounded {
    pub(super) file: File,
    pub(super) front: Front,
    /// Where the last cluster ends.
    pub(super) end: u64,
    /// Until when there is sound, ms of the file.
    pub(super) sound_until: u64,
}

/// Replaces the file at `path`, which begins with `front`, by one with the same pictures and the packets of the Ogg
/// Opus file `ogg` between them; the pictures begin `offset` ms after the sound. Sound that it had is left out.
///
/// # Errors
/// The disk refused, or `ogg` is not one of ours; the file is as it was.
pub(super) fn add_sound(path: &Path, front: &Front, ogg: &Path, offset: i64) -> Result<Sounded, RecordError> {
    let temporary = beside(path);
    let made = copy(path, &temporary, front, ogg, offset);
    let placed = made.and_then(|sounded| {
        fs::rename(&temporary, path).map_err(RecordError::io("replace", path))?;
        sync_folder(path).map(|()| sounded)
    });
    if placed.is_err() {
        // That it cannot be removed would only hide the cause; the next process tries it again.
        let _ = remove(&temporary);
    }
    placed
}

fn copy(path: &Path, target: &Path, front: &Front, ogg: &Path, offset: i64) -> Result<Sounded, RecordError> {
    let foreign = || RecordError::Foreign { path: ogg.to_path_buf(), reason: "not our Ogg Opus".to_owned() };
    let packets = OggPackets::open(ogg)?.ok_or_else(foreign)?;
    let sounding =
        Sounding { channels: packets.channels(), pictures_from: u64::try_from(offset).unwrap_or(0) };
    let new = Front { sound: Some(sounding), ..*front };
    let source = File::open(path).map_err(RecordError::io("open", path))?;
    let file = create_private(target).map_err(RecordError::io("create", target))?;
    let end = new.layout(0, None).bytes.len() as u64;
    let mut copy = Copy { source, file, end, cluster: Cluster::default(), target };
    // What comes before the first cluster is written when it is known how long the file is.
    let mut sound = Packets::new(packets, u64::try_from(-offset).unwrap_or(0))?;
    let pictures_until = copy.pictures(path, front, &new, &mut sound)?;
    while let Some(at) = sound.at {
        copy.packet(at, &sound.packet)?;
        sound.advance()?;
    }
    copy.flush()?;
    let sound_until = sound.until();
    let io = RecordError::io("write", target);
    let front_bytes = new.layout(pictures_until.max(sound_until), None).bytes;
    copy.file.write_all_at(&front_bytes, 0).and_then(|()| copy.file.sync_data()).map_err(io)?;
    Ok(Sounded { file: copy.file, front: new, end: copy.end, sound_until })
}

/// The packets of the sound with their times.
struct Packets {
    packets: OggPackets,
    packet: Vec<u8>,
    /// When the packet begins, ms of the file; `None` behind the last one.
    at: Option<u64>,
    /// When the sound begins, ms of the file.
    from: u64,
    /// Frames before the packet, and in it.
    before: u64,
    frames: u64,
}

impl Packets {
    fn new(packets: OggPackets, from: u64) -> Result<Self, RecordError> {
        let mut new = Self { packets, packet: Vec::new(), at: None, from, before: 0, frames: 0 };
        new.advance()?;
        Ok(new)
    }

    fn advance(&mut self) -> Result<(), RecordError> {
        self.before += self.frames;
        let frames = self.packets.next(&mut self.packet)?;
        // From all frames, so that rounding never adds up.
        self.at = frames.map(|_| self.from + self.before / FRAMES_MS);
        self.frames = frames.map_or(0, u64::from);
        Ok(())
    }

    /// Until when it plays, ms of the file.
    fn until(&self) -> u64 {
        self.from + self.packets.frames() / FRAMES_MS
    }
}

/// The file that is being made.
struct Copy<'p> {
    source: File,
    file: File,
    end: u64,
    cluster: Cluster,
    target: &'p Path,
}

impl Copy<'_> {
    /// Copies the pictures, each with the sound before it; when the last one is shown, ms of the new file.
    fn pictures(
        &mut self,
        path: &Path,
        old: &Front,
        new: &Front,
        sound: &mut Packets,
    ) -> Result<u64, RecordError> {
        let source = self.source.try_clone().map_err(RecordError::io("open", path))?;
        let mut clusters = Clusters::new(&source, old.layout(0, None).bytes.len() as u64)
            .map_err(RecordError::io("read", path))?;
        let mut last = 0;
        while let Some(blocks) = clusters.next().map_err(RecordError::io("read", path))? {
            for block in blocks.into_iter().filter(|block| block.track == TRACK) {
                let at = block.at.saturating_sub(old.pictures_from()) + new.pictures_from();
                while let Some(before) = sound.at.filter(|before| *before < at) {
                    self.packet(before, &sound.packet)?;
                    sound.advance()?;
                }
                self.picture(at, block)?;
                last = at;
            }
        }
        Ok(last)
    }

    fn picture(&mut self, at: u64, block: Block) -> Result<(), RecordError> {
        let size = usize::try_from(block.bytes).ok().filter(|_| block.bytes <= PICTURE_BYTES);
        let size =
            size.ok_or(RecordError::Picture("larger than any that is sent, so no sound is laid beside"))?;
        self.make_room(at, size)?;
        let source = &self.source;
        let copied = self.cluster.push_with(TRACK, at, size, |body| source.read_exact_at(body, block.body));
        copied.map_err(RecordError::io("copy to", self.target))
    }

    fn packet(&mut self, at: u64, packet: &[u8]) -> Result<(), RecordError> {
        self.make_room(at, packet.len())?;
        self.cluster.push(SOUND, at, packet);
        Ok(())
    }

    fn make_room(&mut self, at: u64, size: usize) -> Result<(), RecordError> {
        let full = self.cluster.len() + size > CLUSTER_BYTES;
        if full || self.cluster.since_first(at) >= CLUSTER_MS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        if self.cluster.count() == 0 {
            return Ok(());
        }
        let out = self.cluster.encoded(0);
        self.file.write_all_at(&out, self.end).map_err(RecordError::io("write", self.target))?;
        self.end += out.len() as u64;
        self.cluster.clear();
        Ok(())
    }
}
