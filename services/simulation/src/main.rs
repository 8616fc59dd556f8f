//! `tapedeck-sim`: runs seeds, prints what happened, and makes a failure as small as it can.

fn main() -> std::process::ExitCode {
    simulation::cli::main()
}
