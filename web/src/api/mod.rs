//! `/api/v1`: what the pages show and do, as JSON for programs. One module per area.
//!
//! Answers of lists are `{rows, newer, older}`; `newer` and `older` are cursors for the fields `after` and
//! `before`. Prices, quantities and money are decimal strings, times UTC nanoseconds. A field that an address
//! does not have is refused, so that a filter with a typing error is never an unfiltered list.
//!
//! The OpenAPI document is made of the handlers' own annotations. Every error is a problem (RFC 9457),
//! whoever made it: `problem::problems` rewrites what the router, the extractors and the gate say. A change
//! needs the header `Idempotency-Key` (`repeat`). Who may ask is `access::gate`'s.
//!
//! # How to add an endpoint
//!
//! Annotate the handler with `#[utoipa::path(.., tag = "AREA", responses((status = 200, body = T), Problems))]`
//! and add `.routes(routes!(AREA::handler))` to [`documented`]. Return `Result<Json<T>, Problem>`; `?` works
//! on a `PageError`. What is asked is read with [`fields::Asked`] (the query; `NoFields` where there is none),
//! [`fields::At`] (a part of the address) and [`Given`] (the body, whose struct has `deny_unknown_fields`), never with
//! axum's own, which name no field. A mutation takes `Extension<Actor>` and [`Key`], and gives both to
//! `runtime::command` as [`caller`] makes of them.

mod account;
pub mod backtests;
pub mod comparisons;
mod control;
mod bars;
mod body;
mod facts;
pub mod fields;
mod kinds;
mod market;
mod operate;
mod paging;
mod pairs;
mod problem;
mod place;
mod reader;
mod reference;
mod repeat;
pub mod risk;
pub mod status;
mod strategies;
mod system;
mod ticks;
mod token;
mod trading;
pub mod universe;
mod user;

use std::sync::Arc;

use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Router, middleware};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::browse::api as browse;
use crate::{pages, socket};

pub use body::{Given, GivenOrNone, Nothing};
pub use problem::{Details, Problem, Problems, problems, tells_problems};
pub use repeat::{Key, Repeats, caller};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tapedeck",
        description = "What the dashboard shows and does, for programs. Changes need an Idempotency-Key; \
                       errors are problem details (RFC 9457)."
    ),
    modifiers(&Ways),
    security(("token" = []), ("session" = []))
)]
struct Document;

/// The ways to say who asks.
struct Ways;

impl utoipa::Modify for Ways {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let session = ApiKey::Cookie(ApiKeyValue::new(crate::session::COOKIE));
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(token));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// Every endpoint that is in the document.
fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::status))
        .routes(routes!(account::equity))
        .routes(routes!(market::market))
        .routes(routes!(bars::symbols))
        .routes(routes!(bars::bars))
        .routes(routes!(ticks::last))
        .routes(routes!(universe::universe))
        .routes(routes!(facts::corporate_actions))
        .routes(routes!(facts::findings))
        .routes(routes!(reference::facts))
        .routes(routes!(reference::history))
        .routes(routes!(reference::news))
        .routes(routes!(control::halt))
        .routes(routes!(control::resume))
        .routes(routes!(risk::kill))
        .routes(routes!(risk::reset))
        .routes(routes!(risk::measured::show))
        .routes(routes!(risk::limits, risk::set))
        .routes(routes!(risk::history))
        .routes(routes!(user::session))
        .routes(routes!(user::own_password))
        .routes(routes!(user::list, user::add))
        .routes(routes!(user::change_user, user::remove))
        .routes(routes!(token::list, token::create))
        .routes(routes!(token::revoke))
        .routes(routes!(kinds::list))
        .routes(routes!(pairs::pair))
        .routes(routes!(strategies::list, strategies::change::register))
        .routes(routes!(strategies::show, strategies::change::remove))
        .routes(routes!(strategies::change::enable))
        .routes(routes!(strategies::change::disable))
        .routes(routes!(strategies::change::replace))
        .routes(routes!(strategies::change::rotate))
        .routes(routes!(strategies::score::score))
        .routes(routes!(strategies::score::compare))
        .routes(routes!(backtests::list, backtests::ask::create))
        .routes(routes!(backtests::show))
        .routes(routes!(backtests::ask::cancel))
        .routes(routes!(backtests::report::sheet))
        .routes(routes!(backtests::report::html))
        .routes(routes!(backtests::report::trades))
        .routes(routes!(backtests::report::equity))
        .routes(routes!(trading::orders, place::place))
        .routes(routes!(place::replace))
        .routes(routes!(place::groups))
        .routes(routes!(comparisons::list))
        .routes(routes!(comparisons::show))
        .routes(routes!(comparisons::ask::parity))
        .routes(routes!(comparisons::ask::fork))
        .routes(routes!(comparisons::ask::cancel))
        .routes(routes!(comparisons::report::whole))
        .routes(routes!(comparisons::report::orders))
        .routes(routes!(comparisons::report::events))
        .routes(routes!(trading::order))
        .routes(routes!(trading::cancel))
        .routes(routes!(trading::fills))
        .routes(routes!(trading::positions))
        .routes(routes!(trading::accounts))
        .routes(routes!(trading::decisions))
        .routes(routes!(trading::signals))
        .routes(routes!(browse::get_streams))
        .routes(routes!(browse::get_subjects))
        .routes(routes!(browse::get_events))
        .routes(routes!(browse::get_event))
        .routes(routes!(browse::get_chain))
        .routes(routes!(browse::get_parked))
        .routes(routes!(operate::replay))
        .routes(routes!(operate::dismiss))
        .routes(routes!(system::services))
        .routes(routes!(system::sources))
        .routes(routes!(system::breakers))
        .routes(routes!(system::filled))
        .routes(routes!(system::projections))
        .routes(routes!(system::jobs))
        .routes(routes!(operate::rebuild))
        .routes(routes!(operate::verify))
        .routes(routes!(operate::test))
        .routes(routes!(system::lines))
        .routes(routes!(system::configured))
        .routes(routes!(system::licences))
        .routes(routes!(system::healthy))
        .routes(routes!(socket::open))
        .routes(routes!(pages::live))
}

/// The OpenAPI document.
pub fn document() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

/// The routes of the API, its document and its reader.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let (router, document) = documented().split_for_parts();
    let text = document.to_json().unwrap_or_default();
    let serve = move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text).into_response() }
    };
    let known = repeat::Changes::of(&document, app);
    router
        .route_layer(middleware::from_fn_with_state(known, repeat::once))
        .route("/api/v1/openapi.json", get(serve))
        .route("/api/docs", get(reader::page))
}
