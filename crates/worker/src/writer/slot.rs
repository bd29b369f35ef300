//! One recording on its thread: open, or still waiting for a disk that takes it.

use std::fs::File;
use std::sync::mpsc::SyncSender;

use rtms_protocol::UnixMillis;
use rtms_recorder::{DropReason, Manifest, Progress, RecordError, Recording, RecordingEnd, repair_recording};

use super::Origin;
use super::batch::{Batch, Item};
use super::counts::Counts;
use super::disk::Disk;
use crate::metrics;

/// Events and the like that are kept for a recording that cannot be begun yet.
const MOST_KEPT: usize = 1_000;
/// Between attempts to begin a recording on a disk that refused, ms.
const RETRY_MS: i64 = 1_000;

/// A recording, or what is to become one.
pub(super) enum Slot {
    /// Files are being written.
    Open(Box<Recording>),
    /// The disk has not taken the first manifest yet. Media is lost meanwhile, the rest is kept.
    Waiting { origin: Origin, closer: SyncSender<File>, kept: Vec<Item>, lost: u64, tried_at: UnixMillis },
}

impl Slot {
    /// `closer` takes replaced manifests.
    pub(super) fn begin(origin: Origin, closer: SyncSender<File>, now: UnixMillis, disk: &Disk) -> Self {
        let mut slot = Self::Waiting { origin, closer, kept: Vec::new(), lost: 0, tried_at: now };
        slot.try_open(now, disk);
        slot
    }

    fn try_open(&mut self, now: UnixMillis, disk: &Disk) {
        let Self::Waiting { origin, closer, kept, lost, tried_at } = self else { return };
        *tried_at = now;
        match open(origin, now) {
            Ok(mut recording) => {
                recording.lost(DropReason::Disk, *lost);
                recording.close_elsewhere(closer.clone());
                let kept = std::mem::take(kept);
                let mut opened = Self::Open(Box::new(recording));
                kept.into_iter().for_each(|item| opened.record(item, disk));
                *self = opened;
            }
            Err(error) => {
                note_disk(disk, &error);
                tracing::error!(
                    stream = %origin.spec().identity.stream_id, %error,
                    "the recording cannot be begun; media is lost until the data folder can be written, tried each second"
                );
            }
        }
    }

    /// Records everything in a batch that was handed over at `at`, then flushes. What waits for an earlier packet waits
    /// by the arrivals: the time that passes before the disk takes the batch makes nothing late.
    pub(super) fn batch(&mut self, batch: Batch, at: UnixMillis, disk: &Disk, counts: &Counts) {
        if let Self::Waiting { tried_at, .. } = self
            && at.since(*tried_at) >= RETRY_MS
        {
            self.try_open(at, disk);
        }
        let newest = batch.newest().unwrap_or(at);
        self.tell_lost(batch.lost());
        let items = batch.into_items();
        if matches!(self, Self::Open(_)) {
            counts.packets(&items);
        }
        items.into_iter().for_each(|item| self.record(item, disk));
        self.flush(newest, disk);
    }

    /// Packets that the disk cost before they came to the recording.
    fn tell_lost(&mut self, packets: u64) {
        match self {
            Self::Open(recording) => recording.lost(DropReason::Disk, packets),
            Self::Waiting { lost, .. } => *lost += packets,
        }
    }

    fn record(&mut self, item: Item, disk: &Disk) {
        let recording = match self {
            Self::Open(recording) => recording,
            Self::Waiting { kept, lost: unrecorded, .. } => {
                if matches!(item, Item::Media(..)) {
                    *unrecorded += 1;
                    lost("disk", 1);
                } else if kept.len() < MOST_KEPT {
                    kept.push(item);
                }
                return;
            }
        };
        match item {
            Item::Media(arrived, frame) => {
                let result = match frame.packet() {
                    Ok(packet) => recording.media(arrived, &packet),
                    Err(error) => {
                        recording.lost(DropReason::Undecodable, 1);
                        Err(RecordError::from(error))
                    }
                };
                if let Err(error) = result {
                    note(disk, &error);
                }
            }
            Item::Event(event) => recording.event(&event),
            Item::Granted(params) => recording.granted(&params),
            Item::Interrupted(at, cause) => recording.interrupted(at, cause),
            Item::Resumed(at) => recording.resumed(at),
            Item::Paused(at) => recording.paused(at),
            Item::Unpaused(at) => recording.unpaused(at),
            Item::ServerUrls(urls) => recording.server_urls_changed(urls),
            Item::VideoChosen(user_id) => recording.video_chosen(user_id),
        }
    }

    pub(super) fn flush(&mut self, now: UnixMillis, disk: &Disk) {
        if let Self::Open(recording) = self {
            match recording.flush(now) {
                Ok(()) => {
                    if disk.worked() {
                        tracing::info!("the data folder can be written again");
                    }
                }
                Err(error) => note(disk, &error),
            }
        }
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        match self {
            Self::Open(recording) => Some(recording.progress()),
            Self::Waiting { .. } => None,
        }
    }

