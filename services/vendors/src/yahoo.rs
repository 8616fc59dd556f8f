//! Yahoo's charts, which nobody documents; they need neither cookie nor crumb.
//!
//! A chart's prices, volumes and dividends are in the terms after every split that has been. The answer that holds
//! them holds the splits too, up to now, so that each value goes back into the terms of its own day. Prices are sent
//! in single precision; they are rounded to the tick, a cent from one dollar on and a hundredth of a cent below.
//!
//! Deliberately absent: prices outside of regular hours, half hours (asked for them, Yahoo gives hours), and
//! `adjclose`, which is restated with every dividend.

mod company;
mod consent;
mod crumb;
mod modules;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use domain::money::{Price, Volume};
use serde::Deserialize;

use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::{Http, HttpConfig};
use crate::port::{Action, Adjustment, Ask, Cursor, HistoricalBars, Offer, Page, Quoted, Skipped, Unapplied};
use crate::wire;

pub use company::YahooCompany;
pub use consent::ConsentPages;

const NAME: &str = "yahoo";
const SECOND: i64 = 1_000_000_000;

/// Yahoo's charts.
#[derive(Debug)]
pub struct Yahoo {
    http: Http,
}

#[derive(Deserialize)]
struct Answer {
    chart: Option<Chart>,
}

#[derive(Deserialize)]
struct Chart {
    result: Option<Vec<Drawn>>,
    error: Option<Problem>,
}

/// What is wrong, in Yahoo's words.
#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
    description: Option<String>,
}

impl Problem {
    /// As a refusal that came with a status which says success.
    fn refusal(self) -> VendorError {
        let unknown = self.code.is_none_or(|code| code == "Not Found");
        VendorError::Refused {
            vendor: NAME,
            status: 200,
            kind: if unknown { Refusal::Unknown } else { Refusal::Request },
            message: self.description.unwrap_or_else(|| "no explanation".to_owned()),
        }
    }
}

#[derive(Deserialize)]
struct Drawn {
    timestamp: Option<Vec<i64>>,
    events: Option<Events>,
    indicators: Option<Indicators>,
}

#[derive(Deserialize, Default)]
struct Events {
    dividends: Option<BTreeMap<String, Dividend>>,
    /// What a fund pays out of what it has gained.
    #[serde(rename = "capitalGains")]
    capital_gains: Option<BTreeMap<String, Dividend>>,
    splits: Option<BTreeMap<String, Split>>,
}

#[derive(Deserialize)]
struct Dividend {
    amount: Option<f64>,
    date: Option<i64>,
}

#[derive(Deserialize)]
struct Split {
    date: Option<i64>,
    numerator: Option<f64>,
    denominator: Option<f64>,
}

#[derive(Deserialize)]
struct Indicators {
    quote: Option<Vec<Columns>>,
}

#[derive(Deserialize, Default)]
struct Columns {
    open: Option<Vec<Option<f64>>>,
    high: Option<Vec<Option<f64>>>,
    low: Option<Vec<Option<f64>>>,
    close: Option<Vec<Option<f64>>>,
    volume: Option<Vec<Option<f64>>>,
}

/// A split as what it does to what came before.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    ex_date: NaiveDate,
    new: f64,
    old: f64,
}

