//! CPU time of one audio packet, from the WebSocket message to the page cache.
//!
//! The real path: [`rtms_protocol::MediaFrame`] is parsed, decoded, placed and written by
//! [`rtms_recorder::Recording`], flushed as the worker flushes. Many recordings take turns, because a recorder that
//! serves one stream finds everything in the cache and flatters itself. L16, 16 kHz, mono, 20 ms (640 bytes).

mod cases;
pub(crate) mod floor;
mod script;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rtms_protocol::AudioData;
use serde::Serialize;

use crate::stats::{Spread, real};
use script::{Script, TURN_MS};

/// How much is played.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Size {
    /// Recordings at the same time.
    streams: usize,
    /// Length of each, seconds of sound.
    seconds: i64,
    /// Measured runs of every case; one more goes before, unmeasured.
    rounds: usize,
}

/// For figures.
pub(crate) const FULL: Size = Size { streams: 25, seconds: 40, rounds: 9 };
/// For a look whether it works.
pub(crate) const QUICK: Size = Size { streams: 4, seconds: 5, rounds: 3 };

/// Turns between flushes where the worker would flush: with every batch.
const EVERY_TURN: usize = 1;
/// Turns between flushes at the slowest that is allowed: a file is at most a second behind.
const EVERY_SECOND: usize = (1000 / TURN_MS) as usize;

/// One case's figures.
#[derive(Debug, Serialize)]
struct Case {
    name: &'static str,
    what: &'static str,
    /// CPU time a packet, microseconds.
    us_per_packet: Spread,
    /// What one core would do.
    packets_per_core_second: f64,
    /// Against the floor of the same round.
    times_floor: Spread,
}

/// What an audio packet costs.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    size: Size,
    cases: Vec<Case>,
    parts: Parts,
}

/// The recorded mixed packet, taken apart: medians of the differences within a round, microseconds a packet.
#[derive(Debug, Serialize)]
struct Parts {
    peek_us: f64,
    parse_us: f64,
    decode_us: f64,
    /// Timeline, container, page cache; the flush once a second included.
    recorder_us: f64,
    /// What flushing ten times a second adds to that.
    often_flushed_us: f64,
}

struct Scripts {
    mixed: Script,
    parties: Script,
}

type Run = fn(&Scripts, usize, &Path) -> anyhow::Result<Duration>;

/// Name, meaning, and how it is run; the floor first.
const CASES: [(&str, &str, Run); 9] = [
    ("floor", "find data, decode, append through 64 KiB", |s, n, dir| cases::floor(&s.mixed, n, None, dir)),
    ("floor_100ms", "the same, written every 100 ms", |s, n, dir| {
        cases::floor(&s.mixed, n, Some(EVERY_TURN), dir)
    }),
    ("peek", "msg_type only", |s, n, _| cases::peek(&s.mixed, n)),
    ("parse", "MediaFrame::packet", |s, n, _| cases::parse(&s.mixed, n)),
    ("decode", "parse and decode_into", |s, n, _| cases::decode(&s.mixed, n)),
    ("mixed_1s", "recorded, mixed, flushed every 1 s", |s, n, dir| {
        cases::record(&s.mixed, n, EVERY_SECOND, dir)
    }),
    ("mixed_100ms", "recorded, mixed, flushed every 100 ms", |s, n, dir| {
        cases::record(&s.mixed, n, EVERY_TURN, dir)
    }),
    ("parties_1s", "recorded, two parties and stereo, every 1 s", |s, n, dir| {
        cases::record(&s.parties, n, EVERY_SECOND, dir)
    }),
    ("parties_100ms", "recorded, two parties and stereo, every 100 ms", |s, n, dir| {
        cases::record(&s.parties, n, EVERY_TURN, dir)
    }),
];

