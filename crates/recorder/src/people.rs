//! Who takes part, gathered from events and packets: names for files and transcripts, entries for the manifest.
//!
//! A party is known by channel (Contact Center) or by user id; one id comes as a number here and as text there, so
//! both are kept as text. The user id of a Contact Center event is not that of the packets, so it is the events that say
//! who somebody is; packets only fill in. Bounded: what is beyond the limit is counted, not kept.

mod turns;

use rtms_protocol::{Event, MediaPacket, Participant, Role, UnixMillis, WireId};

pub use self::turns::Turn;
use self::turns::Turns;
use crate::manifest::ParticipantEntry;

/// Most participants that are kept for one recording.
const PEOPLE_KEPT: usize = 10_000;
/// Longest name or id that is kept, characters.
const TEXT_CHARS: usize = 256;

/// The participants of one recording.
#[derive(Debug, Default)]
pub struct People {
    list: Vec<ParticipantEntry>,
    /// Channels that went from one to another.
    turns: Turns,
    /// Changes so far; a cheap way to see whether anything is new.
    changes: u64,
    /// Changes that [`Self::take_changed`] has told.
    taken: u64,
    refused: u64,
}

/// What an event says about being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Presence {
    came: bool,
    left: bool,
    /// They speak on their channel from now on. Not so who monitors: they listen, and the event may name the channel
    /// that they listen to.
    speaks: bool,
}

impl Presence {
    fn of(event: &Event) -> Self {
        let speaks = matches!(
            event.name,
            "CONSUMER_ANSWERED" | "USER_ANSWERED" | "TAKEOVER_STARTED" | "TRANSFER_COMPLETED"
        );
        let came = matches!(
            event.name,
            "PARTICIPANT_JOIN"
                | "CONSUMER_ANSWERED"
                | "USER_ANSWERED"
                | "MONITOR_STARTED"
                | "TAKEOVER_STARTED"
        );
        let left = matches!(
            event.name,
            "PARTICIPANT_LEAVE"
                | "CONSUMER_END"
                | "USER_END"
                | "MONITOR_ENDED"
                | "CONFERENCE_PARTICIPANT_LEFT"
        );
        Self { came, left, speaks }
    }
}

impl People {
    /// The participants as another process knew them.
    #[must_use]
    pub fn resume(list: Vec<ParticipantEntry>, turns: Vec<Turn>) -> Self {
        // A manifest is a file that others may have written.
        let known = turns.into_iter().filter(|turn| turn.participant < list.len()).collect();
        Self { turns: Turns::resume(known), list, ..Self::default() }
    }

    /// Learns from an event. Returns how much found no place.
    pub fn learn(&mut self, event: &Event) -> u64 {
        self.learn_since(event, |_, told| told.unwrap_or_default())
    }

    /// The same. `since` says from when on a channel is another's, where the event tells of it at that time.
    pub(crate) fn learn_since(
        &mut self,
        event: &Event,
        since: impl Fn(&str, Option<UnixMillis>) -> UnixMillis,
    ) -> u64 {
        let presence = Presence::of(event);
        let before = self.refused;
        for participant in &event.participants {
            self.merge(participant, presence, event.timestamp, &since);
        }
        self.refused - before
    }

    /// Learns from a packet that carries a name.
    pub fn seen(&mut self, packet: &MediaPacket<'_>) {
        let (channel, user) = (packet.channel_id.as_ref(), packet.user_id.as_ref());
        let user = user.filter(|id| !id.is_zero());
        let Some(name) = packet.user_name.as_deref().filter(|name| !name.trim().is_empty()) else { return };
        let known = self.speaker(packet);
        let is_introduced = known.is_some_and(is_introduced);
        let known = known.and_then(|known| known.display_name.as_deref());
        if (channel.is_none() && user.is_none()) || known.is_some_and(|own| is_introduced || own == name) {
            return;
        }
        let participant = Participant {
            user_id: user.filter(|_| !is_introduced).map(ToString::to_string),
            channel_id: channel.map(ToString::to_string),
            display_name: Some(name.to_owned()),
            role: None,
        };
        let unsaid = Presence { came: false, left: false, speaks: false };
        self.merge(&participant, unsaid, None, &|_, _| UnixMillis::default());
    }

