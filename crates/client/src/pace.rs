//! A connection that is read at intervals instead of at each packet.
//!
//! Zoom sends a packet of 20 ms every 20 ms, and what one costs is mostly the wake-up and the read, not the packet. So a
//! connection with a rhythm rests once it is read empty: nobody watches it, the system's buffer takes what comes, and a
//! timer asks for all of it later. Many connections rest to the same moment, so that one wake-up serves them, see
//! [`crate::rhythm`]. One that brings more than a little at a time, or nothing for long, is watched as usual.
//!
//! The alternative was a low-water mark on the socket (`SO_RCVLOWAT`), so that the system wakes nobody for less. It wakes
//! nobody for the last packet before a pause either, so it needs the timer too, and a mark that follows the packets' size.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::rhythm::Rhythm;

/// A connection that brings more than this at once does not rest, bytes. Half of the least window that TCP opens with
/// here: a sender should not have to wait for us.
const MOST_AT_ONCE: usize = 32 * 1024;

/// What a connection may bring at once where it is read before its time, bytes: news waits until it is read empty.
const MOST_BEFORE_NEWS: usize = 1024 * 1024;

/// For so many rests a connection that brought more is watched before it may rest again; so is a new one, which may have
/// much to catch up with. The system acknowledges late what nobody reads, and a sender that hears nothing waits.
const CALM_RESTS: u32 = 12;

/// After so many rests in which nothing came the connection is watched until something does.
const EMPTY_RESTS: u8 = 4;

/// The connection, by who looks after it.
#[derive(Debug)]
enum Tcp {
    /// The runtime, which tells when something came.
    Watched(TcpStream),
    /// Nobody, until the rest is over.
    Resting(std::net::TcpStream),
    /// It could not be moved from one to the other.
    Lost,
}

/// A TCP connection that rests between reads, where it is given a [`Rhythm`].
#[derive(Debug)]
pub(crate) struct Paced {
    tcp: Tcp,
    rhythm: Option<Arc<Rhythm>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the rest is over, and what came meanwhile is being read.
    rested: bool,
    /// Bytes read since then.
    bunch: usize,
    /// How many it may be.
    most: usize,
    /// Rests in a row that brought nothing.
    empty: u8,
    /// No rest before, since it is new or brought too much for one.
    calm_from: Option<Instant>,
    /// Only the shortest rests, since one brought too much.
    brief: bool,
}

impl Paced {
    /// Looks after `tcp`, which is watched until there is a rhythm.
    pub(crate) const fn new(tcp: TcpStream) -> Self {
        Self {
            tcp: Tcp::Watched(tcp),
            rhythm: None,
            timer: None,
            rested: false,
            bunch: 0,
            most: MOST_AT_ONCE,
            empty: 0,
            calm_from: None,
            brief: false,
        }
    }

    /// Sets the rhythm. Without one the connection is watched once it is read empty; whoever reads has to poll for that.
    pub(crate) fn set_rhythm(&mut self, rhythm: Option<Arc<Rhythm>>) {
        match &rhythm {
            Some(rhythm) => self.calm_from = Some(calm_from(rhythm, Instant::now())),
            None => self.rested = true,
        }
        self.rhythm = rhythm;
    }

    /// Whether it rests: nothing of it will be read before the rest is over.
    pub(crate) const fn rests(&self) -> bool {
        matches!(self.tcp, Tcp::Resting(_)) && !self.rested
    }

    /// Ends a rest before its time, for whoever wants it read empty; whether it may not be. Whoever reads has to poll for
    /// that.
    pub(crate) const fn end_rest(&mut self) -> bool {
        let rests = matches!(self.tcp, Tcp::Resting(_));
        if rests {
            self.rested = true;
            self.most = MOST_BEFORE_NEWS;
        }
        rests
    }

    /// Lets the runtime look after it.
    fn watch(&mut self) {
        self.tcp = match std::mem::replace(&mut self.tcp, Tcp::Lost) {
            Tcp::Resting(tcp) => TcpStream::from_std(tcp).map_or(Tcp::Lost, Tcp::Watched),
            other => other,
        };
        (self.timer, self.bunch, self.most, self.empty) = (None, 0, MOST_AT_ONCE, 0);
    }

    /// Everything that had come is read, or too much for one turn: rests, if that is worth while.
    fn rest(&mut self) {
        let bunch = std::mem::replace(&mut self.bunch, 0);
        self.most = MOST_AT_ONCE;
        let Some(rhythm) = &self.rhythm else { return self.watch() };
        let now = Instant::now();
        if bunch > MOST_AT_ONCE {
            self.calm_from = Some(calm_from(rhythm, now));
            self.brief |= matches!(self.tcp, Tcp::Resting(_));
        }
        self.empty = if bunch > 0 { 0 } else { self.empty + 1 };
        if self.calm_from.is_some_and(|calm| now < calm) || self.empty > EMPTY_RESTS {
            return self.watch();
        }
        let end = rhythm.end_of_rest(now, self.brief);
        if matches!(self.tcp, Tcp::Watched(_)) {
            self.tcp = match std::mem::replace(&mut self.tcp, Tcp::Lost) {
                Tcp::Watched(tcp) => tcp.into_std().map_or(Tcp::Lost, Tcp::Resting),
                other => other,
            };
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(end),
            None => self.timer = Some(Box::pin(sleep_until(end))),
        }
        self.rested = false;
    }