/// Runs every case whose name begins with `only`; scratch files are made below `out`.
pub(crate) fn run(size: &Size, only: &str, out: &Path) -> anyhow::Result<Found> {
    // Two parties fill their streams in half the time, so that every case plays the same number of packets.
    let scripts = Scripts {
        mixed: Script::render(size.seconds, AudioData::Mixed),
        parties: Script::render(size.seconds.div_euclid(2).max(1), AudioData::Separate),
    };
    let mut rounds = Vec::with_capacity(size.rounds);
    for round in 0..=size.rounds {
        let mut times = Vec::with_capacity(CASES.len());
        for (name, _, run) in CASES {
            if !name.starts_with(only) {
                times.push(f64::NAN);
                continue;
            }
            let dir = tempfile::Builder::new().prefix("scratch-").tempdir_in(out)?;
            let spent = run(&scripts, size.streams, dir.path())?;
            let packets =
                if name.starts_with("parties") { &scripts.parties } else { &scripts.mixed }.packets();
            times.push(spent.as_secs_f64() * 1e6 / real(packets * size.streams));
        }
        if round > 0 {
            rounds.push(times);
        }
    }
    Ok(Found { size: *size, parts: Parts::of(&rounds), cases: summaries(&rounds) })
}

fn of(round: &[f64], name: &str) -> f64 {
    CASES.iter().zip(round).find(|((case, ..), _)| *case == name).map_or(f64::NAN, |(_, us)| *us)
}

fn summaries(rounds: &[Vec<f64>]) -> Vec<Case> {
    let summary = |(name, what, _): &(&'static str, &'static str, Run)| {
        let all = |value: fn(&[f64], &str) -> f64| {
            Spread::of(&rounds.iter().map(|round| value(round, name)).collect::<Vec<_>>())
        };
        let us_per_packet = all(of);
        Case {
            name,
            what,
            us_per_packet,
            packets_per_core_second: 1e6 / us_per_packet.median,
            times_floor: all(|round, name| of(round, name) / of(round, "floor")),
        }
    };
    CASES.iter().map(summary).collect()
}

impl Parts {
    fn of(rounds: &[Vec<f64>]) -> Self {
        let median = |value: fn(&[f64]) -> f64| {
            Spread::of(&rounds.iter().map(|round| value(round)).collect::<Vec<_>>()).median
        };
        Self {
            peek_us: median(|r| of(r, "peek")),
            parse_us: median(|r| of(r, "parse")),
            decode_us: median(|r| of(r, "decode") - of(r, "parse")),
            recorder_us: median(|r| of(r, "mixed_1s") - of(r, "decode")),
            often_flushed_us: median(|r| of(r, "mixed_100ms") - of(r, "mixed_1s")),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { streams, seconds, rounds } = self.size;
        writeln!(f, "One audio packet, frame to page cache: CPU time, L16 16 kHz mono 20 ms")?;
        writeln!(
            f,
            "{streams} recordings in turn, {seconds} s of packets each, median of {rounds} rounds (lowest, highest)\n"
        )?;
        writeln!(f, "{:<50} {:>20} {:>12} {:>8}", "", "us a packet", "a core/s", "x floor")?;
        for case in self.cases.iter().filter(|case| case.us_per_packet.median.is_finite()) {
            let Spread { median, min, max } = case.us_per_packet;
            let times = format!("{median:.2} ({min:.2}, {max:.2})");
            let (rate, ratio) = (case.packets_per_core_second, case.times_floor.median);
            writeln!(f, "{:<50} {times:>20} {rate:>12.0} {ratio:>8.2}", case.what)?;
        }
        let Parts { peek_us, parse_us, decode_us, recorder_us, often_flushed_us } = self.parts;
        if !(decode_us + recorder_us + often_flushed_us).is_finite() {
            return Ok(());
        }
        writeln!(
            f,
            "\nOf a mixed packet: peek {peek_us:.3}, parse {parse_us:.2}, decode {decode_us:.2}, recorder \
             {recorder_us:.2}, flushing ten times a second instead of once {often_flushed_us:.2} us"
        )
    }
}
