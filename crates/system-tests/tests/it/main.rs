//! Whole-system tests: gateway and worker as they run, Zoom played by the simulator, files read by ffmpeg.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod busy;
mod chosen_video;
mod crash;
mod cuts;
mod disk;
mod ends;
mod failover;
mod failover_servers;
mod failover_stalls;
mod figures;
mod files;
mod hostile;
mod in_time;
mod live;
mod live_listener;
mod media;
mod own_time;
mod parties;
mod pictures;
mod refusals;
mod sounds;
mod system;
mod transcripts;
