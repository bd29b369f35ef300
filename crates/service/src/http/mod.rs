//! HTTP as both services speak it: a hardened server, JSON errors, internal authentication, and the
//! small client behind the `health` command.

mod answer;
mod auth;
mod connections;
mod health;
mod listen;
mod serve;

pub use answer::{error, method_not_allowed, metrics_text, not_found};
pub use auth::{InternalAuth, RTMS_INTERNAL_TOKEN, require_internal};
pub use health::healthy;
pub use listen::bind;
pub use serve::{ConnectionCut, Limits, serve};
