//! Massive, which was Polygon: aggregates, raw or in the terms after every split, and splits and dividends, of a symbol or,
//! by date, of all.
//!
//! An answer without anything has no `results`, and the link to the next page lacks the key and may name another
//! host; of it only path and query are used. Aggregates of hours and less run on the clock and outside of the
//! session too. A plan that is a quarter of an hour late says so in its answers (`DELAYED`): what has not been over for as
//! long is not all there, and is left out as what has not ended.
//!
//! Deliberately absent: aggregates less dividends, which it does not make; paying dividends in other currencies than
//! dollars, of which it is said that there is one.

mod grouped;
mod listing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::{Http, HttpConfig};
use crate::live::RecentMinutes;
use crate::port::{
    Action, Adjustment, Ask, BarsByDate, Cursor, HistoricalBars, Offer, Page, Quoted, Skipped, Unapplied,
};
use crate::wire;

pub(crate) const NAME: &str = "massive";
const MS: i64 = 1_000_000;
/// How late a plan is that says so.
const LATE_NS: i64 = 15 * 60 * 1_000_000_000;

const SPLITS: u8 = 0;
const DIVIDENDS: u8 = 1;
const BARS: u8 = 2;

/// Where a list of actions is, and the field that its dates are in.
type List = (&'static str, &'static str);
const SPLIT_LIST: List = ("/v3/reference/splits", "execution_date");
const DIVIDEND_LIST: List = ("/v3/reference/dividends", "ex_dividend_date");

/// Massive's history.
#[derive(Debug)]
pub struct Massive {
    http: Http,
}

#[derive(Deserialize)]
struct Answer<T> {
    results: Option<Vec<T>>,
    next_url: Option<String>,
    status: Option<String>,
    error: Option<String>,
    message: Option<String>,
}

impl<T> Answer<T> {
    /// Whether the plan is late.
    fn is_late(&self) -> bool {
        self.status.as_deref() == Some("DELAYED")
    }
}

#[derive(Deserialize)]
struct Split {
    ticker: String,
    execution_date: NaiveDate,
    split_from: Option<f64>,
    split_to: Option<f64>,
}

#[derive(Deserialize)]
struct Dividend {
    ticker: String,
    cash_amount: Option<f64>,
    ex_dividend_date: NaiveDate,
    currency: Option<String>,
}

#[derive(Deserialize)]
struct Aggregate {
    t: i64,
    o: Option<f64>,
    h: Option<f64>,
    l: Option<f64>,
    c: Option<f64>,
    v: Option<f64>,
}

