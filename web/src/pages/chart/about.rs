//! What the tape knows about a symbol: key statistics of its bars, corporate actions.

use askama::Template;
use domain::bar::Timeframe;
use domain::key_statistics::KeyStatistics;
use domain::money::Price;
use projections::queries::{self, ActionRow, Series};

use super::{ACTIONS, Fields, STATISTICS, suiting};
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, Signed, count, price, signed_percent, volume};

/// Days before the newest bar that the statistics read: 52 weeks and a long weekend.
const DAYS_READ: i64 = 370;
/// Rows of the lists.
const ROWS: usize = 20;

#[derive(Clone, Debug)]
struct Statistics {
    timeframe: &'static str,
    last: String,
    change: Signed,
    high: String,
    high_date: String,
    low: String,
    low_date: String,
    days: usize,
    average_volume: String,
    volume_sessions: usize,
    bars: String,
    first: Instant,
    newest: Instant,
}

#[derive(Template)]
#[template(path = "chart/statistics.html")]
struct StatisticsPanel {
    v: u64,
    body: Body<Statistics>,
}

#[derive(Clone, Debug)]
struct Action {
    seq: u64,
    ex_date: String,
    kind: String,
    what: String,
}

#[derive(Clone, Debug)]
struct Actions {
    rows: Vec<Action>,
    /// Older ones that are not listed.
    more: usize,
}

#[derive(Template)]
#[template(path = "chart/actions.html")]
struct ActionsPanel<'a> {
    v: u64,
    symbol: &'a str,
    as_of: &'a str,
    body: Body<Actions>,
}

/// Renders the key statistics.
pub async fn statistics(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &STATISTICS, read_statistics(scope)).await;
    StatisticsPanel { v: scope.version, body }.render()
}

async fn read_statistics(scope: &Scope<'_>) -> Result<Option<Statistics>, PageError> {
    let (pool, calendar) = (&scope.app.config.pool, scope.app.config.calendar);
    let Fields { timeframe: shown, known_before_ns: known, .. } = Fields::of(scope.params)?;
    let series = queries::known_series(pool, scope.symbol, known).await?;
    let Some((series, timeframe)) = source(&series, shown) else { return Ok(None) };
    let from_ns = series.last_close_ns.saturating_sub(DAYS_READ * Timeframe::D1.nanos());
    let days = queries::daily_bars(pool, scope.symbol, timeframe, from_ns, calendar, known).await?;
    Ok(KeyStatistics::of(&days, calendar).map(|found| Statistics::of(&found, series, timeframe)))
}

/// The series that the statistics are made of: the one shown, or the daily one where it is as new.
fn source(series: &[Series], shown: Option<Timeframe>) -> Option<(&Series, Timeframe)> {
    let of = |timeframe: Timeframe| {
        let found = series.iter().find(|series| series.timeframe == timeframe.name());
        found.map(|series| (series, timeframe))
    };
    let shown = shown.and_then(of).or_else(|| suiting(series).and_then(of))?;
    let daily = of(Timeframe::D1).filter(|(daily, _)| daily.last_close_ns >= shown.0.last_close_ns);
    Some(daily.unwrap_or(shown))
}

impl Statistics {
    fn of(found: &KeyStatistics, series: &Series, timeframe: Timeframe) -> Self {
        Self {
            timeframe: timeframe.name(),
            last: price(found.last),
            change: signed_percent(found.change.map(|change| change.to_f64())),
            high: price(found.high.0),
            high_date: found.high.1.to_string(),
            low: price(found.low.0),
            low_date: found.low.1.to_string(),
            days: found.days,
            average_volume: found.average_volume.map_or_else(|| "–".to_owned(), volume),
            volume_sessions: found.volume_sessions,
            bars: count(series.bars),
            first: Instant(series.first_close_ns),
            newest: Instant(series.last_close_ns),
        }
    }
}

/// Renders the corporate actions.
pub async fn actions(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &ACTIONS, read_actions(scope)).await;
    let as_of = scope.params.get("as_of").unwrap_or_default();
    ActionsPanel { v: scope.version, symbol: scope.symbol, as_of, body }.render()
}

async fn read_actions(scope: &Scope<'_>) -> Result<Option<Actions>, PageError> {
    let pool = &scope.app.config.pool;
    let until = queries::last_ex_date(Fields::of(scope.params)?.known_before_ns);
    let rows = queries::actions_between(pool, Some(scope.symbol), FIRST_DATE, &until, u64::MAX).await?;
    let more = rows.len().saturating_sub(ROWS);
    let rows: Vec<Action> = rows.iter().rev().take(ROWS).map(Action::of).collect();
    Ok((!rows.is_empty()).then_some(Actions { rows, more }))
}

/// Before every ex-date.
const FIRST_DATE: &str = "0001-01-01";

impl Action {
    fn of(row: &ActionRow) -> Self {
        let what =
            if row.kind == "split" { ratio(row.value) } else { format!("{} per share", price(row.value)) };
        Self { seq: row.sequence, ex_date: row.ex_date.clone(), kind: row.kind.clone(), what }
    }
}

/// `4 for 1`; what is no ratio stays the number that it is.
fn ratio(value: Price) -> String {
    let ratio = domain::corporate_action::SplitRatio::from_e9(value.0);
    ratio.map_or_else(|_| value.to_string(), |ratio| format!("{} for {}", ratio.terms().0, ratio.terms().1))
}
