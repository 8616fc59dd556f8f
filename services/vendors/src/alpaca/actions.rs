//! Alpaca's corporate actions: splits, dividends in cash and in shares; of every other kind that there is one.
//!
//! No kinds are named in the question, so that all are told, those too that the vendor adds. A split or a dividend
//! without its date or its rate is told as one of another kind is: it cannot be applied, and keeps nothing from the others.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use contracts::v1::ActionKind;
use domain::money::E9;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ACTIONS, Alpaca, BARS};
use crate::error::VendorError;
use crate::port::{Action, Ask, Cursor, PageOfMany, Unapplied};
use crate::wire;

/// How long after its ex-date an action may be processed.
const PROCESSED_WITHIN: Days = Days::new(180);
/// Where an action of another kind says when it takes effect; the first of them that it has counts.
const DATES: [&str; 5] = ["ex_date", "effective_date", "process_date", "record_date", "payable_date"];
/// Characters that are kept of such an action.
const WORDS_MAX: usize = 500;

/// What it takes to apply a split, and a dividend.
const OF_SPLIT: &[&str] = &["old_rate", "new_rate", "ex_date"];
const OF_DIVIDEND: &[&str] = &["rate", "ex_date"];

#[derive(Deserialize)]
struct Answer {
    corporate_actions: Option<Lists>,
    next_page_token: Option<String>,
}

/// Lists by kind, in the plural.
type Lists = BTreeMap<String, Value>;

/// A dividend: dollars of a share or, of one in shares, shares.
#[derive(Deserialize)]
struct Dividend {
    symbol: Option<String>,
    rate: f64,
    ex_date: NaiveDate,
}

#[derive(Deserialize)]
struct Split {
    symbol: Option<String>,
    new_symbol: Option<String>,
    old_rate: f64,
    new_rate: f64,
    ex_date: NaiveDate,
}

impl Alpaca {
    pub(super) async fn actions(
        &self,
        symbols: &[String],
        ask: &Ask,
        token: Option<String>,
    ) -> Result<PageOfMany, VendorError> {
        let dates = wire::dates(ask);
        let start = dates.start().to_string();
        // The vendor goes by the day on which it processes an action, a dividend's when it is paid.
        let end = dates.end().checked_add_days(PROCESSED_WITHIN).unwrap_or(*dates.end()).to_string();
        let joined = symbols.join(",");
        let mut query = vec![
            ("symbols", joined.as_str()),
            ("start", &start),
            ("end", &end),
            ("limit", "1000"),
            ("sort", "asc"),
        ];
        query.extend(token.as_deref().map(|token| ("page_token", token)));
        let body = self.http.get("/v1/corporate-actions", &query).await?;
        let answer: Answer = wire::decode(&self.http, &body)?;
        let next = match answer.next_page_token {
            Some(next) => Some(Cursor { step: ACTIONS, token: Some(self.further(token.as_deref(), next)?) }),
            None => ask.bars.then_some(Cursor { step: BARS, token: None }),
        };
        let (actions, unapplied) = self.read(answer.corporate_actions.unwrap_or_default(), symbols, ask)?;
        Ok(PageOfMany { actions, unapplied, next, ..PageOfMany::default() })
    }

