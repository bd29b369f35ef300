//! The worker's `main`, built with these tests so that they can kill it as a process.

fn main() -> std::process::ExitCode {
    rtms_service::program::main::<rtms_worker::Worker>()
}
