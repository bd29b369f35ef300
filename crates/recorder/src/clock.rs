//! The clock of one recording: where time zero lies, and which timestamps can be right.
//!
//! Packets are placed by Zoom's timestamps, so a wrong timestamp could fill a disk with silence. The arrival of
//! packets bounds what is possible: nothing can be captured after it has arrived. [`StreamClock`] keeps the best
//! known distance between the two clocks; [`ClockGuard`] holds each track's packets against it. Audio that Zoom
//! buffered comes in faster than real time, and a party may be silent for minutes; both are right and pass.
//!
//! Refuses to believe a single odd timestamp. A new clock is taken over only when it persists for
//! [`PERSISTENCE_MS`], and then the recording goes on where the passed time suggests.

use rtms_protocol::UnixMillis;
use serde::{Deserialize, Serialize};

/// How far ahead of what the passed time allows a timestamp may lie, ms.
pub(crate) const SLACK_MS: i64 = 10_000;
/// A lead so small is no hole, only jitter, whatever the clocks say, ms.
const CONTINUOUS_MS: i64 = 100;
/// How far back a packet may lie and still be a repeat after a reconnection, ms. Zoom buffers about 60 s.
pub(crate) const REPEAT_MS: i64 = 90_000;
/// How much media a new clock must have carried, consistently, before it is believed, ms.
pub(crate) const PERSISTENCE_MS: i64 = 1_000;
/// What Zoom may have buffered before the first connection, ms, with a margin.
const BACKLOG_MS: i64 = 75_000;
/// How long after the first packet a backlog may still be arriving, ms of wall time.
const BACKLOG_WINDOW_MS: i64 = 60_000;
/// Clocks that differ by less are taken to be the same clock, with delay, ms.
const SAME_CLOCK_MS: i64 = 600_000;
/// What two clocks that are in step may still differ by, ms.
const STEP_MS: i64 = 15_000;
/// The last ms of the year 9999. A recording that began beyond could not count on.
const LAST_YEAR_MS: i64 = 253_402_300_799_999;
/// Corrections that are remembered, so that the other tracks of a stream follow a jump without waiting.
const CORRECTIONS_KEPT: usize = 16;
/// Packets between which more lies than this do not speak for the same new clock, ms.
const PENDING_GAP_MS: i64 = 5_000;

/// Whether `at` is a time at all; what is not must never become time zero.
#[must_use]
pub(crate) fn is_time(at: UnixMillis) -> bool {
    (0..=LAST_YEAR_MS).contains(&at.0)
}

/// Where time zero comes from; the later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ZeroSource {
    /// The first timestamp of anything.
    Media,
    /// Event 1, FIRST_PACKET_TIMESTAMP.
    Event,
    /// The first audio packet: final, but for a second party's earlier one.
    Audio,
}

/// The furthest point of the stream that was seen, as a distance between Zoom's clock and ours.
#[derive(Debug, Clone, Copy)]
struct Edge {
    /// Largest (timestamp − arrival) so far, ms.
    offset_ms: i64,
    /// Largest (timestamp − arrival) that can be right, ms. Holes never raise it, so they cannot add up; sound
    /// without a hole does, because it is there.
    ceiling_ms: i64,
    /// Wall time until which the backlog of the start may be arriving; then the ceiling settles.
    settles_at: Option<UnixMillis>,
}

/// The distance between Zoom's clock and ours, as it is kept in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockEdge {
    /// Largest (timestamp − arrival) so far, ms.
    pub offset_ms: i64,
    /// Largest (timestamp − arrival) that is believed, ms.
    pub ceiling_ms: i64,
}

/// Time zero of a recording and the bound on believable timestamps, shared by all its tracks.
#[derive(Debug, Default)]
pub(crate) struct StreamClock {
    zero: Option<(UnixMillis, ZeroSource)>,
    edge: Option<Edge>,
    corrections: Vec<i64>,
}

impl StreamClock {
    /// The clock as another process left it. `edge` is what [`Self::edge`] gave then, where anything had come.
    pub(crate) fn resume(
        zero: Option<(UnixMillis, ZeroSource)>,
        edge: Option<ClockEdge>,
        corrections: impl Iterator<Item = i64>,
        now: UnixMillis,
    ) -> Self {
        let edge = edge.map(|known| Edge {
            offset_ms: known.offset_ms,
            // As at the start: our clock may be another one than before, and a backlog is on its way.
            ceiling_ms: known.ceiling_ms.max(known.offset_ms.saturating_add(BACKLOG_MS + SLACK_MS)),
            settles_at: Some(now.plus(BACKLOG_WINDOW_MS)),
        });
        let mut clock = Self { zero, edge, corrections: Vec::new() };
        corrections.for_each(|correction| clock.remember(correction));
        clock
    }

