//! From the messages of one moment to the samples of an MP4: one access unit each.
//!
//! Start codes become lengths; delimiters and filling go. Parameter sets are taken out and put in front of every key
//! frame, whether it brought them or not, so that a player may begin at any of them, also after the resolution has
//! changed. Nothing is re-encoded and no slice is touched. Refuses key frames whose parameter sets never came.

use std::ops::Range;

use super::annexb::{
    DELIMITER, FILLER, IDR_SLICE, LAST_OPENING, LAST_PARTITION, PARTITION_A, PPS, PREFIX, SLICE, SPS,
    SUPPLEMENT, Units, append, unit_type,
};
use super::parameter_sets::ParameterSets;

/// What a player can do with an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// Decoding can begin with it; its size, pixels, where it is known.
    Key(Option<(u32, u32)>),
    /// It needs earlier ones.
    Dependent,
    /// A key frame without its parameter sets: neither it nor what follows can be decoded.
    Orphan,
}

/// One access unit of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessUnit {
    pub(crate) picture: Picture,
    /// Where its sample lies.
    pub(crate) range: Range<usize>,
}

/// The access units of a message, as samples: units with their lengths in front.
#[derive(Debug, Default)]
pub(crate) struct AccessUnits {
    bytes: Vec<u8>,
    list: Vec<AccessUnit>,
    open: Open,
}

/// The access unit that is being put together.
#[derive(Debug, Default, Clone)]
struct Open {
    start: usize,
    /// Where the first slice with a header lies in the sample, its length in front.
    slice: Option<usize>,
    key: bool,
    /// Whether it brought parameter sets.
    sets: bool,
    /// Where units begin that belong to the next slice, be it of this access unit or of the next one.
    prefix: Option<usize>,
}

impl AccessUnits {
    pub(crate) fn list(&self) -> &[AccessUnit] {
        &self.list
    }

    pub(crate) fn sample(&self, unit: &AccessUnit) -> &[u8] {
        self.bytes.get(unit.range.clone()).unwrap_or_default()
    }

    /// Forgets them, but for `capacity` bytes of memory.
    pub(crate) fn clear(&mut self, capacity: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(capacity);
        self.list.clear();
        self.list.shrink_to(4);
        self.open = Open::default();
    }

    /// Reads what came for one moment; learns its parameter sets. False where no unit is in it.
    pub(crate) fn read(&mut self, message: &[u8], sets: &mut ParameterSets) -> bool {
        self.clear(usize::MAX);
        let mut any = false;
        for unit in Units::of(message) {
            any = true;
            self.unit(unit, sets);
        }
        self.close(self.bytes.len(), sets);
        any
    }

    fn unit(&mut self, unit: &[u8], sets: &mut ParameterSets) {
        let kind = unit_type(unit);
        let opens = matches!(kind, SUPPLEMENT..=DELIMITER | PREFIX..=LAST_OPENING) && kind != PREFIX;
        if self.open.slice.is_some() && opens {
            self.close(self.bytes.len(), sets);
        }
        match kind {
            SPS | PPS => {
                sets.learn(unit);
                self.open.sets = true;
                return;
            }
            DELIMITER | FILLER => return,
            PREFIX => {
                self.open.prefix.get_or_insert(self.bytes.len());
            }
            SLICE | PARTITION_A | IDR_SLICE => self.slice(unit, sets),
            _ => {}
        }
        append(&mut self.bytes, unit);
        if (SLICE..=LAST_PARTITION).contains(&kind) || kind == IDR_SLICE {
            self.open.prefix = None;
        }
    }

    /// A slice is about to be appended. The first macroblock of a picture begins a new one.
    fn slice(&mut self, unit: &[u8], sets: &ParameterSets) {
        // `first_mb_in_slice` is 0 where the bit behind the unit's header is set.
        let begins = unit.get(1).is_some_and(|second| second & 0x80 != 0);
        if begins && self.open.slice.is_some() {
            self.close(self.open.prefix.unwrap_or(self.bytes.len()), sets);
        }
        self.open.slice.get_or_insert(self.bytes.len());
        self.open.key |= unit_type(unit) == IDR_SLICE;
    }

