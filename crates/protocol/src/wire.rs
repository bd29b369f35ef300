//! Small serde shapes for what Zoom writes in more than one way.
//!
//! Numbers arrive as numbers, sometimes as strings; ids as either; lists of URLs as a string, an array or an object.
//! Each leniency lives here once.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// An integer given as a number, as a float without a fraction, or as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Integer(pub(crate) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Integer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Integer, E> {
                Ok(Integer(n))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Integer, E> {
                i64::try_from(n).map(Integer).map_err(|_| E::custom("integer out of range"))
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Integer, E> {
                // 2^53: beyond it a double no longer tells neighbouring integers apart.
                if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
                    #[expect(clippy::cast_possible_truncation, reason = "bounded and whole, checked above")]
                    Ok(Integer(n as i64))
                } else {
                    Err(E::custom("not a whole number"))
                }
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Integer, E> {
                s.trim().parse().map(Integer).map_err(|_| E::custom("not an integer"))
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// Reads an optional integer; `null`, a missing field and an unreadable value are all "not there".
pub(crate) fn lenient_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Integer(Integer),
        Other(de::IgnoredAny),
    }
    Ok(match Option::<Any>::deserialize(deserializer)? {
        Some(Any::Integer(n)) => Some(n.0),
        _ => None,
    })
}

/// The same for a time in Unix milliseconds.
pub(crate) fn lenient_millis<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<crate::UnixMillis>, D::Error> {
    Ok(lenient_integer(deserializer)?.map(crate::UnixMillis))
}

/// An id as text, whether it came as a string or as a number.
pub(crate) fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Text(String),
        Signed(i64),
        Unsigned(u64),
        Other(de::IgnoredAny),
    }
    Ok(match Option::<Any>::deserialize(deserializer)? {
        Some(Any::Text(text)) => Some(text),
        Some(Any::Signed(n)) => Some(n.to_string()),
        Some(Any::Unsigned(n)) => Some(n.to_string()),
        _ => None,
    })
}

/// Serde helper: skip a field that says nothing.
pub(crate) fn is_none<T>(value: &Option<T>) -> bool {
    value.is_none()
}

/// The id fields that Zoom's documents and Zoom's client use, side by side.
///
/// Zoom's documents ask for the product's own field, Zoom's own client always sends `meeting_uuid`; so both are sent
/// and any is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdFields {
    /// Contact Center.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "is_none")]
    pub engagement_id: Option<String>,
    /// Meetings, webinars, and Zoom's own client for everything.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "is_none")]
    pub meeting_uuid: Option<String>,
    /// Webinars, in some payloads.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "is_none")]
    pub webinar_uuid: Option<String>,
    /// Video SDK.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "is_none")]
    pub session_id: Option<String>,
    /// Phone.
    #[serde(default, deserialize_with = "lenient_text", skip_serializing_if = "is_none")]
    pub call_id: Option<String>,
}

impl IdFields {
    /// The product's own field and `meeting_uuid`, both with `id`.
    #[must_use]
    pub fn for_stream(product: crate::Product, id: &str) -> Self {
        use crate::Product;
        let id = || Some(id.to_owned());
        let mut fields = Self { meeting_uuid: id(), ..Self::default() };
        match product {
            Product::ContactCenter => fields.engagement_id = id(),
            Product::Meeting | Product::Webinar => {}
            Product::VideoSdk => fields.session_id = id(),
            Product::Phone => fields.call_id = id(),
        }
        fields
    }

    /// Every id that is present and not empty, the most telling field first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        [&self.engagement_id, &self.session_id, &self.call_id, &self.webinar_uuid, &self.meeting_uuid]
            .into_iter()
            .filter_map(|id| id.as_deref())
            .filter(|id| !id.is_empty())
    }
}
