//! Time from Zoom's frame to a listener on the same machine, and what listening costs the worker.
//!
//! The worker runs in a process of its own. In this one the simulator plays many engagements over TLS, each with its own
//! place within the 20 ms, and one listener to each takes the packets. A packet's timestamp is when the simulator was to
//! send it, to the ms and rounded down; what is measured is from then until the listener has it. So the simulator's
//! own lateness, and up to 1 ms of rounding, are part of every figure: the worker's share is smaller, never larger.
//!
//! A second case plays the same with nobody listening; the difference in CPU time is what listening costs.

mod listener;
pub(crate) mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use rtms_protocol::{AudioParams, Credentials, MediaParams, Product, StreamIdentity};
use rtms_service::time::unix_millis;
use rtms_simulator::faults::Faults;
use rtms_simulator::webhook::{Layout, started};
use rtms_simulator::{Simulator, SimulatorConfig, StreamHandle};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::process::Process;
use crate::stats::{Spread, percentile, real};
use crate::webhooks::client::send_all;
use listener::{Heard, Window, listen};

/// How much is played.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Size {
    /// Engagements at the same time.
    engagements: usize,
    /// Length of the measured part, seconds.
    seconds: u32,
    /// Measured runs of every case.
    rounds: usize,
}

/// For figures.
pub(crate) const FULL: Size = Size { engagements: 200, seconds: 10, rounds: 3 };
/// For a look whether it works.
pub(crate) const QUICK: Size = Size { engagements: 5, seconds: 1, rounds: 1 };

/// Sound in a packet, ms.
const PACKET_MS: u32 = 20;
/// Between two starts: streams that all began at once would all send at once.
const APART: Duration = Duration::from_millis(11);
/// From the last start to the measured part: backlogs are through, and all is warm.
const SETTLE: Duration = Duration::from_secs(2);
/// How late the last packets may be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Name, meaning, and whether anybody listens.
const CASES: [(&str, &str, bool); 2] =
    [("recorded", "recorded, nobody listens", false), ("heard", "recorded, a listener each", true)];

/// What listening takes.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    size: Size,
    cases: Vec<Case>,
}

/// One case; medians of the rounds.
#[derive(Debug, Serialize)]
struct Case {
    name: &'static str,
    what: &'static str,
    /// CPU time of the worker a packet that Zoom sends, microseconds, sockets and files included.
    us_per_packet: Spread,
    /// How late 99 of 100 packets left the simulator at most, ms, rounded down.
    simulator_p99_ms: Spread,
    /// What the listeners found.
    heard: Option<Latency>,
}

/// From the moment when a packet was due at Zoom until a listener had it, ms.
#[derive(Debug, Serialize)]
struct Latency {
    p50_ms: Spread,
    p99_ms: Spread,
    max_ms: Spread,
    /// Packets that listeners got in a run.
    packets: Spread,
    /// Packets that they were told they lost.
    lost: Spread,
}

/// What one run found.
struct Figures {
    us_per_packet: f64,
    simulator_p99_ms: f64,
    heard: Option<Heard>,
}

