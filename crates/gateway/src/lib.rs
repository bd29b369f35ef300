//! The public service: Zoom's webhooks in, one worker's `POST /webhook` out, nothing lost between.
//!
//! A delivery goes through four stations, and each trusts only the one before:
//!
//! 1. [`verify`] checks the signature over the raw bytes; nothing is parsed, written or acted on earlier.
//! 2. [`envelope`] reads what little the gateway needs: kind, stream, time.
//! 3. [`outbox`] writes the event to disk (fsync) and recognises repeated ones; only then Zoom gets its 200.
//! 4. [`delivery`] forwards, in order for each stream, until the worker took it or it is pointless.
//!
//! It refuses to be an oracle for signatures, to answer 200 for what is not on disk, and to tell the
//! public listener's callers anything but the answer to their request.

mod body;
pub mod delivery;
pub mod envelope;
mod intake;
mod metrics;
pub mod outbox;
mod program;
mod run;
pub mod settings;
mod sparingly;
mod status;
pub mod verify;

pub use program::Gateway;
pub use run::{Listeners, run};
pub use settings::Settings;