    /// Ends the open access unit at `end`; what lies behind belongs to the next one. One without a slice is no picture.
    fn close(&mut self, end: usize, sets: &ParameterSets) {
        let open = std::mem::take(&mut self.open);
        self.open.start = end;
        let Some(slice) = open.slice else {
            self.bytes.truncate(open.start);
            // Sets that came alone, in front of a delimiter, are the next picture's.
            self.open = Open { start: open.start, sets: open.sets, ..Open::default() };
            return;
        };
        let mut front = Vec::new();
        let known = match self.bytes.get(slice + 4..) {
            Some(slice) if open.key || open.sets => sets.append_for(slice, &mut front),
            _ => None,
        };
        let picture = match (open.key, known) {
            (true, Some(size)) => Picture::Key(size),
            (true, None) => Picture::Orphan,
            (false, _) => Picture::Dependent,
        };
        let grown = front.len();
        self.bytes.splice(open.start..open.start, front);
        self.list.push(AccessUnit { picture, range: open.start..end + grown });
        self.open.start = end + grown;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &[u8], sets: &mut ParameterSets) -> Vec<(Picture, Vec<u8>)> {
        let mut units = AccessUnits::default();
        units.read(message, sets);
        units.list().iter().map(|unit| (unit.picture, units.sample(unit).to_vec())).collect()
    }

    fn sample(units: &[&[u8]]) -> Vec<u8> {
        let mut sample = Vec::new();
        units.iter().for_each(|unit| append(&mut sample, unit));
        sample
    }

    /// A byte stream of these units.
    fn stream(units: &[&[u8]]) -> Vec<u8> {
        units.iter().flat_map(|unit| [&[0, 0, 1], *unit].concat()).collect()
    }

    /// Baseline, level 3; id as given, 16 × 16 pixels wider with `wide`.
    fn sps(id: u8, wide: bool) -> Vec<u8> {
        let ids = ["1", "010", "011"];
        let width = if wide { "010" } else { "1" };
        // log2_max_frame_num 4, pic order type 2, one reference, no gaps, width, height 16, frames, direct, no crop, no VUI.
        bits(
            &[0x67, 66, 0, 30],
            &[ids[usize::from(id)], "1", "011", "010", "0", width, "1", "1", "1", "0", "0", "1"],
        )
    }

    fn pps(id: u8, sps: u8) -> Vec<u8> {
        let ids = ["1", "010", "011"];
        bits(&[0x68], &[ids[usize::from(id)], ids[usize::from(sps)], "1111111"])
    }

    fn bits(front: &[u8], fields: &[&str]) -> Vec<u8> {
        let mut text = fields.concat();
        while text.len() % 8 != 0 {
            text.push('0');
        }
        let byte = |n: usize| u8::from_str_radix(&text[n * 8..n * 8 + 8], 2).expect("binary");
        front.iter().copied().chain((0..text.len() / 8).map(byte)).collect()
    }

    /// `first_mb` 0, any type, this PPS.
    fn idr(pps: u8) -> Vec<u8> {
        bits(&[0x65], &["1", "1", ["1", "010", "011"][usize::from(pps)], "1111"])
    }

    const FIRST: &[u8] = &[0x41, 0x9a, 7];
    /// A slice whose first macroblock is not 0.
    const MORE: &[u8] = &[0x41, 0x4a, 8];

    #[test]
    fn slices_of_one_picture_stay_together_and_delimiters_go() {
        let mut sets = ParameterSets::default();
        let message = stream(&[&[9, 0xf0], FIRST, MORE, &[12, 0xff]]);
        assert_eq!(read(&message, &mut sets), [(Picture::Dependent, sample(&[FIRST, MORE]))]);
        assert_eq!(read(&[], &mut sets), []);
        assert_eq!(read(&stream(&[&[9, 0xf0], &[6, 5]]), &mut sets), []);
    }

