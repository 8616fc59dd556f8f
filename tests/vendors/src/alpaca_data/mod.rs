//! Alpaca Market Data: bars, quotes and trades of the past, the latest of each, news, corporate actions, and the
//! streams.
//!
//! Deliberately absent: options, crypto, screeners, currencies other than the dollar. `asof` is read and changes
//! nothing, because no symbol of the market has had another name.

mod history;
mod reference;
mod shape;
mod stream;

pub use history::timeframe;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::stand::{KEY, SECRET, Stand};

/// Every path.
pub fn routes() -> Router<Arc<Stand>> {
    let asked = Router::new()
        .route("/v2/stocks/{what}", get(history::of_many))
        .route("/v2/stocks/{first}/{second}", get(history::two))
        .route("/v2/stocks/{symbol}/{what}/latest", get(history::latest_of_one))
        .route("/v1/corporate-actions", get(reference::corporate_actions))
        .layer(middleware::from_fn(known));
    // A stream says who it is in its first message, and news is both a page and a stream.
    asked.route("/v2/{feed}", get(stream::market)).route("/v1beta1/news", get(reference::news))
}

/// Lets pass who sends the right key; trading checks the same way.
pub async fn known(request: Request, next: Next) -> Response {
    if let Err(refusal) = check(request.headers()) {
        return *refusal;
    }
    next.run(request).await
}

/// Whether the headers hold the right key.
///
/// # Errors
/// The answer to somebody who has none, or a wrong one.
pub fn check(headers: &HeaderMap) -> Result<(), Box<Response>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (header("apca-api-key-id"), header("apca-api-secret-key")) {
        (Some(key), Some(secret)) if key == KEY && secret == SECRET => Ok(()),
        (None, None) => {
            let page = "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
                        <center><h1>401 Authorization Required</h1></center>\r\n</body>\r\n</html>\r\n";
            Err(Box::new((StatusCode::UNAUTHORIZED, axum::response::Html(page)).into_response()))
        }
        _ => Err(Box::new(refuse(StatusCode::UNAUTHORIZED, "unauthorized."))),
    }
}

/// An answer that says what is wrong with a request.
fn refuse(status: StatusCode, message: impl Into<String>) -> Response {
    (status, axum::Json(json!({"message": message.into()}))).into_response()
}
