//! One supervised child: started, watched, started again when it dies, stopped cleanly.
//!
//! A thread of its own does all of it, for a reason: the kernel's parent-death signal is bound to the thread
//! that started the child, and a worker of an asynchronous runtime may end while the process goes on. The
//! thread lives exactly as long as its child is wanted.
//!
//! A child that dies is started again after a pause that doubles from 100 ms to 5 s. Ten deaths in a row,
//! none of which followed a minute of good service, end the attempts: the state then says why.

use std::process::ExitStatus;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use crate::ServerError;
use crate::child::ChildSpec;
use crate::files::log_tail;
use crate::process::{self, ChildRecord};

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
