//! Clusters of a Matroska file, as they are written and as they are read back.
//!
//! A cluster has a time in front, and its blocks count from it in 16 bits. Ours have nothing but that and simple blocks;
//! what else is met ends the reading.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::ebml::{self, unsigned};

pub(super) const CLUSTER: u32 = 0x1f43_b675;
const TIMESTAMP: u32 = 0xe7;
const SIMPLE_BLOCK: u32 = 0xa3;

/// Bytes of a cluster after which the next one is begun.
pub(super) const CLUSTER_BYTES: usize = 64 * 1024;
/// More blocks than any cluster of ours has.
const CLUSTER_BLOCKS: usize = 16 * 1024;
/// Bytes of a block in front of what is in it: track, time, flags.
const BLOCK_HEADER: u64 = 4;
/// The flags of a block at which decoding can begin, as at all of ours.
const KEY: u8 = 0x80;

/// A cluster that is being gathered.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    blocks: Vec<u8>,
    /// The time that its blocks count from, ms.
    base: u64,
    count: u64,
}

impl Cluster {
    /// How many blocks it has.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// How long after its first block something at `at` (ms) is.
    pub(super) fn since_first(&self, at: u64) -> u64 {
        if self.count == 0 { 0 } else { at.saturating_sub(self.base) }
    }

    /// Adds a block of `size` bytes at `at` (ms, at most 32 s after the first), which `fill` fills.
    ///
    /// # Errors
    /// Those of `fill`; nothing is added then.
    pub(super) fn push_with(
        &mut self,
        track: u64,
        at: u64,
        size: usize,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let before = self.blocks.len();
        let base = if self.count == 0 { at } else { self.base };
        let since = i16::try_from(at.saturating_sub(base)).unwrap_or(i16::MAX);
        ebml::id(&mut self.blocks, SIMPLE_BLOCK);
        ebml::size(&mut self.blocks, BLOCK_HEADER + size as u64);
        ebml::size(&mut self.blocks, track);
        self.blocks.extend_from_slice(&since.to_be_bytes());
        self.blocks.push(KEY);
        let body = self.blocks.len();
        self.blocks.resize(body + size, 0);
        if let Err(error) = fill(&mut self.blocks[body..]) {
            self.blocks.truncate(before);
            return Err(error);
        }
        self.base = base;
        self.count += 1;
        Ok(())
    }

    /// Adds a block with these bytes.
    pub(super) fn push(&mut self, track: u64, at: u64, bytes: &[u8]) {
        let copy = |body: &mut [u8]| {
            body.copy_from_slice(bytes);
            Ok(())
        };
        // A copy cannot fail.
        let _ = self.push_with(track, at, bytes.len(), copy);
    }

    /// The whole element, `shift` ms later than its blocks were said to be.
    pub(super) fn encoded(&self, shift: u64) -> Vec<u8> {
        let mut time = Vec::new();
        unsigned(&mut time, TIMESTAMP, self.base + shift);
        let mut out = Vec::with_capacity(self.blocks.len() + 24);
        ebml::id(&mut out, CLUSTER);
        ebml::size(&mut out, (time.len() + self.blocks.len()) as u64);
        out.extend(time);
        out.extend_from_slice(&self.blocks);
        out
    }

    /// Begins the next one.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.blocks.clear();
        self.blocks.shrink_to(CLUSTER_BYTES);
    }
}

/// A block in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// ms of the file.
    pub(super) at: u64,
    /// Where what is in it begins.
    pub(super) body: u64,
    /// Bytes of what is in it.
    pub(super) bytes: u64,
}

/// Reads a file cluster by cluster; what is in the blocks is skipped.
#[derive(Debug)]
pub(super) struct Clusters<'f> {
    file: &'f File,
    /// Where the next one begins.
    at: u64,
    limit: u64,
}

impl<'f> Clusters<'f> {
    /// Those from `at` on.
    ///
    /// # Errors
    /// The disk refused.
    pub(super) fn new(file: &'f File, at: u64) -> io::Result<Self> {
        Ok(Self { file, at, limit: file.metadata()?.len() })
    }

    /// Where the next one begins: at the end, behind the last one that is whole.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The blocks of the next one; `None` where it is not whole, or none of ours.
    ///
    /// # Errors
    /// The disk refused.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<Block>>> {
        let Some(found) = ebml::find(self.file, self.at, self.limit)?.filter(|found| found.id == CLUSTER)
        else {
            return Ok(None);
        };
        let blocks = blocks(self.file, found.body, found.end)?;
        if blocks.is_some() {
            self.at = found.end;
        }
        Ok(blocks)
    }
}

/// The blocks of a cluster; `None` where it is not one of ours.
fn blocks(file: &File, from: u64, until: u64) -> io::Result<Option<Vec<Block>>> {
    let Some(time) = ebml::find(file, from, until)?.filter(|found| found.id == TIMESTAMP) else {
        return Ok(None);
    };
    let mut bytes = [0; 8];
    let Some(place) = usize::try_from(time.end - time.body).ok().and_then(|n| bytes.len().checked_sub(n))
    else {
        return Ok(None);
    };
    file.read_exact_at(&mut bytes[place..], time.body)?;
    let base = u64::from_be_bytes(bytes);
    let mut found = Vec::new();
    let mut at = time.end;
    while at < until {
        let block = ebml::find(file, at, until)?;
        let ours = |b: &ebml::Found| b.id == SIMPLE_BLOCK && b.end - b.body >= BLOCK_HEADER;
        let Some(block) = block.filter(ours).filter(|_| found.len() < CLUSTER_BLOCKS) else {
            return Ok(None);
        };
        let mut header = [0; 4];
        file.read_exact_at(&mut header, block.body)?;
        let [track, high, low, _] = header;
        let since = u64::from(u16::from_be_bytes([high, low]));
        found.push(Block {
            // A number of one byte has its mark in the highest bit.
            track: u64::from(track & 0x7f),
            at: base.saturating_add(since),
            body: block.body + BLOCK_HEADER,
            bytes: block.end - block.body - BLOCK_HEADER,
        });
        at = block.end;
    }
    Ok(Some(found))
}
