//! What a writer thread counts with every batch, found once: to find a counter by its name costs more than to count.

use std::time::Duration;

use metrics::{Counter, Histogram};
use rtms_protocol::MediaKind;

use super::Item;
use crate::metrics::{PACKET_BYTES, PACKETS, WRITE_SECONDS};

/// The counters of one thread.
pub(super) struct Counts {
    kinds: [(MediaKind, Counter, Counter); MediaKind::ALL.len()],
    seconds: Histogram,
}

impl Counts {
    /// Finds them, in the recorder that is installed by now.
    pub(super) fn find() -> Self {
        let of = |kind: MediaKind| {
            let packets = metrics::counter!(PACKETS, "kind" => kind.word());
            (kind, packets, metrics::counter!(PACKET_BYTES, "kind" => kind.word()))
        };
        Self { kinds: MediaKind::ALL.map(of), seconds: metrics::histogram!(WRITE_SECONDS) }
    }

    /// Counts packets that are being recorded.
    pub(super) fn packets(&self, items: &[Item]) {
        for (kind, packets, bytes) in &self.kinds {
            let of_kind = items.iter().filter_map(|item| match item {
                Item::Media(_, frame) if frame.kind == *kind => Some(frame.bytes.len() as u64),
                _ => None,
            });
            let (count, sum) = of_kind.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
            if count > 0 {
                packets.increment(count);
                bytes.increment(sum);
            }
        }
    }

    /// Notes how long a batch took to the page cache.
    pub(super) fn written(&self, took: Duration) {
        self.seconds.record(took.as_secs_f64());
    }
}
