//! Massive's days: the raw bars of every symbol on a date in one answer.
//!
//! Invariants: a day is the one that the aggregates of its symbol tell: its start is that of its date, though the vendor
//! stamps these rows with the close; what is traded over the counter is asked for too. A row of a symbol that is not
//! wanted is not looked at. Deliberately absent: splits and dividends, which stay by symbol.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use serde::Deserialize;

use super::{Aggregate, MS, Massive};
use crate::error::VendorError;
use crate::port::{Ask, BarsByDate, Day, Quoted};
use crate::wire;

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "T")]
    symbol: String,
    t: i64,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: f64,
}

impl Massive {
    /// A row as a bar of `date`.
    fn bar_of(&self, date: NaiveDate, row: &Row) -> Result<Quoted, VendorError> {
        let calendar = Calendar::xnys();
        let stamped = calendar.date_of(row.t.saturating_mul(MS));
        if stamped != date {
            let what = format!("results.t: {stamped} among the bars of {date}, {}", row.symbol);
            return Err(self.http.broken(what));
        }
        let aggregate = Aggregate { t: row.t, o: row.o, h: row.h, l: row.l, c: row.c, v: row.v };
        Ok(Quoted { start_ns: calendar.start_of(date), ..self.quoted(&aggregate)? })
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
            let (rows, further) = self.rows::<Row>(token, &path, &query).await?;
            for row in rows.into_iter().filter(|row| wanted.contains(&row.symbol)) {
                let bar = self.bar_of(date, &row)?;
                let kept = wire::sift(vec![bar], &ask, now_ns, &mut day.skipped);
                day.bars.extend(kept.into_iter().map(|bar| (row.symbol.clone(), bar)));
            }
            next = further.map(Some);
        }
        Ok(day)
    }
}
