//! The limits of a scope under the names that the command line, the API, files and pages use.
//!
//! One table says what each is, how it is read and how it is written, so that a limit that exists can be stated
//! and seen everywhere. Deliberately absent: what the limits do (`super::guard`, `super::breaker`).

use contracts::v1::{Breaker, TradeLimits};

use super::breaker;
use crate::book::Scope;
use crate::book::history::{HISTORY_MAX, RETURNS_MIN};
use crate::money::{Amount, E9, Price, Quantity};

/// What a limit's text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Shares, a decimal.
    Shares,
    /// An amount of the currency.
    Money,
    /// A share or a multiple, a decimal of 0 or more.
    Share,
    /// A correlation, -1 to 1.
    Correlation,
    /// A whole number.
    Count,
    /// A number of bars.
    Bars,
    /// Seconds, a decimal.
    Seconds,
    /// `true` or `false`.
    Flag,
    /// Symbols with commas between.
    Symbols,
    /// A breaker's limit: a decimal, with `:halt` behind it to halt.
    Breaker,
    /// That of a breaker on a count.
    BreakerCount,
    /// That of a breaker on a share, which is never more than 1.
    BreakerShare,
}

impl Unit {
    /// What is expected, in words.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Self::Shares => "shares from 0 to 9223372036, for example 100",
            Self::Money => "an amount from 0 to 9223372036, for example 25000",
            Self::Share => "a share or multiple of 0 or more, for example 0.2",
            Self::Correlation => "a correlation from -1 to 1, for example 0.8",
            Self::Count => "a whole number of 0 or more",
            Self::Bars => "a number of bars from 30 to 255",
            Self::Seconds => "seconds of 0 or more, in whole milliseconds, for example 300",
            Self::Flag => "true or false",
            Self::Symbols => "symbols with commas between, for example GME,AMC",
            Self::Breaker => "a limit more than 0 such as 5, or 5:halt to halt instead of reducing only",
            Self::BreakerCount => {
                "a whole number above 0 such as 5, or 5:halt to halt instead of reducing only"
            }
            Self::BreakerShare => {
                "a share above 0 and at most 1 such as 0.1, or 0.1:halt to halt instead of reducing only"
            }
        }
    }
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitField {
    /// Name.
    pub name: &'static str,
    /// What its text must be.
    pub unit: Unit,
    /// What it limits, in words.
    pub what: &'static str,
}

const fn field(name: &'static str, unit: Unit, what: &'static str) -> LimitField {
    LimitField { name, unit, what }
}

/// Every limit, in the order in which they are shown.
pub const FIELDS: [LimitField; 32] = [
    field("max_order_quantity", Unit::Shares, "Shares of one order"),
    field("max_order_value", Unit::Money, "Value of one order"),
    field("max_position_quantity", Unit::Shares, "Shares of one position, open orders included"),
    field("max_position_value", Unit::Money, "Value of one position, open orders included"),
    field("max_concentration", Unit::Share, "Position in one symbol as a share of equity"),
    field("max_gross_exposure", Unit::Money, "Sum of absolute position values"),
    field("max_net_exposure", Unit::Money, "Sum of signed position values, without its sign"),
    field("max_leverage", Unit::Share, "Gross exposure as a multiple of equity"),
    field("min_buying_power", Unit::Money, "Buying power that must be left"),
    field("max_open_orders", Unit::Count, "Orders open at once"),
    field("max_orders_per_minute", Unit::Count, "Orders approved within 60 seconds"),
    field("max_orders_per_hour", Unit::Count, "Orders approved within an hour"),
    field("max_orders_per_day", Unit::Count, "Orders approved on a day of New York"),
    field("price_collar", Unit::Share, "Distance of a limit or stop price from the last price"),
    field("max_price_age", Unit::Seconds, "Age of the last price, seconds of market time"),
    field("session_only", Unit::Flag, "New exposure only while a regular session is open"),
    field("open_buffer", Unit::Seconds, "Seconds after the open without new exposure"),
    field("close_buffer", Unit::Seconds, "Seconds before the close, early or not, without new exposure"),
    field("restricted", Unit::Symbols, "Symbols in which nothing is opened"),
    field("allow_short", Unit::Flag, "Whether positions below zero may be opened"),
    field("max_correlation", Unit::Correlation, "Correlation of returns with a position held"),
    field("correlation_bars", Unit::Bars, "Bars that correlation is measured on"),
    field("max_var", Unit::Share, "Value at risk (95 %, one bar) of the book as a share of equity"),
    field("var_bars", Unit::Bars, "Bars that value at risk is measured on"),
    field("clean_data", Unit::Seconds, "Seconds of market time without a warning about the symbol's data"),
    field("breaker_daily_loss", Unit::BreakerShare, "Loss since the session began as a share of equity"),
    field("breaker_drawdown", Unit::BreakerShare, "Fall of equity from its peak as a share of it"),
    field("breaker_consecutive_losses", Unit::BreakerCount, "Closed trades in a row that lost"),
    field("breaker_win_rate", Unit::BreakerShare, "Least share of winners among a strategy's last 10 trades"),
    field(
        "breaker_broker_errors",
        Unit::BreakerShare,
        "Share of refusals among the broker's last 20 answers",
    ),
    field("breaker_stale_data", Unit::Breaker, "Seconds without a bar while the session is open"),
    field("breaker_projection_lag", Unit::Breaker, "Seconds by which the read models are behind"),
];

