//! The pages of a file, one after the other.
//!
//! What is damaged is passed over to the next whole page, as players do. So a file that was cut off in the midst of a
//! page, or lost a block to a failing disk, gives everything that is left of it. The file is opened for each read
//! alone: a meeting has more parties than a process has file descriptors to spare.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::page::{HEADER_BYTES, MAGIC, PAGE_BYTES, PageHead, length, read};
use crate::error::RecordError;

/// Bytes read at a time; one page at least.
const READ_BYTES: usize = 2 * PAGE_BYTES;

/// One page, copied out of its file.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) head: PageHead,
    pub(crate) segments: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Where it begins and ends in the file, bytes.
    pub(crate) span: (u64, u64),
}

/// Reads the pages of one file.
#[derive(Debug)]
pub(crate) struct Pages {
    path: PathBuf,
    /// Where the buffer lies in the file, bytes.
    at: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are done with.
    done: usize,
    ended: bool,
}

impl Pages {
    pub(crate) fn open(path: &Path) -> Self {
        Self { path: path.to_path_buf(), at: 0, buffer: Vec::new(), done: 0, ended: false }
    }

    /// The next whole page, into `page`; false at the end.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn next(&mut self, page: &mut Page) -> Result<bool, RecordError> {
        loop {
            if self.rest().len() < PAGE_BYTES && !self.ended {
                self.fill().map_err(RecordError::io("read", &self.path))?;
            }
            if self.rest().len() < HEADER_BYTES {
                return Ok(false);
            }
            let size = length(self.rest()).filter(|size| *size <= self.rest().len());
            if let Some(size) = size
                && self.take(size, page)
            {
                return Ok(true);
            }
            self.pass_over();
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    fn take(&mut self, size: usize, page: &mut Page) -> bool {
        let Some((head, segments, body)) = read(&self.buffer[self.done..self.done + size]) else {
            return false;
        };
        page.head = head;
        page.segments.clear();
        page.segments.extend_from_slice(segments);
        page.body.clear();
        page.body.extend_from_slice(body);
        let begin = self.at + self.done as u64;
        page.span = (begin, begin + size as u64);
        self.done += size;
        true
    }

    /// To the next place that looks like a page.
    fn pass_over(&mut self) {
        let next = self.rest().windows(MAGIC.len()).skip(1).position(|bytes| bytes == MAGIC);
        // The last bytes may be the beginning of one.
        self.done += next.map_or(self.rest().len().saturating_sub(MAGIC.len() - 1).max(1), |at| at + 1);
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.done);
        self.at += self.done as u64;
        self.done = 0;
        let file = File::open(&self.path)?;
        let mut there = self.buffer.len();
        self.buffer.resize(READ_BYTES, 0);
        while there < READ_BYTES {
            match file.read_at(&mut self.buffer[there..], self.at + there as u64) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => there += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(there);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audio::ogg::page::push_segments;

    fn page(sequence: u32, size: usize) -> Vec<u8> {
        let (mut segments, mut out) = (Vec::new(), Vec::new());
        push_segments(size, &mut segments);
        // A body full of what could be taken for pages.
        let body: Vec<u8> = MAGIC.iter().copied().cycle().take(size).collect();
        PageHead { sequence, ..PageHead::default() }.write(&segments, &body, &mut out);
        out
    }

    fn found(path: &Path) -> Vec<(u32, u64)> {
        let (mut pages, mut page, mut found) = (Pages::open(path), Page::default(), Vec::new());
        while pages.next(&mut page).expect("readable") {
            found.push((page.head.sequence, page.span.1));
        }
        found
    }

    #[test]
    fn whole_pages_are_found_around_what_is_damaged() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.ogg");
        let sizes = [10, 60_000, 300, 50_000, 0, 64_000, 20];
        let pages: Vec<Vec<u8>> = (0..).zip(sizes).map(|(n, size)| page(n, size)).collect();
        let mut file = pages.concat();
        fs::write(&path, &file).expect("written");
        let all = found(&path);
        assert_eq!(all.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
        assert_eq!(all.last().map(|(_, end)| *end), Some(file.len() as u64));
        // One wrong byte costs its page, a cut the one that it falls into.
        file[pages[0].len() + pages[1].len() + 100] ^= 1;
        file.truncate(file.len() - 1);
        fs::write(&path, &file).expect("written");
        let left: Vec<u32> = found(&path).into_iter().map(|(n, _)| n).collect();
        assert_eq!(left, [0, 1, 3, 4, 5]);
        fs::write(&path, [b'O'; 200_000]).expect("written");
        assert_eq!(found(&path), []);
    }
}
