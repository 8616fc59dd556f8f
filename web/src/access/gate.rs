//! Who asks, and whether they may: passed by every request but those for what is open to all.
//!
//! The rule is by method and address, not by handler, so that an address that is added later is closed
//! until somebody opens it: reading takes a viewer, changing an operator; users, tokens and
//! the registrations of strategies an admin.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::Role;
use crate::api::tells_problems;
use crate::app::App;
use crate::error::PageError;
use crate::security::changes;
use crate::session::session_of;
use crate::url::escape;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Name, in events and audit.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Whether it is a program with an API token.
    pub program: bool,
}

/// Whose request this is: by its API token, else by its session.
pub fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Actor>, PageError> {
    let access = &app.config.access;
    let found = match headers.get(header::AUTHORIZATION) {
        // Whoever shows a token is judged by it alone.
        Some(value) => match bearer(value) {
            Some(token) => access.of_token(token),
            None => Ok(None),
        },
        None => match session_of(headers) {
            Some(session) => access.of_session(&session),
            None => Ok(None),
        },
    };
    Ok(found?)
}

/// Whoever asked for something that stays open, to be looked up again while it does.
#[derive(Debug)]
pub struct Standing {
    app: Arc<App>,
    headers: HeaderMap,
}

impl Standing {
    /// Of whoever sent `headers`.
    #[must_use]
    pub fn of(app: &Arc<App>, headers: &HeaderMap) -> Self {
        Self { app: Arc::clone(app), headers: headers.clone() }
    }

    /// Whether nobody is signed in by what was shown any more. What cannot be looked up now has not ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(identify(&self.app, &self.headers), Ok(None))
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl App {
    /// Who asks; an error when nobody is signed in.
    pub fn actor(&self, headers: &HeaderMap) -> Result<Actor, PageError> {
        identify(self, headers)?.ok_or(PageError::SignIn)
    }
}

/// Lets through who may.
pub async fn gate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if is_open(&app, path) {
        return next.run(request).await;
    }
    let actor = match identify(&app, request.headers()) {
        Ok(Some(actor)) => actor,
        Ok(None) => return unknown(&request),
        Err(error) => return error.into_response(),
    };
    let needed = needed(request.method(), path);
    if actor.role < needed {
        return PageError::Role { has: actor.role, needed }.into_response();
    }
    // A browser sends the cookie by itself; the header only the site's own script can set. Forms of pages
    // carry the same token as a field, which their handlers check.
    if path.starts_with("/api/") && changes(request.method()) && !actor.program {
        let token = request.headers().get("x-csrf-token").and_then(|token| token.to_str().ok());
        if !app.sessions.admits(request.headers(), token.unwrap_or_default()) {
            return PageError::Token.into_response();
        }
    }
    request.extensions_mut().insert(actor);
    next.run(request).await
}

fn is_open(app: &App, path: &str) -> bool {
    match path {
        "/healthz" | "/readyz" | "/sign-in" | "/api/v1/openapi.json" | "/api/docs" => true,
        // Whoever reaches a loopback address can read the process's load anyway.
        "/metrics" => app.config.bind.ip().is_loopback(),
        _ => path.starts_with("/assets/"),
    }
}

fn needed(method: &Method, path: &str) -> Role {
    if changes(method) && registers(path) {
        return Role::Admin;
    }
    let manages = ["/api/v1/users", "/api/v1/tokens", "/settings/users", "/settings/tokens"];
    // What everybody may change is the own session and the own password.
    let own = ["/sign-out", "/api/v1/session/password", "/settings/password"];
    if manages
        .iter()
        .any(|area| path.strip_prefix(area).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        Role::Admin
    } else if own.contains(&path) || !changes(method) {
        Role::Viewer
    } else {
        Role::Operator
    }
}

/// Whether a change there makes, hands over or removes a strategy: whatever is not a switch of one.
fn registers(path: &str) -> bool {
    let area = ["/api/v1/strategies", "/strategies"].iter().find_map(|area| path.strip_prefix(area));
    let Some(rest) = area.filter(|rest| rest.is_empty() || rest.starts_with('/')) else { return false };
    let of_one = rest.trim_matches('/').split_once('/').map(|(_, action)| action);
    !matches!(of_one, Some("enable" | "disable"))
}

/// A person is led to the sign-in page and back; a program is told.
fn unknown(request: &Request) -> Response {
    if wants_page(request) {
        let back = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return Redirect::to(&format!("/sign-in?next={}", escape(back))).into_response();
    }
    let mut response = (StatusCode::UNAUTHORIZED, format!("{}\n", PageError::SignIn)).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Whether a person's browser asks for a page, rather than a script or a program for data.
#[must_use]
pub fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method() == Method::GET
        && accept.is_some_and(|accept| accept.contains("text/html"))
        && !request.headers().contains_key("hx-request")
        && !tells_problems(request.uri().path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_address_is_closed_and_a_change_takes_an_operator() {
        assert_eq!(needed(&Method::GET, "/new"), Role::Viewer);
        assert_eq!(needed(&Method::DELETE, "/new"), Role::Operator);
        assert_eq!(needed(&Method::GET, "/api/v1/users"), Role::Admin);
        assert_eq!(needed(&Method::GET, "/api/v1/tokens/x"), Role::Admin);
        assert_eq!(needed(&Method::GET, "/api/v1/userscape"), Role::Viewer);
        assert_eq!(needed(&Method::POST, "/sign-out"), Role::Viewer);
        assert_eq!(needed(&Method::GET, "/api/v1/strategies"), Role::Viewer);
        for path in ["/strategies/x/enable", "/api/v1/strategies/x/disable", "/strategiesx"] {
            assert_eq!(needed(&Method::POST, path), Role::Operator, "{path}");
        }
        for path in
            ["/strategies", "/strategies/x/remove", "/api/v1/strategies/x/replace", "/strategies/enable"]
        {
            assert_eq!(needed(&Method::POST, path), Role::Admin, "{path}");
        }
        assert_eq!(needed(&Method::DELETE, "/api/v1/strategies/x"), Role::Admin);
        assert_eq!(needed(&Method::PUT, "/api/v1/session/password"), Role::Viewer);
        assert_eq!(needed(&Method::POST, "/settings/users/ann/role"), Role::Admin);
    }
}
