//! Decides which media messages are due on one socket: a cursor a kind of media over the shared program.
//!
//! Sound, transcript and chat are taken up where the last socket stopped (the buffer, and what a fault says to repeat);
//! pictures begin at the next key picture and are not kept for anybody.

mod audio;
mod lines;
mod picture;
mod rtp;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rtms_protocol::{Language, MediaKind, MediaParams, MediaSet};

use crate::render;
use crate::stream::{Inner, Stage, Stream};
use audio::AudioCursor;
use lines::Lines;
use picture::PictureCursor;
pub(crate) use rtp::is_lost;

/// What a media socket was granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    pub(crate) kinds: MediaSet,
    pub(crate) params: MediaParams,
}

/// One socket's share of a stream.
pub(crate) struct Player {
    stream: Arc<Stream>,
    audio: Option<AudioCursor>,
    cues: Option<Lines>,
    /// The language that the client fixed for all lines.
    language: Option<Language>,
    chat: Option<Lines>,
    video: Option<PictureCursor>,
    share: Option<PictureCursor>,
    pauses: Arc<[Range<i64>]>,
    end_ms: i64,
    /// After this packets are on time or late; what is older was buffered.
    pub(crate) live_ms: i64,
    buffer: BytesMut,
    /// When the socket was reset.
    reset_ms: Option<i64>,
}

/// What is due next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Audio,
    Cue,
    Chat,
    Video,
    Share,
}

impl Player {
    /// Begins to play at this offset.
    pub(crate) fn begin(stream: Arc<Stream>, grant: &Grant, now_ms: i64) -> Self {
        let Stage { pauses, end_ms, video_choice, .. } = stream.stage.borrow().clone();
        let granted = |kind| grant.kinds.contains(kind);
        let audio = granted(MediaKind::Audio)
            .then(|| AudioCursor::begin(&stream, grant.params.audio.unwrap_or_default(), &pauses, now_ms));
        let (cues, chat) = {
            let (inner, program) = (stream.inner(), &stream.program);
            let late = program.cues.partition_point(|cue| cue.due_ms < now_ms);
            let cues = granted(MediaKind::Transcript).then(|| taken_up(&inner, inner.next_cue, late));
            let late = program.chat.partition_point(|line| line.at_ms < now_ms);
            (cues, granted(MediaKind::Chat).then(|| taken_up(&inner, inner.next_chat, late)))
        };
        let transcript = grant.params.transcript.unwrap_or_default();
        let language = transcript.language.filter(|l| !transcript.enable_lid && *l != Language::None);
        let video = granted(MediaKind::Video).then(|| {
            PictureCursor::video(
                &stream.program,
                grant.params.video.unwrap_or_default(),
                video_choice,
                now_ms,
            )
        });
        let share = granted(MediaKind::Share)
            .then(|| PictureCursor::share(&stream.program, grant.params.share.unwrap_or_default(), now_ms));
        Self {
            stream,
            audio,
            cues,
            language,
            chat,
            video,
            share,
            pauses,
            end_ms,
            live_ms: now_ms,
            buffer: BytesMut::new(),
            reset_ms: None,
        }
    }

    /// Takes note of a pause, of an earlier end, or of another choice of video.
    pub(crate) fn update(&mut self, stage: &Stage) {
        self.pauses = Arc::clone(&stage.pauses);
        self.end_ms = stage.end_ms;
        if let Some(video) = &mut self.video {
            video.choose(&self.stream.program, stage.video_choice, self.stream.clock.offset());
        }
    }

    /// When the next message is due; `None` once there is nothing more before the end.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.next().map(|(due, _)| due)
    }

    fn next(&self) -> Option<(i64, Next)> {
        let program = &self.stream.program;
        let cue = self.cues.as_ref().and_then(|lines| program.cues.get(lines.next())).map(|cue| cue.due_ms);
        let chat = self.chat.as_ref().and_then(|lines| program.chat.get(lines.next())).map(|line| line.at_ms);
        let of = |cursor: &Option<PictureCursor>| {
            cursor.as_ref().and_then(PictureCursor::next_ms).filter(|&at_ms| at_ms < self.end_ms)
        };
        [
            (self.audio.as_ref().and_then(|audio| audio.next_ms(self.end_ms)), Next::Audio),
            (cue.filter(|&due| due <= self.end_ms), Next::Cue),
            (chat.filter(|&due| due <= self.end_ms), Next::Chat),
            (of(&self.video), Next::Video),
            (of(&self.share), Next::Share),
        ]
        .into_iter()
        .filter_map(|(due, next)| Some((due?, next)))
        .min()
    }

    /// The messages of the next moment that is due by `now_ms`, added to `out`; `None` when nothing is due yet.
    pub(crate) fn take_due(&mut self, now_ms: i64, out: &mut Vec<Bytes>) -> Option<i64> {
        let (due, next) = self.next().filter(|(due, _)| *due <= now_ms)?;
        let Self { stream, pauses, buffer, .. } = self;
        match next {
            Next::Audio => {
                if let Some(audio) = &mut self.audio {
                    audio.take(stream, pauses, self.end_ms, buffer, out);
                }
            }
            Next::Cue => {
                let cue = self.cues.as_mut().and_then(|lines| stream.program.cues.get(lines.send(now_ms)));
                out.extend(cue.map(|cue| render::transcript(stream, cue, self.language)));
            }
            Next::Chat => {
                let line = self.chat.as_mut().and_then(|lines| stream.program.chat.get(lines.send(now_ms)));
                out.extend(line.map(|line| render::chat(stream, line)));
            }
            Next::Video => out.extend(self.video.as_mut().and_then(|v| v.take(stream, pauses, buffer))),
            Next::Share => out.extend(self.share.as_mut().and_then(|s| s.take(stream, pauses, buffer))),
        }
        Some(due)
    }

    /// Notes that the socket is reset now: what is on its way does not arrive.
    pub(crate) fn reset(&mut self) {
        self.reset_ms = Some(self.stream.clock.offset());
    }
}

/// Lines go on where the last socket stopped; the first socket begins with all that was said, or `late`.
fn taken_up(inner: &Inner, next: Option<usize>, late: usize) -> Lines {
    Lines::begin(next.unwrap_or(if inner.buffer_data { 0 } else { late }))
}

impl Drop for Player {
    /// Leaves the cursors and the log with the stream, whatever ended the socket.
    fn drop(&mut self) {
        let mut inner = self.stream.inner();
        if let Some((span, packets)) = self.audio.as_ref().and_then(AudioCursor::sent) {
            inner.audio_until = Some(inner.audio_until.unwrap_or(0).max(span.offsets.end));
            inner.log.audio_packets += packets;
            inner.log.audio.push(span);
        }
        if let Some(cues) = &self.cues {
            inner.next_cue = Some(inner.next_cue.unwrap_or(0).max(cues.next()));
            inner.log.cues.extend(cues.sent(self.reset_ms));
            inner.log.language = self.language;
        }
        if let Some(chat) = &self.chat {
            inner.next_chat = Some(inner.next_chat.unwrap_or(0).max(chat.next()));
            inner.log.chat.extend(chat.sent(self.reset_ms));
        }
        if let Some(video) = &self.video {
            inner.log.video.extend_from_slice(video.sent());
        }
        if let Some(share) = &self.share {
            inner.log.share.extend_from_slice(share.sent());
        }
    }
}
