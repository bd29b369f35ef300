//! Where the samples of one audio track belong.
//!
//! Pure arithmetic: a packet's timestamp and length go in, a [`Placement`] comes out. Positions are computed from
//! absolute milliseconds, so that rounding never adds up. Within half a packet of the expected place a packet is
//! appended; later, the difference is silence; earlier or equal, it is a repeat and what overlaps is dropped, to the
//! sample. A placement counts only once it is committed, so a failed write leaves a hole that becomes silence.
//!
//! Refuses to write any position twice, and to go back.

use rtms_protocol::UnixMillis;

/// Where one packet goes. Unit: frames (one sample for each channel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Silence before it.
    pub silence: u64,
    /// Frames at the packet's beginning that are in the file already.
    pub skip: u64,
    /// First position that the rest is written to, counted from time zero.
    pub position: u64,
    /// Frames of the packet that are written.
    pub frames: u64,
    /// Where the packet ends by its timestamp.
    stream_end: i64,
}

/// The positions of one track, counted from time zero.
#[derive(Debug, Clone)]
pub struct Timeline {
    rate: u32,
    /// First position that is not written.
    next: u64,
    /// Where the last packet ended by its timestamp; differs from `next` by the tolerated jitter.
    stream_end: i64,
    /// Length of the last packet, frames.
    last_length: i64,
}

impl Timeline {
    /// A track at `rate` samples a second that begins, or goes on after a restart, with `next` frames written.
    #[must_use]
    pub fn new(rate: u32, next: u64) -> Self {
        Self { rate, next, stream_end: i64::try_from(next).unwrap_or(i64::MAX), last_length: i64::MAX }
    }

    /// A track of which `next` frames are written and whose last packet, of `last_length` frames (0: unknown), ended
    /// `ahead` frames later by its timestamp than in the file.
    #[must_use]
    pub(crate) fn resume(rate: u32, next: u64, ahead: i64, last_length: u64) -> Self {
        let mut line = Self::new(rate, next);
        // More than a second is no jitter.
        let limit = i64::from(rate);
        line.stream_end = line.stream_end.saturating_add(ahead.clamp(-limit, limit));
        if let Ok(length @ 1..) = i64::try_from(last_length) {
            line.last_length = length;
        }
        line
    }

    /// By how many frames the last packet ended later by its timestamp than in the file.
    #[must_use]
    pub(crate) fn ahead(&self) -> i64 {
        self.stream_end.saturating_sub(i64::try_from(self.next).unwrap_or(i64::MAX))
    }

    /// Length of the last packet, frames; `None` before the first.
    #[must_use]
    pub(crate) fn last_length(&self) -> Option<i64> {
        Some(self.last_length).filter(|length| *length != i64::MAX)
    }

