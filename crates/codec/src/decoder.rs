//! Payloads of one track to 16-bit samples.

use crate::error::CodecError;
use crate::format::{Codec, Format};
use crate::{g711, g722, opus};

/// Decodes the payloads of one track, in their order.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    state: State,
}

#[derive(Debug)]
enum State {
    L16,
    G711,
    G722(Box<g722::Decoder>),
    Opus(Box<opus::Decoder>),
}

impl Decoder {
    /// A decoder that has heard nothing yet.
    ///
    /// # Errors
    /// The codec does not take the format.
    pub fn new(format: Format) -> Result<Self, CodecError> {
        let state = match format.codec() {
            Codec::L16 => State::L16,
            Codec::G711 => State::G711,
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus => State::Opus(Box::new(opus::Decoder::new(format.channels())?)),
        };
        Ok(Self { format, state })
    }

    /// What it decodes. Rate and channels are also those of the samples.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Replaces `samples` by those of `payload`, channels interleaved. Returns the number of frames (one sample for
    /// each channel).
    ///
    /// # Errors
    /// It does not decode; `samples` is empty then, and the next payload may decode.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<usize, CodecError> {
        samples.clear();
        if payload.is_empty() {
            return Err(CodecError::Empty);
        }
        match &mut self.state {
            State::L16 => linear(payload, self.format.channels(), samples)?,
            State::G711 => g711::decode(payload, samples),
            State::G722(decoder) => decoder.decode(payload, samples),
            State::Opus(decoder) => decoder.decode(payload, samples)?,
        }
        Ok(samples.len() / usize::from(self.format.channels()))
    }

    /// Replaces `samples` by `frames` in place of payloads that never came: for Opus what the sound before suggests,
    /// at most 120 ms, else silence.
    pub fn conceal(&mut self, frames: usize, samples: &mut Vec<i16>) {
        samples.clear();
        if let State::Opus(decoder) = &mut self.state
            && decoder.conceal(frames, samples).is_ok()
        {
            return;
        }
        samples.clear();
        samples.resize(frames.min(crate::MOST_FRAMES) * usize::from(self.format.channels()), 0);
    }
}

fn linear(payload: &[u8], channels: u16, samples: &mut Vec<i16>) -> Result<(), CodecError> {
    if !payload.len().is_multiple_of(2 * usize::from(channels)) {
        return Err(CodecError::Torn { bytes: payload.len(), unit: "16-bit samples for each channel" });
    }
    samples.extend(payload.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
    Ok(())
}
