//! Users of the system's own services beside the owner: each with its own password and its own few subjects.
//!
//! They are in the owner's account, because they read its streams and hear its plain messages. What that means for
//! somebody who has one of their passwords stands in `docs/security.md`.
//!
//! Passwords and permissions are in `services.json`, readable by the owner of the files alone; whoever runs a service
//! on another machine takes one entry of it there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::config::quoted;
use crate::ServerError;
use crate::credentials::random_text;
use crate::files::write_private;

const FILE: &str = "services.json";
const PASSWORD_BYTES: usize = 24;

/// A service's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUser {
    /// Name of the user.
    pub name: String,
    /// What it may do, in the form of the server's configuration (`permissions`).
    pub permissions: serde_json::Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    user: String,
    password: String,
    permissions: serde_json::Value,
}

/// Gives each of `services` a password, or keeps the one that it has, and these permissions.
pub(super) fn prepare(directory: &Path, services: &[ServiceUser]) -> Result<Vec<Stored>, ServerError> {
    let mut known = read(directory)?;
    if services.is_empty() {
        return Ok(known);
    }
    known.retain(|stored| services.iter().any(|service| service.name == stored.user));
    for service in services {
        match known.iter_mut().find(|stored| stored.user == service.name) {
            Some(stored) => stored.permissions.clone_from(&service.permissions),
            None => known.push(Stored {
                user: service.name.clone(),
                password: random_text(PASSWORD_BYTES)?,
                permissions: service.permissions.clone(),
            }),
        }
    }
    let path = directory.join(FILE);
    let text =
        serde_json::to_vec_pretty(&known).map_err(|error| ServerError::file(&path, "write")(error.into()))?;
    write_private(&path, &text)?;
    Ok(known)
}

pub(super) fn read(directory: &Path) -> Result<Vec<Stored>, ServerError> {
    let path = directory.join(FILE);
    match fs::read(&path) {
        Ok(content) => {
            serde_json::from_slice(&content).map_err(|error| ServerError::file(&path, "read")(error.into()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ServerError::file(&path, "read")(error)),
    }
}

/// The password of a service's user.
pub(super) fn password(directory: &Path, user: &str) -> Result<Option<SecretString>, ServerError> {
    let found = read(directory)?.into_iter().find(|stored| stored.user == user);
    Ok(found.map(|stored| stored.password.into()))
}

/// The user as the server's configuration states it.
pub(super) fn block(stored: &Stored) -> String {
    let password = SecretString::from(stored.password.clone());
    // The configuration language reads JSON.
    format!(
        "{{ user: {}, password: {}, permissions: {} }}",
        quoted(&stored.user),
        quoted(password.expose_secret()),
        stored.permissions,
    )
}