/// Runs every case whose name begins with `only`; recordings are made below `out`.
pub(crate) fn run(size: &Size, only: &str, out: &Path) -> anyhow::Result<Found> {
    let mut runs: Vec<Vec<Figures>> = CASES.iter().map(|_| Vec::new()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for _ in 0..size.rounds {
        for ((name, _, heard), runs) in CASES.iter().zip(&mut runs) {
            if name.starts_with(only) {
                let dir = tempfile::Builder::new().prefix("scratch-").tempdir_in(out)?;
                runs.push(runtime.block_on(measure(size, *heard, dir.path()))?);
            }
        }
    }
    let found = CASES.iter().zip(&mut runs).filter(|(_, runs)| !runs.is_empty());
    Ok(Found { size: *size, cases: found.map(|((name, what, _), runs)| summary(name, what, runs)).collect() })
}

async fn measure(size: &Size, is_heard: bool, dir: &Path) -> anyhow::Result<Figures> {
    let credentials =
        Credentials { client_id: worker::CLIENT.0.to_owned(), client_secret: worker::CLIENT.1.into() };
    let simulator = Simulator::start(SimulatorConfig::new(credentials)).await?;
    std::fs::write(dir.join(worker::CA_FILE), simulator.ca_pem().context("the simulator speaks no TLS")?)?;
    let mut worker = worker::start(dir)?;
    let window = Window::later();
    let mut listeners = JoinSet::new();
    let mut streams = Vec::with_capacity(size.engagements);
    for number in 0..size.engagements {
        let stream = begin(&simulator, worker.address, number, size).await?;
        if is_heard {
            let stream_id = stream.identity().stream_id.clone();
            listeners.spawn(listen(worker.address, stream_id, Arc::clone(&window)));
        }
        streams.push(stream);
        tokio::time::sleep(APART.mul_f64(0.5 + fastrand::f64())).await;
    }
    tokio::time::sleep(SETTLE).await;

    let from = unix_millis();
    window.set(from, from + i64::from(size.seconds) * 1000);
    let before = worker.cpu()?;
    tokio::time::sleep(Duration::from_secs(size.seconds.into())).await;
    let spent = worker.cpu()?.saturating_sub(before);
    let packets = real(size.engagements) * f64::from(size.seconds * 1000 / PACKET_MS);
    let heard =
        tokio::time::timeout(PATIENCE, gather(listeners)).await.context("listeners wait in vain")??;
    if is_heard {
        let all = real(heard.took_us.len()) + real(usize::try_from(heard.lost).unwrap_or(usize::MAX));
        ensure!(all >= packets * 0.99, "of {packets} packets {all} were accounted for");
    }
    let simulator_p99_ms =
        real(usize::try_from(simulator.lateness().percentile_ms(0.99)).unwrap_or(usize::MAX));
    stop(worker, &simulator, streams);
    Ok(Figures {
        us_per_packet: spent.as_secs_f64() * 1e6 / packets,
        simulator_p99_ms,
        heard: is_heard.then_some(heard),
    })
}

/// Lets one engagement begin, and the worker know.
async fn begin(
    simulator: &Simulator,
    worker: SocketAddr,
    number: usize,
    size: &Size,
) -> anyhow::Result<StreamHandle> {
    let longest = APART * 2 * u32::try_from(size.engagements).unwrap_or(u32::MAX) + SETTLE + PATIENCE;
    let duration_ms = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX) + i64::from(size.seconds) * 1000;
    let program = simulator.usual_program(Product::Phone, duration_ms);
    program.render(&MediaParams { audio: Some(AudioParams::default()), ..MediaParams::default() });
    let (id, stream_id) = (format!("engagement{number}"), format!("stream{number}"));
    let identity = StreamIdentity { product: Product::Phone, id, stream_id };
    let stream = simulator.announce(identity.clone(), program, Faults::default())?;
    let body = started(&identity, stream.signaling_url(), stream.time_zero().0, Layout::Flat).to_string();
    let request = format!(
        "POST /webhook HTTP/1.1\r\nhost: {worker}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    send_all(worker, &[Bytes::from(request)], 1, None).await?;
    Ok(stream)
}

async fn gather(mut listeners: JoinSet<anyhow::Result<Heard>>) -> anyhow::Result<Heard> {
    let mut all = Heard::default();
    while let Some(done) = listeners.join_next().await {
        let one = done??;
        all.took_us.extend(one.took_us);
        all.lost += one.lost;
    }
    all.took_us.sort_unstable();
    Ok(all)
}

/// The worker leaves its streams first, so that it sees no failure.
fn stop(worker: Process, simulator: &Simulator, streams: Vec<StreamHandle>) {
    drop(worker);
    drop(streams);
    simulator.shut_down();
}

fn summary(name: &'static str, what: &'static str, runs: &[Figures]) -> Case {
    let all = |value: fn(&Figures) -> f64| Spread::of(&runs.iter().map(value).collect::<Vec<_>>());
    let heard: Vec<&Heard> = runs.iter().filter_map(|run| run.heard.as_ref()).collect();
    let each =
        |value: fn(&Heard) -> f64| Spread::of(&heard.iter().map(|heard| value(heard)).collect::<Vec<_>>());
    let latency = (!heard.is_empty()).then(|| Latency {
        p50_ms: each(|heard| millis(heard, 50)),
        p99_ms: each(|heard| millis(heard, 99)),
        max_ms: each(|heard| millis(heard, 100)),
        packets: each(|heard| real(heard.took_us.len())),
        lost: each(|heard| real(usize::try_from(heard.lost).unwrap_or(usize::MAX))),
    });
    Case {
        name,
        what,
        us_per_packet: all(|run| run.us_per_packet),
        simulator_p99_ms: all(|run| run.simulator_p99_ms),
        heard: latency,
    }
}

fn millis(heard: &Heard, percent: usize) -> f64 {
    f64::from(percentile(&heard.took_us, percent)) / 1000.0
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { engagements, seconds, rounds } = self.size;
        writeln!(
            f,
            "From Zoom's frame to a listener: {engagements} engagements, L16 16 kHz mono 20 ms, TLS"
        )?;
        writeln!(f, "median of {rounds} runs of {seconds} s (lowest, highest)\n")?;
        for case in &self.cases {
            let Spread { median, min, max } = case.us_per_packet;
            writeln!(f, "{:<28} worker {median:.1} us of CPU a packet ({min:.1}, {max:.1})", case.what)?;
            let late = case.simulator_p99_ms;
            writeln!(f, "{:<28} the simulator itself was up to {:.0} ms late (p99)", "", late.median)?;
            let Some(heard) = &case.heard else { continue };
            for (what, Spread { median, min, max }) in
                [("p50", heard.p50_ms), ("p99", heard.p99_ms), ("worst", heard.max_ms)]
            {
                writeln!(f, "{:<28} {what:<5} {median:.2} ms ({min:.2}, {max:.2})", "")?;
            }
            let (packets, lost) = (heard.packets.median, heard.lost.max);
            writeln!(f, "{:<28} {packets:.0} packets a run, at most {lost:.0} lost", "")?;
        }
        Ok(())
    }
}
