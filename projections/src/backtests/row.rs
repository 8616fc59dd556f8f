//! The changing part of a run's row.

use contracts::v1::{BacktestFinished, BacktestRequest, BacktestStretch};
use domain::research::ranges;

use super::outcome_name;
use crate::projection::FoldError;
use crate::table::{Cell, decimal};

/// Symbols named one by one; more are counted.
const SYMBOLS_NAMED: usize = 8;

/// How far a run is that has not ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Open {
    pub attempt: u32,
    pub cancel_requested: bool,
    pub started_at_ns: Option<i64>,
}

/// What a run came to; nothing before its end.
#[derive(Clone, Debug, Default)]
pub(super) struct End<'event> {
    finished: Option<(&'static str, &'event BacktestFinished, i64)>,
    counts: Option<String>,
    sharpe: Option<f64>,
    max_drawdown: Option<f64>,
    total_return: Option<f64>,
}

impl<'event> End<'event> {
    /// Reads an end.
    pub(super) fn of(event: &'event BacktestFinished, time_ns: i64) -> Result<Self, FoldError> {
        let status = outcome_name(event.outcome()).ok_or_else(|| FoldError::missing("outcome"))?;
        let unread = |error: serde_json::Error| FoldError::field("statistics", error.to_string());
        let text = if event.statistics.is_empty() { "{}" } else { event.statistics.as_str() };
        let statistics: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(unread)?;
        let number = |name: &str| statistics.get(name).and_then(serde_json::Value::as_f64);
        let (sharpe, max_drawdown) = (number("sharpe"), number("max_drawdown"));
        let total_return = number("total_return");
        let counts = event.counts.as_ref().map(serde_json::to_string).transpose();
        let counts = counts.map_err(|error| FoldError::field("counts", error.to_string()))?;
        let finished = Some((status, event, time_ns));
        Ok(Self { finished, counts, sharpe, max_drawdown, total_return })
    }
}

impl Open {
    /// The cells from `status` to `document`.
    pub(super) fn cells(&self, end: &End<'_>) -> Vec<Cell> {
        let waiting = if self.attempt == 0 { "waiting" } else { "running" };
        let mut cells: Vec<Cell> = vec![
            end.finished.map_or(waiting, |finished| finished.0).into(),
            self.attempt.into(),
            self.cancel_requested.into(),
        ];
        let Some((_, event, time_ns)) = end.finished else {
            cells.extend([Cell::Null, self.started_at_ns.into()]);
            cells.extend(std::iter::repeat_n(Cell::Null, 12));
            return cells;
        };
        let statistics = (!event.statistics.is_empty()).then_some(&event.statistics);
        let document = (!event.document.is_empty()).then(|| Cell::Bytes(event.document.clone()));
        cells.extend([
            (&event.detail).into(),
            self.started_at_ns.into(),
            time_ns.into(),
            (&event.code_version).into(),
            (&event.data_hash).into(),
            (&event.result_hash).into(),
            end.counts.as_deref().into(),
            event.counts.as_ref().map(|counts| counts.trades).into(),
            event.duration_ms.into(),
            statistics.into(),
            end.sharpe.map_or(Cell::Null, decimal),
            end.max_drawdown.map_or(Cell::Null, decimal),
            end.total_return.map_or(Cell::Null, decimal),
            document.unwrap_or(Cell::Null),
        ]);
        cells
    }
}

/// A part of the tape run again, in words: `session 2020-01-02`, `at 1200: cross.fast=3`.
fn stretch(stretch: &BacktestStretch) -> String {
    if !stretch.session.is_empty() {
        return format!("session {}", stretch.session);
    }
    let to = if stretch.to.is_empty() { String::new() } else { format!(" to {}", stretch.to) };
    let changes: Vec<&str> = stretch.parameters.iter().chain(&stretch.limits).map(String::as_str).collect();
    let changes = if changes.is_empty() { "no change".to_owned() } else { changes.join(", ") };
    format!("at {}{to}: {changes}", stretch.at)
}

/// The strategies in words: `sma_cross (fast 10, slow 20)`, of a search with what it tries, `sma_cross (fast 5..30, slow
/// 40|60)`; of a part of the tape, that part.
pub(super) fn strategies(request: &BacktestRequest) -> String {
    if let Some(asked) = &request.stretch {
        return stretch(asked);
    }
    let one = |strategy: &contracts::v1::BacktestStrategy| {
        let named = if strategy.name.is_empty() || strategy.name == strategy.kind {
            strategy.kind.clone()
        } else {
            format!("{}: {}", strategy.name, strategy.kind)
        };
        if strategy.parameters.is_empty() {
            return named;
        }
        let parameters = ranges::parameters(request, strategy).into_iter();
        let parameters: Vec<_> = parameters.map(|(name, value)| format!("{name} {value}")).collect();
        format!("{named} ({})", parameters.join(", "))
    };
    request.strategies.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The symbols in words: `AAPL, SPY`, or `all`; none of a part of the tape.
pub(super) fn symbols(request: &BacktestRequest) -> String {
    // A part of the tape has the symbols that its strategies have there.
    if request.stretch.is_some() {
        return String::new();
    }
    match request.symbols.as_slice() {
        [] => "all".to_owned(),
        few if few.len() <= SYMBOLS_NAMED => few.join(", "),
        many => format!("{} and {} more", many[..SYMBOLS_NAMED].join(", "), many.len() - SYMBOLS_NAMED),
    }
}
