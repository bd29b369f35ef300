//! Plays Zoom: signed webhooks, signaling and media sockets, faults, load.
//!
//! [`Simulator`] is the server, for tests and for the program `rtms-simulator`. A stream is announced with a
//! [`scenario::Program`], begins at once, and is played to whoever joins it properly; everybody else is refused with Zoom's
//! own status codes. What was really sent is reported by [`Played`], so that a recording can be compared sample for sample.
//!
//! What Zoom does not document and is decided here: transcript lines and chat messages are kept for an absent client just
//! as audio is; events that happened before a subscription are sent when it comes, with the time when they happened; a
//! refused subscription is answered with its own message type and the status code; a choice of video ends with the
//! signaling connection on which it was made; the words of `attribute` and the `message_id` of chat; that a changed name
//! is simply the name from then on; the numbering of RTP packets, which goes on after a reconnection.

pub mod clock;
pub mod content;
pub mod engagement;
pub mod faults;
mod handle;
mod lateness;
pub mod pcm;
pub mod played;
mod player;
pub mod render;
pub mod scenario;
mod server;
mod stream;
pub mod webhook;

pub use handle::StreamHandle;
pub use lateness::Lateness;
pub use played::Played;
pub use server::{
    AnyStream, Encryption, Simulator, SimulatorConfig, SimulatorError, TlsError, write_certificate,
};
pub use stream::{Connections, Notice, SecondConnection, Tally, Timing};
