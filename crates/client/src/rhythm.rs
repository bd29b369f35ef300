//! When the rests of many connections end: at one time as many as at another, and longer rests where there are many.
//!
//! Time is cut into slots. A rest is so many of them, and each connection has its place among those; whoever has the same
//! place is read one after the other. The more connections there are, the more slots a rest has, so that a slot never has
//! to hold much more than it did with few: what a read costs is then shared by more packets, and the thread that reads has
//! as many reads a second as before.
//!
//! Places come from a grid that all share, not from when a connection was last read: else one stall would put all into one
//! place, for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a slot is, ms.
const SLOT_MS: u64 = 8;

/// Slots of the longest rest: of 10 s.
const MOST_SLOTS: u32 = 1_250;

/// Rests get shorter only when they could be shorter by more slots than this. Each change gives all connections other
/// places, which costs each of them a short rest: not for a few that come and go.
const SLACK: u32 = 2;

/// How long connections rest between reads, in steps of 8 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rests {
    /// With few connections; 8 ms at least.
    pub shortest: Duration,
    /// With any number; 10 s at most.
    pub longest: Duration,
    /// Rests grow where otherwise more connections than this would be read within 8 ms.
    pub at_a_time: u32,
}

impl Rests {
    /// As long as this, however many connections there are.
    #[must_use]
    pub const fn of(rest: Duration) -> Self {
        Self { shortest: rest, longest: rest, at_a_time: u32::MAX }
    }
}

/// Gives connections their rhythm.
#[derive(Debug)]
pub(crate) struct Rhythms {
    began: Instant,
    /// Slots that a rest has at least, and at most.
    least: u32,
    most: u32,
    at_a_time: u32,
    /// Slots that a rest has now.
    slots: AtomicU32,
    connections: AtomicU32,
    given: AtomicU32,
}

impl Rhythms {
    pub(crate) fn new(now: Instant, rests: Rests) -> Self {
        let slots =
            |rest: Duration| u32::try_from(rest.as_millis() / u128::from(SLOT_MS)).unwrap_or(MOST_SLOTS);
        let least = slots(rests.shortest).clamp(1, MOST_SLOTS);
        let most = slots(rests.longest).clamp(least, MOST_SLOTS);
        Self {
            began: now,
            least,
            most,
            at_a_time: rests.at_a_time.max(1),
            slots: AtomicU32::new(least),
            connections: AtomicU32::new(0),
            given: AtomicU32::new(0),
        }
    }

    /// The next connection's.
    pub(crate) fn next(self: &Arc<Self>) -> Arc<Rhythm> {
        self.fit(self.connections.fetch_add(1, Ordering::Relaxed) + 1);
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        Arc::new(Rhythm { rhythms: Arc::clone(self), number })
    }

    /// Lets rests be as long as so many connections need.
    fn fit(&self, connections: u32) {
        let wanted = connections.div_ceil(self.at_a_time).clamp(self.least, self.most);
        let slots = self.slots.load(Ordering::Relaxed);
        if wanted > slots || wanted + SLACK < slots {
            self.slots.store(wanted, Ordering::Relaxed);
        }
    }
}

/// When a connection's rests end. Dropped with the connection.
#[derive(Debug)]
pub(crate) struct Rhythm {
    rhythms: Arc<Rhythms>,
    number: u32,
}

impl Rhythm {
    fn slots(&self) -> u32 {
        self.rhythms.slots.load(Ordering::Relaxed)
    }

    /// How long rests are now.
    pub(crate) fn rest(&self) -> Duration {
        Duration::from_millis(u64::from(self.slots()) * SLOT_MS)
    }

    /// When a rest that begins now ends: no later than its length from now, and while that length stays the same, each so
    /// much later than the one before, however late it was read. A `brief` one is of the shortest.
    pub(crate) fn end_of_rest(&self, now: Instant, brief: bool) -> Instant {
        let slots = u64::from(if brief { self.rhythms.least } else { self.slots() });
        let place = u64::from(self.number) % slots;
        let passed = now.saturating_duration_since(self.rhythms.began).as_millis();
        let next = u64::try_from(passed).unwrap_or_default() / SLOT_MS + 1;
        let end = next + (place + slots - next % slots) % slots;
        self.rhythms.began + Duration::from_millis(end * SLOT_MS)
    }
}

impl Drop for Rhythm {
    fn drop(&mut self) {
        self.rhythms.fit(self.rhythms.connections.fetch_sub(1, Ordering::Relaxed).saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    proptest! {
        #[test]
        fn rests_end_in_time_and_each_a_rest_after_the_one_before(
            rest in 0_u64..12_000, nth in 0..25_usize, passed in 0_u64..10_000_000_000, late in 0.0..0.999,
        ) {
            let began = Instant::now();
            let rhythms = Arc::new(Rhythms::new(began, Rests::of(ms(rest))));
            (0..nth).for_each(|_| drop(rhythms.next()));
            let rhythm = rhythms.next();
            let long = rhythm.rest();
            prop_assert!(long <= ms(rest.max(8)) && long + ms(8) > ms(rest.min(10_000)), "{long:?}");
            let now = began + Duration::from_nanos(passed);
            let end = rhythm.end_of_rest(now, false);
            prop_assert!(end > now && end <= now + long);
            prop_assert_eq!(rhythm.end_of_rest(end + long.mul_f64(late), false), end + long);
        }
    }

    #[test]
    fn as_many_connections_wake_at_one_time_as_at_another() {
        let began = Instant::now();
        let rhythms = Arc::new(Rhythms::new(began, Rests::of(ms(120))));
        let all: Vec<_> = (0..1_500).map(|_| rhythms.next()).collect();
        let mut ends: Vec<_> =
            all.iter().map(|rhythm| rhythm.end_of_rest(began + ms(100_000), false)).collect();
        ends.sort_unstable();
        let groups: Vec<usize> = ends.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        assert_eq!(groups, [100; 15]);
    }

    #[test]
    fn rests_are_longer_with_many_connections_and_change_for_no_few_of_them() {
        let rests = Rests { shortest: ms(80), longest: ms(160), at_a_time: 80 };
        let rhythms = Arc::new(Rhythms::new(Instant::now(), rests));
        let mut all = Vec::new();
        let mut with = |connections: usize| {
            all.resize_with(connections, || rhythms.next());
            all.first().map(|first: &Arc<Rhythm>| first.rest().as_millis())
        };
        assert_eq!([1, 800, 801, 1_000, 2_000, 3_000].map(&mut with), [80, 80, 88, 104, 160, 160].map(Some));
        assert_eq!(
            [1_600, 1_521, 1_361].map(&mut with),
            [160; 3].map(Some),
            "they could be a little shorter"
        );
        assert_eq!([1_360, 1_361, 1_441].map(&mut with), [136, 144, 152].map(Some));
        assert_eq!([100, 1].map(&mut with), [80; 2].map(Some));
    }
}
