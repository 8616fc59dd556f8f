//! Queries: the only way in which pages, checks and the command line read the read models.
//!
//! Rows are plain structs; prices, quantities and money are exact in memory and decimal strings in JSON.
//! Lists come newest first, at most [`LIMIT_MAX`] rows at a time; the cursor is a stream sequence, and the
//! next page holds what is below it.
//!
//! Deliberately absent: any write. Every function works on a pool of [`crate::reader_pool`].

mod accounts;
mod adjusted;
mod backtests;
mod bars;
mod calendar;
mod chain;
mod counts;
mod database;
mod dates;
mod deciding;
mod decisions;
mod groups;
mod jobs;
mod known;
mod lists;
mod logs;
mod operations;
mod orders;
mod overview;
mod pair;
mod parked;
pub(crate) mod past;
mod reading;
mod reference;
mod records;
mod risk;
mod score;
mod snapshot;
mod sources;
mod strategies;
mod track;
mod turn;
mod universe;

use serde::Serialize;

pub use accounts::{
    AccountRow, DailyEquity, EquityPoint, PositionRow, accounts, daily_equity, equity_curve,
    equity_curve_span, positions,
};
pub use adjusted::{
    AdjustedBar, AdjustedBars, AdjustedError, BarsWanted, CHART_BARS_MAX, adjusted_bars, daily_bars,
    series_of,
};
pub use backtests::{BacktestFilter, BacktestRow, backtest, backtest_document, backtest_ids, backtests};
pub use bars::{
    BarRow, History, HistoryBar, LastPrice, LastPrices, Series, bars_between, history, last_prices, series,
    spans_without_bars,
};
pub use calendar::{
    ActionRow, Actions, FindingRow, NewestFindings, QualityRow, SessionRow, actions_between,
    corporate_actions, newest_findings, quality, session_state, sessions,
};
pub use chain::{EventFilter, EventRow, chain, event, events, last_events};
pub use counts::{Counts, bar_dates, counts, orders_open};
pub use database::{DatabaseHealth, clock_ms, database_health};
pub use deciding::{DecisionPrices, decision_history, decision_prices};
pub use decisions::{
    DecisionFilter, DecisionRow, SignalFilter, SignalRow, newest_signals, risk_decisions, signals,
};
pub use groups::{GroupRow, groups_handled};
pub use jobs::{JobRow, jobs, open_jobs};
pub use known::{known_bars, known_series, last_ex_date};
pub use lists::{list_decisions, list_fills, list_orders, list_signals};
pub use logs::{LOG_LINES_MAX, LogFilter, LogRow, LogTurn, logs, logs_after, unknown_service};
pub use operations::{
    HaltRow, HeartbeatRow, ProjectionRow, checkpoints, halts, heartbeats, projection_status, tallies,
};
pub use orders::{
    FillFilter, FillRow, OrderDetail, OrderEventRow, OrderFilter, OrderRow, RevisionRow, average, fills,
    load_order, order, orders,
};
pub use overview::{
    DenialCount, QualityCount, denials_today, latest_equity, parked_open, peak_equity, quality_counts,
};
pub use pair::{PairCloses, PairError, PairWanted, common_timeframe, pair_closes};
pub use parked::{ParkedRow, parked, parked_message, parked_same};
pub use records::{TrackRecord, TrackRecords, denied_most};
pub use reference::{ArticleFilter, ArticleRow, FactRow, articles, fact_history, facts, sectors};
pub use risk::{
    AlertRow, BREAKER, CONNECTIONS, DIFFERENCE, LimitVersionRow, MeasureRow, NamedLimit, alerts,
    limit_versions, named_limits, risk_measures,
};
pub use score::{Comparison, SCORED_MAX, StrategyScore, compare_signals, signal_score};
pub use snapshot::{
    TradingSnapshot, decided_signals, deciding_snapshot, load_book, own_book, trading_checkpoint,
    trading_snapshot,
};
pub use sources::{BreakerRow, SourceRow, breakers, sources};
pub use strategies::{RefusedSignals, StrategyRow, refused_signals, strategies};
pub use track::{AccountTrack, Change, Deal, TrackCounts, account_track};
pub use turn::{Cursor, NoCursor, Part, Turn};
pub use universe::{Standard, SymbolStanding, standings};

/// Most rows of one answer.
pub const LIMIT_MAX: u32 = 200;

/// A read model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database did not answer, or holds something else than expected.
    #[error("read model: {0}")]
    Database(#[from] sqlx::Error),
}

impl QueryError {
    /// Whether the database answered, with a value that no fold writes.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        let Self::Database(error) = self;
        matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
    }
}

/// Rows, newest first, and where the next page begins.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Cursor of the next page; `None` on the last one.
    pub next: Option<u64>,
}

impl<T> Page<T> {
    /// Rows of which `asked` were wanted; the last one's cursor leads on when there may be more.
    fn of(rows: Vec<T>, asked: i64, cursor: impl Fn(&T) -> u64) -> Self {
        let full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= asked);
        let next = if full { rows.last().map(cursor) } else { None };
        Self { rows, next }
    }
}

fn limited(limit: u32) -> i64 {
    i64::from(limit.clamp(1, LIMIT_MAX))
}

/// A cursor as Postgres holds it: everything below it is wanted.
fn below(cursor: Option<u64>) -> i64 {
    cursor.map_or(i64::MAX, crate::write::stored)
}
