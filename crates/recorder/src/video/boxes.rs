//! The MP4 boxes of one H.264 track, by way of `mp4-atom`.
//!
//! Timescale is 1000, so Zoom's milliseconds are exact. Two forms of `moov` exist: one that announces fragments, at the
//! front of a growing file, and one with the whole sample table, for a finished file.

use mp4_atom::{
    Avc1, Avcc, AvccExt, Co64, Codec, Dinf, Dref, DrefEntry, Encode, Ftyp, Hdlr, Mdhd, Mdia, Mfhd, Minf,
    Moof, Moov, Mvex, Mvhd, Stbl, Stco, Stsc, StscEntry, Stsd, Stss, Stsz, StszSamples, Stts, SttsEntry,
    Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd,
};

use super::annexb::{PPS, SPS, Units, unit_type};
use super::sound::{SoundTable, edits};

/// Units a second: milliseconds.
pub(crate) const TIMESCALE: u32 = 1000;
const TRACK_ID: u32 = 1;
/// Most that pictures and sound begin apart, ms: more is damage. A week.
const MOST_WAIT: i64 = 7 * 86_400_000;
/// Sample flags: depends on nothing; or depends on others and is no sync sample.
const KEY_FLAGS: u32 = 0x0200_0000;
const DEPENDENT_FLAGS: u32 = 0x0101_0000;

/// One picture in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it is shown, ms after the file's first picture.
    pub(crate) at: u64,
    /// How long, ms.
    pub(crate) duration: u32,
    /// Bytes.
    pub(crate) size: u32,
    /// Whether decoding can begin with it.
    pub(crate) key: bool,
}

/// Pictures that lie one behind the other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where the first one begins.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) samples: u32,
}

pub(crate) fn ftyp() -> Ftyp {
    Ftyp {
        major_brand: b"isom".into(),
        minor_version: 512,
        compatible_brands: vec![b"isom".into(), b"iso6".into(), b"avc1".into(), b"mp41".into()],
    }
}

/// The sample entry for a file that begins with this key frame of `size`, pixels: it has the sample's parameter sets.
///
/// There is one entry in a file, also when the resolution changes: a growing file announces its entries before they
/// are known. Later sets lie in the samples themselves, in front of each key frame, where ffmpeg, VLC and Chromium
/// read them (Chromium and ffmpeg by way of the same Annex B conversion, which prefers them to the entry's). The entry
/// is `avc1`, not `avc3`, because players that know no `avc3` still play all that has the first resolution.
pub(crate) fn sample_entry(key_frame: &[u8], size: (u32, u32)) -> Option<Codec> {
    let (width, height) = size;
    let of_kind = |kind| Units::of_sample(key_frame).filter(move |unit| unit_type(unit) == kind);
    let mut avcc = Avcc::new(of_kind(SPS).next()?, of_kind(PPS).next()?).ok()?;
    avcc.sequence_parameter_sets = of_kind(SPS).map(<[u8]>::to_vec).collect();
    avcc.picture_parameter_sets = of_kind(PPS).map(<[u8]>::to_vec).collect();
    // High profiles carry these fields; Zoom's pictures are 4:2:0 with 8 bits, which is the default.
    avcc.ext = matches!(avcc.avc_profile_indication, 100 | 110 | 122 | 144).then(AvccExt::default);
    let visual = Visual {
        data_reference_index: 1,
        width: u16::try_from(width).ok()?,
        height: u16::try_from(height).ok()?,
        ..Visual::default()
    };
    let (btrt, colr, pasp, taic, fiel, spatial) = (None, None, None, None, None, None);
    Some(Codec::Avc1(Avc1 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial }))
}

/// The `moov` of a file whose pictures follow in fragments.
pub(crate) fn fragmented_moov(entry: Codec) -> Moov {
    let table = Stbl { stsd: Stsd { codecs: vec![entry] }, stco: Some(Stco::default()), ..Stbl::default() };
    let trex = Trex { track_id: TRACK_ID, default_sample_description_index: 1, ..Trex::default() };
    Moov { mvex: Some(Mvex { mehd: None, trex: vec![trex] }), ..moov(table, 0) }
}

/// The `moov` of a finished file.
pub(crate) fn indexed_moov(entry: Codec, samples: &[Sample], chunks: &[Chunk]) -> Moov {
    let table = Stbl {
        stsd: Stsd { codecs: vec![entry] },
        stts: durations(samples),
        stss: Some(Stss {
            entries: (1_u32..)
                .zip(samples)
                .filter(|(_, sample)| sample.key)
                .map(|(number, _)| number)
                .collect(),
        }),
        stsc: chunk_sizes(chunks),
        stsz: Stsz {
            samples: StszSamples::Different { sizes: samples.iter().map(|sample| sample.size).collect() },
        },
        co64: Some(Co64 { entries: chunks.iter().map(|chunk| chunk.offset).collect() }),
        ..Stbl::default()
    };
    let duration = samples.last().map_or(0, |last| last.at + u64::from(last.duration));
    moov(table, duration)
}

