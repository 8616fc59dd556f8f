//! Errors of pages as pages: whoever follows a link that leads nowhere is told so in the browser, with a way back.
//!
//! Scripts and programs get the text as it is.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::wants_page;
use crate::app::App;
use crate::error::PageError;
use crate::pages::theme;

/// Longest text of an error that is read again.
const TEXT_BYTES_MAX: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    app: &'a App,
    theme: &'static str,
    title: &'static str,
    detail: &'a str,
}

/// Makes a page of an error that is plain text, or nothing at all, where a page was asked for.
pub async fn pages(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let asked = wants_page(&request);
    let theme = theme(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    if !asked || !(status.is_client_error() || status.is_server_error()) || !is_plain(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let detail = match text.trim() {
        "" if status == StatusCode::NOT_FOUND => "There is no page at this address.",
        "" if status == StatusCode::METHOD_NOT_ALLOWED => {
            "This address takes what a form sends and shows no page."
        }
        said => said,
    };
    let title = status.canonical_reason().unwrap_or("Error");
    match (RefusedPage { app: &app, theme, title, detail }).render() {
        Ok(html) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            Response::from_parts(parts, Body::from(html))
        }
        Err(error) => PageError::from(error).into_response(),
    }
}

fn is_plain(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_none_or(|kind| kind.starts_with("text/plain"))
}