    /// The person of a packet, by channel first.
    #[must_use]
    pub fn speaker(&self, packet: &MediaPacket<'_>) -> Option<&ParticipantEntry> {
        self.who(packet.channel_id.as_ref(), packet.user_id.as_ref(), Some(packet.timestamp))
    }

    /// The person of a user id.
    pub(crate) fn user(&self, id: &str) -> Option<&ParticipantEntry> {
        self.who(None, Some(&WireId::Text(id.into())), None)
    }

    /// Who has had a channel since `since`; without it, the first of all.
    pub(crate) fn on_channel(&self, id: &str, since: Option<UnixMillis>) -> Option<&ParticipantEntry> {
        match self.turns.began(id, since) {
            Some(place) => self.list.get(place),
            None => self.list.iter().find(|person| person.channel_id.as_deref() == Some(id)),
        }
    }

    /// The person that an event speaks of, if it was learned from.
    pub(crate) fn told(&self, participant: &Participant) -> Option<&ParticipantEntry> {
        self.list.get(self.place_of(&kept(participant), false)?)
    }

    /// Since when the channel of a packet is the one's who speaks in it, where others had it before.
    #[must_use]
    pub fn channel_since(&self, packet: &MediaPacket<'_>) -> Option<UnixMillis> {
        if self.turns.all().is_empty() {
            return None;
        }
        let channel = packet.channel_id.as_ref()?.to_string();
        self.turns.first(&channel, self.turns.holder(&channel, Some(packet.timestamp))?)
    }

    /// Everyone, for the manifest.
    pub(crate) fn entries(&self) -> &[ParticipantEntry] {
        &self.list
    }

    /// The channels that changed hands, for the next process.
    pub(crate) fn turns(&self) -> &[Turn] {
        self.turns.all()
    }

    /// Changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether anything changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.taken, self.changes) != self.changes
    }

    fn who(
        &self,
        channel: Option<&WireId<'_>>,
        user: Option<&WireId<'_>>,
        at: Option<UnixMillis>,
    ) -> Option<&ParticipantEntry> {
        let is = |own: &Option<String>, id: Option<&WireId<'_>>| match (own, id) {
            (Some(own), Some(id)) => id.is(own),
            _ => false,
        };
        let turn = if self.turns.all().is_empty() {
            None
        } else {
            channel.and_then(|channel| self.turns.holder(&channel.to_string(), at))
        };
        turn.and_then(|place| self.list.get(place))
            .or_else(|| self.list.iter().find(|person| is(&person.channel_id, channel)))
            .or_else(|| self.list.iter().rev().find(|person| is(&person.user_id, user)))
    }

    fn merge(
        &mut self,
        told: &Participant,
        presence: Presence,
        at: Option<UnixMillis>,
        since: &impl Fn(&str, Option<UnixMillis>) -> UnixMillis,
    ) {
        let new = &kept(told);
        if new.channel_id.is_none() && new.user_id.is_none() {
            return;
        }
        let holder = new.channel_id.as_deref().and_then(|channel| self.holder(channel));
        let Some(place) = self.place_of(new, presence.speaks).or_else(|| self.add()) else {
            self.refused += 1;
            return;
        };
        if let (true, Some(channel), Some(holder)) = (presence.speaks, &new.channel_id, holder)
            && holder != place
        {
            self.pass_on(channel, holder, place, since(channel, at));
        }
        let Some(person) = self.list.get_mut(place) else { return };
        let before = person.clone();
        fill(person, new);
        if presence.came {
            person.joined_at = person.joined_at.or(at);
            person.left_at = None;
        }
        if presence.left {
            person.left_at = at.or(person.left_at);
        }
        self.changes += u64::from(*person != before);
    }

    /// The channel is another's from `at` on.
    fn pass_on(&mut self, channel: &str, from: usize, to: usize, at: UnixMillis) {
        if !self.turns.pass_on(channel, from, to, at) {
            self.refused += 1;
            return;
        }
        self.changes += 1;
        let since = self.turns.first(channel, to);
        if let Some(person) = self.list.get_mut(to) {
            person.channel_since = since;
        }
    }

    fn add(&mut self) -> Option<usize> {
        if self.list.len() >= PEOPLE_KEPT {
            return None;
        }
        self.list.push(ParticipantEntry::default());
        Some(self.list.len() - 1)
    }

    /// Who has a channel, as far as is known by now.
    fn holder(&self, channel: &str) -> Option<usize> {
        self.turns
            .holder(channel, None)
            .or_else(|| self.list.iter().position(|person| person.channel_id.as_deref() == Some(channel)))
    }

    /// The entry that `new` speaks of; `speaks`: who is on the channel from now on.
    fn place_of(&self, new: &Participant, speaks: bool) -> Option<usize> {
        let same = |own: &Option<String>, other: &Option<String>| other.is_some() && own == other;
        let on_channel = |person: &ParticipantEntry| same(&person.channel_id, &new.channel_id);
        let is_same_user = |person: &ParticipantEntry| same(&person.user_id, &new.user_id);
        let find = |is: &dyn Fn(&ParticipantEntry) -> bool| self.list.iter().position(is);
        let holder = new.channel_id.as_deref().and_then(|channel| self.holder(channel));
        let held_by = holder.and_then(|place| self.list.get(place));
        let is_free = |person: &ParticipantEntry| person.channel_id.is_none() || new.channel_id.is_none();
        find(&|person| on_channel(person) && is_same_user(person))
            .or(holder.filter(|_| held_by.is_some_and(|person| is_same_person(person, new, speaks))))
            .or_else(|| {
                find(&|person| on_channel(person) && !users_differ(person, new) && has_name_of(person, new))
            })
            .or_else(|| self.list.iter().rposition(|person| is_free(person) && is_same_user(person)))
    }
}

