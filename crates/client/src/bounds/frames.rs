//! Follows the frames in a stream of bytes (RFC 6455, section 5.2) and takes out messages that are not to be kept.
//!
//! Works in place: what stays moves to the front of the chunk. A message that is skipped leaves a message of one byte,
//! or ends its fragments with one, that no JSON can end with ([`skipped`]). So the order of messages is kept, and
//! nothing has to be told past the WebSocket layer. Text frames become binary ones: JSON that is not UTF-8 then costs
//! one message (the parser refuses it), where the WebSocket layer would end the connection. Frames that break the rules
//! pass as they are, to be refused by tungstenite.

use rtms_protocol::MessageError;

use super::Bounds;
use super::room::{Held, LARGE};

/// A declared size from which a message is not waited for to stream by; the connection ends, in bytes.
const MOST_SKIPPED: u64 = 1024 * 1024 * 1024;

/// The longest header of a frame, in bytes.
const LONGEST_HEADER: usize = 14;

/// The last byte of what is left of a message that was too large; UTF-8 has no such byte.
const TOO_LARGE: u8 = 0xFF;
/// The same for one that found no room.
const NO_ROOM: u8 = 0xFE;

const FIN: u8 = 0x80;
const BINARY: u8 = 0x2;
const TEXT: u8 = 0x1;
const CONTINUATION: u8 = 0x0;

/// Whether this is what is left of a message that was skipped, and why it was.
pub(crate) fn skipped(message: &[u8]) -> Option<MessageError> {
    match *message.last()? {
        TOO_LARGE => Some(MessageError::TooLarge),
        NO_ROOM => Some(MessageError::NoRoom),
        _ => None,
    }
}

/// A header, as far as it has come.
#[derive(Debug, Clone, Copy, Default)]
struct Header {
    bytes: [u8; LONGEST_HEADER],
    len: usize,
}

impl Header {
    /// Its full length, as far as its bytes tell.
    const fn full_len(&self) -> usize {
        let [_, second, ..] = self.bytes;
        let length = match second & 0x7F {
            127 => 8,
            126 => 2,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.len < 2 { 2 } else { 2 + length + mask }
    }

    /// Takes bytes from the front of `input` until complete; returns how many.
    fn fill(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        while self.len < self.full_len()
            && let (Some(slot), Some(byte)) = (self.bytes.get_mut(self.len), input.get(taken))
        {
            *slot = *byte;
            self.len += 1;
            taken += 1;
        }
        taken
    }

    const fn is_complete(&self) -> bool {
        self.len >= 2 && self.len == self.full_len()
    }

    const fn opcode(&self) -> u8 {
        self.bytes[0] & 0x0F
    }

    const fn is_final(&self) -> bool {
        self.bytes[0] & FIN != 0
    }

    /// The length of the payload, in bytes.
    const fn payload(&self) -> u64 {
        let [_, second, a, b, c, d, e, f, g, h, ..] = self.bytes;
        match second & 0x7F {
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            126 => u16::from_be_bytes([a, b]) as u64,
            short => short as u64,
        }
    }

    /// The header of a frame that ends a message with one byte.
    const fn last_byte(opcode: u8) -> Self {
        let mut bytes = [0; LONGEST_HEADER];
        bytes[0] = FIN | opcode;
        bytes[1] = 1;
        Self { bytes, len: 2 }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What becomes of the payload that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    /// Its first byte becomes this one, the rest is dropped.
    Mark(u8),
    Drop,
}

#[derive(Debug)]
enum Stage {
    /// In the HTTP answer, which passes; its last four bytes.
    Answer([u8; 4]),
    Header(Header),
    Payload {
        left: u64,
        fate: Fate,
    },
}

/// The data message whose frames are coming in.
#[derive(Debug, Default)]
struct Message {
    /// Bytes of its frames so far, as declared.
    bytes: u64,
    skipped: bool,
    /// Whether its last frame has begun.
    ending: bool,
    held: Held,
}

/// What should be read next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Anything, for [`Frames::filter`].
    Chunk,
    /// At most so many bytes, for [`Frames::complete_header`]: a header was cut in two, and what it becomes may be
    /// longer than what is left of it.
    Header(usize),
    /// At most so many bytes, for [`Frames::dropped`]; they need no place.
    Drop(u64),
}

/// The filter of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    bounds: Bounds,
    stage: Stage,
    message: Message,
    /// What complete messages hold until they have been handed out.
    complete: Held,
    /// Headers seen since the last [`Frames::take_count`].
    count: u32,
    /// Where the HTTP answer ended in what was passed on last.
    answer_end: Option<usize>,
}

