//! The table that is printed.

use std::fmt;

use super::lateness::Late;
use super::{Figures, Found, Run};

/// The line above the figures.
pub(crate) struct Heading;

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>7} {:<7} {:>7} {:>7} {:>6} {:>9} {:>8} {:>18} {:>18} {:>18} {:>15} {:>6}",
            "streams",
            "",
            "us/pkt",
            "x floor",
            "cores",
            "ms/stream",
            "KiB each",
            "late starting, ms",
            "late on disk, ms",
            "joined, ms",
            "generator late",
            "cores"
        )
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Streams over TLS, mixed L16 16 kHz in packets of 20 ms and a transcript; {} s each, {} starts a second\n",
            self.seconds, self.starts_per_second
        )?;
        write!(f, "{Heading}")?;
        self.runs.iter().try_for_each(|run| write!(f, "{run}"))?;
        if self.runs.iter().any(Run::generator_was_the_limit) {
            writeln!(
                f,
                "\n! The generator did not keep up: these figures flatter, because late packets come in bunches."
            )?;
        }
        writeln!(
            f,
            "\nNothing was lost. Triples are median, 99 %, worst; joined: median, worst, until the last was.\n\
             Starting: from the first start until 5 s after the last."
        )?;
        let cuts: usize = self.runs.iter().map(|run| run.worker.interruptions).sum();
        if cuts > 0 { writeln!(f, "Streams came back from {cuts} cuts.") } else { Ok(()) }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(floor) = &self.floor {
            line(f, self.streams, "floor", floor, None)?;
        }
        line(f, self.streams, "worker", &self.worker, self.times_floor)
    }
}

impl Run {
    fn generator_was_the_limit(&self) -> bool {
        let limit = |figures: &Figures| figures.generator.was_the_limit;
        limit(&self.worker) || self.floor.as_ref().is_some_and(limit)
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    streams: u32,
    name: &str,
    of: &Figures,
    times: Option<f64>,
) -> fmt::Result {
    let late = |late: Option<Late>| {
        late.map_or_else(|| "-".to_owned(), |late| format!("{} {} {}", late.p50_ms, late.p99_ms, late.max_ms))
    };
    let (starting, late) = (late(of.late_starting), late(of.late));
    let ms = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
    let joined = &of.generator.joined;
    let joined = [joined.p50_ms, joined.max_ms, joined.last_ms].map(ms).join(" ");
    let own = &of.generator.own_lateness;
    let limit = if of.generator.was_the_limit { " !" } else { "" };
    let own = format!("{} {} {}{limit}", own.p50_ms, own.p99_ms, own.max_ms);
    let times = times.map_or_else(String::new, |times| format!("{times:.2}"));
    writeln!(
        f,
        "{streams:>7} {name:<7} {:>7.2} {times:>7} {:>6.2} {:>9.3} {:>8.1} {starting:>18} {late:>18} {joined:>18} {own:>15} {:>6.2}",
        of.us_per_packet, of.cores, of.ms_per_stream_second, of.kib_per_stream, of.generator_cores
    )
}
