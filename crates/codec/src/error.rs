//! Why a payload, or a format, was refused.

/// What is wrong. Messages hold sizes and reasons, never content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Nothing to decode.
    #[error("the payload is empty")]
    Empty,
    /// A payload that ends within a sample, or samples that fill no whole packet.
    #[error("{bytes} bytes are no whole number of {unit}")]
    Torn {
        /// Its size, bytes.
        bytes: usize,
        /// What it should be made of.
        unit: &'static str,
    },
    /// Not an Opus packet, or one that is damaged.
    #[error("not an Opus packet: {0}")]
    Opus(&'static str),
    /// A rate or a number of channels that the codec does not have.
    #[error("{codec} has no {rate} Hz with {channels} channels")]
    Format {
        /// The codec's name.
        codec: &'static str,
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
}
