//! Reads the H.264 track of an MP4 file: its access units as Annex B, with the times of its tables.
//!
//! Ordinary files and fragmented ones are read. The file lies in memory as a whole (its reader bounds it), and whatever a
//! table says is checked against it. What cannot be sent as Zoom sends pictures is refused by name: other codecs, pictures
//! that are shown in another order than they are decoded in (B-frames), for Zoom has one timestamp for each.

use bytes::Bytes;
use mp4_atom::{Atom, Avcc, Codec, DecodeMaybe as _, Header, Moof, Moov, Stbl, StszSamples, Trak};

use super::clip::{Clip, Picture};

/// Why an MP4 file cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mp4Error {
    /// No `moov` box that can be read.
    #[error("not an MP4 file with a readable table (moov)")]
    NotMp4,
    /// No H.264 in it.
    #[error("no H.264 track in it; `ffmpeg -i IN -c:v libx264 -bf 0 out.mp4` makes one")]
    NoH264,
    /// Pictures are shown in another order than they are decoded in.
    #[error(
        "it has B-frames, which Zoom does not send; `ffmpeg -i IN -c:v libx264 -bf 0 out.mp4` makes one without"
    )]
    Reordered,
    /// A table points out of the file, or two tables contradict each other.
    #[error("its tables do not fit its data at picture {picture}")]
    Table {
        /// Which, from 1.
        picture: usize,
    },
    /// Not one picture, or none at which decoding can begin.
    #[error("no key picture in it")]
    NoKey,
}

/// Most pictures that are read: a day of 30 a second. A table can claim billions in a few bytes.
const MOST_PICTURES: usize = 2_592_000;

/// One picture as the tables have it: ticks, and a stretch of the file.
struct Entry {
    ticks: u64,
    duration: u32,
    offset: u64,
    size: u32,
}

/// Reads the first H.264 track.
///
/// # Errors
/// When there is none, or it cannot be sent as Zoom sends pictures.
pub(super) fn parse(file: &[u8]) -> Result<Clip, Mp4Error> {
    let boxes = boxes(file);
    let moov = boxes.iter().find(|b| b.kind == Moov::KIND).ok_or(Mp4Error::NotMp4)?;
    let moov = Moov::decode_body(&mut moov.body(file)).map_err(|_| Mp4Error::NotMp4)?;
    let (trak, avcc) = moov.trak.iter().find_map(|trak| Some((trak, avc(trak)?))).ok_or(Mp4Error::NoH264)?;
    let mut entries = tabled(&trak.mdia.minf.stbl)?;
    if entries.is_empty() {
        entries = fragmented(file, &boxes, &moov, trak.tkhd.track_id)?;
    }
    let scale = u64::from(trak.mdia.mdhd.timescale.max(1));
    let millis = |ticks: u64| i64::try_from(u128::from(ticks) * 1000 / u128::from(scale)).unwrap_or(i64::MAX);
    let end = entries.last().map_or(0, |last| millis(last.ticks.saturating_add(u64::from(last.duration))));
    let mut pictures: Vec<Picture> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let wrong = Mp4Error::Table { picture: index + 1 };
        let (bytes, key) = annex_b(file, entry, &avcc).ok_or_else(|| wrong.clone())?;
        if pictures.is_empty() && !key {
            continue;
        }
        let at_ms = millis(entry.ticks);
        if pictures.last().is_some_and(|last| last.at_ms > at_ms) {
            return Err(wrong);
        }
        pictures.push(Picture { at_ms, bytes, key });
    }
    Clip::of(pictures, end).ok_or(Mp4Error::NoKey)
}

struct BoxAt {
    kind: mp4_atom::FourCC,
    /// Where the header begins.
    at: usize,
    from: usize,
    to: usize,
}

impl BoxAt {
    fn body<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        &file[self.from..self.to]
    }
}

/// The boxes at the top, up to where they stop making sense.
fn boxes(file: &[u8]) -> Vec<BoxAt> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let mut rest = &file[at..];
        let Ok(Some(header)) = Header::decode_maybe(&mut rest) else { break };
        let from = file.len() - rest.len();
        let to = header.size.map_or(file.len(), |size| from.saturating_add(size));
        if to > file.len() {
            break;
        }
        found.push(BoxAt { kind: header.kind, at, from, to });
        at = to;
    }
    found
}

fn avc(trak: &Trak) -> Option<Avcc> {
    trak.mdia.minf.stbl.stsd.codecs.iter().find_map(|codec| match codec {
        Codec::Avc1(avc) => Some(avc.avcc.clone()),
        Codec::Avc3(avc) => Some(avc.avcc.clone()),
        _ => None,
    })
}

