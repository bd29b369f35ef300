//! Times in manifests: `2025-12-11T10:30:00.000Z`, for people; read back to the millisecond.

use rtms_protocol::UnixMillis;
use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes a time as text.
pub(crate) fn serialize<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Reads a time, as text or as a number of milliseconds.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMillis, D::Error> {
    Form::deserialize(deserializer)?.time()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Number(i64),
    Text(String),
}

impl Form {
    fn time<E: de::Error>(self) -> Result<UnixMillis, E> {
        match self {
            Self::Number(ms) => Ok(UnixMillis(ms)),
            Self::Text(text) => {
                parse(&text).ok_or_else(|| E::custom("not a time like 2025-12-11T10:30:00.000Z"))
            }
        }
    }
}

/// Reads what [`UnixMillis`] displays, its form for impossible years included.
pub(crate) fn parse(text: &str) -> Option<UnixMillis> {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().ok().map(UnixMillis);
    }
    text.parse::<jiff::Timestamp>().ok().map(|at| UnixMillis(at.as_millisecond()))
}

/// The same for a time that may be absent (`null`).
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Form, Serializer, UnixMillis};

    pub(crate) fn serialize<S: Serializer>(
        at: &Option<UnixMillis>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixMillis>, D::Error> {
        Option::<Form>::deserialize(deserializer)?.map(Form::time).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for ms in [0, 1_765_449_000_123, -5, i64::MAX, i64::MIN] {
            assert_eq!(parse(&UnixMillis(ms).to_string()), Some(UnixMillis(ms)), "{ms}");
        }
        assert_eq!(parse("yesterday"), None);
    }
}