impl Frames {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            stage: Stage::Answer([0; 4]),
            message: Message::default(),
            complete: Held::default(),
            count: 0,
            answer_end: None,
        }
    }

    /// How many frames began since the last call.
    pub(super) const fn take_count(&mut self) -> u32 {
        std::mem::replace(&mut self.count, 0)
    }

    /// Where the HTTP answer ended in what [`Frames::filter`] kept last, if it did; told once.
    pub(super) const fn take_answer_end(&mut self) -> Option<usize> {
        self.answer_end.take()
    }

    /// All complete messages were handed out: their room is free.
    pub(super) fn handed_out(&mut self) {
        self.complete.release();
    }

    pub(super) const fn want(&self) -> Want {
        match &self.stage {
            Stage::Header(header) if header.len > 0 => Want::Header(header.full_len() - header.len),
            Stage::Payload { left, fate: Fate::Drop } => Want::Drop(*left),
            _ => Want::Chunk,
        }
    }

    /// So many bytes were read that [`Want::Drop`] asked for.
    pub(super) fn dropped(&mut self, bytes: usize) {
        if let Stage::Payload { left, .. } = &mut self.stage {
            *left = left.saturating_sub(bytes as u64);
        }
        self.end_payload();
    }

    /// Takes bytes that [`Want::Header`] asked for; appends to `out` what is to be passed on.
    pub(super) fn complete_header(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Stage::Header(header) = &mut self.stage else { return };
        header.fill(bytes);
        if header.is_complete() {
            let header = *header;
            if let Some(passed) = self.on_header(&header) {
                out.extend_from_slice(passed.as_slice());
            }
        }
    }

    /// Moves what is to be passed on to the front of `chunk`; returns how many bytes that are.
    pub(super) fn filter(&mut self, chunk: &mut [u8]) -> usize {
        let (mut at, mut kept) = (0, 0);
        while at < chunk.len() {
            match &mut self.stage {
                Stage::Answer(tail) => {
                    let Some(byte) = chunk.get(at).copied() else { break };
                    let [_, b, c, d] = *tail;
                    *tail = [b, c, d, byte];
                    let over = tail == b"\r\n\r\n";
                    at += 1;
                    kept += 1;
                    if over {
                        self.stage = Stage::Header(Header::default());
                        self.answer_end = Some(kept);
                    }
                }
                Stage::Header(header) => {
                    at += header.fill(chunk.get(at..).unwrap_or_default());
                    if header.is_complete() {
                        let header = *header;
                        if let Some(passed) = self.on_header(&header) {
                            // Never longer than the header itself, so it fits where that was.
                            if let Some(place) = chunk.get_mut(kept..kept + passed.len) {
                                place.copy_from_slice(passed.as_slice());
                            }
                            kept += passed.len;
                        }
                    }
                }
                Stage::Payload { left, fate } => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len() - at);
                    let (take, keep) = match *fate {
                        Fate::Keep => (here, here),
                        Fate::Drop => (here, 0),
                        Fate::Mark(mark) => {
                            if let Some(byte) = chunk.get_mut(at) {
                                *byte = mark;
                            }
                            *fate = Fate::Drop;
                            (1, 1)
                        }
                    };
                    *left -= take as u64;
                    if keep > 0 && kept < at {
                        chunk.copy_within(at..at + keep, kept);
                    }
                    at += take;
                    kept += keep;
                    self.end_payload();
                }
            }
        }
        kept
    }

    fn end_payload(&mut self) {
        if matches!(self.stage, Stage::Payload { left: 0, .. }) {
            self.stage = Stage::Header(Header::default());
            if std::mem::take(&mut self.message.ending) {
                self.complete.merge(&mut self.message.held);
            }
        }
    }

    /// Decides what becomes of a frame; returns the header that is passed on.
    fn on_header(&mut self, header: &Header) -> Option<Header> {
        self.count = self.count.saturating_add(1);
        let (passed, fate) = self.judge(header);
        self.stage = Stage::Payload { left: header.payload(), fate };
        self.end_payload();
        passed
    }

    fn judge(&mut self, header: &Header) -> (Option<Header>, Fate) {
        let opcode = header.opcode();
        let as_it_is = (Some(*header), Fate::Keep);
        match opcode {
            TEXT | BINARY => self.message = Message::default(),
            CONTINUATION => {}
            _ => return as_it_is,
        }
        self.message.bytes = self.message.bytes.saturating_add(header.payload());
        self.message.ending = header.is_final();
        if self.message.bytes > MOST_SKIPPED {
            return as_it_is;
        }
        if self.message.skipped {
            return (None, Fate::Drop);
        }
        let opcode = if opcode == TEXT { BINARY } else { opcode };
        if let Some(mark) = self.mark() {
            self.message.skipped = true;
            self.message.held.release();
            return (Some(Header::last_byte(opcode)), Fate::Mark(mark));
        }
        let mut passed = *header;
        passed.bytes[0] = (passed.bytes[0] & 0xF0) | opcode;
        (Some(passed), Fate::Keep)
    }

    /// The mark for a message that is not to be kept. It has grown just now, so the frame has a byte to be marked.
    fn mark(&mut self) -> Option<u8> {
        let bytes = self.message.bytes;
        if bytes > self.bounds.max_message_bytes as u64 {
            Some(TOO_LARGE)
        } else if bytes > LARGE && !self.message.held.grow_to(&self.bounds.room, bytes) {
            Some(NO_ROOM)
        } else {
            None
        }
    }
}
