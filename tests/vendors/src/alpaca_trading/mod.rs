//! Alpaca Trading v2: the account, orders of every class for shares, positions, activities, assets, the clock and
//! the calendar, and `trade_updates`.
//!
//! What no document says and no recording shows is chosen here and said here: a replaced order is announced as
//! `replaced` with the old order, then `new` with the new one; of a bracket's exits the take-profit is `new` and
//! the stop stays `held` until its price is reached; a busted or corrected execution changes quantities and money
//! and leaves the order's status; an order in an unknown symbol is refused with 422; the exits of an entry that ends with a
//! part filled are cancelled, and of a bracket prices alone can be replaced.
//!
//! Deliberately absent: options, crypto, multi-leg orders, watchlists, several accounts, fees, interest, the
//! stop that becomes a limit 2.5 % away.

mod account;
pub mod activity;
mod desk;
mod fills;
mod orders;
mod order;
mod plan;
mod reference;
mod stream;
mod ticket;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::get;

pub use account::{Book, Position};
pub use desk::{Desk, Update};
pub use order::{Class, Execution, Kind, Order, Side, Status, TimeInForce, Times};
pub use plan::{Act, OnRequest, OnSubmit, Part, Plan};
pub use ticket::Refusal;

use crate::stand::Stand;

/// Every path.
pub fn routes() -> Router<Arc<Stand>> {
    Router::new()
        .route("/v2/orders", get(orders::list).post(orders::submit).delete(orders::cancel_all))
        .route("/v2/orders/{id}", get(orders::show).patch(orders::replace).delete(orders::cancel))
        .route("/v2/orders:by_client_order_id", get(orders::by_client_order_id))
        .route("/v2/positions", get(orders::positions).delete(orders::close_all))
        .route("/v2/positions/{symbol}", get(orders::position).delete(orders::close))
        .route("/v2/account", get(reference::account))
        .route("/v2/account/configurations", get(reference::configuration).patch(reference::configure))
        .route("/v2/account/activities", get(reference::activities))
        .route("/v2/account/activities/{kind}", get(reference::activities_of))
        .route("/v2/account/portfolio/history", get(reference::portfolio_history))
        .route("/v2/assets", get(reference::assets))
        .route("/v2/assets/{symbol}", get(reference::asset))
        .route("/v2/clock", get(reference::clock))
        .route("/v2/calendar", get(reference::calendar))
        .route("/v3/clock", get(reference::clocks))
        .route("/v3/calendar/{market}", get(reference::calendar_of))
        .layer(middleware::from_fn(crate::alpaca::known))
        // The stream asks who it is in its first message.
        .route("/stream", get(stream::open))
}