    /// What a later process must know of the distance between the clocks.
    #[must_use]
    pub(crate) fn edge(&self) -> Option<ClockEdge> {
        self.edge.map(|edge| ClockEdge { offset_ms: edge.offset_ms, ceiling_ms: edge.ceiling_ms })
    }

    /// Time zero, as far as it is known.
    #[must_use]
    pub(crate) fn zero(&self) -> Option<UnixMillis> {
        self.zero.map(|(at, _)| at)
    }

    /// Proposes a time zero. Taken when the source is a better one than that of the zero known so far.
    pub(crate) fn propose_zero(&mut self, at: UnixMillis, source: ZeroSource) {
        if self.zero.is_none_or(|(_, known)| source > known) {
            self.zero = Some((at, source));
        }
    }

    /// Proposes the timestamp of a packet of sound that arrived at `now`. One that cannot be right beside the pictures that
    /// came before it is not taken: it would be followed by silence from there to all that is right.
    pub(crate) fn propose_audio_zero(&mut self, now: UnixMillis, at: UnixMillis) {
        let fits = |(zero, _): (UnixMillis, ZeroSource)| {
            at.since(zero) >= -REPEAT_MS && at <= self.latest_plausible(now)
        };
        if self.edge.is_none() || self.zero.is_none_or(fits) {
            self.propose_zero(at, ZeroSource::Audio);
        }
    }

    /// Moves an audio time zero back to `at`. Who calls it has put the silence in front of what is written.
    pub(crate) fn move_zero_back(&mut self, at: UnixMillis) {
        self.zero = Some((at, ZeroSource::Audio));
    }

    /// Takes note of a believed packet: corrected timestamp `at`, arrived at `now`.
    pub(crate) fn observe(&mut self, now: UnixMillis, at: UnixMillis) {
        let offset_ms = at.since(now);
        let Some(edge) = &mut self.edge else {
            let behind = now.since(at);
            let in_step = behind.saturating_abs() < SAME_CLOCK_MS;
            let backlog_ms =
                if in_step { behind.saturating_add(STEP_MS).clamp(0, BACKLOG_MS) } else { BACKLOG_MS };
            let ceiling_ms = offset_ms.saturating_add(backlog_ms).saturating_add(SLACK_MS);
            self.edge = Some(Edge { offset_ms, ceiling_ms, settles_at: Some(now.plus(BACKLOG_WINDOW_MS)) });
            return;
        };
        if edge.settles_at.is_some_and(|at| now > at) {
            edge.ceiling_ms = edge.ceiling_ms.min(edge.offset_ms.saturating_add(SLACK_MS));
            edge.settles_at = None;
        }
        edge.offset_ms = edge.offset_ms.max(offset_ms);
        edge.ceiling_ms = edge.ceiling_ms.max(offset_ms);
    }

    /// The point of the stream that is live at `now`, as the passed time suggests.
    #[must_use]
    pub(crate) fn live_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.edge.map(|edge| now.plus(edge.offset_ms))
    }

    /// The latest timestamp that can be right at `now`.
    #[must_use]
    pub(crate) fn latest_plausible(&self, now: UnixMillis) -> UnixMillis {
        self.edge.map_or(UnixMillis(i64::MAX), |edge| now.plus(edge.ceiling_ms))
    }

    /// A timestamp of text or chat on the recording's clock: the known correction that brings it nearest to now.
    #[must_use]
    pub(crate) fn corrected(&self, now: UnixMillis, at: UnixMillis) -> UnixMillis {
        let Some(live) = self.live_at(now) else { return at };
        std::iter::once(&0)
            .chain(&self.corrections)
            .map(|by| at.plus(*by))
            .min_by_key(|corrected| corrected.since(live).saturating_abs())
            .unwrap_or(at)
    }

    fn remember(&mut self, correction: i64) {
        if self.corrections.len() == CORRECTIONS_KEPT {
            self.corrections.remove(0);
        }
        self.corrections.push(correction);
    }
}

/// A clock that was taken over, for the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takeover {
    /// First timestamp that was believed again, as sent.
    pub timestamp: UnixMillis,
    /// What is added to the new clock's timestamps from then on, ms.
    pub correction_ms: i64,
}

