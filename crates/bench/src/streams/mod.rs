//! What a stream costs in the whole worker, beside the least that any recorder must do, at several numbers of streams.
//!
//! For each number, `rtms-simulator load` plays phone calls (mixed L16 16 kHz in packets of 20 ms, and the conversation's
//! transcript) over TLS: first to the floor program, then to the real worker, each in a process of its own, as released.
//! Webhooks go straight to the process that records; the gateway is measured elsewhere. CPU time and memory are read
//! from `/proc` over a window in which every stream plays.
//!
//! It fails when anything was lost, and says where the generator was the limit: the figures beside it then say little.

mod check;
pub(crate) mod floor;
mod generator;
mod http;
mod lateness;
mod process;
mod recorder;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::stats::real;
use generator::{Generator, Report};
use lateness::Late;
use recorder::{Kind, Recorder};

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Wanted {
    /// How many streams at the same time; each number is a run.
    #[arg(long, value_delimiter = ',', default_value = "10,100,500,1000,2000")]
    streams: Vec<u32>,
    /// Seconds that are measured, once all streams play.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Streams that start in a second.
    #[arg(long, default_value_t = 100)]
    starts: u32,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    generator_threads: u8,
    /// Threads of the floor program.
    #[arg(long, default_value_t = 1)]
    floor_threads: u8,
    /// Where rtms-worker and rtms-simulator are; beside this program without it.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Only the worker, for a profiler: no ratios.
    #[arg(long)]
    only_worker: bool,
    /// Of the streams, cut so many percent a minute; only for the worker, because the floor does not come back.
    #[arg(long, default_value_t = 0, requires = "only_worker")]
    cut_percent: u32,
}

impl Wanted {
    /// For a look whether it works.
    pub(crate) fn quick(self) -> Self {
        Self { streams: vec![4], seconds: 2, ..self }
    }
}

/// After the last start and before the window: TLS handshakes are not what a stream costs.
const SETTLE: Duration = Duration::from_secs(5);
/// What a stream goes on after the window.
const REST: Duration = Duration::from_secs(2);

/// For the generator to end after its last stream should have.
const PATIENCE: Duration = Duration::from_secs(90);

/// All runs.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    seconds: u32,
    starts_per_second: u32,
    runs: Vec<Run>,
}

/// One number of streams.
#[derive(Debug, Serialize)]
struct Run {
    streams: u32,
    floor: Option<Figures>,
    worker: Figures,
    /// CPU time a packet, worker to floor.
    times_floor: Option<f64>,
}

/// What one process used, and how the load went.
#[derive(Debug, Serialize)]
struct Figures {
    /// CPU time an audio packet, microseconds; transcript lines and keep-alives are in it.
    us_per_packet: f64,
    /// CPU time a stream and second, milliseconds.
    ms_per_stream_second: f64,
    /// Share of one core.
    cores: f64,
    /// Resident memory a stream, KiB, beyond that of the idle process.
    kib_per_stream: f64,
    /// Audio packets in the window.
    packets: u64,
    /// From the moment when a packet was due at the sender to the file's header that speaks of it.
    late: Option<Late>,
    /// The same while the streams started, and until they were settled.
    late_starting: Option<Late>,
    /// How often a stream was cut and came back, in all of the run.
    interruptions: usize,
    /// Share of one core that the generator took in the window.
    generator_cores: f64,
    generator: Report,
}

/// Runs everything; scratch files are made below `out`.
pub(crate) fn run(wanted: &Wanted, out: &Path) -> anyhow::Result<Found> {
    let own = std::env::current_exe()?;
    let beside = own.parent().context("a program in no folder")?;
    let programs = wanted.programs.as_deref().unwrap_or(beside);
    let mut runs = Vec::new();
    eprint!("{}", table::Heading);
    for &streams in &wanted.streams {
        let bench = Bench { wanted, streams, programs, out };
        let floor = if wanted.only_worker { None } else { Some(bench.measure(Kind::Floor)?) };
        let worker = bench.measure(Kind::Worker)?;
        let times_floor = floor.as_ref().map(|floor| worker.us_per_packet / floor.us_per_packet);
        let run = Run { streams, floor, worker, times_floor };
        // What follows may take minutes, or fail.
        eprint!("{run}");
        runs.push(run);
    }
    Ok(Found { seconds: wanted.seconds, starts_per_second: wanted.starts, runs })
}

