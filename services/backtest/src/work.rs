//! One recorded run, from its request to its end: the engine over the market, measured and packed. Blocking.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use analytics::monte_carlo::Settings;
use analytics::report::{Report, ReportError, TrialRow, WindowRow};
use analytics::sheet::{Counts as SheetCounts, RunFacts, Setting, StrategyFacts};
use analytics::warnings::{Trials, negative_cash};
use analytics::{Benchmark, Input, TearSheet};
use contracts::v1::{
    AccountKind, BacktestCounts, BacktestDenials, BacktestFinished, BacktestKind, BacktestOutcome,
    BacktestRequest,
};
use domain::money::Amount;
use domain::order::group::policy_name;
use engine::{Config, Counts, Hash, Outcome};

use crate::checks::{self, Checked};
use crate::market::Loaded;
use crate::{gaps, plan, search, terms};

/// Runs of a Monte Carlo simulation.
const MONTE_CARLO: usize = 1_000;
/// Most trades of a run that is simulated although nobody keeps it: more would take longer than a run itself may.
const PASSING_TRADES_MAX: usize = 2_000;

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
pub(crate) struct Searched {
    pub trials: Vec<TrialRow>,
    pub windows: Vec<WindowRow>,
    pub runs: usize,
    pub evidence: Trials,
    pub checked: Checked,
    pub notes: Vec<String>,
}

/// A run that was done: what it left, its report in whole, and its end for the record.
#[derive(Debug)]
pub struct Done {
    /// Trades and equity; of a search those of its best run, or of the joined windows.
    pub outcome: Outcome,
    /// Tear sheet, trials, windows: nothing left out.
    pub report: Report,
    /// The end for the record.
    pub end: BacktestFinished,
}

