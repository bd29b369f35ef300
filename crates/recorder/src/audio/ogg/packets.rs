//! The packets of a finished Ogg Opus file of ours, without a gap, for another container.

use std::path::Path;

use rtms_codec::packet;

use super::head::read_head;
use super::page::{END, packets};
use super::pages::{Page, Pages};
use super::{MOST_HOLE, PRE_SKIP};
use crate::error::RecordError;

/// Reads a file packet by packet.
#[derive(Debug)]
pub(crate) struct OggPackets {
    pages: Pages,
    page: Page,
    serial: u32,
    channels: u16,
    /// Packets of the page that were given out.
    given: usize,
    loaded: bool,
    /// Frames of silence to be given out, where a page is gone.
    hole: u64,
    /// Granule position up to which packets were given out, and the one at which the file ends.
    at: u64,
    end: u64,
    ended: bool,
}

impl OggPackets {
    /// Opens a file; `None` where it is not one of ours.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, RecordError> {
        let (mut pages, mut page) = (Pages::open(path), Page::default());
        let Some(head) = read_head(&mut pages, &mut page)? else { return Ok(None) };
        Ok(Some(Self {
            pages,
            page,
            serial: head.serial,
            channels: head.channels,
            given: 0,
            loaded: false,
            hole: 0,
            at: 0,
            end: 0,
            ended: false,
        }))
    }

    pub(crate) fn channels(&self) -> u16 {
        self.channels
    }

    /// Frames of 48 kHz that a player plays of the packets so far.
    pub(crate) fn frames(&self) -> u64 {
        self.end.saturating_sub(u64::from(PRE_SKIP))
    }

    /// Replaces `out` by the next packet, and returns its frames; `None` at the end.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<u32>, RecordError> {
        out.clear();
        loop {
            if let Some(size) = packet::SILENCES.iter().find(|size| u64::from(**size) <= self.hole) {
                self.hole -= u64::from(*size);
                out.extend_from_slice(&packet::silence(*size, self.channels));
                return Ok(Some(*size));
            }
            if self.loaded {
                let next = packets(&self.page.segments, &self.page.body).nth(self.given);
                self.given += 1;
                match next.map(|packet| (packet, packet::frames(packet))) {
                    Some((packet, Ok(frames))) => {
                        out.extend_from_slice(packet);
                        return Ok(Some(frames));
                    }
                    Some((_, Err(_))) => continue,
                    None => self.loaded = false,
                }
            }
            if self.ended || !self.load()? {
                return Ok(None);
            }
        }
    }

    fn load(&mut self) -> Result<bool, RecordError> {
        while self.pages.next(&mut self.page)? {
            let head = &self.page.head;
            let passed = head.granule.checked_sub(self.at).filter(|passed| (1..=MOST_HOLE).contains(passed));
            let (Some(passed), true) = (passed, head.serial == self.serial) else { continue };
            let frames = |packet| u64::from(packet::frames(packet).unwrap_or(0));
            let length: u64 = packets(&self.page.segments, &self.page.body).map(frames).sum();
            self.ended = head.flags & END != 0;
            if !self.ended {
                self.hole = passed.saturating_sub(length);
            }
            (self.at, self.end) = (head.granule, head.granule);
            (self.given, self.loaded) = (0, true);
            return Ok(true);
        }
        self.ended = true;
        Ok(false)
    }
}
