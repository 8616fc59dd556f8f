//! One supervised child: started, watched, started again when it dies, stopped cleanly.
//!
//! A thread of its own does all of it, for a reason: the kernel's parent-death signal is bound to the thread
//! that started the child, and a worker of an asynchronous runtime may end while the process goes on. The
//! thread lives exactly as long as its child is wanted.
//!
//! A child that dies is started again after a pause that doubles from 100 ms to 5 s. Ten deaths in a row,
//! none of which followed a minute of good service, end the attempts: the state then says why.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use crate::ServerError;
use crate::files::{log_tail, open_log};
use crate::process::{self, ChildRecord};
use crate::search::Search;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
const DEATHS_MAX: u32 = 10;
const GOOD_SERVICE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);
const LOG_TAIL_BYTES: u64 = 2_000;

/// What a supervised server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// The process runs and is not ready yet.
    Starting,
    /// It takes connections.
    Running {
        /// Process id.
        pid: u32,
        /// How often it was started again since the first start.
        restarts: u32,
    },
    /// It died and will be started again.
    Restarting {
        /// Why it died, with the end of its log.
        reason: String,
    },
    /// It is not started again.
    Failed {
        /// Why, with the end of its log.
        reason: String,
    },
    /// It was stopped as asked.
    Stopped,
}

/// How to start, recognise as ready and stop one child.
pub(crate) struct ChildSpec {
    /// Name in messages.
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Replaces stdin; PostgreSQL gets its data directory through it.
    pub(crate) stdin_directory: Option<PathBuf>,
    /// User to become, only as root.
    pub(crate) user: Option<String>,
    /// `setpriv`, where it exists.
    pub(crate) setpriv: Option<PathBuf>,
    pub(crate) log: PathBuf,
    /// Where the running child is written down.
    pub(crate) record: PathBuf,
    pub(crate) port: u16,
    /// Asks it to finish its work and end.
    pub(crate) stop_signal: Signal,
    /// Ends it at once without harm to its data; also sent by the kernel when this process dies.
    pub(crate) end_signal: Signal,
    /// How long it may take to become ready.
    pub(crate) start_timeout: Duration,
    /// How long it may take to finish its work.
    pub(crate) stop_timeout: Duration,
    /// Whether the process takes connections now.
    pub(crate) ready: Arc<dyn Fn(u32) -> bool + Send + Sync>,
}

/// The path of `setpriv`, which binds a child's life to its parent's and drops root.
pub(crate) fn find_setpriv(search: &Search) -> Option<PathBuf> {
    let fixed = ["/usr/bin/setpriv", "/bin/setpriv"].map(PathBuf::from);
    search.on_path("setpriv").into_iter().chain(fixed).find(|path| {
        // Another implementation of the same name may lack the option.
        Command::new(path)
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

impl ChildSpec {
    fn command(&self) -> Result<Command, ServerError> {
        let mut command = match (&self.setpriv, &self.user) {
            (Some(setpriv), user) => {
                let mut command = Command::new(setpriv);
                if let Some(user) = user {
                    let user = user.as_str();
                    let group = crate::postgres::group_of(user)?;
                    command.args(["--reuid", user, "--regid", &group, "--init-groups"]);
                }
                let signal = self.end_signal.as_str().trim_start_matches("SIG");
                command.args(["--pdeathsig", signal, "--"]).arg(&self.program);
                command
            }
            (None, None) => Command::new(&self.program),
            (None, Some(_)) => {
                return Err(ServerError::NoUnprivilegedUser {
                    missing: "setpriv was not found".to_owned(),
                    remedy: "apt-get install util-linux",
                });
            }
        };
        command.args(&self.arguments);
        let log = open_log(&self.log)?;
        let errors = log.try_clone().map_err(ServerError::file(&self.log, "share the log"))?;
        let stdin = match &self.stdin_directory {
            Some(path) => Stdio::from(File::open(path).map_err(ServerError::file(path, "open"))?),
            None => Stdio::null(),
        };
        // A group of its own, so that Ctrl-C in a terminal reaches this process alone, which then stops
        // its servers in order.
        command.stdin(stdin).stdout(log).stderr(errors).current_dir("/").process_group(0);
        Ok(command)
    }
}

enum Request {
    Stop,
    End,
}

/// A handle on the thread that looks after one child. Dropping it ends the child at once.
pub(crate) struct Supervisor {
    requests: mpsc::UnboundedSender<Request>,
    state: watch::Receiver<ServerState>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the child and returns when it is ready; a child that fails its first start is not tried again.
    pub(crate) async fn start(spec: ChildSpec) -> Result<Self, ServerError> {
        let program = spec.name;
        let (requests, inbox) = mpsc::unbounded_channel();
        let (outbox, mut state) = watch::channel(ServerState::Starting);
        let thread = std::thread::Builder::new()
            .name(format!("{program} supervisor"))
            .spawn(move || supervise(&spec, inbox, &outbox))
            .map_err(ServerError::file(program, "start its supervisor"))?;
        let supervisor = Self { requests, state: state.clone(), thread: Some(thread) };
        let outcome = state.wait_for(|state| *state != ServerState::Starting).await;
        match outcome.as_deref() {
            Ok(ServerState::Running { .. }) => {}
            Ok(ServerState::Failed { reason } | ServerState::Restarting { reason }) => {
                return Err(ServerError::NotStarted { program, reason: reason.clone() });
            }
            Ok(ServerState::Starting | ServerState::Stopped) | Err(_) => {
                let reason = "its supervisor ended".to_owned();
                return Err(ServerError::NotStarted { program, reason });
            }
        }
        drop(outcome);
        Ok(supervisor)
    }

    /// The state, also for waiting for a change.
    pub(crate) fn state(&self) -> watch::Receiver<ServerState> {
        self.state.clone()
    }

    /// Lets the child finish its work, and returns when it has ended.
    pub(crate) async fn stop(mut self) {
        let _ = self.requests.send(Request::Stop);
        let ended = |state: &ServerState| matches!(state, ServerState::Stopped | ServerState::Failed { .. });
        let _ = self.state.wait_for(ended).await;
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a server's supervisor panicked");
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::End);
        self.join();
    }
}

/// Why a child's service came to its end.
enum End {
    Asked,
    Died(String),
}

fn supervise(
    spec: &ChildSpec,
    mut inbox: mpsc::UnboundedReceiver<Request>,
    state: &watch::Sender<ServerState>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            state.send_replace(ServerState::Failed { reason: error.to_string() });
            return;
        }
    };
    let last = runtime.block_on(keep_alive(spec, &mut inbox, state));
    let _ = std::fs::remove_file(&spec.record);
    state.send_replace(last);
}