    pub(super) fn finish(
        mut self,
        end: RecordingEnd,
        disk: &Disk,
    ) -> Option<Result<Box<Manifest>, RecordError>> {
        self.try_open(end.at, disk);
        match self {
            Self::Open(recording) => {
                let finished = recording.finish(end).map(Box::new);
                if let Err(error) = &finished {
                    note(disk, error);
                }
                Some(finished)
            }
            Self::Waiting { .. } => None,
        }
    }

    pub(super) fn hand_over(self, at: UnixMillis, disk: &Disk) -> Option<Result<(), RecordError>> {
        match self {
            Self::Open(recording) => {
                let left = recording.hand_over(at);
                if let Err(error) = &left {
                    note(disk, error);
                }
                Some(left)
            }
            Self::Waiting { .. } => None,
        }
    }
}

/// Begins a recording, or takes up one that was left. One that cannot be taken up is finished as it is, and a new one
/// is begun: what comes from now on must not depend on what was.
fn open(origin: &Origin, now: UnixMillis) -> Result<Recording, RecordError> {
    let (stored, spec) = match origin {
        Origin::New(spec) => return Recording::create((**spec).clone()),
        Origin::Left { stored, spec } => (stored, spec),
    };
    match Recording::resume(&spec.data_dir, (**stored).clone(), spec.partition, now) {
        Err(error) if !error.is_disk() => {
            tracing::error!(
                stream = %spec.identity.stream_id, %error,
                "what an earlier process recorded cannot be taken up; it stays as it is and a new recording is begun"
            );
            if let Err(error) = repair_recording(&spec.data_dir, stored, now) {
                tracing::error!(stream = %spec.identity.stream_id, %error, "nor could it be finished");
            }
            Recording::create((**spec).clone())
        }
        resumed => resumed,
    }
}

fn note(disk: &Disk, error: &RecordError) {
    if error.is_disk() {
        note_disk(disk, error);
        lost("disk", 1);
    } else {
        lost("undecodable", 1);
        tracing::debug!(%error, "a packet was skipped");
    }
}

fn note_disk(disk: &Disk, error: &RecordError) {
    ::metrics::counter!(metrics::DISK_ERRORS).increment(1);
    if disk.failed(&error.to_string()) {
        tracing::error!(
            %error,
            "the data folder cannot be written; streams stay connected, what is lost is counted and becomes silence; \
             free or repair the disk"
        );
    }
}

/// Counts packets that were received and not recorded.
pub(crate) fn lost(reason: &'static str, packets: u64) {
    ::metrics::counter!(metrics::LOST_PACKETS, "reason" => reason).increment(packets);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use bytes::Bytes;
    use rtms_protocol::{MediaFrame, MediaKind, MediaSet, Product, StreamIdentity};
    use rtms_recorder::{Partition, RecordingSpec, RecordingState};

    use super::*;

    const START: UnixMillis = UnixMillis(1_765_449_000_000);

    fn sound(bytes: &'static [u8]) -> Item {
        Item::Media(START, MediaFrame { kind: MediaKind::Audio, bytes: Bytes::from_static(bytes) })
    }

    #[test]
    fn the_manifest_tells_of_every_packet_that_never_came_to_the_recording() {
        let dir = tempfile::tempdir().expect("tempdir");
        // A file where the folder should be: a disk that does not take the recording.
        let data_dir = dir.path().join("data");
        std::fs::write(&data_dir, b"").expect("obstacle");
        let spec = RecordingSpec {
            data_dir: data_dir.clone(),
            partition: Partition::None,
            identity: StreamIdentity {
                product: Product::Phone,
                id: "call".to_owned(),
                stream_id: "stream".to_owned(),
            },
            started_at: START,
            account_id: None,
            expect: MediaSet::of(MediaKind::Audio),
            images: MediaSet::EMPTY,
            server_urls: Vec::new(),
        };
        let disk = Disk::default();
        let (closer, _) = sync_channel(1);
        let mut slot = Slot::begin(Origin::New(Box::new(spec)), closer, START, &disk);
        let counts = Counts::find();
        let mut late = Batch::default();
        late.push(sound(b"{}"));
        slot.batch(late, START, &disk, &counts);
        std::fs::remove_file(&data_dir).expect("the way is free");
        let mut shed = Batch::default();
        (0..4).for_each(|_| shed.push(sound(b"{}")));
        shed.shed();
        slot.batch(shed, START.plus(RETRY_MS), &disk, &counts);
        let mut rubbish = Batch::default();
        rubbish.push(sound(b"no JSON"));
        slot.batch(rubbish, START.plus(RETRY_MS), &disk, &counts);
        let end = RecordingEnd { at: START.plus(5_000), state: RecordingState::Complete, stop_reason: None };
        let manifest = slot.finish(end, &disk).expect("a recording").expect("finished");
        assert_eq!((manifest.dropped.disk, manifest.dropped.undecodable), (5, 1));
    }
}
