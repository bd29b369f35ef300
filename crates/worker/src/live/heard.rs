//! What of a track was handed out, so that what Zoom sends again after a reconnection is known.
//!
//! Spans of Zoom's clock are kept, not the last time alone: one packet with a wrong time must not make those after it
//! look like repeats. Bounded: few spans, and nothing that lies further back than Zoom ever repeats.

use std::collections::VecDeque;

use rtms_protocol::UnixMillis;

/// Zoom repeats a minute or so; what lies further back is another clock, ms.
const REPEAT_MS: i64 = 90_000;
/// Stretches of sound that are remembered.
const SPANS: usize = 32;

/// The stretches of one track, the last one that went on at the back.
#[derive(Debug, Default)]
pub(super) struct Heard {
    spans: VecDeque<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: UnixMillis,
    until: UnixMillis,
}

/// How a packet lies to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It goes on where the last one ended.
    Follows,
    /// Something is missing between the last one and it, or it is the first.
    AfterHole,
    /// It was here already.
    Repeat,
}

impl Heard {
    /// Places a packet that begins at `at` and lasts `length_ms`. Less than half a packet is jitter.
    pub(super) fn place(&mut self, at: UnixMillis, length_ms: i64) -> Place {
        let half = length_ms / 2;
        let (until, middle) = (at.plus(length_ms), at.plus(half));
        let latest = self.spans.iter().map(|span| span.until).max();
        if latest.is_some_and(|latest| latest.since(at) > REPEAT_MS) {
            self.spans.clear();
        }
        if self.spans.iter().any(|span| span.from <= middle && middle < span.until) {
            return Place::Repeat;
        }
        let follows = |span: &Span| at.since(span.until).saturating_abs() <= half;
        let place = if self.spans.back().is_some_and(follows) { Place::Follows } else { Place::AfterHole };
        let grown = match self.spans.iter().rposition(follows).and_then(|index| self.spans.remove(index)) {
            Some(span) => Span { from: span.from, until: span.until.max(until) },
            None => Span { from: at, until },
        };
        if self.spans.len() == SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(grown);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(times: &[i64]) -> Vec<Place> {
        let mut heard = Heard::default();
        times.iter().map(|ms| heard.place(UnixMillis(1_700_000_000_000 + ms), 20)).collect()
    }

    #[test]
    fn a_minute_sent_again_is_known_and_what_follows_is_new() {
        let mut heard = Heard::default();
        let mut place = |ms: i64| heard.place(UnixMillis(ms), 20);
        assert_eq!(place(0), Place::AfterHole);
        assert!((1..4_000).all(|n| place(n * 20) == Place::Follows));
        assert!((1_000..4_000).all(|n| place(n * 20) == Place::Repeat));
        assert_eq!(place(80_000), Place::Follows);
    }

    #[test]
    fn jitter_is_no_repeat_and_no_hole() {
        use Place::{AfterHole, Follows, Repeat};
        assert_eq!(places(&[0, 13, 49, 60, 55]), [AfterHole, Follows, AfterHole, Follows, Repeat]);
        assert_eq!(places(&[0, 20, 49]), [AfterHole, Follows, Follows]);
    }

    #[test]
    fn a_wrong_time_costs_nothing_but_itself() {
        use Place::{AfterHole, Follows};
        assert_eq!(places(&[0, 60_000, 20, 40]), [AfterHole, AfterHole, AfterHole, Follows]);
        let hour = 3_600_000;
        assert_eq!(places(&[0, hour, 20, 40]), [AfterHole, AfterHole, AfterHole, Follows]);
    }

    #[test]
    fn a_clock_that_went_back_is_followed() {
        let mut heard = Heard::default();
        assert!((1..10_000).all(|n| heard.place(UnixMillis(n * 20 + 7_200_000), 20) != Place::Repeat));
        assert_eq!(heard.place(UnixMillis(0), 20), Place::AfterHole);
        assert_eq!(heard.place(UnixMillis(20), 20), Place::Follows);
    }

    #[test]
    fn any_times_are_survived_in_bounded_memory() {
        let mut heard = Heard::default();
        for n in 0..10_000_i64 {
            let at = [i64::MIN, i64::MAX, n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()), n * 50];
            for at in at {
                heard.place(UnixMillis(at), [0, 20, 1000, i64::MAX][usize::try_from(n % 4).unwrap()]);
            }
        }
        assert!(heard.spans.len() <= SPANS);
    }
}