    /// Notes that `read` of `room` bytes came, which leaves something behind only where there was no room for it. One that
    /// brings much is watched before it is read empty: the runtime sees to it that a task that always has something to
    /// read lets others have their turn.
    fn came(&mut self, read: usize, room: usize) {
        self.bunch = self.bunch.saturating_add(read);
        let is_empty = read > 0 && read < room;
        let is_much = self.bunch > self.most && matches!(self.tcp, Tcp::Resting(_));
        if is_empty || is_much {
            self.rest();
        }
    }

    fn poll_rested(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.rested {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
            self.rested = true;
        }
        Poll::Ready(())
    }

    /// Writes by `resting` what nobody has to wait for, and by `watched` what the connection does not take yet.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        resting: impl Fn(&mut std::net::TcpStream) -> io::Result<usize>,
        watched: impl Fn(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Tcp::Resting(tcp) = &mut self.tcp {
            match resting(tcp) {
                Err(error) if is_for_later(&error) => self.watch(),
                written => return Poll::Ready(written),
            }
        }
        match &mut self.tcp {
            Tcp::Watched(tcp) => watched(Pin::new(tcp), cx),
            _ => Poll::Ready(Err(lost())),
        }
    }
}

/// When a connection that brought much now, or was made now, may rest.
fn calm_from(rhythm: &Rhythm, now: Instant) -> Instant {
    now + rhythm.rest() * CALM_RESTS
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn lost() -> io::Error {
    io::Error::other("the system no longer watches the connection")
}

impl AsyncRead for Paced {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, room) = (buf.filled().len(), buf.remaining());
        loop {
            if matches!(this.tcp, Tcp::Resting(_)) {
                ready!(this.poll_rested(cx));
            }
            match &mut this.tcp {
                Tcp::Watched(tcp) => {
                    ready!(Pin::new(tcp).poll_read(cx, buf))?;
                    this.came(buf.filled().len() - before, room);
                    return Poll::Ready(Ok(()));
                }
                Tcp::Resting(tcp) => match tcp.read(buf.initialize_unfilled()) {
                    Ok(read) => {
                        buf.advance(read);
                        this.came(read, room);
                        return Poll::Ready(Ok(()));
                    }
                    Err(error) if is_for_later(&error) => this.rest(),
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Tcp::Lost => return Poll::Ready(Err(lost())),
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |tcp| tcp.write(buf), |tcp, cx| tcp.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(
            cx,
            |tcp| tcp.write_vectored(bufs),
            |tcp, cx| tcp.poll_write_vectored(cx, bufs),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TCP has nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().tcp {
            Tcp::Watched(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Tcp::Resting(tcp) => Poll::Ready(tcp.shutdown(std::net::Shutdown::Write)),
            Tcp::Lost => Poll::Ready(Err(lost())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::rhythm::{Rests, Rhythms};

    const REST: Duration = Duration::from_millis(96);

    /// A connection that rests, once it has read the one byte that its peer has sent.
    async fn resting() -> (Paced, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        let mut paced = Paced::new(tcp);
        paced.set_rhythm(Some(Arc::new(Rhythms::new(Instant::now(), Rests::of(REST))).next()));
        peer.write_all(b"0").unwrap();
        assert_eq!(read(&mut paced).await, b"0");
        assert!(matches!(paced.tcp, Tcp::Watched(_)), "a new one is watched first");
        tokio::time::advance(REST * CALM_RESTS).await;
        peer.write_all(b"1").unwrap();
        assert_eq!(read(&mut paced).await, b"1");
        assert!(matches!(paced.tcp, Tcp::Resting(_)));
        (paced, peer)
    }

    async fn read(paced: &mut Paced) -> Vec<u8> {
        let mut buffer = vec![0; 64 * 1024];
        let read = paced.read(&mut buffer).await.unwrap();
        buffer.truncate(read);
        buffer
    }

    // The clock of these tests stands still, and jumps to the next timer when nothing else is to be done.

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_a_rest_is_taken_together_at_its_end() {
        let (mut paced, mut peer) = resting().await;
        let began = Instant::now();
        for _ in 0..3 {
            peer.write_all(b"23").unwrap();
            peer.write_all(b"4").unwrap();
            assert_eq!(read(&mut paced).await, b"234");
        }
        let passed = began.elapsed();
        assert!(passed > REST * 2 && passed <= REST * 3 + Duration::from_millis(3), "{passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rhythm_it_is_watched_at_once() {
        let (mut paced, mut peer) = resting().await;
        let began = Instant::now();
        paced.set_rhythm(None);
        for _ in 0..3 {
            peer.write_all(b"2").unwrap();
            assert_eq!(read(&mut paced).await, b"2");
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_watched_and_rests_again_after_the_next_byte() {
        let (mut paced, mut peer) = resting().await;
        let silence = tokio::time::timeout(Duration::from_secs(3_600), read(&mut paced)).await;
        assert!(silence.is_err() && matches!(paced.tcp, Tcp::Watched(_)));
        peer.write_all(b"2").unwrap();
        assert_eq!(read(&mut paced).await, b"2");
        assert!(matches!(paced.tcp, Tcp::Resting(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_brings_much_is_watched_until_it_is_calm() {
        let (mut paced, mut peer) = resting().await;
        let much = MOST_AT_ONCE * 3 / 2;
        peer.write_all(&vec![0; much]).unwrap();
        let mut part = [0; 1024];
        for _ in 0..=MOST_AT_ONCE / part.len() {
            paced.read_exact(&mut part).await.unwrap();
        }
        assert!(matches!(paced.tcp, Tcp::Watched(_)), "though it is not read empty");
        paced.read_exact(&mut vec![0; much - MOST_AT_ONCE - part.len()]).await.unwrap();
        let hurried = Instant::now();
        peer.write_all(b"2").unwrap();
        assert_eq!(read(&mut paced).await, b"2");
        assert_eq!(hurried.elapsed(), Duration::ZERO);
        assert!(matches!(paced.tcp, Tcp::Watched(_)));
        tokio::time::advance(REST * CALM_RESTS).await;
        peer.write_all(b"3").unwrap();
        assert_eq!(read(&mut paced).await, b"3");
        assert!(matches!(paced.tcp, Tcp::Resting(_)));
    }

    /// How long a connection that rests goes on to rest, to the next ms.
    async fn rest_of(paced: &mut Paced, peer: &mut std::net::TcpStream) -> Duration {
        peer.write_all(b"r").unwrap();
        assert_eq!(read(paced).await, b"r");
        let began = Instant::now();
        peer.write_all(b"r").unwrap();
        assert_eq!(read(paced).await, b"r");
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_brought_too_much_in_a_long_rest_takes_the_shortest_from_then_on() {
        let (mut paced, mut peer) = resting().await;
        let rhythms = Rhythms::new(Instant::now(), Rests { shortest: REST, longest: REST * 2, at_a_time: 1 });
        let rhythms = Arc::new(rhythms);
        let _others: Vec<_> = (0..100).map(|_| rhythms.next()).collect();
        paced.set_rhythm(Some(rhythms.next()));
        tokio::time::advance(REST * 2 * CALM_RESTS).await;
        rest_of(&mut paced, &mut peer).await;
        let is = |rest: Duration, expected: Duration| rest.abs_diff(expected) <= Duration::from_millis(2);
        let long = rest_of(&mut paced, &mut peer).await;
        assert!(is(long, REST * 2), "{long:?}");
        peer.write_all(&vec![0; MOST_AT_ONCE + 1]).unwrap();
        paced.read_exact(&mut vec![0; MOST_AT_ONCE + 1]).await.unwrap();
        tokio::time::advance(REST * 2 * CALM_RESTS).await;
        rest_of(&mut paced, &mut peer).await;
        let brief = rest_of(&mut paced, &mut peer).await;
        assert!(is(brief, REST), "{brief:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_to_be_read_empty_is_not_watched_before() {
        let (mut paced, mut peer) = resting().await;
        let began = Instant::now();
        peer.write_all(&vec![0; MOST_AT_ONCE * 3 / 2]).unwrap();
        let mut part = [0; 1024];
        for _ in 0..MOST_AT_ONCE * 3 / 2 / part.len() {
            assert!(paced.end_rest(), "there may be more");
            paced.read_exact(&mut part).await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        let more = tokio::time::timeout(Duration::ZERO, paced.read(&mut part)).await;
        assert!(more.is_err() && !paced.end_rest(), "it is read empty, and watched because it brought much");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_does_not_wait_for_the_rest_nor_for_a_peer_that_reads_late() {
        let (mut paced, mut peer) = resting().await;
        let began = Instant::now();
        paced.write_all(b"a").await.unwrap();
        let mut one = [0];
        peer.read_exact(&mut one).unwrap();
        assert_eq!((one, began.elapsed()), (*b"a", Duration::ZERO));
        let much = vec![7; 32 * 1024 * 1024];
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        paced.write_all(&much).await.unwrap();
        paced.shutdown().await.unwrap();
        assert!(reader.join().unwrap() == much);
    }

    #[tokio::test(start_paused = true)]
    async fn everything_that_came_before_the_end_is_read() {
        let (mut paced, mut peer) = resting().await;
        peer.write_all(b"last").unwrap();
        peer.shutdown(Shutdown::Both).unwrap();
        assert_eq!(read(&mut paced).await, b"last");
        assert_eq!(read(&mut paced).await, b"");
        assert_eq!(read(&mut paced).await, b"", "and stays at its end");
    }

    #[tokio::test(start_paused = true)]
    async fn everything_that_came_before_a_reset_is_read() {
        let (mut paced, mut peer) = resting().await;
        peer.write_all(b"last").unwrap();
        peer.set_nonblocking(true).unwrap();
        TcpStream::from_std(peer).unwrap().set_zero_linger().unwrap();
        assert_eq!(read(&mut paced).await, b"last");
        let error = paced.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
