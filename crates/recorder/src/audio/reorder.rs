//! RTP packets of one track: back into their order, and where they lie to the sample.
//!
//! A packet that comes too early waits for those before it, in a small window. What does not come in time is a gap;
//! the timeline makes silence of it. The RTP timestamp counts samples, Zoom's counts ms: within a run of packets the
//! first says to the sample what the second says roughly.

use rtms_protocol::UnixMillis;
use rtms_protocol::rtp::{RtpPacket, sequence_since, timestamp_since};

use crate::counters::DropReason;

/// Most packets that wait for an earlier one.
const HELD: usize = 8;
/// How long one waits at most, ms.
const HELD_MS: i64 = 200;
/// Sequence numbers that are further apart belong to two runs.
const RUN: i16 = 64;
/// How far the two timestamps may be apart within a run, as a part of a second: 20 ms.
const APART: i64 = 50;

/// A packet with what it needs to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// When it arrived, our clock.
    pub(crate) arrived: UnixMillis,
    /// Zoom's timestamp.
    pub(crate) at: UnixMillis,
    /// How many frames it belongs later (or earlier) than the ms of that timestamp say.
    pub(crate) fine: i64,
    /// The codec's bytes.
    pub(crate) payload: Vec<u8>,
    sequence: u16,
}

/// The window of one track.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    /// The sequence number that is next.
    next: Option<u16>,
    /// The last 64 numbers before `next`: a bit for each that was let through, the newest lowest.
    seen: u64,
    held: Vec<Held>,
    line: RtpLine,
}

impl Reorder {
    /// Takes a packet of `frames` (of `rate` a second) and appends to `ready` what can be placed now, in order.
    ///
    /// # Errors
    /// Not taken: it was there before, or its place has passed.
    pub(crate) fn push(
        &mut self,
        (arrived, at): (UnixMillis, UnixMillis),
        packet: &RtpPacket<'_>,
        (frames, rate): (u64, u32),
        ready: &mut Vec<Held>,
    ) -> Result<(), DropReason> {
        let next = *self.next.get_or_insert(packet.sequence);
        let ahead = sequence_since(packet.sequence, next);
        if (-RUN..0).contains(&ahead) {
            let bit = 1_u64 << (-1 - ahead);
            return Err(if self.seen & bit == 0 { DropReason::Behind } else { DropReason::Repeat });
        }
        if !(-RUN..=RUN).contains(&ahead) {
            self.release(ready);
            (self.next, self.seen) = (Some(packet.sequence), 0);
        }
        let place = self.held.partition_point(|held| sequence_since(held.sequence, packet.sequence) < 0);
        if self.held.get(place).is_some_and(|held| held.sequence == packet.sequence) {
            return Err(DropReason::Repeat);
        }
        let fine = self.line.fine(packet, at, frames, rate);
        let payload = packet.payload.to_vec();
        self.held.insert(place, Held { arrived, at, fine, payload, sequence: packet.sequence });
        self.in_order(ready);
        while self.held.len() > HELD || self.spans_too_much() {
            self.pass_gap(ready);
        }
        Ok(())
    }

    /// Lets through what waited too long at `now`.
    pub(crate) fn due(&mut self, now: UnixMillis, ready: &mut Vec<Held>) {
        while self.held.iter().any(|held| now.since(held.arrived) >= HELD_MS) {
            self.pass_gap(ready);
        }
    }

    /// Lets everything through.
    pub(crate) fn release(&mut self, ready: &mut Vec<Held>) {
        while !self.held.is_empty() {
            self.pass_gap(ready);
        }
    }

    fn spans_too_much(&self) -> bool {
        let ends = self.held.first().zip(self.held.last());
        ends.is_some_and(|(first, last)| last.at.since(first.at) > HELD_MS)
    }

    /// Gives up what is missing before the first that waits.
    fn pass_gap(&mut self, ready: &mut Vec<Held>) {
        if let (Some(first), Some(next)) = (self.held.first(), self.next) {
            let missing = u32::from(first.sequence.wrapping_sub(next));
            self.seen = self.seen.checked_shl(missing).unwrap_or(0);
            self.next = Some(first.sequence);
        }
        self.in_order(ready);
    }

    fn in_order(&mut self, ready: &mut Vec<Held>) {
        let Some(mut next) = self.next else { return };
        let mut count = 0;
        while self.held.get(count).is_some_and(|held| held.sequence == next) {
            next = next.wrapping_add(1);
            self.seen = self.seen << 1 | 1;
            count += 1;
        }
        self.next = Some(next);
        ready.extend(self.held.drain(..count));
    }
}

/// What the RTP timestamps of a run say of positions.
#[derive(Debug, Default)]
struct RtpLine {
    last: Option<Last>,
    /// Frames of a tick. G.722 has two: its RTP clock is said to be 8 kHz, by an old mistake that stayed.
    scale: Option<i64>,
}

#[derive(Debug)]
struct Last {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    frames: u64,
    /// Zoom's timestamp at the run's beginning, and ticks since.
    began: UnixMillis,
    ticks: i64,
}

