//! One socket of a session, from connecting to its last frame, polled by the task that owns the session.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rtms_protocol::MessageError;
use rtms_protocol::session::{CloseCause, SocketId, SocketKind};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::bell::Bell;
use crate::bounds::skipped;
use crate::connect::{Stream, paced};
use crate::rhythm::Rhythm;

/// Messages that may wait for a peer that does not read; we send a handful in a minute.
const MOST_WAITING: usize = 256;

/// Up to this size a message is copied out of the buffer that it came in, in bytes.
const SMALL: usize = 2 * 1024;

/// How long a closed socket may take for its goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

type Connecting = Pin<Box<dyn Future<Output = Result<WebSocketStream<Stream>, CloseCause>> + Send>>;

enum State {
    Connecting(Connecting),
    Open(Box<WebSocketStream<Stream>>),
}

/// What happened on a socket.
pub(crate) enum SocketEvent {
    Opened,
    Frame(Bytes),
    /// A message was not kept.
    Skipped(MessageError),
    /// The peer sends too many messages and has to wait; told once.
    Throttled,
    Closed(CloseCause),
}

/// A socket, by the name the session gave it.
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    pub(crate) is_signaling: bool,
    bell: Bell,
    state: State,
    waiting: VecDeque<Message>,
    unflushed: bool,
    told_throttled: bool,
    /// How it rests between reads, where it may.
    rhythm: Option<Arc<Rhythm>>,
    /// Whether everything is wanted as soon as it comes.
    prompt: bool,
}

impl Socket {
    pub(crate) fn new(
        id: SocketId,
        kind: SocketKind,
        bell: Bell,
        connecting: impl Future<Output = Result<WebSocketStream<Stream>, CloseCause>> + Send + 'static,
    ) -> Self {
        Self {
            id,
            is_signaling: matches!(kind, SocketKind::Signaling),
            bell,
            state: State::Connecting(Box::pin(connecting)),
            waiting: VecDeque::new(),
            unflushed: false,
            told_throttled: false,
            rhythm: None,
            prompt: false,
        }
    }

    /// Lets it rest between reads once it is open, unless it is to be prompt.
    pub(crate) fn with_rhythm(mut self, rhythm: Arc<Rhythm>, prompt: bool) -> Self {
        (self.rhythm, self.prompt) = (Some(rhythm), prompt);
        self
    }

    /// Whether everything is wanted as soon as it comes.
    pub(crate) fn set_prompt(&mut self, prompt: bool) {
        self.prompt = prompt;
        self.set_pace();
    }

    fn set_pace(&mut self) {
        if let State::Open(socket) = &mut self.state
            && self.rhythm.is_some()
        {
            paced(socket.get_mut()).set_rhythm(self.rhythm.clone().filter(|_| !self.prompt));
            self.bell.again();
        }
    }

    /// Whether it rests between reads; `None` while it is not open.
    pub(crate) fn rests(&mut self) -> Option<bool> {
        match &mut self.state {
            State::Open(socket) => Some(paced(socket.get_mut()).rests()),
            State::Connecting(_) => None,
        }
    }

    /// Ends a rest before its time; whether there was one.
    pub(crate) fn end_rest(&mut self) -> bool {
        let State::Open(socket) = &mut self.state else { return false };
        let rested = self.rhythm.is_some() && paced(socket.get_mut()).end_rest();
        if rested {
            self.bell.again();
        }
        rested
    }

    /// Queues a text message; it leaves with the next poll.
    pub(crate) fn send(&mut self, text: String) {
        self.waiting.push_back(Message::text(text));
        self.bell.again();
    }

    /// Queues a close frame; reading goes on until the peer has closed too.
    pub(crate) fn finish(&mut self) {
        self.set_prompt(true);
        self.waiting.push_back(Message::Close(None));
        self.bell.again();
    }

    /// Says goodbye in the background, for a second at most. Whoever is dead is not worth one: dropping the socket ends
    /// the connection at once.
    pub(crate) fn close(mut self) {
        self.set_prompt(true);
        if let State::Open(mut socket) = self.state {
            tokio::spawn(async move {
                let _ = tokio::time::timeout(GOODBYE, async {
                    socket.as_mut().close(None).await?;
                    while socket.next().await.transpose()?.is_some() {}
                    Ok::<_, Error>(())
                })
                .await;
            });
        }
    }

    /// The next thing that happens here. After `Closed` the socket must not be polled again.
    ///
    /// The task that polls must be the one that the bell wakes; a socket whose bell has not rung is not asked.
    pub(crate) fn poll(&mut self) -> Poll<SocketEvent> {
        if !self.bell.rang() {
            return Poll::Pending;
        }
        let waker = self.bell.waker().clone();
        let polled = self.poll_state(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            // There may be more, of which nobody will be told.
            self.bell.again();
        }
        polled
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        match &mut self.state {
            State::Connecting(connecting) => Poll::Ready(match ready!(connecting.as_mut().poll(cx)) {
                Ok(socket) => {
                    self.state = State::Open(Box::new(socket));
                    self.set_pace();
                    SocketEvent::Opened
                }
                Err(cause) => SocketEvent::Closed(cause),
            }),
            State::Open(_) => {
                if let Err(error) = self.poll_write(cx) {
                    return Poll::Ready(SocketEvent::Closed(broken(&error)));
                }
                self.poll_read(cx)
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        let State::Open(socket) = &mut self.state else { return Poll::Pending };
        loop {
            let next = socket.poll_next_unpin(cx);
            if !self.told_throttled && socket.get_ref().was_throttled() && next.is_pending() {
                self.told_throttled = true;
                return Poll::Ready(SocketEvent::Throttled);
            }
            let event = match ready!(next) {
                Some(Ok(Message::Text(text))) => frame(text.into()),
                Some(Ok(Message::Binary(bytes))) => frame(bytes),
                Some(Ok(Message::Close(frame))) => {
                    SocketEvent::Closed(CloseCause::ClosedByPeer(frame.map(|frame| frame.code.into())))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => SocketEvent::Closed(broken(&error)),
                None => SocketEvent::Closed(CloseCause::ClosedByPeer(None)),
            };
            return Poll::Ready(event);
        }
    }

    /// Moves what waits towards the network, as far as it takes it.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let State::Open(socket) = &mut self.state else { return Ok(()) };
        if self.waiting.len() > MOST_WAITING {
            return Err(Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "the peer does not read",
            )));
        }
        while !self.waiting.is_empty() {
            match socket.poll_ready_unpin(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(()),
            }
            if let Some(message) = self.waiting.pop_front() {
                socket.start_send_unpin(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed
            && let Poll::Ready(flushed) = socket.poll_flush_unpin(cx)
        {
            flushed?;
            self.unflushed = false;
        }
        Ok(())
    }
}

fn frame(bytes: Bytes) -> SocketEvent {
    skipped(&bytes).map_or_else(|| SocketEvent::Frame(let_go(bytes)), SocketEvent::Skipped)
}

/// The message on its own. As it comes from the WebSocket layer it keeps the whole buffer that was read into, which then
/// cannot be read into again: for a small one a copy is less.
fn let_go(message: Bytes) -> Bytes {
    if message.len() <= SMALL { Bytes::copy_from_slice(&message) } else { message }
}

fn broken(error: &Error) -> CloseCause {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => CloseCause::ClosedByPeer(None),
        // Words of our libraries about the connection; none of them quotes a message.
        other => CloseCause::Broken(other.to_string()),
    }
}
