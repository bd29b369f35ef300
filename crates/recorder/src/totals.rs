//! What a contact center asks of a call: who talked for how long, silence, overlap, holds, the time to the first word.
//!
//! Nothing is added up while the call lasts. At the end, also that of a recording which was repaired, all of it is derived
//! from the files: talk from the parties' sound (or, where there is only mixed sound, from the transcript), holds from the
//! events. So the figures are the same whatever happened on the way. Sound is read in pieces; of a party's talk only the
//! spans are held, of the whole call one byte for each window of [`WINDOW_MS`], and no more than a day of them.

mod hold;
mod sound;
mod tally;
mod voice;
mod words;

use std::path::Path;

use rtms_protocol::{MediaKind, Role, UnixMillis};
use serde::{Deserialize, Serialize};

use self::hold::{Holds, holds};
use self::tally::{Spans, Tally};
use crate::error::RecordError;
use crate::events::Who;
use crate::manifest::{Manifest, ParticipantEntry, TrackEntry};
use crate::take_up::TakeUp;

/// What talk and silence are measured in, ms.
const WINDOW_MS: i64 = 20;
/// Most windows that are measured: a day.
const MOST_WINDOWS: usize = 86_400 * 50;
/// Most parties that are listed.
const MOST_PARTIES: usize = 1_000;

/// What talk was measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TalkSource {
    /// Each party's own sound.
    Audio,
    /// The spans of the utterances: there is no sound of single parties.
    Transcript,
    /// Mixed sound, and no transcript: whether anybody talks, not who.
    Mixed,
    /// There is neither.
    None,
}

/// The figures of one recording. All times in ms; places count from time zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// What talk was measured by.
    pub source: TalkSource,
    /// How long the call was.
    pub duration_ms: i64,
    /// How long anybody talked.
    pub talk_ms: i64,
    /// How long nobody did.
    pub silence_ms: i64,
    /// The longest time without a word.
    pub longest_silence_ms: i64,
    /// How long two or more talked at once; 0 where mixed sound does not tell.
    pub overlap_ms: i64,
    /// From the first answer (without one, time zero) to the first word after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_word_ms: Option<i64>,
    /// How often the call was put on hold.
    pub hold_count: u64,
    /// How long it was, by anybody.
    pub hold_ms: i64,
    /// The parties.
    #[serde(default)]
    pub parties: Vec<PartyTotals>,
}

/// The figures of one party.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartyTotals {
    /// Role, else name, else id.
    pub name: String,
    /// Zoom's id of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Since when the channel is theirs, where others had it before: Zoom's clock, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_since: Option<UnixMillis>,
    /// Zoom's id of the participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Their role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How long they talked.
    pub talk_ms: i64,
    /// Where their first word is, ms after time zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_word_ms: Option<i64>,
    /// How often they put the call on hold, and how long.
    pub hold_count: u64,
    /// See `hold_count`.
    pub hold_ms: i64,
}

/// Somebody, and when they talked.
#[derive(Debug, Default)]
struct Party {
    who: Who,
    name: String,
    spans: Spans,
}

/// Derives the figures of a finished recording from its files; `None` where it has no time zero.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn totals(data_dir: &Path, manifest: &Manifest) -> Result<Option<Totals>, RecordError> {
    let Some(zero) = manifest.time_zero else { return Ok(None) };
    let (source, parties) = talk(data_dir, manifest)?;
    let holds = match &manifest.timeline {
        Some(timeline) => holds(&TakeUp::path(data_dir, &timeline.file)?, sound_ms(manifest), zero)?,
        None => Holds { end_ms: sound_ms(manifest), ..Holds::default() },
    };
    let tally = Tally::of(&parties, holds.end_ms);
    let listed = if source == TalkSource::Mixed { Vec::new() } else { parties };
    Ok(Some(Totals {
        source,
        duration_ms: holds.end_ms,
        talk_ms: tally.talk_ms,
        silence_ms: holds.end_ms.saturating_sub(tally.talk_ms).max(0),
        longest_silence_ms: tally.longest_silence_ms,
        overlap_ms: tally.overlap_ms,
        time_to_first_word_ms: tally.first_word_after(holds.answered_ms.unwrap_or(0)),
        hold_count: holds.all.count,
        hold_ms: holds.all.ms(),
        parties: with_holds(listed, &holds),
    }))
}

/// How long the sound is, ms after time zero; without any, where the other tracks end.
fn sound_ms(manifest: &Manifest) -> i64 {
    let end = |track: &TrackEntry| track.offset_ms.saturating_add(track.duration_ms);
    let sound = manifest.tracks.iter().filter(|track| track.is_audio()).map(end).max();
    sound.or_else(|| manifest.tracks.iter().map(end).max()).unwrap_or(0).max(0)
}

