//! Reads back what a growing MP4 holds, fragment by fragment.
//!
//! A recording of hours has tens of thousands of pictures. Their table is not kept in memory while recording, but read
//! from the fragments' headers when the file is finished or taken up again; the pictures themselves are skipped. An
//! incomplete last fragment, of a process that died while it wrote, is left out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use mp4_atom::{Atom, Codec, Mdat, Moof, Moov};

use super::boxes::{Chunk, Sample, is_key};

/// Largest `moov` or `moof` that is read, bytes. Ours have some thousands.
const BOX_BYTES: u64 = 16 * 1024 * 1024;

/// The table of a fragmented file.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The sample entry of its `moov`.
    pub(crate) entry: Option<Codec>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) chunks: Vec<Chunk>,
    /// Where the last complete fragment ends.
    pub(crate) end: u64,
}

impl Index {
    /// Place and size in bytes of the last key frame.
    pub(crate) fn last_key_frame(&self) -> Option<(u64, u32)> {
        let mut samples = self.samples.iter();
        let mut last = None;
        for chunk in &self.chunks {
            let mut at = chunk.offset;
            for sample in samples.by_ref().take(usize::try_from(chunk.samples).unwrap_or(0)) {
                if sample.key {
                    last = Some((at, sample.size));
                }
                at += u64::from(sample.size);
            }
        }
        last
    }
}

/// Reads the fragments of `file` from its beginning.
///
/// # Errors
/// The disk refused. What is not understood ends the table, without an error.
pub(crate) fn read(file: &File) -> io::Result<Index> {
    let length = file.metadata()?.len();
    let mut index = Index::default();
    let mut at = 0;
    let mut pending: Option<(u64, Moof)> = None;
    while let Some((kind, header, size)) = box_header(file, at, length)? {
        let body = at + header;
        let end = at + size;
        if kind == Moov::KIND && index.entry.is_some() {
            // The table of a file that was being finished: the fragments end before it.
            break;
        }
        if kind == Moov::KIND {
            index.entry = decode::<Moov>(file, body, size - header)?.and_then(first_entry);
            index.end = end;
        } else if kind == Moof::KIND {
            pending = decode::<Moof>(file, body, size - header)?.map(|moof| (at, moof));
        } else if kind == Mdat::KIND
            && let Some((start, moof)) = pending.take()
        {
            add_fragment(&mut index, start, &moof);
            // What lies behind the last fragment is sound, of a file that was being finished.
            index.end = end;
        }
        at = end;
    }
    settle_durations(&mut index.samples);
    Ok(index)
}

/// Kind, header size and whole size of the box at `at`; `None` where no complete box is.
fn box_header(file: &File, at: u64, length: u64) -> io::Result<Option<(mp4_atom::FourCC, u64, u64)>> {
    if length.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    let [a, b, c, d, kind @ ..] = bytes;
    let (header, size) = match u32::from_be_bytes([a, b, c, d]) {
        1 if length - at >= 16 => {
            let mut large = [0; 8];
            file.read_exact_at(&mut large, at + 8)?;
            (16, u64::from_be_bytes(large))
        }
        size => (8, u64::from(size)),
    };
    Ok((size >= header && size <= length - at).then_some((kind.into(), header, size)))
}

fn decode<A: Atom>(file: &File, at: u64, size: u64) -> io::Result<Option<A>> {
    if size > BOX_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, at)?;
    Ok(A::decode_body(&mut bytes.as_slice()).ok())
}

fn first_entry(moov: Moov) -> Option<Codec> {
    moov.trak.into_iter().next()?.mdia.minf.stbl.stsd.codecs.into_iter().next()
}

fn add_fragment(index: &mut Index, start: u64, moof: &Moof) {
    let Some(traf) = moof.traf.first() else { return };
    let mut at = traf.tfdt.as_ref().map_or(0, |tfdt| tfdt.base_media_decode_time);
    for trun in &traf.trun {
        let offset = start.saturating_add_signed(i64::from(trun.data_offset.unwrap_or(0)));
        let mut count = 0;
        for entry in &trun.samples {
            let (duration, size) = (entry.duration.unwrap_or(0), entry.size.unwrap_or(0));
            index.samples.push(Sample { at, duration, size, key: is_key(entry.flags.unwrap_or(0)) });
            at += u64::from(duration);
            count += 1;
        }
        index.chunks.push(Chunk { offset, samples: count });
    }
}

/// A fragment's last duration may have been provisional: the next picture's time is what counts.
fn settle_durations(samples: &mut [Sample]) {
    for pair in 1..samples.len() {
        let next = samples[pair].at;
        let sample = &mut samples[pair - 1];
        sample.duration = u32::try_from(next.saturating_sub(sample.at)).unwrap_or(u32::MAX);
    }
}
