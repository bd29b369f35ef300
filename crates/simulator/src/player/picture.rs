//! Pictures on one socket, of a camera or of a screen: a cursor over the track that is to be seen.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rtms_protocol::{ShareParams, VideoCodec, VideoData, VideoParams};

use crate::played::SentPicture;
use crate::scenario::{PictureTrack, Program, Whose};
use crate::stream::{Stream, in_spans};

pub(super) struct PictureCursor {
    codec: VideoCodec,
    fps: u8,
    /// `None` until a participant is chosen (message 28), where that is needed.
    whose: Option<Whose>,
    /// Only the participant that was chosen is sent.
    chosen_only: bool,
    track: Arc<PictureTrack>,
    next: usize,
    /// A picture that needs the ones before it is not sent first.
    needs_key: bool,
    sent: Vec<SentPicture>,
}

impl PictureCursor {
    /// A camera's pictures.
    pub(super) fn video(program: &Program, params: VideoParams, choice: Option<usize>, now_ms: i64) -> Self {
        let chosen_only = params.data_opt == VideoData::OneParticipant;
        let whose = if chosen_only { choice.map(Whose::Party) } else { Some(Whose::ActiveSpeaker) };
        Self::begin(program, (params.codec, params.fps), whose, chosen_only, now_ms)
    }

    /// The shared screen's.
    pub(super) fn share(program: &Program, params: ShareParams, now_ms: i64) -> Self {
        Self::begin(program, (params.codec, params.fps), Some(Whose::Screen), false, now_ms)
    }

    fn begin(
        program: &Program,
        (codec, fps): (VideoCodec, u8),
        whose: Option<Whose>,
        chosen_only: bool,
        now_ms: i64,
    ) -> Self {
        let mut cursor = Self {
            codec,
            fps,
            whose: None,
            chosen_only,
            track: Arc::default(),
            next: 0,
            needs_key: true,
            sent: Vec::new(),
        };
        cursor.see(program, whose, now_ms);
        cursor
    }

    /// Goes over to another participant, where they are chosen.
    pub(super) fn choose(&mut self, program: &Program, choice: Option<usize>, now_ms: i64) {
        if self.chosen_only {
            self.see(program, choice.map(Whose::Party), now_ms);
        }
    }

    fn see(&mut self, program: &Program, whose: Option<Whose>, now_ms: i64) {
        if self.whose == whose {
            return;
        }
        self.whose = whose;
        self.track = whose.map(|whose| program.track(whose, self.codec, self.fps)).unwrap_or_default();
        self.next = self.track.from(now_ms);
        self.needs_key = true;
    }

    /// When the next picture is due.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.track.frames.get(self.next).map(|frame| frame.at_ms)
    }

    /// The next picture, if it can be decoded with what was sent before.
    pub(super) fn take(
        &mut self,
        stream: &Stream,
        pauses: &[Range<i64>],
        buffer: &mut BytesMut,
    ) -> Option<Bytes> {
        let frame = self.track.frames.get(self.next)?;
        self.next += 1;
        if self.needs_key && !frame.key || in_spans(pauses, frame.at_ms) {
            self.needs_key = true;
            return None;
        }
        self.needs_key = false;
        self.sent.push(SentPicture { at_ms: frame.at_ms, source: frame.source });
        Some(frame.message.stamp(stream.clock.timestamp(frame.at_ms), buffer))
    }

    /// What was sent so far.
    pub(super) fn sent(&self) -> &[SentPicture] {
        &self.sent
    }
}
