//! Alpaca's market data: bars, raw or adjusted as is wanted, by pages of ten thousand, and corporate actions, of up to a hundred symbols at once.
//!
//! Without a subscription the newest quarter of an hour is refused, so that it is never asked for. Bars of hours
//! and less run on the clock and outside of the session too: the one from 9:00 to 10:00 in New York holds half an
//! hour before the open.
//!
//! Deliberately absent: mergers, spin-offs and whatever else is neither a split nor a dividend, of which it is said that
//! there is one.

mod actions;
mod assets;
mod at;
mod news;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat};
use domain::bar::Timeframe;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::error::VendorError;
use crate::http::{Http, HttpConfig};
use crate::live::RecentMinutes;
use crate::port::{Ask, BarsOfMany, Cursor, HistoricalBars, Offer, Page, PageOfMany, Quoted, Skipped};
use crate::wire;

pub use assets::AlpacaAssets;
pub(crate) use at::At;
pub(crate) use news::Article;

pub(crate) const NAME: &str = "alpaca";
/// What is too new without a subscription, with a minute to spare.
const TOO_NEW_NS: i64 = 16 * 60 * 1_000_000_000;

/// Symbols in one question.
const SYMBOLS_MAX: usize = 100;

const ACTIONS: u8 = 0;
const BARS: u8 = 1;

/// Alpaca's market data.
#[derive(Debug)]
pub struct Alpaca {
    http: Http,
    feed: String,
    /// Whether the stream beside it is late by design.
    late: bool,
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

impl Alpaca {
    /// A client; `feed` is `sip`, `iex`, `otc` or `boats`; or `delayed_sip`, which is `sip` without a subscription to it:
    /// not even minutes that the stream missed are asked for before they are free.
    pub fn new(
        config: HttpConfig,
        feed: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VendorError> {
        let feed: String = feed.into();
        let late = feed == "delayed_sip";
        let feed = if late { "sip".to_owned() } else { feed };
        Ok(Self { http: Http::new(NAME, config, clock)?, feed, late })
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
            ("adjustment", ask.adjustment.name()),
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
        let PageOfMany { bars, actions, unapplied, skipped, next } =
            self.page_of(symbols, ask, cursor, now_ns).await?;
        let bars = bars.into_iter().flat_map(|(_, bars)| bars).collect();
        let actions = actions.into_iter().map(|(_, action)| action).collect();
        let unapplied = unapplied.into_iter().map(|(_, told)| told).collect();
        Ok(Page { bars, actions, unapplied, skipped, next })
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
    /// A stream of this feed is a subscription to it: the newest quarter of an hour is asked for too. One that is late by
    /// design is none: whatever it tells, or missed, is older by as much as what is not free yet, and so is what is asked.
    async fn minutes(
        &self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Minutes, VendorError> {
        let behind_ns = if self.late { TOO_NEW_NS } else { 0 };
        let (from_ns, to_ns) = (from_ns - behind_ns, to_ns.min(now_ns) - behind_ns);
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
