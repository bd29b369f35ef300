//! The loop of one writer thread.
//!
//! It asks no clock for the time: each job says when it was asked for. Behind a busy disk that is earlier than it is done, and what
//! arrived meanwhile waits in the queue: a packet that is next there is not late.

use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Job;
use super::counts::Counts;
use super::disk::Disk;
use super::finisher::{Ended, Finisher};
use super::slot::Slot;

/// What the writer threads share.
pub(super) struct Helpers {
    pub(super) disk: Arc<Disk>,
    pub(super) finisher: Arc<Finisher>,
    /// Where replaced manifests are closed.
    pub(super) closer: SyncSender<File>,
}

/// Works until every handle and the pool itself are gone.
pub(super) fn run(mut queue: mpsc::Receiver<Job>, helpers: &Helpers) {
    let mut slots: HashMap<u64, Slot> = HashMap::new();
    let counts = Counts::find();
    while let Some(job) = queue.blocking_recv() {
        let key = job.key();
        // A fault in the recorder may cost one recording, never the others on this thread.
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut slots, job, helpers, &counts)));
        if worked.is_err() {
            slots.remove(&key);
            tracing::error!(
                "a recording was given up after an internal fault; its files stay as they are; please report it"
            );
        }
    }
}

fn work(slots: &mut HashMap<u64, Slot>, job: Job, helpers: &Helpers, counts: &Counts) {
    let Helpers { disk, finisher, closer } = helpers;
    match job {
        Job::Open { key, origin, at } => {
            slots.insert(key, Slot::begin(origin, closer.clone(), at, disk));
        }
        Job::Batch { key, batch, at, _budget } => {
            if let Some(slot) = slots.get_mut(&key) {
                let began = Instant::now();
                slot.batch(batch, at, disk, counts);
                counts.written(began.elapsed());
            }
        }
        Job::Flush { key, at } => {
            if let Some(slot) = slots.get_mut(&key) {
                slot.flush(at, disk);
            }
        }
        Job::Progress { key, answer } => {
            if let Some(progress) = slots.get(&key).and_then(Slot::progress) {
                // Whoever asked may have lost patience.
                drop(answer.send(progress));
            }
        }
        Job::Finish { key, last, end, answer } => {
            if let Some(mut slot) = slots.remove(&key) {
                slot.batch(last, end.at, disk, counts);
                finisher.finish(Ended { slot, end, answer });
            }
        }
        Job::HandOver { key, last, at, answer } => {
            if let Some(mut slot) = slots.remove(&key) {
                slot.batch(last, at, disk, counts);
                // Whoever asked may have lost patience.
                drop(slot.hand_over(at, disk).map(|left| answer.send(left)));
            }
        }
    }
}

impl Job {
    const fn key(&self) -> u64 {
        match self {
            Self::Open { key, .. }
            | Self::Batch { key, .. }
            | Self::Flush { key, .. }
            | Self::Progress { key, .. }
            | Self::Finish { key, .. }
            | Self::HandOver { key, .. } => *key,
        }
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::frame::encode_payload;
    use rtms_protocol::rtp::RtpPacket;
    use rtms_protocol::{
        AudioCodec, AudioContent, AudioData, AudioParams, Channels, MediaFrame, MediaKind, MediaPacket,
        MediaParams, MediaSet, Product, SampleRate, StreamIdentity, UnixMillis, WireId,
    };
    use rtms_recorder::{Partition, RecordingEnd, RecordingSpec, RecordingState};
    use tokio::sync::{Semaphore, oneshot};

    use super::super::{Batch, Item, Origin, closer};
    use super::*;

    const START: UnixMillis = UnixMillis(1_765_449_000_000);

    /// Packet `n` of 20 ms, in RTP, which arrived `ms` after the start.
    fn packet(n: u16, ms: i64) -> Item {
        let mut bytes = Vec::new();
        let timestamp = u32::from(n) * 160;
        RtpPacket { sequence: n, timestamp, payload: &[0x55; 160], ..RtpPacket::default() }.write(&mut bytes);
        let at = START.plus(i64::from(n) * 20);
        let mut packet = MediaPacket::new(MediaKind::Audio, at, encode_payload(&bytes));
        packet.user_id = Some(WireId::Number(0));
        Item::Media(START.plus(ms), MediaFrame { kind: MediaKind::Audio, bytes: packet.to_json().into() })
    }

    fn batch(ms: i64, items: impl IntoIterator<Item = Item>) -> Job {
        let mut batch = Batch::default();
        items.into_iter().for_each(|item| batch.push(item));
        let budget = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("free");
        Job::Batch { key: 0, batch, at: START.plus(ms), _budget: budget }
    }

    #[test]
    fn what_came_in_time_is_not_lost_because_the_disk_took_it_late() {
        let dir = tempfile::tempdir().expect("tempdir");
        let spec = RecordingSpec {
            data_dir: dir.path().to_path_buf(),
            partition: Partition::None,
            identity: StreamIdentity { product: Product::Phone, id: "call".into(), stream_id: "s".into() },
            started_at: START,
            account_id: None,
            expect: MediaSet::of(MediaKind::Audio),
            images: MediaSet::EMPTY,
            server_urls: Vec::new(),
        };
        let audio = AudioParams {
            content_type: AudioContent::Rtp,
            codec: AudioCodec::G711,
            sample_rate: SampleRate::Hz8000,
            channels: Channels::Mono,
            data_opt: AudioData::Mixed,
            send_rate_ms: 20,
        };
        let granted = Item::Granted(Box::new(MediaParams { audio: Some(audio), ..MediaParams::default() }));
        let (answer, finished) = oneshot::channel();
        let end = RecordingEnd { at: START.plus(2_000), state: RecordingState::Complete, stop_reason: None };
        // Written long after: no disk keeps up with a call that is over.
        let (sender, queue) = mpsc::channel(16);
        for job in [
            Job::Open { key: 0, origin: Origin::New(Box::new(spec)), at: START },
            // 1 is on its way, while the batch waits for room.
            batch(900, [granted, packet(0, 10), packet(2, 40)]),
            Job::Flush { key: 0, at: START.plus(100) },
            batch(250, [packet(1, 190), packet(3, 200), packet(5, 240)]),
            // Nobody has heard of 4 by now.
            Job::Flush { key: 0, at: START.plus(1_250) },
            batch(1_300, [packet(4, 1_260)]),
            Job::Finish { key: 0, last: Batch::default(), end, answer },
        ] {
            sender.try_send(job).expect("room");
        }
        drop(sender);
        let disk = Arc::new(Disk::default());
        let finisher = Arc::new(Finisher::start(&disk).expect("threads"));
        run(queue, &Helpers { disk, finisher, closer: closer::start().expect("a thread") });
        let manifest = finished.blocking_recv().expect("answered").expect("finished");
        assert_eq!((manifest.dropped.behind, manifest.dropped.lost()), (1, 1), "4, and nothing else");
        assert_eq!((manifest.tracks[0].packets, manifest.tracks[0].gaps), (5, 1));
    }
}
