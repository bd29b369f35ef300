//! The audio codecs of Zoom RTMS, in both directions: payloads to 16-bit samples, and samples to payloads.
//!
//! [`Decoder`] and [`Encoder`] keep the state of one track. L16 carries its samples as they are, little-endian. G.711
//! A-law holds one sample a byte at 8 kHz. G.722 holds two samples a byte at 16 kHz. Opus always decodes to 48 kHz.
//! [`packet`] reads what an Opus packet says of itself without decoding it.
//!
//! Pure Rust: no byte from the network reaches C. No I/O, no clock. Whatever the bytes, nothing panics, and one call
//! produces at most [`MOST_FRAMES`] frames, or as many as an uncompressed payload holds. A payload that does not
//! decode is refused and costs no more than itself.

mod decoder;
mod encoder;
mod error;
mod format;
mod g711;
mod g722;
mod opus;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::CodecError;
pub use format::{Codec, Format};
pub use opus::packet;

/// Most frames (one sample for each channel) that one Opus packet holds: 120 ms at 48 kHz.
pub const MOST_FRAMES: usize = 5_760;
