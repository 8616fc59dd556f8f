//! The market's part of the control interface.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query as Asked, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{done, read, wrong};
use crate::alpaca_data;
use crate::market::{Adjustment, Anchor, Bar, Dividend, Event, Listing, OtherAction, Split, ten_thousandths};
use crate::query::Query;
use crate::stand::Stand;
use crate::wire;

/// `GET /clock`
pub async fn clock(State(stand): State<Arc<Stand>>) -> Response {
    let now_ns = stand.market(|market| market.now_ns());
    let pace = stand.pace() as f64 / 1_000.0;
    Json(json!({"now": wire::rfc3339(now_ns), "now_ns": now_ns, "pace": pace})).into_response()
}

/// `POST /clock`: sets it, moves it on, or lets it move by itself.
pub async fn set_clock(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(default)]
        now: Option<Value>,
        #[serde(default)]
        advance_ms: Option<u64>,
        #[serde(default)]
        pace: Option<f64>,
    }
    let wanted = match read::<Wanted>(body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    if let Some(now) = wanted.now {
        match crate::market::moment(now) {
            Ok(now_ns) => stand.jump(now_ns),
            Err(error) => return wrong(error.to_string()),
        }
    }
    if let Some(ms) = wanted.advance_ms {
        stand.advance(Duration::from_millis(ms));
    }
    if let Some(pace) = wanted.pace {
        if !(0.0..=100_000.0).contains(&pace) {
            return wrong("pace: expected 0 to 100000 times the real one");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        stand.set_pace((pace * 1_000.0) as u64);
    }
    clock(State(stand)).await
}

/// `GET /market/bars`: what vendors are to show, in dollars and nanoseconds.
pub async fn bars(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let symbol = query.get("symbol").unwrap_or_default().to_owned();
    let Some(frame) = alpaca_data::timeframe(query.get("timeframe").unwrap_or("1Min")) else {
        return wrong("timeframe: expected as Alpaca writes it, like 5Min, 1Hour or 1Day");
    };
    let anchor = if query.get("anchor") == Some("open") { Anchor::Open } else { Anchor::Clock };
    let adjustment = match query.get("adjustment") {
        None | Some("raw") => Adjustment::RAW,
        Some("split") => Adjustment::SPLITS,
        Some("all") => Adjustment::ALL,
        Some(other) => return wrong(format!("adjustment: expected raw, split or all, not {other}")),
    };
    let (Ok(start), Ok(end)) = (query.moment("start"), query.moment("end")) else {
        return wrong("start and end: expected RFC 3339 or a date");
    };
    let rows = stand.market(|market| {
        let span = (start.unwrap_or(0), end.unwrap_or_else(|| market.now_ns()));
        market.bars(&symbol, (frame, anchor), span, adjustment)
    });
    let price = crate::market::dollars;
    let row = |bar: &Bar| {
        json!({
            "start_ns": bar.start_ns,
            "start": wire::rfc3339(bar.start_ns),
            "open": price(bar.open),
            "high": price(bar.high),
            "low": price(bar.low),
            "close": price(bar.close),
            "vwap": price(bar.vwap),
            "volume": bar.volume,
            "trades": bar.trades,
        })
    };
    Json(rows.iter().map(row).collect::<Vec<_>>()).into_response()
}

/// `PUT /market/minute`: a minute's bar in dollars; without one the minute is taken out.
pub async fn set_minute(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        symbol: String,
        #[serde(deserialize_with = "crate::market::moment")]
        start: i64,
        #[serde(default)]
        bar: Option<Dollars>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Dollars {
        open: f64,
        high: f64,
        low: f64,
        close: f64,
        volume: i64,
        #[serde(default)]
        trades: Option<i64>,
        #[serde(default)]
        vwap: Option<f64>,
    }
    let wanted = match read::<Wanted>(body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let bar = wanted.bar.map(|bar| Bar {
        start_ns: wanted.start,
        open: ten_thousandths(bar.open),
        high: ten_thousandths(bar.high),
        low: ten_thousandths(bar.low),
        close: ten_thousandths(bar.close),
        volume: bar.volume,
        trades: bar.trades.unwrap_or(1),
        vwap: ten_thousandths(bar.vwap.unwrap_or(bar.close)),
    });
    stand.market(|market| market.set_minute(&wanted.symbol, wanted.start, bar));
    done()
}

/// `GET /market/quote`: bid, ask and last price in dollars.
pub async fn quote(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let symbol = query.get("symbol").unwrap_or_default().to_owned();
    let found = stand.market(|market| Some((market.last_quote(&symbol)?, market.last_trade(&symbol)?)));
    let Some((quote, trade)) = found else { return wrong(format!("no quote of {symbol}")) };
    let price = crate::market::dollars;
    Json(json!({"bid": price(quote.bid), "ask": price(quote.ask), "last": price(trade.price)}))
        .into_response()
}

/// `PUT /market/price`: holds a symbol at a price in dollars, or lets it go.
pub async fn hold_price(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        symbol: String,
        price: Option<f64>,
    }
    match read::<Wanted>(body) {
        Ok(wanted) => {
            stand.hold_price(&wanted.symbol, wanted.price.map(ten_thousandths));
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// `PUT /market/pace`: how much is said in a minute of each symbol.
pub async fn set_pace(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        trades_per_minute: i64,
        quotes_per_minute: i64,
    }
    match read::<Wanted>(body) {
        Ok(wanted) => {
            stand.market(|market| market.set_pace(wanted.trades_per_minute, wanted.quotes_per_minute));
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// `POST /market/say`: something happens that no seed would let happen.
pub async fn say(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<Event>(body) {
        Ok(event) => Json(stand.say(event)).into_response(),
        Err(refusal) => *refusal,
    }
}

/// `GET /market/listings`
pub async fn listings(State(stand): State<Arc<Stand>>) -> Response {
    let listings: Vec<Listing> = stand.market(|market| market.listings().cloned().collect());
    Json(listings).into_response()
}

/// `PUT /market/listings`: adds a listing or replaces it.
pub async fn list(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<Listing>(body) {
        Ok(listing) => {
            stand.market(|market| market.list(listing));
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// `PUT /market/splits`
pub async fn split(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<Split>(body) {
        Ok(split) if split.from > 0 && split.to > 0 => {
            stand.market(|market| market.split(split));
            done()
        }
        Ok(_) => wrong("from and to: expected more than 0"),
        Err(refusal) => *refusal,
    }
}

/// `PUT /market/dividends`
pub async fn pay(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<Dividend>(body) {
        Ok(dividend) => {
            stand.market(|market| market.pay(dividend));
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// `PUT /market/actions`: a corporate action of any other kind, as Alpaca shows it.
pub async fn act(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    match read::<OtherAction>(body) {
        Ok(action) => {
            stand.market(|market| market.act(action));
            done()
        }
        Err(refusal) => *refusal,
    }
}

/// `GET /market/articles`: those that have come out by now, oldest first.
pub async fn articles(State(stand): State<Arc<Stand>>) -> Response {
    let told = stand.market(|market| market.articles().into_iter().cloned().collect::<Vec<_>>());
    Json(told).into_response()
}

/// `PUT /market/facts`: a module of a company's summary, or a series of its statements, as Yahoo shows it.
pub async fn say_fact(State(stand): State<Arc<Stand>>, Json(body): Json<Value>) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        symbol: String,
        name: String,
        value: Value,
    }
    match read::<Wanted>(body) {
        Ok(wanted) => {
            stand.market(|market| market.say_fact(&wanted.symbol, &wanted.name, wanted.value));
            done()
        }
        Err(refusal) => *refusal,
    }
}
