//! Whose sound a packet is: mixed, a channel's (Contact Center) or a user's.

use rtms_protocol::{AudioData, MediaPacket, UnixMillis, WireId};

use crate::manifest::ParticipantEntry;
use crate::people::People;

/// Whose sound a track holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartyKey {
    /// Nobody's own: all together.
    Mixed,
    /// A Contact Center channel's, or of one that several had, the one's who had it since.
    Channel {
        /// Zoom's id.
        id: String,
        /// Since when; `None` for the first who had it.
        since: Option<UnixMillis>,
    },
    /// A participant's.
    User(String),
}

impl PartyKey {
    /// Whether a packet belongs here; `mixed` where it is mixed sound, `since` what [`People::channel_since`] says of it.
    #[must_use]
    pub fn holds(&self, packet: &MediaPacket<'_>, mixed: bool, since: Option<UnixMillis>) -> bool {
        let is = |id: &Option<WireId<'_>>, own: &str| id.as_ref().is_some_and(|id| id.is(own));
        match self {
            Self::Mixed => mixed,
            Self::Channel { id, since: own } => !mixed && *own == since && is(&packet.channel_id, id),
            Self::User(own) => !mixed && packet.channel_id.is_none() && is(&packet.user_id, own),
        }
    }

    /// The key of a packet's party.
    #[must_use]
    pub fn of(packet: &MediaPacket<'_>, mixed: bool, since: Option<UnixMillis>) -> Self {
        match (mixed, &packet.channel_id, &packet.user_id) {
            (false, Some(channel), _) => Self::Channel { id: channel.to_string(), since },
            (false, None, Some(user)) => Self::User(user.to_string()),
            _ => Self::Mixed,
        }
    }

    /// Zoom's id of the channel, where it is one's.
    #[must_use]
    pub fn channel_id(&self) -> Option<&str> {
        match self {
            Self::Channel { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Since when the channel is theirs, where others had it before.
    #[must_use]
    pub fn channel_since(&self) -> Option<UnixMillis> {
        match self {
            Self::Channel { since, .. } => *since,
            _ => None,
        }
    }

    /// Zoom's id of the user, where it is one's without a channel.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::User(id) => Some(id),
            _ => None,
        }
    }

    /// Zoom's id of the channel or user.
    #[must_use]
    pub fn id(&self) -> &str {
        self.channel_id().or(self.user_id()).unwrap_or("mixed")
    }

    /// What is known of the party.
    #[must_use]
    pub fn person<'p>(&self, people: &'p People) -> Option<&'p ParticipantEntry> {
        match self {
            Self::Mixed => None,
            Self::Channel { id, since } => people.on_channel(id, *since),
            Self::User(id) => people.user(id),
        }
    }

    /// The party's NAME: its role, else its name, else its id.
    #[must_use]
    pub fn name(&self, people: &People) -> String {
        let person = self.person(people);
        let role = person.and_then(|person| person.role).map(|role| role.word().to_owned());
        role.or_else(|| person.and_then(|person| person.display_name.clone()))
            .unwrap_or_else(|| self.id().to_owned())
    }
}

/// Whether a packet is mixed sound: that of user 0, or everything where mixed sound was granted.
#[must_use]
pub fn is_mixed(packet: &MediaPacket<'_>, granted: Option<AudioData>) -> bool {
    granted == Some(AudioData::Mixed)
        || (packet.channel_id.is_none() && packet.user_id.as_ref().is_none_or(WireId::is_zero))
}
