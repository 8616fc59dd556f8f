//! The control interface: what a test in any language tells the stand-in, and asks it.
//!
//! `docs/vendors.md` shows each call by hand.
//!
//! Deliberately absent: a key. Whoever reaches this machine's loopback may do everything.

mod orders;
mod stage;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::{HttpRule, StreamRule};
use crate::ledger::Vendor;
use crate::market::Script;
use crate::query::Query;
use crate::server::Addresses;
use crate::stand::{HangUp, Stand};

/// Every path.
pub fn routes(addresses: Addresses) -> Router<Arc<Stand>> {
    Router::new()
        .route("/addresses", get(move || async move { Json(addresses) }))
        .route("/reset", post(reset))
        .route("/settings", get(settings).patch(change_settings))
        .route("/faults", get(faults).delete(clear_faults))
        .route("/faults/http", post(arm_http))
        .route("/faults/stream", post(arm_stream))
        .route("/requests", get(requests).delete(forget))
        .route("/messages", get(messages))
        .route("/connections", get(connections))
        .route("/hang-up", post(hang_up))
        .route("/clock", get(stage::clock).post(stage::set_clock))
        .route("/market/bars", get(stage::bars))
        .route("/market/minute", put(stage::set_minute))
        .route("/market/quote", get(stage::quote))
        .route("/market/price", put(stage::hold_price))
        .route("/market/pace", put(stage::set_pace))
        .route("/market/say", post(stage::say))
        .route("/market/listings", get(stage::listings).put(stage::list))
        .route("/market/splits", put(stage::split))
        .route("/market/dividends", put(stage::pay))
        .route("/market/actions", put(stage::act))
        .route("/market/articles", get(stage::articles))
        .route("/market/facts", put(stage::say_fact))
        .route("/orders", get(orders::list))
        .route("/orders/plan", post(orders::plan))
        .route("/orders/{id}", post(orders::act))
        .route("/account", put(orders::set_account))
        .route("/activities", post(orders::add_activity))
}

fn done() -> Response {
    Json(json!({})).into_response()
}

fn wrong(message: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"message": message.into()}))).into_response()
}

/// Reads a body, and says what is wrong with it in words.
fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Box<Response>> {
    serde_json::from_value(body).map_err(|error| Box::new(wrong(error.to_string())))
}

async fn reset(State(stand): State<Arc<Stand>>, body: Option<Json<Value>>) -> Response {
    match read::<Script>(body.map_or_else(|| json!({}), |Json(body)| body)) {
        Ok(script) => {
            stand.reset(script);
            done()
        }
        Err(refusal) => *refusal,
    }
}

async fn settings(State(stand): State<Arc<Stand>>) -> Response {
    Json(stand.settings()).into_response()
}

async fn change_settings(State(stand): State<Arc<Stand>>, Json(change): Json<Value>) -> Response {
    match stand.settings().with(&change) {
        Ok(settings) => {
            stand.set(settings);
            Json(stand.settings()).into_response()
        }
        Err(error) => wrong(error.to_string()),
    }
}

async fn faults(State(stand): State<Arc<Stand>>) -> Response {
    Json(stand.faults.armed()).into_response()
}

async fn clear_faults(State(stand): State<Arc<Stand>>) -> Response {
    stand.faults.clear();
    done()
}

async fn arm_http(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<HttpRule>(body) {
        Ok(rule) => {
            stand.faults.on_request(rule);
            done()
        }
        Err(refusal) => *refusal,
    }
}

async fn arm_stream(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<StreamRule>(body) {
        Ok(rule) => {
            stand.faults.on_stream(rule);
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// The vendor that a query names.
fn vendor(query: &crate::query::Parameters) -> Option<Vendor> {
    serde_json::from_value(query.get("vendor")?.into()).ok()
}

async fn requests(State(stand): State<Arc<Stand>>, axum::extract::Query(query): Query) -> Response {
    Json(stand.ledger.requests(vendor(&query), query.get("path").unwrap_or_default())).into_response()
}

async fn forget(State(stand): State<Arc<Stand>>) -> Response {
    stand.ledger.forget();
    done()
}

async fn messages(State(stand): State<Arc<Stand>>, axum::extract::Query(query): Query) -> Response {
    Json(stand.ledger.messages(vendor(&query))).into_response()
}

async fn connections(State(stand): State<Arc<Stand>>) -> Response {
    Json(stand.ledger.connections()).into_response()
}

async fn hang_up(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    struct Wanted {
        vendor: Vendor,
        code: Option<u16>,
    }
    match read::<Wanted>(body) {
        Ok(wanted) => {
            stand.hang_up(HangUp { vendor: wanted.vendor, code: wanted.code });
            done()
        }
        Err(refusal) => *refusal,
    }
}
