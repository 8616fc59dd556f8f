//! The file `access.json`: read again when another process has changed it, replaced whole, one writer at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::entries::{Entries, Pass, Token, TokenEntry, User, UserEntry, check_name};
use super::password::{self, digest, is_digest, random_hex};
use super::{Actor, Role};

const SECOND_NS: i64 = 1_000_000_000;
/// A session ends by itself after this long.
pub(super) const SESSION_NS: i64 = 7 * 24 * 3_600 * SECOND_NS;
/// A one-time link is good for this long.
const LINK_NS: i64 = 600 * SECOND_NS;
/// Open sessions and links that are kept; the oldest go first.
const PASSES_MAX: usize = 1_000;
/// Users and tokens that the file holds.
const ENTRIES_MAX: usize = 1_000;
/// Name of the account made at the first start.
pub const OWNER: &str = "owner";

/// Why access could not be looked up or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be read or written.
    #[error("access.json: {0}")]
    File(#[from] std::io::Error),
    /// The file is not what this program writes.
    #[error("access.json: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The name cannot be one.
    #[error("name = {0:?}: expected 1 to 40 lowercase letters, digits, - and _")]
    Name(String),
    /// The password is too short or too long.
    #[error("password: expected 10 to 64 characters")]
    Password,
    /// The password could not be hashed.
    #[error("password: {0}")]
    Hash(String),
    /// There is one already.
    #[error("there is a {0} {1:?} already")]
    Exists(&'static str, String),
    /// There is none.
    #[error("there is no {0} {1:?}")]
    Missing(&'static str, String),
    /// Without an admin nobody could make one.
    #[error("{0:?} is the last admin; make another one first")]
    LastAdmin(String),
    /// The user may not sign in for now.
    #[error("{0:?} is disabled")]
    Disabled(String),
    /// The file holds as many as it may.
    #[error("there are {ENTRIES_MAX} already; remove some first")]
    Full,
}

/// A token just made.
#[derive(Debug)]
pub struct MadeToken {
    /// What is kept of it.
    pub token: Token,
    /// The secret, which is not kept.
    pub secret: String,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    cached: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    stamp: Option<(SystemTime, u64, u64)>,
    entries: Arc<Entries>,
}

impl Store {
    /// Uses `path`, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, cached: Mutex::default() })
    }

    fn stamp(&self) -> Result<Option<(SystemTime, u64, u64)>, AccessError> {
        use std::os::unix::fs::MetadataExt as _;
        match std::fs::metadata(&self.path) {
            // Every change is a new file, so the inode tells two changes of one instant apart.
            Ok(data) => Ok(Some((data.modified()?, data.len(), data.ino()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn entries(&self) -> Result<Arc<Entries>, AccessError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp()?;
        if stamp != cached.stamp {
            let entries = match stamp {
                Some(_) => serde_json::from_slice(&std::fs::read(&self.path)?)?,
                None => Entries::default(),
            };
            *cached = Cached { stamp, entries: Arc::new(entries) };
        }
        Ok(Arc::clone(&cached.entries))
    }

    /// Changes the file; nothing is written when `change` fails.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Entries) -> Result<T, AccessError>,
    ) -> Result<T, AccessError> {
        let lock = private(&self.path.with_extension("lock"))?;
        // Held until the file is closed; another process waits for as long as one small write takes.
        lock.lock()?;
        let mut entries = Entries::clone(&*self.entries()?);
        entries.prune(runtime::now_ns());
        let made = change(&mut entries)?;
        write(&self.path, &entries)?;
        Ok(made)
    }

    /// Makes the owner's account when there is no user at all; gives its password, which is told once.
    pub fn ensure_owner(&self) -> Result<Option<String>, AccessError> {
        if !self.entries()?.users.is_empty() {
            return Ok(None);
        }
        let made = password::generate()?;
        self.add_user(OWNER, Role::Admin, Some(&made))?;
        Ok(Some(made))
    }

    /// All users, by name.
    pub fn users(&self) -> Result<Vec<User>, AccessError> {
        let entries = self.entries()?;
        Ok(entries.users.iter().map(|(name, user)| shown(name, user)).collect())
    }

    /// Whom a link signs in that names nobody: the owner, else the first admin by name who may sign in.
    pub fn first_admin(&self) -> Result<Option<String>, AccessError> {
        let users = self.users()?;
        let admins = || users.iter().filter(|user| user.role == Role::Admin && !user.disabled);
        let found = admins().find(|user| user.name == OWNER).or_else(|| admins().next());
        Ok(found.map(|user| user.name.clone()))
    }

    /// Adds a user; without a password only links sign the user in.
    pub fn add_user(&self, name: &str, role: Role, password: Option<&str>) -> Result<User, AccessError> {
        let name = named(name)?;
        let password = password.map(password::hash).transpose()?;
        self.change(|entries| {
            if entries.users.contains_key(&name) {
                return Err(AccessError::Exists("user", name));
            }
            if entries.users.len() >= ENTRIES_MAX {
                return Err(AccessError::Full);
            }
            let user = UserEntry { role, password, disabled: false, created_ns: runtime::now_ns() };
            let made = shown(&name, &user);
            entries.users.insert(name, user);
            Ok(made)
        })
    }

    /// Removes a user, whose sessions end.
    pub fn remove_user(&self, name: &str) -> Result<(), AccessError> {
        self.change(|entries| {
            user(entries, name)?;
            if entries.is_last_admin(name) {
                return Err(AccessError::LastAdmin(name.to_owned()));
            }
            entries.users.remove(name);
            entries.sign_out_everywhere(name);
            Ok(())
        })
    }

    /// Sets a password; the user's sessions end.
    pub fn set_password(&self, name: &str, password: &str) -> Result<User, AccessError> {
        let hash = password::hash(password)?;
        self.change(|entries| {
            let found = user(entries, name)?;
            found.password = Some(hash);
            let changed = shown(name, found);
            entries.sign_out_everywhere(name);
            Ok(changed)
        })
    }

    /// Sets a role; the user's sessions end.
    pub fn set_role(&self, name: &str, role: Role) -> Result<User, AccessError> {
        self.change(|entries| {
            let last = entries.is_last_admin(name);
            let found = user(entries, name)?;
            if last && role != Role::Admin {
                return Err(AccessError::LastAdmin(name.to_owned()));
            }
            found.role = role;
            let changed = shown(name, found);
            entries.sign_out_everywhere(name);
            Ok(changed)
        })
    }

    /// Sets whether a user may not sign in for now; if so, the user's sessions and links end.
    pub fn set_disabled(&self, name: &str, disabled: bool) -> Result<User, AccessError> {
        self.change(|entries| {
            let last = entries.is_last_admin(name);
            let found = user(entries, name)?;
            if last && disabled {
                return Err(AccessError::LastAdmin(name.to_owned()));
            }
            found.disabled = disabled;
            let changed = shown(name, found);
            if disabled {
                entries.sign_out_everywhere(name);
            }
            Ok(changed)
        })
    }

    /// Sets the password of the user whose session this is; the user's other sessions end.
    pub fn set_own_password(&self, name: &str, password: &str, session: &str) -> Result<User, AccessError> {
        let hash = password::hash(password)?;
        let own = digest(session);
        self.change(|entries| {
            let found = user(entries, name)?;
            found.password = Some(hash);
            let changed = shown(name, found);
            let kept = entries.sessions.iter().find(|pass| pass.user == name && pass.hash == own).cloned();
            entries.sign_out_everywhere(name);
            entries.sessions.extend(kept);
            Ok(changed)
        })
    }

    /// Whether the password is the user's. Slow on purpose, also for a user who does not exist.
    pub fn verify(&self, name: &str, password: &str) -> Result<bool, AccessError> {
        let entries = self.entries()?;
        let user = entries.users.get(name).filter(|user| !user.disabled);
        Ok(password::matches(password, user.and_then(|user| user.password.as_deref())))
    }

    /// Begins a session of a user; gives its value for the cookie.
    pub fn begin_session(&self, name: &str) -> Result<String, AccessError> {
        let session = random_hex()?;
        self.change(|entries| {
            enabled(entries, name)?;
            let expires_ns = runtime::now_ns().saturating_add(SESSION_NS);
            keep(&mut entries.sessions, &session, name, expires_ns);
            Ok(())
        })?;
        Ok(session)
    }

    /// Ends a session.
    pub fn end_session(&self, session: &str) -> Result<(), AccessError> {
        self.change(|entries| {
            entries.sessions.retain(|pass| !is_digest(session, &pass.hash));
            Ok(())
        })
    }

    /// Makes a one-time link's value for a user.
    pub fn make_link(&self, name: &str) -> Result<String, AccessError> {
        let link = random_hex()?;
        self.change(|entries| {
            enabled(entries, name)?;
            let expires_ns = runtime::now_ns().saturating_add(LINK_NS);
            keep(&mut entries.links, &link, name, expires_ns);
            Ok(())
        })?;
        Ok(link)
    }

    /// The user whose unused link this is; it is used up by that.
    pub fn use_link(&self, link: &str) -> Result<Option<String>, AccessError> {
        if !self.entries()?.links.iter().any(|pass| is_digest(link, &pass.hash)) {
            return Ok(None);
        }
        self.change(|entries| {
            let found = entries.links.iter().position(|pass| is_digest(link, &pass.hash));
            Ok(found.map(|index| entries.links.remove(index).user))
        })
    }

    /// All tokens, by name.
    pub fn tokens(&self) -> Result<Vec<Token>, AccessError> {
        let entries = self.entries()?;
        Ok(entries.tokens.iter().map(|(name, token)| token_shown(name, token)).collect())
    }

    /// Makes an API token that is good until `expires_ns`.
    pub fn create_token(
        &self,
        name: &str,
        role: Role,
        created_by: &str,
        expires_ns: i64,
    ) -> Result<MadeToken, AccessError> {
        let name = named(name)?;
        let secret = format!("td_{}", random_hex()?);
        let hash = digest(&secret);
        let created_by = created_by.to_owned();
        let token = self.change(|entries| {
            if entries.tokens.contains_key(&name) {
                return Err(AccessError::Exists("token", name));
            }
            if entries.tokens.len() >= ENTRIES_MAX {
                return Err(AccessError::Full);
            }
            let token = TokenEntry { role, hash, created_by, created_ns: runtime::now_ns(), expires_ns };
            let made = token_shown(&name, &token);
            entries.tokens.insert(name, token);
            Ok(made)
        })?;
        Ok(MadeToken { token, secret })
    }

    /// Revokes a token.
    pub fn revoke_token(&self, name: &str) -> Result<(), AccessError> {
        self.change(|entries| match entries.tokens.remove(name) {
            Some(_) => Ok(()),
            None => Err(AccessError::Missing("token", name.to_owned())),
        })
    }

    /// Whose session this is.
    pub fn of_session(&self, session: &str) -> Result<Option<Actor>, AccessError> {
        let entries = self.entries()?;
        let now_ns = runtime::now_ns();
        let hash = digest(session);
        let pass = entries.sessions.iter().find(|pass| pass.hash == hash && pass.expires_ns > now_ns);
        Ok(pass.and_then(|pass| {
            let role = entries.users.get(&pass.user)?.role;
            Some(Actor { name: pass.user.clone(), role, program: false })
        }))
    }

    /// Whose API token this is.
    pub fn of_token(&self, secret: &str) -> Result<Option<Actor>, AccessError> {
        let entries = self.entries()?;
        let now_ns = runtime::now_ns();
        let hash = digest(secret);
        let found = entries.tokens.iter().find(|(_, token)| token.hash == hash);
        Ok(found.filter(|(_, token)| token.expires_ns > now_ns).map(|(name, token)| Actor {
            name: format!("token-{name}"),
            role: token.role,
            program: true,
        }))
    }
}

fn named(name: &str) -> Result<String, AccessError> {
    // Programs act as `token-NAME`; a user must not be taken for one.
    if check_name(name) && !name.starts_with("token-") {
        Ok(name.to_owned())
    } else {
        Err(AccessError::Name(name.chars().take(40).collect()))
    }
}

fn user<'a>(entries: &'a mut Entries, name: &str) -> Result<&'a mut UserEntry, AccessError> {
    entries.users.get_mut(name).ok_or_else(|| AccessError::Missing("user", name.to_owned()))
}

fn enabled(entries: &mut Entries, name: &str) -> Result<(), AccessError> {
    if user(entries, name)?.disabled { Err(AccessError::Disabled(name.to_owned())) } else { Ok(()) }
}

fn shown(name: &str, user: &UserEntry) -> User {
    User {
        name: name.to_owned(),
        role: user.role,
        has_password: user.password.is_some(),
        disabled: user.disabled,
        created_ns: user.created_ns,
    }
}

fn token_shown(name: &str, token: &TokenEntry) -> Token {
    Token {
        name: name.to_owned(),
        role: token.role,
        created_by: token.created_by.clone(),
        created_ns: token.created_ns,
        expires_ns: token.expires_ns,
        expired: token.expires_ns <= runtime::now_ns(),
    }
}

fn keep(passes: &mut Vec<Pass>, secret: &str, user: &str, expires_ns: i64) {
    if passes.len() >= PASSES_MAX {
        passes.remove(0);
    }
    passes.push(Pass { hash: digest(secret), user: user.to_owned(), expires_ns });
}

/// A file that only its owner can read.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Written beside and moved, so that a crash leaves the old file or the new one.
fn write(path: &Path, entries: &Entries) -> Result<(), AccessError> {
    use std::io::Write as _;
    let beside = path.with_extension("new");
    let mut file = private(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(entries)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(())
}
