//! Generated credentials: made once, kept in a file that only its owner can read, used again on every start.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::ServerError;
use crate::files::write_private;

/// Random bytes behind a password: 192 bits, written in hexadecimal, so that it needs no escaping in a URL,
/// a configuration file or SQL.
const PASSWORD_BYTES: usize = 24;

/// A user and its password.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

#[derive(Deserialize)]
struct Stored {
    user: String,
    password: SecretString,
}

impl Credentials {
    /// Reads the credentials in `path`, or makes them for `user` and writes them there.
    pub(crate) fn load_or_create(path: &Path, user: &str) -> Result<Self, ServerError> {
        match fs::read(path) {
            Ok(content) => {
                let stored: Stored = serde_json::from_slice(&content)
                    .map_err(|error| ServerError::file(path, "read the credentials")(error.into()))?;
                Ok(Self { user: stored.user, password: stored.password })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Self { user: user.to_owned(), password: random_text(PASSWORD_BYTES)?.into() };
                let text = serde_json::json!({
                    "user": made.user,
                    "password": made.password.expose_secret(),
                });
                write_private(path, text.to_string().as_bytes())?;
                Ok(made)
            }
            Err(error) => Err(ServerError::file(path, "read the credentials")(error)),
        }
    }
}

/// `bytes` random bytes of the operating system, in hexadecimal.
pub(crate) fn random_text(bytes: usize) -> Result<String, ServerError> {
    let mut buffer = vec![0_u8; bytes];
    SysRng.try_fill_bytes(&mut buffer).map_err(|error| ServerError::Random(error.to_string()))?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}
