//! A listener that does nothing but note when packets come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// The packets that count: those that were due in this time, Unix ms. It is known only once everybody listens.
#[derive(Debug)]
pub(crate) struct Window {
    from: AtomicI64,
    until: AtomicI64,
}

impl Window {
    /// One that has not come yet.
    pub(crate) fn later() -> Arc<Self> {
        Arc::new(Self { from: AtomicI64::new(i64::MAX), until: AtomicI64::new(i64::MAX) })
    }

    /// Fixes it.
    pub(crate) fn set(&self, from_ms: i64, until_ms: i64) {
        self.until.store(until_ms, Ordering::Relaxed);
        self.from.store(from_ms, Ordering::Relaxed);
    }
}

/// What one listener found.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// From when a packet was due at Zoom until it was here, microseconds.
    pub(crate) took_us: Vec<u32>,
    /// Packets that the worker said it lost.
    pub(crate) lost: u64,
}

/// Listens to a stream until a packet that was due after the window.
pub(crate) async fn listen(
    worker: SocketAddr,
    stream_id: String,
    window: Arc<Window>,
) -> anyhow::Result<Heard> {
    let tcp = TcpStream::connect(worker).await?;
    tcp.set_nodelay(true)?;
    let url = format!("ws://{worker}/engagements/{stream_id}/live/audio");
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await?;
    let mut heard = Heard::default();
    let mut last: Option<u32> = None;
    loop {
        match next(&mut socket).await? {
            Message::Binary(packet) => {
                let arrived_us = unix_us();
                let (sequence, due_ms) = head(&packet).context("a packet without a header")?;
                let gap = last.map_or(0, |last| u64::from(sequence.wrapping_sub(last).wrapping_sub(1)));
                ensure!(gap <= heard.lost, "packets are missing that the worker did not say it lost");
                last = Some(sequence);
                if due_ms >= window.until.load(Ordering::Relaxed) {
                    return Ok(heard);
                }
                if due_ms >= window.from.load(Ordering::Relaxed) {
                    let took = arrived_us.saturating_sub(due_ms * 1000);
                    heard.took_us.push(u32::try_from(took.max(0)).unwrap_or(u32::MAX));
                }
            }
            Message::Text(text) => heard.lost += lost(&text)?,
            _ => {}
        }
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> anyhow::Result<Message> {
    Ok(socket.next().await.context("the worker ended it")??)
}

/// Sequence and time (Unix ms) of a packet.
fn head(packet: &[u8]) -> Option<(u32, i64)> {
    let sequence = packet.get(4..8)?.try_into().ok()?;
    let due_ms = packet.get(8..16)?.try_into().ok()?;
    Some((u32::from_le_bytes(sequence), i64::from_le_bytes(due_ms)))
}

fn lost(note: &str) -> anyhow::Result<u64> {
    let note: serde_json::Value = serde_json::from_str(note)?;
    ensure!(note["type"] != "end", "the stream ended too soon: {note}");
    Ok(if note["type"] == "lost" { note["packets"].as_u64().unwrap_or(0) } else { 0 })
}

/// Now, microseconds.
fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
