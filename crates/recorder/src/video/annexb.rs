//! The NAL units of an H.264 message.
//!
//! Zoom sends Annex B: start codes of three or four bytes. Units with their lengths in front (as in an MP4) are read
//! as well where they cover the message to the last byte: no document promises them, but they cost a few additions to
//! recognize, and a recording to miss. Emulation prevention bytes belong to a unit and stay where they are.

pub(crate) const SLICE: u8 = 1;
/// The first part of a slice in three; it has the slice's header.
pub(crate) const PARTITION_A: u8 = 2;
/// The last of the three kinds that hold parts of a slice.
pub(crate) const LAST_PARTITION: u8 = 4;
pub(crate) const IDR_SLICE: u8 = 5;
pub(crate) const SUPPLEMENT: u8 = 6;
pub(crate) const SPS: u8 = 7;
pub(crate) const PPS: u8 = 8;
pub(crate) const DELIMITER: u8 = 9;
pub(crate) const FILLER: u8 = 12;
/// Goes before a slice of its access unit.
pub(crate) const PREFIX: u8 = 14;
/// The last of the kinds that begin an access unit when they follow a slice.
pub(crate) const LAST_OPENING: u8 = 18;

/// Kind of a unit; 0 where it has none.
pub(crate) fn unit_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first & 0x1f)
}

/// The units of a message.
#[derive(Debug, Clone)]
pub(crate) enum Units<'a> {
    /// What follows the next start code, if any.
    AnnexB(Option<&'a [u8]>),
    /// What is left.
    Lengths(&'a [u8]),
}

impl<'a> Units<'a> {
    /// Those of `message`, without start codes, lengths and padding. Bytes before the first start code are skipped.
    pub(crate) fn of(message: &'a [u8]) -> Self {
        if has_lengths(message) { Self::Lengths(message) } else { Self::AnnexB(after_start_code(message)) }
    }

    /// Those of a sample of ours: lengths in front.
    pub(crate) fn of_sample(sample: &'a [u8]) -> Self {
        Self::Lengths(sample)
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Lengths(rest) => {
                let (unit, after) = split_length(rest)?;
                *rest = after;
                Some(unit)
            }
            Self::AnnexB(rest) => loop {
                let current = (*rest)?;
                let end = start_code(current).unwrap_or(current.len());
                *rest = after_start_code(&current[end..]);
                let unit = &current[..end];
                let padding = unit.iter().rev().take_while(|byte| **byte == 0).count();
                let unit = &unit[..unit.len() - padding];
                if !unit.is_empty() {
                    return Some(unit);
                }
            },
        }
    }
}

/// Whether units with lengths in front cover the message, each of a kind that H.264 has. A start code is no length:
/// nothing would follow it that does.
fn has_lengths(message: &[u8]) -> bool {
    if message.is_empty() || message.starts_with(&[0, 0, 1]) || message.starts_with(&[0, 0, 0, 1]) {
        return false;
    }
    let mut rest = message;
    while let Some((unit, after)) = split_length(rest) {
        let first = unit.first().copied().unwrap_or(0x80);
        if first & 0x80 != 0 || !(SLICE..=23).contains(&unit_type(unit)) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// The first unit of `bytes`, which has its length in front, and what follows it.
fn split_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX))
}

/// Where the next `00 00 01` is.
fn start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    start_code(bytes).map(|at| &bytes[at + 3..])
}

/// Appends a unit with its length in front.
pub(crate) fn append(sample: &mut Vec<u8>, unit: &[u8]) {
    let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
    sample.extend_from_slice(&length.to_be_bytes());
    sample.extend_from_slice(unit);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_with_both_start_codes_and_padding() {
        let bytes = [9, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 4, 0];
        let units: Vec<_> = Units::of(&bytes).collect();
        assert_eq!(units, [&[0x67_u8, 1, 2][..], &[0x68, 3], &[0x65, 4]]);
    }

    #[test]
    fn emulation_prevention_is_left_alone() {
        let bytes = [0, 0, 1, 0x65, 0, 0, 3, 1, 0, 0, 3, 0, 9];
        assert_eq!(Units::of(&bytes).collect::<Vec<_>>(), [&bytes[3..]]);
    }

    #[test]
    fn lengths_count_only_where_they_fit_to_the_last_byte() {
        let mut message = Vec::new();
        append(&mut message, &[0x67, 1]);
        append(&mut message, &[0x65, 0, 0, 3]);
        assert_eq!(Units::of(&message).collect::<Vec<_>>(), [&[0x67_u8, 1][..], &[0x65, 0, 0, 3]]);
        message.push(0);
        assert_eq!(Units::of(&message).count(), 0);
        // 256 bytes in front of which a length could stand: a start code wins.
        let mut long = vec![0, 0, 1, 0x41];
        long.resize(260, 7);
        assert_eq!(Units::of(&long).collect::<Vec<_>>(), [&long[3..]]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..300)) {
            for unit in Units::of(&bytes) {
                prop_assert!(!unit.is_empty());
            }
            for unit in Units::of_sample(&bytes) {
                prop_assert!(unit.len() < bytes.len());
            }
        }
    }
}
