//! Changes of users and tokens, each with its audit event: the API and the Settings page make the same ones.

use std::sync::Arc;

use runtime::command::{self, Caller};

use super::{AccessError, Actor, MadeToken, Role, Store, User};
use crate::action::tape;
use crate::app::App;
use crate::error::PageError;

/// Longest life of a token, in days.
pub const DAYS_MAX: u32 = 3_660;
const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// What to change of a user.
#[derive(Debug, Default)]
pub struct Wanted {
    /// New role.
    pub role: Option<Role>,
    /// New password.
    pub password: Option<String>,
    /// Whether the user may not sign in for now.
    pub disabled: Option<bool>,
}

/// Adds a user.
pub async fn add_user(
    app: &App,
    caller: &Caller,
    name: &str,
    role: Role,
    password: Option<String>,
) -> Result<User, PageError> {
    let of = name.to_owned();
    let user = hashed(app, move |access| access.add_user(&of, role, password.as_deref())).await?;
    audit(app, caller, "user_add", name, role.name()).await?;
    Ok(user)
}

/// Changes what is wanted of a user, each with its own audit event.
pub async fn change_user(app: &App, caller: &Caller, name: &str, wanted: Wanted) -> Result<User, PageError> {
    let access = &app.config.access;
    let known = access.users()?.into_iter().find(|user| user.name == name);
    let mut user = known.ok_or_else(|| PageError::Missing(format!("user {name:?}")))?;
    if let Some(password) = wanted.password {
        let of = name.to_owned();
        user = hashed(app, move |access| access.set_password(&of, &password)).await?;
        audit(app, caller, "user_password", name, "").await?;
    }
    if let Some(role) = wanted.role {
        user = access.set_role(name, role)?;
        audit(app, caller, "user_role", name, role.name()).await?;
    }
    if let Some(disabled) = wanted.disabled {
        user = access.set_disabled(name, disabled)?;
        audit(app, caller, if disabled { "user_disable" } else { "user_enable" }, name, "").await?;
    }
    Ok(user)
}

/// Removes a user, whose sessions end.
pub async fn remove_user(app: &App, caller: &Caller, name: &str) -> Result<(), PageError> {
    app.config.access.remove_user(name)?;
    audit(app, caller, "user_remove", name, "").await
}

/// Sets the password of whoever asks, who must know the one in use; the user's other sessions end.
pub async fn own_password(
    app: &App,
    caller: &Caller,
    session: Option<String>,
    given: (String, String),
) -> Result<(), PageError> {
    let Some(session) = session else {
        return Err(PageError::Conflict("A token has no password.".to_owned()));
    };
    let (current, password) = given;
    // Whoever found a browser open guesses no faster here than at the sign-in page.
    let key = format!("user/{}", caller.actor);
    let wait_s = app.throttle.wait_s(&[&key], runtime::now_ns());
    if wait_s > 0 {
        return Err(PageError::Busy(format!("too many failures; try again in {wait_s} s")));
    }
    app.throttle.failed(&[&key], runtime::now_ns());
    let name = caller.actor.clone();
    let changed = hashed(app, move |access| {
        if !access.verify(&name, &current)? {
            return Ok(None);
        }
        access.set_own_password(&name, &password, &session).map(Some)
    });
    match changed.await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(PageError::field("current", "", "your password that is in use")),
        // The password in use was right.
        Err(error) => {
            app.throttle.succeeded(&key);
            return Err(error);
        }
    }
    app.throttle.succeeded(&key);
    audit(app, caller, "user_password", &caller.actor, "own").await
}

/// Makes a token that is good for so many days.
pub async fn create_token(
    app: &App,
    caller: &Caller,
    name: &str,
    role: Role,
    days: u32,
) -> Result<MadeToken, PageError> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(PageError::field("days", &days.to_string(), format!("1 to {DAYS_MAX} days")));
    }
    let expires_ns = runtime::now_ns().saturating_add(i64::from(days) * DAY_NS);
    let made = app.config.access.create_token(name, role, &caller.actor, expires_ns)?;
    audit(app, caller, "token_create", name, &format!("{role} for {days} days")).await?;
    Ok(made)
}

/// Revokes a token.
pub async fn revoke_token(app: &App, caller: &Caller, name: &str) -> Result<(), PageError> {
    app.config.access.revoke_token(name)?;
    audit(app, caller, "token_revoke", name, "").await
}

/// The session that `actor` shows; none of a program.
pub fn session_of(actor: &Actor, headers: &axum::http::HeaderMap) -> Option<String> {
    crate::session::session_of(headers).filter(|_| !actor.program)
}

async fn audit(
    app: &App,
    caller: &Caller,
    action: &str,
    target: &str,
    detail: &str,
) -> Result<(), PageError> {
    // One key used for two things is two commands, each with its audit.
    let caller = Caller { key: format!("{target}/{detail}/{}", caller.key), ..caller.clone() };
    command::audit(&app.context.tape, &caller, action, target, detail).await.map_err(tape)
}

/// Hashing takes its time, so it is done where nobody else waits for it, one at a time.
async fn hashed<T: Send + 'static>(
    app: &App,
    change: impl FnOnce(&Store) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, PageError> {
    let access = Arc::clone(&app.config.access);
    let _turn = app.hashing.lock().await;
    let changed = tokio::task::spawn_blocking(move || change(&access)).await;
    let changed = changed.map_err(|error| PageError::Access(error.to_string()))?;
    Ok(changed?)
}
