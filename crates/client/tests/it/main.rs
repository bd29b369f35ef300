//! The client against sockets that misbehave on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod doors;
mod floods;
mod goodbyes;
mod resets;
mod rests;
mod zoom;
