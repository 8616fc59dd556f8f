//! Waiting for a condition, and what the tests ask of files and processes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use local_servers::testing::{NATS_SERVER_VARIABLE, search_from_environment};
use local_servers::{NatsOptions, Search, ServerState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn kill_9(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

/// Whether `pid` runs; one that ended and was not waited for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

pub(crate) fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

pub(crate) fn pid_of(state: &watch::Receiver<ServerState>) -> u32 {
    match &*state.borrow() {
        ServerState::Running { pid, .. } => *pid,
        other => panic!("not running: {other:?}"),
    }
}

/// The state after the server was started again `count` times.
pub(crate) async fn restarted(state: &mut watch::Receiver<ServerState>, count: u32) {
    let wanted =
        |state: &ServerState| matches!(state, ServerState::Running { restarts, .. } if *restarts >= count);
    tokio::time::timeout(PATIENCE, state.wait_for(wanted)).await.unwrap().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the test runner names the program in the environment")]
pub(crate) fn nats_search() -> Search {
    let explicit = std::env::var_os(NATS_SERVER_VARIABLE).map(PathBuf::from);
    Search { explicit, ..search_from_environment() }
}

pub(crate) fn nats_options(directory: &Path) -> NatsOptions {
    NatsOptions::new(directory, nats_search())
}

/// An executable script.
pub(crate) fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A client with the user and password of `url`; the client library leaves that to its caller.
pub(crate) async fn connect(url: &str) -> async_nats::Client {
    let address: async_nats::ServerAddr = url.parse().unwrap();
    let (user, password) = (address.username().unwrap().to_owned(), address.password().unwrap().to_owned());
    async_nats::ConnectOptions::with_user_and_password(user, password).connect(address).await.unwrap()
}
