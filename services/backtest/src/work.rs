//! One recorded run, from its request to its end: the engine over the market, measured and packed. Blocking.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use analytics::monte_carlo::Settings;
use analytics::report::{Report, ReportError, TrialRow, WindowRow};
use analytics::sheet::{Counts as SheetCounts, RunFacts, Setting, StrategyFacts};
use analytics::warnings::{Trials, Warning};
use analytics::{Benchmark, Input, TearSheet};
use contracts::v1::{
    BacktestCounts, BacktestDenials, BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequest,
};
use domain::money::{Amount, Quantity};
use domain::performance::{EquityRow, Trade};
use engine::space::{Dimension, Sampler, configure as with_values};
use engine::{Config, Counts, Folds, Hash, Outcome, Search, WalkForwardError};

use crate::market::Loaded;
use crate::measure::{Statistics, statistics};
use crate::plan;

/// Runs of a Monte Carlo simulation.
const MONTE_CARLO: usize = 1_000;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// From 0 to 1; never less than before.
    pub done: f64,
    /// Bars walked.
    pub bars: u64,
    /// Bars in all.
    pub total: u64,
    /// Profit so far; of a search that of its best run is not known before its end.
    pub pnl: Amount,
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It was told to end.
    #[error("cancelled")]
    Cancelled,
    /// It cannot be run, or failed.
    #[error("{0}")]
    Failed(String),
}

