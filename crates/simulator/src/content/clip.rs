//! Splits an H.264 Annex-B file into access units and gives each its time.
//!
//! An access unit is what leads up to a picture's first slice (the one that begins with macroblock 0), and its slices. A
//! clip whose pictures and times do not match in number is refused.

use bytes::Bytes;

/// One access unit of the clip.
#[derive(Debug, Clone)]
pub struct Picture {
    /// ms from the clip's first picture.
    pub at_ms: i64,
    /// Annex-B bytes: parameter sets where there are any, and the slice.
    pub bytes: Bytes,
    /// Whether decoding can begin here.
    pub key: bool,
}

/// A moving picture to be played round and round.
#[derive(Debug, Clone)]
pub struct Clip {
    /// In order of time.
    pub pictures: Vec<Picture>,
    /// After this many ms it begins anew.
    pub length_ms: i64,
}

/// Why a clip cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClipError {
    /// A line of the times is no number, or is not later than the one before.
    #[error("times, line {line}: a growing number of ms is needed")]
    Time {
        /// Line number, from 1.
        line: usize,
    },
    /// Pictures and times differ in number.
    #[error("{pictures} pictures but {times} times")]
    Count {
        /// Access units found.
        pictures: usize,
        /// Times given.
        times: usize,
    },
    /// The first picture is no key picture.
    #[error("the first picture is no key picture with its parameter sets")]
    NoKey,
}

/// How long the last picture of a clip without a length is shown.
const LAST_PICTURE_MS: i64 = 33;
const NAL_SLICE: u8 = 1;
const NAL_IDR: u8 = 5;

impl Clip {
    /// Splits `annex_b`; `times` has one number of ms a line, `#` begins a comment.
    ///
    /// # Errors
    /// When the times do not grow or do not match the pictures.
    pub fn parse(annex_b: &[u8], times: &str) -> Result<Self, ClipError> {
        let times = parse_times(times)?;
        let units = access_units(annex_b);
        if units.len() != times.len() || units.is_empty() {
            return Err(ClipError::Count { pictures: units.len(), times: times.len() });
        }
        let pictures: Vec<Picture> = times
            .iter()
            .zip(units)
            .map(|(&at_ms, (bytes, key))| Picture { at_ms, bytes: Bytes::copy_from_slice(bytes), key })
            .collect();
        let last = times.last().copied().unwrap_or(0);
        Self::of(pictures, last + LAST_PICTURE_MS).ok_or(ClipError::NoKey)
    }

    /// A clip of these pictures, the last of which is shown until `end_ms`. Times begin anew at the first. `None` unless
    /// decoding can begin there.
    pub(super) fn of(mut pictures: Vec<Picture>, end_ms: i64) -> Option<Self> {
        let first = pictures.first().filter(|picture| picture.key)?.at_ms;
        pictures.iter_mut().for_each(|picture| picture.at_ms -= first);
        let last = pictures.last().map_or(0, |picture| picture.at_ms);
        Some(Self { pictures, length_ms: (end_ms - first).max(last + 1) })
    }

    /// This clip, and then the other one: where they differ in size, the picture does in mid-stream.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        let later = |picture: &Picture| Picture { at_ms: picture.at_ms + self.length_ms, ..picture.clone() };
        self.pictures.extend(other.pictures.iter().map(later));
        self.length_ms += other.length_ms;
        self
    }
}

fn parse_times(text: &str) -> Result<Vec<i64>, ClipError> {
    let mut times: Vec<i64> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let time = line.parse().ok().filter(|t| times.last().is_none_or(|last| last < t));
        times.push(time.ok_or(ClipError::Time { line: index + 1 })?);
    }
    Ok(times)
}

/// Byte ranges of access units, and whether each is a key picture.
fn access_units(annex_b: &[u8]) -> Vec<(&[u8], bool)> {
    let starts = start_codes(annex_b);
    let mut units: Vec<(&[u8], bool)> = Vec::new();
    // Where the unit begins that is being gathered, and where the picture before it began.
    let (mut begin, mut picture) = (None, 0);
    for (index, &(at, nal)) in starts.iter().enumerate() {
        let first = *begin.get_or_insert(at);
        let kind = annex_b.get(nal).map_or(0, |byte| byte & 0x1f);
        if kind != NAL_SLICE && kind != NAL_IDR {
            continue;
        }
        let end = starts.get(index + 1).map_or(annex_b.len(), |next| next.0);
        // The number of a slice's first macroblock comes first in it; a leading 1 bit is the code of 0.
        let goes_on = annex_b.get(nal + 1).is_some_and(|byte| byte & 0x80 == 0) && first == at;
        match units.last_mut().filter(|_| goes_on) {
            Some(unit) => unit.0 = &annex_b[picture..end],
            None => {
                picture = first;
                units.push((&annex_b[first..end], kind == NAL_IDR));
            }
        }
        begin = None;
    }
    units
}

/// For each NAL unit: where its start code begins and where its header lies.
fn start_codes(annex_b: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(window) = annex_b.get(at..at + 3) {
        if window == [0, 0, 1] {
            let long = at > 0 && annex_b[at - 1] == 0;
            found.push((at - usize::from(long), at + 3));
            at += 3;
        } else {
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_access_units_with_their_parameter_sets() {
        let file = [0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68, 8, 0, 0, 1, 0x65, 0x87, 0, 0, 0, 1, 0x41, 0x86];
        let clip = Clip::parse(&file, "# ms\n0\n40\n").unwrap();
        assert_eq!(clip.pictures.len(), 2);
        assert!(clip.pictures[0].key && !clip.pictures[1].key);
        assert_eq!(clip.pictures[0].bytes, file[..17]);
        assert_eq!(clip.pictures[1].bytes, file[17..]);
        assert_eq!(clip.length_ms, 73);
    }

    #[test]
    fn a_picture_can_have_several_slices() {
        let file = [0, 0, 1, 0x65, 0x80, 0, 0, 1, 0x65, 0x40, 0, 0, 1, 0x41, 0x80, 0, 0, 1, 0x41, 0x20];
        let clip = Clip::parse(&file, "0\n40\n").unwrap();
        assert_eq!((&clip.pictures[0].bytes[..], &clip.pictures[1].bytes[..]), (&file[..10], &file[10..]));
        let both = clip.clone().then(&clip);
        assert_eq!(both.pictures.iter().map(|p| p.at_ms).collect::<Vec<_>>(), [0, 40, 73, 113]);
        assert_eq!(both.length_ms, 146);
    }

    #[test]
    fn refuses_times_that_do_not_match() {
        assert_eq!(
            Clip::parse(&[0, 0, 1, 0x65], "0\n5").unwrap_err(),
            ClipError::Count { pictures: 1, times: 2 }
        );
        assert_eq!(Clip::parse(&[], "3\n3").unwrap_err(), ClipError::Time { line: 2 });
        assert_eq!(Clip::parse(&[0, 0, 1, 0x41], "0").unwrap_err(), ClipError::NoKey);
    }
}
