//! Alpaca's shapes: decoded permissively, numbers exact.

use std::fmt;
use std::str::FromStr;

use domain::money::{Amount, E9, Price, Quantity};
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A decimal number, sent as text or as a number, exact where it has at most nine decimals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(String);

impl Number {
    fn parsed<T: FromStr>(&self) -> Option<T> {
        let decimals = self.0.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        // Averages may have more decimals than a price can have.
        let spare = decimals.saturating_sub(9);
        self.0.get(..self.0.len() - spare)?.parse().ok()
    }

    pub(crate) fn price(&self) -> Option<Price> {
        self.parsed()
    }

    pub(crate) fn quantity(&self) -> Option<Quantity> {
        self.parsed()
    }

    pub(crate) fn amount(&self) -> Option<Amount> {
        self.parsed()
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Number;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a decimal number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value.to_string()))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// A field's default where Alpaca says `null`, as where it says nothing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An order as Alpaca has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub client_order_id: String,
    pub created_at: Option<String>,
    pub submitted_at: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub symbol: String,
    #[serde(deserialize_with = "or_default")]
    pub side: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub order_class: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    pub qty: Option<Number>,
    pub notional: Option<Number>,
    pub filled_qty: Option<Number>,
    pub filled_avg_price: Option<Number>,
    pub limit_price: Option<Number>,
    pub stop_price: Option<Number>,
    pub replaced_by: Option<String>,
    pub replaces: Option<String>,
    pub legs: Option<Vec<Order>>,
}

impl Order {
    pub(crate) fn filled(&self) -> Quantity {
        self.filled_qty.as_ref().and_then(Number::quantity).unwrap_or_default()
    }

    pub(crate) fn quantity(&self) -> Option<Quantity> {
        self.qty.as_ref().and_then(Number::quantity)
    }

    pub(crate) fn limit(&self) -> Option<Price> {
        self.limit_price.as_ref().and_then(Number::price)
    }

    pub(crate) fn stop(&self) -> Option<Price> {
        self.stop_price.as_ref().and_then(Number::price)
    }

    /// The later of the times by which a list of orders may go, UTC nanoseconds.
    pub(crate) fn listed_ns(&self) -> Option<i64> {
        let at_ns = |time: &Option<String>| time.as_deref().and_then(time_ns);
        at_ns(&self.created_at).max(at_ns(&self.submitted_at))
    }

    /// Whether it is replaced by an order that is named.
    pub(crate) fn successor(&self) -> Option<&str> {
        self.replaced_by.as_deref().filter(|_| self.status == "replaced")
    }

    /// Whether a request about it is on its way to the exchange.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.status.as_str(), "pending_cancel" | "pending_replace")
    }
}

/// An execution in the list of activities.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Activity {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub order_id: String,
    #[serde(deserialize_with = "or_default")]
    pub qty: Number,
    #[serde(deserialize_with = "or_default")]
    pub cum_qty: Number,
    #[serde(deserialize_with = "or_default")]
    pub price: Number,
    #[serde(deserialize_with = "or_default")]
    pub transaction_time: String,
}

/// Something in the list of activities that is no execution.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Movement {
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub activity_type: String,
    #[serde(deserialize_with = "or_default")]
    pub date: String,
    pub created_at: Option<String>,
    pub net_amount: Option<Number>,
    #[serde(deserialize_with = "or_default")]
    pub symbol: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
}

/// A position.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Position {
    #[serde(deserialize_with = "or_default")]
    pub symbol: String,
    #[serde(deserialize_with = "or_default")]
    pub qty: Number,
    #[serde(deserialize_with = "or_default")]
    pub cost_basis: Number,
    #[serde(deserialize_with = "or_default")]
    pub side: String,
    #[serde(deserialize_with = "or_default")]
    pub current_price: Number,
    #[serde(deserialize_with = "or_default")]
    pub market_value: Number,
    #[serde(deserialize_with = "or_default")]
    pub asset_class: String,
}

impl Position {
    /// What one of it is worth. Of an option that is a contract, whose price is told for one share of its hundred.
    pub(crate) fn price(&self) -> Option<Price> {
        let price = if self.asset_class == "us_option" {
            let (value, held) = (self.market_value.amount()?, self.qty.quantity()?);
            let each = value.0.abs().checked_mul(i128::from(E9))?.checked_div(i128::from(held.0).abs())?;
            Price(i64::try_from(each).ok()?)
        } else {
            self.current_price.price()?
        };
        (price > Price::ZERO).then_some(price)
    }
}

/// The account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    #[serde(deserialize_with = "or_default")]
    pub account_number: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub cash: Number,
    #[serde(deserialize_with = "or_default")]
    pub equity: Number,
    #[serde(deserialize_with = "or_default")]
    pub buying_power: Number,
    #[serde(deserialize_with = "or_default")]
    pub trading_blocked: bool,
    #[serde(deserialize_with = "or_default")]
    pub account_blocked: bool,
    #[serde(deserialize_with = "or_default")]
    pub trade_suspended_by_user: bool,
    pub shorting_enabled: Option<bool>,
}