fn talk(data_dir: &Path, manifest: &Manifest) -> Result<(TalkSource, Vec<Party>), RecordError> {
    let parties = || manifest.tracks.iter().filter(|track| track.is_partys());
    if parties().next().is_some() {
        return Ok((TalkSource::Audio, parties_by_sound(data_dir, parties())?));
    }
    if let Some(words) =
        manifest.tracks.iter().find(|t| t.kind == MediaKind::Transcript.word() && t.packets > 0)
    {
        let zero = manifest.time_zero.unwrap_or_default();
        let mut parties = words::parties(data_dir, words, zero)?;
        parties.iter_mut().for_each(|party| introduce(party, manifest));
        return Ok((TalkSource::Transcript, parties));
    }
    let mut mixed = Party::default();
    let mut any = false;
    for track in manifest.tracks.iter().filter(|track| track.is_audio() && !track.is_combined()) {
        mixed.spans.add(voice::spans(&sound::levels(data_dir, track)?));
        any = true;
    }
    Ok(if any { (TalkSource::Mixed, vec![mixed]) } else { (TalkSource::None, Vec::new()) })
}

/// Names a speaker of a transcript as files name parties, where it is known who it is.
fn introduce(party: &mut Party, manifest: &Manifest) {
    let is_theirs = |known: &&ParticipantEntry| {
        let (channel_id, user_id) = (known.channel_id.clone(), known.user_id.clone());
        (channel_id.is_some() || user_id.is_some())
            && party.who.is(&Who { channel_id, user_id, ..Who::default() })
    };
    if let Some(role) = manifest.participants.iter().find(is_theirs).and_then(|known| known.role) {
        role.word().clone_into(&mut party.name);
        party.who.role = Some(role);
    }
}

/// One party for each user, or channel and who had it: a party whose format changed has several files.
fn parties_by_sound<'t>(
    data_dir: &Path,
    tracks: impl Iterator<Item = &'t TrackEntry>,
) -> Result<Vec<Party>, RecordError> {
    let mut parties: Vec<Party> = Vec::new();
    for track in tracks {
        let spans = voice::spans(&sound::levels(data_dir, track)?);
        let who = Who {
            user_id: track.user_id.clone(),
            channel_id: track.channel_id.clone(),
            channel_since: track.channel_since,
            display_name: track.display_name.clone(),
            role: track.role,
        };
        match parties.iter_mut().find(|party| party.who.is(&who)) {
            Some(party) => party.spans.add(spans),
            None => parties.push(Party { who, name: track.name.clone(), spans: Spans::from(spans) }),
        }
    }
    Ok(parties)
}

/// The parties' figures, also of those who were never heard and put the call on hold.
fn with_holds(parties: Vec<Party>, holds: &Holds) -> Vec<PartyTotals> {
    let mut totals: Vec<PartyTotals> = parties
        .into_iter()
        .take(MOST_PARTIES)
        .map(|party| {
            let held = holds.by.iter().find(|held| held.who.is(&party.who));
            let (talk_ms, first_word_ms) = (party.spans.ms(), party.spans.first_ms());
            let own = PartyTotals { name: party.name, talk_ms, first_word_ms, ..PartyTotals::default() };
            of_person(own, &party.who, held)
        })
        .collect();
    for held in &holds.by {
        let is_listed = |party: &PartyTotals| held.who.is(&who(party));
        if totals.len() < MOST_PARTIES && !totals.iter().any(is_listed) {
            let name = held.who.role.map(|role| role.word().to_owned());
            let name = name.or_else(|| held.who.display_name.clone()).unwrap_or_else(|| "Unknown".to_owned());
            totals.push(of_person(PartyTotals { name, ..PartyTotals::default() }, &held.who, Some(held)));
        }
    }
    totals
}

fn of_person(own: PartyTotals, who: &Who, held: Option<&hold::HeldBy>) -> PartyTotals {
    let Who { user_id, channel_id, channel_since, display_name, role } = who.clone();
    let (hold_count, hold_ms) = held.map_or((0, 0), |held| (held.held.count, held.held.ms()));
    PartyTotals { user_id, channel_id, channel_since, display_name, role, hold_count, hold_ms, ..own }
}

fn who(party: &PartyTotals) -> Who {
    let (user_id, channel_id) = (party.user_id.clone(), party.channel_id.clone());
    Who { user_id, channel_id, channel_since: party.channel_since, ..Who::default() }
}