/// Joins a sound track to a finished table, whose pictures begin `offset` ms after the sound (before it where negative).
/// The movie begins with what comes first; the last picture stays for as long as there is sound.
pub(super) fn with_sound(mut moov: Moov, sound: SoundTable, offset: i64) -> Moov {
    let (wait, sound_waits) =
        (u64::try_from(offset).unwrap_or(0), u64::try_from(-offset.max(-MOST_WAIT)).unwrap_or(0));
    let wait = wait.min(MOST_WAIT.unsigned_abs());
    let sound_ends = sound_waits + sound.duration_ms();
    if let Some(pictures) = moov.trak.first_mut() {
        let longer = sound_ends.saturating_sub(wait + pictures.mdia.mdhd.duration);
        hold_last(&mut pictures.mdia.minf.stbl.stts, longer);
        pictures.mdia.mdhd.duration += longer;
        let length = pictures.mdia.mdhd.duration;
        pictures.tkhd.duration = wait + length;
        pictures.edts = Some(edits(wait, length, 0));
        moov.mvhd.duration = pictures.tkhd.duration.max(sound_ends);
    }
    moov.trak.push(sound.trak(sound_waits));
    moov.mvhd.next_track_id = TRACK_ID + 2;
    moov
}

/// The last picture is shown `longer` ms more.
fn hold_last(durations: &mut Stts, longer: u64) {
    let Some(last) = durations.entries.last_mut().filter(|_| longer > 0) else { return };
    let delta = last.sample_delta.saturating_add(u32::try_from(longer).unwrap_or(u32::MAX));
    last.sample_count -= 1;
    if last.sample_count == 0 {
        durations.entries.pop();
    }
    durations.entries.push(SttsEntry { sample_count: 1, sample_delta: delta });
}

fn moov(stbl: Stbl, duration: u64) -> Moov {
    let (width, height) = match stbl.stsd.codecs.first() {
        Some(Codec::Avc1(avc1)) => (avc1.visual.width, avc1.visual.height),
        _ => (0, 0),
    };
    let dref = Dref { entries: vec![DrefEntry::Url(Url::default())] };
    let minf = Minf { vmhd: Some(Vmhd::default()), dinf: Dinf { dref }, stbl, ..Minf::default() };
    let mdhd = Mdhd { timescale: TIMESCALE, duration, language: "und".to_owned(), ..Mdhd::default() };
    let hdlr = Hdlr { handler: b"vide".into(), name: "Video".to_owned() };
    let tkhd = Tkhd {
        track_id: TRACK_ID,
        duration,
        enabled: true,
        in_movie: true,
        width: width.into(),
        height: height.into(),
        ..Tkhd::default()
    };
    Moov {
        mvhd: Mvhd { timescale: TIMESCALE, duration, next_track_id: TRACK_ID + 1, ..Mvhd::default() },
        trak: vec![Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() }],
        ..Moov::default()
    }
}

/// `moof` and the header of the `mdat` for a fragment; the pictures' bytes follow.
pub(crate) fn fragment(sequence: u32, samples: &[Sample]) -> mp4_atom::Result<Vec<u8>> {
    let payload: usize = samples.iter().map(|sample| sample.size as usize).sum();
    // The offset of the pictures is counted from the moof, whose size does not depend on the offset's value.
    let length = encoded(&moof(sequence, samples, 0))?.len();
    let data_offset = i32::try_from(length + 8).map_err(|_| mp4_atom::Error::OutOfBounds)?;
    let mut out = encoded(&moof(sequence, samples, data_offset))?;
    mp4_atom::Header { kind: b"mdat".into(), size: Some(payload) }.encode(&mut out)?;
    Ok(out)
}

fn moof(sequence: u32, samples: &[Sample], data_offset: i32) -> Moof {
    let entries = samples.iter().map(|sample| TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.size),
        flags: Some(if sample.key { KEY_FLAGS } else { DEPENDENT_FLAGS }),
        cts: None,
    });
    let trun = Trun { data_offset: Some(data_offset), samples: entries.collect::<Vec<_>>().into() };
    let traf = Traf {
        tfhd: Tfhd { track_id: TRACK_ID, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: Some(Tfdt { base_media_decode_time: samples.first().map_or(0, |first| first.at) }),
        trun: vec![trun],
        ..Traf::default()
    };
    Moof { mfhd: Mfhd { sequence_number: sequence }, traf: vec![traf] }
}

/// Whether the flags of a sample in a `trun` are a key frame's.
pub(crate) fn is_key(flags: u32) -> bool {
    flags & 0x0001_0000 == 0
}

/// A box as bytes.
pub(crate) fn encoded(atom: &impl Encode) -> mp4_atom::Result<Vec<u8>> {
    let mut out = Vec::new();
    atom.encode(&mut out)?;
    Ok(out)
}

fn durations(samples: &[Sample]) -> Stts {
    let mut entries: Vec<SttsEntry> = Vec::new();
    for sample in samples {
        match entries.last_mut() {
            Some(last) if last.sample_delta == sample.duration => last.sample_count += 1,
            _ => entries.push(SttsEntry { sample_count: 1, sample_delta: sample.duration }),
        }
    }
    Stts { entries }
}

/// How many samples each chunk has.
pub(crate) fn chunk_sizes(chunks: &[Chunk]) -> Stsc {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (number, chunk) in (1_u32..).zip(chunks) {
        if entries.last().is_none_or(|last| last.samples_per_chunk != chunk.samples) {
            entries.push(StscEntry {
                first_chunk: number,
                samples_per_chunk: chunk.samples,
                sample_description_index: 1,
            });
        }
    }
    Stsc { entries }
}