    /// Takes the rows of a kind out of their list, as they are applied; those that lack something `needed` stay.
    fn whole<T: DeserializeOwned>(
        &self,
        lists: &mut Lists,
        kind: &str,
        needed: &[&str],
    ) -> Result<Vec<T>, VendorError> {
        let rows = match lists.get_mut(kind) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(rows)) => rows,
            Some(_) => return Err(self.http.broken(format!("corporate_actions.{kind}: no list"))),
        };
        let is_whole = |row: &Value| needed.iter().all(|field| !row[*field].is_null());
        let (whole, rest): (Vec<Value>, Vec<Value>) = std::mem::take(rows).into_iter().partition(is_whole);
        *rows = rest;
        let read = whole.into_iter().map(|row| {
            serde_path_to_error::deserialize(row).map_err(|error| {
                let what = format!("corporate_actions.{kind}.{}: {}", error.path(), error.inner());
                self.http.broken(what)
            })
        });
        read.collect()
    }

    fn read(&self, mut lists: Lists, symbols: &[String], ask: &Ask) -> Result<Told, VendorError> {
        let forward: Vec<Split> = self.whole(&mut lists, "forward_splits", OF_SPLIT)?;
        let reverse: Vec<Split> = self.whole(&mut lists, "reverse_splits", OF_SPLIT)?;
        let shares: Vec<Dividend> = self.whole(&mut lists, "stock_dividends", OF_DIVIDEND)?;
        let cash: Vec<Dividend> = self.whole(&mut lists, "cash_dividends", OF_DIVIDEND)?;
        let mut actions: BTreeMap<&String, Vec<Action>> = BTreeMap::new();
        let mut unapplied = Vec::new();
        for split in forward.into_iter().chain(reverse) {
            let named = [split.symbol.as_deref(), split.new_symbol.as_deref()];
            let Some(symbol) = among(symbols, named) else { continue };
            let (new, old) = (split.new_rate, split.old_rate);
            let value_e9 = wire::ratio_e9(new, old)
                .ok_or_else(|| self.http.broken(format!("splits: {new} new for {old} old shares")))?;
            let action = Action { ex_date: split.ex_date, kind: ActionKind::Split, value_e9 };
            actions.entry(symbol).or_default().push(action);
        }
        for dividend in shares {
            let Some(symbol) = among(symbols, [dividend.symbol.as_deref(), None]) else { continue };
            let rate = wire::price(dividend.rate).filter(|rate| rate.0 > 0);
            let rate =
                rate.ok_or_else(|| self.http.broken(format!("stock_dividends.rate: {}", dividend.rate)))?;
            // Whoever has one share has 1 + rate of them from then on.
            let ex_date = dividend.ex_date;
            let action = Action { ex_date, kind: ActionKind::Split, value_e9: E9.saturating_add(rate.0) };
            let of_symbol = actions.entry(symbol).or_default();
            let splits = |other: &Action| other.ex_date == ex_date && other.kind == ActionKind::Split;
            if of_symbol.iter().any(|other| splits(other) && *other != action) {
                let words = format!("stock_dividend of {symbol} on {ex_date}: rate {rate}, beside a split");
                let beside = Unapplied { date: ex_date, words };
                unapplied.extend(wire::is_of_span(ex_date, ask).then(|| (symbol.clone(), beside)));
            } else {
                of_symbol.push(action);
            }
        }
        for dividend in cash {
            let Some(symbol) = among(symbols, [dividend.symbol.as_deref(), None]) else { continue };
            let rate = wire::price(dividend.rate)
                .ok_or_else(|| self.http.broken(format!("cash_dividends.rate: {}", dividend.rate)))?;
            let action = Action { ex_date: dividend.ex_date, kind: ActionKind::Dividend, value_e9: rate.0 };
            actions.entry(symbol).or_default().push(action);
        }
        for (kind, rows) in &lists {
            for row in rows.as_array().into_iter().flatten() {
                for symbol in named(symbols, row) {
                    unapplied.extend(other(kind, symbol, row, ask).map(|told| (symbol.clone(), told)));
                }
            }
        }
        let actions = actions.into_iter().flat_map(|(symbol, actions)| {
            wire::of_span(actions, ask).into_iter().map(move |action| (symbol.clone(), action))
        });
        Ok((actions.collect(), unapplied))
    }
}

/// Actions by symbol, and those that are not applied.
type Told = (Vec<(String, Action)>, Vec<(String, Unapplied)>);

/// Which of the symbols that were asked for an action is of; what is told of one alone is that one's.
fn among<'a>(symbols: &'a [String], named: [Option<&str>; 2]) -> Option<&'a String> {
    if let [one] = symbols {
        return Some(one);
    }
    named.into_iter().flatten().find_map(|name| symbols.iter().find(|symbol| symbol.as_str() == name))
}

/// Every symbol that was asked for and that an action of another kind names: the old one, the new one, either company.
fn named<'a>(symbols: &'a [String], row: &Value) -> Vec<&'a String> {
    if let [one] = symbols {
        return vec![one];
    }
    let fields = row.as_object().into_iter().flatten().filter(|(field, _)| field.ends_with("symbol"));
    let names: Vec<&str> = fields.filter_map(|(_, name)| name.as_str()).collect();
    symbols.iter().filter(|symbol| names.contains(&symbol.as_str())).collect()
}

/// An action of another kind in words: kind, symbol, date and terms; `None` outside of the span.
fn other(kind: &str, symbol: &str, row: &Value, ask: &Ask) -> Option<Unapplied> {
    let stated = DATES.iter().find_map(|name| row.get(*name)?.as_str()?.parse::<NaiveDate>().ok());
    // One without a date would be passed over in every span.
    let date = stated.unwrap_or(*wire::dates(ask).start());
    if !wire::is_of_span(date, ask) {
        return None;
    }
    let apart =
        |name: &str| name == "id" || name == "symbol" || name.ends_with("cusip") || name.ends_with("_date");
    let terms =
        row.as_object().into_iter().flatten().filter(|(name, value)| !apart(name) && !value.is_null());
    let mut terms: Vec<String> = terms
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        })
        .collect();
    terms.sort();
    let kind = kind.strip_suffix('s').unwrap_or(kind);
    let on = stated.map_or_else(|| "a date that is not stated".to_owned(), |date| date.to_string());
    let words = format!("{kind} of {symbol} on {on}: {}", terms.join(", "));
    let words = words.trim_end_matches([':', ' ']).chars().take(WORDS_MAX).collect();
    Some(Unapplied { date, words })
}
