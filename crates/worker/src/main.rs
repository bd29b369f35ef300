//! The binary `rtms-worker`; everything is in the library.

fn main() -> std::process::ExitCode {
    rtms_service::program::main::<rtms_worker::Worker>()
}
