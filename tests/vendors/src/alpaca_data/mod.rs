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
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::alpaca::known;
use crate::stand::Stand;

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

/// An answer that says what is wrong with a request.
fn refuse(status: StatusCode, message: impl Into<String>) -> Response {
    (status, axum::Json(json!({"message": message.into()}))).into_response()
}
