//! The arithmetic of one track: any positions and lengths, also absurd ones. Nothing is written twice, nothing goes
//! back, and nothing lies further from its place than half a packet.

use rtms_protocol::UnixMillis;
use rtms_recorder::timeline::Timeline;

use crate::choices::Choices;

/// Plays packets, gaps and shifts into a timeline.
pub fn timeline(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let rate = choices.pick(&[8_000_u32, 16_000, 48_000, 1]);
    let mut line = Timeline::new(rate, u64::from(choices.byte()));
    let zero = UnixMillis(choices.pick(&[0, 1_765_449_000_000, i64::MIN, i64::MAX]));
    while !choices.is_done() {
        match choices.below(8) {
            0 => {
                let before = line.frames();
                let by = u64::from(choices.byte());
                line.shift(by);
                assert_eq!(line.frames(), before + by);
            }
            1 => {
                let at = line.position_of(zero, UnixMillis(choices.i64()));
                packet(&mut line, at, u64::from(choices.byte()), choices.flag());
            }
            2 => {
                let (at, length) = (choices.i64(), choices.i64().unsigned_abs());
                packet(&mut line, at, length, false);
            }
            3 => packet(&mut line, choices.i16() * 7, choices.i16().unsigned_abs(), true),
            _ => {
                // Near the place where it is expected, as most are.
                let next = i64::try_from(line.frames()).expect("short of 2^63 frames");
                packet(&mut line, next + choices.i16() / 16, u64::from(choices.byte()) * 4, true);
            }
        }
        assert!(line.expected(zero) >= zero || line.frames() == 0);
        assert!(line.millis(line.frames()) >= 0);
    }
}

/// Places a packet and, where the disk would have taken it, commits.
fn packet(line: &mut Timeline, position: i64, frames: u64, taken: bool) {
    let before = line.frames();
    let Some(placed) = line.place(position, frames) else { return };
    assert_eq!(placed.position, before + placed.silence, "written twice, or a hole");
    assert!(placed.frames > 0 && placed.skip + placed.frames == frames, "{placed:?} of {frames}");
    let belongs = i128::from(position) + i128::from(placed.skip);
    let off = (i128::from(placed.position) - belongs).unsigned_abs();
    assert!(off <= u128::from(frames / 2), "{placed:?}: {off} frames from its place");
    // Absurdly far ones are refused before this arithmetic is asked; here they may not add up to a file.
    if taken && placed.position < 1 << 40 {
        line.commit(&placed);
        assert_eq!(line.frames(), placed.position + placed.frames);
    } else {
        assert_eq!(line.frames(), before, "what was not written does not count");
    }
}
