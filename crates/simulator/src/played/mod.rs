//! The source of truth: what was really sent in a stream, to be compared with what was recorded.
//!
//! It is kept as spans of packets, not as sound: one entry for each stretch that a socket carried. Sound, pictures and
//! lines are looked up in the program when somebody asks. Of sound there is both: the bytes as they travelled, and what
//! went into the codec, which for all but L16 comes out of it only alike.

mod sound;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rtms_protocol::{AudioParams, Language, StopReason, StreamIdentity, UnixMillis, VideoCodec, WireId};
use serde_json::{Value, json};

use crate::faults::RtpFaults;
use crate::scenario::{ChatAction, CueState, PictureSource, Program, footage};
use crate::stream::Connections;

pub use sound::{PlayedPacket, PlayedParty, PlayedTrack};

/// A stretch of audio that one socket carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioSpan {
    pub(crate) params: AudioParams,
    /// Offsets (ms) of the packets: begin of the first, end of the last. Multiples of the send rate.
    pub(crate) offsets: Range<i64>,
}

/// A picture that a socket carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentPicture {
    pub(crate) at_ms: i64,
    pub(crate) source: PictureSource,
}

/// A line that a socket carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentLine {
    pub(crate) number: usize,
    /// The socket was reset so soon after it that it may not have arrived.
    pub(crate) in_doubt: bool,
}

/// An event as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayedEvent {
    /// Zoom's number.
    pub event_type: i64,
    /// Its time on the wire.
    pub timestamp: UnixMillis,
}

/// What the sockets did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) audio: Vec<AudioSpan>,
    pub(crate) cues: Vec<SentLine>,
    /// The language that the last socket's client fixed for all lines.
    pub(crate) language: Option<Language>,
    pub(crate) chat: Vec<SentLine>,
    pub(crate) video: Vec<SentPicture>,
    pub(crate) share: Vec<SentPicture>,
    pub(crate) events: Vec<PlayedEvent>,
    pub(crate) audio_packets: u64,
}

/// A transcript line as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedLine {
    /// Begin of the utterance.
    pub start: UnixMillis,
    /// Its end.
    pub end: UnixMillis,
    /// Who speaks.
    pub name: String,
    /// The words.
    pub text: String,
    /// What it is to those before it.
    pub state: CueState,
    /// Its language on the wire.
    pub language: Language,
    /// Whether the socket was reset so soon after it that it may never have arrived. Zoom keeps sound for whoever comes
    /// back, not words.
    pub in_doubt: bool,
}

/// A chat message as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedChat {
    /// When.
    pub at: UnixMillis,
    /// Who writes.
    pub name: String,
    /// Which message it is, or changes.
    pub id: String,
    /// What it does.
    pub action: ChatAction,
    /// What is written.
    pub text: String,
    /// Whether the socket was reset so soon after it that it may never have arrived.
    pub in_doubt: bool,
}

/// A picture as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedPicture {
    /// Its timestamp.
    pub at: UnixMillis,
    /// Whose it is.
    pub user_id: WireId<'static>,
    /// The name on the wire.
    pub name: String,
    /// What it is encoded in.
    pub codec: VideoCodec,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Everything that was sent in one stream.
#[derive(Debug, Clone)]
pub struct Played {
    /// Which stream.
    pub identity: StreamIdentity,
    /// Its first timestamp.
    pub time_zero: UnixMillis,
    /// Why it ended, once it has.
    pub stop_reason: Option<StopReason>,
    /// How often the client came, and whether it ever came twice.
    pub connections: Connections,
    /// Audio packets sent, repeats included.
    pub audio_packets: u64,
    /// Audio, a track each.
    pub tracks: Vec<PlayedTrack>,
    /// Pictures of cameras in the order sent.
    pub video: Vec<PlayedPicture>,
    /// Pictures of the shared screen in the order sent.
    pub share: Vec<PlayedPicture>,
    /// Transcript lines in the order sent, also those that later ones replace.
    pub transcript: Vec<PlayedLine>,
    /// Chat messages in the order sent.
    pub chat: Vec<PlayedChat>,
    /// Events in the order sent.
    pub events: Vec<PlayedEvent>,
    /// Whether all audio and transcript of the scenario was sent (to a client that asked for it).
    pub complete: bool,
}

