//! Benchmarks of the hot paths: an audio packet from frame to page cache, from Zoom to a listener, and a webhook from
//! socket to outbox.
//!
//! CPU time is measured, by the operating system's accounting, not elapsed time: other work on the machine disturbs it
//! less. What remains of the disturbance is met by rounds: every round runs every case in turn, medians are reported,
//! and ratios are formed within a round. Each run proves that it did the work it claims (packets recorded, answers
//! 200), so that a fast error path is never taken for a fast program.
//!
//! It refuses to judge: no figure makes it fail, only work that was not done.

mod audio;
mod cpu;
mod live;
mod process;
mod report;
mod stats;
mod streams;
mod webhooks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, Subcommand};

/// The services' own, since they are measured in processes of this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of the recording, listening and webhook paths; results as text and as JSON.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    which: Option<Which>,
    /// Much less work: does it still run, not how fast.
    #[arg(long, global = true)]
    quick: bool,
    /// Run no other cases than those whose name in the JSON begins so; for profilers. Ratios to the rest are missing.
    #[arg(long, global = true, value_name = "NAME", default_value = "")]
    only: String,
    /// Where the JSON goes; scratch files are made below it too, so it decides which disk is measured.
    #[arg(long, global = true, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
enum Which {
    /// CPU time of one audio packet, from frame to page cache.
    Audio,
    /// Verified webhooks a second on one core.
    Webhooks,
    /// Time from Zoom's frame to a listener, through a worker with many engagements.
    Live,
    /// The process under test of `live`; started by it.
    #[command(hide = true)]
    Worker {
        /// The folder of its data and settings.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Streams through the whole worker and through the floor program, at several numbers of them.
    Streams(streams::Wanted),
    /// The floor program of `streams`; started by it.
    #[command(hide = true)]
    StreamFloor(streams::floor::Arguments),
    /// The process under test of `webhooks`; started by it.
    #[command(hide = true)]
    Gateway {
        /// The outbox's folder.
        #[arg(long)]
        dir: PathBuf,
        /// The worker to deliver to.
        #[arg(long)]
        worker: SocketAddr,
        /// The only processor to run on.
        #[arg(long)]
        cpu: Option<usize>,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { which, quick, only, out } = Arguments::parse();
    match which {
        Some(Which::Gateway { dir, worker, cpu }) => return webhooks::process::play(dir, worker, cpu),
        Some(Which::Worker { dir }) => return live::worker::play(&dir),
        Some(Which::StreamFloor(arguments)) => return streams::floor::play(arguments),
        _ => {}
    }
    std::fs::create_dir_all(&out)?;
    let wanted = |one: &Which| which.as_ref().is_none_or(|which| which == one);
    let began = Instant::now();
    if cfg!(debug_assertions) {
        println!("This is a debug build: the figures mean nothing.\n");
    }
    let machine = report::Machine::here();
    println!("{machine}\n");
    if wanted(&Which::Audio) {
        let found = audio::run(&if quick { audio::QUICK } else { audio::FULL }, &only, &out)?;
        println!("{found}");
        report::store(&out, "audio", &machine, &found)?;
    }
    if wanted(&Which::Webhooks) {
        let found = webhooks::run(&if quick { webhooks::QUICK } else { webhooks::FULL }, &only, &out)?;
        println!("{found}");
        report::store(&out, "webhooks", &machine, &found)?;
    }
    if wanted(&Which::Live) {
        let found = live::run(&if quick { live::QUICK } else { live::FULL }, &only, &out)?;
        println!("{found}");
        report::store(&out, "live", &machine, &found)?;
    }
    if let Some(Which::Streams(wanted)) = which {
        let found = streams::run(&if quick { wanted.quick() } else { wanted }, &out)?;
        println!("{found}");
        report::store(&out, "streams", &machine, &found)?;
    }
    println!("Took {:.0} s; JSON is in {}.", began.elapsed().as_secs_f64(), out.display());
    Ok(())
}
