//! The parameter sets in force: what a decoder must know before the pictures.
//!
//! They come with every key frame, once at the beginning, again and again, late, or with another id when the resolution
//! changes. They are remembered by id, so that each key frame can be given what it needs, and the one thing that is
//! read of them is which belongs to which, and the size of the pictures.

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

use super::annexb::{PPS, SPS, Units, append, unit_type};

/// Most parameter sets of a kind that are remembered. Encoders use one or two.
const SETS_KEPT: usize = 16;
/// Longest parameter set, bytes; real ones have some tens.
const SET_BYTES: usize = 1024;

/// One set, as it came.
#[derive(Debug)]
struct Set<T> {
    id: u32,
    unit: Vec<u8>,
    says: T,
}

/// What is read of an SPS: width and height, pixels, where it parses as a whole.
type Size = Option<(u32, u32)>;

/// The parameter sets in force, by their ids.
#[derive(Debug, Default)]
pub(crate) struct ParameterSets {
    sps: Vec<Set<Size>>,
    /// Each says which SPS it refers to.
    pps: Vec<Set<u32>>,
}

impl ParameterSets {
    /// Learns what a sample of ours carries: units with their lengths in front.
    pub(crate) fn learn_sample(&mut self, sample: &[u8]) {
        Units::of_sample(sample).for_each(|unit| self.learn(unit));
    }

    /// Remembers a parameter set; what is none, or has no id, is not kept.
    pub(crate) fn learn(&mut self, unit: &[u8]) {
        if unit.len() > SET_BYTES {
            return;
        }
        match unit_type(unit) {
            SPS => {
                let Some(id) = sps_id(unit) else { return };
                keep(&mut self.sps, Set { id, unit: unit.to_vec(), says: size(unit) });
            }
            PPS => {
                let Some((id, sps)) = pps_ids(unit) else { return };
                keep(&mut self.pps, Set { id, unit: unit.to_vec(), says: sps });
            }
            _ => {}
        }
    }

    /// Appends what a picture with this slice needs to be decoded: its SPS, then every PPS for it. Nothing is appended
    /// and `None` returned where they never came; else the size of the picture, as far as it is known.
    ///
    /// The SPS goes first: decoders forget the PPS of an SPS that is replaced.
    pub(crate) fn append_for(&self, slice: &[u8], sample: &mut Vec<u8>) -> Option<Size> {
        let pps = slice_pps(slice)?;
        let of = self.pps.iter().find(|set| set.id == pps)?.says;
        let sps = self.sps.iter().find(|set| set.id == of)?;
        append(sample, &sps.unit);
        self.pps.iter().filter(|set| set.says == of).for_each(|set| append(sample, &set.unit));
        Some(sps.says)
    }
}

fn keep<T>(sets: &mut Vec<Set<T>>, set: Set<T>) {
    match sets.iter_mut().find(|known| known.id == set.id) {
        Some(known) => *known = set,
        None => {
            if sets.len() == SETS_KEPT {
                sets.remove(0);
            }
            sets.push(set);
        }
    }
}

fn sps_id(unit: &[u8]) -> Option<u32> {
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(unit));
    bits.skip(24, "profile and level").ok()?;
    bits.read_ue("seq_parameter_set_id").ok()
}

fn size(unit: &[u8]) -> Size {
    let bits = BitReader::new(ByteReader::skipping_h264_header(unit));
    SeqParameterSet::from_bits(bits).ok()?.pixel_dimensions().ok()
}

/// The ids of a PPS and of the SPS that it refers to.
fn pps_ids(unit: &[u8]) -> Option<(u32, u32)> {
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(unit));
    Some((bits.read_ue("pic_parameter_set_id").ok()?, bits.read_ue("seq_parameter_set_id").ok()?))
}

/// The id of the PPS that a slice refers to.
fn slice_pps(slice: &[u8]) -> Option<u32> {
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(slice));
    bits.read_ue("first_mb_in_slice").ok()?;
    bits.read_ue("slice_type").ok()?;
    bits.read_ue("pic_parameter_set_id").ok()
}
