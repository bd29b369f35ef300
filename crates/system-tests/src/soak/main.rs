//! Engagements that come and go for a while against the real services as processes, with faults; every recording is
//! compared with what was played, sample for sample, and the services' memory, descriptors and threads are watched.
//!
//! Run by `scripts/soak`. Exit 0 when nothing was lost and every recording is complete.

mod call;
mod compare;
mod processes;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use rtms_protocol::Credentials;
use rtms_simulator::webhook::WebhookSender;
use rtms_simulator::{Simulator, SimulatorConfig};
use tokio::sync::Semaphore;

use call::Stage;
use processes::Services;
use report::Report;

/// How often the services are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Between two keep-alives of a harsh run.
const HARSH_KEEP_ALIVE: Duration = Duration::from_millis(20);

/// Engagements come and go against real services; nothing may be lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long new engagements begin, minutes
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Engagements at the same time
    #[arg(long, default_value_t = 100)]
    engagements: usize,
    /// Folder for everything; made anew
    #[arg(long, default_value = "target/soak")]
    folder: PathBuf,
    /// Folder of the programs rtms-gateway and rtms-worker
    #[arg(long)]
    programs: PathBuf,
    /// Hand the worker over to a new process this often, minutes; 0 never
    #[arg(long, default_value_t = 0.0)]
    handover: f64,
    /// In place of the usual faults, reset media right after every line of the transcript, with a keep-alive every 20 ms
    /// and a worker that runs half of the time only
    #[arg(long, conflicts_with = "handover")]
    harsh: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    if arguments.folder.exists() {
        std::fs::remove_dir_all(&arguments.folder).context("the folder of an earlier run")?;
    }
    std::fs::create_dir_all(&arguments.folder)?;
    let folder = arguments.folder.canonicalize()?;
    let programs = arguments.programs.canonicalize().context("--programs")?;
    let credentials = Credentials { client_id: "cid".into(), client_secret: "csecret".into() };
    let mut config = SimulatorConfig::new(credentials);
    if arguments.harsh {
        // There is always something to answer, also when a connection is reset.
        config.timing.keep_alive = HARSH_KEEP_ALIVE;
        config.timing.keep_alive_misses = u32::MAX;
    }
    let simulator = Simulator::start(config).await?;
    std::fs::write(folder.join("ca.pem"), simulator.ca_pem().unwrap_or_default())?;
    let mut services = Services::start(&folder, &programs).await?;
    let sender = WebhookSender::new(&services.gateway_url(), processes::SECRET_TOKEN.into(), Vec::new())?;
    let report = Arc::new(Report::default());
    let (data, report_too) = (folder.join("data"), Arc::clone(&report));
    let stage = Arc::new(Stage { simulator, sender, data, report: report_too, harsh: arguments.harsh });

    let end = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
    let spread = Duration::from_secs(20) / u32::try_from(arguments.engagements.max(1))?;
    let crowd = tokio::spawn(crowd(Arc::clone(&stage), arguments.engagements, end, spread));
    let mut handover_at = next_handover(arguments.handover);
    let starved = arguments.harsh.then(|| services.starve_worker());
    report::head();
    while !crowd.is_finished() {
        tokio::time::sleep(LOOK_EVERY).await;
        report.line(&services.usage());
        if handover_at.is_some_and(|at| at <= Instant::now()) && Instant::now() < end {
            services.hand_over().await?;
            handover_at = next_handover(arguments.handover);
        }
    }
    crowd.await?;
    if let Some(starved) = starved {
        starved.end().await?;
    }
    services.stop().await;
    report.conclude(&folder)
}

fn next_handover(minutes: f64) -> Option<Instant> {
    (minutes > 0.0).then(|| Instant::now() + Duration::from_secs_f64(minutes * 60.0))
}

/// Keeps `count` engagements going until `end`, then waits for the last ones.
async fn crowd(stage: Arc<Stage>, count: usize, end: Instant, spread: Duration) {
    let places = Arc::new(Semaphore::new(count));
    let mut number = 0_u64;
    while Instant::now() < end {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            stage.play_one(number).await;
            drop(place);
        });
        number += 1;
        // Calls do not all begin in the same millisecond.
        tokio::time::sleep(spread).await;
    }
    drop(places.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await);
}
