//! What the two services share, so that neither repeats the other: settings, the frame of a program,
//! data folders, logging, metrics, shutdown, internal authentication, and an HTTP server that strangers cannot stall.
//!
//! A service describes itself once, as a [`program::Program`], and its `main` is one line:
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     rtms_service::program::main::<Gateway>()
//! }
//! ```
//!
//! Nothing here knows Zoom, webhooks or recordings; that keeps the arrows of the workspace pointing down.

pub mod folder;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod program;
pub mod settings;
pub mod shutdown;
pub mod time;

/// The stop signal a service is given: cancelled once, seen by every clone.
pub use tokio_util::sync::CancellationToken;
