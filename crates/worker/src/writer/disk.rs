//! How the data folder's disk does: what `/health` calls degraded.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// After an error, this long without another one means that the disk is well again.
const RECOVERY: Duration = Duration::from_secs(10);

/// The newest trouble with the disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    trouble: Mutex<Option<(Instant, String)>>,
}

impl Disk {
    /// Notes an error; returns whether the disk was well before.
    pub(crate) fn failed(&self, reason: &str) -> bool {
        let mut trouble = self.lock();
        let was_well = trouble.is_none();
        *trouble = Some((Instant::now(), reason.to_owned()));
        was_well
    }

    /// A write went well; returns whether that ends a trouble.
    pub(crate) fn worked(&self) -> bool {
        let mut trouble = self.lock();
        let over = trouble.as_ref().is_some_and(|(at, _)| at.elapsed() >= RECOVERY);
        if over {
            *trouble = None;
        }
        over
    }

    /// What is wrong, if anything.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.lock().as_ref().map(|(_, reason)| reason.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