/// One number of streams, before it is run.
struct Bench<'a> {
    wanted: &'a Wanted,
    streams: u32,
    programs: &'a Path,
    out: &'a Path,
}

impl Bench<'_> {
    fn measure(&self, kind: Kind) -> anyhow::Result<Figures> {
        let scratch = tempfile::Builder::new().prefix("scratch-").tempdir_in(self.out)?;
        let folder = scratch.path().canonicalize()?;
        generator::certificate(self.programs, &folder)?;
        let recorder = Recorder::start(kind, self.programs, &folder, self.wanted.floor_threads)?;
        let idle_kib = recorder.process().rss_kib()?;
        let ramp = Duration::from_secs_f64(f64::from(self.streams) / f64::from(self.wanted.starts.max(1)));
        let window = Duration::from_secs(u64::from(self.wanted.seconds));
        let load = generator::Load {
            streams: self.streams,
            ramp,
            duration: ramp + SETTLE + window + REST,
            threads: self.wanted.generator_threads,
            cut_percent: self.wanted.cut_percent,
        };
        let generator = Generator::start(self.programs, &folder, &load, recorder.webhooks())?;
        let starts = (kind == Kind::Worker)
            .then(|| lateness::watch_starts(&folder.join("data"), self.streams, ramp + SETTLE));
        std::thread::sleep(ramp + SETTLE);
        let late_starting = starts.map(lateness::Watch::found).transpose()?;
        let watch =
            (kind == Kind::Worker).then(|| lateness::watch(&folder.join("data"), window)).transpose()?;
        let before = Sample::take(&recorder, &generator)?;
        std::thread::sleep(window);
        let after = Sample::take(&recorder, &generator)?;
        let rss_kib = recorder.process().rss_kib()?;
        let late = watch.map(lateness::Watch::found).transpose()?;
        let report = generator.wait(ramp + load.duration + PATIENCE)?;
        ensure!(
            report.complete == self.streams,
            "{} of {} streams were taken whole: {report:?}; {}",
            report.complete,
            self.streams,
            recorder.last_words()
        );
        let taken = recorder.packets_in_the_end(report.audio_packets)?;
        let last_words = recorder.last_words();
        recorder.stop()?;
        let interruptions = check::nothing_lost(kind, &folder.join("data"), &report, taken, &load)
            .with_context(|| format!("{} streams, {kind:?}; {last_words}", self.streams))?;
        let grown_kib = rss_kib.saturating_sub(idle_kib);
        Ok(Figures {
            interruptions,
            ..figures(self.streams, &before, &after, grown_kib, (late_starting, late), report)
        })
    }
}

/// The counters of one moment.
struct Sample {
    at: Instant,
    recorder: Duration,
    generator: Duration,
    packets: u64,
}

impl Sample {
    fn take(recorder: &Recorder, generator: &Generator) -> anyhow::Result<Self> {
        let packets = recorder.packets()?;
        Ok(Self {
            at: Instant::now(),
            recorder: recorder.process().cpu()?,
            generator: generator.process().cpu()?,
            packets,
        })
    }
}

fn figures(
    streams: u32,
    before: &Sample,
    after: &Sample,
    grown_kib: u64,
    (late_starting, late): (Option<Late>, Option<Late>),
    generator: Report,
) -> Figures {
    let elapsed = (after.at - before.at).as_secs_f64();
    let cpu = after.recorder.saturating_sub(before.recorder).as_secs_f64();
    let packets = after.packets.saturating_sub(before.packets);
    let count = |count: u64| real(usize::try_from(count).unwrap_or(usize::MAX));
    Figures {
        us_per_packet: cpu * 1e6 / count(packets),
        ms_per_stream_second: cpu * 1e3 / elapsed / f64::from(streams),
        cores: cpu / elapsed,
        kib_per_stream: count(grown_kib) / f64::from(streams),
        packets,
        late,
        late_starting,
        interruptions: 0,
        generator_cores: after.generator.saturating_sub(before.generator).as_secs_f64() / elapsed,
        generator,
    }
}
