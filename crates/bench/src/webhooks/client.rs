//! A client that costs little: rendered requests over keep-alive connections, one in flight on each.
//!
//! It knows as much HTTP as it needs for the gateway's answers, and takes anything but a 200 for a failed benchmark.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long an answer may take; the gateway itself gives up earlier.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than any answer here has.
const LARGEST_ANSWER: usize = 16 * 1024;

/// Sends all requests, spread over the connections, as fast as answers come or each connection one every `pace`.
/// Returns how long each took, in microseconds; at a pace, counted from the moment when it was due.
pub(crate) async fn send_all(
    to: SocketAddr,
    requests: &[Bytes],
    connections: usize,
    pace: Option<Duration>,
) -> anyhow::Result<Vec<u32>> {
    let mut tasks = JoinSet::new();
    for place in 0..connections {
        let own: Vec<Bytes> = requests.iter().skip(place).step_by(connections).cloned().collect();
        let first = pace
            .map(|pace| pace * u32::try_from(place).unwrap_or(0) / u32::try_from(connections).unwrap_or(1));
        tasks.spawn(send(to, own, pace.zip(first)));
    }
    let mut took = Vec::with_capacity(requests.len());
    while let Some(done) = tasks.join_next().await {
        took.extend(done??);
    }
    Ok(took)
}

async fn send(
    to: SocketAddr,
    requests: Vec<Bytes>,
    pace: Option<(Duration, Duration)>,
) -> anyhow::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let began = Instant::now();
    let mut due = began;
    let mut took = Vec::with_capacity(requests.len());
    let mut buffer = Vec::with_capacity(LARGEST_ANSWER);
    for (number, request) in requests.iter().enumerate() {
        if let Some((every, first)) = pace {
            due = began + first + every * u32::try_from(number).unwrap_or(0);
            tokio::time::sleep_until(due).await;
        } else {
            due = Instant::now().max(due);
        }
        stream.write_all(request).await?;
        let (status, _) =
            tokio::time::timeout(PATIENCE, answer(&mut stream, &mut buffer)).await.context("no answer")??;
        ensure!(status == 200, "answered {status}");
        took.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(took)
}

/// One `GET`; the body of its answer.
pub(crate) async fn get(from: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(from).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {from}\r\n\r\n").as_bytes()).await?;
    let mut buffer = Vec::new();
    let (status, body) = answer(&mut stream, &mut buffer).await?;
    ensure!(status == 200, "{path} answered {status}");
    Ok(buffer.get(body..).unwrap_or_default().to_vec())
}

/// Reads one answer with a length into `buffer`: its status, and where its body begins.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<(u16, usize)> {
    buffer.clear();
    loop {
        ensure!(buffer.len() < LARGEST_ANSWER, "an endless answer");
        if stream.read_buf(buffer).await? == 0 {
            bail!("the gateway closed the connection");
        }
        if let Some((status, body, length)) = head(buffer)
            && buffer.len() >= body + length
        {
            return Ok((status, body));
        }
    }
}

/// Status, where the body begins, and its length; `None` while the head is not complete, or is no HTTP.
fn head(answer: &[u8]) -> Option<(u16, usize, usize)> {
    let end = memmem::find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())?;
    Some((status, end + 4, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"received\":true}";
        assert_eq!(head(whole), Some((200, whole.len() - 17, 17)));
        assert_eq!(head(&whole[..30]), None);
        assert_eq!(head(b"HTTP/1.1 503 No\r\ncontent-length:0\r\n\r\n"), Some((503, 37, 0)));
        assert_eq!(head(b"\r\n\r\n"), None);
    }
}
