//! The private service: joins streams that webhooks announce, and records them.
//!
//! `registry` maps a stream's id to the handle of its engagement. Each engagement is one task (`engagement`) that
//! owns its client; everything else sends it a message or reads its view. What the task receives it hands in batches
//! to one of a few writer threads (`writer`), which own the recordings and all file I/O. `api` is the HTTP side.
//!
//! What happens when the disk is slower than the calls: an engagement's batches count against a byte budget; when it
//! is used up the engagement waits a moment (Zoom then waits too), and after that drops media, counted, so that
//! keep-alives are answered whatever the disk does.

mod api;
mod engagement;
mod folder;
mod live;
mod media_threads;
mod metrics;
mod notices;
mod program;
mod recover;
mod registry;
mod retention;
mod run;
mod settings;
mod view;
mod writer;

pub use program::Worker;
pub use run::run;
pub use settings::{MediaChoice, OnShutdown, Settings, TABLE};
