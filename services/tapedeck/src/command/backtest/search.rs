//! `tapedeck sweep` and `tapedeck walk-forward`: many runs over one copy of the data.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Instant;

use analytics::metrics::{METRICS, find};
use backtest::measure::{Statistics, statistics};
use backtest::{Loaded, plan, tables};
use domain::bar::Timeframe;
use engine::space::{Dimension, Sampler, values};
use engine::{Config, Folds, Outcome, Search, Trial};
use serde_json::{Value, json};

use super::progress::{Bar, Interrupt};
use super::request::{pair, request};
use super::{HELP, data, failure, print_statistics, shown};
use crate::cli::{Global, Method, RunOptions, SearchOptions, Sweep, WalkForward};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Everything that a search needs, moved to its own thread.
struct Job {
    config: Config,
    space: Vec<Dimension>,
    sampler: Sampler,
    seed: u64,
    threads: usize,
    metric: String,
    market: Loaded,
    bar: Bar,
}

impl Job {
    async fn new(
        global: &Global,
        run: &RunOptions,
        search: &SearchOptions,
        output: Output,
    ) -> Result<(Self, Interrupt), Failure> {
        if find(&search.metric).is_none() {
            let known: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
            let message = format!("--metric {:?}: expected one of {}", search.metric, known.join(", "));
            return Err(Failure::usage(message, HELP));
        }
        let (market, timeframe) = market(global, run).await?;
        let request = request(global, run, &[], timeframe.name())?;
        let mut config = plan::configure(&request, market.calendar);
        (config.from_ns, config.until_ns) = (market.from_ns, market.until_ns);
        let space = space(&config, &search.parameters)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = global.threads.map_or(cores, |threads| usize::from(threads.get()));
        let sampler = match search.method {
            Method::Grid => Sampler::Grid,
            Method::Random => Sampler::Random { trials: search.trials },
            Method::Tpe => Sampler::Tpe { trials: search.trials },
        };
        let bar = Bar::new(output, config.account.cash);
        let (interrupt, metric) = (bar.interrupt(), search.metric.clone());
        Ok((Self { config, space, sampler, seed: run.seed, threads, metric, market, bar }, interrupt))
    }

    /// Runs `of` with this job's search on a thread of its own, until it ends or the user interrupts.
    async fn run<Done: Send + 'static>(
        self,
        interrupt: Interrupt,
        of: impl FnOnce(&Config, &Loaded, &Search<'_, Measure<'_>>) -> Done + Send + 'static,
    ) -> Result<(Done, Self), Failure> {
        let mut work = tokio::task::spawn_blocking(move || {
            let bar = Mutex::new(self.bar);
            let watch = |done, all| match bar.lock() {
                Ok(mut bar) => bar.runs(done, all),
                Err(_) => ControlFlow::Continue(()),
            };
            let (calendar, metric) = (self.market.calendar, self.metric.as_str());
            let measure = |_: &Config, outcome: &Outcome| {
                let measured = statistics(outcome, calendar).unwrap_or_default();
                (measured.get(metric).copied().flatten(), measured)
            };
            let search = Search {
                space: &self.space,
                sampler: self.sampler,
                seed: self.seed,
                threads: self.threads,
                measure: &(&measure as Measure<'_>),
                watch: &watch,
            };
            let done = of(&self.config, &self.market, &search);
            let mut bar = bar.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            bar.end();
            (done, Self { bar, ..self })
        });
        loop {
            tokio::select! {
                done = &mut work => return done.map_err(|error| Failure::other(error.to_string())),
                _ = tokio::signal::ctrl_c() => interrupt.set(),
            }
        }
    }

    /// The values of a combination, by name.
    fn values(&self, point: &[usize]) -> serde_json::Map<String, Value> {
        let several = self.config.strategies.len() > 1;
        let named = self.space.iter().zip(point).map(|(dimension, place)| {
            let name = match several {
                true => format!("{}.{}", dimension.strategy, dimension.parameter),
                false => dimension.parameter.clone(),
            };
            (name, Value::from(dimension.values[*place].clone()))
        });
        named.collect()
    }
}

/// Score and statistics of a run.
type Measure<'job> = &'job (dyn Fn(&Config, &Outcome) -> (Option<f64>, Statistics) + Sync);