impl Yahoo {
    /// A client.
    pub fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        Ok(Self { http: Http::new(NAME, config, clock)? })
    }

    fn read(&self, drawn: Drawn, ask: &Ask, now_ns: i64) -> Result<Page, VendorError> {
        let events = drawn.events.unwrap_or_default();
        let ratios = self.ratios(events.splits.unwrap_or_default())?;
        let mut actions: Vec<Action> = Vec::new();
        for ratio in &ratios {
            let value_e9 = wire::ratio_e9(ratio.new, ratio.old)
                .ok_or_else(|| self.http.broken(format!("events.splits: {} to {}", ratio.new, ratio.old)))?;
            actions.push(Action { ex_date: ratio.ex_date, kind: ActionKind::Split, value_e9 });
        }
        for dividend in events.dividends.unwrap_or_default().values() {
            actions.push(self.paid("dividends", dividend, &ratios)?);
        }
        let mut unapplied = Vec::new();
        for gain in events.capital_gains.unwrap_or_default().values() {
            let gain = self.paid("capitalGains", gain, &ratios)?;
            let (ex_date, cash) = (gain.ex_date, Price(gain.value_e9));
            let of_date = |paid: &&Action| paid.kind == ActionKind::Dividend && paid.ex_date == ex_date;
            let paid = actions.iter().filter(of_date).map(|paid| paid.value_e9);
            let dividend = Price(paid.fold(0, i64::saturating_add));
            if dividend < cash {
                // To whoever holds the fund it is cash of the ex-date, by which the price falls, as a dividend is.
                actions.push(gain);
                continue;
            }
            // Of some funds Yahoo's dividend holds the gain already, and says nothing of it.
            let (symbol, may) = (&ask.symbol, "may hold it already: it is not paid beside that");
            let words =
                format!("capital gain of {symbol} on {ex_date}: {cash}, the dividend of {dividend} {may}");
            let other = Unapplied { date: ex_date, words };
            unapplied.extend(wire::is_of_span(ex_date, ask).then_some(other));
        }
        let columns = drawn.indicators.and_then(|indicators| indicators.quote).unwrap_or_default();
        let columns = columns.into_iter().next().unwrap_or_default();
        let mut skipped = Skipped::default();
        let bars = self.bars(&drawn.timestamp.unwrap_or_default(), &columns, &ratios, &mut skipped)?;
        let bars = wire::sift(bars, ask, now_ns, &mut skipped);
        Ok(Page { bars, actions: wire::of_span(actions, ask), unapplied, skipped, next: None })
    }

    /// What is paid of a share, from one of the lists of events, in the terms of its day.
    fn paid(&self, list: &str, row: &Dividend, ratios: &[Ratio]) -> Result<Action, VendorError> {
        let (Some(amount), Some(date)) = (row.amount, row.date) else {
            return Err(self.http.broken(format!("events.{list}: an amount and a date expected")));
        };
        let ex_date = Calendar::xnys().date_of(date.saturating_mul(SECOND));
        let (new, old) = later(ratios, ex_date);
        // A millionth of a dollar is finer than any dividend is stated, and coarser than the noise.
        let raw = (amount * new / old * 1e6).round() / 1e6;
        let value_e9 =
            wire::price(raw).ok_or_else(|| self.http.broken(format!("events.{list}: amount {amount}")))?.0;
        Ok(Action { ex_date, kind: ActionKind::Dividend, value_e9 })
    }

    fn ratios(&self, splits: BTreeMap<String, Split>) -> Result<Vec<Ratio>, VendorError> {
        let read = splits.into_values().map(|split| match (split.date, split.numerator, split.denominator) {
            (Some(date), Some(new), Some(old)) if new > 0.0 && old > 0.0 => {
                Ok(Ratio { ex_date: Calendar::xnys().date_of(date.saturating_mul(SECOND)), new, old })
            }
            _ => {
                Err(self.http.broken("events.splits: a date, a numerator and a denominator expected".into()))
            }
        });
        read.collect()
    }

    fn bars(
        &self,
        stamps: &[i64],
        columns: &Columns,
        ratios: &[Ratio],
        skipped: &mut Skipped,
    ) -> Result<Vec<Quoted>, VendorError> {
        let column = |name: &str, cells: &Option<Vec<Option<f64>>>| match cells {
            Some(cells) if cells.len() == stamps.len() => Ok(cells.clone()),
            None if stamps.is_empty() => Ok(Vec::new()),
            cells => {
                let count = cells.as_ref().map_or(0, Vec::len);
                let what = format!("indicators.quote.{name}: {count} cells for {} times", stamps.len());
                Err(self.http.broken(what))
            }
        };
        let open = column("open", &columns.open)?;
        let high = column("high", &columns.high)?;
        let low = column("low", &columns.low)?;
        let close = column("close", &columns.close)?;
        let volume = column("volume", &columns.volume)?;
        let mut bars = Vec::with_capacity(stamps.len());
        for (index, stamp) in stamps.iter().enumerate() {
            let (Some(open), Some(high), Some(low), Some(close), Some(volume)) =
                (open[index], high[index], low[index], close[index], volume[index])
            else {
                skipped.empty += 1;
                continue;
            };
            let start_ns = stamp.saturating_mul(SECOND);
            let (new, old) = later(ratios, Calendar::xnys().date_of(start_ns));
            bars.push(Quoted {
                start_ns,
                open: on_tick(open * new / old),
                high: on_tick(high * new / old),
                low: on_tick(low * new / old),
                close: on_tick(close * new / old),
                volume: whole(volume * old / new),
            });
        }
        Ok(bars)
    }
}