/// A limit that cannot be stated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: expected {expected}")]
pub struct LimitError {
    /// The limit's name.
    pub field: String,
    /// The text given.
    pub value: String,
    /// What is expected.
    pub expected: String,
}

/// Every limit there is.
pub fn fields() -> impl Iterator<Item = &'static LimitField> {
    FIELDS.iter()
}

/// States one limit; the text `none` ends it.
pub fn state(limits: &mut TradeLimits, name: &str, text: &str) -> Result<(), LimitError> {
    let text = text.trim();
    let Some(field) = fields().find(|field| field.name == name) else {
        let names: Vec<_> = fields().map(|field| field.name).collect();
        let expected = format!("one of {}", names.join(", "));
        return Err(LimitError { field: "limit".to_owned(), value: name.to_owned(), expected });
    };
    let error = || LimitError {
        field: name.to_owned(),
        value: text.to_owned(),
        expected: format!("{}, or none", field.unit.expected()),
    };
    set(limits, field, (text != "none").then_some(text)).ok_or_else(error)
}

/// States several limits, each at most once: of two values one would be lost without a word.
pub fn state_all(limits: &mut TradeLimits, named: &[(String, String)]) -> Result<(), LimitError> {
    for (place, (name, value)) in named.iter().enumerate() {
        if let Some((_, first)) = named[..place].iter().find(|(known, _)| known == name) {
            return Err(LimitError {
                field: name.clone(),
                value: value.clone(),
                expected: format!("each limit once, and this one is stated as {first} already"),
            });
        }
        state(limits, name, value)?;
    }
    Ok(())
}

/// How a limit of a run is written with its scope.
pub const SCOPED_EXPECTED: &str = "NAME=VALUE, strategy:S.NAME=VALUE or symbol:Y.NAME=VALUE";

/// Reads a limit that is written so: its scope, with the symbol as it is written, its name and its value.
#[must_use]
pub fn scoped(text: &str) -> Option<(Scope, &str, &str)> {
    let (left, value) = text.split_once('=')?;
    // A symbol may have a dot of its own: the name is what comes after the last one.
    let Some((scope, name)) = left.rsplit_once('.') else { return Some((Scope::default(), left, value)) };
    match scope.split_once(':')? {
        (_, "") => None,
        ("strategy", strategy) => Some((Scope::new("", strategy, ""), name, value)),
        ("symbol", symbol) => Some((Scope::new("", "", symbol), name, value)),
        _ => None,
    }
}

