//! Alpaca's market data: raw bars by pages of ten thousand, and corporate actions, of up to a hundred symbols at once.
//!
//! Without a subscription the newest quarter of an hour is refused, so that it is never asked for. Bars of hours
//! and less run on the clock and outside of the session too: the one from 9:00 to 10:00 in New York holds half an
//! hour before the open.
//!
//! Deliberately absent: mergers, spin-offs, dividends in shares; adjusted prices.

mod assets;
mod at;
mod news;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, SecondsFormat};
use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::error::VendorError;
use crate::http::{Http, HttpConfig};
use crate::live::RecentMinutes;
use crate::port::{
    Action, Ask, BarsOfMany, Cursor, HistoricalBars, Offer, Page, PageOfMany, Quoted, Skipped,
};
use crate::wire;

pub use assets::AlpacaAssets;
pub(crate) use at::At;
pub(crate) use news::Article;

pub(crate) const NAME: &str = "alpaca";
/// What is too new without a subscription, with a minute to spare.
const TOO_NEW_NS: i64 = 16 * 60 * 1_000_000_000;
/// How long after its ex-date an action may be processed.
const PROCESSED_WITHIN: Days = Days::new(180);

/// Symbols in one question.
const SYMBOLS_MAX: usize = 100;

const ACTIONS: u8 = 0;
const BARS: u8 = 1;

/// Alpaca's market data.
#[derive(Debug)]
pub struct Alpaca {
    http: Http,
    feed: String,
}

type Minutes = Vec<(String, Quoted)>;
type Rows = Vec<(String, Vec<Bar>)>;

#[derive(Deserialize)]
struct BarsAnswer {
    bars: Option<BTreeMap<String, Option<Vec<Bar>>>>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Bar {
    t: String,
    o: Option<f64>,
    h: Option<f64>,
    l: Option<f64>,
    c: Option<f64>,
    v: Option<f64>,
}

#[derive(Deserialize)]
struct ActionsAnswer {
    corporate_actions: Option<Actions>,
    next_page_token: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Actions {
    cash_dividends: Option<Vec<Dividend>>,
    forward_splits: Option<Vec<Split>>,
    reverse_splits: Option<Vec<Split>>,
}

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
    /// A client; `feed` is `sip`, `iex`, `otc` or `boats`.
    pub fn new(
        config: HttpConfig,
        feed: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VendorError> {
        Ok(Self { http: Http::new(NAME, config, clock)?, feed: feed.into() })
    }

    async fn actions(
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
            ("types", "forward_split,reverse_split,cash_dividend"),
            ("start", &start),
            ("end", &end),
            ("limit", "1000"),
            ("sort", "asc"),
        ];
        query.extend(token.as_deref().map(|token| ("page_token", token)));
        let body = self.http.get("/v1/corporate-actions", &query).await?;
        let answer: ActionsAnswer = wire::decode(&self.http, &body)?;
        let found = answer.corporate_actions.unwrap_or_default();
        let mut actions: BTreeMap<&String, Vec<Action>> = BTreeMap::new();
        for split in found.forward_splits.into_iter().chain(found.reverse_splits).flatten() {
            let named = [split.symbol.as_deref(), split.new_symbol.as_deref()];
            let Some(symbol) = among(symbols, named) else { continue };
            let (new, old) = (split.new_rate, split.old_rate);
            let value_e9 = wire::ratio_e9(new, old)
                .ok_or_else(|| self.http.broken(format!("splits: {new} new for {old} old shares")))?;
            let action = Action { ex_date: split.ex_date, kind: ActionKind::Split, value_e9 };
            actions.entry(symbol).or_default().push(action);
        }
        for dividend in found.cash_dividends.into_iter().flatten() {
            let Some(symbol) = among(symbols, [dividend.symbol.as_deref(), None]) else { continue };
            let rate = wire::price(dividend.rate)
                .ok_or_else(|| self.http.broken(format!("cash_dividends.rate: {}", dividend.rate)))?;
            let action = Action { ex_date: dividend.ex_date, kind: ActionKind::Dividend, value_e9: rate.0 };
            actions.entry(symbol).or_default().push(action);
        }
        let next = match answer.next_page_token {
            Some(next) => Some(Cursor { step: ACTIONS, token: Some(self.further(token.as_deref(), next)?) }),
            None => ask.bars.then_some(Cursor { step: BARS, token: None }),
        };
        let actions = actions.into_iter().flat_map(|(symbol, actions)| {
            wire::of_span(actions, ask).into_iter().map(move |action| (symbol.clone(), action))
        });
        Ok(PageOfMany { actions: actions.collect(), next, ..PageOfMany::default() })
    }

