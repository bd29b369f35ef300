//! Which picture is shown when: of the active speaker, of one chosen participant, of the shared screen.
//!
//! A track is laid out for one codec and rate when it is first asked for. Wherever a camera or a screen comes into the
//! picture, its clip begins anew, so that every stretch begins with a key picture, as Zoom's do.

use std::ops::Range;

use rtms_protocol::VideoCodec;

use super::{Cue, Program, Scenario, Showing};
use crate::content::{Clip, Footage, Picture};
use crate::render::Template;

/// Whose pictures a track has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// Who speaks, as far as the camera is on.
    ActiveSpeaker,
    /// One party, by index.
    Party(usize),
    /// The shared screen.
    Screen,
}

/// Where a picture is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PictureSource {
    pub(crate) party: usize,
    /// Of the party's names, the one it has then.
    pub(crate) name: usize,
    /// The camera; `None` is the shared screen.
    pub(crate) camera: Option<usize>,
    pub(crate) codec: VideoCodec,
    /// Index in the clip.
    pub(crate) picture: usize,
}

/// One picture in its place.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// When, and its timestamp.
    pub(crate) at_ms: i64,
    pub(crate) key: bool,
    pub(crate) source: PictureSource,
    pub(crate) message: Template,
}

/// Pictures in order of time.
#[derive(Debug, Default)]
pub(crate) struct PictureTrack {
    pub(crate) frames: Vec<Frame>,
}

impl PictureTrack {
    /// Lays out a track.
    pub(crate) fn lay_out(program: &Program, whose: Whose, codec: VideoCodec, fps: u8) -> Self {
        let scenario = &program.scenario;
        let of_party = |party| scenario.cameras.iter().filter(move |c| c.party == party);
        let stretches: Vec<(Range<i64>, &Showing)> = match whose {
            Whose::ActiveSpeaker => active(scenario, &program.cues),
            Whose::Party(party) => of_party(party).flat_map(each_stretch).collect(),
            Whose::Screen => scenario.shares.iter().flat_map(each_stretch).collect(),
        };
        let mut frames = Vec::new();
        for (on, showing) in stretches {
            let camera = (whose != Whose::Screen).then_some(showing.camera);
            let clip = footage(program, camera).and_then(|footage| footage.clip(codec, fps));
            let Some(clip) = clip else { continue };
            let name = |at_ms| scenario.parties[showing.party].name_number(at_ms);
            frames.extend(round_and_round(&clip, &on).map(|(at_ms, number, picture)| {
                let source =
                    PictureSource { party: showing.party, name: name(at_ms), camera, codec, picture: number };
                let message = program.pictures.message(program, source, &picture.bytes);
                Frame { at_ms, key: picture.key, source, message }
            }));
        }
        frames.sort_by_key(|frame| frame.at_ms);
        Self { frames }
    }

    /// The number of the first frame that is not before this offset.
    pub(crate) fn from(&self, offset_ms: i64) -> usize {
        self.frames.partition_point(|frame| frame.at_ms < offset_ms)
    }
}

/// What a camera (`None`: the screen) shows.
pub(crate) fn footage(program: &Program, camera: Option<usize>) -> Option<&Footage> {
    match camera {
        Some(camera) => program.content.cameras.get(camera),
        None => Some(&program.content.screen),
    }
}

fn each_stretch(showing: &Showing) -> impl Iterator<Item = (Range<i64>, &Showing)> {
    showing.on.iter().filter(|on| !on.is_empty()).map(move |on| (on.clone(), showing))
}

