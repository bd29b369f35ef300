//! The engagement's side: what came from Zoom, decoded once for all who listen.
//!
//! Belongs to the engagement's task. It never waits, and what it cannot use it leaves out: the recorder counts and
//! logs the same packet. Names and formats it learns whether anybody listens or not; they are rare.

use std::sync::Arc;

use bytes::Bytes;
use rtms_codec::{Decoder, Format};
use rtms_protocol::rtp::RtpPacket;
use rtms_protocol::session::{Outcome, Phase};
use rtms_protocol::{
    AudioContent, AudioParams, Event, MediaFrame, MediaKind, MediaPacket, MediaParams, UnixMillis,
};
use rtms_recorder::{PartyKey, People, Repeats, TRACKS_LIMIT, Utterance, is_mixed};

use super::hall::{Feed, Hall};
use super::heard::{Heard, Place};
use super::message::{End, Track};
use super::packet::Header;

/// Capacity that the buffers keep between packets, bytes and samples.
const SCRATCH: usize = 8 * 1024;

/// Hands an engagement's sound and words to those who listen.
#[derive(Debug)]
pub(crate) struct Tap {
    hall: Arc<Hall>,
    people: People,
    audio: Option<AudioParams>,
    tracks: Vec<Tapped>,
    /// The track of the last packet: the next one is most often of the same or its neighbour.
    last: usize,
    repeats: Repeats,
    /// Apart, because interim texts are many and would push the others out.
    interim_repeats: Repeats,
    utterances: u64,
    payload: Vec<u8>,
    samples: Vec<i16>,
}

/// One track as the tap knows it.
#[derive(Debug)]
struct Tapped {
    key: PartyKey,
    decoder: Decoder,
    heard: Heard,
    sequence: u32,
    /// The last packet did not decode.
    torn: bool,
    shown: Track,
}