    async fn bars(
        &self,
        symbols: &[String],
        ask: &Ask,
        token: Option<String>,
        now_ns: i64,
    ) -> Result<PageOfMany, VendorError> {
        let known_ns = if self.feed == "sip" { now_ns - TOO_NEW_NS } else { now_ns };
        // The vendor counts the end in.
        let end_ns = (ask.to_ns - 1).min(known_ns);
        if end_ns < ask.from_ns {
            return Ok(PageOfMany::default());
        }
        let (told, next) = self.told(symbols, ask, end_ns, token).await?;
        let next = next.map(|token| Cursor { step: BARS, token: Some(token) });
        let mut page = PageOfMany { next, ..PageOfMany::default() };
        for (symbol, found) in told.into_iter().filter(|(symbol, _)| symbols.contains(symbol)) {
            let (bars, empty) = self.quotes(&found)?;
            page.skipped.empty += empty;
            page.bars.push((symbol, wire::sift(bars, ask, known_ns, &mut page.skipped)));
        }
        Ok(page)
    }

    /// The minutes of some symbols, page by page.
    async fn minutes_of(&self, symbols: &[String], ask: &Ask, now_ns: i64) -> Result<Minutes, VendorError> {
        let mut token: Option<String> = None;
        let mut found = Vec::new();
        loop {
            let (told, next) = self.told(symbols, ask, ask.to_ns - 1, token).await?;
            for (symbol, bars) in told {
                let (bars, _) = self.quotes(&bars)?;
                let kept = wire::sift(bars, ask, now_ns, &mut Skipped::default());
                found.extend(kept.into_iter().map(|bar| (symbol.clone(), bar)));
            }
            token = next;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// One answer of bars up to `end_ns`, which is counted in: rows by symbol, and the token of the next page.
    async fn told(
        &self,
        symbols: &[String],
        ask: &Ask,
        end_ns: i64,
        token: Option<String>,
    ) -> Result<(Rows, Option<String>), VendorError> {
        let at = |ns: i64| DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let (joined, start, end) = (symbols.join(","), at(ask.from_ns), at(end_ns));
        let mut query = vec![
            ("symbols", joined.as_str()),
            ("timeframe", interval(ask.timeframe)),
            ("start", &start),
            ("end", &end),
            ("limit", "10000"),
            ("adjustment", "raw"),
            ("feed", &self.feed),
            ("sort", "asc"),
        ];
        query.extend(token.as_deref().map(|token| ("page_token", token)));
        let body = self.http.get("/v2/stocks/bars", &query).await?;
        let answer: BarsAnswer = wire::decode(&self.http, &body)?;
        let next = answer.next_page_token.map(|next| self.further(token.as_deref(), next)).transpose()?;
        let rows = answer.bars.unwrap_or_default().into_iter();
        Ok((rows.map(|(symbol, rows)| (symbol, rows.unwrap_or_default())).collect(), next))
    }

    /// Rows as bars, and how many have no price or no volume.
    fn quotes(&self, rows: &[Bar]) -> Result<(Vec<Quoted>, u64), VendorError> {
        let bars: Result<Vec<Quoted>, VendorError> =
            rows.iter().filter_map(|row| self.quoted(row).transpose()).collect();
        let bars = bars?;
        let empty = (rows.len() - bars.len()) as u64;
        Ok((bars, empty))
    }

    /// The token of the next page, unless it is that of the page at `token` itself.
    fn further(&self, token: Option<&str>, next: String) -> Result<String, VendorError> {
        if token == Some(next.as_str()) {
            return Err(self.http.broken(format!("next_page_token: {next:?} leads nowhere")));
        }
        Ok(next)
    }

    /// A row as a bar; `None` for one without a price or a volume.
    fn quoted(&self, bar: &Bar) -> Result<Option<Quoted>, VendorError> {
        let start = DateTime::parse_from_rfc3339(&bar.t).ok().and_then(|start| start.timestamp_nanos_opt());
        let start_ns = start.ok_or_else(|| self.http.broken(format!("bars.t: {:?} is no time", bar.t)))?;
        let (Some(open), Some(high), Some(low), Some(close), Some(volume)) =
            (bar.o, bar.h, bar.l, bar.c, bar.v)
        else {
            return Ok(None);
        };
        let price = |field: &str, value: f64| {
            wire::price(value).ok_or_else(|| self.http.broken(format!("bars.{field}: {value} at {}", bar.t)))
        };
        Ok(Some(Quoted {
            start_ns,
            open: price("o", open)?,
            high: price("h", high)?,
            low: price("l", low)?,
            close: price("c", close)?,
            volume: wire::volume(volume)
                .ok_or_else(|| self.http.broken(format!("bars.v: {volume} at {}", bar.t)))?,
        }))
    }
}

/// Which of the symbols that were asked for an action is of; what is told of one alone is that one's.
fn among<'a>(symbols: &'a [String], named: [Option<&str>; 2]) -> Option<&'a String> {
    if let [one] = symbols {
        return Some(one);
    }
    named.into_iter().flatten().find_map(|name| symbols.iter().find(|symbol| symbol.as_str() == name))
}

const fn interval(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1Min",
        Timeframe::M5 => "5Min",
        Timeframe::M15 => "15Min",
        Timeframe::M30 => "30Min",
        Timeframe::H1 => "1Hour",
        Timeframe::D1 => "1Day",
    }
}

