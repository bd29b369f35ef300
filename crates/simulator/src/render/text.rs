//! Transcript lines and chat messages. There are few of them: each is written when it is due.

use std::borrow::Cow;

use bytes::Bytes;
use rtms_protocol::{Language, MediaKind, MediaPacket, WireId};

use crate::scenario::{ChatLine, Cue, Party};
use crate::stream::Stream;

fn packet<'a>(
    stream: &Stream,
    kind: MediaKind,
    party: &'a Party,
    at_ms: i64,
    text: &'a str,
) -> MediaPacket<'a> {
    let mut packet = MediaPacket::new(kind, stream.clock.timestamp(at_ms), text);
    packet.user_id = Some(party.user_id.clone());
    packet.user_name = Some(Cow::Borrowed(party.name_at(at_ms)));
    packet.length = u32::try_from(text.len()).ok();
    packet
}

/// The message of one transcript line; `fixed` is the language that the client asked for, whatever is spoken.
#[must_use]
pub(crate) fn transcript(stream: &Stream, cue: &Cue, fixed: Option<Language>) -> Bytes {
    let party = &stream.program.scenario.parties[cue.party];
    let mut packet = packet(stream, MediaKind::Transcript, party, cue.start_ms, &cue.text);
    packet.channel_id = party.channel_id.as_deref().map(|id| WireId::Text(Cow::Borrowed(id)));
    packet.start_time = Some(stream.clock.timestamp(cue.start_ms));
    packet.end_time = Some(stream.clock.timestamp(cue.end_ms));
    packet.language = Some(fixed.unwrap_or(cue.language));
    packet.attribute = cue.state.attribute().map(Cow::Borrowed);
    packet.to_json().into()
}

/// The message of one chat line.
#[must_use]
pub(crate) fn chat(stream: &Stream, line: &ChatLine) -> Bytes {
    let party = &stream.program.scenario.parties[line.party];
    let mut packet = packet(stream, MediaKind::Chat, party, line.at_ms, &line.text);
    packet.attribute = Some(Cow::Borrowed(line.action.attribute()));
    packet.message_id = Some(WireId::Text(Cow::Borrowed(&line.id)));
    packet.to_json().into()
}
