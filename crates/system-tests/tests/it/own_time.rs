//! How long a program had for something on a busy machine: the time that passed, less the time for which it was ready to
//! run and waited for a processor. What is promised in milliseconds is promised of the former.
//!
//! Linux counts the waiting of each thread (`schedstat`). What happens passes from thread to thread, of which seldom more
//! than two are held up one after the other: the two that waited the longest count. On an idle machine that is next to
//! nothing; where the count is not to be had, all time is the program's own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two looks at a program.
const EVERY: Duration = Duration::from_millis(10);
/// For how long looks are kept: beyond that nobody asks.
const KEPT: Duration = Duration::from_secs(20);

/// How long each thread has waited for a processor since it began.
type Waits = BTreeMap<String, Duration>;

fn waits(pid: u32) -> Waits {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Waits::new() };
    let of = |thread: std::fs::DirEntry| {
        let counts = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanos = counts.split_whitespace().nth(1)?.parse().ok()?;
        Some((thread.file_name().into_string().ok()?, Duration::from_nanos(nanos)))
    };
    threads.flatten().filter_map(of).collect()
}

/// How long was waited between two looks.
fn between(before: &Waits, after: &Waits) -> Duration {
    let more = |(thread, waited): (&String, &Duration)| {
        waited.saturating_sub(before.get(thread).copied().unwrap_or_default())
    };
    let mut more: Vec<_> = after.iter().map(more).collect();
    more.sort_unstable();
    more.iter().rev().take(2).sum()
}

/// Measures how long programs have for something.
pub(crate) struct Stopwatch {
    began: Instant,
    programs: Vec<(u32, Waits)>,
}

impl Stopwatch {
    /// Begins now, for these programs and this one, which plays Zoom.
    pub(crate) fn begin(pids: &[u32]) -> Self {
        let programs = pids.iter().copied().chain([std::process::id()]);
        Self { began: Instant::now(), programs: programs.map(|pid| (pid, waits(pid))).collect() }
    }

    /// How much time they had until now.
    pub(crate) fn own(&self) -> Duration {
        let waited = self.programs.iter().map(|(pid, before)| between(before, &waits(*pid))).sum();
        self.began.elapsed().saturating_sub(waited)
    }
}

/// Looks at a program for as long as it is kept.
pub(crate) struct Watch {
    pid: u32,
    looks: Arc<Mutex<VecDeque<(Instant, Waits)>>>,
}

impl Watch {
    pub(crate) fn begin(pid: u32) -> Self {
        let looks = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::downgrade(&looks);
        std::thread::spawn(move || {
            while let Some(looks) = kept.upgrade() {
                look(pid, &looks);
                drop(looks);
                std::thread::sleep(EVERY);
            }
        });
        Self { pid, looks }
    }

    /// The shortest time until now of which the program had so much.
    pub(crate) fn last(&self, own: Duration) -> Duration {
        look(self.pid, &self.looks);
        let looks = self.looks.lock().unwrap();
        let (now, after) = looks.back().unwrap();
        let passed = looks.iter().rev().map(|(at, before)| {
            let passed = now.duration_since(*at);
            (passed, passed.saturating_sub(between(before, after)))
        });
        let mut enough = passed.filter(|(_, had)| *had >= own).map(|(passed, _)| passed);
        enough.next().expect("the program ran for that long")
    }
}

fn look(pid: u32, looks: &Mutex<VecDeque<(Instant, Waits)>>) {
    let waits = waits(pid);
    let mut looks = looks.lock().unwrap();
    looks.push_back((Instant::now(), waits));
    while looks.front().is_some_and(|(at, _)| at.elapsed() > KEPT) {
        looks.pop_front();
    }
}