/// What a guard says of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Right, on the recording's clock.
    Trusted(UnixMillis),
    /// Right from here on: a new clock has persisted and was taken over.
    TakenOver(UnixMillis, Takeover),
    /// Too far ahead; the packet is dropped.
    Ahead,
    /// Too far back to be a repeat; the packet is dropped.
    Behind,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    first: UnixMillis,
    last: UnixMillis,
    packets: u32,
}

/// Holds the timestamps of one track against the clock of the recording.
#[derive(Debug, Default)]
pub(crate) struct ClockGuard {
    correction_ms: i64,
    pending: Option<Pending>,
}

impl ClockGuard {
    /// A guard whose track follows a clock that `correction_ms` is added to.
    pub(crate) fn resume(correction_ms: i64) -> Self {
        Self { correction_ms, pending: None }
    }

    /// What is added to the track's timestamps, ms.
    #[must_use]
    pub(crate) fn correction_ms(&self) -> i64 {
        self.correction_ms
    }

    /// Judges timestamp `at` of a packet of `duration_ms` that arrived at `now`, where the track's next one is
    /// expected at `expected` (on the recording's clock).
    pub(crate) fn judge(
        &mut self,
        clock: &mut StreamClock,
        now: UnixMillis,
        at: UnixMillis,
        duration_ms: i64,
        expected: UnixMillis,
    ) -> Judgement {
        let corrected = at.plus(self.correction_ms);
        let Some(fault) = fault(clock, now, corrected, duration_ms, expected) else {
            self.pending = None;
            return Judgement::Trusted(corrected);
        };
        if let Some(known) = known_correction(clock, now, at, duration_ms, expected) {
            self.correction_ms = known;
            self.pending = None;
            return Judgement::Trusted(at.plus(known));
        }
        if !self.persists(at, duration_ms) {
            return fault;
        }
        let resume_at = clock.live_at(now).map_or(expected, |live| live.max(expected));
        let takeover = Takeover { timestamp: at, correction_ms: resume_at.since(at) };
        self.correction_ms = takeover.correction_ms;
        self.pending = None;
        clock.remember(takeover.correction_ms);
        Judgement::TakenOver(resume_at, takeover)
    }

    /// Adds a packet to the evidence for a new clock; true when it suffices.
    fn persists(&mut self, at: UnixMillis, duration_ms: i64) -> bool {
        let pending = match &mut self.pending {
            Some(known) if (0..=PENDING_GAP_MS).contains(&at.since(known.last)) => known,
            slot => slot.insert(Pending { first: at, last: at, packets: 0 }),
        };
        pending.last = at;
        pending.packets = pending.packets.saturating_add(1);
        let carried = at.since(pending.first).saturating_add(duration_ms);
        pending.packets >= 3 && carried > PERSISTENCE_MS
    }
}

/// What is wrong with a corrected timestamp, if anything is.
///
/// Sound that goes on without a hole is always believed: it cannot fill a file with silence, and so a step of our own
/// clock does no harm.
fn fault(
    clock: &StreamClock,
    now: UnixMillis,
    corrected: UnixMillis,
    duration_ms: i64,
    expected: UnixMillis,
) -> Option<Judgement> {
    let lead = corrected.since(expected);
    if lead > duration_ms.max(CONTINUOUS_MS) && corrected > clock.latest_plausible(now) {
        return Some(Judgement::Ahead);
    }
    (lead < -REPEAT_MS).then_some(Judgement::Behind)
}

