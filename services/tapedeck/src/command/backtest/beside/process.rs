//! The program of an external strategy beside a run: started, watched, ended.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backtest::beside::Watch;
use engine::OutsideError;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::named::Program;
use super::super::progress::Interrupt;
use crate::exit::Failure;
use crate::output::Output;

/// Variable that names the file of credentials.
const VARIABLE: &str = "TAPEDECK_CREDENTIALS";
/// Time that a program gets to end by itself.
const END_MAX: Duration = Duration::from_secs(2);
/// Time after which the user is told who is waited for.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// Last bytes of a log that are shown.
const TAIL_BYTES: usize = 2_000;

/// One strategy's program.
pub struct Process {
    strategy: String,
    /// `None` when the user starts it.
    child: Option<Child>,
    credentials: PathBuf,
    log: PathBuf,
}

/// The programs of a run.
pub type Processes = Arc<Mutex<Vec<Process>>>;

impl Process {
    /// Starts the program with the credentials in `file`; without a command the user is told where they are.
    pub fn start(program: &Program, file: &Path, directory: &Path, output: Output) -> Result<Self, Failure> {
        let log = directory.join(format!("{}.log", program.name));
        let mut process =
            Self { strategy: program.name.clone(), child: None, credentials: file.to_owned(), log };
        let Some(command) = &program.command else {
            output.note(&format!(
                "start the program of {} with the credentials in {}",
                program.name,
                file.display()
            ));
            return Ok(process);
        };
        let place = format!("\"${VARIABLE}\"");
        let script =
            if command.contains("{}") { command.replace("{}", &place) } else { format!("{command} {place}") };
        let open = || std::fs::File::options().create(true).append(true).open(&process.log);
        let started = Command::new("sh")
            .args(["-c", &script])
            .env(VARIABLE, file)
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .process_group(0)
            .spawn();
        let failed = |error| Failure::other(format!("--external {command:?}: {error}"));
        process.child = Some(started.map_err(failed)?);
        Ok(process)
    }

    /// Why it ended, when it has.
    fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(TAIL_BYTES)..]).trim().to_owned();
        let said = if tail.is_empty() { "it said nothing".to_owned() } else { format!("it said:\n{tail}") };
        Some(format!("the program of {} ended ({status}); {said}", self.strategy))
    }

    /// The group of the shell and of everything that it has started.
    fn group(&self) -> Option<Pid> {
        let id = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        id.map(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group() {
            // It may be gone already.
            let _ = killpg(group, signal);
        }
    }

    /// Whether anything of it works still. A shell that has not given its place to the program ends before it.
    fn works(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            // A shell that has ended belongs to the group until somebody has asked for it.
            let _ = child.try_wait();
        }
        self.group().is_some_and(|group| killpg(group, None).is_ok())
    }
}

/// Ends all programs.
pub fn end(processes: &Processes) {
    let mut processes = processes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for process in processes.iter() {
        process.signal(Signal::SIGTERM);
    }
    let deadline = Instant::now() + END_MAX;
    for process in processes.iter_mut() {
        while Instant::now() < deadline && process.works() {
            std::thread::sleep(Duration::from_millis(10));
        }
        process.signal(Signal::SIGKILL);
        if let Some(mut child) = process.child.take() {
            // Killed, it ends at once.
            let _ = child.wait();
        }
    }
}

/// Waits for the programs' acknowledgements with patience, but not for one that has ended.
pub struct Patience {
    /// The programs.
    pub processes: Processes,
    /// Set when the user wants the end.
    pub interrupt: Interrupt,
    /// Where the user is told.
    pub output: Output,
}

impl Watch for Patience {
    fn waiting(&mut self, strategy: &str, waited: Duration) -> Result<(), OutsideError> {
        let mut processes = self.processes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(why) = processes.iter_mut().find_map(Process::ended) {
            return Err(OutsideError::Failed(why));
        }
        let seconds = waited.as_secs();
        // Once every five seconds, whatever the pace of the asking.
        if waited >= TOLD_AFTER
            && seconds.is_multiple_of(TOLD_AFTER.as_secs())
            && waited.subsec_millis() < 500
        {
            let file = processes.iter().find(|one| one.strategy == strategy);
            let file = file.map(|one| one.credentials.display().to_string()).unwrap_or_default();
            self.output.progress(&format!(
                "waiting for {strategy} since {seconds} s; its credentials are in {file}"
            ));
        }
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        self.interrupt.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_behind_a_shell_gets_its_time_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("program.sh");
        let saves = "trap 'sleep 0.3; echo saved; exit' TERM\necho ready\nwhile :; do sleep 0.05; done\n";
        std::fs::write(&script, saves).unwrap();
        // What comes behind the program keeps the shell that runs both.
        let command = format!("sh {} {{}}; echo over", script.display());
        let program = Program { name: "swing".to_owned(), command: Some(command), subjects: Vec::new() };
        let output = Output { json: false, color: false, progress: false };
        let credentials = directory.path().join("credentials.json");
        let process = Process::start(&program, &credentials, directory.path(), output).unwrap();
        let log = process.log.clone();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !said().contains("ready") && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        end(&Arc::new(Mutex::new(vec![process])));
        assert!(said().ends_with("saved\n"), "{}", said());
    }
}
