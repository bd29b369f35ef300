//! Zoom's numbers as Rust enums that stay open: a number nobody has named yet is kept, never an error.
//!
//! One macro, so that every family of codes has the same four things: `from_code`, `code`, `name` and a serde form
//! that is the bare number.

/// Defines an enum of known codes plus `Unknown(i64)`, see the module.
macro_rules! open_code {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal, $word:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vmeta])* #[doc = concat!("`", $code, "` ", $word)] $variant,)+
            /// A number that has no public name; kept as it came.
            Unknown(i64),
        }

        impl $name {
            /// Every code that has a name, in the order of Zoom's list.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The code of a number, known or not.
            #[must_use]
            pub const fn from_code(code: i64) -> Self {
                match code {
                    $($code => Self::$variant,)+
                    other => Self::Unknown(other),
                }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i64 {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Unknown(other) => other,
                }
            }

            /// Zoom's name for it, `UNKNOWN` where it has none.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(_) => "UNKNOWN",
                }
            }
        }

        impl std::fmt::Display for $name {
            /// `NAME (number)`, the form for logs.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} ({})", self.name(), self.code())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.code())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::wire::Integer::deserialize(deserializer).map(|n| Self::from_code(n.0))
            }
        }
    };
}
pub(crate) use open_code;
