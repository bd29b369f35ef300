//! What can go wrong while recording, for one packet or for one file.
//!
//! An error never ends a recording: it costs the packet it is about. Messages hold paths and reasons, never content.

use std::io;
use std::path::{Path, PathBuf};

use rtms_codec::CodecError;
use rtms_protocol::{MediaKind, PacketError, RtpError};

/// Why a packet was not recorded, or a file not written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk refused. Later calls may succeed; audio then goes on after silence.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `write`, `read`, `replace`, ….
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The packet's payload does not decode.
    #[error("packet refused: {0}")]
    Packet(#[from] PacketError),
    /// The payload is not what the granted codec makes.
    #[error("sound refused: {0}")]
    Sound(#[from] CodecError),
    /// The payload is no RTP packet, where RTP was granted.
    #[error("sound refused: {0}")]
    Rtp(#[from] RtpError),
    /// No writer exists for this codec yet. Ask Zoom for one of the supported ones.
    #[error("{} in {codec} cannot be recorded; {supported} can", kind.word())]
    UnsupportedCodec {
        /// Which medium.
        kind: MediaKind,
        /// The codec, by its name.
        codec: &'static str,
        /// What could be asked for instead.
        supported: &'static str,
    },
    /// A message of video or share without a picture that can be stored.
    #[error("picture refused: {0}")]
    Picture(&'static str),
    /// More parties than one recording holds.
    #[error("{limit} audio tracks are open already; this party's audio is dropped")]
    TooManyTracks {
        /// Most tracks that one recording may have.
        limit: usize,
    },
    /// A file that was to be read or continued is not one of ours.
    #[error("{} is not a recording of ours: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl RecordError {
    /// Wraps what the system said of `path`. To be used as `map_err(RecordError::io("write", path))`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    /// Whether the disk is to blame, not the packet: the service is degraded until a later call succeeds.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}
