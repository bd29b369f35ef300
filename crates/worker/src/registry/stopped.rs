//! Streams that are over, remembered for as long as Zoom may still deliver their earlier events.

use std::collections::{HashMap, VecDeque};

use rtms_protocol::UnixMillis;

/// Zoom delivers again up to 85 minutes later.
const REMEMBER_MS: i64 = 2 * 60 * 60 * 1000;
/// The most that is remembered; beyond it the oldest goes.
const MOST: usize = 20_000;

/// When streams stopped.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    at: HashMap<String, UnixMillis>,
    order: VecDeque<(UnixMillis, String)>,
}

impl Stopped {
    /// Notes that a stream stopped at `event_ts`; heard of at `now`.
    pub(super) fn note(&mut self, stream_id: &str, event_ts: UnixMillis, now: UnixMillis) {
        let expired = |heard: UnixMillis| now.since(heard) > REMEMBER_MS;
        while self.order.front().is_some_and(|(heard, _)| expired(*heard) || self.order.len() >= MOST) {
            if let Some((_, oldest)) = self.order.pop_front() {
                self.at.remove(&oldest);
            }
        }
        match self.at.get_mut(stream_id) {
            Some(known) => *known = (*known).max(event_ts),
            None => {
                self.at.insert(stream_id.to_owned(), event_ts);
                self.order.push_back((now, stream_id.to_owned()));
            }
        }
    }

    /// Whether a start at `event_ts` is one that a known stop has ended.
    pub(super) fn is_over(&self, stream_id: &str, event_ts: UnixMillis) -> bool {
        self.at.get(stream_id).is_some_and(|stopped| event_ts <= *stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_before_the_stop_is_over_and_a_later_one_is_new() {
        let mut stopped = Stopped::default();
        stopped.note("s", UnixMillis(100), UnixMillis(0));
        assert!(stopped.is_over("s", UnixMillis(100)));
        assert!(stopped.is_over("s", UnixMillis(1)));
        assert!(!stopped.is_over("s", UnixMillis(101)));
        assert!(!stopped.is_over("other", UnixMillis(1)));
        stopped.note("s", UnixMillis(50), UnixMillis(1));
        assert!(stopped.is_over("s", UnixMillis(100)), "an older stop does not undo a newer one");
    }

    #[test]
    fn memory_is_bounded_in_time_and_number() {
        let mut stopped = Stopped::default();
        for n in 0..MOST + 10 {
            stopped.note(&n.to_string(), UnixMillis(1), UnixMillis(0));
        }
        assert_eq!((stopped.at.len(), stopped.order.len()), (MOST, MOST));
        stopped.note("late", UnixMillis(1), UnixMillis(REMEMBER_MS + 1));
        assert_eq!((stopped.at.len(), stopped.order.len()), (1, 1));
    }
}
