//! Sound on one socket: a cursor in time, and for each track the loop in use.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rtms_protocol::{AudioData, AudioParams};

use super::rtp::{Headers, is_doubled, is_late, is_lost};
use crate::played::AudioSpan;
use crate::render::{AudioLoop, Source};
use crate::stream::{Stream, heard_source, in_spans};

pub(super) struct AudioCursor {
    params: AudioParams,
    step_ms: i64,
    first_ms: i64,
    next_ms: i64,
    tracks: Vec<Track>,
    packets: u64,
}

/// `None` is the mix. The loop in use is kept at hand: it changes only when somebody is put on hold or comes back.
struct Track {
    party: Option<usize>,
    current: Option<(Source, Arc<AudioLoop>)>,
    headers: Option<Headers>,
    /// A packet that arrives after the next one.
    late: Option<Bytes>,
}

impl AudioCursor {
    /// Begins at what is not sent yet, or at what a fault says to repeat, as far back as Zoom buffers.
    pub(super) fn begin(stream: &Stream, params: AudioParams, pauses: &[Range<i64>], now_ms: i64) -> Self {
        let step_ms = i64::from(params.send_rate_ms.max(20));
        let first_ms = {
            let inner = stream.inner();
            let oldest = (now_ms - stream.timing.buffer_ms).max(0);
            let repeated = i64::from(stream.faults.repeat_packets) * step_ms;
            let first = match inner.audio_until {
                Some(until) => (until - repeated).max(oldest),
                None if inner.buffer_data => oldest,
                None => now_ms + step_ms - 1,
            };
            first / step_ms * step_ms
        };
        let parties = match params.data_opt {
            AudioData::Separate => (0..stream.program.scenario.parties.len()).map(Some).collect(),
            _ => vec![None],
        };
        let track = |party: Option<usize>| {
            let sent_at =
                |&at: &i64| !in_spans(pauses, at) && heard_source(&stream.program, party, at).is_some();
            let before = || (0..first_ms / step_ms).map(|n| n * step_ms).filter(sent_at).count() as u64;
            let packets = if params.content_type == rtms_protocol::AudioContent::Rtp { before() } else { 0 };
            let headers = Headers::of(&params, &stream.identity.stream_id, party, packets);
            Track { party, current: None, headers, late: None }
        };
        let tracks = parties.into_iter().map(track).collect();
        Self { params, step_ms, first_ms, next_ms: first_ms, tracks, packets: 0 }
    }

    /// When the next packet is due; one that would reach past the end is not sent.
    pub(super) fn next_ms(&self, end_ms: i64) -> Option<i64> {
        (self.next_ms + self.step_ms <= end_ms).then_some(self.next_ms)
    }

    /// The next packet of each track.
    pub(super) fn take(
        &mut self,
        stream: &Stream,
        pauses: &[Range<i64>],
        end_ms: i64,
        buffer: &mut BytesMut,
        out: &mut Vec<Bytes>,
    ) {
        let offset = self.next_ms;
        self.next_ms += self.step_ms;
        let may_wait = self.next_ms(end_ms).is_some();
        let paused = in_spans(pauses, offset);
        let before = out.len();
        for track in &mut self.tracks {
            let late = track.late.take();
            let source = heard_source(&stream.program, track.party, offset).filter(|_| !paused);
            if let Some(source) = source {
                let step = Step { params: &self.params, offset, step_ms: self.step_ms, may_wait };
                track.send(stream, source, &step, buffer, out);
            }
            out.extend(late);
        }
        self.packets += (out.len() - before) as u64;
    }

    /// The span that was sent, and of how many packets; `None` where nothing was.
    pub(super) fn sent(&self) -> Option<(AudioSpan, u64)> {
        // What waits for the next packet was not sent.
        let waits = self.tracks.iter().any(|track| track.late.is_some());
        let until = if waits { self.next_ms - self.step_ms } else { self.next_ms };
        let span = AudioSpan { params: self.params, offsets: self.first_ms..until };
        (until > self.first_ms).then_some((span, self.packets))
    }
}

/// One moment at which every track has a packet.
struct Step<'a> {
    params: &'a AudioParams,
    offset: i64,
    step_ms: i64,
    /// Another moment follows, so a packet can arrive after it.
    may_wait: bool,
}

impl Track {
    fn send(
        &mut self,
        stream: &Stream,
        source: Source,
        step: &Step<'_>,
        buffer: &mut BytesMut,
        out: &mut Vec<Bytes>,
    ) {
        if self.current.as_ref().is_none_or(|(current, _)| *current != source) {
            let sound = stream.program.audio(&source, step.params);
            self.current = Some((source, sound));
        }
        let Some((_, sound)) = &self.current else { return };
        let number = u64::try_from(step.offset / step.step_ms).unwrap_or(0);
        let (template, timestamp) = (sound.packet(number), stream.clock.timestamp(step.offset));
        let Some(headers) = &mut self.headers else {
            out.push(template.stamp(timestamp, buffer));
            return;
        };
        let header = headers.next(step.offset, step.step_ms);
        let faults = &stream.faults.rtp;
        if is_lost(faults, step.params, number) {
            return;
        }
        let message = template.stamp_rtp(timestamp, header, buffer);
        if is_late(faults, step.params, number) && step.may_wait {
            self.late = Some(message);
            return;
        }
        if is_doubled(faults, step.params, number) {
            out.push(message.clone());
        }
        out.push(message);
    }
}
