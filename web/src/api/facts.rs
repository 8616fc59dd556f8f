//! Facts about symbols: corporate actions, findings about the data.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{Days, NaiveDate};
use projections::queries::{self, ActionRow, QualityRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, Field, Fields, Kind, field};
use super::paging::{LIMIT, LIMIT_MAX, Listing, cursor, place};
use super::{Problem, Problems};
use crate::app::App;
use crate::pages::Params;
use crate::pages::chart::symbol;

/// Which corporate actions.
#[derive(Debug)]
pub struct ActionFields;

impl Fields for ActionFields {
    const FIELDS: &'static [Field] = &[
        field("symbol", Kind::Symbol, "Symbol; by default all"),
        field("from", Kind::Date, "First ex-date"),
        field("to", Kind::Date, "Last ex-date"),
        field("limit", Kind::Whole(1, 200), "Actions of the part; 50 when it does not say"),
        field("cursor", Kind::Id(32), "The `next` of an earlier answer"),
    ];
}

/// A split or a dividend.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionItem {
    /// Symbol.
    symbol: String,
    /// First date, in exchange time, on which the shares trade without the old right.
    ex_date: String,
    /// `split` or `dividend`.
    kind: String,
    /// Split: new shares per old share. Dividend: US dollars per share. A decimal.
    value: String,
    /// `live`, `rehearsal`, `import` or `backfill`.
    origin: String,
    /// Sequence in MARKET.
    sequence: u64,
    /// Event id.
    event_id: String,
}

/// Splits and dividends, the newest ex-date first.
#[utoipa::path(get, path = "/api/v1/corporate-actions", tag = "market", operation_id = "list_corporate_actions",
    params(Asked<ActionFields>), responses((status = 200, body = Listing<ActionItem>), Problems))]
pub async fn corporate_actions(
    State(app): State<Arc<App>>,
    asked: Asked<ActionFields>,
) -> Result<Json<Listing<ActionItem>>, Problem> {
    let symbol = asked.get("symbol").map(symbol).transpose()?;
    let from = date(&asked, "from").unwrap_or(FIRST);
    let to = date(&asked, "to").unwrap_or(LAST);
    let after = from.checked_sub_days(Days::new(1)).unwrap_or(from).to_string();
    let rows =
        queries::actions_between(&app.config.pool, symbol.as_deref(), &after, &to.to_string(), u64::MAX)
            .await;
    let mut rows = rows?;
    // Counted from the oldest one, a place stays where it is when newer ones come.
    let until = place(asked.get("cursor"))?.and_then(|place| usize::try_from(place).ok());
    rows.truncate(until.unwrap_or(usize::MAX));
    let left = rows
        .len()
        .saturating_sub(usize::try_from(asked.number("limit", LIMIT, LIMIT_MAX)?).unwrap_or_default());
    let next = (left > 0).then(|| cursor(u64::try_from(left).unwrap_or_default()));
    Ok(Json(Listing { items: rows.drain(left..).rev().map(ActionItem::of).collect(), next }))
}

/// Dates that Postgres and the fields of filters both can say.
const FIRST: NaiveDate = day(1, 1, 2);
const LAST: NaiveDate = day(9999, 12, 31);

const fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => panic!("not a date"),
    }
}

/// A date that was checked, as near as can be asked for.
fn date(asked: &Params, name: &str) -> Option<NaiveDate> {
    asked.get(name).and_then(|text| text.parse().ok()).map(|date: NaiveDate| date.clamp(FIRST, LAST))
}

impl ActionItem {
    fn of(row: ActionRow) -> Self {
        Self {
            value: row.value.to_string(),
            symbol: row.symbol,
            ex_date: row.ex_date,
            kind: row.kind,
            origin: row.origin,
            sequence: row.sequence,
            event_id: row.event_id,
        }
    }
}

/// Which findings.
#[derive(Debug)]
pub struct FindingFields;

impl Fields for FindingFields {
    const FIELDS: &'static [Field] = &[
        field("symbol", Kind::Symbol, "Symbol; by default all"),
        field("limit", Kind::Whole(1, 200), "Findings of the part; 50 when it does not say"),
        field("cursor", Kind::Id(32), "The `next` of an earlier answer"),
    ];
}

/// Something that was found about the data.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingItem {
    /// Symbol.
    symbol: String,
    /// Rule that found it.
    rule: String,
    /// `info`, `warning` or `error`.
    severity: String,
    /// Timeframe of the bar concerned; empty when there is none.
    timeframe: String,
    /// Start of the bar concerned, UTC nanoseconds.
    bar_start_ns: Option<i64>,
    /// The finding in words.
    detail: String,
    /// What was measured, as a decimal; empty where nothing was.
    found: String,
    /// What was expected.
    expected: String,
    /// The source whose bar stands, where that of another one was held against it.
    authority: String,
    /// Event time, UTC nanoseconds.
    event_time_ns: i64,
    /// Sequence in MARKET.
    sequence: u64,
}

/// Findings about the data, newest first.
#[utoipa::path(get, path = "/api/v1/findings", tag = "market", operation_id = "list_findings",
    params(Asked<FindingFields>), responses((status = 200, body = Listing<FindingItem>), Problems))]
pub async fn findings(
    State(app): State<Arc<App>>,
    asked: Asked<FindingFields>,
) -> Result<Json<Listing<FindingItem>>, Problem> {
    let symbol = asked.get("symbol").map(symbol).transpose()?;
    let (before, limit) = (place(asked.get("cursor"))?, asked.number("limit", LIMIT, LIMIT_MAX)?);
    let page = queries::quality(&app.config.pool, symbol.as_deref(), before, limit).await?;
    let items = page.rows.into_iter().map(FindingItem::of).collect();
    Ok(Json(Listing { items, next: page.next.map(cursor) }))
}

impl FindingItem {
    fn of(row: QualityRow) -> Self {
        Self {
            symbol: row.symbol,
            rule: row.rule,
            severity: row.severity,
            timeframe: row.timeframe,
            bar_start_ns: row.bar_start_ns,
            detail: row.detail,
            found: row.found,
            expected: row.expected,
            authority: row.authority,
            event_time_ns: row.event_time_ns,
            sequence: row.sequence,
        }
    }
}
