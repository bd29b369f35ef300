//! What a recording left on the disk, read by eyes that do not share its code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rtms_recorder::{Manifest, read_manifest};

/// A WAV file's samples, interleaved, and their layout.
pub(crate) struct Wav {
    pub(crate) channels: u16,
    pub(crate) samples: Vec<i16>,
}

/// Reads a WAV by its chunks; every size in it must be right. While it grows, samples may follow that no header
/// speaks of yet.
pub(crate) fn wav(path: &Path, growing: bool) -> Wav {
    let bytes = fs::read(path).expect("a readable file");
    let number = |at: usize, count: usize| {
        let digits = bytes.get(at..at + count).expect("a whole header");
        digits.iter().rev().fold(0_usize, |n, byte| n << 8 | usize::from(*byte))
    };
    assert!(bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE"), "{}", path.display());
    let end = number(4, 4) + 8;
    assert!(
        end == bytes.len() || growing && end < bytes.len(),
        "{end} of {}: {}",
        bytes.len(),
        path.display()
    );
    let (mut at, mut channels, mut samples) = (12, 0, None);
    while at < end {
        let size = number(at + 4, 4);
        let body = bytes.get(at + 8..at + 8 + size).expect("a chunk inside the file");
        match bytes.get(at..at + 4) {
            Some(b"fmt ") => {
                channels = u16::try_from(number(at + 10, 2)).expect("16 bits");
                assert!(number(at + 8, 2) == 1 && number(at + 22, 2) == 16, "16-bit PCM");
                assert_eq!(number(at + 16, 4), number(at + 12, 4) * usize::from(channels) * 2);
            }
            Some(b"data") => {
                assert!(samples.replace(body).is_none() && size.is_multiple_of(usize::from(channels) * 2));
            }
            _ => {}
        }
        at += 8 + size;
    }
    assert_eq!(at, end, "chunks fill the file");
    let samples = samples.expect("a data chunk").chunks_exact(2);
    let samples = samples.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Wav { channels, samples }
}

/// Every file below `dir`, relative to it. Links are not followed and not expected.
pub(crate) fn below(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("a type");
            assert!(!kind.is_symlink(), "a link: {:?}", entry.path());
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(dir).expect("below").to_path_buf());
            }
        }
    }
    found
}

/// The folder holds the manifest and what it names, and nothing else but a ledger; names are harmless.
pub(crate) fn tidy(data_dir: &Path, manifest_path: &Path, manifest: &Manifest) {
    assert_eq!(read_manifest(manifest_path).expect("a readable manifest"), *manifest);
    let mut expected: BTreeSet<_> = manifest.files().map(PathBuf::from).collect();
    expected.insert(manifest_path.strip_prefix(data_dir).expect("below the data folder").to_path_buf());
    let mut found = below(data_dir);
    found.retain(|file| !file.starts_with(".unfinished"));
    for track in &manifest.tracks {
        let Some(images) = track.images else { continue };
        let folder = Path::new(&track.file).with_extension("");
        let before = found.len();
        found.retain(|file| !file.starts_with(&folder));
        assert_eq!((before - found.len()) as u64, images, "images and manifest disagree");
    }
    assert_eq!(found, expected, "files and manifest disagree");
    for file in found {
        let name = file.to_str().expect("ASCII");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b)), "{name}");
        assert!(!name.contains("..") && file.file_name().is_some_and(|name| name.len() <= 255));
    }
}