impl Massive {
    /// A client.
    pub fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        Ok(Self { http: Http::new(NAME, config, clock)? })
    }

    /// The rows of the page at `token`, or of the first one, and the link to the next.
    async fn rows<T: DeserializeOwned>(
        &self,
        token: Option<String>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(Vec<T>, Option<String>), VendorError> {
        let answer = self.answer::<T>(token, path, query).await?;
        Ok((answer.results.unwrap_or_default(), answer.next_url))
    }

    /// The page at `token`, or the first one; of the link to the next what is asked of the configured address.
    async fn answer<T: DeserializeOwned>(
        &self,
        token: Option<String>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer<T>, VendorError> {
        let body = match &token {
            Some(token) => self.http.get(token, &[]).await.map_err(of_a_later_page)?,
            None => self.http.get(path, query).await?,
        };
        let mut answer: Answer<T> = wire::decode(&self.http, &body)?;
        let refusal = match answer.status.as_deref() {
            Some("ERROR") => Some(Refusal::Request),
            // Read as an answer without rows it would be a symbol without a history.
            Some("NOT_AUTHORIZED") => Some(Refusal::Credentials),
            _ => None,
        };
        if let Some(kind) = refusal {
            let message = answer.error.or(answer.message).unwrap_or_else(|| "no explanation".to_owned());
            return Err(self.http.refused(kind, &message));
        }
        if let Some(url) = answer.next_url.take() {
            let local = path_and_query(&url).filter(|local| Some(*local) != token.as_deref());
            let local = local.ok_or_else(|| self.http.broken(format!("next_url: {url:?} leads nowhere")))?;
            answer.next_url = Some(local.to_owned());
        }
        Ok(answer)
    }

    /// A page of a list of the actions that are wanted: of a symbol or, without one, of all that there are.
    async fn action_rows<T: DeserializeOwned>(
        &self,
        (path, date): List,
        symbol: Option<&str>,
        ask: &Ask,
        token: Option<String>,
    ) -> Result<(Vec<T>, Option<String>), VendorError> {
        let dates = wire::dates(ask);
        let (first, last) = (dates.start().to_string(), dates.end().to_string());
        let (from, to) = (format!("{date}.gte"), format!("{date}.lte"));
        let mut query = vec![
            (from.as_str(), first.as_str()),
            (to.as_str(), last.as_str()),
            ("limit", "1000"),
            ("order", "asc"),
            ("sort", date),
        ];
        query.extend(symbol.map(|symbol| ("ticker", symbol)));
        self.rows(token, path, &query).await
    }

    fn split(&self, row: &Split) -> Result<Action, VendorError> {
        let missing = |field: &str| self.http.broken(format!("splits.{field}: missing, {}", row.ticker));
        let old = row.split_from.ok_or_else(|| missing("split_from"))?;
        let new = row.split_to.ok_or_else(|| missing("split_to"))?;
        let value_e9 = wire::ratio_e9(new, old)
            .ok_or_else(|| self.http.broken(format!("splits: {new} new for {old} old shares")))?;
        Ok(Action { ex_date: row.execution_date, kind: ActionKind::Split, value_e9 })
    }

    /// A dividend; the inner error is one in another currency than dollars.
    fn dividend(&self, row: &Dividend) -> Result<Result<Action, Unapplied>, VendorError> {
        let ex_date = row.ex_dividend_date;
        let missing = || self.http.broken(format!("dividends.cash_amount: missing, {}", row.ticker));
        let amount = row.cash_amount.ok_or_else(missing)?;
        let cash = wire::price(amount)
            .ok_or_else(|| self.http.broken(format!("dividends.cash_amount: {amount}")))?;
        let other = row.currency.as_ref().filter(|currency| !currency.eq_ignore_ascii_case("USD"));
        Ok(match other {
            None => Ok(Action { ex_date, kind: ActionKind::Dividend, value_e9: cash.0 }),
            Some(currency) => {
                let ticker = &row.ticker;
                let words = format!("dividend of {ticker} on {ex_date}: {cash} {currency}, expected dollars");
                Err(Unapplied { date: ex_date, words })
            }
        })
    }

    async fn splits(&self, ask: &Ask, token: Option<String>) -> Result<Page, VendorError> {
        let symbol = Some(ask.symbol.as_str());
        let (rows, next) = self.action_rows::<Split>(SPLIT_LIST, symbol, ask, token).await?;
        let actions: Result<Vec<Action>, VendorError> = rows.iter().map(|row| self.split(row)).collect();
        Ok(Page {
            actions: wire::of_span(actions?, ask),
            next: then(SPLITS, next, Some(DIVIDENDS)),
            ..Page::default()
        })
    }

    async fn dividends(&self, ask: &Ask, token: Option<String>) -> Result<Page, VendorError> {
        let symbol = Some(ask.symbol.as_str());
        let (rows, next) = self.action_rows::<Dividend>(DIVIDEND_LIST, symbol, ask, token).await?;
        let (mut actions, mut unapplied) = (Vec::new(), Vec::new());
        for row in &rows {
            match self.dividend(row)? {
                Ok(action) => actions.push(action),
                Err(other) => unapplied.extend(wire::is_of_span(other.date, ask).then_some(other)),
            }
        }
        Ok(Page {
            actions: wire::of_span(actions, ask),
            unapplied,
            next: then(DIVIDENDS, next, ask.bars.then_some(BARS)),
            ..Page::default()
        })
    }

    /// A page of bars, and whether the plan is late.
    async fn bars(&self, ask: &Ask, token: Option<String>, now_ns: i64) -> Result<(Page, bool), VendorError> {
        let (multiplier, span) = interval(ask.timeframe);
        // The vendor counts both ends in.
        let (from, to) = (ask.from_ns / MS, ask.to_ns / MS - 1);
        let path = format!("/v2/aggs/ticker/{}/range/{multiplier}/{span}/{from}/{to}", ask.symbol);
        ask.adjusted(NAME, &[Adjustment::Raw, Adjustment::Split])?;
        let adjusted = if ask.adjustment == Adjustment::Split { "true" } else { "false" };
        let query = [("adjusted", adjusted), ("sort", "asc"), ("limit", "50000")];
        let answer = self.answer::<Aggregate>(token, &path, &query).await?;
        let (late, next) = (answer.is_late(), answer.next_url);
        let rows = answer.results.unwrap_or_default();
        let bars: Result<Vec<Quoted>, VendorError> =
            rows.iter().filter_map(|row| self.quoted(row).transpose()).collect();
        let bars = bars?;
        let mut skipped = Skipped { empty: (rows.len() - bars.len()) as u64, ..Skipped::default() };
        let bars = wire::sift(bars, ask, known_ns(now_ns, late), &mut skipped);
        let next = next.map(|token| Cursor { step: BARS, token: Some(token) });
        Ok((Page { bars, skipped, next, ..Page::default() }, late))
    }

    /// A row as a bar; `None` for one without a price or a volume.
    fn quoted(&self, row: &Aggregate) -> Result<Option<Quoted>, VendorError> {
        let (Some(open), Some(high), Some(low), Some(close), Some(volume)) =
            (row.o, row.h, row.l, row.c, row.v)
        else {
            return Ok(None);
        };
        let broken =
            |field: &str, value: f64| self.http.broken(format!("results.{field}: {value} at {}", row.t));
        let price = |field: &str, value: f64| wire::price(value).ok_or_else(|| broken(field, value));
        Ok(Some(Quoted {
            start_ns: row.t.saturating_mul(MS),
            open: price("o", open)?,
            high: price("h", high)?,
            low: price("l", low)?,
            close: price("c", close)?,
            volume: wire::volume(volume).ok_or_else(|| broken("v", volume))?,
        }))
    }
}

/// Up to when everything is told.
const fn known_ns(now_ns: i64, late: bool) -> i64 {
    if late { now_ns.saturating_sub(LATE_NS) } else { now_ns }
}

/// What is asked for exists, for it has a first page: that a later one is not found says nothing of the symbol.
fn of_a_later_page(error: VendorError) -> VendorError {
    match error {
        VendorError::Refused { vendor, status, kind: Refusal::Unknown, message } => {
            let message = format!("a later page: {message}");
            VendorError::Refused { vendor, status, kind: Refusal::Request, message }
        }
        other => other,
    }
}

/// Path and query of an address, whatever its host.
fn path_and_query(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.find('/').map(|at| &rest[at..])
}

/// The next page of a list, or the list after it.
fn then(step: u8, token: Option<String>, after: Option<u8>) -> Option<Cursor> {
    let step = if token.is_some() { Some(step) } else { after };
    step.map(|step| Cursor { step, token })
}

const fn interval(timeframe: Timeframe) -> (u32, &'static str) {
    match timeframe {
        Timeframe::M1 => (1, "minute"),
        Timeframe::M5 => (5, "minute"),
        Timeframe::M15 => (15, "minute"),
        Timeframe::M30 => (30, "minute"),
        Timeframe::H1 => (1, "hour"),
        Timeframe::D1 => (1, "day"),
    }
}

#[async_trait]
impl HistoricalBars for Massive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offer(&self, _timeframe: Timeframe) -> Offer {
        Offer::Everything
    }

    async fn page(&self, ask: &Ask, cursor: Cursor, now_ns: i64) -> Result<Page, VendorError> {
        match cursor.step {
            SPLITS => self.splits(ask, cursor.token).await,
            DIVIDENDS => self.dividends(ask, cursor.token).await,
            _ => self.bars(ask, cursor.token, now_ns).await.map(|(page, _)| page),
        }
    }

    fn by_date(&self) -> Option<&dyn BarsByDate> {
        Some(self)
    }
}

#[async_trait]
impl RecentMinutes for Massive {
    /// What the stream of a late plan missed is older by as much; that a plan is late its answer tells.
    async fn minutes(
        &self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Vec<(String, Quoted)>, VendorError> {
        let mut found = Vec::new();
        for symbol in symbols.iter().filter(|_| from_ns < to_ns) {
            let ask = Ask::minutes(symbol, from_ns.saturating_sub(LATE_NS), to_ns);
            let mut next = Some(None);
            while let Some(token) = next {
                let (page, late) = self.bars(&ask, token, now_ns).await?;
                let wanted = page.bars.into_iter().filter(|bar| late || bar.start_ns >= from_ns);
                found.extend(wanted.map(|bar| (symbol.clone(), bar)));
                next = page.next.map(|cursor| cursor.token);
            }
        }
        Ok(found)
    }

    fn paused_for(&self) -> Option<Duration> {
        self.http.paused_for()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_link_only_path_and_query_count() {
        assert_eq!(path_and_query("https://elsewhere.example/v2/x?cursor=1"), Some("/v2/x?cursor=1"));
        assert_eq!(path_and_query("https://elsewhere.example"), None);
        assert_eq!(path_and_query("/v2/x"), None);
    }
}
