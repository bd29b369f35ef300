//! The codecs from outside: held against ffmpeg's, which nobody of ours wrote, and fed with any bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod ffmpeg;
mod hostile;
mod opus;
mod telephone;
