//! Users and tokens on the Settings page. An admin sees and changes everybody's; everybody changes the own
//! password. A secret that was made is in the one answer that made it and nowhere else.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Form};
use runtime::command::Caller;

use super::{Params, Rendering, Visit, whole};
use crate::access::manage::{self, Wanted};
use crate::access::{Actor, Role, Token, User, generate};
use crate::action::{caller_of, done, notice_line};
use crate::app::App;
use crate::error::PageError;
use crate::session::FormKeys;
use crate::view::Instant;

/// Path of the page.
const PATH: &str = "/settings";

/// Fields of the panel's forms.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct AccessForm {
    csrf: String,
    key: String,
    name: String,
    role: String,
    days: String,
    current: String,
    password: String,
}

/// A secret just made, and whose it is.
#[derive(Debug)]
pub struct Made {
    of: String,
    secret: String,
}

struct UserLine {
    user: User,
    created: Instant,
    /// Whether it is the visitor.
    own: bool,
    /// What can be done, as it is in addresses and as it is called.
    tasks: [(&'static str, &'static str); 3],
}

fn tasks(user: &User) -> [(&'static str, &'static str); 3] {
    let switch = if user.disabled { ("enable", "Enable") } else { ("disable", "Disable") };
    [("password", "New password"), switch, ("remove", "Remove")]
}

struct TokenLine {
    token: Token,
    created: Instant,
    expires: Instant,
}

#[derive(Template)]
#[template(path = "settings/users.html")]
struct UsersPanel {
    roles: [Role; 3],
    /// Whether it replaces the one on the page, wherever the rest of the answer goes.
    replaces: bool,
    program: bool,
    admin: bool,
    users: Vec<UserLine>,
    tokens: Vec<TokenLine>,
    made: Option<Made>,
    keys: FormKeys,
}

/// The panel for a visitor.
pub fn panel(
    app: &App,
    headers: &HeaderMap,
    made: Option<Made>,
    replaces: bool,
) -> Result<String, PageError> {
    let actor = app.actor(headers)?;
    let admin = actor.role >= Role::Admin;
    let access = &app.config.access;
    let (users, tokens) = if admin { (access.users()?, access.tokens()?) } else { Default::default() };
    let line = |user: User| UserLine {
        created: Instant(user.created_ns),
        own: !actor.program && user.name == actor.name,
        tasks: tasks(&user),
        user,
    };
    let users = users.into_iter().map(line).collect();
    let line = |token: Token| TokenLine {
        created: Instant(token.created_ns),
        expires: Instant(token.expires_ns),
        token,
    };
    let tokens = tokens.into_iter().map(line).collect();
    let keys = app.sessions.form_keys(&app.sessions.of(headers));
    let program = actor.program;
    let roles = Role::ALL;
    Ok(UsersPanel { roles, replaces, program, admin, users, tokens, made, keys }.render()?)
}

/// The panel where it cannot be read says why.
pub fn shown(visit: &Visit<'_>, headers: &HeaderMap, made: Option<Made>) -> Rendering {
    panel(visit.app, headers, made, false).or_else(|error| {
        let text = askama::filters::escape(error.to_string(), askama::filters::Html)?;
        Ok(format!("<section class=\"card\" id=\"users\"><div class=\"state state-error\" role=\"alert\"><p>{text}</p></div></section>"))
    })
}

fn asking(app: &App, headers: &HeaderMap, form: &AccessForm) -> Result<Caller, PageError> {
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&form.csrf);
    caller_of(app, headers, token, &form.key)
}

/// What was done, with the panel as it is now. Without a script the page is loaded again, unless it has a
/// secret to show: that is on the page which answers.
async fn answer(
    app: &Arc<App>,
    headers: &HeaderMap,
    notice: &str,
    made: Option<Made>,
) -> Result<Response, PageError> {
    if headers.contains_key("hx-request") {
        let panel = panel(app, headers, made, true)?;
        return Ok(Html(format!("{}{panel}", notice_line(notice))).into_response());
    }
    match made {
        Some(made) => whole(app, &Params::default(), headers, Some(made)).await,
        None => Ok(done(headers, notice, PATH)),
    }
}

