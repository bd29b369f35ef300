//! Whole recordings, written into a temporary folder and read back, media by an independent reader (ffprobe, ffmpeg).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking; the lint exempts test functions only, not their helpers"
)]

mod audio;
mod codecs;
mod disk;
mod events;
mod h264;
mod hands;
mod hostile;
mod images;
mod lives;
mod manifest;
mod mkv;
mod ogg;
mod participants;
mod private;
mod repair;
mod resolved;
mod resume;
mod strays;
mod support;
mod text;
mod totals;
mod video;
mod volume;
mod watch;
mod watch_images;
