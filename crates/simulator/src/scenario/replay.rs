//! The course of content that the user brought: everybody is there from the begin to the end, and nothing happens but
//! what is in the files.

use rtms_protocol::{MediaKind, Product, StopReason, WireId};

use super::library::{event, info, plain};
use super::{Party, Scenario, ScenarioEvent, Showing, people};
use crate::content::{Clip, Content, Footage};

/// Ids of participants begin somewhere here, as Zoom's do.
const FIRST_ID: i64 = 16_778_240;

/// What the parties are called, by whom the captions let speak: each voice, and whoever has none.
///
/// A speaker who is called as a voice's file has that voice. Other voices take the other speakers in the order in which
/// they begin, unless there is one voice for several: then it is the mix, and no speaker's.
fn named(voices: &[String], speakers: &[String]) -> Vec<(String, Option<usize>)> {
    let mut left: Vec<&String> = speakers.iter().collect();
    let mut of_voice: Vec<Option<String>> = Vec::new();
    for voice in voices {
        let at = left.iter().position(|speaker| speaker.to_lowercase() == voice.to_lowercase());
        of_voice.push(at.map(|at| left.remove(at).clone()));
    }
    if voices.len() > 1 || left.len() == 1 {
        for speaker in of_voice.iter_mut().filter(|speaker| speaker.is_none()) {
            *speaker = (!left.is_empty()).then(|| left.remove(0).clone());
        }
    }
    // A voice that nobody's words belong to is a party all the same; no caption has a speaker of this name.
    let own = |voice: usize, speaker: Option<String>| {
        (speaker.unwrap_or_else(|| format!("\u{0}{voice}")), Some(voice))
    };
    let heard = of_voice.into_iter().enumerate().map(|(voice, speaker)| own(voice, speaker));
    heard.chain(left.into_iter().map(|speaker| (speaker.clone(), None))).collect()
}

fn speakers(content: &Content) -> Vec<String> {
    let mut speakers: Vec<String> = Vec::new();
    for caption in content.captions.iter().chain(&content.chat) {
        if !speakers.contains(&caption.speaker) {
            speakers.push(caption.speaker.clone());
        }
    }
    speakers
}

fn parties(content: &Content, voices: &[String], duration_ms: i64) -> Vec<Party> {
    let mut named = named(voices, &speakers(content));
    if named.is_empty() {
        named.push((String::new(), None));
    }
    let party = |(index, (speaker, voice)): (usize, (String, Option<usize>))| {
        let called = voice.and_then(|voice| voices.get(voice)).map_or("Speaker", String::as_str);
        let is_name = !speaker.is_empty() && !speaker.starts_with('\u{0}');
        let name = if is_name { speaker.as_str() } else { called };
        let id = WireId::Number(FIRST_ID + i64::try_from(index).unwrap_or(0) * 1024);
        Party { speaker: speaker.clone(), ..Party::new(name, id, voice, 0..duration_ms) }
    };
    named.into_iter().enumerate().map(party).collect()
}

/// Contact Center: the first party is the customer, the others answer. Elsewhere all join.
fn events(product: Product, parties: &[Party], duration_ms: i64) -> Vec<ScenarioEvent> {
    let mut events = Vec::new();
    for (index, party) in parties.iter().enumerate() {
        let (comes, goes, who, later) = match (product, index) {
            (Product::ContactCenter, 0) => (8, 9, info(party, "caller"), info(party, "caller")),
            (Product::ContactCenter, _) => (10, 11, info(party, "callee"), info(party, "callee")),
            _ => (3, 4, people(&[party], 0), people(&[party], duration_ms)),
        };
        events.push(event(0, comes, who));
        events.push(event(duration_ms - 100, goes, later));
    }
    events
}

/// Once in each round of the content, for as long as it is; images until the end of the round.
fn showing(content: &Content, footage: &Footage, duration_ms: i64) -> Showing {
    let round = content.length_ms().max(1);
    let length = footage.h264.as_ref().map_or(round, |clip: &Clip| clip.length_ms).min(round);
    let begins = (0..=duration_ms / round).map(|number| number * round);
    let on = begins.map(|begin| begin..(begin + length).min(duration_ms)).filter(|on| !on.is_empty());
    Showing { party: 0, camera: 0, on: on.collect() }
}

