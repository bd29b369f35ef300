//! Packets that were not recorded, by reason. Shown in the manifest and counted by the service's metrics.

use serde::{Deserialize, Serialize};

/// Why a packet, or what it is part of, was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Sent again after a reconnection; it is in the file already.
    Repeat,
    /// A timestamp too far ahead.
    Ahead,
    /// A timestamp too far back.
    Behind,
    /// A picture before the first key frame.
    BeforeKeyFrame,
    /// The payload does not decode.
    Undecodable,
    /// No writer for the codec.
    Unsupported,
    /// More parties than a recording holds.
    TooManyTracks,
    /// The disk refused.
    Disk,
    /// An event or participant beyond what a manifest holds.
    ManifestFull,
}

/// How many packets were not recorded, for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Sent again after a reconnection. Nothing is missing because of these.
    pub repeats: u64,
    /// Timestamps too far ahead.
    pub ahead: u64,
    /// Timestamps too far back.
    pub behind: u64,
    /// Pictures before the first key frame.
    pub before_key_frame: u64,
    /// Payloads that do not decode.
    pub undecodable: u64,
    /// Packets in a codec without a writer.
    pub unsupported: u64,
    /// Packets of parties beyond the limit.
    pub too_many_tracks: u64,
    /// Packets that the disk refused, or was too slow for.
    pub disk: u64,
    /// Events and participants beyond what the manifest holds.
    pub manifest_full: u64,
}

impl Dropped {
    /// Counts one.
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }

    /// Counts so many.
    pub fn add(&mut self, reason: DropReason, packets: u64) {
        let counter = match reason {
            DropReason::Repeat => &mut self.repeats,
            DropReason::Ahead => &mut self.ahead,
            DropReason::Behind => &mut self.behind,
            DropReason::BeforeKeyFrame => &mut self.before_key_frame,
            DropReason::Undecodable => &mut self.undecodable,
            DropReason::Unsupported => &mut self.unsupported,
            DropReason::TooManyTracks => &mut self.too_many_tracks,
            DropReason::Disk => &mut self.disk,
            DropReason::ManifestFull => &mut self.manifest_full,
        };
        *counter = counter.saturating_add(packets);
    }

    /// Whether everything was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Everything but repeats, which are no loss.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.ahead
            + self.behind
            + self.before_key_frame
            + self.undecodable
            + self.unsupported
            + self.too_many_tracks
            + self.disk
    }
}
