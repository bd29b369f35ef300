//! The threads on which recordings are finished.
//!
//! To hash the files of a long call, to encode its sound for the video, takes seconds. On a writer thread the live
//! streams there would wait as long, so a recording that has ended is handed to these. There are two, so that a call of
//! hours holds up one of them and the short ones pass it by. An engagement ends when its recording is finished, so no
//! more can wait here than there may be engagements. A process that ends before all are finished leaves them as
//! `recording`, and the next start finishes them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rtms_recorder::{Manifest, RecordError, RecordingEnd};
use tokio::sync::oneshot;

use super::disk::Disk;
use super::slot::Slot;

const THREADS: usize = 2;

/// A recording that has ended.
pub(super) struct Ended {
    pub(super) slot: Slot,
    pub(super) end: RecordingEnd,
    /// Told what became of it; nothing where the disk never took it.
    pub(super) answer: oneshot::Sender<Result<Box<Manifest>, RecordError>>,
}

/// The way to the threads.
#[derive(Debug)]
pub(super) struct Finisher {
    queue: Sender<Ended>,
}

impl Finisher {
    /// Starts the threads. They end when this is dropped and everything is finished.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(disk: &Arc<Disk>) -> io::Result<Self> {
        let (queue, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for index in 0..THREADS {
            let (receiver, disk) = (Arc::clone(&receiver), Arc::clone(disk));
            std::thread::Builder::new()
                .name(format!("finisher-{index}"))
                .spawn(move || run(&receiver, &disk))?;
        }
        Ok(Self { queue })
    }

    /// Has a recording finished. Returns at once.
    pub(super) fn finish(&self, ended: Ended) {
        if self.queue.send(ended).is_err() {
            tracing::error!("the threads that finish recordings are gone; the next start finishes this one");
        }
    }
}

fn run(queue: &Mutex<Receiver<Ended>>, disk: &Disk) {
    loop {
        // Held while this thread waits: the other one waits for the lock instead, which is the same.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Ended { slot, end, answer }) = next else { return };
        // A fault in the recorder may cost one recording, never the thread.
        match catch_unwind(AssertUnwindSafe(|| slot.finish(end, disk))) {
            // Whoever asked may be gone.
            Ok(finished) => drop(finished.map(|finished| answer.send(finished))),
            Err(_) => tracing::error!(
                "a recording was not finished after an internal fault; its files stay as they are; please report it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{MediaKind, MediaSet, Product, StreamIdentity, UnixMillis};
    use rtms_recorder::{Partition, RecordingSpec, RecordingState};

    use super::super::Origin;
    use super::*;

    #[test]
    fn many_that_end_at_once_are_all_finished() {
        let dir = tempfile::tempdir().expect("tempdir");
        let disk = Arc::new(Disk::default());
        let finisher = Finisher::start(&disk).expect("threads");
        let at = UnixMillis(1_765_449_000_000);
        let waiting: Vec<_> = (0..20)
            .map(|n| {
                let spec = RecordingSpec {
                    data_dir: dir.path().to_path_buf(),
                    partition: Partition::None,
                    identity: StreamIdentity {
                        product: Product::Phone,
                        id: format!("call{n}"),
                        stream_id: format!("stream{n}"),
                    },
                    started_at: at,
                    account_id: None,
                    expect: MediaSet::of(MediaKind::Audio),
                    images: MediaSet::EMPTY,
                    server_urls: Vec::new(),
                };
                let (closer, _) = std::sync::mpsc::sync_channel(1);
                let slot = Slot::begin(Origin::New(Box::new(spec)), closer, at, &disk);
                let (answer, receiver) = oneshot::channel();
                let end = RecordingEnd { at, state: RecordingState::Complete, stop_reason: None };
                finisher.finish(Ended { slot, end, answer });
                receiver
            })
            .collect();
        for receiver in waiting {
            let manifest = receiver.blocking_recv().expect("answered").expect("finished");
            assert_eq!(manifest.state, RecordingState::Complete);
        }
    }
}
