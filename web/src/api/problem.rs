//! Errors as problem details (RFC 9457), whoever made them.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use super::body::BODY;
use crate::error::PageError;
use crate::server::BODY_BYTES_MAX;

const KIND: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Longest text of an error that is read again.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A problem as it is written.
#[derive(Debug, Serialize, ToSchema)]
pub struct Details {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong, for a person.
    detail: String,
    /// The field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The beginning of its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// What is expected instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
}

/// The problems that every endpoint can answer with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive: it is what the document lists")]
pub enum Problems {
    /// The query or the body cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(#[to_schema] Details),
    /// Nobody is signed in, or the token is not good.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Details),
    /// The role is not enough, or the request comes from elsewhere.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Details),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Details),
    /// The address has no such method.
    #[response(status = 405, content_type = "application/problem+json")]
    MethodNotAllowed(#[to_schema] Details),
    /// It can no longer be done, or the key was used for something else.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Details),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Details),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(#[to_schema] Details),
    /// The server does not answer to that `Host`.
    #[response(status = 421, content_type = "application/problem+json")]
    Misdirected(#[to_schema] Details),
    /// A field is missing or wrong.
    #[response(status = 422, content_type = "application/problem+json")]
    Field(#[to_schema] Details),
    /// The tape or the read models are away.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Details),
}

/// An answer that is not the one asked for.
#[derive(Debug)]
pub struct Problem {
    pub(super) error: PageError,
    pub(super) status: StatusCode,
}

impl Problem {
    /// An error of a request that was not read as far as its fields, with the status that says so.
    pub(super) fn with(status: StatusCode, error: PageError) -> Self {
        Self { error, status }
    }
}

impl<E: Into<PageError>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        Self { status: error.status(), error }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { error, status } = self;
        if status.is_server_error() {
            tracing::warn!(error = %error, "request failed: {error}");
        }
        let mut details = details(status, error.to_string());
        if let PageError::Field { field, value, expected } = error {
            details = details.of(&field, value, expected);
        }
        written(details, status)
    }
}

impl Details {
    /// The same, of a field.
    fn of(self, field: &str, value: String, expected: String) -> Self {
        Self { field: Some(field.to_owned()), value: Some(value), expected: Some(expected), ..self }
    }
}

fn details(status: StatusCode, detail: String) -> Details {
    let title = status.canonical_reason().unwrap_or("Problem").to_owned();
    let detail = if detail.is_empty() { title.clone() } else { detail };
    Details {
        kind: "about:blank",
        title,
        status: status.as_u16(),
        detail,
        field: None,
        value: None,
        expected: None,
    }
}

fn written(details: Details, status: StatusCode) -> Response {
    (status, [(header::CONTENT_TYPE, KIND)], Json(details)).into_response()
}

/// Whether errors at an address are problem details: whatever the document lists.
pub fn tells_problems(path: &str) -> bool {
    path.starts_with("/api/") || path == "/live"
}

/// Rewrites every error under `/api/`, and of `/live`, that is not a problem yet: those of the router, the extractors,
/// the limits and the gate.
pub async fn problems(request: Request, next: Next) -> Response {
    let applies = tells_problems(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let done = response.headers().get(header::CONTENT_TYPE) == Some(&KIND);
    let failed = status.is_client_error() || status.is_server_error();
    if !applies || !failed || done || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&text).trim().to_owned();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, KIND);
    let mut details = details(status, detail);
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // Said by whoever counts the bytes, before anything is read.
        details = details.of(BODY, String::new(), format!("at most {BODY_BYTES_MAX} bytes"));
    }
    let rewritten = written(details, status);
    Response::from_parts(parts, rewritten.into_body())
}
