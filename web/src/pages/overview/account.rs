//! How the account stands: tiles and equity line.

use askama::Template;
use contracts::v1::BrokerAttached;
use domain::money::Amount;
use domain::performance::Performance;
use projections::queries::{self, AccountRow, EquityPoint, QueryError};

use crate::app::App;
use crate::error::PageError;
use crate::history::History;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, Signed, money, percent, ratio, signed_money, signed_percent};

/// The five numbers.
#[derive(Clone, Debug)]
pub struct Tiles {
    pub account: String,
    pub marked: Instant,
    pub equity: String,
    pub equity_exact: String,
    pub day_pnl: Signed,
    pub day_pnl_exact: String,
    pub day_return: Signed,
    pub drawdown: Signed,
    pub exposure: String,
    pub exposure_share: String,
    pub sharpe: String,
    pub sharpe_note: String,
    /// That the account takes no orders at its broker, in words; empty where it takes them.
    pub blocked: String,
    pub seq: u64,
}

impl Body<Tiles> {
    /// Sequence of the mark shown.
    fn seq(&self) -> u64 {
        match &self.state {
            Shown::Ready(tiles) => tiles.seq,
            _ => 0,
        }
    }
}

#[derive(Template)]
#[template(path = "overview/tiles.html")]
struct TilesPanel<'a> {
    v: u64,
    /// The account; empty where there is none yet.
    account: &'a str,
    body: Body<Tiles>,
}

/// The newest part of the equity line.
#[derive(Clone, Debug)]
struct Equity {
    /// `[[unix seconds, equity], …]`, oldest first.
    points: String,
    /// Whether these are all there are.
    whole: bool,
    /// Newest first.
    rows: Vec<EquityRow>,
}

#[derive(Clone, Debug)]
struct EquityRow {
    seq: u64,
    time: Instant,
    equity: String,
    cash: String,
}

#[derive(Template)]
#[template(path = "overview/equity.html")]
struct EquityPanel {
    v: u64,
    body: Body<Equity>,
}

const CHART_POINTS_MAX: u32 = 10_000;
/// Points that a live message carries: more than happen between two messages at any speed worth watching.
const LIVE_POINTS: u32 = 60;
const TABLE_ROWS: usize = 20;
/// Least number of daily returns for which a ratio is shown: of fewer there is no deviation.
const SHARPE_RETURNS_MIN: usize = 2;

/// The five numbers.
pub async fn tiles(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::TILES, read_tiles(scope)).await;
    TilesPanel { v: scope.version, account: scope.account, body }.render()
}

async fn read_tiles(scope: &Scope<'_>) -> Result<Option<Tiles>, QueryError> {
    let pool = &scope.app.config.pool;
    let accounts = queries::accounts(pool).await?;
    let Some(account) = accounts.into_iter().find(|row| row.account == scope.account) else {
        return Ok(None);
    };
    let (Some(equity), Some(marked_ns)) = (account.equity, account.marked_ns) else { return Ok(None) };
    let history = scope.app.history.of(pool, &account, equity, marked_ns, scope.app.config.calendar).await?;
    let tiles = Tiles::of(&account, equity, marked_ns, &history);
    Ok(Some(Tiles { blocked: blocked(scope, &account).await, ..tiles }))
}

/// That an account at a broker outside takes no orders there, in words.
async fn blocked(scope: &Scope<'_>, account: &AccountRow) -> String {
    if matches!(account.broker.as_str(), "" | "simulated") {
        return String::new();
    }
    match scope.app.attached.attachment(&scope.app.context.tape, &account.account).await {
        Ok(Some(BrokerAttached { blocked, .. })) if !blocked.is_empty() => {
            format!("The account takes no orders at its broker: {blocked}.")
        }
        Ok(_) => String::new(),
        Err(error) => format!("Whether the account takes orders at its broker cannot be read: {error}"),
    }
}

impl Tiles {
    /// The numbers of an account that was marked.
    pub fn of(account: &AccountRow, equity: Amount, marked_ns: i64, history: &History) -> Self {
        let day_pnl = account.day_pnl.unwrap_or_default();
        let exposure = account.gross_exposure.unwrap_or_default();
        let below_peak = equity.checked_sub(history.peak).unwrap_or_default();
        let (sharpe, sharpe_note) = daily_sharpe(&history.closes);
        Self {
            account: account.account.clone(),
            marked: Instant(marked_ns),
            equity: money(equity),
            equity_exact: equity.to_string(),
            day_pnl: signed_money(day_pnl),
            day_pnl_exact: day_pnl.to_string(),
            day_return: signed_percent(share(day_pnl, account.day_start_equity)),
            drawdown: signed_percent(share(below_peak, history.peak)),
            exposure: money(exposure),
            exposure_share: percent(share(exposure, equity)),
            sharpe: ratio(sharpe),
            sharpe_note,
            blocked: String::new(),
            seq: account.sequence,
        }
    }
}