/// Time and number of each picture of a clip that begins anew until the stretch ends.
fn round_and_round<'c>(
    clip: &'c Clip,
    on: &Range<i64>,
) -> impl Iterator<Item = (i64, usize, &'c Picture)> + use<'c> {
    let length = clip.length_ms.max(1);
    let (start, end) = (on.start, on.end);
    let rounds = (end - start).max(0) / length + 1;
    let round = move |round| {
        let begin = start + round * length;
        clip.pictures.iter().enumerate().map(move |(number, p)| (begin + p.at_ms, number, p))
    };
    (0..rounds).flat_map(round).filter(move |(at_ms, _, _)| *at_ms < end)
}

/// Stretches of the active speaker's camera. Who speaks without one leaves the picture as it is; where nobody's is
/// left, the first that is on comes into the picture.
fn active<'s>(scenario: &'s Scenario, cues: &[Cue]) -> Vec<(Range<i64>, &'s Showing)> {
    let mut spoken: Vec<(i64, usize)> = cues.iter().map(|cue| (cue.start_ms, cue.party)).collect();
    spoken.sort_unstable();
    let edges = scenario.cameras.iter().flat_map(|c| &c.on).flat_map(|on| [on.start, on.end]);
    let mut moments: Vec<i64> = edges.chain(spoken.iter().map(|(at, _)| *at)).collect();
    moments.sort_unstable();
    moments.dedup();
    let mut stretches: Vec<(Range<i64>, &Showing)> = Vec::new();
    for pair in moments.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let is_on = |camera: &&Showing| camera.on.iter().any(|on| on.contains(&from));
        let speaker = spoken.iter().take_while(|(at, _)| *at <= from).last().map(|(_, party)| *party);
        let speaking = scenario.cameras.iter().filter(is_on).find(|camera| Some(camera.party) == speaker);
        let stays = stretches.last().filter(|(on, camera)| on.end == from && is_on(camera)).map(|(_, c)| *c);
        let Some(camera) = speaking.or(stays).or_else(|| scenario.cameras.iter().find(is_on)) else {
            continue;
        };
        match stretches.last_mut().filter(|(on, last)| on.end == from && last.party == camera.party) {
            Some((on, _)) => on.end = to,
            None => stretches.push((from..to, camera)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rtms_protocol::Product;

    use super::*;
    use crate::content::Content;

    fn program(scenario: Scenario) -> Arc<Program> {
        Program::new(scenario, Content::built_in())
    }

    fn frames(program: &Program, whose: Whose, codec: VideoCodec, fps: u8) -> Vec<Frame> {
        PictureTrack::lay_out(program, whose, codec, fps).frames
    }

    #[test]
    fn pictures_stop_while_the_camera_is_off() {
        let program = program(Scenario::of(Product::Meeting, 24_000));
        let video = frames(&program, Whose::ActiveSpeaker, VideoCodec::H264, 25);
        assert!(video.windows(2).all(|w| w[0].at_ms < w[1].at_ms));
        assert!(!video.iter().any(|f| (9_000..12_000).contains(&f.at_ms)));
        assert!(video.iter().find(|f| f.at_ms >= 12_000).unwrap().key);
        let chosen = frames(&program, Whose::Party(0), VideoCodec::H264, 25);
        assert!(video.iter().map(|f| (f.at_ms, f.source)).eq(chosen.iter().map(|f| (f.at_ms, f.source))));
        assert!(frames(&program, Whose::Party(1), VideoCodec::H264, 25).is_empty());
    }

    #[test]
    fn every_change_of_speaker_begins_with_a_key_picture() {
        let program = program(Scenario::busy(Product::Meeting, 24_000));
        let video = frames(&program, Whose::ActiveSpeaker, VideoCodec::H264, 30);
        let changes: Vec<_> = video.windows(2).filter(|w| w[0].source.party != w[1].source.party).collect();
        assert!(changes.len() >= 5, "{}", changes.len());
        assert!(video[0].key && changes.iter().all(|w| w[1].key));
        assert!(video.windows(2).all(|w| w[0].at_ms <= w[1].at_ms));
        let cameras = &program.scenario.cameras;
        let is_on = |f: &Frame| {
            cameras.iter().any(|c| c.party == f.source.party && c.on.iter().any(|on| on.contains(&f.at_ms)))
        };
        assert!(video.iter().all(is_on));
    }

    #[test]
    fn images_come_as_often_as_was_granted() {
        let program = program(Scenario::of(Product::Meeting, 10_000));
        for (codec, fps, step) in [(VideoCodec::Jpg, 5, 200), (VideoCodec::Png, 2, 500)] {
            let video = frames(&program, Whose::ActiveSpeaker, codec, fps);
            assert_eq!(video[0].at_ms, 500);
            assert!(video.windows(2).take(10).all(|w| w[1].at_ms - w[0].at_ms == step));
        }
        let share = frames(&program, Whose::Screen, VideoCodec::Jpg, 1);
        assert_eq!(share.iter().map(|f| f.at_ms).collect::<Vec<_>>(), [5_000, 6_000, 7_000]);
    }
}
