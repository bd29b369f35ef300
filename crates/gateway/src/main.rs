//! The binary `rtms-gateway`; everything is in the library.

/// What belongs to an event is allocated on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    rtms_service::program::main::<rtms_gateway::Gateway>()
}