impl Played {
    pub(crate) fn new(
        identity: StreamIdentity,
        time_zero: UnixMillis,
        program: &Arc<Program>,
        log: &Log,
        pauses: &[Range<i64>],
        faults: &RtpFaults,
    ) -> Self {
        let look_up = LookUp { program, time_zero, log };
        Self {
            stop_reason: None,
            connections: Connections::default(),
            audio_packets: log.audio_packets,
            tracks: sound::tracks(program, time_zero, log, pauses, faults),
            identity,
            time_zero,
            video: log.video.iter().filter_map(|sent| look_up.picture(sent)).collect(),
            share: log.share.iter().filter_map(|sent| look_up.picture(sent)).collect(),
            transcript: log.cues.iter().filter_map(|&sent| look_up.line(sent)).collect(),
            chat: log.chat.iter().filter_map(|&sent| look_up.chat(sent)).collect(),
            events: log.events.clone(),
            complete: false,
        }
    }

    /// The transcript as it stands in the end: of each utterance the last word on it, in order of their begins.
    #[must_use]
    pub fn resolved_transcript(&self) -> Vec<&PlayedLine> {
        let mut resolved: Vec<&PlayedLine> = Vec::new();
        for line in &self.transcript {
            let same = |known: &&&mut &PlayedLine| known.start == line.start && known.name == line.name;
            let mut known = resolved.iter_mut();
            match known.by_ref().rev().find(|known| same(&known)) {
                Some(known) if line.state != CueState::Only => *known = line,
                _ => resolved.push(line),
            }
        }
        resolved.sort_by_key(|line| line.start);
        resolved
    }

    /// A summary without content, for `--json`.
    #[must_use]
    pub fn summary(&self) -> Value {
        let tracks: Vec<Value> = self
            .tracks
            .iter()
            .map(|t| {
                let samples: usize = t.packets.iter().map(|p| p.samples.len()).sum();
                json!({"name": t.party.as_ref().map_or("mixed", |p| p.name.as_str()), "packets": t.packets.len(),
                    "seconds": samples as f64 / f64::from(t.sample_rate) / f64::from(t.channels)})
            })
            .collect();
        json!({"product": self.identity.product.word(), "id": self.identity.id, "rtms_stream_id": self.identity.stream_id,
            "time_zero": self.time_zero.0, "stop_reason": self.stop_reason.map(rtms_protocol::StopReason::name),
            "audio_packets": self.audio_packets, "tracks": tracks, "video_frames": self.video.len(), "share_frames": self.share.len(),
            "transcript_lines": self.transcript.len(), "chat_messages": self.chat.len(), "events": self.events.len(),
            "connections": self.connections.summary(), "complete": self.complete})
    }
}

/// What a log's numbers stand for.
struct LookUp<'a> {
    program: &'a Program,
    time_zero: UnixMillis,
    log: &'a Log,
}

impl LookUp<'_> {
    fn picture(&self, sent: &SentPicture) -> Option<PlayedPicture> {
        let PictureSource { party, name, camera, codec, picture } = sent.source;
        let bytes = footage(self.program, camera)?.picture(codec, picture)?.clone();
        let party = self.program.scenario.parties.get(party)?;
        let (user_id, name) = (party.user_id.clone(), party.name(name).to_owned());
        Some(PlayedPicture { at: self.time_zero.plus(sent.at_ms), user_id, name, codec, bytes })
    }

    fn line(&self, sent: SentLine) -> Option<PlayedLine> {
        let cue = self.program.cues.get(sent.number)?;
        Some(PlayedLine {
            start: self.time_zero.plus(cue.start_ms),
            end: self.time_zero.plus(cue.end_ms),
            name: self.program.scenario.parties[cue.party].name_at(cue.start_ms).to_owned(),
            text: cue.text.clone(),
            state: cue.state,
            language: self.log.language.unwrap_or(cue.language),
            in_doubt: sent.in_doubt,
        })
    }

    fn chat(&self, sent: SentLine) -> Option<PlayedChat> {
        let line = self.program.chat.get(sent.number)?;
        Some(PlayedChat {
            at: self.time_zero.plus(line.at_ms),
            name: self.program.scenario.parties[line.party].name_at(line.at_ms).to_owned(),
            id: line.id.clone(),
            action: line.action,
            text: line.text.clone(),
            in_doubt: sent.in_doubt,
        })
    }
}