fn role(text: &str) -> Result<Role, PageError> {
    text.parse().map_err(|expected: String| {
        PageError::field("role", text, expected.trim_start_matches("expected ").to_owned())
    })
}

/// `POST /settings/users`: adds a user with a password that is shown once.
pub async fn add(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<AccessForm>,
) -> Result<Response, PageError> {
    let caller = asking(&app, &headers, &form)?;
    let name = form.name.trim();
    let secret = generate()?;
    let user = manage::add_user(&app, &caller, name, role(&form.role)?, Some(secret.clone())).await?;
    let made = Made { of: format!("password of {}", user.name), secret };
    answer(&app, &headers, &format!("{} may sign in as {}.", user.name, user.role), Some(made)).await
}

/// `POST /settings/users/{name}/{task}`: `role`, `password`, `disable`, `enable` or `remove`.
pub async fn change(
    State(app): State<Arc<App>>,
    Path((name, task)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<AccessForm>,
) -> Result<Response, PageError> {
    let caller = asking(&app, &headers, &form)?;
    let mut made = None;
    let wanted = match task.as_str() {
        "role" => Wanted { role: Some(role(&form.role)?), ..Wanted::default() },
        "password" => {
            let secret = generate()?;
            made = Some(Made { of: format!("password of {name}"), secret: secret.clone() });
            Wanted { password: Some(secret), ..Wanted::default() }
        }
        "disable" => Wanted { disabled: Some(true), ..Wanted::default() },
        "enable" => Wanted { disabled: Some(false), ..Wanted::default() },
        "remove" => {
            manage::remove_user(&app, &caller, &name).await?;
            return answer(&app, &headers, &format!("{name} is removed."), None).await;
        }
        other => {
            return Err(PageError::field("task", other, "role, password, disable, enable or remove"));
        }
    };
    let user = manage::change_user(&app, &caller, &name, wanted).await?;
    let state = match task.as_str() {
        "role" => format!("{name} is {} now.", user.role),
        "password" => format!("{name} has a new password; the old sessions have ended."),
        "disable" => format!("{name} may not sign in any more."),
        _ => format!("{name} may sign in again."),
    };
    // Who has just ended the own sessions is not shown a panel that takes one.
    if app.actor(&headers).is_err() {
        return Ok(([("hx-redirect", "/sign-in")], done(&headers, &state, "/sign-in")).into_response());
    }
    answer(&app, &headers, &state, made).await
}

/// `POST /settings/tokens`: makes a token, whose secret is shown once.
pub async fn create_token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<AccessForm>,
) -> Result<Response, PageError> {
    let caller = asking(&app, &headers, &form)?;
    let expected = || PageError::field("days", &form.days, format!("1 to {} days", manage::DAYS_MAX));
    let days = form.days.trim().parse().map_err(|_| expected())?;
    let made = manage::create_token(&app, &caller, form.name.trim(), role(&form.role)?, days).await?;
    let shown = Made { of: format!("token {}", made.token.name), secret: made.secret };
    let notice = format!("Token {} is good for {days} days.", made.token.name);
    answer(&app, &headers, &notice, Some(shown)).await
}

/// `POST /settings/tokens/{name}/revoke`
pub async fn revoke_token(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<AccessForm>,
) -> Result<Response, PageError> {
    let caller = asking(&app, &headers, &form)?;
    manage::revoke_token(&app, &caller, &name).await?;
    answer(&app, &headers, &format!("Token {name} is revoked."), None).await
}

/// `POST /settings/password`: the visitor's own.
pub async fn own_password(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Form(form): Form<AccessForm>,
) -> Result<Response, PageError> {
    let caller = asking(&app, &headers, &form)?;
    let session = manage::session_of(&actor, &headers);
    manage::own_password(&app, &caller, session, (form.current, form.password)).await?;
    answer(&app, &headers, "Your password is changed; your other sessions have ended.", None).await
}
