//! Holds, the first answer and the end of a call, from its events.

use std::fs::File;
use std::path::Path;

use rtms_protocol::UnixMillis;

use super::MOST_PARTIES;
use crate::error::RecordError;
use crate::events::{EventLine, Who};
use crate::text::readback::each_json;

/// Holds that are gathered before they are joined.
const GATHERED: usize = 10_000;

/// How often and when somebody, or anybody, had the call on hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) count: u64,
    /// From when to when, ms; joined, but for the last ones.
    spans: Vec<(i64, i64)>,
}

impl Held {
    fn add(&mut self, from: i64, until: i64) {
        self.spans.push((from.max(0), until.max(from).max(0)));
        if self.spans.len() >= GATHERED {
            self.join();
        }
    }

    fn join(&mut self) {
        self.spans.sort_unstable();
        self.spans.dedup_by(|next, one| {
            let touches = next.0 <= one.1;
            if touches {
                one.1 = one.1.max(next.1);
            }
            touches
        });
    }

    /// How long, ms.
    pub(super) fn ms(&self) -> i64 {
        self.spans.iter().fold(0, |sum: i64, (from, until)| sum.saturating_add(until - from))
    }
}

/// The holds of one person.
#[derive(Debug)]
pub(super) struct HeldBy {
    pub(super) who: Who,
    pub(super) held: Held,
    since: Option<i64>,
}

/// What the events tell.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// By anybody.
    pub(super) all: Held,
    pub(super) by: Vec<HeldBy>,
    /// The first answer, ms after time zero.
    pub(super) answered_ms: Option<i64>,
    /// Where the call ends, ms after time zero: with its sound, or its last event, or, on hold, when it was stopped.
    pub(super) end_ms: i64,
}

/// Reads the events at `path`, of a call whose sound ends at `sound_ms`. Whoever is still on hold when the call ends is so
/// until then.
///
/// # Errors
/// The file cannot be read.
pub(super) fn holds(path: &Path, sound_ms: i64, zero: UnixMillis) -> Result<Holds, RecordError> {
    let source = File::open(path).map_err(RecordError::io("open", path))?;
    let mut holds = Holds { end_ms: sound_ms, ..Holds::default() };
    let (mut last_ms, mut stopped_ms) = (sound_ms, sound_ms);
    each_json(&source, |line: EventLine, _, _| {
        let Some(at) = line.offset_from(zero) else { return Ok(()) };
        if line.event == "stopped" {
            stopped_ms = stopped_ms.max(at);
        } else if line.is_zooms() {
            last_ms = last_ms.max(at);
            holds.take(at, &line);
        }
        Ok(())
    })
    .map_err(RecordError::io("read", path))?;
    // An event of the far future is not where the call ends.
    holds.end_ms = last_ms.min(stopped_ms);
    holds.close(stopped_ms);
    Ok(holds)
}

impl Holds {
    fn take(&mut self, at: i64, line: &EventLine) {
        match line.event.as_str() {
            "answered" => self.answered_ms = Some(self.answered_ms.unwrap_or(at).min(at)),
            "hold" => {
                let Some(by) = self.of(&line.who) else { return };
                if by.since.is_none() {
                    by.since = Some(at);
                    by.held.count += 1;
                    self.all.count += 1;
                }
            }
            "unhold" | "ended" => {
                let Some(by) = self.by.iter_mut().find(|by| by.who.is(&line.who)) else { return };
                if let Some(since) = by.since.take() {
                    by.held.add(since, at);
                    self.all.add(since, at);
                }
            }
            _ => {}
        }
    }

    fn of(&mut self, who: &Who) -> Option<&mut HeldBy> {
        let known = self.by.iter().position(|by| by.who.is(who));
        let index = known.unwrap_or(self.by.len());
        if index == self.by.len() && index < MOST_PARTIES {
            self.by.push(HeldBy { who: who.clone(), held: Held::default(), since: None });
        }
        self.by.get_mut(index)
    }

    /// The call ended at `stopped_ms`.
    fn close(&mut self, stopped_ms: i64) {
        for by in &mut self.by {
            if let Some(since) = by.since.take() {
                by.held.add(since, stopped_ms);
                self.all.add(since, stopped_ms);
                self.end_ms = self.end_ms.max(stopped_ms);
            }
            by.held.join();
        }
        self.all.join();
    }
}
