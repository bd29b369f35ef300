//! The least that any recorder must do: find the payload in the text, decode it, append it to a file.
//!
//! No JSON, no timeline, no header, no check of anything. What the recorder costs beyond this is the price of being
//! right, and the ratio of the two can be compared between machines, which times cannot.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use base64_simd::AsOut as _;
use memchr::{memchr, memmem};

use super::script::PAYLOAD_BYTES;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes raw samples to one file.
pub(crate) struct Floor {
    file: BufWriter<File>,
    data: memmem::Finder<'static>,
    decoded: Vec<u8>,
}

impl Floor {
    /// A new file at `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(path)?);
        Ok(Self { file, data: memmem::Finder::new(b"\"data\":\""), decoded: vec![0; 2 * PAYLOAD_BYTES] })
    }

    /// Appends the payload of one message.
    pub(crate) fn packet(&mut self, message: &[u8]) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::InvalidData);
        let begin = self.data.find(message).ok_or_else(missing)? + self.data.needle().len();
        let text = message.get(begin..).unwrap_or_default();
        let text = text.get(..memchr(b'"', text).ok_or_else(missing)?).unwrap_or_default();
        let decoded = base64_simd::STANDARD
            .decode(text, self.decoded.as_mut_slice().as_out())
            .map_err(|_| missing())?;
        self.file.write_all(decoded)
    }

    /// What is gathered goes to the page cache.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use rtms_protocol::AudioData;

    use super::super::script::Script;
    use super::*;

    #[test]
    fn it_finds_what_the_parser_finds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("floor.raw");
        let script = Script::render(1, AudioData::Mixed);
        let mut floor = Floor::create(&path).unwrap();
        let mut expected = Vec::new();
        let mut payload = Vec::new();
        for frame in script.frames() {
            floor.packet(&frame.bytes).unwrap();
            frame.packet().unwrap().decode_into(&mut payload).unwrap();
            expected.extend_from_slice(&payload);
        }
        floor.flush().unwrap();
        assert_eq!(expected.len(), 50 * PAYLOAD_BYTES);
        assert_eq!(std::fs::read(path).unwrap(), expected);
        assert!(Floor::create(&dir.path().join("b")).unwrap().packet(b"{}").is_err());
    }
}
