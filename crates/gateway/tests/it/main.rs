//! The gateway from outside: Zoom's side in front, a scripted worker behind, the data folder between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helper fails its test by panicking")]

mod binary;
mod crowd;
mod delivery;
mod durability;
mod flood;
mod outbox;
mod support;
mod webhook;
