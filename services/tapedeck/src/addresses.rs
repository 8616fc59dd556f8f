//! Where a tape's servers are and as whom to use them; what is secret stays out of messages.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::home::TapeDir;

/// Where the servers are and as whom to use them. Secrets: the file is readable by its owner alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// nats-server, with user and password.
    pub nats_url: SecretUrl,
    /// PostgreSQL as administrator.
    pub admin_url: SecretUrl,
    /// PostgreSQL as the projector.
    pub projector_url: SecretUrl,
    /// PostgreSQL as a reader.
    pub reader_url: SecretUrl,
    /// The dashboard, once it listens.
    pub dashboard: Option<String>,
}

/// A URL that holds a password; never printed.
#[derive(Clone, Debug)]
pub struct SecretUrl(SecretString);

impl SecretUrl {
    pub fn new(url: String) -> Self {
        Self(url.into())
    }

    /// The URL itself, for connecting.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Address without user and password.
    pub fn redacted(&self) -> String {
        split_url(self.expose()).0
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl Addresses {
    /// What the process that runs the tape has written down, if any does.
    pub fn read(dir: &TapeDir) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(Self::file(dir)).ok()?).ok()
    }

    /// When they were written down, UTC nanoseconds: since then the tape is run, if anybody runs it.
    pub fn written_ns(dir: &TapeDir) -> Option<i64> {
        let written = std::fs::metadata(Self::file(dir)).ok()?.modified().ok()?;
        i64::try_from(written.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos()).ok()
    }

    /// Writes them down for other commands.
    pub fn write(&self, dir: &TapeDir) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(|error| Failure::other(error.to_string()))?;
        write_private(&Self::file(dir), &text)
    }

    /// Removes what was written down. Gone already means that nobody can be misled by it.
    pub fn remove(dir: &TapeDir) {
        let _ = std::fs::remove_file(Self::file(dir));
    }

    /// The file, readable by its owner alone.
    pub fn file(dir: &TapeDir) -> PathBuf {
        dir.path.join("running.json")
    }
}

/// Passwords of the database's two logins.
#[derive(Serialize, Deserialize)]
pub struct Logins {
    /// Of the projector.
    pub projector: String,
    /// Of everything that reads.
    pub reader: String,
}

impl Logins {
    /// Reads them, or makes them at the first start.
    pub fn load_or_create(dir: &TapeDir) -> Result<Self, Failure> {
        let path = dir.path.join("logins.json");
        if let Ok(text) = std::fs::read_to_string(&path) {
            return serde_json::from_str(&text)
                .map_err(|error| Failure::config(format!("{}: {error}", path.display())));
        }
        let made = Self { projector: random_hex()?, reader: random_hex()? };
        let text = serde_json::to_string(&made).map_err(|error| Failure::other(error.to_string()))?;
        write_private(&path, &text)?;
        Ok(made)
    }
}

/// 32 random bytes of the system as hex.
pub fn random_hex() -> Result<String, Failure> {
    use std::io::Read as _;
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("new");
    let mut file =
        std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(())
}

/// A URL without its user and password, and those two as they are meant: `%40` stands for an `@`, as in every URL.
pub fn split_url(url: &str) -> (String, Option<(String, String)>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let Some((login, host)) = rest.rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    (format!("{scheme}://{host}"), Some((contracts::unescape(user), contracts::unescape(password))))
}

/// The URL with another user and password.
pub fn with_login(url: &str, user: &str, password: &str) -> String {
    let (plain, _) = split_url(url);
    match plain.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{user}:{password}@{host}"),
        None => plain,
    }
}

/// The password within a URL.
pub fn password_of(url: &SecretUrl) -> SecretString {
    split_url(url.expose()).1.map_or_else(String::new, |(_, password)| password).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_stand_in_a_url_as_in_every_url() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        let plain = "nats://host:4222".to_owned();
        assert_eq!(
            split_url("nats://td:p%40ss%3Aw%2Frd@host:4222"),
            (plain.clone(), login("td", "p@ss:w/rd"))
        );
        assert_eq!(split_url("nats://td:p@ss:w/rd@host:4222"), (plain.clone(), login("td", "p@ss:w/rd")));
        assert_eq!(split_url("nats://host:4222"), (plain, None));
    }
}
