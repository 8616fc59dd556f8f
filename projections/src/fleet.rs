//! Every strategy with all that is known of it: read model, track record, parameters, subscription.
//!
//! The command line, the API and the pages show the same report. Deliberately absent: what a figure is
//! rounded to.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::stream::MARKET;
use domain::strategy::{kinds, resolve};
use event_log::{DurableState, Tape};
use serde::Serialize;
use sqlx::PgPool;

use crate::as_of::Past;
use crate::queries::{self, QueryError, RefusedSignals, StrategyRow, TrackRecord, TrackRecords};

/// The durable consumer on MARKET of the service that hosts the built-in strategies.
const BUILT_IN_CONSUMER: &str = "strategy";
/// Longest wait for the state of one consumer.
const PATIENCE: Duration = Duration::from_millis(300);

/// A strategy with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StrategyReport {
    /// The read model's row.
    #[serde(flatten)]
    pub row: StrategyRow,
    /// `removed`, `disabled`, or the mode that it is enabled in.
    pub state: String,
    /// What it has done so far.
    #[serde(flatten)]
    pub record: TrackRecord,
    /// What it sent that was no good.
    #[serde(flatten)]
    pub refused: RefusedSignals,
    /// Its parameters with what each may be; empty for an external strategy, which keeps its own.
    pub settings: Vec<Setting>,
    /// Where its bars come from.
    pub subscription: Subscription,
}

/// A parameter of a built-in strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// What it counts or measures, for example `bars`.
    pub unit: String,
    /// What it may be, in words.
    pub range: String,
    /// The value when the registration states none.
    pub default: String,
    /// What it does, in words.
    pub description: String,
}

/// Where a strategy's bars come from, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Stream.
    pub stream: String,
    /// Durable consumer; the built-in strategies share one.
    pub consumer: String,
    /// Subjects that it reads.
    pub subjects: Vec<String>,
    /// How far the consumer is; `None` when there is none, or when the server does not answer.
    pub lag: Option<DurableState>,
}

/// Every strategy that was ever registered, by name, with the `records` that were just carried on.
pub async fn strategy_reports(
    pool: &PgPool,
    tape: &Tape,
    records: &TrackRecords,
) -> Result<Vec<StrategyReport>, QueryError> {
    let rows = queries::strategies(pool).await?;
    let refused = queries::refused_signals(pool, u64::MAX).await?;
    let mut lags: BTreeMap<String, Option<DurableState>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.registered) {
        let consumer = consumer(row);
        if !lags.contains_key(consumer) {
            // A server that does not answer costs the lag, not the report.
            let asked = tokio::time::timeout(PATIENCE, tape.durable_state(MARKET, consumer)).await;
            lags.insert(consumer.to_owned(), asked.ok().and_then(Result::ok).flatten());
        }
    }
    let lag = |row: &StrategyRow| lags.get(consumer(row)).copied().flatten().filter(|_| row.registered);
    Ok(rows.into_iter().map(|row| report(lag(&row), row, records, &refused)).collect())
}

/// The same of a moment of the past, with the `records` up to its sequence. How far a consumer was then nobody knows.
pub async fn strategy_reports_of(
    pool: &PgPool,
    past: &Past,
    records: &TrackRecords,
) -> Result<Vec<StrategyReport>, QueryError> {
    let refused = queries::refused_signals(pool, past.sequence()).await?;
    Ok(past.strategies().into_iter().map(|row| report(None, row, records, &refused)).collect())
}

fn report(
    lag: Option<DurableState>,
    row: StrategyRow,
    records: &TrackRecords,
    refused: &BTreeMap<String, RefusedSignals>,
) -> StrategyReport {
    StrategyReport {
        state: row.state().to_owned(),
        record: records.of(&row.strategy),
        refused: refused.get(&row.strategy).copied().unwrap_or_default(),
        settings: settings(&row),
        subscription: Subscription {
            stream: MARKET.to_owned(),
            consumer: consumer(&row).to_owned(),
            subjects: subjects(&row),
            lag,
        },
        row,
    }
}

fn consumer(row: &StrategyRow) -> &str {
    if row.is_external() { &row.consumer } else { BUILT_IN_CONSUMER }
}

