//! `tapedeck-sim-planted`: looks for bugs that are planted on purpose.

fn main() -> std::process::ExitCode {
    simulation::cli::planted()
}
