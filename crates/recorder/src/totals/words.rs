//! When people talked by the transcript, where there is no sound of single parties.

use std::fs::File;
use std::path::Path;

use rtms_protocol::UnixMillis;

use super::tally::Spans;
use super::{MOST_PARTIES, MOST_WINDOWS, Party, WINDOW_MS};
use crate::error::RecordError;
use crate::events::Who;
use crate::manifest::TrackEntry;
use crate::take_up::TakeUp;
use crate::text::resolve::{Order, each_shown};
use crate::text::status::Status;

/// Utterances that are gathered before they are joined.
const GATHERED: usize = 10_000;

/// The speakers of a transcript, by channel or user, else by name.
///
/// # Errors
/// The JSON lines cannot be read.
pub(super) fn parties(
    data_dir: &Path,
    transcript: &TrackEntry,
    zero: UnixMillis,
) -> Result<Vec<Party>, RecordError> {
    let Some(lines) = transcript.also.iter().find(|also| also.file.ends_with(".jsonl")) else {
        return Ok(Vec::new());
    };
    let path = TakeUp::path(data_dir, &lines.file)?;
    let source = File::open(&path).map_err(RecordError::io("open", &path))?;
    let mut speakers: Vec<(Party, Vec<(usize, usize)>)> = Vec::new();
    each_shown(&source, &[], Order::Arrival, |_, line| {
        if line.status() == Status::Deletion {
            return Ok(());
        }
        let who = Who { display_name: Some(line.speaker.to_string()), ..line.who() };
        let index = speakers.iter().position(|(party, _)| party.who.is(&who)).unwrap_or(speakers.len());
        if index == speakers.len() && index < MOST_PARTIES {
            let party = Party { name: line.speaker.to_string(), who, spans: Spans::default() };
            speakers.push((party, Vec::new()));
        }
        if let Some((party, gathered)) = speakers.get_mut(index) {
            gathered.push((window(line.cue_start.since(zero)), window(line.cue_end.since(zero))));
            if gathered.len() >= GATHERED {
                party.spans.add(std::mem::take(gathered));
            }
        }
        Ok(())
    })
    .map_err(RecordError::io("read", &path))?;
    let joined = |(mut party, gathered): (Party, Vec<(usize, usize)>)| {
        party.spans.add(gathered);
        party
    };
    Ok(speakers.into_iter().map(joined).collect())
}

fn window(ms: i64) -> usize {
    usize::try_from(ms.max(0) / WINDOW_MS).unwrap_or(MOST_WINDOWS).min(MOST_WINDOWS)
}