/// Runs a sweep and prints its trials, the best first.
pub async fn sweep(global: &Global, options: &Sweep, output: Output) -> Result<(), Failure> {
    let (job, interrupt) = Job::new(global, &options.run, &options.search, output).await?;
    let began = Instant::now();
    let work = |config: &Config, market: &Loaded, search: &Search<'_, Measure<'_>>| {
        engine::sweep(config, &market.data, search)
    };
    let (trials, job) = job.run(interrupt, work).await?;
    let mut trials = trials.map_err(failure)?;
    let seconds = began.elapsed().as_secs_f64();
    let score = |trial: &Trial<Statistics>| trial.score.unwrap_or(f64::NEG_INFINITY);
    trials.sort_by(|left, right| score(right).total_cmp(&score(left)));
    let refused = trials.iter().filter(|trial| trial.measured.is_err()).count();
    if output.json {
        let rows: Vec<_> = trials.iter().map(|trial| row(&job, trial)).collect();
        return output.document(&json!({
            "metric": job.metric, "runs": trials.len(), "refused": refused, "seconds": seconds,
            "threads": job.threads, "data_hash": job.market.hash, "seed": job.seed,
            "code_version": env!("CARGO_PKG_VERSION"), "trials": rows,
        }));
    }
    let names: Vec<String> = job.values(&vec![0; job.space.len()]).keys().cloned().collect();
    let shown_names = ["net_profit", "trades", "max_drawdown", "win_rate"];
    let mut header: Vec<&str> = names.iter().map(String::as_str).collect();
    header.push(&job.metric);
    header.extend(shown_names.iter().filter(|name| **name != job.metric));
    let rows: Vec<Vec<String>> = trials
        .iter()
        .filter(|trial| trial.measured.is_ok())
        .take(options.top)
        .map(|trial| {
            let values = job.values(&trial.point);
            let mut cells: Vec<String> =
                names.iter().map(|name| values[name].as_str().unwrap_or_default().to_owned()).collect();
            cells.push(trial.score.map_or("–".to_owned(), shown));
            let measured = trial.measured.as_ref().ok();
            cells.extend(shown_names.iter().filter(|name| **name != job.metric).map(|name| {
                let value = measured.and_then(|measured| measured.get(*name).copied().flatten());
                value.map_or("–".to_owned(), shown)
            }));
            cells
        })
        .collect();
    output.table(&header, &rows);
    output.line(&format!(
        "{} runs in {seconds:.2} s on {} threads, {refused} combinations cannot be run",
        trials.len(),
        job.threads
    ));
    output.note("the best of many is flattered: look at the neighbours, and try it on other data");
    Ok(())
}

fn row(job: &Job, trial: &Trial<Statistics>) -> Value {
    let statistics = trial.measured.as_ref().map(|measured| {
        measured
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
    });
    match statistics {
        Ok(statistics) => {
            json!({"parameters": job.values(&trial.point), "score": trial.score, "statistics": statistics})
        }
        Err(error) => {
            json!({"parameters": job.values(&trial.point), "score": null, "error": error.to_string()})
        }
    }
}

