//! The frame of a program: commands, settings, logging, signals, exit status. Both services' `main` is
//! [`main`] and nothing else.
//!
//! Exit status: 0 after a graceful stop or a good answer of `check` and `health`; 1 when the service
//! failed or an answer is bad; 2 when it cannot start because of a setting, a port or a folder, with
//! one line an error on standard error.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use tokio_util::sync::CancellationToken;

use crate::http::healthy;
use crate::logging::LogSettings;
use crate::settings::{SettingsErrors, SettingsReader, Sources, Table};
use crate::shutdown;

/// Exit status for a start that settings, ports or folders do not allow.
const CANNOT_START: u8 = 2;

/// A service, as its `main` needs to know it.
pub trait Program: Sized {
    /// The binary's name.
    const NAME: &'static str;
    /// Its version, `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// What it is, one line for `--help`.
    const ABOUT: &'static str;
    /// Its variables; `LOG_FORMAT` and `RUST_LOG` among them.
    const TABLE: &'static Table;
    /// Its settings, read.
    type Settings: Send + 'static;

    /// Reads the settings; errors are noted in the reader.
    fn read(reader: &mut SettingsReader) -> Self::Settings;

    /// The host and port whose `/health` the command `health` asks.
    fn health_address(reader: &mut SettingsReader) -> (String, u16);

    /// What the command `check` reaches for.
    fn check(settings: Self::Settings) -> impl Future<Output = Vec<Check>>;

    /// Runs until `shutdown` is cancelled, then stops gracefully. Says itself that it runs, and in which version, once
    /// nothing can keep it from starting any more: of a start that fails only the failure is told.
    fn run(
        settings: Self::Settings,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), RunError>>;
}

/// Why a service ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot start: a port in use, a folder that cannot be written. One line, naming the variable.
    #[error("{0}")]
    Start(String),
    /// It broke while it ran.
    #[error("{0}")]
    Failed(String),
}

/// One line of `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, "worker http://worker:3002".
    pub what: String,
    /// What was found: good news, or what to do.
    pub found: Result<String, String>,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Ok(text) => write!(f, "ok    {}: {text}", self.what),
            Err(text) => write!(f, "FAIL  {}: {text}", self.what),
        }
    }
}

/// The whole `main` of a service.
pub fn main<P: Program>() -> ExitCode {
    let matches = command::<P>().get_matches();
    let sources = match Sources::of_process(config_file(&matches)) {
        Ok(sources) => sources,
        Err(error) => return refused(&format!("the working folder cannot be read: {error}")),
    };
    match matches.subcommand_name() {
        Some("health") => health::<P>(&sources),
        Some("check") => check::<P>(&sources),
        _ => run::<P>(&sources),
    }
}

fn command<P: Program>() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Settings as TOML; .env and the environment win over it")
        .global(true)
        .value_parser(value_parser!(PathBuf));
    Command::new(P::NAME)
        .version(P::VERSION)
        .about(P::ABOUT)
        .after_help(P::TABLE.help())
        .arg(config)
        .subcommand(Command::new("check").about("Validate the settings and reach for what the service needs"))
        .subcommand(Command::new("health").about("Ask the running service on this host; exit 0 or 1"))
}

fn config_file(matches: &ArgMatches) -> Option<PathBuf> {
    let inner = matches.subcommand().and_then(|(_, sub)| sub.get_one::<PathBuf>("config"));
    inner.or_else(|| matches.get_one::<PathBuf>("config")).cloned()
}

/// Reads everything, or says everything that is wrong.
fn settings<P: Program>(sources: &Sources) -> Result<(P::Settings, LogSettings), SettingsErrors> {
    let mut reader = SettingsReader::load(P::TABLE, sources);
    let settings = P::read(&mut reader);
    let logging = LogSettings::read(&mut reader);
    reader.finish()?;
    Ok((settings, logging))
}

fn run<P: Program>(sources: &Sources) -> ExitCode {
    let (settings, logging) = match settings::<P>(sources) {
        Ok(read) => read,
        Err(errors) => return refused(&errors),
    };
    logging.install();
    raise_open_files();
    let ran = runtime().and_then(|runtime| {
        let ended = runtime.block_on(async {
            let shutdown = shutdown::on_signals()
                .map_err(|error| RunError::Failed(format!("cannot listen for signals: {error}")))?;
            P::run(settings, shutdown).await
        });
        // A blocking call that hangs (a disk that is gone) must not keep a stopped service alive.
        runtime.shutdown_timeout(std::time::Duration::from_secs(2));
        ended
    });
    match ran {
        Ok(()) => {
            tracing::info!("{} stopped", P::NAME);
            ExitCode::SUCCESS
        }
        Err(RunError::Start(line)) => refused(&line),
        Err(RunError::Failed(line)) => {
            tracing::error!("{} failed: {line}", P::NAME);
            eprintln!("{}: {line}", P::NAME);
            ExitCode::FAILURE
        }
    }
}

fn check<P: Program>(sources: &Sources) -> ExitCode {
    let settings = match settings::<P>(sources) {
        Ok((settings, _)) => settings,
        Err(errors) => return refused(&errors),
    };
    let lines = match runtime() {
        Ok(runtime) => runtime.block_on(P::check(settings)),
        Err(error) => return refused(&error),
    };
    println!("ok    settings: valid");
    for line in &lines {
        println!("{line}");
    }
    if lines.iter().all(|line| line.found.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn health<P: Program>(sources: &Sources) -> ExitCode {
    let mut reader = SettingsReader::load(P::TABLE, sources);
    let (host, port) = P::health_address(&mut reader);
    if let Err(errors) = reader.finish() {
        return refused(&errors);
    }
    match healthy(&host, port) {
        Ok(()) => {
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Failed(format!("cannot start threads: {error}")))
}

fn refused(lines: &impl fmt::Display) -> ExitCode {
    eprintln!("{lines}");
    ExitCode::from(CANNOT_START)
}

/// Thousands of streams need thousands of descriptors, and many shells give 1,024: take all we may have.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
