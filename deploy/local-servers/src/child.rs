//! One child: how it is started, recognised as ready and stopped.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::ServerError;
use crate::files::open_log;
use crate::search::Search;

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
    /// Variables of its environment beside those of this process.
    pub(crate) environment: Vec<(&'static str, String)>,
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
    /// The command that starts the child, in a process group of its own.
    pub(crate) fn command(&self) -> Result<Command, ServerError> {
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
        command.args(&self.arguments).envs(self.environment.iter().cloned());
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
