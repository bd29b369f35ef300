//! 16-bit samples of one track to payloads.

use crate::error::CodecError;
use crate::format::{Codec, Format};
use crate::{g711, g722, opus};

/// Encodes the samples of one track, in their order.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    state: State,
}

#[derive(Debug)]
enum State {
    L16,
    G711,
    G722(Box<g722::Encoder>),
    Opus(Box<opus::Encoder>),
}

impl Encoder {
    /// An encoder that has heard nothing yet. `bits_per_second` is for Opus; the others have none to choose.
    ///
    /// # Errors
    /// The codec does not take the format.
    pub fn new(format: Format, bits_per_second: u32) -> Result<Self, CodecError> {
        let state = match format.codec() {
            Codec::L16 => State::L16,
            Codec::G711 => State::G711,
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus => {
                State::Opus(Box::new(opus::Encoder::new(format.rate(), format.channels(), bits_per_second)?))
            }
        };
        Ok(Self { format, state })
    }

    /// An Opus encoder for samples of another rate than 48 kHz: 8, 12, 16 or 24 kHz. Its packets are like any other's;
    /// it spends nothing on what the samples cannot hold.
    ///
    /// # Errors
    /// Opus does not take the rate, or the number of channels.
    pub fn opus(rate: u32, channels: u16, bits_per_second: u32) -> Result<Self, CodecError> {
        let format = Format::new(Codec::Opus, 48_000, channels)?;
        Ok(Self {
            format,
            state: State::Opus(Box::new(opus::Encoder::new(rate, channels, bits_per_second)?)),
        })
    }

    /// What it encodes.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Frames that one payload takes: 20 ms.
    #[must_use]
    pub const fn packet_frames(&self) -> usize {
        match &self.state {
            State::Opus(encoder) => encoder.packet_frames(),
            _ => self.format.rate() as usize / 50,
        }
    }

    /// By how many frames of 48 kHz a decoder's output comes later than what went in: the pre-skip of an Opus file. For the
    /// others nobody skips it.
    #[must_use]
    pub fn delay(&self) -> usize {
        match &self.state {
            State::Opus(encoder) => encoder.delay(),
            _ => 0,
        }
    }

    /// Replaces `payload` by that of `samples`, channels interleaved: for Opus exactly [`Self::packet_frames`], for
    /// G.722 an even number, for the others any.
    ///
    /// # Errors
    /// Another number of samples; nothing was taken.
    pub fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), CodecError> {
        payload.clear();
        let unit = match self.format.codec() {
            Codec::G722 => 2,
            _ => usize::from(self.format.channels()),
        };
        if samples.is_empty() {
            return Err(CodecError::Empty);
        }
        if !samples.len().is_multiple_of(unit) {
            return Err(CodecError::Torn { bytes: samples.len() * 2, unit: "frames, or of pairs for G.722" });
        }
        match &mut self.state {
            State::L16 => payload.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            State::G711 => g711::encode(samples, payload),
            State::G722(encoder) => encoder.encode(samples, payload),
            State::Opus(encoder) => encoder.encode(samples, payload)?,
        }
        Ok(())
    }
}
