//! Verified webhooks a second on one core.
//!
//! First the two steps that every webhook costs, alone in this process: the signature and the reading. Then the whole
//! gateway, in a process of its own on a processor of its own: sockets, HTTP, the gate, the outbox with its group
//! commits, and the delivery to a worker. Client and worker are in this process, on the other processors, so neither
//! is counted. Every request has another stream and another signature, made before any clock runs.
//!
//! Elapsed time depends on what else the machine does, and on its disk; the gateway's CPU time much less.

mod cases;
pub(crate) mod client;
mod gate;
mod post;
pub(crate) mod process;
mod worker;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::cpu;
use crate::stats::Spread;
use cases::{CASES, Figures};

/// How much is sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Size {
    /// Webhooks of one run through the gateway.
    requests: usize,
    /// Webhooks of one run through gate and envelope alone.
    checks: usize,
    /// Measured runs of every case.
    rounds: usize,
    /// Length of a run at a fixed rate, seconds.
    paced_seconds: usize,
}

/// For figures.
pub(crate) const FULL: Size = Size { requests: 8_000, checks: 20_000, rounds: 3, paced_seconds: 3 };
/// For a look whether it works.
pub(crate) const QUICK: Size = Size { requests: 300, checks: 500, rounds: 1, paced_seconds: 1 };

/// What webhooks cost.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    size: Size,
    /// Whether gateway and client had processors of their own.
    pinned: bool,
    body_bytes: usize,
    /// CPU time of the signature alone, microseconds.
    verify_us: Spread,
    /// CPU time of the signature and of reading the event, microseconds.
    verify_and_read_us: Spread,
    /// A small write and its fsync on the outbox's disk, milliseconds of elapsed time.
    disk_sync_ms: Spread,
    gateway: Vec<Case>,
}

/// One case through the gateway; medians of the rounds.
#[derive(Debug, Serialize)]
struct Case {
    name: &'static str,
    what: &'static str,
    connections: usize,
    /// Answers a second of elapsed time.
    answers_per_second: Spread,
    /// CPU time of the gateway an answer, microseconds, while requests came.
    us_per_answer: Spread,
    /// What one core would answer by that.
    answers_per_core_second: f64,
    /// CPU time of the gateway an event, microseconds, until the worker had all of them.
    us_per_delivered: Option<Spread>,
    p50_ms: Spread,
    p99_ms: Spread,
    /// How busy client and worker kept their processor, 1 for wholly: near it, they were the limit.
    client_load: Spread,
}

/// Runs every case whose name begins with `only`; outboxes are made below `out`.
pub(crate) fn run(size: &Size, only: &str, out: &Path) -> anyhow::Result<Found> {
    let (gateway_cpu, pinned) = match cpu::allowed().as_slice() {
        [first, others @ ..] if !others.is_empty() => {
            cpu::pin(others)?;
            (Some(*first), true)
        }
        _ => (None, false),
    };
    let (verify_us, verify_and_read_us) = gate::measure(size.checks, size.rounds * 3)?;
    let disk_sync_ms = Spread::of(&cases::disk_sync_ms(out, if size.rounds > 1 { 200 } else { 20 })?);
    let mut runs: Vec<Vec<Figures>> = CASES.iter().map(|_| Vec::new()).collect();
    for _ in 0..size.rounds {
        for (case, runs) in CASES.iter().zip(&mut runs).filter(|(case, _)| case.name.starts_with(only)) {
            runs.extend(cases::run(case, size, out, gateway_cpu)?);
        }
    }
    let gateway = CASES.iter().zip(&runs).filter(|(_, runs)| !runs.is_empty());
    Ok(Found {
        size: *size,
        pinned,
        body_bytes: post::body(post::Kind::Started, 0).len(),
        verify_us,
        verify_and_read_us,
        disk_sync_ms,
        gateway: gateway.map(|(case, runs)| summary(case, runs)).collect(),
    })
}

fn summary(case: &cases::Case, runs: &[Figures]) -> Case {
    let all = |value: fn(&Figures) -> f64| Spread::of(&runs.iter().map(value).collect::<Vec<_>>());
    let us_per_answer = all(|run| run.us_per_answer);
    let delivered: Option<Vec<f64>> = runs.iter().map(|run| run.us_per_delivered).collect();
    Case {
        name: case.name,
        what: case.what,
        connections: case.connections,
        answers_per_second: all(|run| run.answers_per_second),
        us_per_answer,
        answers_per_core_second: 1e6 / us_per_answer.median,
        us_per_delivered: delivered.map(|runs| Spread::of(&runs)),
        p50_ms: all(|run| run.p50_ms),
        p99_ms: all(|run| run.p99_ms),
        client_load: all(|run| run.client_load),
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { requests, rounds, .. } = self.size;
        let own =
            if self.pinned { "on one processor of its own" } else { "sharing processors with its client" };
        writeln!(f, "Verified webhooks of {} bytes, the gateway {own}", self.body_bytes)?;
        writeln!(f, "median of {rounds} runs of {requests} each\n")?;
        let alone = |us: f64| format!("{us:.2} us, {:.0} a core-second", 1e6 / us);
        writeln!(f, "signature alone: {}", alone(self.verify_us.median))?;
        writeln!(f, "signature and reading: {}", alone(self.verify_and_read_us.median))?;
        let Spread { median, min, max } = self.disk_sync_ms;
        writeln!(f, "this disk, 4 KiB and fsync: {median:.2} ms ({min:.2}, {max:.2})\n")?;
        writeln!(
            f,
            "{:<46} {:>5} {:>9} {:>9} {:>9} {:>10} {:>8} {:>8} {:>7}",
            "", "conns", "answers/s", "CPU us", "a core/s", "delivered", "p50 ms", "p99 ms", "client"
        )?;
        for case in &self.gateway {
            let delivered =
                case.us_per_delivered.map_or_else(|| "-".to_owned(), |us| format!("{:.0} us", us.median));
            writeln!(
                f,
                "{:<46} {:>5} {:>9.0} {:>9.1} {:>9.0} {delivered:>10} {:>8.2} {:>8.2} {:>7.2}",
                case.what,
                case.connections,
                case.answers_per_second.median,
                case.us_per_answer.median,
                case.answers_per_core_second,
                case.p50_ms.median,
                case.p99_ms.median,
                case.client_load.median
            )?;
        }
        Ok(())
    }
}
