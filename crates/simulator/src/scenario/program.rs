//! A scenario laid over its content: every line, picture and event with its time, computed once and shared.

use std::sync::Arc;

use rtms_protocol::{AudioData, AudioParams, MediaKind, MediaParams, VideoData};
use serde_json::Value;

use super::pictures::footage;
use super::{ChatLine, Cue, PictureTrack, Scenario, ScenarioEvent, Whose, person, words};
use crate::content::Content;
use crate::render::{AudioLoop, LoopCache, PictureCache, Source};
use crate::stream::heard_source;

/// A scenario with everything that is due in it.
#[derive(Debug)]
pub struct Program {
    /// What is played.
    pub scenario: Scenario,
    /// What it sounds and looks like.
    pub content: Arc<Content>,
    /// Transcript lines in the order in which they are sent.
    pub cues: Vec<Cue>,
    /// Chat messages in order of time.
    pub chat: Vec<ChatLine>,
    /// Events of the scenario, and a change of speaker wherever somebody else begins to talk.
    pub events: Vec<ScenarioEvent>,
    loops: LoopCache,
    pub(crate) pictures: PictureCache,
}

impl Program {
    /// Lays `scenario` over `content`.
    #[must_use]
    pub fn new(scenario: Scenario, content: Arc<Content>) -> Arc<Self> {
        let cues = words::cues(&scenario, &content);
        let chat = words::chat(&scenario, &content);
        let mut events = scenario.events.clone();
        if scenario.product != rtms_protocol::Product::ContactCenter {
            events.extend(speaker_changes(&scenario, &cues));
            events.sort_by_key(|event| event.at_ms);
        }
        let (loops, pictures) = (LoopCache::default(), PictureCache::default());
        Arc::new(Self { scenario, content, cues, chat, events, loops, pictures })
    }

    /// The sound of a source in the granted format, rendered when it is first asked for.
    pub(crate) fn audio(&self, source: &Source, params: &AudioParams) -> Arc<AudioLoop> {
        self.loops.audio(self, source, params)
    }

    /// Renders everything that a socket with these parameters can need, so that no packet waits for it later.
    pub fn render(&self, params: &MediaParams) {
        if let Some(audio) = &params.audio {
            self.render_audio(audio);
        }
        if let Some(video) = &params.video {
            let whose: Vec<Whose> = match video.data_opt {
                VideoData::OneParticipant => {
                    self.scenario.cameras.iter().map(|camera| Whose::Party(camera.party)).collect()
                }
                _ => vec![Whose::ActiveSpeaker],
            };
            for whose in whose {
                self.track(whose, video.codec, video.fps);
            }
        }
        if let Some(share) = &params.share {
            self.track(Whose::Screen, share.codec, share.fps);
        }
    }

    fn render_audio(&self, params: &AudioParams) {
        let parties = 0..self.scenario.parties.len();
        let tracks: Vec<Option<usize>> = match params.data_opt {
            AudioData::Separate => parties.map(Some).collect(),
            _ => vec![None],
        };
        let of_party = |p: &super::Party| -> Vec<i64> {
            let spans = p.heard.iter().flat_map(|span| [span.start, span.end]);
            spans.chain(p.renames.iter().map(|(from, _)| *from)).collect()
        };
        let edges = self.scenario.parties.iter().flat_map(of_party);
        for offset in std::iter::once(0).chain(edges) {
            for source in tracks.iter().filter_map(|&track| heard_source(self, track, offset)) {
                self.audio(&source, params);
            }
        }
    }

    /// Pictures in their places, laid out when they are first asked for.
    pub(crate) fn track(&self, whose: Whose, codec: rtms_protocol::VideoCodec, fps: u8) -> Arc<PictureTrack> {
        self.pictures.track(self, whose, codec, fps)
    }

    /// Whether there is a picture of every camera, or of the screen, in this codec.
    pub(crate) fn shows(&self, kind: MediaKind, codec: rtms_protocol::VideoCodec) -> bool {
        let has = |camera| footage(self, camera).is_some_and(|footage| footage.has(codec));
        match kind {
            MediaKind::Video => self.scenario.cameras.iter().all(|camera| has(Some(camera.camera))),
            MediaKind::Share => self.scenario.shares.is_empty() || has(None),
            _ => true,
        }
    }
}

fn speaker_changes(scenario: &Scenario, cues: &[Cue]) -> Vec<ScenarioEvent> {
    let mut by_start: Vec<&Cue> = cues.iter().collect();
    by_start.sort_by_key(|cue| cue.start_ms);
    by_start.dedup_by_key(|cue| cue.party);
    let change = |cue: &Cue| {
        let fields: Value = person(&scenario.parties[cue.party], cue.start_ms);
        ScenarioEvent::new(cue.start_ms, 2, fields)
    };
    by_start.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use rtms_protocol::{Product, event_name};

    use super::*;

    fn program(product: Product, duration_ms: i64) -> Arc<Program> {
        Program::new(Scenario::of(product, duration_ms), Content::built_in())
    }

    fn names(program: &Program) -> Vec<&'static str> {
        program.events.iter().map(|e| event_name(program.scenario.product, e.event_type)).collect()
    }

    #[test]
    fn an_engagement_has_its_events_in_order() {
        let program = program(Product::ContactCenter, 24_000);
        let expected =
            ["CONSUMER_ANSWERED", "USER_ANSWERED", "USER_HOLD", "USER_UNHOLD", "CONSUMER_END", "USER_END"];
        assert_eq!(names(&program), expected);
        assert_eq!(program.cues.len(), 9);
        let agent = &program.scenario.parties[1];
        assert!(
            !agent.is_heard(0) && agent.is_heard(700) && !agent.is_heard(12_000) && agent.is_heard(15_500)
        );
    }

    #[test]
    fn a_busy_engagement_goes_through_four_hands() {
        let program = Program::new(Scenario::busy(Product::ContactCenter, 24_000), Content::built_in());
        let names = names(&program);
        for name in [
            "MONITOR_STARTED",
            "MONITOR_ENDED",
            "TAKEOVER_STARTED",
            "TRANSFER_ACCEPTED",
            "TRANSFER_COMPLETED",
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        let channels: Vec<_> =
            program.scenario.parties.iter().map(|p| p.channel_id.as_deref().unwrap()).collect();
        assert_eq!(channels, ["1", "2", "3", "4"]);
        let speak: std::collections::BTreeSet<usize> = program.cues.iter().map(|cue| cue.party).collect();
        assert_eq!(speak.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3], "each of them says something");
        let both = |at| program.scenario.parties[1..].iter().filter(|p| p.is_heard(at)).count();
        assert!((0..24_000).step_by(20).all(|at| both(at) <= 1), "one voice is one person's at a time");
    }

    #[test]
    fn a_long_scenario_plays_the_content_round_and_round() {
        let program = program(Product::Phone, 60_000);
        assert!(program.cues.len() > 18);
        assert!(program.cues.iter().all(|cue| cue.end_ms <= 60_000));
        assert_eq!(program.cues[9].start_ms, 24_000 + program.cues[0].start_ms);
    }

    #[test]
    fn every_product_has_its_courses() {
        for product in Product::ALL {
            for duration in [1_000, 5_000, 9_990, 24_000, 100_000] {
                for scenario in [Scenario::of(product, duration), Scenario::busy(product, duration)] {
                    let program = Program::new(scenario, Content::built_in());
                    assert!(program.events.iter().all(|e| (0..=duration).contains(&e.at_ms)), "{product:?}");
                    assert!(!program.scenario.offers.is_empty());
                }
            }
        }
    }
}
