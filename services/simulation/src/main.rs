//! `tapedeck-sim`: runs seeds, prints what happened, and makes a failure as small as it can.

/// Books are copied all the time: the system's allocator took a fourth of a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    simulation::cli::main()
}