/// Serves until asked to end or until starting again is hopeless; returns the last state.
async fn keep_alive(
    spec: &ChildSpec,
    inbox: &mut mpsc::UnboundedReceiver<Request>,
    state: &watch::Sender<ServerState>,
) -> ServerState {
    let mut restarts = 0;
    let mut deaths_in_a_row = 0;
    loop {
        let reason = match serve_once(spec, inbox, state, restarts).await {
            Ok((End::Asked, _)) => return ServerState::Stopped,
            Ok((End::Died(reason), served)) => {
                deaths_in_a_row = if served >= GOOD_SERVICE { 1 } else { deaths_in_a_row + 1 };
                reason
            }
            Err(reason) if restarts == 0 && deaths_in_a_row == 0 => return ServerState::Failed { reason },
            Err(reason) => {
                deaths_in_a_row += 1;
                reason
            }
        };
        if deaths_in_a_row >= DEATHS_MAX {
            tracing::error!(server = spec.name, deaths_in_a_row, %reason, "a server is not started again");
            return ServerState::Failed { reason };
        }
        let pause = PAUSE_MAX.min(PAUSE_MIN * 2_u32.pow((deaths_in_a_row - 1).min(16)));
        tracing::error!(server = spec.name, pause_ms = pause.as_millis(), %reason, "a server died");
        state.send_replace(ServerState::Restarting { reason });
        tokio::select! {
            _ = inbox.recv() => return ServerState::Stopped,
            () = tokio::time::sleep(pause) => {}
        }
        restarts += 1;
    }
}

/// Starts the child and stays with it. `Err` means that it never became ready; otherwise why its service
/// ended and how long it lasted.
async fn serve_once(
    spec: &ChildSpec,
    inbox: &mut mpsc::UnboundedReceiver<Request>,
    state: &watch::Sender<ServerState>,
    restarts: u32,
) -> Result<(End, Duration), String> {
    let since = std::fs::metadata(&spec.log).map_or(0, |data| data.len());
    let with_log = |what: String| match log_tail(&spec.log, since, LOG_TAIL_BYTES) {
        tail if tail.is_empty() => what,
        tail => format!("{what}; its log ends with\n{tail}"),
    };
    let command = spec.command().map_err(|error| error.to_string())?;
    let mut child = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}", spec.program.display()))?;
    let Some(pid) = child.id() else { return Err("it ended at once".to_owned()) };
    ChildRecord::write(&spec.record, pid, spec.port).map_err(|error| error.to_string())?;

    let began = Instant::now();
    while !(spec.ready)(pid) {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(with_log(ended_how(status)));
        }
        if let Ok(request) = inbox.try_recv() {
            end(spec, &mut child, &request).await;
            return Ok((End::Asked, Duration::ZERO));
        }
        if began.elapsed() > spec.start_timeout {
            end(spec, &mut child, &Request::End).await;
            return Err(with_log(format!("not ready after {} s", spec.start_timeout.as_secs())));
        }
        tokio::time::sleep(POLL).await;
    }
    tracing::debug!(server = spec.name, pid, elapsed_ms = began.elapsed().as_millis(), "ready");
    state.send_replace(ServerState::Running { pid, restarts });

    let served_from = Instant::now();
    let end_reason = tokio::select! {
        status = child.wait() => match status {
            Ok(status) => End::Died(with_log(ended_how(status))),
            Err(error) => End::Died(format!("cannot be watched: {error}")),
        },
        request = inbox.recv() => {
            let request = request.unwrap_or(Request::End);
            end(spec, &mut child, &request).await;
            End::Asked
        }
    };
    Ok((end_reason, served_from.elapsed()))
}

/// Ends the child: gently if asked to stop, then at once, then by force.
async fn end(spec: &ChildSpec, child: &mut Child, request: &Request) {
    let gently = (spec.stop_signal, spec.stop_timeout);
    let at_once = (spec.end_signal, Duration::from_secs(5));
    let steps = match request {
        Request::Stop => vec![gently, at_once],
        Request::End => vec![at_once],
    };
    for (signal, patience) in steps {
        let Some(pid) = child.id() else { return };
        process::send(pid, signal);
        if tokio::time::timeout(patience, child.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(server = spec.name, pid, %signal, "a server did not end in time");
    }
    if let Err(error) = child.kill().await {
        tracing::error!(server = spec.name, %error, "a server cannot be killed");
    }
}

fn ended_how(status: ExitStatus) -> String {
    format!("it ended with {status}")
}
