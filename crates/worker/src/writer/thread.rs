//! The loop of one writer thread.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rtms_protocol::UnixMillis;
use rtms_service::time::unix_millis;
use tokio::sync::mpsc;

use super::Job;
use super::disk::Disk;
use super::finisher::{Ended, Finisher};
use super::slot::Slot;
use crate::metrics;

/// Works until every handle and the pool itself are gone.
pub(super) fn run(mut queue: mpsc::Receiver<Job>, disk: &Disk, finisher: &Finisher) {
    let mut slots: HashMap<u64, Slot> = HashMap::new();
    while let Some(job) = queue.blocking_recv() {
        let key = job.key();
        // A fault in the recorder may cost one recording, never the others on this thread.
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut slots, job, disk, finisher)));
        if worked.is_err() {
            slots.remove(&key);
            tracing::error!(
                "a recording was given up after an internal fault; its files stay as they are; please report it"
            );
        }
    }
}

fn work(slots: &mut HashMap<u64, Slot>, job: Job, disk: &Disk, finisher: &Finisher) {
    let now = UnixMillis(unix_millis());
    match job {
        Job::Open { key, origin } => {
            slots.insert(key, Slot::begin(origin, now, disk));
        }
        Job::Batch { key, batch, _budget } => {
            if let Some(slot) = slots.get_mut(&key) {
                let began = Instant::now();
                slot.batch(batch, now, disk);
                ::metrics::histogram!(metrics::WRITE_SECONDS).record(began.elapsed().as_secs_f64());
            }
        }
        Job::Flush { key } => {
            if let Some(slot) = slots.get_mut(&key) {
                slot.flush(now, disk);
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
                slot.batch(last, now, disk);
                finisher.finish(Ended { slot, end, answer });
            }
        }
        Job::HandOver { key, last, at, answer } => {
            if let Some(mut slot) = slots.remove(&key) {
                slot.batch(last, now, disk);
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
            | Self::Flush { key }
            | Self::Progress { key, .. }
            | Self::Finish { key, .. }
            | Self::HandOver { key, .. } => *key,
        }
    }
}