fn set(limits: &mut TradeLimits, field: &LimitField, text: Option<&str>) -> Option<()> {
    let decimal = || number(text, |value| value >= 0);
    let money = || decimal().map(|value| value.and_then(|value| Amount(i128::from(value)).to_wire()));
    let count = || text.map(str::parse::<u32>).transpose().ok();
    let bars = || {
        let range = RETURNS_MIN..HISTORY_MAX;
        count().filter(|bars| bars.is_none_or(|bars| range.contains(&(bars as usize))))
    };
    let flag = || text.map(str::parse::<bool>).transpose().ok();
    // Milliseconds are what the tape holds: a part of one would be another limit than was stated.
    let millisecond = E9 / 1_000;
    let seconds = || {
        let whole = number(text, |value| value >= 0 && value % millisecond == 0);
        whole.map(|value| value.map(|value| value / millisecond))
    };
    match field.name {
        "max_order_quantity" => limits.max_order_quantity_e9 = decimal()?,
        "max_order_value" => limits.max_order_value = money()?,
        "max_position_quantity" => limits.max_position_quantity_e9 = decimal()?,
        "max_position_value" => limits.max_position_value = money()?,
        "max_concentration" => limits.max_concentration_e9 = decimal()?,
        "max_gross_exposure" => limits.max_gross_exposure = money()?,
        "max_net_exposure" => limits.max_net_exposure = money()?,
        "max_leverage" => limits.max_leverage_e9 = decimal()?,
        "min_buying_power" => limits.min_buying_power = money()?,
        "max_open_orders" => limits.max_open_orders = count()?,
        "max_orders_per_minute" => limits.max_orders_per_minute = count()?,
        "max_orders_per_hour" => limits.max_orders_per_hour = count()?,
        "max_orders_per_day" => limits.max_orders_per_day = count()?,
        "price_collar" => limits.price_collar_e9 = decimal()?,
        "max_price_age" => limits.max_price_age_ms = seconds()?,
        "session_only" => limits.session_only = flag()?,
        "open_buffer" => limits.open_buffer_ms = seconds()?,
        "close_buffer" => limits.close_buffer_ms = seconds()?,
        "restricted" => limits.restricted = symbols(text)?,
        "allow_short" => limits.allow_short = flag()?,
        "max_correlation" => {
            limits.max_correlation_e9 = number(text, |value| (-E9..=E9).contains(&value))?;
        }
        "correlation_bars" => limits.correlation_bars = bars()?,
        "max_var" => limits.max_var_e9 = decimal()?,
        "var_bars" => limits.var_bars = bars()?,
        "clean_data" => limits.clean_data_ms = seconds()?,
        name => {
            let good = |value: i64| match field.unit {
                Unit::BreakerShare => (1..=E9).contains(&value),
                Unit::BreakerCount => value > 0 && value % E9 == 0,
                _ => value > 0,
            };
            return set_breaker(limits, name.strip_prefix("breaker_")?, text, good);
        }
    }
    Some(())
}

/// `None` when the text is no such number, `Some(None)` when there is none.
fn number(text: Option<&str>, good: impl Fn(i64) -> bool) -> Option<Option<i64>> {
    let Some(text) = text else { return Some(None) };
    text.parse::<Price>().ok().map(|value| value.0).filter(|value| good(*value)).map(Some)
}