/// The pictures of an ordinary file.
fn tabled(stbl: &Stbl) -> Result<Vec<Entry>, Mp4Error> {
    if stbl
        .ctts
        .as_ref()
        .is_some_and(|ctts| ctts.entries.windows(2).any(|w| w[0].sample_offset != w[1].sample_offset))
    {
        return Err(Mp4Error::Reordered);
    }
    let sizes: Box<dyn Iterator<Item = u32>> = match &stbl.stsz.samples {
        StszSamples::Identical { count, size } => Box::new(std::iter::repeat_n(*size, *count as usize)),
        StszSamples::Different { sizes } => Box::new(sizes.iter().copied()),
    };
    let mut durations =
        stbl.stts.entries.iter().flat_map(|e| std::iter::repeat_n(e.sample_delta, e.sample_count as usize));
    let mut offsets = offsets(stbl);
    let (mut entries, mut ticks) = (Vec::new(), 0_u64);
    let mut place: Option<(u64, u32)> = None;
    for size in sizes {
        let wrong = Mp4Error::Table { picture: entries.len() + 1 };
        let (offset, left) = match place.filter(|(_, left)| *left > 0) {
            Some(place) => place,
            None => offsets.next().filter(|(_, count)| *count > 0).ok_or_else(|| wrong.clone())?,
        };
        let duration = durations.next().filter(|_| entries.len() < MOST_PICTURES).ok_or(wrong)?;
        entries.push(Entry { ticks, duration, offset, size });
        ticks = ticks.saturating_add(u64::from(duration));
        place = Some((offset.saturating_add(u64::from(size)), left - 1));
    }
    Ok(entries)
}

/// Where each chunk lies, and how many pictures it has.
fn offsets(stbl: &Stbl) -> impl Iterator<Item = (u64, u32)> {
    let chunks: Vec<u64> = match (&stbl.co64, &stbl.stco) {
        (Some(co64), _) => co64.entries.clone(),
        (None, Some(stco)) => stco.entries.iter().map(|&offset| u64::from(offset)).collect(),
        (None, None) => Vec::new(),
    };
    let runs = stbl.stsc.entries.clone();
    let mut run = 0;
    chunks.into_iter().zip(1_u32..).map(move |(offset, number)| {
        while runs.get(run + 1).is_some_and(|next| next.first_chunk <= number) {
            run += 1;
        }
        (offset, runs.get(run).map_or(0, |r| r.samples_per_chunk))
    })
}

/// The pictures of a file that was written in fragments.
fn fragmented(file: &[u8], boxes: &[BoxAt], moov: &Moov, track: u32) -> Result<Vec<Entry>, Mp4Error> {
    let defaults = moov.mvex.as_ref().and_then(|mvex| mvex.trex.iter().find(|trex| trex.track_id == track));
    let (mut entries, mut ticks) = (Vec::new(), 0_u64);
    for fragment in boxes.iter().filter(|b| b.kind == Moof::KIND) {
        let Ok(moof) = Moof::decode_body(&mut fragment.body(file)) else { break };
        for traf in moof.traf.iter().filter(|traf| traf.tfhd.track_id == track) {
            ticks = traf.tfdt.as_ref().map_or(ticks, |tfdt| tfdt.base_media_decode_time);
            let base = traf.tfhd.base_data_offset.unwrap_or(fragment.at as u64);
            let mut next = base;
            for trun in &traf.trun {
                let mut offset =
                    trun.data_offset.map_or(next, |by| base.saturating_add_signed(i64::from(by)));
                for sample in trun.samples.iter() {
                    if sample.cts.unwrap_or(0) != 0 {
                        return Err(Mp4Error::Reordered);
                    }
                    if entries.len() >= MOST_PICTURES {
                        return Err(Mp4Error::Table { picture: entries.len() + 1 });
                    }
                    let given = |own: Option<u32>, here: Option<u32>, default: Option<u32>| {
                        own.or(here).or(default).unwrap_or(0)
                    };
                    let size = given(
                        sample.size,
                        traf.tfhd.default_sample_size,
                        defaults.map(|d| d.default_sample_size),
                    );
                    let duration = given(
                        sample.duration,
                        traf.tfhd.default_sample_duration,
                        defaults.map(|d| d.default_sample_duration),
                    );
                    entries.push(Entry { ticks, duration, offset, size });
                    ticks = ticks.saturating_add(u64::from(duration));
                    offset = offset.saturating_add(u64::from(size));
                }
                next = offset;
            }
        }
    }
    Ok(entries)
}

const START: [u8; 4] = [0, 0, 0, 1];
const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;

/// A picture as Annex B, its parameter sets before it where it is a key picture without; and whether it is one.
fn annex_b(file: &[u8], entry: &Entry, avcc: &Avcc) -> Option<(Bytes, bool)> {
    let from = usize::try_from(entry.offset).ok()?;
    let mut rest = file.get(from..from.checked_add(entry.size as usize)?)?;
    let length_bytes = usize::from(avcc.length_size).clamp(1, 4);
    let (mut units, mut key, mut has_sets) = (Vec::new(), false, false);
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (unit, after) = after.split_at_checked(length)?;
        let kind = unit.first().map_or(0, |byte| byte & 0x1f);
        key |= kind == NAL_IDR;
        has_sets |= kind == NAL_SPS || kind == NAL_PPS;
        units.extend([START.as_slice(), unit]);
        rest = after;
    }
    let sets = avcc.sequence_parameter_sets.iter().chain(&avcc.picture_parameter_sets);
    let mut all = Vec::new();
    if key && !has_sets {
        all.extend(sets.flat_map(|set| [START.as_slice(), set.as_slice()]).flatten());
    }
    all.extend(units.into_iter().flatten());
    Some((Bytes::from(all), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mp4_says_so() {
        assert_eq!(parse(b"hello, I am a text").unwrap_err(), Mp4Error::NotMp4);
        assert_eq!(parse(b"").unwrap_err(), Mp4Error::NotMp4);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(file in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = parse(&file);
            let whole = [b"\0\0\0\x08moov".as_slice(), &file].concat();
            let _ = parse(&whole);
        }
    }
}
