//! The sound track of a finished MP4.
//!
//! Opus packets are appended behind the pictures, in boxes of their own (`mdat`) that no fragment speaks of, so the file
//! stays a whole fragmented MP4 meanwhile, and whoever takes it up after a crash finds its end where the pictures end.
//! The finished table then names both. Sound lies behind the pictures, not between them: legal, and read without fault
//! from a disk and by range requests; to lay it between would mean to copy every picture.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mp4_atom::{
    Audio, Co64, Codec, Dinf, Dops, Dref, DrefEntry, Edts, Elst, ElstEntry, Hdlr, Mdhd, Mdia, Minf, Opus,
    Smhd, Stbl, Stsd, Stsz, StszSamples, Stts, SttsEntry, Tkhd, Trak, Url,
};

use super::boxes::{Chunk, TIMESCALE, chunk_sizes};
use crate::audio::ogg::PRE_SKIP;
use crate::audio::ogg::packets::OggPackets;
use crate::error::RecordError;

/// Bytes of sound written at a time.
const CHUNK_BYTES: usize = 48 * 1024;
/// Units a second of the sound.
const RATE: u32 = 48_000;
const TRACK_ID: u32 = 2;

/// Sound in the file, and where it lies.
#[derive(Debug, Default)]
pub(super) struct SoundTable {
    channels: u16,
    chunks: Vec<Chunk>,
    sizes: Vec<u32>,
    durations: Vec<SttsEntry>,
    /// Frames that are played.
    frames: u64,
}

impl SoundTable {
    /// Appends the packets of the Ogg Opus file at `ogg` to `file` from `end` on; the new end, and what was appended.
    ///
    /// # Errors
    /// The disk refused, or `ogg` is not one of ours. What lies behind `end` belongs to nothing.
    pub(super) fn append(
        file: &File,
        path: &Path,
        mut end: u64,
        ogg: &Path,
    ) -> Result<(u64, Self), RecordError> {
        let mut packets = OggPackets::open(ogg)?.ok_or_else(|| RecordError::Foreign {
            path: ogg.to_path_buf(),
            reason: "not our Ogg Opus".to_owned(),
        })?;
        let mut table = Self { channels: packets.channels(), ..Self::default() };
        let (mut packet, mut body, mut count) = (Vec::new(), Vec::new(), 0);
        loop {
            let frames = packets.next(&mut packet)?;
            if (frames.is_none() || body.len() + packet.len() > CHUNK_BYTES) && count > 0 {
                let offset = write_mdat(file, end, &body).map_err(RecordError::io("write", path))?;
                table.chunks.push(Chunk { offset, samples: count });
                end = offset + body.len() as u64;
                body.clear();
                count = 0;
            }
            let Some(frames) = frames else { break };
            body.extend_from_slice(&packet);
            count += 1;
            table.add(packet.len(), frames);
        }
        table.frames = packets.frames();
        Ok((end, table))
    }

    fn add(&mut self, bytes: usize, frames: u32) {
        self.sizes.push(u32::try_from(bytes).unwrap_or(0));
        match self.durations.last_mut() {
            Some(last) if last.sample_delta == frames => last.sample_count += 1,
            _ => self.durations.push(SttsEntry { sample_count: 1, sample_delta: frames }),
        }
    }

    /// How long it plays, ms.
    pub(super) fn duration_ms(&self) -> u64 {
        self.frames * u64::from(TIMESCALE) / u64::from(RATE)
    }

    /// The track, which begins `delay` ms after the movie.
    pub(super) fn trak(self, delay: u64) -> Trak {
        let played = self.duration_ms();
        let packets: u64 = self
            .durations
            .iter()
            .map(|entry| u64::from(entry.sample_count) * u64::from(entry.sample_delta))
            .sum();
        let edts = Some(edits(delay, played, u64::from(PRE_SKIP)));
        let audio = Audio {
            data_reference_index: 1,
            channel_count: self.channels,
            sample_size: 16,
            sample_rate: 48_000.into(),
        };
        let dops = Dops {
            output_channel_count: u8::try_from(self.channels).unwrap_or(1),
            pre_skip: PRE_SKIP,
            input_sample_rate: RATE,
            output_gain: 0,
            channel_mapping: None,
        };
        let stbl = Stbl {
            stsd: Stsd { codecs: vec![Codec::Opus(Opus { audio, dops, btrt: None })] },
            stts: Stts { entries: self.durations },
            stsc: chunk_sizes(&self.chunks),
            stsz: Stsz { samples: StszSamples::Different { sizes: self.sizes } },
            co64: Some(Co64 { entries: self.chunks.iter().map(|chunk| chunk.offset).collect() }),
            ..Stbl::default()
        };
        let dref = Dref { entries: vec![DrefEntry::Url(Url::default())] };
        let minf = Minf { smhd: Some(Smhd::default()), dinf: Dinf { dref }, stbl, ..Minf::default() };
        let mdhd = Mdhd { timescale: RATE, duration: packets, language: "und".to_owned(), ..Mdhd::default() };
        let hdlr = Hdlr { handler: b"soun".into(), name: "Sound".to_owned() };
        let tkhd = Tkhd {
            track_id: TRACK_ID,
            duration: delay + played,
            enabled: true,
            in_movie: true,
            alternate_group: 0,
            volume: 1.into(),
            ..Tkhd::default()
        };
        Trak { tkhd, edts, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() }
    }
}

/// The edits of a track that is shown for `length` ms, `delay` ms after the movie began, from `from` (its own units) on.
pub(super) fn edits(delay: u64, length: u64, from: u64) -> Edts {
    let edit =
        |segment_duration, media_time| ElstEntry { segment_duration, media_time, media_rate: 1.into() };
    let wait = (delay > 0).then(|| edit(delay, None));
    Edts { elst: Some(Elst { entries: wait.into_iter().chain([edit(length, Some(from))]).collect() }) }
}

/// Writes a box around `body` at `end`; where the body lies.
fn write_mdat(file: &File, end: u64, body: &[u8]) -> std::io::Result<u64> {
    let mut out = Vec::with_capacity(body.len() + 8);
    out.extend_from_slice(&u32::try_from(body.len() + 8).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(b"mdat");
    out.extend_from_slice(body);
    file.write_all_at(&out, end)?;
    Ok(end + 8)
}