/// A correction from an earlier jump that makes `at` a believable continuation.
fn known_correction(
    clock: &StreamClock,
    now: UnixMillis,
    at: UnixMillis,
    duration_ms: i64,
    expected: UnixMillis,
) -> Option<i64> {
    std::iter::once(0).chain(clock.corrections.iter().rev().copied()).find(|by| {
        fault(clock, now, at.plus(*by), duration_ms, expected).is_none()
            && at.plus(*by) >= expected.plus(-SLACK_MS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: i64) -> UnixMillis {
        UnixMillis(1_700_000_000_000 + at)
    }

    fn running() -> (StreamClock, ClockGuard) {
        let mut clock = StreamClock::default();
        clock.observe(ms(0), ms(0));
        clock.observe(ms(100_000), ms(100_000));
        (clock, ClockGuard::default())
    }

    #[test]
    fn a_party_may_be_silent_for_minutes() {
        let (mut clock, mut guard) = running();
        let got = guard.judge(&mut clock, ms(400_000), ms(400_000), 20, ms(100_020));
        assert_eq!(got, Judgement::Trusted(ms(400_000)));
    }

    #[test]
    fn a_backlog_with_a_pause_in_it_is_believed_at_the_start() {
        let mut clock = StreamClock::default();
        let mut guard = ClockGuard::default();
        clock.observe(ms(60_000), ms(0));
        let got = guard.judge(&mut clock, ms(60_050), ms(55_000), 20, ms(20));
        assert_eq!(got, Judgement::Trusted(ms(55_000)));
    }

    #[test]
    fn far_ahead_is_dropped_until_it_persists_and_then_continues_at_the_passed_time() {
        let (mut clock, mut guard) = running();
        let hour = 3_600_000;
        for n in 0..50 {
            let now = ms(100_020 + n * 20);
            let got = guard.judge(&mut clock, now, ms(100_020 + hour + n * 20), 20, ms(100_020));
            assert_eq!(got, Judgement::Ahead, "packet {n}");
        }
        let got = guard.judge(&mut clock, ms(101_020), ms(101_020 + hour), 20, ms(100_020));
        let takeover = Takeover { timestamp: ms(101_020 + hour), correction_ms: -hour };
        assert_eq!(got, Judgement::TakenOver(ms(101_020), takeover));
        let got = guard.judge(&mut clock, ms(101_040), ms(101_040 + hour), 20, ms(101_040));
        assert_eq!(got, Judgement::Trusted(ms(101_040)));
    }

    #[test]
    fn another_track_follows_a_jump_at_once_and_text_is_corrected_too() {
        let (mut clock, mut guard) = running();
        for n in 0..60 {
            let now = ms(100_020 + n * 20);
            guard.judge(&mut clock, now, ms(5_000_000 + n * 20), 20, ms(100_020 + n * 20));
        }
        let mut other = ClockGuard::default();
        let got = other.judge(&mut clock, ms(102_000), ms(5_001_980), 20, ms(100_000));
        assert_eq!(got, Judgement::Trusted(ms(102_000)));
        assert_eq!(clock.corrected(ms(102_000), ms(5_001_980)), ms(102_000));
        assert_eq!(clock.corrected(ms(102_000), ms(101_900)), ms(101_900));
    }

    #[test]
    fn repeats_of_a_minute_are_no_jump_but_a_clock_far_back_is() {
        let (mut clock, mut guard) = running();
        let got = guard.judge(&mut clock, ms(100_020), ms(40_000), 20, ms(100_020));
        assert_eq!(got, Judgement::Trusted(ms(40_000)));
        let mut last = Judgement::Behind;
        for n in 0..=50 {
            last = guard.judge(&mut clock, ms(100_020 + n * 20), ms(-9_000_000 + n * 20), 20, ms(100_020));
        }
        assert!(matches!(last, Judgement::TakenOver(at, _) if at == ms(101_020)), "{last:?}");
    }

    #[test]
    fn a_step_of_our_own_clock_does_no_harm() {
        let (mut clock, mut guard) = running();
        for n in 0..100 {
            let at = ms(100_020 + n * 20);
            assert_eq!(guard.judge(&mut clock, ms(40_020 + n * 20), at, 20, at), Judgement::Trusted(at));
            clock.observe(ms(40_020 + n * 20), at);
        }
    }

    #[test]
    fn small_leads_cannot_add_up() {
        let (mut clock, mut guard) = running();
        let mut expected = ms(100_020);
        for n in 0..1_000 {
            let at = expected.plus(9_000);
            if let Judgement::Trusted(at) = guard.judge(&mut clock, ms(100_020 + n), at, 20, expected) {
                clock.observe(ms(100_020 + n), at);
                expected = at.plus(20);
            }
        }
        assert!(expected < ms(100_020 + 200_000), "{expected}");
    }

    #[test]
    fn scattered_nonsense_never_becomes_a_clock() {
        let (mut clock, mut guard) = running();
        for n in 0..1_000_i64 {
            let at = ms((n * 7_919 % 1_000) * 100_000 + 10_000_000);
            let got = guard.judge(&mut clock, ms(100_020), at, 20, ms(100_020));
            assert_eq!(got, Judgement::Ahead);
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let (mut clock, mut guard) = running();
        for at in [i64::MIN, i64::MAX, 0] {
            guard.judge(&mut clock, ms(100_020), UnixMillis(at), 20, ms(100_020));
            let _ = clock.corrected(ms(0), UnixMillis(at));
        }
        let mut fresh = StreamClock::default();
        fresh.observe(UnixMillis(i64::MIN), UnixMillis(i64::MAX));
        let _ = fresh.latest_plausible(UnixMillis(i64::MAX));
    }
}
