//! Processor time, and which processor.
//!
//! The clocks count user and system time together, in nanoseconds. On a system without processor affinity nothing is
//! pinned, and the report says so.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// What this thread has used.
pub(crate) fn of_thread() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// What this process has used, all threads together.
pub(crate) fn of_process() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of the calling thread while `work` ran.
pub(crate) fn spent<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = of_thread();
    let done = work();
    (of_thread().saturating_sub(before), done)
}

/// The processors that this process may use; none where that cannot be known.
#[cfg(target_os = "linux")]
pub(crate) fn allowed() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Keeps this thread, and those that it will start, to some processors.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpus: &[usize]) -> std::io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    Ok(sched_setaffinity(None, &set)?)
}

/// The processors that this process may use; none where that cannot be known.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed() -> Vec<usize> {
    Vec::new()
}

/// Does nothing where there is no affinity.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_cpus: &[usize]) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_and_waiting_does_not() {
        let (waiting, ()) = spent(|| std::thread::sleep(Duration::from_millis(30)));
        assert!(waiting < Duration::from_millis(20), "{waiting:?}");
        let (work, sum) = spent(|| (0..3_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n)));
        assert!(work > Duration::from_micros(100), "{work:?} for {sum}");
        assert!(of_process() >= work);
    }
}
