//! Runs a command with the servers that tests need: `with-servers cargo nextest run --workspace`.
//!
//! Starts one PostgreSQL that does not sync its writes, finds nats-server (each test starts its own), makes a directory
//! of the run, names them in the environment of the command, and ends with the command's exit code. What is set already
//! is used as it is. The database's files and the directory are temporary and go with it.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use local_servers::testing::{
    DATABASE_URL_VARIABLE, NATS_SERVER_VARIABLE, RUN_VARIABLE, TestPostgres, TestRun, search_from_environment,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        return failed("usage: with-servers COMMAND [ARGUMENT…]");
    };
    let mut command = Command::new(program);
    command.args(arguments);
    match run(command).await {
        Ok(status) => exit_code(status),
        Err(error) => failed(&error.to_string()),
    }
}

async fn run(mut command: Command) -> Result<ExitStatus, Box<dyn std::error::Error>> {
    if !is_set(NATS_SERVER_VARIABLE) {
        command.env(NATS_SERVER_VARIABLE, local_servers::find_nats_server(&search_from_environment())?);
    }
    // Uses a server that is named already, else starts one that lives until the end of this function.
    let postgres = TestPostgres::shared().await?;
    command.env(DATABASE_URL_VARIABLE, postgres.url());
    // It lives until the end of this function, too.
    let run = if is_set(RUN_VARIABLE) { None } else { Some(TestRun::prepare().await?) };
    if let Some(run) = &run {
        command.env(RUN_VARIABLE, run.directory());
    }

    // Ctrl-C reaches the whole group, so the command hears it by itself; this process must outlive it to
    // stop the server. A termination reaches this process alone and is passed on.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test runner configures tests through the environment")]
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The command's own exit code; a command ended by a signal counts as shells count it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn failed(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "with-servers: {message}");
    ExitCode::FAILURE
}
