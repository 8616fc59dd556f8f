//! Strategies: what the page shows of them; what it does is in [`change`].

pub mod change;
pub mod score;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::StrategyReport;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, At, Field, Fields, NoFields};
use super::trading::AS_OF;
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::timeline;

/// A parameter of a built-in strategy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StrategySetting)]
pub struct Setting {
    /// Name.
    name: String,
    /// Value.
    value: String,
    /// What it counts or measures, for example `bars`.
    unit: String,
    /// What it may be, in words.
    range: String,
    /// The value when the registration states none.
    default: String,
    /// What it does.
    description: String,
}

/// Where a strategy's bars come from, and how far its durable consumer is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Subscription {
    /// Stream.
    stream: String,
    /// Durable consumer; the built-in strategies share one.
    consumer: String,
    /// Subjects that it reads.
    subjects: Vec<String>,
    /// Messages that it was not given yet; null when there is no consumer or the server does not answer.
    pending: Option<u64>,
    /// Messages that it was given and has not acknowledged.
    ack_pending: Option<u64>,
    /// The highest MARKET sequence up to which everything is acknowledged.
    ack_floor: Option<u64>,
}

/// The last signal.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastSignal {
    /// Event id, by which `/api/v1/chain/{event_id}` has what led to it and what followed.
    event_id: String,
    /// TRADING sequence.
    sequence: u64,
    /// Event time, UTC nanoseconds.
    event_time_ns: i64,
    /// In words.
    text: String,
}

/// A strategy with all that is known of it. Money is a decimal in US dollars, at the last mark.
#[derive(Debug, Serialize, ToSchema)]
pub struct Strategy {
    /// Name.
    name: String,
    /// Built-in kind; empty for an external strategy.
    kind: String,
    /// Whether it runs in a process of its own.
    external: bool,
    /// `removed`, `disabled`, or the mode that it is enabled in: `shadow`, `paper`.
    state: String,
    /// Account it trades on.
    account: String,
    /// How its entries are sized: `fraction:SHARE_OF_EQUITY` or another sizing; null when not stated.
    sizing: Option<String>,
    /// What becomes of the orders of a signal that states no policy of its own when one of them fails: `none`,
    /// `complete`, `unwind` or `alert`.
    group_policy: String,
    /// Parameters of a built-in strategy.
    settings: Vec<Setting>,
    /// Where its bars come from.
    subscription: Subscription,
    /// Bars of its warm-up; null before it, and for an external strategy.
    warmed_bars: Option<u64>,
    /// The last signal; null before the first.
    last_signal: Option<LastSignal>,
    /// Signals.
    signals: u64,
    /// Signals that risk denied because they could not be judged: a wrong id, time or symbol, or too many.
    invalid_signals: u64,
    /// Messages under its signals that were none, and were parked.
    parked_signals: u64,
    /// Decisions of risk that approved.
    approved: u64,
    /// Decisions of risk that denied.
    denied: u64,
    /// The rule that denied most often; null where nothing was denied.
    denied_most_by: Option<String>,
    /// Orders that risk approved.
    orders: u64,
    /// Fills of them.
    fills: u64,
    /// Round trips that have ended: from flat to flat in one symbol.
    round_trips: u64,
    /// Those whose realised profit, less commissions and fees, is more than zero.
    round_trips_won: u64,
    /// `round_trips_won` / `round_trips`, from 0 to 1; null before the first has ended.
    hit_rate: Option<f64>,
    /// Positions that are not flat.
    open_positions: u64,
    /// Gross realised profit and loss.
    realized_pnl: String,
    /// Profit and loss of what it holds.
    unrealized_pnl: String,
    /// Dividends received less dividends paid.
    dividends: String,
    /// Commissions and fees paid.
    fees: String,
    /// realised + unrealised + dividends − fees.
    net_pnl: String,
}

impl Strategy {
    fn of(report: StrategyReport) -> Self {
        let StrategyReport { row, state, record, refused, settings, subscription } = report;
        let lag = subscription.lag;
        let last = row.last_signal_id.clone().zip(row.last_signal_sequence).zip(row.last_signal_ns);
        let text = row.last_signal.clone();
        Self {
            external: row.is_external(),
            sizing: row.sizing.as_ref().and_then(domain::sizing::text),
            group_policy: match row.group_policy.as_str() {
                "unspecified" => "none".to_owned(),
                _ => row.group_policy.clone(),
            },
            settings: settings.into_iter().map(Setting::of).collect(),
            subscription: Subscription {
                stream: subscription.stream,
                consumer: subscription.consumer,
                subjects: subscription.subjects,
                pending: lag.map(|lag| lag.pending),
                ack_pending: lag.map(|lag| lag.ack_pending),
                ack_floor: lag.map(|lag| lag.ack_floor),
            },
            last_signal: last.map(|((event_id, sequence), event_time_ns)| LastSignal {
                event_id,
                sequence,
                event_time_ns,
                text,
            }),
            name: row.strategy,
            kind: row.kind,
            state,
            account: row.account,
            warmed_bars: row.warmed_bars,
            signals: row.signals,
            invalid_signals: refused.invalid,
            parked_signals: refused.parked,
            approved: record.approved,
            denied: record.denied,
            denied_most_by: record.denied_most_by,
            orders: record.orders,
            fills: record.fills,
            round_trips: record.round_trips,
            round_trips_won: record.round_trips_won,
            hit_rate: record.hit_rate,
            open_positions: row.open_positions,
            realized_pnl: row.realized_pnl.to_string(),
            unrealized_pnl: row.unrealized_pnl.to_string(),
            dividends: row.dividends.to_string(),
            fees: row.fees.to_string(),
            net_pnl: row.net_pnl.to_string(),
        }
    }
}

impl Setting {
    fn of(setting: projections::Setting) -> Self {
        let projections::Setting { name, value, unit, range, default, description } = setting;
        Self { name, value, unit, range, default, description }
    }
}

/// Every strategy that was ever registered, by name, and the moment they are of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Strategies {
    /// Last TRADING sequence folded; null for the present.
    as_of: Option<u64>,
    /// The strategies.
    rows: Vec<Strategy>,
}

/// As of when.
#[derive(Debug)]
pub struct StrategyFields;

impl Fields for StrategyFields {
    const FIELDS: &'static [Field] = &[AS_OF];
}

/// All strategies, by name, those removed included; now or as of a moment.
#[utoipa::path(get, path = "/api/v1/strategies", tag = "strategies", operation_id = "list_strategies",
    params(Asked<StrategyFields>), responses((status = 200, body = Strategies), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    asked: Asked<StrategyFields>,
) -> Result<Json<Strategies>, Problem> {
    let (as_of, reports) = match timeline::moment(&asked)? {
        Some(moment) => {
            let past = timeline::state(&app, moment).await?;
            (Some(past.sequence()), app.fleet.reports_of(&app, &past).await?)
        }
        None => (None, app.fleet.reports(&app).await?),
    };
    Ok(Json(Strategies { as_of, rows: reports.into_iter().map(Strategy::of).collect() }))
}

/// One strategy.
#[utoipa::path(get, path = "/api/v1/strategies/{name}", tag = "strategies", operation_id = "get_strategy",
    params(("name" = String, Path, description = "Strategy's name")),
    responses((status = 200, body = Strategy), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    _: Asked<NoFields>,
) -> Result<Json<Strategy>, Problem> {
    let report = app.fleet.report(&app, &name).await?;
    let report = report.ok_or_else(|| PageError::Missing(format!("strategy {name:?}")))?;
    Ok(Json(Strategy::of(report)))
}
