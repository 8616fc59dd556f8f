//! Massive's days: the raw bars of every symbol on a date in one answer, and the lists of splits and dividends of every
//! symbol.
//!
//! Invariants: a day is the one that the aggregates of its symbol tell: its start is that of its date, though the vendor
//! stamps these rows with the close; what is traded over the counter is asked for too. Values of a symbol that is not
//! wanted are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use serde::Deserialize;

use super::{Aggregate, DIVIDEND_LIST, Dividend, MS, Massive, SPLIT_LIST, Split, known_ns};
use crate::error::VendorError;
use crate::port::{Action, ActionsOfMany, Ask, BarsByDate, Day, Quoted};
use crate::wire;

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "T")]
    symbol: String,
    t: i64,
    o: Option<f64>,
    h: Option<f64>,
    l: Option<f64>,
    c: Option<f64>,
    v: Option<f64>,
}

impl Massive {
    /// A row as a bar of `date`; `None` for one without a price or a volume.
    fn bar_of(&self, date: NaiveDate, row: &Row) -> Result<Option<Quoted>, VendorError> {
        let calendar = Calendar::xnys();
        let stamped = calendar.date_of(row.t.saturating_mul(MS));
        if stamped != date {
            let what = format!("results.t: {stamped} among the bars of {date}, {}", row.symbol);
            return Err(self.http.broken(what));
        }
        let aggregate = Aggregate { t: row.t, o: row.o, h: row.h, l: row.l, c: row.c, v: row.v };
        let quoted = self.quoted(&aggregate)?;
        Ok(quoted.map(|quoted| Quoted { start_ns: calendar.start_of(date), ..quoted }))
    }
}

#[async_trait]
impl BarsByDate for Massive {
    async fn day(&self, date: NaiveDate, wanted: &BTreeSet<String>, now_ns: i64) -> Result<Day, VendorError> {
        let calendar = Calendar::xnys();
        let from_ns = calendar.start_of(date);
        let to_ns = date.succ_opt().map_or(from_ns, |next| calendar.start_of(next));
        let ask = Ask { timeframe: Timeframe::D1, ..Ask::minutes("", from_ns, to_ns) };
        let path = format!("/v2/aggs/grouped/locale/us/market/stocks/{date}");
        let query = [("adjusted", "false"), ("include_otc", "true")];
        let (mut day, mut next) = (Day::default(), Some(None));
        while let Some(token) = next {
            let answer = self.answer::<Row>(token, &path, &query).await?;
            let (known_ns, further) = (known_ns(now_ns, answer.is_late()), answer.next_url);
            let rows = answer.results.unwrap_or_default();
            for row in rows.into_iter().filter(|row| wanted.contains(&row.symbol)) {
                let Some(bar) = self.bar_of(date, &row)? else {
                    day.skipped.empty += 1;
                    continue;
                };
                let kept = wire::sift(vec![bar], &ask, known_ns, &mut day.skipped);
                day.bars.extend(kept.into_iter().map(|bar| (row.symbol.clone(), bar)));
            }
            next = further.map(Some);
        }
        Ok(day)
    }

    async fn actions(
        &self,
        wanted: &BTreeSet<String>,
        from_ns: i64,
        to_ns: i64,
    ) -> Result<ActionsOfMany, VendorError> {
        let ask = Ask { timeframe: Timeframe::D1, ..Ask::minutes("", from_ns, to_ns) };
        let mut told = BTreeMap::<String, Vec<Action>>::new();
        let mut unapplied = Vec::new();
        let mut next = Some(None);
        while let Some(token) = next {
            let (rows, further) = self.action_rows::<Split>(SPLIT_LIST, None, &ask, token).await?;
            for row in rows.into_iter().filter(|row| wanted.contains(&row.ticker)) {
                let action = self.split(&row)?;
                told.entry(row.ticker).or_default().push(action);
            }
            next = further.map(Some);
        }
        let mut next = Some(None);
        while let Some(token) = next {
            let (rows, further) = self.action_rows::<Dividend>(DIVIDEND_LIST, None, &ask, token).await?;
            for row in rows.into_iter().filter(|row| wanted.contains(&row.ticker)) {
                match self.dividend(&row)? {
                    Ok(action) => told.entry(row.ticker).or_default().push(action),
                    Err(other) => {
                        unapplied.extend(wire::is_of_span(other.date, &ask).then_some((row.ticker, other)));
                    }
                }
            }
            next = further.map(Some);
        }
        let mut found = ActionsOfMany { unapplied, ..ActionsOfMany::default() };
        for (symbol, actions) in told {
            let actions = wire::of_span(actions, &ask).into_iter();
            found.actions.extend(actions.map(|action| (symbol.clone(), action)));
        }
        Ok(found)
    }
}