/// New and old shares of all splits after a date.
fn later(ratios: &[Ratio], date: NaiveDate) -> (f64, f64) {
    let after = ratios.iter().filter(|ratio| ratio.ex_date > date);
    after.fold((1.0, 1.0), |(new, old), ratio| (new * ratio.new, old * ratio.old))
}

/// The nearest price at which shares are quoted.
#[expect(clippy::cast_possible_truncation, reason = "a price beyond all prices is refused as a row")]
fn on_tick(price: f64) -> Price {
    let per_dollar: i64 = if price >= 1.0 { 100 } else { 10_000 };
    let ticks = (price * per_dollar as f64).round() as i64;
    Price(ticks.saturating_mul(domain::money::E9 / per_dollar))
}

#[expect(clippy::cast_possible_truncation, reason = "a volume beyond all volumes is refused as a row")]
fn whole(volume: f64) -> Volume {
    Volume((volume.round() as i64).saturating_mul(1_000))
}

const fn interval(timeframe: Timeframe) -> Option<&'static str> {
    match timeframe {
        Timeframe::M1 => Some("1m"),
        Timeframe::M5 => Some("5m"),
        Timeframe::M15 => Some("15m"),
        Timeframe::M30 => None,
        Timeframe::H1 => Some("1h"),
        Timeframe::D1 => Some("1d"),
    }
}

#[async_trait]
impl HistoricalBars for Yahoo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offer(&self, timeframe: Timeframe) -> Offer {
        match timeframe {
            Timeframe::M1 => Offer::Days(7),
            Timeframe::M5 | Timeframe::M15 => Offer::Days(59),
            Timeframe::M30 => Offer::Nothing,
            Timeframe::H1 => Offer::Days(729),
            Timeframe::D1 => Offer::Everything,
        }
    }

    async fn page(&self, ask: &Ask, _cursor: Cursor, now_ns: i64) -> Result<Page, VendorError> {
        let Some(interval) = interval(ask.timeframe) else {
            let (kind, message) = (Refusal::Request, format!("no {} bars", ask.timeframe));
            return Err(VendorError::Refused { vendor: NAME, status: 422, kind, message });
        };
        // Its own terms are turned back into those of each day; others are not asked for.
        ask.adjusted(NAME, &[Adjustment::Raw])?;
        let path = format!("/v8/finance/chart/{}", ask.symbol.replace('.', "-"));
        // Splits after the span restate its prices all the same, so that the answer goes up to now.
        let (from, to) =
            ((ask.actions_from_ns.min(ask.from_ns) / SECOND).to_string(), (now_ns / SECOND + 1).to_string());
        let query = [
            ("interval", interval),
            ("period1", &from),
            ("period2", &to),
            ("events", "div,splits,capitalGains"),
            ("includePrePost", "false"),
        ];
        let body = self.http.get(&path, &query).await?;
        let answer: Answer = wire::decode(&self.http, &body)?;
        let chart = answer.chart.ok_or_else(|| self.http.broken("chart: missing".into()))?;
        if let Some(problem) = chart.error {
            return Err(problem.refusal());
        }
        let drawn = chart.result.unwrap_or_default().into_iter().next();
        let drawn = drawn.ok_or_else(|| self.http.broken("chart.result: empty".into()))?;
        let page = self.read(drawn, ask, now_ns)?;
        // One answer holds both.
        Ok(if ask.bars { page } else { Page { bars: Vec::new(), skipped: Skipped::default(), ..page } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_go_to_the_nearest_tick() {
        assert_eq!(on_tick(f64::from(187.47_f32)), Price(187_470_000_000));
        assert_eq!(on_tick(f64::from(0.421_3_f32)), Price(421_300_000));
        assert_eq!(on_tick(0.999_96), Price(1_000_000_000));
    }
}
