//! The user that PostgreSQL runs as when this process is root.

use nix::unistd::{Group, User, geteuid};

use crate::ServerError;

/// Users tried in this order: the package's own, then the one that owns nothing.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user without rights.
#[derive(Clone, Debug)]
pub(crate) struct Unprivileged {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The user to become, or `None` when this process is not root and PostgreSQL can run as it is.
pub(crate) fn unprivileged() -> Result<Option<Unprivileged>, ServerError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in CANDIDATES {
        if let Ok(Some(user)) = User::from_name(name) {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            return Ok(Some(Unprivileged { name: name.to_owned(), uid, gid }));
        }
    }
    Err(ServerError::NoUnprivilegedUser {
        missing: format!("there is no user {}", CANDIDATES.join(" or ")),
        remedy: "useradd --system postgres",
    })
}

/// The name of the user's own group.
pub(crate) fn group_of(user: &str) -> Result<String, ServerError> {
    let missing =
        |what: String| ServerError::NoUnprivilegedUser { missing: what, remedy: "useradd --system postgres" };
    let found = User::from_name(user).ok().flatten();
    let found = found.ok_or_else(|| missing(format!("there is no user {user}")))?;
    let group = Group::from_gid(found.gid).ok().flatten();
    group.map(|group| group.name).ok_or_else(|| missing(format!("the user {user} has no group")))
}