impl Scenario {
    /// The course of content that was brought along; `voices` are the names of its voices. As long as the content where
    /// no `duration_ms` is given. What the content lacks is not offered.
    #[must_use]
    pub fn replay(product: Product, content: &Content, voices: &[String], duration_ms: Option<i64>) -> Self {
        let duration_ms = duration_ms.unwrap_or_else(|| content.length_ms()).max(1_000);
        let mut parties = parties(content, voices, duration_ms);
        if product == Product::ContactCenter {
            for (party, channel) in parties.iter_mut().zip(1..) {
                party.channel_id = Some(format!("{channel}"));
            }
        }
        let reason = match product {
            Product::ContactCenter => StopReason::CustomerDisconnected,
            Product::Meeting | Product::Webinar => StopReason::MeetingEnded,
            Product::VideoSdk | Product::Phone => StopReason::UserLeft,
        };
        let events = events(product, &parties, duration_ms);
        let mut scenario = Self { events, ..plain(product, duration_ms, parties, reason) };
        let has = [
            (MediaKind::Audio, !content.voices.is_empty()),
            (MediaKind::Video, !content.cameras.is_empty()),
            (MediaKind::Share, !content.screen.is_empty()),
            (MediaKind::Transcript, !content.captions.is_empty()),
            (MediaKind::Chat, !content.chat.is_empty()),
        ];
        scenario.offers = has.into_iter().filter_map(|(kind, has)| has.then_some(kind)).collect();
        scenario.cameras =
            content.cameras.iter().map(|footage| showing(content, footage, duration_ms)).collect();
        if !content.screen.is_empty() {
            scenario.shares = vec![showing(content, &content.screen, duration_ms)];
        }
        // In Contact Center 8 and 9 are other events; it has no cameras.
        if product != Product::ContactCenter {
            scenario.tell_of_pictures();
        }
        scenario.settled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(voices: &[&str], speakers: &[&str]) -> Vec<(String, Option<usize>)> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let named = named(&owned(voices), &owned(speakers));
        named.into_iter().map(|(name, voice)| (name.replace('\u{0}', "voice "), voice)).collect()
    }

    fn is(name: &str, voice: Option<usize>) -> (String, Option<usize>) {
        (name.to_owned(), voice)
    }

    #[test]
    fn voices_find_their_speakers() {
        assert_eq!(who(&["left", "right"], &["Ann", "Bo"]), [is("Ann", Some(0)), is("Bo", Some(1))]);
        assert_eq!(who(&["bo", "ann"], &["Ann", "Bo"]), [is("Bo", Some(0)), is("Ann", Some(1))]);
        assert_eq!(who(&["x"], &["Ann"]), [is("Ann", Some(0))]);
        assert_eq!(who(&["mix"], &["Ann", "Bo"]), [is("voice 0", Some(0)), is("Ann", None), is("Bo", None)]);
        assert_eq!(who(&["a", "b"], &[]), [is("voice 0", Some(0)), is("voice 1", Some(1))]);
        assert_eq!(who(&[], &["Ann"]), [is("Ann", None)]);
    }

    #[test]
    fn a_call_is_as_long_as_its_files_and_offers_what_they_hold() {
        let built_in = Content::built_in();
        let content = Content { captions: Vec::new(), chat: Vec::new(), ..Content::clone(&built_in) };
        let content = Content { cameras: built_in.cameras[..1].to_vec(), ..content };
        let names = ["left".to_owned(), "right".to_owned()];
        let scenario = Scenario::replay(Product::Meeting, &content, &names, None);
        assert_eq!(scenario.duration_ms, 24_000);
        assert_eq!(scenario.offers.to_string(), "audio,video,share");
        let clip = built_in.cameras[0].h264.as_ref().unwrap().length_ms;
        let [on] = scenario.cameras[0].on.as_slice() else { panic!("once, and not round and round") };
        assert_eq!(*on, 0..clip);
        let twice = Scenario::replay(Product::ContactCenter, &content, &names, Some(30_000));
        assert_eq!(twice.cameras[0].on.len(), 2);
        let channels: Vec<_> = twice.parties.iter().map(|p| p.channel_id.as_deref()).collect();
        assert_eq!(channels, [Some("1"), Some("2")]);
    }
}
