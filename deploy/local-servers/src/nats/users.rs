//! Users of a local nats-server beside its owner: each with its own password and its own few subjects.
//!
//! The owner is in an account of its own, which holds the streams; each of the others is alone in another account,
//! which imports what they may ask for. Permissions alone would not do: a permission is checked on the subject of a
//! request and not on that of its answer, so that whoever may ask for anything could have the server send the
//! answer to `$JS.API.STREAM.DELETE.…` or under a subject of a stream. An answer that crosses into another
//! account can reach nothing but an inbox there. And a server of this kind bounds the connections of an account, not
//! those of a user: alone in one, a user that opens as many as it may shuts out nobody else.
//!
//! A running server links the imports of an account only when it reads of it for the second time; whoever adds one
//! has the server read twice.
//!
//! They live in `users.json` and, as the server reads them, in `users.conf`, which the server's configuration
//! includes. A change takes effect in a running server at once, whichever process runs it: the file is
//! replaced and the server told to read it again, upon which it ends the connections of users that are gone.
//! Of a password only the bcrypt hash is kept.
//!
//! Deliberately absent: what the subjects mean.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::config::quoted;
use super::services::{self, ServiceUser};
use crate::ServerError;
use crate::credentials::{Credentials, random_text};
use crate::files::{log_tail, write_private};
use crate::process::{ChildRecord, send};

/// A generated password has 192 random bits, which no search will find: the hash need not be slow, and the
/// server computes it at every connect.
const BCRYPT_COST: u32 = 6;
const PASSWORD_BYTES: usize = 24;
/// Account of the owner, which holds the streams.
const OWNER_ACCOUNT: &str = "TAPE";
/// The server's own account, as the configuration writes it.
const SYSTEM_ACCOUNT: &str = "\"$SYS\"";
/// What may pass from the account of a user into the owner's, as far as a user's own permissions go.
const PASSED: [&str; 5] = [
    "signal.>",
    "$JS.ACK.>",
    "$JS.API.DIRECT.GET.*.>",
    "$JS.API.CONSUMER.MSG.NEXT.*.*",
    "$JS.API.CONSUMER.RESET.*.*",
];
/// Where the server says that a connection has ended, and why; also one that it refused.
const ENDED: &str = "$SYS.ACCOUNT.*.DISCONNECT";
/// Most connections that a user has at a time; the server refuses further ones and keeps those that are there. Without it
/// one of them could use up what the server's process may open, and nobody else would be let in. A program needs one or
/// two, and one that starts anew before the server has noticed the end of the last one some more.
pub const USER_CONNECTIONS_MAX: u32 = 16;
/// How long a running server may take to read its users again.
const RELOAD_MAX: Duration = Duration::from_secs(10);
const RELOAD_POLL: Duration = Duration::from_millis(5);
const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// A user and what it may do; everything else is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatsUser {
    /// Name.
    pub name: String,
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    user: NatsUser,
    bcrypt: String,
}

/// The users of the server whose data are in one directory.
#[derive(Clone, Debug)]
pub struct NatsUsers {
    directory: PathBuf,
}

impl NatsUsers {
    /// The users of the server in `data_dir`, as given to [`crate::NatsOptions::new`].
    pub fn of(data_dir: impl Into<PathBuf>) -> Self {
        Self { directory: data_dir.into() }
    }

    /// Adds a user, or gives one that is there these rights and a new password. When the server runs, the
    /// user can connect as soon as this returns.
    ///
    /// # Errors
    /// When a file cannot be written or the server does not take the change.
    pub async fn grant(&self, user: &NatsUser) -> Result<SecretString, ServerError> {
        let password = random_text(PASSWORD_BYTES)?;
        let bcrypt = bcrypt::hash(&password, BCRYPT_COST)
            .map_err(|error| ServerError::Random(format!("bcrypt: {error}")))?;
        let user = user.clone();
        self.change(move |users| {
            users.retain(|known| known.user.name != user.name);
            users.push(Stored { user, bcrypt });
        })
        .await?;
        Ok(password.into())
    }

    /// Removes a user; a running server ends its connections. A user that is gone already is no error.
    ///
    /// # Errors
    /// As [`NatsUsers::grant`].
    pub async fn revoke(&self, name: &str) -> Result<(), ServerError> {
        let name = name.to_owned();
        self.change(move |users| users.retain(|known| known.user.name != name)).await
    }