/// Does `job`. `watch` is told how far it is and ends it with a break.
pub fn perform(
    job: Job<'_>,
    market: &Loaded,
    watch: &(impl Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Done, WorkError> {
    let began = Instant::now();
    let config = configured(job.request, market);
    let (outcome, searched) = match job.request.kind() {
        BacktestKind::Sweep => search::sweep(job, &config, market, watch)?,
        BacktestKind::WalkForward => search::walk_forward(job, &config, market, watch)?,
        BacktestKind::Single => {
            let outcome = single(&config, market, &|progress| watch(progress))?;
            let checked = checks::of_single(&config, &market.data)?;
            (outcome, Searched { runs: 1, checked, ..Searched::default() })
        }
        BacktestKind::Parity | BacktestKind::Fork | BacktestKind::Unspecified => {
            return Err(WorkError::Failed("kind: expected a run over history".to_owned()));
        }
    };
    done(job, market, outcome, searched, (began.elapsed(), true))
}

/// What the engine runs for a request over a market.
#[must_use]
pub fn configured(request: &BacktestRequest, market: &Loaded) -> Config {
    let mut config = plan::configure(request, market.calendar);
    (config.from_ns, config.until_ns) = (market.from_ns, market.until_ns);
    config
}

/// The tear sheet of a single run that its caller did and checked, and its end for the record. Of a run that is not
/// `kept` only the numbers are wanted: no document, and simulations of at most 2,000 trades.
pub fn conclude(
    job: Job<'_>,
    market: &Loaded,
    outcome: Outcome,
    checked: Checked,
    took: Duration,
    kept: bool,
) -> Result<Done, WorkError> {
    done(job, market, outcome, Searched { runs: 1, checked, ..Searched::default() }, (took, kept))
}

fn done(
    job: Job<'_>,
    market: &Loaded,
    outcome: Outcome,
    searched: Searched,
    (took, kept): (Duration, bool),
) -> Result<Done, WorkError> {
    let is_simulated = kept || outcome.trades.len() <= PASSING_TRADES_MAX;
    let sheet = sheet(job, market, &outcome, &searched, if is_simulated { MONTE_CARLO } else { 0 })?;
    let counts = counted(&outcome.counts, outcome.trades.len(), searched.runs);
    let statistics = serde_json::to_string(&sheet.statistics);
    let result_hash = outcome.chain_hash.clone().unwrap_or_default();
    let report = Report { trials: searched.trials, windows: searched.windows, ..Report::of(sheet) };
    let end = BacktestFinished {
        run_id: job.run_id.to_owned(),
        outcome: BacktestOutcome::Succeeded.into(),
        statistics: statistics.map_err(|error| WorkError::Failed(error.to_string()))?,
        data_hash: market.hash.clone(),
        code_version: job.code_version.to_owned(),
        result_hash,
        counts: Some(counts),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        document: if kept { report.clone().pack()? } else { Vec::new() },
        ..BacktestFinished::default()
    };
    Ok(Done { outcome, report, end })
}

pub(crate) fn single(
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

pub(crate) fn bars(market: &Loaded) -> u64 {
    market.data.series.iter().map(|series| series.len() as u64).sum()
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
    let notes: Vec<String> = searched.notes.iter().chain(&searched.checked.notes).cloned().collect();
    input.facts = facts(job, market, outcome, &notes);
    if !market.benchmark.is_empty() {
        input.benchmark = Some(Benchmark { name: &benchmark, closes: &market.benchmark });
    }
    input.counts = SheetCounts {
        bars: counts.bars,
        missing_bars: Some(gaps::missing_bars(market)),
        signals: counts.signals,
        approved: counts.approved,
        denied: denied.collect(),
        orders: counts.orders,
        rejected: counts.rejected,
        expired: counts.expired,
        fills: counts.fills,
        ambiguous_bars: counts.ambiguous_bars,
        open_trades: outcome.open.len() as u64,
    };
    if outcome.fees != Amount::ZERO {
        input.commission = Some(outcome.fees);
    }
    input.slippage = Some(outcome.slippage);
    input.trials = Trials { count: searched.evidence.count.max(1), ..searched.evidence };
    input.monte_carlo = (simulations > 0).then_some(Settings { runs: simulations, seed: job.request.seed });
    input.warnings.clone_from(&searched.checked.warnings);
    if job.request.account_kind() != AccountKind::Margin {
        input.warnings.extend(negative_cash(outcome.equity.iter().map(|row| row.cash)));
    }
    Ok(TearSheet::of(input)?)
}

fn facts(job: Job<'_>, market: &Loaded, outcome: &Outcome, notes: &[String]) -> RunFacts {
    let request = job.request;
    let costs = request.costs.unwrap_or_default();
    let kinds: Vec<_> = request.strategies.iter().map(|strategy| strategy.kind.as_str()).collect();
    let symbols: Vec<String> = market.data.series.iter().map(|series| series.symbol.to_string()).collect();
    let setting = |name: &str, value: String| Setting { name: name.to_owned(), value };
    let sizing =
        request.strategies.iter().filter_map(|one| one.sizing.as_ref().and_then(domain::sizing::text));
    let policies = request.strategies.iter().map(|one| policy_name(one.group_policy()));
    let limits: Vec<String> =
        terms::limits(request).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let revisions = match domain::research::revisions_name(request.revisions()) {
        Some(name) => name,
        None if request.files.is_empty() => "latest",
        None => "none in files",
    };
    let asked = |date: &str, open: &str| if date.is_empty() { open.to_owned() } else { date.to_owned() };
    let range = format!("{} to {}", asked(&request.from, "the first"), asked(&request.to, "the last"));
    let mut settings = vec![
        setting("cash", Amount::from_wire(request.cash.as_ref()).to_string()),
        setting("account kind", request.account_kind().name().unwrap_or("none stated").to_owned()),
        setting("sizing", sizing.collect::<Vec<_>>().join("; ")),
    ];
    settings.extend(terms::costs(&costs).map(|(name, value)| setting(&name.replace('_', " "), value)));
    settings.extend([
        setting("short positions", if request.allow_short { "allowed" } else { "not allowed" }.to_owned()),
        setting("group policy", policies.collect::<Vec<_>>().join("; ")),
        setting("open at the end", domain::research::at_end(request).to_owned()),
        setting("limits", if limits.is_empty() { "none stated".to_owned() } else { limits.join(", ") }),
        setting("sessions asked for", range),
        setting("revisions", revisions.to_owned()),
        setting("benchmark", asked(&request.benchmark, "none")),
        setting("seed", request.seed.to_string()),
        // Without them profits do not add up to what equity gained.
        setting("dividends received", outcome.dividends.to_string()),
    ]);
    let mut notes = notes.to_vec();
    notes.extend(market.notes.iter().cloned());
    let of_tape = domain::research::tape_limits_named(request);
    notes.extend(of_tape.map(|named| format!("Limits of the tape that held: {named}.")));
    match (&request.limits, request.limit_sets.is_empty()) {
        (Some(_), _) => {}
        (None, true) => {
            notes.push("No limits were stated: buying power is all that was checked.".to_owned());
        }
        (None, false) => notes.push(
            "No limits of the account were stated: buying power and the limits by scope are all that was checked."
                .to_owned(),
        ),
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
        settings,
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
