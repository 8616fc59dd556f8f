//! Alpaca's quotes, trades, and what becomes of trades, from the letters of its messages.

use serde::Deserialize;
use serde_json::Value;

use super::alpaca::{decoded, time};
use super::{Amended, Quote, Trade};
use crate::alpaca::At;
use crate::wire;

#[derive(Deserialize)]
struct ToldQuote {
    #[serde(rename = "S")]
    symbol: String,
    bp: f64,
    ap: f64,
    #[serde(default)]
    bs: f64,
    #[serde(default, rename = "as")]
    ask_size: f64,
    #[serde(default)]
    bx: String,
    #[serde(default)]
    ax: String,
    t: At,
}

#[derive(Deserialize)]
struct ToldTrade {
    #[serde(rename = "S")]
    symbol: String,
    p: f64,
    s: f64,
    #[serde(default)]
    x: String,
    #[serde(default)]
    i: Value,
    t: At,
}

#[derive(Deserialize)]
struct Correction {
    #[serde(rename = "S")]
    symbol: String,
    #[serde(default)]
    oi: Value,
    op: f64,
    os: f64,
    cp: f64,
    cs: f64,
    t: At,
}

/// `T` = `q`.
pub(super) fn quote(message: Value) -> Result<Quote, String> {
    let told: ToldQuote = decoded(message)?;
    let wrong = |field: &str, value: f64| format!("{} {field}: {value}", told.symbol);
    let price = |field: &str, value: f64| wire::price(value).ok_or_else(|| wrong(field, value));
    let size = |field: &str, value: f64| wire::volume(value).ok_or_else(|| wrong(field, value));
    Ok(Quote {
        bid: price("bp", told.bp)?,
        ask: price("ap", told.ap)?,
        bid_size: size("bs", told.bs)?,
        ask_size: size("as", told.ask_size)?,
        at_ns: time(&told.t)?,
        symbol: told.symbol,
        told: 1,
        bid_exchange: told.bx,
        ask_exchange: told.ax,
    })
}

/// `T` = `t`.
pub(super) fn trade(message: Value) -> Result<Trade, String> {
    let told: ToldTrade = decoded(message)?;
    let wrong = |field: &str, value: f64| format!("{} {field}: {value}", told.symbol);
    let size = wire::volume(told.s).ok_or_else(|| wrong("s", told.s))?;
    Ok(Trade {
        price: wire::price(told.p).ok_or_else(|| wrong("p", told.p))?,
        size,
        told: 1,
        told_size: size,
        at_ns: time(&told.t)?,
        id: text(&told.i),
        symbol: told.symbol,
        exchange: told.x,
    })
}

/// `T` = `c`.
pub(super) fn correction(message: Value) -> Result<Amended, String> {
    let told: Correction = decoded(message)?;
    let words =
        format!("trade {} of {} at {} is {} at {}", text(&told.oi), told.os, told.op, told.cs, told.cp);
    Ok(Amended { at_ns: time(&told.t)?, symbol: told.symbol, cancelled: false, words })
}

/// `T` = `x`.
pub(super) fn cancelled(message: Value) -> Result<Amended, String> {
    let told: ToldTrade = decoded(message)?;
    let words = format!("trade {} of {} at {} was none", text(&told.i), told.s, told.p);
    Ok(Amended { at_ns: time(&told.t)?, symbol: told.symbol, cancelled: true, words })
}

/// An id, whatever it is made of.
fn text(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_trades_and_their_amendments_are_read_with_either_kind_of_time() {
        let told = quote(
            json!({"T": "q", "S": "SPY", "bx": "V", "bp": 187.63, "bs": 300, "ax": "Q", "ap": 0, "as": 0,
            "c": ["R"], "t": "2026-01-06T15:00:00.000000001Z", "z": "C"}),
        )
        .unwrap();
        assert_eq!(
            (told.bid.to_string(), told.ask.0, told.bid_size.to_string()),
            ("187.63".into(), 0, "300".into())
        );
        assert_eq!((told.bid_exchange.as_str(), told.at_ns % 1_000_000_000), ("V", 1));
        let told =
            trade(json!({"S": "SPY", "p": 1.5, "s": 0.5, "x": "V", "i": 52_983_525_029_461_i64, "t": 7}))
                .unwrap();
        assert_eq!((told.id.as_str(), told.at_ns, told.size.0), ("52983525029461", 7, 500));
        let told = correction(
            json!({"S": "SPY", "oi": 1, "op": 2.5, "os": 10, "ci": 1, "cp": 2.25, "cs": 10, "t": 7}),
        )
        .unwrap();
        assert_eq!((told.words.as_str(), told.cancelled), ("trade 1 of 10 at 2.5 is 10 at 2.25", false));
        let told = cancelled(json!({"S": "SPY", "i": 1, "p": 2.5, "s": 10, "a": "C", "t": 7})).unwrap();
        assert!(told.cancelled, "{told:?}");
        assert!(quote(json!({"S": "SPY", "bp": "x", "ap": 1, "t": 7})).unwrap_err().starts_with("bp: "));
    }
}
