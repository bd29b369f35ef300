//! A stream that gives the WebSocket layer only what the bounds let through, and everything that came before an end.
//!
//! A peer that resets the connection leaves what it sent before in our hands, but the next write fails, and the WebSocket
//! layer reads nothing from a stream that it could not write to. So a failed write is kept from it: what it wants to
//! send goes nowhere, and reading goes on to its own end, which a dead connection has.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Bounds;
use super::frames::{Frames, Want};
use super::rate::Bucket;

/// Bytes of a skipped message that are read at once.
const SCRATCH: usize = 8 * 1024;

/// A stream with its bounds.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    inner: S,
    frames: Frames,
    bucket: Bucket,
    /// What did not fit into the last buffer, part of one header, or did not belong there: what came with the HTTP answer.
    rest: Vec<u8>,
    waiting: Option<Pin<Box<Sleep>>>,
    throttled: bool,
    /// The peer takes nothing any more.
    deaf: bool,
    /// Whether the HTTP answer was read to its end, and whether more was asked for.
    answered: bool,
    beyond: bool,
}

impl<S> Bounded<S> {
    /// Bounds `inner`, which has yet to bring the HTTP answer.
    pub(crate) fn new(inner: S, bounds: Bounds) -> Self {
        let bucket = Bucket::new(bounds.rate, Instant::now());
        Self {
            inner,
            frames: Frames::new(bounds),
            bucket,
            rest: Vec::new(),
            waiting: None,
            throttled: false,
            deaf: false,
            answered: false,
            beyond: false,
        }
    }

    /// Whether the HTTP answer was read, and nothing else: whoever sees its end elsewhere than this would read frames that
    /// are not bounded, or lose some.
    pub(crate) const fn is_at_first_frame(&self) -> bool {
        self.answered && !self.beyond
    }

    /// What it bounds.
    pub(crate) const fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Whether the peer ever had to wait because it sent too many frames.
    pub(crate) const fn was_throttled(&self) -> bool {
        self.throttled
    }

    /// Waits until the peer may send more. The clock is read only where frames came.
    fn poll_rate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let count = self.frames.take_count();
        if count > 0 {
            let now = Instant::now();
            self.bucket.take(now, count);
            if let Some(paid) = self.bucket.debt(now) {
                self.throttled = true;
                self.waiting = Some(Box::pin(sleep_until(paid)));
            }
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        Poll::Ready(())
    }

    fn emit(&mut self, buf: &mut ReadBuf<'_>) {
        let part = self.rest.len().min(buf.remaining());
        buf.put_slice(self.rest.get(..part).unwrap_or_default());
        self.rest.drain(..part);
    }
}

impl<S: AsyncRead + Unpin> Bounded<S> {
    /// Reads at most `scratch` bytes that do not go to the caller's buffer; `None` at the end of the stream.
    fn poll_aside(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let mut aside = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut aside))?;
        let read = aside.filled().len();
        Poll::Ready(Ok((read > 0).then_some(read)))
    }

    /// Reads into `buf`, and keeps of it what is to be passed on; false at the end of the stream. The HTTP answer ends a
    /// read, so that whoever reads it holds nothing else.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let chunk = buf.filled_mut().get_mut(before..).unwrap_or_default();
        let came = !chunk.is_empty();
        let mut kept = self.frames.filter(chunk);
        if let Some(end) = self.frames.take_answer_end() {
            self.answered = true;
            self.rest.extend_from_slice(chunk.get(end..kept).unwrap_or_default());
            kept = end;
        }
        buf.set_filled(before + kept);
        Poll::Ready(Ok(came))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        // Whoever reads has handed out every message that was complete.
        this.frames.handed_out();
        this.beyond |= this.answered;
        loop {
            if buf.filled().len() == before {
                this.emit(buf);
            }
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_rate(cx));
            let more = match this.frames.want() {
                Want::Chunk => ready!(this.poll_chunk(cx, buf))?,
                Want::Header(bytes) => {
                    let mut scratch = [0; 16];
                    let part = scratch.get_mut(..bytes).unwrap_or_default();
                    let read = ready!(this.poll_aside(cx, part))?;
                    let came = part.get(..read.unwrap_or(0)).unwrap_or_default();
                    this.frames.complete_header(came, &mut this.rest);
                    read.is_some()
                }
                Want::Drop(bytes) => {
                    let mut scratch = [0; SCRATCH];
                    let most = usize::try_from(bytes).unwrap_or(SCRATCH).min(SCRATCH);
                    let read = ready!(this.poll_aside(cx, scratch.get_mut(..most).unwrap_or_default()))?;
                    this.frames.dropped(read.unwrap_or(0));
                    read.is_some()
                }
            };
            if !more {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.deaf {
            match ready!(Pin::new(&mut this.inner).poll_write(cx, buf)) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(_) => this.deaf = true,
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.deaf {
            this.deaf = ready!(Pin::new(&mut this.inner).poll_flush(cx)).is_err();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
