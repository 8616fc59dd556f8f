//! The cookie, the crumb that goes with it, and the page that asks for consent first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use crate::query::Parameters;
use crate::stand::Stand;

const COOKIE: &str = "A3=d=AQABBStandIn&S=AQAAAstand; Max-Age=31557600; Domain=.yahoo.com; Path=/; \
                      SameSite=None; Secure; HttpOnly";
const SESSION: &str = "3_cc-session_00000000-0000-4000-8000-000000000001";
const TOKEN: &str = "stand1n";

/// `https://fc.yahoo.com/`: no page, but a cookie; or the way to the page that asks for consent.
pub async fn front(State(stand): State<Arc<Stand>>) -> Response {
    if stand.settings().yahoo.consent {
        let place = "https://guce.yahoo.com/consent?brandType=nonEu&done=https%3A%2F%2Ffc.yahoo.com%2F";
        return (StatusCode::FOUND, [(header::LOCATION, place)]).into_response();
    }
    (StatusCode::NOT_FOUND, [(header::SET_COOKIE, COOKIE)], Html("<html><body>404</body></html>"))
        .into_response()
}

/// `https://guce.yahoo.com/consent`: sends to the form.
pub async fn consent() -> Response {
    let place = format!("/v2/collectConsent?sessionId={SESSION}");
    (StatusCode::FOUND, [(header::LOCATION, place)]).into_response()
}

/// `https://consent.yahoo.com/v2/collectConsent`, looked at.
pub async fn form() -> Html<String> {
    Html(format!(
        "<!DOCTYPE html><html><body><form method=\"post\" class=\"consent-form\" \
         action=\"https://consent.yahoo.com/v2/collectConsent?sessionId={SESSION}\">\
         <input type=\"hidden\" name=\"csrfToken\" value=\"{TOKEN}\">\
         <input type=\"hidden\" name=\"sessionId\" value=\"{SESSION}\">\
         <input type=\"hidden\" name=\"originalDoneUrl\" value=\"https://finance.yahoo.com/\">\
         <input type=\"hidden\" name=\"namespace\" value=\"yahoo\">\
         <button type=\"submit\" name=\"agree\" value=\"agree\">Accept all</button></form></body></html>"
    ))
}

/// The same, sent.
pub async fn collect(body: String) -> Response {
    let agreed = body.contains(&format!("csrfToken={TOKEN}")) && body.contains("agree");
    if !agreed {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let place = format!("https://guce.yahoo.com/copyConsent?sessionId={SESSION}");
    (StatusCode::FOUND, [(header::LOCATION, place)]).into_response()
}

/// `https://guce.yahoo.com/copyConsent`
pub async fn copy() -> Response {
    (StatusCode::OK, [(header::SET_COOKIE, COOKIE)], Html("<html><body>done</body></html>")).into_response()
}

fn has_cookie(headers: &HeaderMap, start: &str) -> bool {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).any(|cookie| cookie.trim().starts_with(start))
}

fn unauthorized(description: &str) -> Response {
    let error = json!({"code": "Unauthorized", "description": description});
    (StatusCode::UNAUTHORIZED, Json(json!({"finance": {"result": null, "error": error}}))).into_response()
}

/// `/v1/test/getcrumb`: plain text.
pub async fn crumb(State(stand): State<Arc<Stand>>, headers: HeaderMap) -> Response {
    if !has_cookie(&headers, "A3=") {
        return unauthorized("Invalid Cookie");
    }
    stand.settings().yahoo.crumb.into_response()
}

/// Whether a request brings the cookie and the crumb that goes with it.
///
/// # Errors
/// The answer to one that does not.
pub fn check(stand: &Stand, headers: &HeaderMap, query: &Parameters) -> Result<(), Box<Response>> {
    if has_cookie(headers, "A3=") && query.get("crumb") == Some(stand.settings().yahoo.crumb.as_str()) {
        return Ok(());
    }
    Err(Box::new(unauthorized("Invalid Crumb")))
}
