//! What the fuzz targets do with a run of bytes, and what must hold whatever the bytes are.
//!
//! Each body takes bytes, plays them into public functions, and asserts. The targets in `fuzz/` are shims around
//! these, so that only they need a nightly compiler; `tests/it` replays every kept input (`fuzz/corpus`) through the
//! same bodies in the ordinary test suite. A broken promise is a panic here: that is how a fuzzer is told.
//!
//! No sockets, no clock, no randomness: the same bytes do the same again.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is how a fuzz body reports; none of this is linked into a service"
)]

mod choices;
mod coded;
mod files;
mod frames;
mod ogg;
mod recording;
mod run;
mod session;
mod timeline;
mod webhooks;

pub use coded::coded;
pub use frames::frames;
pub use recording::recording;
pub use session::session;
pub use timeline::timeline;
pub use webhooks::webhooks;

/// What is done with one input.
pub type Body = fn(&[u8]);

/// Every body and the name of its target and corpus folder.
pub const BODIES: [(&str, Body); 6] = [
    ("frames", frames),
    ("webhooks", webhooks),
    ("session", session),
    ("timeline", timeline),
    ("recording", recording),
    ("coded", coded),
];
