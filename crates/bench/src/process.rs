//! A service under test in a process of its own, so that its CPU time can be told from the benchmark's.
//!
//! It is the service's own library with the service's own runtime and log, on a free port. Its log goes to standard
//! output as ever, which is a file here; it talks with the benchmark over standard input (a line asks for the CPU
//! time, the end stops it) and standard error (one JSON object an answer).

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rtms_service::CancellationToken;
use rtms_service::logging::{LogFormat, LogSettings};
use serde::{Deserialize, Serialize};

use crate::cpu;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Listening(SocketAddr),
    CpuNanos(u64),
}

fn say(word: &Word) -> io::Result<()> {
    eprintln!("{}", serde_json::to_string(word)?);
    Ok(())
}

/// The service's side: logs as a service does, says where it listens, answers the benchmark, and cancels `shutdown` when
/// that is gone.
pub(crate) fn serve(address: SocketAddr, shutdown: CancellationToken) -> io::Result<()> {
    LogSettings { format: LogFormat::Json, filter: "info".to_owned() }.install();
    say(&Word::Listening(address))?;
    std::thread::spawn(move || listen(&shutdown));
    Ok(())
}

/// Answers the benchmark; what cannot be said any more ends the service.
fn listen(shutdown: &CancellationToken) {
    for line in io::stdin().lock().lines() {
        let nanos = u64::try_from(cpu::of_process().as_nanos()).unwrap_or(u64::MAX);
        if line.is_err() || say(&Word::CpuNanos(nanos)).is_err() {
            break;
        }
    }
    shutdown.cancel();
}

/// A process under test, from outside. Dropping it stops it.
pub(crate) struct Process {
    child: Child,
    words: BufReader<ChildStderr>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts `command`, which is made of [`Self::command`]; its log goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = File::create(log)?;
        let mut child = command.stdin(Stdio::piped()).stdout(log).stderr(Stdio::piped()).spawn()?;
        let words = BufReader::new(child.stderr.take().context("no standard error")?);
        let mut process = Self { child, words, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        match process.word()? {
            Word::Listening(at) => process.address = at,
            word @ Word::CpuNanos(_) => anyhow::bail!("the process under test began with {word:?}"),
        }
        Ok(process)
    }

    /// This program with one of its hidden subcommands.
    pub(crate) fn command(subcommand: &str) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(subcommand);
        Ok(command)
    }

    /// CPU time of the process so far.
    pub(crate) fn cpu(&mut self) -> anyhow::Result<Duration> {
        self.child.stdin.as_mut().context("no standard input")?.write_all(b"cpu\n")?;
        match self.word()? {
            Word::CpuNanos(nanos) => Ok(Duration::from_nanos(nanos)),
            word @ Word::Listening(_) => anyhow::bail!("the process under test answered {word:?}"),
        }
    }

    fn word(&mut self) -> anyhow::Result<Word> {
        let mut line = String::new();
        self.words.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the process under test said {line:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input asks it to stop; nothing here depends on how it did.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