/// What can be traded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asset {
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub tradable: bool,
    #[serde(deserialize_with = "or_default")]
    pub shortable: bool,
    #[serde(deserialize_with = "or_default")]
    pub fractionable: bool,
}

/// Whether the market is open.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MarketClock {
    #[serde(deserialize_with = "or_default")]
    pub is_open: bool,
    #[serde(deserialize_with = "or_default")]
    pub next_open: String,
    #[serde(deserialize_with = "or_default")]
    pub next_close: String,
}

/// What happened to an order, as `trade_updates` tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Update {
    pub event: String,
    pub execution_id: Option<String>,
    pub previous_execution_id: Option<String>,
    pub timestamp: Option<String>,
    pub at: Option<String>,
    pub qty: Option<Number>,
    pub price: Option<Number>,
    pub order: Order,
}

/// A refusal.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    pub code: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub message: String,
    pub reject_reason: Option<String>,
    pub existing_order_id: Option<String>,
}

/// An order as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Ticket {
    pub symbol: String,
    pub side: &'static str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub time_in_force: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notional: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail_percent: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub extended_hours: bool,
    pub client_order_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_profit: Option<Exit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_loss: Option<Exit>,
}

/// One exit of two, or the only one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Exit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<String>,
}

/// Reads an answer; an error names the field.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

/// UTC nanoseconds of a time; `None` when it is none.
pub(crate) fn time_ns(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()
}

/// A time as it is asked by, from UTC nanoseconds.
pub(crate) fn written(time_ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(time_ns).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_as_text_and_as_numbers() {
        let number = |json: &str| serde_json::from_str::<Number>(json).unwrap();
        assert_eq!(number("\"187.45\"").price(), Some(Price(187_450_000_000)));
        assert_eq!(number("187.45").price(), Some(Price(187_450_000_000)));
        assert_eq!(number("\"-3\"").quantity(), Some(Quantity(-3_000_000_000)));
        assert_eq!(number("\"1.1234567891234\"").price(), Some(Price(1_123_456_789)));
        assert_eq!(number("\"many\"").price(), None);
    }

    #[test]
    fn an_option_is_worth_what_its_contract_is() {
        let position = |class: &str, qty: &str, value: &str| -> Position {
            decode(
                format!(
                    r#"{{"symbol":"X","asset_class":"{class}","qty":"{qty}","current_price":"3.1","market_value":{value}}}"#
                )
                .as_bytes(),
            )
            .unwrap()
        };
        let dollars = |units: i64| Some(Price(units * E9));
        assert_eq!(position("us_option", "-2", "\"-620\"").price(), dollars(310));
        assert_eq!(position("us_option", "0", "\"0\"").price(), None);
        assert_eq!(position("us_option", "2", "null").price(), None);
        assert_eq!(position("us_equity", "2", "\"6.2\"").price(), Some(Price(3_100_000_000)));
        assert_eq!(position("crypto", "0.5", "null").price(), Some(Price(3_100_000_000)));
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_wrong_is_named() {
        let order: Order = decode(br#"{"id":"1","qty":null,"legs":null,"new_field":{"x":1}}"#).unwrap();
        assert_eq!((order.id.as_str(), order.quantity()), ("1", None));
        let error = decode::<Order>(br#"{"id":"1","qty":[]}"#).unwrap_err();
        assert!(error.starts_with("qty:"), "{error}");
        let account: Account = decode(br#"{"status":null,"cash":"5","equity":null}"#).unwrap();
        assert_eq!((account.status.as_str(), account.equity.amount()), ("", None));
        let order: Order = decode(br#"{"id":"1","type":null,"side":null,"status":null}"#).unwrap();
        assert_eq!((order.kind.as_str(), order.status.as_str()), ("", ""));
        let activity: Activity = decode(br#"{"id":"1","order_id":null,"price":null}"#).unwrap();
        assert_eq!((activity.order_id.as_str(), activity.price.price()), ("", None));
        let clock: MarketClock = decode(br#"{"is_open":null,"next_open":null}"#).unwrap();
        assert!(!clock.is_open);
        let refusal: Refusal = decode(br#"{"code":40310000,"message":null}"#).unwrap();
        assert_eq!(refusal.code, Some(40_310_000));
        // Nothing can be known of an order without an id.
        assert!(decode::<Order>(br#"{"id":null}"#).unwrap_err().starts_with("id:"));
        let error = decode::<Account>(br#"{"trading_blocked":"no"}"#).unwrap_err();
        assert!(error.starts_with("trading_blocked:"), "{error}");
    }
}