/// Runs a walk-forward test and prints its windows.
pub async fn walk_forward(global: &Global, options: &WalkForward, output: Output) -> Result<(), Failure> {
    let (job, interrupt) = Job::new(global, &options.run, &options.search, output).await?;
    let folds = Folds {
        anchored: options.anchored,
        in_sample: options.in_sample,
        out_of_sample: options.out_of_sample,
    };
    let work = move |config: &Config, market: &Loaded, search: &Search<'_, Measure<'_>>| {
        engine::walk_forward(config, &market.data, folds, search)
    };
    let (result, job) = job.run(interrupt, work).await?;
    let result = result.map_err(|error| match error {
        engine::WalkForwardError::Folds(error) => {
            Failure::usage(error.to_string(), "tapedeck walk-forward --help")
        }
        engine::WalkForwardError::Run(error) => failure(error),
    })?;
    let write = |path: &std::path::Path, written: Result<(), tables::TableError>| {
        written.map_err(|error| Failure::other(format!("{}: {error}", path.display())))
    };
    if let Some(path) = &options.trades {
        write(path, tables::write_trades(path, &result.trades))?;
    }
    if let Some(path) = &options.equity {
        write(path, tables::write_equity(path, &result.equity))?;
    }
    let joined = Outcome {
        trades: result.trades.clone(),
        equity: result.equity.clone(),
        initial_cash: job.config.account.cash,
        ..Outcome::default()
    };
    let measured =
        statistics(&joined, job.market.calendar).map_err(|error| Failure::other(error.to_string()))?;
    let window = |(first, last): &(domain::calendar::Session, domain::calendar::Session)| {
        format!("{} – {}", first.date, last.date)
    };
    if output.json {
        let folds: Vec<_> = result
            .folds
            .iter()
            .map(|fold| {
                json!({
                    "in_sample": {"from": fold.in_sample.0.date.to_string(), "to": fold.in_sample.1.date.to_string()},
                    "out_of_sample":
                        {"from": fold.out_of_sample.0.date.to_string(), "to": fold.out_of_sample.1.date.to_string()},
                    "parameters": fold.chosen.as_ref().map(|point| job.values(point)),
                    "in_sample_score": fold.in_sample_score, "out_of_sample_score": fold.out_of_sample_score,
                    "trades": fold.trades, "refused": fold.refused,
                })
            })
            .collect();
        return output.document(&json!({
            "metric": job.metric, "anchored": options.anchored, "runs": result.runs, "folds": folds,
            "out_of_sample": measured, "data_hash": job.market.hash, "seed": job.seed,
            "code_version": env!("CARGO_PKG_VERSION"),
        }));
    }
    let rows: Vec<Vec<String>> = result
        .folds
        .iter()
        .map(|fold| {
            let chosen = fold.chosen.as_ref().map(|point| {
                let values = job.values(point);
                let pairs = values
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
                pairs.collect::<Vec<_>>().join(" ")
            });
            let score = |score: Option<f64>| score.map_or("–".to_owned(), shown);
            vec![
                window(&fold.in_sample),
                window(&fold.out_of_sample),
                chosen.unwrap_or_else(|| "–".to_owned()),
                score(fold.in_sample_score),
                score(fold.out_of_sample_score),
                fold.trades.to_string(),
            ]
        })
        .collect();
    output.table(&["in sample", "out of sample", "chosen", "in", "out", "trades"], &rows);
    output.line("out of sample, joined:");
    print_statistics(&measured, output);
    Ok(())
}

/// The market of a search: that of the files, or that of the tape.
async fn market(global: &Global, run: &RunOptions) -> Result<(Loaded, Timeframe), Failure> {
    if !run.bars.is_empty() {
        let from = data::load(run).await?;
        return Ok((from.market, from.timeframe));
    }
    let timeframe = run.format.timeframe.as_deref().and_then(|name| name.parse::<Timeframe>().ok());
    let Some(timeframe) = timeframe else {
        return Err(Failure::usage(
            "--timeframe: expected the timeframe of the tape's bars, or --bars FILE",
            HELP,
        ));
    };
    let request = request(global, run, &[], timeframe.name())?;
    if run.offline {
        return Ok((data::kept(global, &request).await?, timeframe));
    }
    let session = Session::open(global).await?;
    let market = data::of_tape(&session, &request).await;
    session.close().await;
    Ok((market?, timeframe))
}

/// The dimensions of `K=RANGE` texts.
fn space(config: &Config, texts: &[String]) -> Result<Vec<Dimension>, Failure> {
    let mut space: Vec<Dimension> = Vec::new();
    for text in texts {
        let parameter = pair("--param", text)?;
        let values =
            values(&parameter.value).map_err(|error| Failure::usage(format!("--param {error}"), HELP))?;
        let (only, name) = match parameter.name.split_once('.') {
            Some((strategy, name)) => (Some(strategy), name),
            None => (None, parameter.name.as_str()),
        };
        let of: Vec<_> = config
            .strategies
            .iter()
            .filter(|strategy| only.is_none_or(|only| only == strategy.name))
            .filter(|strategy| {
                let kind = domain::strategy::kinds().iter().find(|kind| kind.name == strategy.kind);
                kind.is_some_and(|kind| kind.parameters.iter().any(|spec| spec.name == name))
            })
            .collect();
        let [strategy] = of.as_slice() else {
            let message =
                format!("--param {}: {} strategies have it, expected one", parameter.name, of.len());
            return Err(Failure::usage(message, HELP));
        };
        let dimension = Dimension { strategy: strategy.name.clone(), parameter: name.to_owned(), values };
        if space
            .iter()
            .any(|known| (&known.strategy, &known.parameter) == (&dimension.strategy, &dimension.parameter))
        {
            return Err(Failure::usage(format!("--param {}: stated twice", parameter.name), HELP));
        }
        space.push(dimension);
    }
    Ok(space)
}