    #[test]
    fn several_access_units_are_told_apart() {
        let mut sets = ParameterSets::default();
        let prefix: &[u8] = &[0x6e, 1];
        let sei: &[u8] = &[6, 1];
        for message in
            [stream(&[FIRST, MORE, FIRST, MORE]), stream(&[&[9, 0xf0], FIRST, MORE, &[9, 0xf0], FIRST, MORE])]
        {
            let both = read(&message, &mut sets);
            let one = (Picture::Dependent, sample(&[FIRST, MORE]));
            assert_eq!(both, [one.clone(), one]);
        }
        let both = read(&stream(&[prefix, FIRST, prefix, MORE, prefix, FIRST]), &mut sets);
        assert_eq!(both[0].1, sample(&[prefix, FIRST, prefix, MORE]));
        assert_eq!(both[1].1, sample(&[prefix, FIRST]));
        let both = read(&stream(&[FIRST, sei, FIRST]), &mut sets);
        assert_eq!(both[1].1, sample(&[sei, FIRST]));
    }

    #[test]
    fn a_key_frame_gets_its_own_sets_in_front() {
        let mut sets = ParameterSets::default();
        let (old, new) = (sps(0, false), sps(1, true));
        assert_eq!(read(&stream(&[&idr(0)]), &mut sets), [(Picture::Orphan, sample(&[&idr(0)]))]);
        assert_eq!(read(&stream(&[&old, &pps(0, 0)]), &mut sets), []);
        let small = (Picture::Key(Some((16, 16))), sample(&[&old, &pps(0, 0), &idr(0)]));
        assert_eq!(read(&stream(&[&idr(0)]), &mut sets), std::slice::from_ref(&small));
        // Other ids, behind a supplement: they go first, and the old ones not with them.
        let sei: &[u8] = &[6, 1];
        let found = read(&stream(&[sei, &pps(1, 1), &new, &idr(1)]), &mut sets);
        assert_eq!(found, [(Picture::Key(Some((32, 16))), sample(&[&new, &pps(1, 1), sei, &idr(1)]))]);
        // The old ids are still in force.
        assert_eq!(read(&stream(&[&idr(0)]), &mut sets), [small]);
        // The same id with another content, and the PPS not repeated: it goes behind the SPS all the same.
        let wide = sps(0, true);
        let found = read(&stream(&[&wide, &idr(0)]), &mut sets);
        assert_eq!(found, [(Picture::Key(Some((32, 16))), sample(&[&wide, &pps(0, 0), &idr(0)]))]);
    }

    #[test]
    fn sets_between_two_pictures_are_those_of_the_second() {
        let mut sets = ParameterSets::default();
        let message = stream(&[&sps(0, false), &pps(0, 0), &idr(0), &sps(0, true), &pps(0, 0), &idr(0)]);
        let found = read(&message, &mut sets);
        assert_eq!(found[0], (Picture::Key(Some((16, 16))), sample(&[&sps(0, false), &pps(0, 0), &idr(0)])));
        assert_eq!(found[1], (Picture::Key(Some((32, 16))), sample(&[&sps(0, true), &pps(0, 0), &idr(0)])));
    }

    #[test]
    fn new_sets_without_a_key_frame_stay_in_the_file() {
        let mut sets = ParameterSets::default();
        let found = read(&stream(&[&sps(0, false), &pps(0, 0), FIRST]), &mut sets);
        let first = bits(&[0x41], &["1", "1", "1", "1111"]);
        assert_eq!(found[0].0, Picture::Dependent);
        let found = read(&stream(&[&pps(0, 0), &first]), &mut sets);
        assert_eq!(found, [(Picture::Dependent, sample(&[&sps(0, false), &pps(0, 0), &first]))]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x65), Just(0x67), Just(0x68), any::<u8>()], 0..300)) {
            let mut sets = ParameterSets::default();
            let mut units = AccessUnits::default();
            units.read(&bytes, &mut sets);
            for unit in units.list() {
                prop_assert!(!units.sample(unit).is_empty());
            }
        }
    }
}
