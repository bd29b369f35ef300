//! The outside of the crate: settings as operators write them, the server as strangers treat it.

#![allow(clippy::unwrap_used, reason = "a test's helper fails its test by panicking")]

mod http;
mod metrics;
mod settings;
