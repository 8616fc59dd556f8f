//! `tapedeck-sim-planted`: looks for bugs that are planted on purpose.

/// Books are copied all the time: the system's allocator took a fourth of a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    simulation::cli::planted()
}