impl RtpLine {
    /// How many frames later than the ms of `at` the packet belongs.
    fn fine(&mut self, packet: &RtpPacket<'_>, at: UnixMillis, frames: u64, rate: u32) -> i64 {
        let (sequence, timestamp) = (packet.sequence, packet.timestamp);
        let fresh = Last { ssrc: packet.ssrc, sequence, timestamp, frames, began: at, ticks: 0 };
        let Some(last) = self.last.take().filter(|last| last.ssrc == packet.ssrc) else {
            (self.last, self.scale) = (Some(fresh), None);
            return 0;
        };
        let since = i64::from(timestamp_since(timestamp, last.timestamp));
        if sequence_since(sequence, last.sequence) == 1 {
            let is = |scale: &i64| i64::try_from(last.frames).is_ok_and(|frames| since * scale == frames);
            self.scale = [1, 2].into_iter().find(is).or(self.scale);
        }
        let ticks = last.ticks.saturating_add(since);
        let by_zoom = at.since(last.began).saturating_mul(i64::from(rate)) / 1000;
        let fine = self.scale.map(|scale| ticks.saturating_mul(scale).saturating_sub(by_zoom));
        match fine.filter(|fine| fine.saturating_abs() <= i64::from(rate) / APART) {
            Some(fine) => {
                self.last = Some(Last { began: last.began, ticks, ..fresh });
                fine
            }
            None => {
                self.last = Some(fresh);
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZERO: i64 = 1_700_000_000_000;

    fn push(reorder: &mut Reorder, n: i64, ready: &mut Vec<Held>) -> Result<(), DropReason> {
        let sequence = (65_500 + n) as u16;
        let packet = RtpPacket {
            sequence,
            timestamp: (n as u32).wrapping_mul(160).wrapping_sub(1_000),
            payload: &n.to_le_bytes(),
            ..RtpPacket::default()
        };
        let at = UnixMillis(ZERO + n * 20);
        reorder.push((at, at), &packet, (160, 8_000), ready)
    }

    fn numbers(ready: &[Held]) -> Vec<i64> {
        ready
            .iter()
            .map(|held| i64::from_le_bytes(held.payload.as_slice().try_into().expect("a number")))
            .collect()
    }

    #[test]
    fn late_ones_find_their_place_and_lost_ones_are_passed() {
        let (mut reorder, mut ready) = (Reorder::default(), Vec::new());
        for n in [0, 2, 1, 3, 6, 5, 6, 4, 8, 9] {
            let _ = push(&mut reorder, n, &mut ready);
        }
        assert_eq!(numbers(&ready), [0, 1, 2, 3, 4, 5, 6], "7 is waited for");
        assert_eq!(push(&mut reorder, 9, &mut ready), Err(DropReason::Repeat));
        reorder.due(UnixMillis(ZERO + 8 * 20 + 199), &mut ready);
        assert_eq!(ready.len(), 7);
        reorder.due(UnixMillis(ZERO + 8 * 20 + 200), &mut ready);
        assert_eq!(numbers(&ready)[7..], [8, 9]);
        assert_eq!(push(&mut reorder, 7, &mut ready), Err(DropReason::Behind));
        assert_eq!(push(&mut reorder, 6, &mut ready), Err(DropReason::Repeat));
        // Another run: at once.
        assert_eq!(push(&mut reorder, 5_000, &mut ready), Ok(()));
        assert_eq!(numbers(&ready)[9..], [5_000]);
    }

    #[test]
    fn ticks_tell_the_sample_where_zoom_tells_about_a_ms() {
        let mut line = RtpLine::default();
        let mut at = |n: u16, ticks: u32, ms: i64| {
            let packet = RtpPacket { sequence: n, timestamp: ticks, ..RtpPacket::default() };
            line.fine(&packet, UnixMillis(ZERO + ms), 320, 16_000)
        };
        // G.722 by the clock of 8 kHz.
        assert_eq!(at(0, 1_000, 0), 0);
        assert_eq!(at(1, 1_160, 20), 0);
        assert_eq!(at(2, 1_320, 43), -48);
        assert_eq!(at(9, 2_440, 179), 16);
        // Too far apart: another run, from Zoom's timestamp on.
        assert_eq!(at(10, 90_000, 200), 0);
        assert_eq!(at(11, 90_160, 221), -16);
    }

    proptest! {
        #[test]
        fn bounded_and_in_order_whatever_comes(order in prop::collection::vec((0_i64..80, 0_i64..4), 1..200)) {
            let (mut reorder, mut ready) = (Reorder::default(), Vec::new());
            let mut now = 0;
            for (n, passed) in order {
                now = now.max(n) + passed;
                let _ = push(&mut reorder, n, &mut ready);
                prop_assert!(reorder.held.len() <= HELD);
                reorder.due(UnixMillis(ZERO + now * 20), &mut ready);
            }
            reorder.release(&mut ready);
            let numbers = numbers(&ready);
            // A jump back by more than a window begins another run.
            for pair in numbers.windows(2) {
                prop_assert!(pair[0] < pair[1] || pair[0] - pair[1] >= i64::from(RUN), "{numbers:?}");
            }
        }

        #[test]
        fn nothing_is_lost_within_the_window(swaps in prop::collection::vec(0_usize..6, 60)) {
            let mut order: Vec<i64> = (0..60).collect();
            for (n, by) in swaps.iter().enumerate().skip(1) {
                let other = (n + by).min(59);
                if n % 7 == 1 { order.swap(n, other) }
            }
            let (mut reorder, mut ready) = (Reorder::default(), Vec::new());
            for n in order {
                prop_assert_eq!(push(&mut reorder, n, &mut ready), Ok(()));
            }
            reorder.release(&mut ready);
            prop_assert_eq!(numbers(&ready), (0..60).collect::<Vec<_>>());
        }
    }
}
