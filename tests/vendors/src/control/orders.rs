//! The broker's part of the control interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, read};
use crate::alpaca_trading::activity::Other;
use crate::alpaca_trading::{Act, Plan};
use crate::decimal::Decimal;
use crate::stand::Stand;

/// `GET /orders`: every order there ever was, oldest first.
pub async fn list(State(stand): State<Arc<Stand>>) -> Response {
    let shown: Vec<Value> =
        stand.desk(|desk, _, _| desk.orders().iter().map(|order| order.flat(desk.orders())).collect());
    Json(shown).into_response()
}

/// `POST /orders/plan`: decides about an order before it comes.
pub async fn plan(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<Plan>(body) {
        Ok(plan) => {
            stand.desk(|desk, _, _| desk.plan(plan));
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// `POST /orders/{id}`: does something with an order that is there.
pub async fn act(
    State(stand): State<Arc<Stand>>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let act = match read::<Act>(body) {
        Ok(act) => act,
        Err(refusal) => return *refusal,
    };
    match stand.desk(|desk, market, _| desk.act(&id, act, market)) {
        Ok(()) => done(),
        Err(refusal) => refusal.into_response(),
    }
}

/// `PUT /account`: cash, positions (`{"AAPL": {"qty": "10", "price": "180"}}`, in place of those held), and whether
/// it may trade.
pub async fn set_account(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        cash: Option<Decimal>,
        positions: Option<BTreeMap<String, Held>>,
        trading_blocked: Option<bool>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Held {
        qty: Decimal,
        price: Decimal,
    }
    let wanted = match read::<Wanted>(body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    stand.desk(|desk, _, _| {
        let book = desk.book_mut();
        if let Some(cash) = wanted.cash {
            book.cash = cash;
            book.last_equity = cash;
        }
        if let Some(blocked) = wanted.trading_blocked {
            book.trading_blocked = blocked;
        }
        if let Some(positions) = wanted.positions {
            book.positions.clear();
            for (symbol, held) in positions {
                book.hold(&symbol, held.qty, held.price);
            }
        }
    });
    Json(stand.desk(|desk, market, _| desk.account(market))).into_response()
}

/// `POST /activities`: a dividend, a fee, a deposit, as the vendor shows it.
pub async fn add_activity(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<Other>(body) {
        Ok(other) => {
            let id = stand.desk(|desk, market, _| desk.add_activity(other, market));
            Json(json!({"id": id})).into_response()
        }
        Err(refusal) => *refusal,
    }
}
