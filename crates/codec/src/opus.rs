//! Opus: what a packet says of itself, and its decoder and encoder.
//!
//! The work is `opus-pure`'s, which is held against the reference implementation. Should it panic all the same, that
//! costs the packet and the decoder's memory of the ones before, not the thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opus_pure::{Application, MAX_PACKET_BYTES, OpusDecoder, OpusEncoder, RateControl};

use crate::MOST_FRAMES;
use crate::error::CodecError;

/// Opus at the rate to which it always decodes.
const RATE: i32 = 48_000;
/// How hard the encoder tries, 0 to 10. Beyond 5 speech gains little and costs twice as much.
const COMPLEXITY: i32 = 5;

pub mod packet {
    //! An Opus packet from outside (RFC 6716, section 3): how long it is, and packets of silence.

    use crate::MOST_FRAMES;
    use crate::error::CodecError;

    /// Frames of 48 kHz that the packet holds, 120 to 5760 (2.5 to 120 ms). It is checked to be well-formed, not
    /// decoded.
    ///
    /// # Errors
    /// It is none.
    pub fn frames(packet: &[u8]) -> Result<u32, CodecError> {
        let frames = opus_pure::packet::samples_48k(packet).map_err(|_| CodecError::Opus("its length"))?;
        match u32::try_from(frames) {
            Ok(frames) if (1..=MOST_FRAMES).contains(&(frames as usize)) => Ok(frames),
            _ => Err(CodecError::Opus("its length")),
        }
    }

    /// Lengths of the packets of silence, frames of 48 kHz, longest first: 20, 10, 5 and 2.5 ms.
    pub const SILENCES: [u32; 4] = [960, 480, 240, 120];

    /// A packet of silence of `frames`, one of [`SILENCES`]; the longest that is not longer for others. CELT with the
    /// silence flag set, three bytes. `channels` is 1 or 2.
    #[must_use]
    pub fn silence(frames: u32, channels: u16) -> [u8; 3] {
        let size = match frames {
            960.. => 3,
            480.. => 2,
            240.. => 1,
            _ => 0,
        };
        let stereo = u8::from(channels == 2) << 2;
        // Configurations 28 to 31: CELT, full band.
        [(28 + size) << 3 | stereo, 0xff, 0xfe]
    }
}

/// Packets to samples.
pub(crate) struct Decoder {
    inner: OpusDecoder,
    channels: u16,
}

impl Decoder {
    pub(crate) fn new(channels: u16) -> Result<Self, CodecError> {
        let inner = OpusDecoder::new(RATE, usize::from(channels)).map_err(|_| wrong_format(channels))?;
        Ok(Self { inner, channels })
    }

    pub(crate) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), CodecError> {
        let frames = packet::frames(payload)? as usize;
        self.run(payload, frames, out)
    }

    /// Something in place of a packet of `frames` that never came, out of the ones before.
    pub(crate) fn conceal(&mut self, frames: usize, out: &mut Vec<i16>) -> Result<(), CodecError> {
        self.run(&[], frames.min(MOST_FRAMES), out)
    }

    fn run(&mut self, payload: &[u8], frames: usize, out: &mut Vec<i16>) -> Result<(), CodecError> {
        let channels = usize::from(self.channels);
        out.resize(frames * channels, 0);
        let decoder = &mut self.inner;
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode_s16(payload, frames, out)));
        match decoded {
            Ok(Ok(got)) => {
                out.truncate(got * channels);
                Ok(())
            }
            Ok(Err(_)) => {
                out.clear();
                Err(CodecError::Opus("damaged"))
            }
            Err(_) => {
                out.clear();
                *self = Self::new(self.channels)?;
                Err(CodecError::Opus("the decoder failed"))
            }
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Decoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

/// Samples to packets of 20 ms.
pub(crate) struct Encoder {
    inner: OpusEncoder,
    /// Samples a second that go in.
    rate: u32,
    channels: u16,
}

impl Encoder {
    pub(crate) fn new(rate: u32, channels: u16, bits_per_second: u32) -> Result<Self, CodecError> {
        let wrong = CodecError::Format { codec: "OPUS", rate, channels };
        let hertz = i32::try_from(rate).map_err(|_| wrong)?;
        let mut inner =
            OpusEncoder::new(hertz, usize::from(channels), Application::Voip).map_err(|_| wrong)?;
        inner.bitrate_bps = i32::try_from(bits_per_second.clamp(6_000, 510_000)).unwrap_or(64_000);
        inner.complexity = COMPLEXITY;
        inner.rate_control = RateControl::Vbr;
        Ok(Self { inner, rate, channels })
    }

    /// Frames that go into a packet.
    pub(crate) const fn packet_frames(&self) -> usize {
        self.rate as usize / 50
    }

    /// Frames of 48 kHz.
    pub(crate) fn delay(&self) -> usize {
        self.inner.lookahead() * RATE as usize / self.rate as usize
    }

    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let frames = samples.len() / usize::from(self.channels);
        if frames != self.packet_frames() || !samples.len().is_multiple_of(usize::from(self.channels)) {
            return Err(CodecError::Torn { bytes: samples.len() * 2, unit: "packets of 20 ms" });
        }
        out.resize(MAX_PACKET_BYTES, 0);
        let encoder = &mut self.inner;
        let encoded = catch_unwind(AssertUnwindSafe(|| encoder.encode_s16(samples, frames, out)));
        let Ok(Ok(size)) = encoded else {
            out.clear();
            return Err(CodecError::Opus("the encoder refused"));
        };
        out.truncate(size);
        Ok(())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Encoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

fn wrong_format(channels: u16) -> CodecError {
    CodecError::Format { codec: "OPUS", rate: 48_000, channels }
}
