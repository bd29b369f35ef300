//! A client for Zoom Realtime Media Streams: give it a stream, get its media and events.
//!
//! [`Client`] drives one [`rtms_protocol::Session`] over real sockets. The session decides, the client obeys: it opens
//! TLS WebSockets, carries frames both ways, keeps the clock, and hands out what was learned. One client belongs to
//! one task; nothing is spawned but the short goodbye of a closed socket, nothing is locked, nothing is queued beyond
//! what one message needs, so whoever does not call [`Client::next`] makes Zoom wait.
//!
//! ```no_run
//! use std::sync::Arc;
//! use rtms_client::{Client, ClientEvent, ClientOptions, TlsRoots, UrlPolicy};
//! # async fn run(session: rtms_protocol::SessionConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let options = ClientOptions::new(TlsRoots::system(None)?, UrlPolicy::parse("*.zoom.us", false)?);
//! let mut client = Client::new(session, Arc::new(options));
//! while let Some(event) = client.next().await {
//!     if let ClientEvent::Media(frame) = event {
//!         println!("{} at {}", frame.kind, frame.packet()?.timestamp);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/live_transcript.rs` is a whole program.

mod address;
mod bell;
mod bounds;
mod client;
mod connect;
mod pace;
mod rhythm;
mod socket;
mod tls;
mod url_policy;

pub use bell::Bell;
pub use client::{Client, ClientEvent, ClientOptions};
pub use rhythm::Rests;
pub use tls::{TlsError, TlsRoots};
pub use url_policy::{PatternError, Target, UrlPolicy, UrlRefused};
