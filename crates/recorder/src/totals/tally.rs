//! Spans of talk, and what they come to.

use super::{MOST_WINDOWS, Party, WINDOW_MS};

/// Spans in windows, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(usize, usize)>);

impl From<Vec<(usize, usize)>> for Spans {
    fn from(spans: Vec<(usize, usize)>) -> Self {
        let mut new = Self::default();
        new.add(spans);
        new
    }
}

impl Spans {
    /// Adds spans from a window up to, not including, another; they may overlap.
    pub(super) fn add(&mut self, spans: Vec<(usize, usize)>) {
        self.0.extend(spans.into_iter().filter(|(from, until)| from < until));
        self.0.sort_unstable();
        self.0.dedup_by(|next, one| {
            let touches = next.0 <= one.1;
            if touches {
                one.1 = one.1.max(next.1);
            }
            touches
        });
    }

    /// How long they are together, ms.
    pub(super) fn ms(&self) -> i64 {
        millis(self.0.iter().map(|(from, until)| until - from).sum())
    }

    /// Where the first one begins, ms.
    pub(super) fn first_ms(&self) -> Option<i64> {
        self.0.first().map(|(from, _)| millis(*from))
    }
}

fn millis(windows: usize) -> i64 {
    i64::try_from(windows).unwrap_or(i64::MAX).saturating_mul(WINDOW_MS)
}

/// A call as a whole.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) talk_ms: i64,
    pub(super) overlap_ms: i64,
    pub(super) longest_silence_ms: i64,
    /// When anybody talks.
    talk: Spans,
}

impl Tally {
    /// Of `parties`, in a call of `end_ms`.
    pub(super) fn of(parties: &[Party], end_ms: i64) -> Self {
        let windows = usize::try_from(end_ms.max(0) / WINDOW_MS).unwrap_or(MOST_WINDOWS).min(MOST_WINDOWS);
        // How many talk: 0, 1, or more.
        let mut talking = vec![0_u8; windows];
        for (from, until) in parties.iter().flat_map(|party| &party.spans.0) {
            let span = talking.get_mut(*from.min(&windows)..*until.min(&windows));
            span.into_iter().flatten().for_each(|count| *count = (*count + 1).min(2));
        }
        let silence = talking.split(|count| *count > 0).map(<[u8]>::len).max().unwrap_or(0);
        let overlap = talking.iter().filter(|count| **count > 1).count();
        let mut talk = Spans::default();
        talk.add(parties.iter().flat_map(|party| party.spans.0.iter().copied()).collect());
        Self {
            talk_ms: millis(talking.iter().filter(|count| **count > 0).count()),
            overlap_ms: millis(overlap),
            longest_silence_ms: millis(silence),
            talk,
        }
    }

    /// How long after `at_ms` the first word is; 0 where somebody is talking.
    pub(super) fn first_word_after(&self, at_ms: i64) -> Option<i64> {
        let next = self.talk.0.iter().find(|(_, until)| millis(*until) > at_ms)?;
        Some(millis(next.0).saturating_sub(at_ms).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(spans: &[(usize, usize)]) -> Party {
        Party { spans: Spans::from(spans.to_vec()), ..Party::default() }
    }

    #[test]
    fn talk_overlap_and_silence() {
        let parties = [party(&[(20, 30), (10, 20), (25, 40)]), party(&[(35, 50), (90, 200)])];
        assert_eq!(parties[0].spans.ms(), 600);
        let tally = Tally::of(&parties, 2_000);
        assert_eq!((tally.talk_ms, tally.overlap_ms, tally.longest_silence_ms), (1_000, 100, 800));
        assert_eq!(tally.first_word_after(0), Some(200));
        assert_eq!(tally.first_word_after(300), Some(0));
        assert_eq!(tally.first_word_after(1_100), Some(700));
        assert_eq!(tally.first_word_after(9_000), None);
    }

    #[test]
    fn nobody_and_nothing() {
        let tally = Tally::of(&[], 500);
        assert_eq!((tally.talk_ms, tally.longest_silence_ms, tally.first_word_after(0)), (0, 500, None));
        assert_eq!(Tally::of(&[party(&[(0, 9)])], -5).talk_ms, 0);
    }
}