#[async_trait]
impl HistoricalBars for Alpaca {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offer(&self, _timeframe: Timeframe) -> Offer {
        Offer::Everything
    }

    async fn page(&self, ask: &Ask, cursor: Cursor, now_ns: i64) -> Result<Page, VendorError> {
        let symbols = std::slice::from_ref(&ask.symbol);
        let PageOfMany { bars, actions, skipped, next } = self.page_of(symbols, ask, cursor, now_ns).await?;
        let bars = bars.into_iter().flat_map(|(_, bars)| bars).collect();
        let actions = actions.into_iter().map(|(_, action)| action).collect();
        Ok(Page { bars, actions, skipped, next })
    }

    fn of_many(&self) -> Option<&dyn BarsOfMany> {
        Some(self)
    }
}

#[async_trait]
impl BarsOfMany for Alpaca {
    fn symbols_max(&self) -> usize {
        SYMBOLS_MAX
    }

    async fn page_of(
        &self,
        symbols: &[String],
        ask: &Ask,
        cursor: Cursor,
        now_ns: i64,
    ) -> Result<PageOfMany, VendorError> {
        match cursor.step {
            ACTIONS => self.actions(symbols, ask, cursor.token).await,
            _ => self.bars(symbols, ask, cursor.token, now_ns).await,
        }
    }
}

#[async_trait]
impl RecentMinutes for Alpaca {
    /// A stream of this feed is a subscription to it: the newest quarter of an hour is asked for too.
    async fn minutes(
        &self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Minutes, VendorError> {
        let ask = Ask::minutes("", from_ns, to_ns);
        let mut found = Vec::new();
        for symbols in symbols.chunks(SYMBOLS_MAX).filter(|_| from_ns < to_ns) {
            found.extend(self.minutes_of(symbols, &ask, now_ns).await?);
        }
        Ok(found)
    }

    fn paused_for(&self) -> Option<Duration> {
        self.http.paused_for()
    }
}
