//! The machine that figures are of, and the files that they go to.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Where and when figures were taken. What cannot be found out is empty.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    system: String,
    memory_gib: u64,
    /// Load of the last minute as the benchmark began: more than nothing means that it shared the machine.
    load: String,
    taken_at: String,
    /// The source, by `git describe`.
    source: String,
    debug_build: bool,
}

impl Machine {
    /// This one, now.
    pub(crate) fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let word = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.split_whitespace().next().unwrap_or_default().to_owned()
        };
        let kib: u64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            system: format!("{} {}", std::env::consts::OS, word("/proc/sys/kernel/osrelease")),
            memory_gib: (kib + 512 * 1024) / (1024 * 1024),
            load: word("/proc/loadavg"),
            taken_at: rtms_service::time::iso_now(),
            source: source(),
            debug_build: cfg!(debug_assertions),
        }
    }
}

fn source() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    described
        .ok()
        .filter(|run| run.status.success())
        .map(|run| String::from_utf8_lossy(&run.stdout).trim().to_owned())
        .unwrap_or_default()
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} x {}, {} GiB, {}; load {} at {}; source {}",
            self.processors,
            self.processor,
            self.memory_gib,
            self.system,
            self.load,
            self.taken_at,
            self.source
        )
    }
}

/// Writes `NAME.json` below `out`.
pub(crate) fn store(out: &Path, name: &str, machine: &Machine, found: &impl Serialize) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Stored<'a, T> {
        machine: &'a Machine,
        #[serde(flatten)]
        found: &'a T,
    }
    let json = serde_json::to_string_pretty(&Stored { machine, found })?;
    fs::write(out.join(format!("{name}.json")), json + "\n")?;
    Ok(())
}
