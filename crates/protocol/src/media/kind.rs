//! The five kinds of media, and sets of them.

use serde::{Deserialize, Serialize};

use crate::codes::MsgType;

/// A kind of media that a stream can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// Sound, mixed or one stream a participant.
    Audio,
    /// Camera pictures.
    Video,
    /// Screen share pictures.
    Share,
    /// Speech as text.
    Transcript,
    /// In-meeting chat.
    Chat,
}

impl MediaKind {
    /// All kinds, in the order of Zoom's bits.
    pub const ALL: [Self; 5] = [Self::Audio, Self::Video, Self::Share, Self::Transcript, Self::Chat];

    /// The bit in `media_type`.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::Audio => 1,
            Self::Video => 2,
            Self::Share => 4,
            Self::Transcript => 8,
            Self::Chat => 16,
        }
    }

    /// The stable word for settings, logs, metrics and manifests.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Share => "share",
            Self::Transcript => "transcript",
            Self::Chat => "chat",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The type of the messages that carry it.
    #[must_use]
    pub const fn msg_type(self) -> MsgType {
        match self {
            Self::Audio => MsgType::MediaAudio,
            Self::Video => MsgType::MediaVideo,
            Self::Share => MsgType::MediaShare,
            Self::Transcript => MsgType::MediaTranscript,
            Self::Chat => MsgType::MediaChat,
        }
    }

    /// The kind that messages of this type carry, `None` for anything but media.
    #[must_use]
    pub const fn of_msg_type(msg_type: MsgType) -> Option<Self> {
        match msg_type {
            MsgType::MediaAudio => Some(Self::Audio),
            MsgType::MediaVideo => Some(Self::Video),
            MsgType::MediaShare => Some(Self::Share),
            MsgType::MediaTranscript => Some(Self::Transcript),
            MsgType::MediaChat => Some(Self::Chat),
            _ => None,
        }
    }

    /// Whether `data` is base64; the others carry text.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Audio | Self::Video | Self::Share)
    }
}

impl std::fmt::Display for MediaKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of media kinds, the `media_type` bits of a media handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MediaSet(u8);

impl MediaSet {
    /// No kind at all.
    pub const EMPTY: Self = Self(0);
    /// All five kinds.
    pub const ALL: Self = Self(31);
    /// Zoom's number for "everything on one socket".
    pub const ALL_ON_ONE_SOCKET: i64 = 32;

    /// The set with one kind.
    #[must_use]
    pub const fn of(kind: MediaKind) -> Self {
        Self(kind.bit())
    }

    /// The set of `media_type` on the wire; 32 means all. `None` for zero and for bits that do not exist.
    #[must_use]
    pub fn from_wire(media_type: i64) -> Option<Self> {
        match media_type {
            Self::ALL_ON_ONE_SOCKET => Some(Self::ALL),
            1..=31 => u8::try_from(media_type).ok().map(Self),
            _ => None,
        }
    }

    /// The bits 1, 2, 4, 8 and 16.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether `kind` is in the set.
    #[must_use]
    pub const fn contains(self, kind: MediaKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Adds `kind`.
    pub const fn insert(&mut self, kind: MediaKind) {
        self.0 |= kind.bit();
    }

    /// Takes `kind` out.
    pub const fn remove(&mut self, kind: MediaKind) {
        self.0 &= !kind.bit();
    }

    /// The kinds in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The kinds of this set that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no kind is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds in it, in Zoom's order.
    pub fn iter(self) -> impl Iterator<Item = MediaKind> {
        MediaKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<MediaKind> for MediaSet {
    fn from_iter<I: IntoIterator<Item = MediaKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::EMPTY, |mut set, kind| {
            set.insert(kind);
            set
        })
    }
}

impl std::fmt::Display for MediaSet {
    /// `audio,transcript`, the form of the settings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, kind) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(kind.word())?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for MediaSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{self}}}")
    }
}