impl Tap {
    /// The tap of the engagement that `hall` belongs to, with who is known from before.
    pub(crate) fn new(hall: Arc<Hall>, people: People) -> Self {
        Self {
            hall,
            people,
            audio: None,
            tracks: Vec::new(),
            last: 0,
            repeats: Repeats::default(),
            interim_repeats: Repeats::default(),
            utterances: 0,
            payload: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.hall.is_heard(Feed::Audio) || self.hall.is_heard(Feed::Transcript)
    }

    /// Media came.
    pub(crate) fn media(&mut self, frame: &MediaFrame) {
        let feed = match frame.kind {
            MediaKind::Audio => Feed::Audio,
            MediaKind::Transcript => Feed::Transcript,
            MediaKind::Video | MediaKind::Share | MediaKind::Chat => return,
        };
        if !self.hall.is_heard(feed) {
            return;
        }
        let Ok(packet) = frame.packet() else { return };
        self.people.seen(&packet);
        self.show_names();
        match feed {
            Feed::Audio => {
                // What cannot be used is left out; the recorder counts it.
                let _ = self.sound(&packet);
                self.tidy();
            }
            Feed::Transcript => self.words(&packet),
        }
    }

    /// An event came.
    pub(crate) fn event(&mut self, event: &Event) {
        self.people.learn(event);
        self.show_names();
    }

    /// Zoom granted media.
    pub(crate) fn granted(&mut self, params: &MediaParams) {
        let Some(audio) = params.audio else { return };
        self.audio = Some(audio);
        if let Some(format) = Format::of(&audio) {
            self.hall.granted(format.rate(), format.channels());
        }
    }

    /// The stream stands elsewhere.
    pub(crate) fn phase(&self, phase: Phase, now: UnixMillis) {
        // The end is told with its reason.
        if phase != Phase::Ended {
            self.hall.phase(phase, now);
        }
    }

    /// The stream is over.
    pub(crate) fn end(&self, outcome: &Outcome) {
        self.hall.end(End::of(outcome));
    }

    fn words(&mut self, packet: &MediaPacket<'_>) {
        let utterance = Utterance::of(packet, &self.people);
        let (repeats, event) = if utterance.is_interim() {
            (&mut self.interim_repeats, "interim")
        } else {
            (&mut self.repeats, "utterance")
        };
        let Ok(line) = serde_json::to_vec(&utterance) else { return };
        if repeats.is_new(packet) {
            self.utterances += 1;
            self.hall.packet(Feed::Transcript, event, self.utterances, &Bytes::from(line));
        }
    }

    /// `None` where the packet is left out.
    fn sound(&mut self, packet: &MediaPacket<'_>) -> Option<()> {
        let params = self.audio.unwrap_or_default();
        let format = Format::of(&params)?;
        packet.decode_into(&mut self.payload).ok()?;
        let index = self.track_for(packet, &params, format)?;
        let track = self.tracks.get_mut(index)?;
        let payload = match params.content_type {
            AudioContent::Rtp => RtpPacket::parse(&self.payload).ok()?.payload,
            _ => &self.payload,
        };
        let frames = format.frames_in(payload);
        if frames == 0 {
            return None;
        }
        let length_ms = i64::try_from(frames * 1000 / u64::from(format.rate())).unwrap_or(i64::MAX);
        // A repeat must not reach the decoder either, which remembers what it heard.
        let place = match track.heard.place(packet.timestamp, length_ms) {
            Place::Repeat => return None,
            place => place,
        };
        if track.decoder.decode(payload, &mut self.samples).is_err() {
            track.torn = true;
            return None;
        }
        track.sequence = track.sequence.wrapping_add(1);
        let header = Header {
            track: track.shown.track,
            after_hole: place == Place::AfterHole || std::mem::take(&mut track.torn),
            sequence: track.sequence,
            timestamp: packet.timestamp,
        };
        let message = header.with(&self.samples);
        self.hall.packet(Feed::Audio, "packet", u64::from(track.sequence), &message);
        Some(())
    }

    /// One packet of an odd size must not keep its memory for the rest of the call.
    fn tidy(&mut self) {
        self.payload.clear();
        self.payload.shrink_to(SCRATCH);
        self.samples.clear();
        self.samples.shrink_to(SCRATCH);
    }

    /// The track of a packet, announced where it is a new one; `None` beyond the limit.
    fn track_for(&mut self, packet: &MediaPacket<'_>, params: &AudioParams, format: Format) -> Option<usize> {
        let mixed = is_mixed(packet, Some(params.data_opt));
        let since = self.people.channel_since(packet);
        let is = |track: &Tapped| track.decoder.format() == format && track.key.holds(packet, mixed, since);
        if !self.tracks.get(self.last).is_some_and(is) {
            self.last = match self.tracks.iter().position(is) {
                Some(index) => index,
                None => self.add_track(PartyKey::of(packet, mixed, since), format)?,
            };
        }
        Some(self.last)
    }

    fn add_track(&mut self, key: PartyKey, format: Format) -> Option<usize> {
        let index = self.tracks.len();
        let number = u16::try_from(index + 1).ok().filter(|_| index < TRACKS_LIMIT)?;
        let shown = shown(number, &key, format, &self.people);
        let decoder = Decoder::new(format).ok()?;
        self.hall.track(&shown);
        self.tracks.push(Tapped { key, decoder, heard: Heard::default(), sequence: 0, torn: false, shown });
        Some(index)
    }

    /// Tells the tracks of which more is known than was told.
    fn show_names(&mut self) {
        if self.people.take_changed() {
            for track in &mut self.tracks {
                let now = shown(track.shown.track, &track.key, track.decoder.format(), &self.people);
                if now != track.shown {
                    self.hall.track(&now);
                    track.shown = now;
                }
            }
        }
    }
}

impl Drop for Tap {
    /// However the engagement ends, nobody waits for it.
    fn drop(&mut self) {
        self.hall.end(End::LEFT);
    }
}

fn shown(number: u16, key: &PartyKey, format: Format, people: &People) -> Track {
    let person = key.person(people);
    let own_channel = key.channel_id().map(str::to_owned);
    let own_user = key.user_id().map(str::to_owned);
    Track {
        track: number,
        name: key.name(people),
        role: person.and_then(|person| person.role),
        display_name: person.and_then(|person| person.display_name.clone()),
        channel_id: own_channel.or_else(|| person.and_then(|person| person.channel_id.clone())),
        user_id: own_user.or_else(|| person.and_then(|person| person.user_id.clone())),
        sample_rate: format.rate(),
        channels: format.channels(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use rtms_codec::Encoder;
    use rtms_protocol::frame::encode_payload;
    use rtms_protocol::{AudioCodec, AudioData, Channels, Participant, Role, SampleRate, WireId};
    use serde_json::Value;

    use super::*;
    use crate::live::message::tests::identity;
    use crate::live::ring::{Item, Ring};

    const AT: i64 = 1_765_449_000_000;

    fn tap(params: AudioParams) -> Tap {
        let mut tap = Tap::new(Arc::new(Hall::new(identity(), UnixMillis(AT))), People::default());
        tap.granted(&MediaParams { audio: Some(params), ..MediaParams::default() });
        tap
    }

    fn listening(tap: &Tap, feed: Feed) -> Arc<Ring> {
        tap.hall.enter(feed, 1, None).unwrap()
    }

    fn sound(channel: &str, at: i64, payload: &[u8]) -> MediaFrame {
        let channel_id = Some(WireId::Text(Cow::Borrowed(channel)));
        let packet = MediaPacket::new(MediaKind::Audio, UnixMillis(AT + at), encode_payload(payload));
        frame(&MediaPacket { channel_id, ..packet })
    }

    fn frame(packet: &MediaPacket<'_>) -> MediaFrame {
        MediaFrame { kind: packet.kind, bytes: packet.to_json().into() }
    }

    /// What came since the last time, notes as JSON.
    async fn taken(ring: &Ring) -> (Vec<Value>, Vec<Bytes>) {
        ring.note("mark", Bytes::from_static(b"null"));
        let (mut notes, mut packets) = (Vec::new(), Vec::new());
        loop {
            let mut items = Vec::new();
            assert!(ring.take(&mut items).await);
            for item in items {
                match item {
                    Item::Note("mark", _) => return (notes, packets),
                    Item::Note(_, note) => notes.push(serde_json::from_slice(&note).unwrap()),
                    Item::Packet(_, _, packet) => packets.push(packet),
                    Item::Lost(_) => panic!("nothing is lost here"),
                }
            }
        }
    }

    fn separate() -> AudioParams {
        AudioParams { data_opt: AudioData::Separate, ..AudioParams::default() }
    }

    #[tokio::test]
    async fn tracks_are_announced_before_their_first_packet_and_when_they_get_a_name() {
        let mut tap = tap(separate());
        tap.media(&sound("7", 0, &[1; 640]));
        let ring = listening(&tap, Feed::Audio);
        let (notes, packets) = taken(&ring).await;
        assert_eq!((notes.len(), packets.len()), (1, 0), "nothing from before");
        assert_eq!((&notes[0]["sample_rate"], &notes[0]["channels"]), (&16_000.into(), &1.into()));
        tap.media(&sound("7", 20, &[1; 640]));
        tap.media(&sound("8", 20, &[2; 640]));
        tap.media(&sound("7", 40, &[1; 640]));
        let (notes, packets) = taken(&ring).await;
        let names: Vec<_> = notes.iter().map(|note| (&note["track"], &note["name"])).collect();
        assert_eq!(names, [(&1.into(), &"7".into()), (&2.into(), &"8".into())]);
        let numbers: Vec<_> = packets.iter().map(|packet| (packet[2], packet[4], packet[1])).collect();
        assert_eq!(numbers, [(1, 1, 1), (2, 1, 1), (1, 2, 0)], "track, sequence, flags");
        let ann = Participant {
            user_id: None,
            channel_id: Some("7".into()),
            display_name: Some("Ann".into()),
            role: Some(Role::Consumer),
        };
        let event = Event {
            code: 8,
            name: "CONSUMER_ANSWERED",
            timestamp: None,
            participants: vec![ann],
            fields: serde_json::Map::new(),
        };
        tap.event(&event);
        let (notes, _) = taken(&ring).await;
        assert_eq!(notes.len(), 1, "the other track is as it was");
        assert_eq!((&notes[0]["name"], &notes[0]["display_name"]), (&"consumer".into(), &"Ann".into()));
        let (hello, _) = taken(&tap.hall.enter(Feed::Audio, 2, None).unwrap()).await;
        assert_eq!(hello[0]["tracks"][0]["role"], "consumer");
    }

    #[tokio::test]
    async fn repeats_and_rubbish_are_left_out_and_holes_are_marked() {
        let mut tap = tap(separate());
        let ring = listening(&tap, Feed::Audio);
        for at in [0, 20, 40, 0, 20, 40, 60, 100] {
            tap.media(&sound("7", at, &[1; 640]));
        }
        tap.media(&sound("7", 120, &[1; 641]));
        tap.media(&MediaFrame { kind: MediaKind::Audio, bytes: Bytes::from_static(b"{") });
        tap.media(&sound("7", 140, &[1; 640]));
        let (_, packets) = taken(&ring).await;
        let seen: Vec<_> = packets
            .iter()
            .map(|p| (i64::from_le_bytes(p[8..16].try_into().unwrap()) - AT, p[4], p[1]))
            .collect();
        assert_eq!(seen, [(0, 1, 1), (20, 2, 0), (40, 3, 0), (60, 4, 0), (100, 5, 1), (140, 6, 1)]);
    }

    #[tokio::test]
    async fn other_codecs_arrive_as_samples() {
        let telephone = AudioParams {
            codec: AudioCodec::G711,
            sample_rate: SampleRate::Hz8000,
            channels: Channels::Mono,
            content_type: AudioContent::Rtp,
            ..separate()
        };
        let format = Format::of(&telephone).unwrap();
        let (mut payload, mut expected) = (Vec::new(), Vec::new());
        let tone: Vec<i16> = (0..160_i16).map(|n| (n % 16) * 1_000).collect();
        Encoder::new(format, 0).unwrap().encode(&tone, &mut payload).unwrap();
        Decoder::new(format).unwrap().decode(&payload, &mut expected).unwrap();
        let mut rtp = Vec::new();
        RtpPacket { payload: &payload, ..RtpPacket::default() }.write(&mut rtp);
        let mut tap = tap(telephone);
        let ring = listening(&tap, Feed::Audio);
        tap.media(&sound("7", 0, &rtp));
        let (notes, packets) = taken(&ring).await;
        assert_eq!(notes[1]["sample_rate"], 8_000);
        let samples: Vec<_> =
            packets[0][16..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(samples, expected);
        assert!(samples.len() == 160 && samples.iter().any(|sample| *sample > 10_000));
    }

    #[tokio::test]
    async fn words_are_the_lines_of_the_transcript_once_each() {
        let mut tap = tap(separate());
        let ring = listening(&tap, Feed::Transcript);
        let said = MediaPacket::new(MediaKind::Transcript, UnixMillis(AT), "Hello");
        let said = MediaPacket { user_name: Some("Ann".into()), attribute: Some("x".into()), ..said };
        tap.media(&frame(&said));
        tap.media(&frame(&said));
        tap.media(&sound("7", 0, &[1; 640]));
        let (notes, packets) = taken(&ring).await;
        assert_eq!((notes.len(), packets.len()), (1, 1), "the hello and the words");
        assert!(notes[0].get("tracks").is_none());
        let line: Value = serde_json::from_slice(&packets[0]).unwrap();
        assert_eq!((&line["speaker"], &line["text"]), (&"Ann".into(), &"Hello".into()));
    }

    #[tokio::test]
    async fn interim_words_have_a_name_of_their_own() {
        let mut tap = tap(separate());
        let ring = listening(&tap, Feed::Transcript);
        for (attribute, text) in
            [("interim", "Hel"), ("interim", "Hello"), ("interim", "Hello"), ("final", "Hello.")]
        {
            let said = MediaPacket::new(MediaKind::Transcript, UnixMillis(AT), text);
            tap.media(&frame(&MediaPacket { attribute: Some(attribute.into()), ..said }));
        }
        drop(tap);
        let mut items = Vec::new();
        while ring.take(&mut items).await {}
        let names: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Packet(name, number, _) => Some((*name, *number)),
                _ => None,
            })
            .collect();
        assert_eq!(names, [("interim", 1), ("interim", 2), ("utterance", 3)]);
    }

    #[tokio::test]
    async fn the_end_is_told_however_the_engagement_ends() {
        let tap = tap(separate());
        let ring = listening(&tap, Feed::Audio);
        tap.phase(Phase::Paused, UnixMillis(AT));
        drop(tap);
        let mut items = Vec::new();
        while ring.take(&mut items).await {}
        let kinds: Vec<_> = items.iter().map(|item| matches!(item, Item::Note("state" | "end", _))).collect();
        assert_eq!(kinds, [false, true, true]);
    }
}
