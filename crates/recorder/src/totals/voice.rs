//! When somebody talks, from how loud their sound is.
//!
//! The measure is simple on purpose: it needs no model, is the same for every language, and anyone can check it. The level
//! of each window of 20 ms is held against a threshold that follows the noise:
//!
//! - The noise at a place is the quietest window within 5 s, looked for before it and behind it; the louder of the two
//!   counts, so that noise which sets in or ends (a phone that is unmuted) is known as such at once. Nobody talks for 5 s
//!   without a pause, so a sound that is steady for longer is noise.
//! - Somebody whose windows differ by 15 dB and more is heard above a noise that is there for a tenth of the time; that
//!   noise counts everywhere, also where shorter pieces of it are heard.
//! - Talk is 9 dB above the noise. It is never quieter than −56 dBFS, and what is louder than −26 dBFS is talk, because no
//!   noise of a line is: so it is also a tone.
//! - A click of less than 40 ms is none. Pauses of up to 300 ms belong to the talk around them. What then lasts for less
//!   than 100 ms is none either.

/// Half decibels above −100 dBFS; 0 is digital silence.
pub(super) type Level = u8;

/// How far around noise is looked for, windows.
const AROUND: usize = 250;
/// What talk is above the noise.
const ABOVE_NOISE: Level = half_db(9);
/// The quietest talk: −56 dBFS.
const QUIETEST: Level = half_db(44);
/// What is louder is talk: −26 dBFS.
const LOUD: Level = half_db(74);
/// What the windows of somebody who talks differ by.
const SPREAD: Level = half_db(15);
/// Of all windows with sound, the share at or below the noise, and that at or below loud talk, percent.
const NOISE_PERCENT: usize = 10;
const TALK_PERCENT: usize = 95;
/// Windows of the shortest sound, of the longest pause within talk, and of the shortest talk.
const CLICK: usize = 2;
const PAUSE: usize = 15;
const SHORTEST: usize = 5;

const fn half_db(db: u8) -> Level {
    db * 2
}

/// The spans of talk among windows of these levels, each from a window up to another.
pub(super) fn spans(levels: &[Level]) -> Vec<(usize, usize)> {
    let everywhere = noise_everywhere(levels);
    let before = quietest(levels.iter().copied());
    let mut behind = quietest(levels.iter().rev().copied());
    behind.reverse();
    let is_talk = |(index, level): (usize, &Level)| {
        let here = before[index].max(behind[index]).max(everywhere);
        *level > here.saturating_add(ABOVE_NOISE).clamp(QUIETEST, LOUD)
    };
    joined(levels.iter().enumerate().map(is_talk))
}

/// For each window the quietest of it and those that came before it, as far as noise is looked for.
fn quietest(levels: impl Iterator<Item = Level>) -> Vec<Level> {
    // The front is the quietest; whatever is louder than a later one is never the quietest again.
    let mut candidates: std::collections::VecDeque<(usize, Level)> = std::collections::VecDeque::new();
    levels
        .enumerate()
        .map(|(index, level)| {
            while candidates.back().is_some_and(|(_, louder)| *louder >= level) {
                candidates.pop_back();
            }
            candidates.push_back((index, level));
            while candidates.front().is_some_and(|(old, _)| old + AROUND <= index) {
                candidates.pop_front();
            }
            candidates.front().map_or(level, |(_, quietest)| *quietest)
        })
        .collect()
}

/// The noise of somebody who talks above it; 0 where that cannot be told.
fn noise_everywhere(levels: &[Level]) -> Level {
    let mut counts = [0_usize; Level::MAX as usize + 1];
    levels.iter().filter(|level| **level > 0).for_each(|level| counts[usize::from(*level)] += 1);
    let all: usize = counts.iter().sum();
    let percentile = |percent: usize| {
        let mut left = all * percent / 100;
        let reaches = |count: &usize| {
            let reached = *count > left;
            left = left.saturating_sub(*count);
            reached
        };
        counts.iter().position(reaches).and_then(|level| Level::try_from(level).ok()).unwrap_or(0)
    };
    let (noise, talk) = (percentile(NOISE_PERCENT), percentile(TALK_PERCENT));
    if talk.saturating_sub(noise) >= SPREAD { noise } else { 0 }
}

/// Spans of windows with talk, without clicks, and with the pauses within it.
fn joined(talks: impl Iterator<Item = bool>) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut began = None;
    for (index, talks) in talks.chain(std::iter::once(false)).enumerate() {
        match (began, talks) {
            (None, true) => began = Some(index),
            (Some(from), false) => {
                began = None;
                if index - from < CLICK {
                    continue;
                }
                match spans.last_mut() {
                    Some(last) if from - last.1 <= PAUSE => last.1 = index,
                    _ => spans.push((from, index)),
                }
            }
            _ => {}
        }
    }
    spans.retain(|(from, until)| until - from >= SHORTEST);
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    /// −`db` dBFS for `windows`.
    fn at(db: u8, windows: usize) -> Vec<Level> {
        vec![half_db(100 - db); windows]
    }

    fn talk_windows(levels: &[Level]) -> usize {
        spans(levels).iter().map(|(from, until)| until - from).sum()
    }

    #[test]
    fn talk_stands_out_of_silence_and_of_noise() {
        for noise in [vec![0; 300], at(70, 300), at(45, 300), at(38, 300)] {
            let levels = [noise.clone(), at(20, 100), noise].concat();
            assert_eq!(spans(&levels), [(300, 400)]);
        }
    }

    #[test]
    fn steady_noise_is_no_talk_also_where_it_sets_in() {
        assert_eq!(spans(&at(40, 3_000)), []);
        assert_eq!(spans(&[vec![0; 500], at(40, 3_000), vec![0; 500]].concat()), []);
        assert_eq!(spans(&[at(60, 500), at(35, 3_000), at(60, 500)].concat()), []);
    }

    #[test]
    fn short_pieces_of_a_noise_that_is_known_are_no_talk() {
        let call = [at(44, 400), at(20, 200), vec![0; 400], at(44, 100), vec![0; 400], at(44, 400)].concat();
        assert_eq!(spans(&call), [(400, 600)]);
    }

    #[test]
    fn a_loud_tone_is_talk_and_a_click_is_not() {
        assert_eq!(talk_windows(&at(15, 1_000)), 1_000);
        assert_eq!(spans(&[vec![0; 50], at(10, 1), vec![0; 100], at(10, 4), vec![0; 50]].concat()), []);
    }

    #[test]
    fn pauses_within_talk_belong_to_it() {
        let pause = |windows| [at(60, 300), at(20, 20), at(60, windows), at(20, 20), at(60, 300)].concat();
        assert_eq!(spans(&pause(PAUSE)), [(300, 340 + PAUSE)]);
        assert_eq!(spans(&pause(PAUSE + 1)).len(), 2);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(spans(&[]), []);
        assert_eq!(spans(&[0; 1_000]), []);
    }
}
