//! How long a program had for something on a busy machine: the time that passed, less the time for which it was ready to
//! run and waited for a processor. What is promised in milliseconds is promised of the former.
//!
//! Linux counts the waiting of each thread (`schedstat`). Threads wait at the same time, so it is not added up: of those
//! that do the same work the one counts that waited the longest. On an idle machine that is next to nothing; where the
//! count is not to be had, all time is the program's own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two looks at a program.
const EVERY: Duration = Duration::from_millis(10);
/// For how long looks are kept: beyond that nobody asks.
const KEPT: Duration = Duration::from_secs(20);

/// The threads of a worker that a packet passes, by how their names begin: one takes it, another one writes it.
const PACKETS_PASS: [&str; 2] = ["media-", "writer-"];

/// Each thread with its name and how long it has waited for a processor since it began.
type Waits = BTreeMap<String, (String, Duration)>;

fn waits(pid: u32) -> Waits {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Waits::new() };
    let of = |thread: std::fs::DirEntry| {
        let name = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        let counts = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanos = counts.split_whitespace().nth(1)?.parse().ok()?;
        Some((thread.file_name().into_string().ok()?, (name, Duration::from_nanos(nanos))))
    };
    threads.flatten().filter_map(of).collect()
}

/// How long the one of the threads whose names begin like this waited that waited the longest, between two looks.
fn between(before: &Waits, after: &Waits, named: &str) -> Duration {
    let threads = after.iter().filter(|(_, (name, _))| name.starts_with(named));
    let more = threads.map(|(thread, (_, waited))| {
        waited.saturating_sub(before.get(thread).map_or(Duration::ZERO, |(_, waited)| *waited))
    });
    more.max().unwrap_or_default()
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
        let waited = self.programs.iter().map(|(pid, before)| between(before, &waits(*pid), "")).sum();
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

    /// The shortest time until now in which a packet had so much, were it held up by every thread that it passes; all the
    /// time that is known, where that is not enough.
    pub(crate) fn last(&self, own: Duration) -> Duration {
        look(self.pid, &self.looks);
        let looks = self.looks.lock().unwrap();
        let (now, after) = looks.back().unwrap();
        let mut longest = Duration::ZERO;
        for (at, before) in looks.iter().rev() {
            longest = now.duration_since(*at);
            let waited: Duration = PACKETS_PASS.iter().map(|named| between(before, after, named)).sum();
            if longest.saturating_sub(waited) >= own {
                break;
            }
        }
        longest
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
