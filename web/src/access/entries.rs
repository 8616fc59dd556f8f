//! What the file holds, as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Role;

/// The whole file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    /// Users by name.
    pub users: BTreeMap<String, UserEntry>,
    /// API tokens by name.
    pub tokens: BTreeMap<String, TokenEntry>,
    /// Open sessions, oldest first.
    pub sessions: Vec<Pass>,
    /// One-time links not used yet, oldest first.
    pub links: Vec<Pass>,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub role: Role,
    /// argon2id, in the form that names its parameters; absent while only links sign this user in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether the user may not sign in for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    pub created_ns: i64,
}

/// An API token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenEntry {
    pub role: Role,
    /// BLAKE3 of the token, which is random and long.
    pub hash: String,
    pub created_by: String,
    pub created_ns: i64,
    pub expires_ns: i64,
}

/// Something whose holder is a user until it expires: a session or a link.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pass {
    /// BLAKE3 of the random value.
    pub hash: String,
    pub user: String,
    pub expires_ns: i64,
}

/// A user, without the password's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct User {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// False while only one-time links sign this user in.
    pub has_password: bool,
    /// Whether the user may not sign in for now.
    pub disabled: bool,
    /// UTC nanoseconds.
    pub created_ns: i64,
}

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Token {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// UTC nanoseconds.
    pub created_ns: i64,
    /// UTC nanoseconds.
    pub expires_ns: i64,
    /// Whether it has expired.
    pub expired: bool,
}

impl Entries {
    /// Drops what has expired.
    pub fn prune(&mut self, now_ns: i64) {
        self.sessions.retain(|pass| pass.expires_ns > now_ns);
        self.links.retain(|pass| pass.expires_ns > now_ns);
    }

    /// Ends whatever lets `user` in without a password.
    pub fn sign_out_everywhere(&mut self, user: &str) {
        self.sessions.retain(|pass| pass.user != user);
        self.links.retain(|pass| pass.user != user);
    }

    /// Whether `name` is the only admin who may sign in.
    pub fn is_last_admin(&self, name: &str) -> bool {
        let mut admins = self
            .users
            .iter()
            .filter(|(_, user)| user.role == Role::Admin && !user.disabled)
            .map(|(name, _)| name);
        admins.next().is_some_and(|only| only == name) && admins.next().is_none()
    }
}

/// Whether `name` can be the name of a user or a token: it becomes one word of a subject.
#[must_use]
pub fn check_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}
