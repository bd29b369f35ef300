//! EBML, the binary form of Matroska: elements with an id and a size.
//!
//! Only what the Matroska writer needs. No crate is used for it: those at hand want each picture's bytes in their own
//! structures, write no cluster in one piece, or rest on macros that nobody keeps any more; this is a page of code.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Size of an element that reaches to the end of the file.
pub(crate) const UNKNOWN_SIZE: u64 = (1 << 56) - 1;

/// Appends the id, in as many bytes as it has.
pub(crate) fn id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    out.extend_from_slice(&bytes[zeros..]);
}

/// Appends a size, in as few bytes as it takes.
pub(crate) fn size(out: &mut Vec<u8>, size: u64) {
    let length = (1..8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
    let marked = size | 1 << (7 * length);
    out.extend_from_slice(&marked.to_be_bytes()[8 - length as usize..]);
}

/// Appends a size in eight bytes, so that it can be replaced by any other.
pub(crate) fn wide_size(out: &mut Vec<u8>, size: u64) {
    out.extend_from_slice(&(size | 1 << 56).to_be_bytes());
}

/// Appends an element with this body.
pub(crate) fn element(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    id(out, kind);
    size(out, body.len() as u64);
    out.extend_from_slice(body);
}

/// Appends an unsigned integer, in as few bytes as it takes.
pub(crate) fn unsigned(out: &mut Vec<u8>, kind: u32, value: u64) {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(7);
    element(out, kind, &bytes[zeros..]);
}

/// An element in a file: its id, and where its body begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: u32,
    pub(crate) body: u64,
    pub(crate) end: u64,
}

/// The element at `at`; `None` where no complete one lies before `limit`.
///
/// # Errors
/// The disk refused.
pub(crate) fn find(file: &File, at: u64, limit: u64) -> io::Result<Option<Found>> {
    let mut bytes = [0; 12];
    let there = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
    file.read_exact_at(&mut bytes[..there], at)?;
    Ok(header(&bytes[..there]).and_then(|(id, length, size)| {
        let body = at + length;
        let end = body.checked_add(size).filter(|end| *end <= limit)?;
        Some(Found { id, body, end })
    }))
}

/// Id, length of id and size together, and size of the body.
fn header(bytes: &[u8]) -> Option<(u32, u64, u64)> {
    let (id, after) = number(bytes, 4)?;
    let (marked, rest) = number(after, 8)?;
    let length = after.len() - rest.len();
    let size = marked & !(1 << (7 * length));
    let header = (bytes.len() - rest.len()) as u64;
    (size != (1 << (7 * length)) - 1).then_some((u32::try_from(id).ok()?, header, size))
}

/// A number with its length in its first bits, at most `most` bytes long; the mark is left in.
fn number(bytes: &[u8], most: usize) -> Option<(u64, &[u8])> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let (number, rest) = bytes.split_at_checked(length).filter(|_| length <= most)?;
    Some((number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_take_the_bytes_they_need() {
        for (value, expected) in
            [(0, &[0x80][..]), (126, &[0xfe]), (127, &[0x40, 0x7f]), (16_383, &[0x20, 0x3f, 0xff])]
        {
            let mut out = Vec::new();
            size(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
        let mut out = Vec::new();
        wide_size(&mut out, UNKNOWN_SIZE);
        assert_eq!(out, [1, 255, 255, 255, 255, 255, 255, 255]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(length in 0_usize..70_000, cut in 0_u64..20) {
            let mut file = tempfile::tempfile().expect("a file");
            let mut out = vec![7; 3];
            element(&mut out, 0x1f43_b675, &vec![9; length]);
            file.write_all(&out).expect("written");
            let end = out.len() as u64;
            let found = find(&file, 3, end).expect("readable").expect("whole");
            prop_assert_eq!((found.id, found.end - found.body, found.end), (0x1f43_b675, length as u64, end));
            let limit = end.saturating_sub(cut).max(3);
            prop_assert_eq!(find(&file, 3, limit).expect("readable").is_some(), limit == end);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&bytes).expect("written");
            if let Some(found) = find(&file, 0, bytes.len() as u64).expect("readable") {
                prop_assert!(found.body <= found.end && found.end <= bytes.len() as u64);
            }
        }
    }
}