/// What is kept of what an event tells: texts of a bounded length. User 0 is nobody.
fn kept(told: &Participant) -> Participant {
    let cut = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(TEXT_CHARS).collect());
    Participant {
        user_id: cut(&told.user_id).filter(|id: &String| id != "0"),
        channel_id: cut(&told.channel_id),
        display_name: cut(&told.display_name),
        role: told.role,
    }
}

/// Whether an event told who it is that has a channel: packets do not know better.
fn is_introduced(person: &ParticipantEntry) -> bool {
    person.channel_id.is_some() && (person.joined_at.is_some() || person.left_at.is_some())
}

fn users_differ(person: &ParticipantEntry, new: &Participant) -> bool {
    person.user_id.is_some() && new.user_id.is_some() && person.user_id != new.user_id
}

fn has_name_of(person: &ParticipantEntry, new: &Participant) -> bool {
    person.display_name.is_some() && person.display_name == new.display_name
}

/// Whether `new` is who has their channel: not with another user id, nor, once they left, with another name. A customer's
/// channel stays theirs.
fn is_same_person(holder: &ParticipantEntry, new: &Participant, speaks: bool) -> bool {
    let has_left = holder.left_at.is_some();
    let is_there = has_name_of(holder, new) && !has_left;
    if holder.role == Some(Role::Consumer) || !is_introduced(holder) || is_there {
        return true;
    }
    let are_named = holder.display_name.is_some() && new.display_name.is_some();
    let is_another = speaks && has_left && are_named && !has_name_of(holder, new);
    !users_differ(holder, new) && !is_another
}

/// Adds what is new. The user id that an event told stays.
fn fill(person: &mut ParticipantEntry, new: &Participant) {
    let keeps_user = person.user_id.is_some() && is_introduced(person);
    for (slot, value) in [
        (&mut person.user_id, new.user_id.as_ref().filter(|_| !keeps_user)),
        (&mut person.channel_id, new.channel_id.as_ref()),
        (&mut person.display_name, new.display_name.as_ref()),
    ] {
        if let Some(value) = value {
            *slot = Some(value.clone());
        }
    }
    person.role = stronger(person.role, new.role);
}

/// Events that agents have, such as a hold, are told of supervisors too.
fn stronger(known: Option<Role>, told: Option<Role>) -> Option<Role> {
    let rank = |role: &Option<Role>| match role {
        Some(Role::Consumer) => 3,
        Some(Role::Supervisor) => 2,
        Some(Role::Agent) => 1,
        None => 0,
    };
    known.into_iter().chain(told).map(Some).max_by_key(rank).flatten()
}

#[cfg(test)]
mod tests;
