//! The content that scenarios play: voices with captions, a chat, and what cameras and a shared screen show.
//!
//! What is built in is part of the binary (see `assets/README.md`) and parsed once; [`files`] makes content of files of
//! the user's own. Nothing here knows about packets or wires.

mod built_in;
mod captions;
mod clip;
pub mod files;
mod footage;
mod language;
mod mp4;
mod wav;

use std::sync::{Arc, OnceLock};

use crate::pcm;

pub use captions::{Caption, CaptionError};
pub use clip::{Clip, ClipError, Picture};
pub use footage::Footage;
pub use mp4::Mp4Error;
pub use wav::WavError;

/// The voice of the built-in content that is the customer's.
pub const LEFT: usize = 0;
/// The voice of the built-in content that is the agent's.
pub const RIGHT: usize = 1;

/// Sound at its own rate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sound {
    /// Samples a second and channel.
    pub hz: u32,
    /// 1 or 2, interleaved.
    pub channels: u16,
    /// 16-bit samples.
    pub samples: Vec<i16>,
}

impl Sound {
    /// The same at another rate and with so many channels.
    #[must_use]
    pub fn to(&self, hz: u32, channels: u16) -> Vec<i16> {
        match (self.channels, channels) {
            (1, 2) => pcm::spread(&pcm::resample(&self.samples, 1, self.hz, hz), 2),
            (2, 1) => pcm::resample(&pcm::fold(&self.samples), 1, self.hz, hz),
            _ => pcm::resample(&self.samples, self.channels, self.hz, hz),
        }
    }

    /// Its length in ms, a part of one counted as whole.
    #[must_use]
    pub fn length_ms(&self) -> i64 {
        let second = u64::from(self.hz.max(1)) * u64::from(self.channels.max(1));
        i64::try_from((self.samples.len() as u64 * 1000).div_ceil(second)).unwrap_or(i64::MAX)
    }
}

/// What there is to be heard, read and seen.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Voices on one clock; each party of a scenario has one of them, or none.
    pub voices: Vec<Sound>,
    /// Who says what and when, in order of their starts.
    pub captions: Vec<Caption>,
    /// Chat messages: begin is when each is sent, the identifier names the message. The same identifier again changes
    /// it, and without a text deletes it.
    pub chat: Vec<Caption>,
    /// What cameras show.
    pub cameras: Vec<Footage>,
    /// What a shared screen shows.
    pub screen: Footage,
}

impl Content {
    /// The content in the binary, parsed at the first call.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: OnceLock<Arc<Content>> = OnceLock::new();
        Arc::clone(BUILT_IN.get_or_init(|| Arc::new(built_in::parse())))
    }

    /// Length in ms of the longest voice, text or moving picture. After it everything begins anew.
    #[must_use]
    pub fn length_ms(&self) -> i64 {
        let voices = self.voices.iter().map(Sound::length_ms);
        let words = self.captions.iter().chain(&self.chat).map(|caption| caption.end_ms);
        let footage = self.cameras.iter().chain([&self.screen]);
        let pictures = footage.filter_map(|footage| footage.h264.as_ref()).map(|clip| clip.length_ms);
        voices.chain(words).chain(pictures).max().unwrap_or(0)
    }
}
