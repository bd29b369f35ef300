//! The cases: how each plays a script on many streams, and how it proves that it did.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rtms_protocol::{MediaKind, MediaSet, Product, StreamIdentity, peek_msg_type};
use rtms_recorder::{Partition, Recording, RecordingSpec};

use super::floor::Floor;
use super::script::{PAYLOAD_BYTES, START, Script, end_of_turn};
use crate::cpu;

/// CPU time of looking at each message's type.
pub(crate) fn peek(script: &Script, streams: usize) -> anyhow::Result<Duration> {
    read(script, streams, |frame| Ok(usize::from(peek_msg_type(&frame.bytes).is_some())), 1)
}

/// CPU time of parsing each message.
pub(crate) fn parse(script: &Script, streams: usize) -> anyhow::Result<Duration> {
    read(script, streams, |frame| Ok(black_box(frame.packet()?).data.len()), PAYLOAD_BYTES.div_ceil(3) * 4)
}

/// CPU time of parsing each message and decoding its payload.
pub(crate) fn decode(script: &Script, streams: usize) -> anyhow::Result<Duration> {
    let mut payload = Vec::new();
    let read_one = |frame: &rtms_protocol::MediaFrame| {
        frame.packet()?.decode_into(&mut payload)?;
        Ok(black_box(&payload).len())
    };
    read(script, streams, read_one, PAYLOAD_BYTES)
}

fn read(
    script: &Script,
    streams: usize,
    mut one: impl FnMut(&rtms_protocol::MediaFrame) -> anyhow::Result<usize>,
    expected: usize,
) -> anyhow::Result<Duration> {
    let (spent, total) = cpu::spent(|| {
        let mut total = 0;
        for _ in 0..streams {
            for frame in script.frames() {
                total += one(black_box(frame))?;
            }
        }
        anyhow::Ok(total)
    });
    ensure!(total? == expected * script.packets() * streams, "not every message was read");
    Ok(spent)
}

/// CPU time of recording `streams` at once: turn by turn each gets its packets, and every `flush_every` turns what it
/// has goes to the page cache.
pub(crate) fn record(
    script: &Script,
    streams: usize,
    flush_every: usize,
    dir: &Path,
) -> anyhow::Result<Duration> {
    let mut recordings = Vec::with_capacity(streams);
    for stream in 0..streams {
        let mut recording = Recording::create(spec(dir, stream))?;
        recording.granted(&script.granted);
        recordings.push(recording);
    }
    let (spent, played) = cpu::spent(|| {
        for (turn, frames) in script.turns.iter().enumerate() {
            let now = end_of_turn(turn);
            for recording in &mut recordings {
                for frame in frames {
                    recording.media(now, &frame.packet()?)?;
                }
                if (turn + 1).is_multiple_of(flush_every) {
                    recording.flush(now)?;
                }
            }
        }
        anyhow::Ok(())
    });
    played?;
    for recording in &mut recordings {
        recording.flush(end_of_turn(script.turns.len()))?;
        let progress = recording.progress();
        let packets: u64 = progress.tracks.iter().map(|track| track.packets).sum();
        ensure!(
            packets == script.packets() as u64,
            "{packets} of {} packets were recorded",
            script.packets()
        );
        for file in &progress.files {
            let size = fs::metadata(dir.join(file)).with_context(|| file.clone())?.len();
            ensure!(size > 0, "{file} is empty");
        }
    }
    Ok(spent)
}

/// CPU time of the floor on the same script; `flush_every` as in [`record`], or never.
pub(crate) fn floor(
    script: &Script,
    streams: usize,
    flush_every: Option<usize>,
    dir: &Path,
) -> anyhow::Result<Duration> {
    let path = |stream: usize| dir.join(format!("{stream}.raw"));
    let mut floors =
        (0..streams).map(|stream| Floor::create(&path(stream))).collect::<std::io::Result<Vec<_>>>()?;
    let (spent, played) = cpu::spent(|| {
        for (turn, frames) in script.turns.iter().enumerate() {
            for floor in &mut floors {
                for frame in frames {
                    floor.packet(&frame.bytes)?;
                }
                if flush_every.is_some_and(|every| (turn + 1).is_multiple_of(every)) {
                    floor.flush()?;
                }
            }
        }
        anyhow::Ok(())
    });
    played?;
    drop(floors);
    let expected = (script.packets() * PAYLOAD_BYTES) as u64;
    for stream in 0..streams {
        let size = fs::metadata(path(stream))?.len();
        ensure!(size == expected, "the floor wrote {size} of {expected} bytes");
    }
    Ok(spent)
}

fn spec(dir: &Path, stream: usize) -> RecordingSpec {
    let identity = StreamIdentity {
        product: Product::ContactCenter,
        id: format!("engagement{stream}"),
        stream_id: format!("stream{stream}"),
    };
    RecordingSpec {
        data_dir: dir.to_path_buf(),
        partition: Partition::None,
        identity,
        started_at: START,
        account_id: None,
        expect: MediaSet::of(MediaKind::Audio),
        images: MediaSet::EMPTY,
        server_urls: Vec::new(),
    }
}
