//! Goes on with the transcript of another process.
//!
//! The JSON lines are the record: they are written first, so the other forms are never ahead of them. From them the
//! repeats are known again, and the text and the captions are made anew where they are behind, or ended already.
//!
//! What waited is shown: whether anything follows it will be seen, and it then gives way like any other.

use std::fs::File;
use std::path::Path;

use rtms_protocol::{StreamIdentity, UnixMillis};

use super::{Transcript, header, shown_line};
use crate::error::RecordError;
use crate::manifest::TrackEntry;
use crate::take_up::TakeUp;
use crate::text::append::AppendFile;
use crate::text::captions::Captions;
use crate::text::readback::each_line;
use crate::text::resolve::{Order, each_shown};

impl Transcript {
    /// Takes up the files of `entry`.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub(crate) fn resume(
        data_dir: &Path,
        entry: &TrackEntry,
        identity: &StreamIdentity,
        started_at: UnixMillis,
    ) -> Result<Self, RecordError> {
        let take_up = |file: &str| AppendFile::resume(TakeUp::path(data_dir, file)?, file.to_owned());
        let (jsonl, vtt, srt) = match entry.also.as_slice() {
            [jsonl, vtt, srt] => (&jsonl.file, &vtt.file, srt.file.clone()),
            // An earlier version had none.
            [jsonl, vtt] => (&jsonl.file, &vtt.file, format!("{}.srt", vtt.file.trim_end_matches(".vtt"))),
            _ => {
                let reason = "the manifest does not name its files".to_owned();
                return Err(RecordError::Foreign { path: TakeUp::path(data_dir, &entry.file)?, reason });
            }
        };
        let (txt, jsonl) = (take_up(&entry.file)?, take_up(jsonl)?);
        let captions =
            Captions::new(take_up(vtt)?, AppendFile::resume_or_begin(TakeUp::path(data_dir, &srt)?, srt)?);
        let path = jsonl.path().to_path_buf();
        let mut transcript = Self::with(txt, jsonl, captions, header(identity, started_at));
        let source = File::open(&path).map_err(RecordError::io("open", &path))?;
        let end = each_line(&source, |line, _, _| {
            transcript.count(&line.message(), line.status(), line.cue_start, line.cue_end);
            transcript.pending.remember(line.key(), line.status());
            Ok(())
        })
        .map_err(RecordError::io("read", &path))?;
        transcript.jsonl.cut(end)?;
        let mut expected = transcript.header.len() as u64;
        let source = File::open(&path).map_err(RecordError::io("open", &path))?;
        each_shown(&source, &[], Order::Arrival, |said_at, line| {
            expected += shown_line(said_at, line).len() as u64;
            Ok(())
        })
        .map_err(RecordError::io("read", &path))?;
        transcript.txt_stale = transcript.txt.end() != expected;
        Ok(transcript)
    }
}
