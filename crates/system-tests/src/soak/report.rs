//! What a run has seen: a line now and then, and the end of it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rtms_simulator::faults::Faults;
use serde_json::json;

use crate::compare::Loss;
use crate::processes::Usage;

/// Counts of a run.
pub(crate) struct Report {
    began: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    done: u64,
    failed: Vec<String>,
    /// What is missing, and from which engagement.
    losses: Vec<String>,
    total: Loss,
    lines: Vec<(f64, [Usage; 2])>,
}

impl Default for Report {
    fn default() -> Self {
        Self { began: Instant::now(), counts: Mutex::default() }
    }
}

/// The head of the table.
pub(crate) fn head() {
    println!(
        " minute | calls  failed  interruptions  lost samples  lost lines | worker MiB  fds  threads  cpu s | gateway MiB  fds  cpu s"
    );
}

impl Report {
    /// An engagement was compared. What is missing is named, with the faults that the engagement had.
    pub(crate) fn done(&self, number: u64, loss: &Loss, faults: &Faults) {
        let mut counts = self.lock();
        if !loss.what.is_empty() {
            let kept = if loss.is_none() { "" } else { "; its files are kept" };
            let what = format!("{number}: missing: {}; faults: {faults:?}{kept}", loss.what.join(", "));
            eprintln!("engagement {what}");
            counts.losses.push(what);
        }
        counts.done += 1;
        counts.total.samples += loss.samples;
        counts.total.lost_samples += loss.lost_samples;
        counts.total.lines += loss.lines;
        counts.total.lost_lines += loss.lost_lines;
        counts.total.lines_taken_by_resets += loss.lines_taken_by_resets;
        counts.total.interruptions += loss.interruptions;
    }

    /// An engagement went wrong.
    pub(crate) fn failed(&self, number: u64, problem: &str) {
        eprintln!("engagement {number}: {problem}");
        self.lock().failed.push(format!("{number}: {problem}"));
    }

    /// A line of the table.
    pub(crate) fn line(&self, usage: &[Usage; 2]) {
        let minute = self.began.elapsed().as_secs_f64() / 60.0;
        let mut counts = self.lock();
        counts.lines.push((minute, *usage));
        let [gateway, worker] = usage;
        println!(
            "{minute:7.2} | {:5}  {:6}  {:13}  {:12}  {:10} | {:10.1}  {:3}  {:7}  {:5.0} | {:11.1}  {:3}  {:5.1}",
            counts.done,
            counts.failed.len(),
            counts.total.interruptions,
            counts.total.lost_samples,
            counts.total.lost_lines,
            mib(worker.rss_kib),
            worker.descriptors,
            worker.threads,
            worker.cpu_ms as f64 / 1000.0,
            mib(gateway.rss_kib),
            gateway.descriptors,
            gateway.cpu_ms as f64 / 1000.0,
        );
    }

    /// The end: a summary, `soak.json`, and whether all is well.
    pub(crate) fn conclude(&self, folder: &Path) -> anyhow::Result<bool> {
        let counts = self.lock();
        let total = &counts.total;
        let rss = |(_, [gateway, worker]): &(f64, [Usage; 2])| json!({"gateway_kib": gateway.rss_kib, "worker_kib": worker.rss_kib});
        let well = counts.failed.is_empty() && total.is_none() && counts.done > 0;
        let summary = json!({
            "engagements": counts.done, "failed": counts.failed, "samples": total.samples,
            "lines": total.lines, "lost_samples": total.lost_samples, "lost_lines": total.lost_lines,
            "lines_taken_by_resets": total.lines_taken_by_resets, "losses": counts.losses,
            "interruptions": total.interruptions,
            "memory": counts.lines.iter().map(rss).collect::<Vec<_>>(),
        });
        std::fs::write(folder.join("soak.json"), serde_json::to_vec_pretty(&summary)?)?;
        println!(
            "{} engagements compared ({} samples, {} lines), {} failed, {} interruptions, {} samples lost, {} transcript lines lost, {} more taken by resets: {}",
            counts.done,
            total.samples,
            total.lines,
            counts.failed.len(),
            total.interruptions,
            total.lost_samples,
            total.lost_lines,
            total.lines_taken_by_resets,
            if well { "nothing was lost" } else { "NOT WELL" },
        );
        Ok(well)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
