//! The files and the people of a manifest.

use rtms_protocol::{MediaKind, Role, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::iso;

/// The name of the sound that combines the parties. A party may be called the same: see [`TrackEntry::is_combined`].
pub(crate) const COMBINED: &str = "combined";

/// One file of media.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrackEntry {
    /// `audio`, `video`, `share`, `transcript` or `chat`.
    pub kind: String,
    /// Relative to the data folder.
    pub file: String,
    /// What the track is called: `mixed`, `combined`, a role, a name, a channel.
    pub name: String,
    /// `L16`, `H264`, `text`, ….
    pub codec: String,
    /// Samples a second, of audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Channels, of audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// Width of the first picture, pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the first picture, pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Where the file begins, ms after time zero.
    pub offset_ms: i64,
    /// How long it is, ms.
    pub duration_ms: i64,
    /// Places where packets were missing and silence, or the last picture, fills in.
    pub gaps: u64,
    /// Packets recorded.
    #[serde(default)]
    pub packets: u64,
    /// Bytes of payload recorded.
    #[serde(default)]
    pub bytes: u64,
    /// Packets lost: with a wrong time, before a key frame, refused by the disk. Repeats are no loss.
    #[serde(default)]
    pub dropped: u64,
    /// SHA-256 of the finished file, hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whose channel, where it is one party's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Since when the channel is theirs, where others had it before: Zoom's clock, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_since: Option<UnixMillis>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Their role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Of the combined sound of two parties: the files of the left and of the right one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<String>,
    /// What is added to the track's timestamps since Zoom's clock jumped, ms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub correction_ms: i64,
    /// What the file is about to be called, while a recording is being finished: where `file` is gone, it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becoming: Option<Becoming>,
    /// Of pictures that are files of their own: how many. `file` lists them; they lie in the folder beside it that is
    /// called like it, without the ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// Of video: who is in the picture, and since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<ShownEntry>,
    /// Other forms of the same track (`.jsonl` and `.vtt` of a transcript), relative to the data folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<FileEntry>,
}

impl TrackEntry {
    /// Whether it is sound.
    pub(crate) fn is_audio(&self) -> bool {
        self.kind == MediaKind::Audio.word()
    }

    /// Whether it is one party's own sound. Each has a channel or a user, the combined and the mixed sound have neither.
    pub(crate) fn is_partys(&self) -> bool {
        self.is_audio() && (self.channel_id.is_some() || self.user_id.is_some())
    }

    /// Whether it is the sound that combines the parties. Its name alone does not say so, because people choose theirs.
    pub(crate) fn is_combined(&self) -> bool {
        self.is_audio() && !self.is_partys() && self.name == COMBINED
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Who is in the picture from some time on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShownEntry {
    /// Since when, ms after time zero.
    pub from_ms: i64,
    /// Zoom's id of the participant.
    pub user_id: String,
    /// Their name, where the pictures carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// A better name for a track whose party became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Becoming {
    /// Relative to the data folder.
    pub file: String,
    /// What the track is called then.
    pub name: String,
}

/// A further file of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the data folder.
    pub file: String,
    /// SHA-256 of the finished file, hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Someone who took part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ParticipantEntry {
    /// Zoom's id of the participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Zoom's id of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Since when the channel is theirs, where others had it before: Zoom's clock, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_since: Option<UnixMillis>,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Their role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// When they first came.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "iso::option")]
    pub joined_at: Option<UnixMillis>,
    /// When they last left.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "iso::option")]
    pub left_at: Option<UnixMillis>,
}
