//! Yahoo, which documents nothing: charts, the cookie and the crumb, company facts, statements.
//!
//! Every host of Yahoo's is this one address; a client that cannot be told another address is redirected below
//! its own HTTP session. Prices carry the noise of single precision, closes are in the terms after every split,
//! and symbols have a hyphen where others have a dot.
//!
//! Deliberately absent: options, screeners, search, news, prices outside of regular hours, the check of who
//! a client pretends to be.

mod chart;
mod crumb;
mod facts;
mod statements;
mod summary;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::stand::Stand;

/// Every path.
pub fn routes() -> Router<Arc<Stand>> {
    Router::new()
        .route("/", get(crumb::front))
        .route("/consent", get(crumb::consent))
        .route("/v2/collectConsent", get(crumb::form).post(crumb::collect))
        .route("/copyConsent", get(crumb::copy))
        .route("/v1/test/getcrumb", get(crumb::crumb))
        .route("/v8/finance/chart/{symbol}", get(chart::chart))
        .route("/v10/finance/quoteSummary/{symbol}", get(summary::quote_summary))
        .route("/v7/finance/quote", get(summary::quote))
        .route("/ws/fundamentals-timeseries/v1/finance/timeseries/{symbol}", get(statements::timeseries))
}

/// The market's symbol for Yahoo's.
fn known(symbol: &str) -> String {
    symbol.to_uppercase().replace('-', ".")
}

/// A price as single precision shows it.
#[expect(clippy::cast_possible_truncation, reason = "the loss is what the vendor's prices have")]
fn noisy(price: i64) -> f64 {
    f64::from(crate::market::dollars(price) as f32)
}
