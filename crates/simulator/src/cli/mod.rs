//! The program: settings, the four commands, and what they print.

mod args;
mod call;
mod faults;
mod load;
mod serve;
mod settings;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use args::{Cli, Command, ServerArgs};
use clap::Parser as _;
use rtms_simulator::Simulator;
use settings::{Variables, Wrong};

/// Why a command ends without success.
pub(crate) enum Failure {
    /// Exit status 2: settings.
    Settings(Wrong),
    /// Exit status 1: it did not work out.
    Run(anyhow::Error),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::Settings(wrong)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

/// Runs the command line; exit status 0, 1 (it did not work out) or 2 (settings).
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // Colours are for terminals, and for people who want them (https://no-color.org).
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Settings(Wrong(lines))) => {
            lines.iter().for_each(|line| eprintln!("rtms-simulator: {line}"));
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) => {
            eprintln!("rtms-simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<bool, Failure> {
    if let Command::Certificate(args) = &cli.command {
        std::fs::create_dir_all(&args.folder)
            .with_context(|| format!("cannot make {}", args.folder.display()))?;
        rtms_simulator::write_certificate(&args.folder, &args.public_host)?;
        println!("{}: ca.pem for clients, cert.pem and key.pem for --cert and --key", args.folder.display());
        return Ok(true);
    }
    let variables = Variables::load(cli.config.as_deref())?;
    let runtime = runtime(&cli.command)?;
    raise_open_files();
    match cli.command {
        Command::Serve(args) => runtime.block_on(serve::run(&variables, &args)),
        Command::Call(args) => runtime.block_on(call::run(&variables, &args)),
        Command::Load(args) => runtime.block_on(load::run(&variables, &args)),
        Command::Certificate(_) => Ok(true),
    }
}

/// All processors, or as many threads as a load is to be played from.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    let threads = if let Command::Load(args) = command { usize::from(args.threads) } else { 0 };
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

/// Two sockets a stream, and many shells give 1,024 descriptors: take all we may have.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Starts the server and writes the CA where it is wanted.
pub(crate) async fn start(
    args: &ServerArgs,
    config: rtms_simulator::SimulatorConfig,
) -> Result<Simulator, Failure> {
    let simulator = Simulator::start(config).await.map_err(|error| Wrong(vec![error.to_string()]))?;
    if let (Some(file), Some(pem)) = (&args.ca_out, simulator.ca_pem()) {
        std::fs::write(file, pem)
            .map_err(|error| Wrong(vec![format!("--ca-out: cannot write {}: {error}", file.display())]))?;
    }
    tracing::info!(url = %simulator.signaling_url(), "simulator listens");
    Ok(simulator)
}

/// Resolves when somebody wants the program to stop.
pub(crate) async fn stopped_by_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    // The second one stops at once, whatever is going on.
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        std::process::exit(130);
    });
}
