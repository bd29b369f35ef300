//! The binary `rtms-worker`; everything is in the library.

/// Packets are allocated on one thread and freed on another, tens of thousands a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    rtms_service::program::main::<rtms_worker::Worker>()
}
