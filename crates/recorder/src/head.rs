//! The first fields of a manifest, read without the rest: a start, a revocation and a question for one recording look
//! at every manifest there is, and most of one are events and participants.
//!
//! The fields looked for come first in every manifest of ours. Where somebody wrote another order, the whole is read.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::manifest::{MANIFEST_VERSION, RecordingState};
use crate::store::read_manifest;

/// How much of a manifest is read, bytes. The fields take 4 KiB at most: ids have at most 512 bytes, six of JSON each.
const HEAD_BYTES: u64 = 8 * 1024;

/// What is known of a recording from the beginning of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// How far it is.
    pub state: RecordingState,
    /// The stream.
    pub rtms_stream_id: String,
}

/// Reads the head of the manifest at `path`; `None` where there is none of a known version.
pub(crate) fn read_head(path: &Path) -> Option<ManifestHead> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(HEAD_BYTES).read_to_end(&mut bytes).ok()?;
    let found = found_in(&bytes);
    if let (Some(version), Some(state), Some(rtms_stream_id)) = (found.version, found.state, found.stream) {
        return (version == MANIFEST_VERSION).then_some(ManifestHead { state, rtms_stream_id });
    }
    let whole = read_manifest(path).ok()?;
    Some(ManifestHead { state: whole.state, rtms_stream_id: whole.rtms_stream_id })
}

#[derive(Debug, Default)]
struct Found {
    version: Option<u32>,
    state: Option<RecordingState>,
    stream: Option<String>,
}

fn found_in(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    // The end is cut off, so this always ends in an error; what was found before it counts.
    let _ = Seek(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    found
}

struct Seek<'f>(&'f mut Found);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(found) = self;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => found.version = Some(map.next_value()?),
                "state" => found.state = Some(map.next_value()?),
                "rtms_stream_id" => found.stream = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if found.version.is_some() && found.state.is_some() && found.stream.is_some() {
                return Err(A::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_enough_and_any_order_will_do() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("m.json");
        let head = |json: &str| {
            std::fs::write(&path, json).expect("written");
            read_head(&path)
        };
        let known = |state| Some(ManifestHead { state, rtms_stream_id: "s\"1".into() });
        let rest = "x".repeat(20_000);
        let begins =
            r#"{"version":1,"state":"complete","product":"meeting","id":"}{","rtms_stream_id":"s\"1""#;
        assert_eq!(
            head(&format!("{begins},\"events\":\"{rest}\" and no end")),
            known(RecordingState::Complete)
        );
        let late = format!(
            r#"{{"id":"{rest}","started_at":"2025-12-11T10:30:00.000Z","product":"meeting","rtms_stream_id":"s\"1","state":"recording","version":1}}"#
        );
        assert_eq!(head(&late), known(RecordingState::Recording));
        for bad in ["", "{", "[1]", r#"{"version":2,"state":"complete","rtms_stream_id":"s"}"#, &begins[..60]]
        {
            assert_eq!(head(bad), None, "{bad}");
        }
    }
}
