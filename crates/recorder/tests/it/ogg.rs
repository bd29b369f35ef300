//! Ogg files, read by eyes that do not share the recorder's code.

use std::fs;
use std::path::Path;

/// One page: flags, granule position, packets.
type Page = (u8, u64, Vec<Vec<u8>>);

/// The pages of a file. Each must follow the one before; only the last may be cut off.
fn pages(path: &Path) -> Vec<Page> {
    let bytes = fs::read(path).unwrap();
    let (mut at, mut pages) = (0, Vec::new());
    while let Some(head) = bytes.get(at..at + 27) {
        assert!(head.starts_with(b"OggS\0"), "no page at {at} of {}", path.display());
        let sequence = u32::from_le_bytes(head[18..22].try_into().unwrap());
        assert_eq!(sequence as usize, pages.len());
        let Some(segments) = bytes.get(at + 27..at + 27 + usize::from(head[26])) else { break };
        let mut begin = at + 27 + segments.len();
        let (mut packets, mut size) = (Vec::new(), 0);
        for segment in segments {
            size += usize::from(*segment);
            if *segment < 255 {
                packets.extend(bytes.get(begin..begin + size).map(<[u8]>::to_vec));
                begin += size;
                size = 0;
            }
        }
        if begin > bytes.len() {
            break;
        }
        pages.push((head[5], u64::from_le_bytes(head[6..14].try_into().unwrap()), packets));
        at = begin;
    }
    pages
}

/// The packets of 20 ms of an Ogg Opus file, without the one that closes it. Positions must be what the packets say.
pub(crate) fn packets(path: &Path) -> Vec<Vec<u8>> {
    let pages = pages(path);
    let [(2, 0, head), (0, 0, tags), sound @ ..] = pages.as_slice() else { panic!("{pages:?}") };
    assert!(head[0].starts_with(b"OpusHead\x01") && head[0][10..12] == 312_u16.to_le_bytes());
    assert!(tags[0].starts_with(b"OpusTags"));
    let mut all = Vec::new();
    for (n, (flags, granule, packets)) in sound.iter().enumerate() {
        if *flags == 4 {
            assert_eq!(n + 1, sound.len());
            // What we encoded ends in a packet of sound, what Zoom did in one of ours, of 10 ms.
            let own = packets[0].len() != 3 || packets[0][0] >> 3 != 30;
            all.extend(packets.iter().filter(|_| own).cloned());
            let end = all.len() as u64 * 960;
            assert!(if own { (end - 960..=end).contains(granule) } else { *granule == end + 312 });
            // The delay may need a packet of its own.
            all.truncate(((*granule - 312) as usize).div_ceil(960));
        } else {
            all.extend(packets.iter().cloned());
            assert_eq!(*granule, all.len() as u64 * 960);
        }
    }
    all
}
