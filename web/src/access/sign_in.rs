//! Signing in with a password or a one-time link, and out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use runtime::command::{self, Caller};

use super::Actor;
use crate::app::App;
use crate::error::PageError;
use crate::pages::theme;
use crate::tls::Peer;

/// Longest name that is looked up or remembered.
const NAME_BYTES_MAX: usize = 40;

/// Fields of the address.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    ticket: String,
}

/// Fields of the form.
#[derive(serde::Deserialize)]
pub struct Credentials {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// Fields of the sign-out form.
#[derive(Debug, serde::Deserialize)]
pub struct SignOut {
    #[serde(default)]
    csrf: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    app: &'a App,
    theme: &'static str,
    next: &'a str,
    user: &'a str,
    problem: &'a str,
}

impl SignInPage<'_> {
    fn answer(&self, status: StatusCode) -> Result<Response, PageError> {
        Ok((status, Html(self.render()?)).into_response())
    }
}

/// `GET /sign-in`: the form; with a one-time link's ticket the session begins at once. A `HEAD`, with which a program looks
/// whether a link leads anywhere, uses up none.
pub async fn form(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    method: Method,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, PageError> {
    let page = SignInPage { app: &app, theme: theme(&headers), next: &asked.next, user: "", problem: "" };
    if asked.ticket.is_empty() || method == Method::HEAD {
        return page.answer(StatusCode::OK);
    }
    match app.config.access.use_link(&asked.ticket)? {
        Some(user) => {
            record(&app, &user, "sign_in", "one-time link", &address(&extensions)).await;
            begin(&app, &user, &asked.next)
        }
        None => {
            let problem = "This link was used or has expired. `tapedeck user link` makes a new one.";
            SignInPage { problem, ..page }.answer(StatusCode::FORBIDDEN)
        }
    }
}

/// `POST /sign-in`
pub async fn sign_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    extensions: Extensions,
    Form(given): Form<Credentials>,
) -> Result<Response, PageError> {
    let page = SignInPage {
        app: &app,
        theme: theme(&headers),
        next: &given.next,
        user: &given.user,
        problem: "User or password is wrong.",
    };
    if given.user.len() > NAME_BYTES_MAX {
        return SignInPage { user: "", ..page }.answer(StatusCode::UNAUTHORIZED);
    }
    let address = address(&extensions);
    let (by_user, by_address) = (format!("user/{}", given.user), format!("address/{address}"));
    let keys = [by_user.as_str(), by_address.as_str()];
    let wait_s = app.throttle.wait_s(&keys, runtime::now_ns());
    if wait_s > 0 {
        let problem = format!("Too many failures. Try again in {wait_s} s.");
        let mut answer = SignInPage { problem: &problem, ..page }.answer(StatusCode::TOO_MANY_REQUESTS)?;
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
        return Ok(answer);
    }
    // Counted before it is known to be one, so that guesses sent at once do not all get in.
    app.throttle.failed(&keys, runtime::now_ns());
    if verify(&app, &given).await? {
        app.throttle.succeeded(&by_user);
        app.throttle.succeeded(&by_address);
        record(&app, &given.user, "sign_in", "password", &address).await;
        return begin(&app, &given.user, &given.next);
    }
    // The name is whatever somebody typed, perhaps a password: only that of a user goes on the tape.
    let known = app.config.access.users()?.into_iter().any(|user| user.name == given.user);
    let target = if known { given.user.as_str() } else { "unknown user" };
    record(&app, target, "sign_in_failed", "password", &address).await;
    page.answer(StatusCode::UNAUTHORIZED)
}

async fn verify(app: &Arc<App>, given: &Credentials) -> Result<bool, PageError> {
    let (access, user, password) =
        (Arc::clone(&app.config.access), given.user.clone(), given.password.clone());
    // One at a time: a hash takes 19 MiB and tens of milliseconds, on purpose.
    let _turn = app.hashing.lock().await;
    let checked = tokio::task::spawn_blocking(move || access.verify(&user, &password)).await;
    let checked = checked.map_err(|error| PageError::Access(error.to_string()))?;
    Ok(checked?)
}

/// `POST /sign-out`
pub async fn sign_out(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    Form(form): Form<SignOut>,
) -> Result<Response, PageError> {
    if !app.sessions.admits(&headers, &form.csrf) {
        return Err(PageError::Token);
    }
    if let Some(session) = crate::session::session_of(&headers) {
        app.config.access.end_session(&session)?;
        record(&app, &actor.name, "sign_out", "", "").await;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&mut response, &app.sessions.cookie("", 0));
    Ok(response)
}

fn begin(app: &App, user: &str, next: &str) -> Result<Response, PageError> {
    let session = app.config.access.begin_session(user)?;
    let mut response = Redirect::to(inside(next)).into_response();
    let seconds = super::store::SESSION_NS / 1_000_000_000;
    set_cookie(&mut response, &app.sessions.cookie(&session, seconds));
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

/// A path of this site, whatever the address said.
fn inside(next: &str) -> &str {
    let good = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if good { next } else { "/" }
}

fn address(extensions: &Extensions) -> String {
    let peer = extensions.get::<ConnectInfo<Peer>>();
    peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.0.ip().to_string())
}

/// Audits; who signs in is not kept out because the tape is away, which is when looking helps.
async fn record(app: &App, user: &str, action: &str, how: &str, from: &str) {
    let actor = if action == "sign_in_failed" { "web" } else { user };
    let caller = Caller { actor: actor.to_owned(), key: format!("{action}-{}", runtime::now_ns()) };
    let detail = if from.is_empty() { how.to_owned() } else { format!("{how} from {from}") };
    if let Err(error) = command::audit(&app.context.tape, &caller, action, user, &detail).await {
        tracing::warn!(%error, "{action} of {user} is not on the tape: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_this_site() {
        for (next, path) in [
            ("/orders?tab=all", "/orders?tab=all"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nset-cookie: b", "/"),
        ] {
            assert_eq!(inside(next), path, "{next:?}");
        }
    }
}
