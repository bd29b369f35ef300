//! What comes out of a bounded stream, however the bytes are cut, and what it holds meanwhile.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::time::Instant;

use super::{Bounded, Bounds, Rate, Room, skipped};
use rtms_protocol::MessageError;

const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
/// The limit of these tests, in bytes; below what counts as large.
const LIMIT: usize = 1_000;

fn bounds() -> Bounds {
    Bounds { max_message_bytes: LIMIT, rate: Rate::new(1_000_000, 1_000_000), room: Room::new(256 * 1024) }
}

/// A frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        medium @ 126..65_536 => {
            bytes.push(126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Gives out what it has in pieces of these lengths, in turn, then its end.
struct Pieces {
    bytes: VecDeque<u8>,
    lengths: Vec<usize>,
    turn: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.lengths[self.turn % self.lengths.len()];
        self.turn += 1;
        let most = length.min(buf.remaining()).min(self.bytes.len());
        buf.put_slice(&self.bytes.drain(..most).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

/// What a reader with buffers of `size` bytes gets, after the HTTP answer.
async fn pass(bounds: Bounds, bytes: &[u8], lengths: &[usize], size: usize) -> Vec<u8> {
    let bytes = ANSWER.iter().chain(bytes).copied().collect();
    let mut stream = Bounded::new(Pieces { bytes, lengths: lengths.to_vec(), turn: 0 }, bounds);
    let (mut got, mut part) = (Vec::new(), vec![0; size]);
    loop {
        let read = stream.read(&mut part).await.unwrap();
        if read == 0 {
            assert_eq!(&got[..ANSWER.len()], ANSWER);
            return got.split_off(ANSWER.len());
        }
        got.extend_from_slice(&part[..read]);
    }
}

#[tokio::test]
async fn whoever_reads_the_answer_gets_nothing_else_and_loses_nothing() {
    let first = frame(0x82, b"{}");
    let bytes = ANSWER.iter().chain(&first).copied().collect();
    let mut stream = Bounded::new(Pieces { bytes, lengths: vec![usize::MAX], turn: 0 }, bounds());
    let mut part = [0; 4096];
    for expected in [ANSWER, &first] {
        let read = stream.read(&mut part).await.unwrap();
        assert_eq!(&part[..read], expected);
    }
}

#[tokio::test]
async fn a_message_over_the_limit_becomes_a_mark_and_the_rest_stays() {
    let small = frame(0x82, b"{}");
    let bytes = [small.clone(), frame(0x82, &[b'x'; LIMIT + 1]), small.clone()].concat();
    let expected = [small.clone(), vec![0x82, 1, 0xFF], small].concat();
    assert_eq!(pass(bounds(), &bytes, &[4_096], 4_096).await, expected);
    assert_eq!(skipped(&[0xFF]), Some(MessageError::TooLarge));
    assert_eq!(skipped(b"{}"), None);
    let at_the_limit = frame(0x82, &[b'x'; LIMIT]);
    assert_eq!(pass(bounds(), &at_the_limit, &[4_096], 4_096).await, at_the_limit);
}

#[tokio::test]
async fn fragments_count_together_and_pings_between_them_pass() {
    let (ping, after) = (frame(0x89, b"?"), frame(0x82, b"{}"));
    let bytes = [
        frame(0x02, &[b'x'; 600]),
        ping.clone(),
        frame(0x00, &[b'y'; 600]),
        ping.clone(),
        frame(0x00, &[b'z'; 5_000]),
        frame(0x80, b""),
        after.clone(),
    ]
    .concat();
    let expected = [frame(0x02, &[b'x'; 600]), ping.clone(), vec![0x80, 1, 0xFF], ping, after].concat();
    assert_eq!(pass(bounds(), &bytes, &[4_096], 4_096).await, expected);
}

#[tokio::test]
async fn text_becomes_binary_and_what_breaks_the_rules_passes_as_it_is() {
    assert_eq!(pass(bounds(), &frame(0x81, b"\xC3{"), &[9], 64).await, frame(0x82, b"\xC3{"));
    let endless = [vec![0x82, 127], (2_u64 << 30).to_be_bytes().to_vec()].concat();
    assert_eq!(pass(bounds(), &endless, &[64], 64).await, endless, "over 1 GiB: for tungstenite to refuse");
    let reserved = frame(0x83, b"?");
    assert_eq!(pass(bounds(), &reserved, &[64], 64).await, reserved);
}

#[tokio::test]
async fn large_messages_share_room_and_give_it_back() {
    let room = Room::new(200 * 1024);
    let bounds = Bounds { max_message_bytes: 1 << 20, room: room.clone(), ..bounds() };
    let (mut far, near) = tokio::io::duplex(1 << 20);
    let mut stream = Bounded::new(near, bounds.clone());
    let mut part = vec![0; 1 << 20];
    let large = frame(0x82, &vec![b'x'; 150 * 1024]);

    let written = [ANSWER, &large[..100]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut far, &written).await.unwrap();
    stream.read_exact(&mut part[..written.len()]).await.unwrap();
    assert_eq!(room.left(), 50 * 1024, "taken with the header");
    let other = pass(bounds.clone(), &large, &[4_096], 4_096).await;
    assert_eq!(skipped(&other), Some(MessageError::NoRoom));
    let small = frame(0x82, &vec![b'x'; 64 * 1024]);
    assert_eq!(pass(bounds.clone(), &small, &[4_096], 4_096).await, small, "small ones need none");

    let next = [&large[100..], &[0x82, 0]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut far, &next).await.unwrap();
    stream.read_exact(&mut part[..next.len()]).await.unwrap();
    assert_eq!(room.left(), 50 * 1024, "held until it has been handed out");
    tokio::io::AsyncWriteExt::write_all(&mut far, &[0x82, 0]).await.unwrap();
    stream.read_exact(&mut part[..2]).await.unwrap();
    assert_eq!(room.left(), 200 * 1024);

    tokio::io::AsyncWriteExt::write_all(&mut far, &large[..100]).await.unwrap();
    stream.read_exact(&mut part[..100]).await.unwrap();
    drop(stream);
    assert_eq!(room.left(), 200 * 1024, "a lost connection gives back what it held");
}

#[tokio::test(start_paused = true)]
async fn who_sends_too_many_frames_waits_and_loses_none() {
    let bounds = Bounds { rate: Rate::new(100, 50), ..bounds() };
    let ping = frame(0x89, b"");
    let bytes = ping.repeat(250);
    let start = Instant::now();
    let got = pass(bounds, &bytes, &[16], 16).await;
    assert_eq!(got, bytes);
    // 250 less the burst of 50 and the last read's eight, at 100 a second.
    assert!(start.elapsed() >= Duration::from_millis(1_900), "{:?}", start.elapsed());
}

/// One message: its fragments' lengths, and whether a ping comes after each.
fn messages() -> impl Strategy<Value = Vec<Vec<(usize, bool)>>> {
    let length = prop_oneof![0..10_usize, 100..200_usize, 400..1_200_usize, Just(70_000)];
    prop::collection::vec(prop::collection::vec((length, any::<bool>()), 1..5), 1..8)
}

/// The bytes of these messages, and what is to become of them.
fn written(messages: &[Vec<(usize, bool)>]) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for (number, fragments) in messages.iter().enumerate() {
        let (mut sum, mut skipping) = (0, false);
        for (index, (length, ping)) in fragments.iter().enumerate() {
            let fin = if index + 1 == fragments.len() { 0x80 } else { 0 };
            let opcode = if index == 0 { 2 } else { 0 };
            let whole = frame(fin | opcode, &vec![number as u8; *length]);
            sum += length;
            if sum <= LIMIT {
                expected.extend_from_slice(&whole);
            } else if !std::mem::replace(&mut skipping, true) {
                expected.extend([0x80 | opcode, 1, 0xFF]);
            }
            bytes.extend(whole);
            if *ping {
                let ping = frame(0x89, b"ping");
                bytes.extend_from_slice(&ping);
                expected.extend(ping);
            }
        }
    }
    (bytes, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn where_the_bytes_are_cut_makes_no_difference(
        messages in messages(),
        lengths in prop::collection::vec(1..300_usize, 1..6),
        size in 1..300_usize,
    ) {
        let (bytes, expected) = written(&messages);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        prop_assert_eq!(runtime.block_on(pass(bounds(), &bytes, &lengths, size)), expected);
    }

    #[test]
    fn rubbish_is_no_panic_and_never_grows(bytes in prop::collection::vec(any::<u8>(), 0..2_000), size in 1..50_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let got = runtime.block_on(pass(bounds(), &bytes, &[7, 64], size));
        prop_assert!(got.len() <= bytes.len());
    }
}