    /// The password of a service's user; `None` when the server knows no such user.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn service_password(&self, user: &str) -> Result<Option<SecretString>, ServerError> {
        services::password(&self.directory, user)
    }

    /// Names of the users, sorted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ServerError> {
        let mut names: Vec<String> = self.read()?.into_iter().map(|stored| stored.user.name).collect();
        names.sort();
        Ok(names)
    }

    async fn change(
        &self,
        change: impl FnOnce(&mut Vec<Stored>) + Send + 'static,
    ) -> Result<(), ServerError> {
        let users = self.clone();
        let outcome = tokio::task::spawn_blocking(move || users.change_now(change)).await;
        outcome.unwrap_or_else(|error| Err(ServerError::Random(error.to_string())))
    }

    fn change_now(&self, change: impl FnOnce(&mut Vec<Stored>)) -> Result<(), ServerError> {
        let _lock = self.lock()?;
        let mut users = self.read()?;
        change(&mut users);
        users.sort_by(|a, b| a.user.name.cmp(&b.user.name));
        let path = self.path("users.json");
        let text = serde_json::to_vec_pretty(&users)
            .map_err(|error| ServerError::file(&path, "write")(error.into()))?;
        write_private(&path, &text)?;
        let owner = Credentials::load_or_create(&self.path("credentials.json"), super::OWNER)?;
        let before = fs::read_to_string(self.path("users.conf")).unwrap_or_default();
        self.write(&owner, &users)?;
        self.reload()?;
        let is_new = |stored: &Stored| !before.contains(&account(&stored.user.name));
        if users.iter().any(is_new) { self.reload() } else { Ok(()) }
    }

    /// Writes `users.conf` for a server that is about to start.
    pub(super) fn prepare(&self, owner: &Credentials, own: &[ServiceUser]) -> Result<(), ServerError> {
        let _lock = self.lock()?;
        self.adopt_global()?;
        services::prepare(&self.directory, own)?;
        self.write(owner, &self.read()?)
    }

    fn write(&self, owner: &Credentials, users: &[Stored]) -> Result<(), ServerError> {
        let own = services::read(&self.directory)?;
        write_private(&self.path("users.conf"), render(owner, &own, users).as_bytes())
    }

    /// Streams that were made when the server had one account, the global one, belong to the owner.
    fn adopt_global(&self) -> Result<(), ServerError> {
        let streams = self.path("jetstream");
        let (global, own) = (streams.join("$G"), streams.join(OWNER_ACCOUNT));
        if !global.exists() || own.exists() {
            return Ok(());
        }
        fs::rename(&global, &own).map_err(ServerError::file(&global, "hand over to the owner's account"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn read(&self) -> Result<Vec<Stored>, ServerError> {
        let path = self.path("users.json");
        match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content)
                .map_err(|error| ServerError::file(&path, "read")(error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(ServerError::file(&path, "read")(error)),
        }
    }

    /// Two commands must not lose each other's user. The kernel lets go of the lock with the file.
    fn lock(&self) -> Result<File, ServerError> {
        let path = self.path("users.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(ServerError::file(&path, "open"))?;
        file.lock().map_err(ServerError::file(&path, "lock"))?;
        Ok(file)
    }

    /// Has the running server, if any, read its users again, and waits until it says so.
    fn reload(&self) -> Result<(), ServerError> {
        let Some(server) = ChildRecord::alive(&self.path("running.json")) else { return Ok(()) };
        let log = self.path("server.log");
        let since = length(&log);
        send(server.pid, Signal::SIGHUP);
        let deadline = Instant::now() + RELOAD_MAX;
        loop {
            let said = log_tail(&log, since, LOG_TAIL_BYTES);
            if said.contains("Reloaded server configuration") {
                return Ok(());
            }
            let refusal = said.lines().find(|line| line.contains("Failed to reload"));
            if refusal.is_some() || Instant::now() >= deadline {
                let waited = format!("it did not read its users again within {} s", RELOAD_MAX.as_secs());
                let reason = refusal.map_or(waited, str::to_owned);
                return Err(ServerError::NotReloaded { program: "nats-server", reason });
            }
            std::thread::sleep(RELOAD_POLL);
        }
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// The account of a user, in the configuration language.
fn account(user: &str) -> String {
    quoted(&format!("user-{user}"))
}

/// Accounts and users in the configuration language.
fn render(owner: &Credentials, own: &[services::Stored], users: &[Stored]) -> String {
    let own: String = own.iter().map(|stored| format!(", {}", services::block(stored))).collect();
    let exports = PASSED.map(|subject| format!("{{ service: {}, response_type: stream }}", quoted(subject)));
    let imports = PASSED.map(|subject| {
        format!("{{ service: {{ account: {OWNER_ACCOUNT}, subject: {} }} }}", quoted(subject))
    });
    let (exports, imports, ended) = (exports.join(", "), imports.join(", "), quoted(ENDED));
    let mut text = format!(
        "# Written by Tapedeck; changes here are lost.\naccounts: {{\n  {OWNER_ACCOUNT}: {{\n    \
         jetstream: enabled\n    users: [ {{ user: {}, password: {} }}{own} ]\n    exports: [ {exports} ]\n    \
         imports: [ {{ stream: {{ account: {SYSTEM_ACCOUNT}, subject: {ended} }} }} ]\n  }}\n  \
         {SYSTEM_ACCOUNT}: {{ exports: [ {{ stream: {ended}, accounts: [ {OWNER_ACCOUNT} ] }} ] }}\n",
        quoted(&owner.user),
        quoted(owner.password.expose_secret()),
    );
    for Stored { user, bcrypt } in users {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {}: {{\n    limits: {{ max_connections: {USER_CONNECTIONS_MAX} }}\n    imports: [ {imports} ]\n    \
             users: [ {} ]\n  }}",
            account(&user.name),
            block(user, bcrypt),
        );
    }
    text.push_str("}\n");
    text
}

/// One user as the server's configuration states it.
fn block(user: &NatsUser, password: &str) -> String {
    let list =
        |subjects: &[String]| subjects.iter().map(|subject| quoted(subject)).collect::<Vec<_>>().join(", ");
    format!(
        "{{ user: {}, password: {}, permissions: {{ publish: {{ allow: [{}] }}, subscribe: {{ allow: [{}] }} }} }}",
        quoted(&user.name),
        quoted(password),
        list(&user.publish),
        list(&user.subscribe),
    )
}

impl NatsUser {
    /// A new password and the block that a server of the user's own needs in an account of the user alone,
    /// with the password's hash.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn for_another_server(&self) -> Result<(SecretString, String), ServerError> {
        let password = random_text(PASSWORD_BYTES)?;
        let bcrypt = bcrypt::hash(&password, BCRYPT_COST)
            .map_err(|error| ServerError::Random(format!("bcrypt: {error}")))?;
        let block = block(self, &bcrypt);
        Ok((password.into(), block))
    }
}