/// `part` / `whole`; `None` when there is no positive whole.
fn share(part: Amount, whole: Amount) -> Option<f64> {
    (whole > Amount::ZERO).then(|| part.to_f64() / whole.to_f64())
}

/// The Sharpe ratio of daily returns, and its convention or why it is undefined. `closes` begins with the
/// equity before the first day.
fn daily_sharpe(closes: &[Amount]) -> (Option<f64>, String) {
    let returns = closes.len().saturating_sub(1);
    if returns < SHARPE_RETURNS_MIN {
        let days = if returns == 1 { "1 so far".to_owned() } else { format!("{returns} so far") };
        return (None, format!("undefined before {SHARPE_RETURNS_MIN} days have ended; {days}"));
    }
    match Performance::of(closes, 0.0).sharpe {
        Some(sharpe) => (Some(sharpe), format!("{returns} daily returns × √252, risk-free 0")),
        None => (None, "undefined: daily returns do not vary".to_owned()),
    }
}

/// The newest part of the equity line.
pub async fn equity(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::EQUITY, read_equity(scope)).await;
    EquityPanel { v: scope.version, body }.render()
}

async fn read_equity(scope: &Scope<'_>) -> Result<Option<Equity>, QueryError> {
    let marks = queries::latest_equity(&scope.app.config.pool, scope.account, LIVE_POINTS).await?;
    if marks.is_empty() {
        return Ok(None);
    }
    let whole = u32::try_from(marks.len()).is_ok_and(|count| count < LIVE_POINTS);
    Ok(Some(Equity {
        points: serde_json::to_string(&points(&marks)).unwrap_or_default(),
        whole,
        rows: marks.iter().rev().take(TABLE_ROWS).map(EquityRow::of).collect(),
    }))
}

impl EquityRow {
    fn of(mark: &EquityPoint) -> Self {
        Self {
            seq: mark.sequence,
            time: Instant(mark.event_time_ns),
            equity: money(mark.equity),
            cash: money(mark.cash),
        }
    }
}

/// Points of a line for a chart: unix seconds and equity, strictly ascending; of marks within one second
/// the last counts.
fn points(marks: &[EquityPoint]) -> Vec<(i64, f64)> {
    let mut points: Vec<(i64, f64)> = Vec::with_capacity(marks.len());
    for mark in marks {
        let point = (mark.event_time_ns.div_euclid(1_000_000_000), mark.equity.to_f64());
        match points.last_mut() {
            Some(last) if last.0 == point.0 => *last = point,
            // A mark that an operator's wall clock put before the tape's time has no place on the line.
            Some(last) if last.0 > point.0 => {}
            _ => points.push(point),
        }
    }
    points
}

/// An account's equity line.
#[derive(Debug, serde::Serialize)]
pub struct EquityLine {
    /// The account.
    account: String,
    /// `[unix seconds, equity]`, oldest first, at most 10,000; thinned out evenly when there are more
    /// marks, extremes kept.
    points: Vec<(i64, f64)>,
}

/// Reads an account's equity line.
pub async fn equity_line(app: &App, account: &str) -> Result<EquityLine, PageError> {
    let marks = queries::equity_curve(&app.config.pool, account, i64::MIN, i64::MAX, CHART_POINTS_MAX)
        .await
        .map_err(|error| PageError::ReadModel(error.to_string()))?;
    Ok(EquityLine { account: account.to_owned(), points: points(&marks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(values: &[i128]) -> Vec<Amount> {
        values.iter().map(|value| Amount(value * 1_000_000_000)).collect()
    }

    #[test]
    fn sharpe_is_undefined_with_its_reason_rather_than_zero() {
        for (closes, expected) in [
            (&[][..], "undefined before 2 days have ended; 0 so far"),
            (&[100_000, 100_100], "undefined before 2 days have ended; 1 so far"),
            (&[100_000, 100_000, 100_000], "undefined: daily returns do not vary"),
        ] {
            assert_eq!(daily_sharpe(&amounts(closes)), (None, expected.to_owned()));
        }
        let (sharpe, note) = daily_sharpe(&amounts(&[100_000, 101_000, 100_500, 101_500]));
        assert!(sharpe.is_some_and(|sharpe| sharpe > 0.0));
        assert_eq!(note, "3 daily returns × √252, risk-free 0");
    }

    #[test]
    fn a_share_of_nothing_is_undefined() {
        assert_eq!(share(Amount(1), Amount::ZERO), None);
        assert_eq!(share(Amount(1), Amount(2)), Some(0.5));
    }

    #[test]
    fn a_line_ascends_strictly() {
        let mark = |sequence, seconds: i64, value: i128| EquityPoint {
            sequence,
            event_time_ns: seconds * 1_000_000_000,
            equity: Amount(value * 1_000_000_000),
            cash: Amount::ZERO,
            gross_exposure: Amount::ZERO,
        };
        let marks = [mark(1, 10, 1), mark(2, 10, 2), mark(3, 9, 3), mark(4, 11, 4)];
        assert_eq!(points(&marks), [(10, 2.0), (11, 4.0)]);
    }
}
