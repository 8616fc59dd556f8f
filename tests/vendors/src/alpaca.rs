//! What Alpaca's servers share: the key in the headers.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use crate::stand::Stand;

/// Lets pass who sends the right key.
pub async fn known(Extension(stand): Extension<Arc<Stand>>, request: Request, next: Next) -> Response {
    if let Err(refusal) = check(&stand, request.headers()) {
        return *refusal;
    }
    next.run(request).await
}

/// Whether the headers hold the right key.
///
/// # Errors
/// The answer to somebody who has none, or a wrong one.
pub fn check(stand: &Stand, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (header("apca-api-key-id"), header("apca-api-secret-key")) {
        (Some(key), Some(secret)) if stand.admits(key, secret) => Ok(()),
        (None, None) => {
            let page = "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
                        <center><h1>401 Authorization Required</h1></center>\r\n</body>\r\n</html>\r\n";
            Err(Box::new((StatusCode::UNAUTHORIZED, Html(page)).into_response()))
        }
        _ => {
            let body = Json(json!({"message": "unauthorized."}));
            Err(Box::new((StatusCode::UNAUTHORIZED, body).into_response()))
        }
    }
}