    /// Frames that the track holds, silence included.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.next
    }

    /// The position of `at` where time zero is `zero`. Negative before it.
    #[must_use]
    pub fn position_of(&self, zero: UnixMillis, at: UnixMillis) -> i64 {
        let frames = i128::from(at.since(zero)) * i128::from(self.rate) / 1000;
        i64::try_from(frames).unwrap_or(if frames < 0 { i64::MIN } else { i64::MAX })
    }

    /// The timestamp at which the next packet is expected.
    #[must_use]
    pub fn expected(&self, zero: UnixMillis) -> UnixMillis {
        let ms = i128::from(self.stream_end) * 1000 / i128::from(self.rate.max(1));
        zero.plus(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// Milliseconds that `frames` last, rounded down.
    #[must_use]
    pub fn millis(&self, frames: u64) -> i64 {
        let ms = u128::from(frames) * 1000 / u128::from(self.rate.max(1));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Where a packet of `frames` whose first frame belongs at `position` goes; `None` when all of it is there.
    #[must_use]
    pub fn place(&self, position: i64, frames: u64) -> Option<Placement> {
        let length = i64::try_from(frames).ok()?;
        // Where a reconnection changed the length of packets, the shorter one says how much is jitter.
        let half = length.min(self.last_length) / 2;
        let stream_end = position.checked_add(length)?;
        if length == 0 || stream_end <= self.stream_end {
            return None;
        }
        let next = i64::try_from(self.next).ok()?;
        let mut gap = position.checked_sub(next)?;
        let mut skip = 0;
        // What was sent before counts before what is in the file: jitter may have moved it, and its samples must
        // neither come twice nor be cut.
        let repeated = self.stream_end.saturating_sub(position);
        if gap < -half && repeated > 0 {
            skip = repeated;
            gap = gap.checked_add(repeated)?;
        }
        // Jitter is tolerated, but never adds up to more than half a packet.
        let silence = if gap > half { gap } else { 0 };
        if gap < -half {
            skip = skip.checked_sub(gap)?;
        }
        if skip >= length {
            return None;
        }
        let silence = u64::try_from(silence).ok()?;
        let skip = u64::try_from(skip).ok()?;
        Some(Placement { silence, skip, position: self.next + silence, frames: frames - skip, stream_end })
    }

    /// Where a packet goes that can only be written whole, where silence comes in pieces of `grain` frames: as
    /// [`Self::place`], but what overlaps by more than jitter is dropped whole, and silence is rounded to whole pieces.
    /// What that is off by never adds up. `None` when it is not written.
    #[must_use]
    pub fn place_whole(&self, position: i64, frames: u64, grain: u64) -> Option<Placement> {
        let placed = self.place(position, frames).filter(|placed| placed.skip == 0)?;
        let grain = grain.max(1);
        let silence = (placed.silence + grain / 2) / grain * grain;
        Some(Placement { silence, position: self.next + silence, ..placed })
    }

    /// The placement was written: the track goes on behind it.
    pub fn commit(&mut self, placed: &Placement) {
        self.next = placed.position + placed.frames;
        self.stream_end = placed.stream_end;
        self.last_length = i64::try_from(placed.skip + placed.frames).unwrap_or(i64::MAX);
    }

    /// `frames` of silence were put in front of everything, because time zero moved back.
    pub fn shift(&mut self, frames: u64) {
        self.next = self.next.saturating_add(frames);
        self.stream_end = self.stream_end.saturating_add_unsigned(frames);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays packets into a file of samples; silence is 0.
    fn play(packets: &[(i64, Vec<i32>)]) -> Vec<i32> {
        let mut line = Timeline::new(16_000, 0);
        let mut file = Vec::new();
        for (position, samples) in packets {
            let Some(placed) = line.place(*position, samples.len() as u64) else { continue };
            assert_eq!(file.len() as u64 + placed.silence, placed.position, "nothing is written twice");
            file.resize(placed.position as usize, 0);
            file.extend_from_slice(&samples[placed.skip as usize..]);
            line.commit(&placed);
            assert_eq!(line.frames(), file.len() as u64);
        }
        file
    }

    fn packet(n: i64) -> (i64, Vec<i32>) {
        (n * 320, (0..320).map(|i| (n * 320 + i + 1) as i32).collect())
    }

    #[test]
    fn packets_in_order_are_the_source() {
        let source: Vec<i32> = (1..=320 * 50).collect();
        assert_eq!(play(&(0..50).map(packet).collect::<Vec<_>>()), source);
    }

    #[test]
    fn a_gap_is_silence_and_a_repeat_is_dropped() {
        let file = play(&[packet(0), packet(3), packet(2), packet(3), packet(4)]);
        assert_eq!(file.len(), 5 * 320);
        assert!(file[320..960].iter().all(|s| *s == 0));
        assert_eq!(file[960..], (961..=1600).collect::<Vec<_>>());
    }

    #[test]
    fn packets_cut_differently_after_a_reconnection_overlap_to_the_sample() {
        let again = (480, (481..=480 + 1600).collect());
        assert_eq!(play(&[packet(0), packet(1), packet(2), again]), (1..=2080).collect::<Vec<_>>());
    }

    #[test]
    fn an_early_packet_is_not_repeated_in_part() {
        // Packet 1 came a quarter of its length late by timestamp and was appended; its repeat must vanish.
        let late = (400, packet(1).1);
        assert_eq!(play(&[packet(0), late.clone(), late]), (1..=640).collect::<Vec<_>>());
    }

    #[test]
    fn jitter_within_half_a_packet_changes_nothing() {
        let jitter = [0, 96, -96, 112, -160, 160, 16];
        let packets: Vec<_> =
            jitter.iter().enumerate().map(|(n, by)| (n as i64 * 320 + by, packet(n as i64).1)).collect();
        assert_eq!(play(&packets), (1..=320 * 7).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_runs_slow_never_drifts_by_more_than_half_a_packet() {
        let mut line = Timeline::new(16_000, 0);
        for n in 0..100_000_i64 {
            let position = n * 328;
            let placed = line.place(position, 320).expect("each packet is new");
            assert!((placed.position as i64 - position).abs() <= 160);
            line.commit(&placed);
        }
    }

    #[test]
    fn what_was_before_zero_is_cut_off() {
        let placed = Timeline::new(8_000, 0).place(-100, 160).expect("60 frames remain");
        assert_eq!((placed.skip, placed.position, placed.frames), (100, 0, 60));
    }

    #[test]
    fn positions_are_exact_after_a_day_and_extremes_do_not_overflow() {
        let line = Timeline::new(48_000, 0);
        let zero = UnixMillis(1_700_000_000_000);
        assert_eq!(line.position_of(zero, zero.plus(86_400_001)), 86_400_001 * 48);
        for at in [i64::MIN, i64::MAX] {
            let position = line.position_of(zero, UnixMillis(at));
            assert!(line.place(position, 320).is_none_or(|placed| placed.frames == 320));
        }
    }

    #[test]
    fn whole_packets_stay_on_their_grain_and_never_drift() {
        let mut line = Timeline::new(48_000, 0);
        // Three packets arrive, 37 ms are lost, again and again.
        for n in 0..1_000_i64 {
            for packet in 0..3 {
                let position = n * (60 + 37) * 48 + packet * 960;
                let placed = line.place_whole(position, 960, 120).expect("each packet is new");
                assert_eq!((placed.position % 120, placed.skip), (0, 0));
                assert!((placed.position as i64 - position).abs() <= 60);
                line.commit(&placed);
                assert_eq!(line.place_whole(position, 960, 120), None, "a repeat");
            }
        }
        let half_there = line.frames() as i64 - 500;
        assert_eq!(line.place_whole(half_there, 960, 120), None, "more than half of it is there");
    }

    proptest! {
        /// On the grid of packets: each position holds the first packet's samples that reached it, else silence.
        #[test]
        fn any_sequence_on_the_grid(order in prop::collection::vec(0_i64..60, 1..200)) {
            let packets: Vec<_> = order
                .iter()
                .enumerate()
                .map(|(turn, n)| (*n * 320, vec![turn as i32 + 1; 320]))
                .collect();
            let file = play(&packets);
            let mut highest = -1;
            let mut model = vec![0; file.len()];
            for (turn, n) in order.iter().enumerate().filter(|(_, n)| { let new = **n > highest; highest = highest.max(**n); new }) {
                model[*n as usize * 320..][..320].fill(turn as i32 + 1);
            }
            prop_assert_eq!(file, model);
        }

        /// Off the grid, with any lengths: order kept, nothing twice, never further off than half a packet.
        #[test]
        fn any_sequence_at_all(packets in prop::collection::vec((0_i64..20_000, 1_u64..2_000), 1..200)) {
            let mut line = Timeline::new(16_000, 0);
            for (position, frames) in packets {
                let before = line.frames();
                let Some(placed) = line.place(position, frames) else { continue };
                prop_assert_eq!(placed.position, before + placed.silence);
                prop_assert_eq!(placed.skip + placed.frames, frames);
                prop_assert!(placed.frames > 0);
                line.commit(&placed);
                prop_assert!(line.frames() > before);
                let belongs = position + placed.skip as i64;
                prop_assert!((placed.position as i64 - belongs).unsigned_abs() <= frames / 2);
            }
        }

        /// Samples that carry their own position: repeats cut at any place still give the source.
        #[test]
        fn repeats_cut_anywhere_give_the_source(cuts in prop::collection::vec((0_i64..4_000, 2_i64..900), 1..100)) {
            let mut packets = vec![(0, vec![1, 2, 3, 4])];
            let mut end = 4_i64;
            for (start, length) in cuts {
                // From somewhere before the end, as Zoom repeats, past the end.
                let start = (end - start).max(0);
                let past = (end + length).max(start + 2 * (end - start) + 1);
                // Fewer than half a packet repeated is jitter by definition; keep to true repeats.
                let past = if end - start > (past - start) / 2 { past } else { end + (end - start).max(1) - 1 };
                if past <= end || (start != end && end - start <= (past - start) / 2) { continue }
                packets.push((start, (start + 1..=past).map(|s| s as i32).collect()));
                end = past;
            }
            let end = end as i32;
            prop_assert_eq!(play(&packets), (1..=end).collect::<Vec<_>>());
        }
    }
}
