//! See `rtms_fuzz_bodies::coded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rtms_fuzz_bodies::coded(bytes));
