//! Ogg files of a recording, read by the standard alone: pages one behind the other, each with its checksum.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use rtms_recorder::Manifest;

/// The file is whole pages of one stream, numbered without a hole, with places that never go back. While it grows the
/// last one may be cut off.
pub(crate) fn whole(path: &Path, growing: bool) {
    let bytes = std::fs::read(path).expect("a readable file");
    let (mut rest, mut number, mut place, mut ended) = (bytes.as_slice(), 0, 0, false);
    while let Some(page) = first_page(rest) {
        assert_eq!(le(page, 18, 4), number, "{}: a page is missing", path.display());
        assert_eq!(page[5] & 2 != 0, number == 0, "the first page alone begins");
        assert_eq!(le(page, 14, 4), le(&bytes, 14, 4), "one stream");
        assert!(!ended, "{}: a page behind the last one", path.display());
        assert!(le(page, 6, 8) >= place, "{}: a place before the last one", path.display());
        (number, place, ended) = (number + 1, le(page, 6, 8), page[5] & 4 != 0);
        rest = &rest[page.len()..];
    }
    assert!(number >= 2, "{}: a beginning of two pages", path.display());
    assert!(growing || rest.is_empty() && ended, "{}: {} bytes of no page", path.display(), rest.len());
}

/// Puts these bytes behind each Ogg file, as a write that was cut short may.
pub(crate) fn tear(data_dir: &Path, manifest: &Manifest, torn: &[u8]) {
    for file in manifest.files().filter(|file| file.ends_with(".ogg")) {
        let mut options = OpenOptions::new();
        let Ok(mut file) = options.append(true).open(data_dir.join(file)) else { continue };
        file.write_all(b"OggS\0").and_then(|()| file.write_all(torn)).expect("the disk is fine");
    }
}

/// The page that these bytes begin with, if it is whole and its checksum right.
fn first_page(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..27).filter(|head| head.starts_with(b"OggS\0"))?;
    let table = bytes.get(27..27 + usize::from(head[26]))?;
    let body: usize = table.iter().map(|size| usize::from(*size)).sum();
    let page = bytes.get(..27 + table.len() + body)?;
    (checksum(page) == le(page, 22, 4)).then_some(page)
}

/// Bit by bit, with the page's own four bytes as zeros.
fn checksum(page: &[u8]) -> u64 {
    let mut sum = 0_u32;
    for (at, byte) in page.iter().enumerate() {
        let byte = if (22..26).contains(&at) { 0 } else { *byte };
        sum ^= u32::from(byte) << 24;
        for _ in 0..8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
        }
    }
    u64::from(sum)
}

fn le(bytes: &[u8], at: usize, count: usize) -> u64 {
    bytes[at..at + count].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
