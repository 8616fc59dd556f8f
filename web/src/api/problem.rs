//! Errors as problem details (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::error::PageError;

/// An answer that is not the one asked for, as `application/problem+json`.
#[derive(Debug)]
pub struct Problem(PageError);

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.0.status();
        if status.is_server_error() {
            tracing::warn!(error = %self.0, "request failed: {}", self.0);
        }
        let mut body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.0.to_string(),
        });
        if let PageError::Field { field, .. } = &self.0 {
            body["field"] = (*field).into();
        }
        let mut response = (status, Json(body)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