fn symbols(text: Option<&str>) -> Option<Vec<String>> {
    let Some(text) = text else { return Some(Vec::new()) };
    let mut symbols: Vec<String> = Vec::new();
    for listed in text.split(',') {
        let symbol = contracts::read_symbol(listed.trim()).ok()?;
        // Named twice, it is restricted once.
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    Some(symbols)
}

/// `good` tells whether a number, in 1e-9, may be the breaker's limit.
fn set_breaker(
    limits: &mut TradeLimits,
    name: &str,
    text: Option<&str>,
    good: impl Fn(i64) -> bool,
) -> Option<()> {
    let kind = breaker::of_name(name)?;
    let stated = match text {
        None => None,
        Some(text) => {
            let (number, halts) = match text.split_once(':') {
                Some((number, "halt")) => (number, true),
                Some((number, "reduce-only" | "reduce_only")) => (number, false),
                Some(_) => return None,
                None => (text, false),
            };
            let most_e9 = self::number(Some(number), good)??;
            Some(Breaker { kind: kind.into(), most_e9, halts })
        }
    };
    limits.breakers.retain(|breaker| breaker.kind() != kind);
    limits.breakers.extend(stated);
    limits.breakers.sort_by_key(|breaker| breaker.kind);
    Some(())
}

/// The limits that are stated, as [`state`] reads them, in the order of [`fields`].
#[must_use]
pub fn stated(limits: &TradeLimits) -> Vec<(&'static LimitField, String)> {
    fields().filter_map(|field| Some((field, text(limits, field)?))).collect()
}

fn text(limits: &TradeLimits, field: &LimitField) -> Option<String> {
    let decimal = |value: Option<i64>| value.map(|value| Quantity(value).to_string());
    let money = |value: &Option<contracts::v1::Money>| {
        value.as_ref().map(|value| Amount::from_wire(Some(value)).to_string())
    };
    let count = |value: Option<u32>| value.map(|value| value.to_string());
    let flag = |value: Option<bool>| value.map(|value| value.to_string());
    let seconds = |value: Option<i64>| decimal(value.map(|value| value.saturating_mul(E9 / 1_000)));
    match field.name {
        "max_order_quantity" => decimal(limits.max_order_quantity_e9),
        "max_order_value" => money(&limits.max_order_value),
        "max_position_quantity" => decimal(limits.max_position_quantity_e9),
        "max_position_value" => money(&limits.max_position_value),
        "max_concentration" => decimal(limits.max_concentration_e9),
        "max_gross_exposure" => money(&limits.max_gross_exposure),
        "max_net_exposure" => money(&limits.max_net_exposure),
        "max_leverage" => decimal(limits.max_leverage_e9),
        "min_buying_power" => money(&limits.min_buying_power),
        "max_open_orders" => count(limits.max_open_orders),
        "max_orders_per_minute" => count(limits.max_orders_per_minute),
        "max_orders_per_hour" => count(limits.max_orders_per_hour),
        "max_orders_per_day" => count(limits.max_orders_per_day),
        "price_collar" => decimal(limits.price_collar_e9),
        "max_price_age" => seconds(limits.max_price_age_ms),
        "session_only" => flag(limits.session_only),
        "open_buffer" => seconds(limits.open_buffer_ms),
        "close_buffer" => seconds(limits.close_buffer_ms),
        "restricted" => (!limits.restricted.is_empty()).then(|| limits.restricted.join(",")),
        "allow_short" => flag(limits.allow_short),
        "max_correlation" => decimal(limits.max_correlation_e9),
        "correlation_bars" => count(limits.correlation_bars),
        "max_var" => decimal(limits.max_var_e9),
        "var_bars" => count(limits.var_bars),
        "clean_data" => seconds(limits.clean_data_ms),
        name => {
            let kind = breaker::of_name(name.strip_prefix("breaker_")?)?;
            let breaker = limits.breakers.iter().find(|breaker| breaker.kind() == kind)?;
            let halt = if breaker.halts { ":halt" } else { "" };
            Some(format!("{}{halt}", Quantity(breaker.most_e9)))
        }
    }
}

/// Refuses limits that a scope cannot have.
pub fn check(scope: &Scope, limits: &TradeLimits) -> Result<(), LimitError> {
    for breaker in &limits.breakers {
        let of_account = matches!(
            breaker.kind(),
            contracts::v1::BreakerKind::DailyLoss
                | contracts::v1::BreakerKind::Drawdown
                | contracts::v1::BreakerKind::BrokerErrors
                | contracts::v1::BreakerKind::StaleData
                | contracts::v1::BreakerKind::ProjectionLag
        );
        let expected = if !scope.symbol.is_empty() {
            "none, because a breaker is of an account or a strategy, not of a symbol"
        } else if of_account && !scope.strategy.is_empty() {
            "none, because it is of an account, not of a strategy"
        } else {
            continue;
        };
        return Err(LimitError {
            field: format!("breaker_{}", breaker::name(breaker.kind())),
            value: Quantity(breaker.most_e9).to_string(),
            expected: expected.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(unit: Unit) -> &'static str {
        match unit {
            Unit::Shares | Unit::Money | Unit::Seconds => "12.5",
            Unit::Share => "0.25",
            Unit::Correlation => "-0.5",
            Unit::Count => "7",
            Unit::Bars => "45",
            Unit::Flag => "false",
            Unit::Symbols => "AMC,BRK.B",
            Unit::Breaker | Unit::BreakerCount => "5:halt",
            Unit::BreakerShare => "0.1:halt",
        }
    }

    #[test]
    fn every_limit_reads_as_it_is_written_and_ends() {
        for field in fields() {
            let mut limits = TradeLimits::default();
            state(&mut limits, field.name, example(field.unit)).unwrap();
            assert_ne!(limits, TradeLimits::default(), "{}", field.name);
            let stated = stated(&limits);
            assert_eq!(stated.len(), 1, "{}", field.name);
            assert_eq!((stated[0].0.name, stated[0].1.as_str()), (field.name, example(field.unit)));
            state(&mut limits, field.name, "none").unwrap();
            assert_eq!(limits, TradeLimits::default(), "{}", field.name);
        }
    }

    #[test]
    fn what_is_no_limit_is_named() {
        let mut limits = TradeLimits::default();
        for (name, value) in [
            ("max_leverage", "-1"),
            ("max_open_orders", "1.5"),
            ("max_correlation", "1.1"),
            ("correlation_bars", "29"),
            // On the tape it would be 0.
            ("max_price_age", "0.0001"),
            ("session_only", "yes"),
            ("restricted", "A,,B"),
            // Of letters that have no capital of one byte, others would be made.
            ("restricted", "AMC,stra\u{df}e"),
            ("restricted", "ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567"),
            ("breaker_drawdown", "0"),
            ("breaker_consecutive_losses", "1.5"),
            ("breaker_drawdown", "0.1:stop"),
            ("breaker_drawdown", "2:halt"),
            ("breaker_daily_loss", "1.1"),
            ("breaker_win_rate", "35"),
        ] {
            let error = state(&mut limits, name, value).unwrap_err();
            assert_eq!((error.field.as_str(), error.value.as_str()), (name, value));
        }
        // The tape counts in 1e-9: what is too large for that is no smaller number than is expected.
        for name in ["max_order_quantity", "max_gross_exposure"] {
            let error = state(&mut limits, name, "9223372037").unwrap_err();
            assert!(error.expected.contains("from 0 to 9223372036"), "{error}");
            state(&mut limits, name, "9223372036").unwrap();
            state(&mut limits, name, "none").unwrap();
        }
        assert!(state(&mut limits, "max_everything", "1").unwrap_err().to_string().contains("max_leverage"));
        assert_eq!(limits, TradeLimits::default());
    }

    #[test]
    fn a_limit_is_written_with_its_scope() {
        let of = |text: &'static str| {
            scoped(text).map(|(scope, name, value)| ([scope.strategy, scope.symbol], name, value))
        };
        let scope = |strategy: &str, symbol: &str| [strategy.to_owned(), symbol.to_owned()];
        assert_eq!(of("max_leverage=1"), Some((scope("", ""), "max_leverage", "1")));
        assert_eq!(of("strategy:s.max_var=2"), Some((scope("s", ""), "max_var", "2")));
        assert_eq!(of("symbol:BRK.B.max_var=2"), Some((scope("", "BRK.B"), "max_var", "2")));
        for text in ["max_leverage", ".max_var=1", "account:a.max_var=1", "strategy:.max_var=1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_symbol_is_restricted_once_and_a_limit_stated_once() {
        let mut limits = TradeLimits::default();
        state(&mut limits, "restricted", "gme,AMC, GME").unwrap();
        assert_eq!(limits.restricted, ["GME", "AMC"]);
        let named = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        state_all(&mut limits, &named(&[("max_leverage", "2"), ("max_open_orders", "3")])).unwrap();
        assert_eq!((stated(&limits).len(), limits.max_open_orders), (3, Some(3)));
        let twice = named(&[("max_leverage", "1"), ("allow_short", "false"), ("max_leverage", "2")]);
        assert_eq!(
            state_all(&mut limits, &twice).unwrap_err().to_string(),
            "max_leverage = 2: expected each limit once, and this one is stated as 1 already"
        );
    }

    #[test]
    fn a_breaker_takes_the_word_of_people_and_that_of_programs() {
        for value in ["0.1", "0.1:reduce-only", "0.1:reduce_only"] {
            let mut limits = TradeLimits::default();
            state(&mut limits, "breaker_drawdown", value).unwrap();
            assert_eq!(stated(&limits)[0].1, "0.1", "{value}");
        }
    }

    #[test]
    fn a_breaker_of_an_account_is_none_of_a_strategy() {
        let mut limits = TradeLimits::default();
        state(&mut limits, "breaker_win_rate", "0.35").unwrap();
        assert!(check(&Scope::new("", "sma", ""), &limits).is_ok());
        assert!(check(&Scope::new("", "", "SPY"), &limits).is_err());
        state(&mut limits, "breaker_drawdown", "0.1").unwrap();
        assert!(check(&Scope::new("", "sma", ""), &limits).is_err());
        assert!(check(&Scope::new("paper", "", ""), &limits).is_ok());
    }
}