/// The subjects that an external strategy was registered with, or those of the bars that a built-in one takes.
fn subjects(row: &StrategyRow) -> Vec<String> {
    if row.is_external() {
        return row.subjects.clone();
    }
    let timeframe = if row.timeframe.is_empty() { "*" } else { &row.timeframe };
    if row.symbols.is_empty() {
        return vec![format!("market.bar.{timeframe}.*")];
    }
    row.symbols.iter().map(|symbol| format!("market.bar.{timeframe}.{}", contracts::escape(symbol))).collect()
}

fn settings(row: &StrategyRow) -> Vec<Setting> {
    let Some(kind) = kinds().iter().find(|kind| kind.name == row.kind) else { return Vec::new() };
    // A registration that this version cannot build has no checked values; the row still states its own.
    let Ok(values) = resolve(&row.kind, &row.parameters) else { return Vec::new() };
    let value = |name: &str| values.iter().find(|found| found.name == name).map(|found| found.value.clone());
    let setting = |spec: &domain::strategy::ParameterSpec| Setting {
        name: spec.name.to_owned(),
        value: value(spec.name).unwrap_or_default(),
        unit: spec.unit.to_owned(),
        range: spec.value.to_string(),
        default: spec.default.to_owned(),
        description: spec.description.to_owned(),
    };
    kind.parameters.iter().map(setting).collect()
}

#[cfg(test)]
mod tests {
    use contracts::v1::Parameter;

    use super::*;

    fn row(kind: &str, consumer: &str) -> StrategyRow {
        StrategyRow {
            strategy: "sma".to_owned(),
            registered: true,
            kind: kind.to_owned(),
            parameters: vec![Parameter { name: "fast".to_owned(), value: "10".to_owned() }],
            symbols: Vec::new(),
            timeframe: "1h".to_owned(),
            subjects: vec!["market.bar.1h.SPY".to_owned()],
            consumer: consumer.to_owned(),
            sizing: None,
            account: "paper".to_owned(),
            enabled: true,
            mode: "shadow".to_owned(),
            warmed_sequence: None,
            warmed_bars: None,
            signals: 0,
            last_signal_ns: None,
            last_signal: String::new(),
            last_signal_id: None,
            last_signal_sequence: None,
            open_positions: 0,
            realized_pnl: Default::default(),
            unrealized_pnl: Default::default(),
            dividends: Default::default(),
            fees: Default::default(),
            net_pnl: Default::default(),
            stopping: None,
            group_policy: "unspecified".to_owned(),
            sequence: 1,
        }
    }

    #[test]
    fn a_setting_has_value_unit_and_range_and_what_is_not_stated_is_the_default() {
        let settings = settings(&row("sma_cross", ""));
        let told: Vec<_> = settings.iter().map(|s| (&*s.name, &*s.value, &*s.unit, &*s.range)).collect();
        assert_eq!(
            told,
            [
                ("fast", "10", "bars", "a whole number from 1 to 9999"),
                ("slow", "50", "bars", "a whole number from 2 to 10000"),
                ("average", "simple", "", "one of simple, exponential"),
                ("allow_short", "false", "", "true or false"),
            ]
        );
        assert!(super::settings(&row("", "strategy-sma")).is_empty());
    }

    #[test]
    fn a_subscription_is_that_of_the_registration_or_of_the_bars_it_takes() {
        assert_eq!(subjects(&row("", "strategy-sma")), ["market.bar.1h.SPY"]);
        assert_eq!(subjects(&row("sma_cross", "")), ["market.bar.1h.*"]);
        let symbols = StrategyRow { symbols: vec!["BRK.B".to_owned()], ..row("sma_cross", "") };
        assert_eq!(subjects(&symbols), ["market.bar.1h.BRK%2EB"]);
    }

    #[test]
    fn a_state_is_the_mode_only_while_it_is_enabled() {
        let enabled = row("sma_cross", "");
        assert_eq!(enabled.state(), "shadow");
        assert_eq!(StrategyRow { enabled: false, ..enabled.clone() }.state(), "disabled");
        assert_eq!(StrategyRow { registered: false, ..enabled }.state(), "removed");
    }
}