impl From<engine::Error> for WorkError {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::Cancelled => Self::Cancelled,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<domain::calendar::OutOfRange> for WorkError {
    fn from(error: domain::calendar::OutOfRange) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ReportError> for WorkError {
    fn from(error: ReportError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a run is of, besides its market.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Its id.
    pub run_id: &'a str,
    /// What was asked, complete.
    pub request: &'a BacktestRequest,
    /// Version of the program.
    pub code_version: &'a str,
    /// Threads of a search.
    pub threads: usize,
}

/// What was tried, and what follows from it.
#[derive(Default)]
struct Searched {
    trials: Vec<TrialRow>,
    windows: Vec<WindowRow>,
    runs: usize,
    evidence: Trials,
    warnings: Vec<Warning>,
    notes: Vec<String>,
}

/// Does `job`. `watch` is told how far it is and ends it with a break.
pub fn perform(
    job: Job<'_>,
    market: &Loaded,
    watch: &(impl Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<BacktestFinished, WorkError> {
    let began = Instant::now();
    let mut config = plan::configure(job.request, market.calendar);
    (config.from_ns, config.until_ns) = (market.from_ns, market.until_ns);
    let (outcome, searched) = match job.request.kind() {
        BacktestKind::Sweep => sweep(job, &config, market, watch)?,
        BacktestKind::WalkForward => walk_forward(job, &config, market, watch)?,
        BacktestKind::Single | BacktestKind::Unspecified => {
            let outcome = single(&config, market, &|progress| watch(progress))?;
            (outcome, Searched { runs: 1, ..Searched::default() })
        }
    };
    let sheet = sheet(job, market, &outcome, &searched, MONTE_CARLO)?;
    end(job, market, &outcome, searched, sheet, began.elapsed())
}

/// Statistics and warnings of a single run that its caller did: its tear sheet without simulations, for a run of
/// which no more is kept.
pub fn summarize(job: Job<'_>, market: &Loaded, outcome: &Outcome) -> Result<TearSheet, WorkError> {
    sheet(job, market, outcome, &Searched { runs: 1, ..Searched::default() }, 0)
}

/// The tear sheet of a single run that its caller did, and its end for the record.
pub fn conclude(
    job: Job<'_>,
    market: &Loaded,
    outcome: &Outcome,
    took: Duration,
) -> Result<(TearSheet, BacktestFinished), WorkError> {
    let searched = Searched { runs: 1, ..Searched::default() };
    let sheet = sheet(job, market, outcome, &searched, MONTE_CARLO)?;
    let end = end(job, market, outcome, searched, sheet.clone(), took)?;
    Ok((sheet, end))
}

fn end(
    job: Job<'_>,
    market: &Loaded,
    outcome: &Outcome,
    searched: Searched,
    sheet: TearSheet,
    took: Duration,
) -> Result<BacktestFinished, WorkError> {
    let counts = counted(&outcome.counts, outcome.trades.len(), searched.runs);
    let statistics = serde_json::to_string(&sheet.statistics);
    let result_hash = outcome.chain_hash.clone().unwrap_or_default();
    let report = Report { trials: searched.trials, windows: searched.windows, ..Report::of(sheet) };
    Ok(BacktestFinished {
        run_id: job.run_id.to_owned(),
        outcome: BacktestOutcome::Succeeded.into(),
        statistics: statistics.map_err(|error| WorkError::Failed(error.to_string()))?,
        data_hash: market.hash.clone(),
        code_version: job.code_version.to_owned(),
        result_hash,
        counts: Some(counts),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        document: report.pack()?,
        ..BacktestFinished::default()
    })
}

fn single(
    config: &Config,
    market: &Loaded,
    watch: &dyn Fn(Progress) -> ControlFlow<()>,
) -> Result<Outcome, WorkError> {
    let cash = config.account.cash;
    let mut look = |at: &engine::Progress| {
        let done = at.bars as f64 / at.total.max(1) as f64;
        watch(Progress { done, bars: at.bars, total: at.total, pnl: Amount(at.equity.0 - cash.0) })
    };
    Ok(engine::run(config, &market.data, &mut Hash::default(), &mut look)?)
}

fn bars(market: &Loaded) -> u64 {
    market.data.series.iter().map(|series| series.len() as u64).sum()
}

fn dimensions(request: &BacktestRequest) -> Vec<Dimension> {
    let ranges = request.search.iter().flat_map(|search| &search.ranges);
    ranges
        .map(|range| Dimension {
            strategy: range.strategy.clone(),
            parameter: range.parameter.clone(),
            values: range.values.clone(),
        })
        .collect()
}

fn sampler(request: &BacktestRequest) -> Sampler {
    let (name, runs) =
        request.search.as_ref().map_or(("grid", 0), |search| (search.sampler.as_str(), search.runs));
    let trials = usize::try_from(runs).unwrap_or(usize::MAX);
    match name {
        "random" => Sampler::Random { trials },
        "tpe" => Sampler::Tpe { trials },
        _ => Sampler::Grid,
    }
}

/// The score that a search maximises, with everything else that was measured.
fn measured<'a>(
    request: &'a BacktestRequest,
) -> impl Fn(&Config, &Outcome) -> (Option<f64>, Statistics) + Sync + 'a {
    let metric = request.search.as_ref().map_or("sharpe", |search| search.metric.as_str());
    move |config, outcome| {
        // Dates that the calendar does not know are an error of the run itself, which comes first.
        let found = statistics(outcome, config.calendar).unwrap_or_default();
        (found.get(metric).copied().flatten(), found)
    }
}

fn named(space: &[Dimension], point: &[usize]) -> Vec<(String, String)> {
    let pairs = space.iter().zip(point);
    pairs
        .map(|(dimension, place)| {
            let value = dimension.values.get(*place).cloned().unwrap_or_default();
            (format!("{}.{}", dimension.strategy, dimension.parameter), value)
        })
        .collect()
}

fn sweep(
    job: Job<'_>,
    config: &Config,
    market: &Loaded,
    watch: &(impl Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<(Outcome, Searched), WorkError> {
    let space = dimensions(job.request);
    let per_run = bars(market);
    let told = |done: usize, all: usize| {
        // The best run comes once more at the end, with its hash.
        let (done, all) = (done as u64, all as u64 + 1);
        watch(Progress {
            done: done as f64 / all as f64,
            bars: done.saturating_mul(per_run),
            total: all.saturating_mul(per_run),
            pnl: Amount::ZERO,
        })
    };
    let search = Search {
        space: &space,
        sampler: sampler(job.request),
        seed: job.request.seed,
        threads: job.threads,
        measure: &measured(job.request),
        watch: &told,
    };
    let trials = engine::sweep(config, &market.data, &search)?;
    let best = engine::best(&trials).ok_or_else(|| {
        let refused = trials.iter().find_map(|trial| trial.measured.as_ref().err());
        let why = refused.map_or_else(String::new, |error| format!(", the first because {error}"));
        WorkError::Failed(format!("none of the {} runs has a score{why}", trials.len()))
    })?;
    let chosen = with_values(config, &space, &best.point);
    let mut outcome = single(&chosen, market, &|_| {
        watch(Progress {
            done: trials.len() as f64 / (trials.len() as f64 + 1.0),
            bars: per_run.saturating_mul(trials.len() as u64),
            total: per_run.saturating_mul(trials.len() as u64 + 1),
            pnl: Amount::ZERO,
        })
    })?;
    outcome.counts.bars = outcome.counts.bars.saturating_add(per_run.saturating_mul(trials.len() as u64));
    let mut rows: Vec<TrialRow> = trials
        .iter()
        .map(|trial| TrialRow {
            parameters: named(&space, &trial.point),
            score: trial.score,
            statistics: trial.measured.clone().unwrap_or_default(),
            refused: trial.measured.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        })
        .collect();
    rows.sort_by(|left, right| order(right.score).total_cmp(&order(left.score)));
    let sharpes: Vec<f64> =
        rows.iter().filter_map(|row| row.statistics.get("sharpe").copied().flatten()).collect();
    let best = named(&space, &best.point);
    let words: Vec<_> = best.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let searched = Searched {
        runs: trials.len(),
        evidence: Trials { count: trials.len(), sharpe_variance_annual: variance(&sharpes) },
        notes: vec![format!("The best of {} runs: {}.", trials.len(), words.join(", "))],
        trials: rows,
        ..Searched::default()
    };
    Ok((outcome, searched))
}

fn order(score: Option<f64>) -> f64 {
    score.unwrap_or(f64::NEG_INFINITY)
}

/// Sample variance; none of fewer than two values.
fn variance(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| squares / (count - 1.0))
}

fn walk_forward(
    job: Job<'_>,
    config: &Config,
    market: &Loaded,
    watch: &(impl Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<(Outcome, Searched), WorkError> {
    let space = dimensions(job.request);
    let per_run = bars(market);
    // How many windows there are is the engine's to say, so what is told is that it goes on, ever more slowly.
    let runs = Mutex::new(0_u64);
    let told = |_: usize, all: usize| {
        let mut runs = runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *runs += 1;
        let done = *runs as f64 / (*runs as f64 + all as f64);
        let bars = runs.saturating_mul(per_run);
        watch(Progress { done, bars, total: bars, pnl: Amount::ZERO })
    };
    let search = Search {
        space: &space,
        sampler: sampler(job.request),
        seed: job.request.seed,
        threads: job.threads,
        measure: &measured(job.request),
        watch: &told,
    };
    let folds = job.request.folds.unwrap_or_default();
    let sessions = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let folds = Folds {
        anchored: folds.anchored,
        in_sample: sessions(folds.in_sample_sessions),
        out_of_sample: sessions(folds.out_of_sample_sessions),
    };
    let found = engine::walk_forward(config, &market.data, folds, &search).map_err(|error| match error {
        WalkForwardError::Run(error) => WorkError::from(error),
        other => WorkError::Failed(other.to_string()),
    })?;
    let windows = found.folds.iter().map(|fold| WindowRow {
        in_sample: (fold.in_sample.0.date.to_string(), fold.in_sample.1.date.to_string()),
        out_of_sample: (fold.out_of_sample.0.date.to_string(), fold.out_of_sample.1.date.to_string()),
        parameters: fold.chosen.as_ref().map(|point| named(&space, point)).unwrap_or_default(),
        in_sample_score: fold.in_sample_score,
        out_of_sample_score: fold.out_of_sample_score,
        trades: fold.trades,
    });
    let windows = windows.collect();
    let outcome = Outcome {
        counts: Counts { bars: per_run.saturating_mul(found.runs as u64), ..Counts::default() },
        chain_hash: Some(joined_hash(&found.trades, &found.equity)),
        trades: found.trades,
        equity: found.equity,
        initial_cash: config.account.cash,
        ..Outcome::default()
    };
    let searched = Searched {
        windows,
        runs: found.runs,
        evidence: Trials { count: 1, sharpe_variance_annual: None },
        notes: vec![
            "Out-of-sample windows, joined. The result hash is that of their trades and equity.".to_owned(),
        ],
        ..Searched::default()
    };
    Ok((outcome, searched))
}

/// Windows are runs without events; what is compared is what they left.
fn joined_hash(trades: &[Trade], equity: &[EquityRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    for trade in trades {
        hasher.update(format!("{trade:?}\n").as_bytes());
    }
    for row in equity {
        hasher.update(format!("{row:?}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn counted(counts: &Counts, trades: usize, runs: usize) -> BacktestCounts {
    let denied = counts
        .denied
        .iter()
        .map(|(rule, count)| BacktestDenials { rule: rule.name().to_owned(), count: *count });
    BacktestCounts {
        bars: counts.bars,
        instants: counts.instants,
        signals: counts.signals,
        approved: counts.approved,
        denied: denied.collect(),
        orders: counts.orders,
        fills: counts.fills,
        expired: counts.expired,
        cancelled: counts.cancelled,
        rejected: counts.rejected,
        trades: trades as u64,
        ambiguous_bars: counts.ambiguous_bars,
        runs: runs as u64,
    }
}

fn sheet(
    job: Job<'_>,
    market: &Loaded,
    outcome: &Outcome,
    searched: &Searched,
    simulations: usize,
) -> Result<TearSheet, WorkError> {
    let counts = &outcome.counts;
    let denied = counts.denied.iter().map(|(rule, count)| (rule.name().to_owned(), *count));
    let benchmark = format!("{}, bought and held", job.request.benchmark);
    let mut input = Input::new(&outcome.trades, &outcome.equity, market.calendar);
    input.facts = facts(job, market, outcome, &searched.notes);
    if !market.benchmark.is_empty() {
        input.benchmark = Some(Benchmark { name: &benchmark, closes: &market.benchmark });
    }
    input.counts = SheetCounts {
        bars: counts.bars,
        signals: counts.signals,
        approved: counts.approved,
        denied: denied.collect(),
        orders: counts.orders,
        rejected: counts.rejected,
        expired: counts.expired,
        fills: counts.fills,
        ambiguous_bars: counts.ambiguous_bars,
        open_trades: outcome.open.len() as u64,
        ..SheetCounts::default()
    };
    if outcome.fees != Amount::ZERO {
        input.commission = Some(outcome.fees);
    }
    input.slippage = Some(outcome.slippage);
    input.trials = Trials { count: searched.evidence.count.max(1), ..searched.evidence };
    input.monte_carlo = (simulations > 0).then_some(Settings { runs: simulations, seed: job.request.seed });
    input.warnings.clone_from(&searched.warnings);
    Ok(TearSheet::of(input)?)
}

fn facts(job: Job<'_>, market: &Loaded, outcome: &Outcome, notes: &[String]) -> RunFacts {
    let request = job.request;
    let costs = request.costs.unwrap_or_default();
    let kinds: Vec<_> = request.strategies.iter().map(|strategy| strategy.kind.as_str()).collect();
    let symbols: Vec<String> = market.data.series.iter().map(|series| series.symbol.to_string()).collect();
    let setting = |name: &str, value: String| Setting { name: name.to_owned(), value };
    let share = |e9: i64| Quantity(e9).to_string();
    let sizing =
        request.strategies.iter().filter_map(|one| one.sizing.as_ref().and_then(domain::sizing::text));
    let mut notes = notes.to_vec();
    notes.extend(market.notes.iter().cloned());
    if request.limits.is_none() {
        notes.push("No limits were stated: buying power is all that was checked.".to_owned());
    }
    RunFacts {
        title: format!("{} on {}", kinds.join(", "), few(&symbols)),
        kind: "backtest".to_owned(),
        run_id: Some(job.run_id.to_owned()),
        strategies: request
            .strategies
            .iter()
            .map(|strategy| StrategyFacts {
                id: strategy.name.clone(),
                kind: strategy.kind.clone(),
                parameters: strategy
                    .parameters
                    .iter()
                    .map(|one| (one.name.clone(), one.value.clone()))
                    .collect(),
            })
            .collect(),
        symbols,
        timeframe: request.timeframe.clone(),
        calendar: market.calendar.exchange().to_owned(),
        settings: vec![
            setting("cash", Amount::from_wire(request.cash.as_ref()).to_string()),
            setting("sizing", sizing.collect::<Vec<_>>().join("; ")),
            setting("commission rate", share(costs.commission_rate_e9)),
            setting("commission per share", share(costs.commission_per_share_e9)),
            setting("slippage rate", share(costs.slippage_rate_e9)),
            setting(
                "short positions",
                if request.allow_short { "allowed" } else { "not allowed" }.to_owned(),
            ),
            setting("seed", request.seed.to_string()),
        ],
        data_hash: Some(market.hash.clone()),
        result_hash: outcome.chain_hash.clone(),
        code_version: job.code_version.to_owned(),
        notes,
        ..RunFacts::default()
    }
}

/// Symbols in words.
fn few(symbols: &[String]) -> String {
    match symbols {
        [] => "nothing".to_owned(),
        few if few.len() <= 4 => few.join(", "),
        many => format!("{} symbols", many.len()),
    }
}
