//! `tapedeck pairs`: do two symbols move together, and where is their spread?
//!
//! Closes are in the shares of the newest bar, so that a split is no step. Bars come from the tape's read model or
//! from files; only instants at which both symbols have a bar count.

mod files;

use std::collections::BTreeMap;

use domain::bar::Timeframe;
use domain::money::Price;
use domain::statistics::{MeasuredPair, PairStatistics};
use ingest::file::ReadOptions;
use projections::queries::{self, PairError, PairWanted};
use serde::Serialize;

use crate::cli::{BarFormat, Global, Pairs};
use crate::command::import::{hours, left_out, read_options};
use crate::command::market::{refused, span};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Closes of one symbol by the close of their bar, in the shares of the newest.
type Closes = BTreeMap<i64, Price>;

/// What is printed.
#[derive(Debug, Serialize)]
struct Report<'options> {
    first: &'options str,
    second: &'options str,
    timeframe: &'static str,
    /// Close of the first and of the last bar that both have.
    from: String,
    to: String,
    #[serde(flatten)]
    statistics: PairStatistics,
}

/// The range of closes asked for: from, and before.
struct Range {
    from_ns: i64,
    to_ns: i64,
}

impl Range {
    fn of(options: &Pairs) -> Result<Self, Failure> {
        let hint = "tapedeck pairs AAPL SPY --from 2020-01-02 --to 2020-12-31";
        let span = span(options.from.as_deref(), options.to.as_deref(), hint)?;
        Ok(Self { from_ns: span.start, to_ns: span.end })
    }

    fn holds(&self, close_ns: i64) -> bool {
        (self.from_ns..self.to_ns).contains(&close_ns)
    }
}

/// Measures a pair of bars in files; needs no tape.
pub fn of_files(global: &Global, options: &Pairs, output: Output) -> Result<(), Failure> {
    // A broken configuration is an error of every command over files.
    global.configuration()?;
    let format = BarFormat {
        symbol: None,
        timeframe: options.timeframe.map(|timeframe| timeframe.name().to_owned()),
        timezone: options.timezone.clone(),
        adjusted: options.adjusted.clone(),
    };
    let range = Range::of(options)?;
    let symbols = symbols(options)?;
    let market = hours(options.calendar.as_deref(), "tapedeck pairs --help")?;
    let format = ReadOptions { market, ..read_options(&format)? };
    let held = files::read(&options.bars, &format, &symbols)?;
    if let Some(note) = left_out(held.rejected()) {
        output.note(&note);
    }
    let timeframe = held.timeframe(options.timeframe)?;
    let warnings = held.unstated_splits(timeframe, &range);
    warnings.iter().for_each(|warning| output.note(&warning.text));
    let closes = held.closes(timeframe)?;
    let closes = closes.map(|closes| closes.into_iter().filter(|(at, _)| range.holds(*at)).collect());
    print(&symbols, timeframe, &closes, output)
}

/// Measures a pair of the tape.
pub async fn of_tape(session: &Session, options: &Pairs, output: Output) -> Result<(), Failure> {
    let Range { from_ns, to_ns } = Range::of(options)?;
    let wanted = PairWanted { symbols: symbols(options)?, timeframe: options.timeframe, from_ns, to_ns };
    let pool = session.reader().await?;
    let found = queries::pair_closes(&pool, &wanted).await.map_err(failure)?;
    print(&wanted.symbols, found.timeframe, &found.closes, output)
}

fn failure(error: PairError) -> Failure {
    let message = error.to_string();
    match error {
        PairError::Adjusted(error) => refused(error),
        PairError::NoBars(symbol) => {
            Failure::not_found(message, format!("tapedeck import FILE --symbol {symbol}"))
        }
        PairError::NoTimeframe { .. } => {
            Failure::not_found(message, "tapedeck pairs AAPL SPY --timeframe 1d")
        }
    }
}

fn symbols(options: &Pairs) -> Result<[String; 2], Failure> {
    let symbols = [options.first.clone(), options.second.clone()];
    if symbols[0] == symbols[1] {
        let message = format!("SECOND {:?}: expected another symbol than FIRST", symbols[1]);
        return Err(Failure::usage(message, "tapedeck pairs AAPL SPY"));
    }
    Ok(symbols)
}

fn print(
    symbols: &[String; 2],
    timeframe: Timeframe,
    closes: &[Closes; 2],
    output: Output,
) -> Result<(), Failure> {
    let measured = MeasuredPair::of(&closes[0], &closes[1]).map_err(|error| {
        Failure::other(format!("{} and {}, bars that both have: {error}", symbols[0], symbols[1]))
    })?;
    let report = Report {
        first: &symbols[0],
        second: &symbols[1],
        timeframe: timeframe.name(),
        from: time(measured.from_ns),
        to: time(measured.to_ns),
        statistics: measured.statistics,
    };
    if output.json {
        return output.document(&report);
    }
    lines(&report).iter().for_each(|line| output.line(line));
    Ok(())
}

fn lines(report: &Report<'_>) -> Vec<String> {
    let Report { first, second, timeframe, from, to, statistics } = report;
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let critical = |values: &[f64; 3]| values.map(|value| format!("{value:.2}")).join(" ");
    let test = &statistics.engle_granger;
    let mut lines = vec![
        format!("{first} on {second}, {timeframe}, {} bars from {from} to {to}", statistics.observations),
        format!(
            "hedge ratio     {:.6} (ln {first} = {:.6} + ratio · ln {second})",
            statistics.hedge_ratio, statistics.intercept
        ),
        format!(
            "Engle–Granger   ADF {}, p-value {:.4}, {} lags; critical at 1, 5, 10 %: {}",
            number(test.statistic),
            test.p_value,
            test.lags,
            critical(&test.critical_values)
        ),
        format!("half-life       {} bars", number(statistics.half_life)),
        format!("Hurst exponent  {}", number(statistics.hurst)),
    ];
    if let Some(johansen) = &statistics.johansen {
        for (index, asked) in ["no combination", "at most one"].into_iter().enumerate() {
            lines.push(format!(
                "Johansen        {asked}: eigenvalue {:.6}, trace {:.3} (90, 95, 99 %: {}), maximum {:.3} ({})",
                johansen.eigenvalues[index],
                johansen.trace[index],
                critical(&johansen.trace_critical_values[index]),
                johansen.maximum[index],
                critical(&johansen.maximum_critical_values[index]),
            ));
        }
    }
    lines.push(format!("z-score         {} at the last bar", number(statistics.z_score)));
    lines
}
