//! The market that a run walks: from files, from a tape, or from what is kept of a tape.

use std::collections::BTreeSet;
use std::path::PathBuf;

use backtest::{Loaded, MarketError};
use contracts::v1::BacktestRequest;
use domain::bar::Timeframe;
use domain::corporate_action::CorporateAction;
use domain::series::{BarSeries, MarketData};
use history::file::ReadOptions;
use history::{Range, Selection, segments};
use ingest::import::latest_close_ns;

use super::HELP;
use super::limits::scoped;
use crate::cli::{Global, RunOptions};
use crate::command;
use crate::command::import::{
    check_order, check_stated, hours, left_out, not_actions, not_bars, read_options,
};
use crate::exit::Failure;
use crate::session::Session;

/// Source that bars of files have; that of a rehearsal of the same files.
const SOURCE: &str = "rehearsal";

/// The market of a run, and what is to be said of it.
pub struct FromFiles {
    /// Bars, actions and the calendar.
    pub market: Loaded,
    /// Timeframe of the bars.
    pub timeframe: Timeframe,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A request over the bars of a tape that states no calendar, with that of the tape.
pub async fn with_calendar(session: &Session, request: BacktestRequest) -> Result<BacktestRequest, Failure> {
    let noted = session.manifest.market()?;
    backtest::with_calendar(&session.tape, noted, request).await.map_err(failure)
}

/// Loads the bars of a tape up to its head.
pub async fn of_tape(
    session: &Session,
    options: &RunOptions,
    request: &BacktestRequest,
) -> Result<Loaded, Failure> {
    let dir = command::history::dir_of(&session.dir.path);
    let market = backtest::load(&session.tape, &dir, request).await.map_err(failure)?;
    check_limited(options, &market.data)?;
    Ok(market)
}

/// The timeframe of a tape's bars, where nobody says which: the only one in which it holds any of the symbols, of which
/// none stated means all.
pub async fn only_timeframe(session: &Session, symbols: &[String]) -> Result<Timeframe, Failure> {
    let mut held = Vec::new();
    for timeframe in Timeframe::ALL {
        if holds(session, timeframe, symbols).await? {
            held.push(timeframe);
        }
    }
    if held.is_empty() && symbols.is_empty() {
        return Err(Failure::usage("--bars: expected FILE, for the tape holds no bars", HELP));
    }
    only(&held, symbols)
}

/// The same of what is kept of a tape, without its servers.
pub fn only_kept_timeframe(global: &Global, symbols: &[String]) -> Result<Timeframe, Failure> {
    let (dir, _) = command::history::offline_tape(global)?;
    let kept = segments::open(&dir).and_then(|segments| segments.list());
    let kept = kept.map_err(|error| Failure::other(error.to_string()))?;
    let batches = kept.iter().filter_map(|segment| segment.content.as_ref()).flat_map(|all| &all.batches);
    let batches: Vec<_> =
        batches.filter(|batch| symbols.is_empty() || symbols.contains(&batch.symbol)).collect();
    let is_held = |timeframe: &Timeframe| batches.iter().any(|batch| batch.timeframe == timeframe.name());
    let held: Vec<Timeframe> = Timeframe::ALL.into_iter().filter(is_held).collect();
    if held.is_empty() && symbols.is_empty() {
        return Err(Failure::not_found("no bars are kept of the tape", "tapedeck history sync"));
    }
    only(&held, symbols)
}

/// The one timeframe that is held of the symbols.
fn only(held: &[Timeframe], symbols: &[String]) -> Result<Timeframe, Failure> {
    match held {
        [only] => Ok(*only),
        [] => {
            let stated = symbols.join(",");
            Err(Failure::not_found(
                format!("--symbols {stated}: the tape has no bars of them"),
                "tapedeck bars",
            ))
        }
        held => {
            let held: Vec<&str> = held.iter().map(|timeframe| timeframe.name()).collect();
            let held = held.join(", ");
            Err(Failure::usage(
                format!("--timeframe: not stated, and the tape has bars of {held}: state one"),
                HELP,
            ))
        }
    }
}

async fn holds(session: &Session, timeframe: Timeframe, symbols: &[String]) -> Result<bool, Failure> {
    let market = contracts::stream::MARKET;
    if symbols.is_empty() {
        let every = format!("market.bar.{timeframe}.>");
        return Ok(session.tape.last_sequence(market, &every).await? > 0);
    }
    for symbol in symbols {
        let subject = contracts::Subject::bar(timeframe.name(), symbol);
        if session.tape.last_sequence(market, subject.as_str()).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Loads the bars that the segments of a tape hold, without its servers.
pub async fn kept(
    global: &Global,
    options: &RunOptions,
    request: &BacktestRequest,
) -> Result<Loaded, Failure> {
    let (dir, manifest) = command::history::offline_tape(global)?;
    let mut request = request.clone();
    if request.calendar.is_empty() {
        manifest.market()?.name().clone_into(&mut request.calendar);
    }
    let loading = tokio::task::spawn_blocking(move || backtest::load_kept(&dir, &request));
    let loaded = loading.await.map_err(|error| Failure::other(error.to_string()))?;
    let market = loaded.map_err(|error| match error {
        MarketError::Missing(why) => Failure::not_found(why, "tapedeck history sync"),
        other => failure(other),
    })?;
    check_limited(options, &market.data)?;
    Ok(market)
}

fn failure(error: MarketError) -> Failure {
    match error {
        MarketError::Log(error) => error.into(),
        MarketError::History(error) => command::history::history_failure(error),
        MarketError::Missing(why) => Failure::not_found(why, "tapedeck bars"),
    }
}

/// Refuses a run whose strategies name symbols that the files have no bars of.
pub fn check_named(request: &BacktestRequest, market: &Loaded) -> Result<(), Failure> {
    backtest::check_named(request, &market.data).map_err(|error| Failure::not_found(error.to_string(), HELP))
}

/// Refuses a limit of a symbol that the run has no bars of.
fn check_limited(options: &RunOptions, data: &MarketData) -> Result<(), Failure> {
    for text in &options.scoped_limits {
        let symbol = scoped(text)?.0.symbol;
        if !symbol.is_empty() && !data.series.iter().any(|series| *series.symbol == *symbol) {
            let known = known_symbols(data);
            let message = format!("--limit {text}: no bars of {symbol}, expected one of {known}");
            return Err(Failure::not_found(message, HELP));
        }
    }
    Ok(())
}

/// The symbols that there are bars of, in words.
fn known_symbols(data: &MarketData) -> String {
    let known: BTreeSet<&str> = data.series.iter().map(|series| &*series.symbol).collect();
    known.into_iter().collect::<Vec<_>>().join(", ")
}

/// Refuses what says something of files where none are named: it would be passed over.
pub fn check_of_files(options: &RunOptions) -> Result<(), Failure> {
    if !options.bars.is_empty() {
        return Ok(());
    }
    let actions = options.actions.first().map(|file| ("--actions", file.display().to_string()));
    let symbol = options.format.symbol.clone().map(|symbol| ("--symbol", symbol));
    let format = options.format.of_files().map(|(option, value)| (option, value.to_owned()));
    let Some((option, value)) = actions.or(symbol).or(format) else { return Ok(()) };
    let instead = match option {
        "--actions" => "a tape has its own",
        "--symbol" => "what is traded of a tape is stated with --symbols",
        _ => "the bars of a tape leave nothing open",
    };
    let message = format!("{option} {value}: expected none without --bars; {instead}");
    Err(Failure::usage(message, HELP))
}

/// Loads the files that the options name.
pub async fn load(options: &RunOptions) -> Result<FromFiles, Failure> {
    let hours = hours(options.calendar.as_deref().filter(|name| !name.is_empty()), HELP)?;
    let read = read_options(&options.format)?;
    let files: Vec<_> = options.bars.iter().chain(&options.actions).cloned().collect();
    let options_of = [("--bars", &options.bars), ("--actions", &options.actions)];
    for (option, file) in
        options_of.iter().flat_map(|(option, files)| files.iter().map(move |file| (option, file)))
    {
        if !file.exists() {
            return Err(Failure::not_found(format!("{}: no such file", file.display()), ""));
        }
        if file.is_dir() {
            return Err(Failure::usage(
                format!("{option} {}: a directory, expected a file", file.display()),
                HELP,
            ));
        }
    }
    let range = Range { from: options.from, to: options.to };
    let selection = Selection { range, market: hours, ..Selection::default() };
    let latest_ns = Some(latest_close_ns(runtime::now_ns()));
    let read = ReadOptions { market: hours, latest_ns, ..read };
    // A timeframe is a choice among those of the files.
    let stated = ReadOptions { timeframe: None, ..read.clone() };
    let loading = tokio::task::spawn_blocking(move || {
        check_stated(&files, &stated, HELP)?;
        let loaded = history::file::load(SOURCE, &files, &read, &selection);
        loaded.map_err(|error| Failure::usage(error.to_string(), HELP))
    });
    let mut loaded = loading.await.map_err(|error| Failure::other(error.to_string()))??;
    if let ([file], []) | ([], [file]) = (options.bars.as_slice(), options.actions.as_slice()) {
        // The rows of the only file come without its name.
        loaded.rejected.iter_mut().for_each(|row| row.file = Some(file.display().to_string()));
    }
    check_order(&loaded.rejected, loaded.read, HELP)?;
    let mut warnings = loaded.notes;
    // Every action counts: one that is none is told whatever else is left out.
    let of_actions: Vec<String> =
        loaded.files_of_actions.iter().map(|file| file.display().to_string()).collect();
    let (no_actions, no_bars): (Vec<_>, Vec<_>) = loaded
        .rejected
        .into_iter()
        .partition(|row| row.file.as_ref().is_some_and(|file| of_actions.contains(file)));
    let left_out_bars = left_out(&no_bars);
    warnings.extend(left_out(&no_actions).map(|note| format!("corporate actions: {note}")));
    warnings.extend(left_out_bars.clone());
    check_kinds(options, &loaded.files_of_actions)?;
    let (mut data, read) = (loaded.data, loaded.hash);
    let all = data.series.len();
    let benchmark = benchmark(&data, options)?;
    select(&mut data, &options.symbols)?;
    if data.series.is_empty() {
        let why = left_out_bars.map_or_else(String::new, |note| format!("; {note}"));
        return Err(Failure::not_found(format!("the files hold no bars in the range{why}"), HELP));
    }
    let timeframe = timeframe(&mut data, options)?;
    check_limited(options, &data)?;
    // What was hashed when it was read is not hashed again.
    let hash = if data.series.len() == all { read } else { history::data_hash(&data) };
    let calendar = hours.calendar();
    let benchmark =
        match (&options.benchmark, benchmark.iter().find(|(series, _)| series.timeframe == timeframe)) {
            (None, _) => Vec::new(),
            (Some(_), Some((series, actions))) => backtest::closes(series, actions.iter(), calendar),
            (Some(symbol), None) => {
                let message = format!("--benchmark {symbol}: expected a symbol that has bars of {timeframe}");
                return Err(Failure::not_found(message, HELP));
            }
        };
    let notes = Vec::new();
    let market = Loaded { data, calendar, hash, from_ns: None, until_ns: None, benchmark, notes };
    Ok(FromFiles { market, timeframe, warnings })
}

/// Holds what the files turned out to be against the options that name them.
fn check_kinds(options: &RunOptions, files_of_actions: &[PathBuf]) -> Result<(), Failure> {
    let is_of_actions = |file: &&PathBuf| files_of_actions.contains(file);
    if let Some(file) = options.bars.iter().find(is_of_actions) {
        return Err(not_bars(file, HELP));
    }
    if let Some(file) = options.actions.iter().find(|file| !is_of_actions(file)) {
        return Err(not_actions(file, HELP));
    }
    Ok(())
}

/// The series of the benchmark in every timeframe, each with its corporate actions: it need not be traded.
fn benchmark(
    data: &MarketData,
    options: &RunOptions,
) -> Result<Vec<(BarSeries, Vec<CorporateAction>)>, Failure> {
    let Some(symbol) = &options.benchmark else { return Ok(Vec::new()) };
    let of_symbol = data.actions.iter().filter(|dated| *dated.symbol == **symbol);
    let actions: Vec<CorporateAction> = of_symbol.map(|dated| dated.action).collect();
    let series = data.series.iter().filter(|series| *series.symbol == **symbol);
    let found: Vec<_> = series.map(|series| (series.clone(), actions.clone())).collect();
    if found.is_empty() {
        let message = format!("--benchmark {symbol}: no bars, expected one of {}", known_symbols(data));
        return Err(Failure::not_found(message, HELP));
    }
    Ok(found)
}

/// Keeps the symbols that are wanted; one that there is not is a mistake.
fn select(market: &mut MarketData, symbols: &[String]) -> Result<(), Failure> {
    if symbols.is_empty() {
        return Ok(());
    }
    for symbol in symbols {
        if !market.series.iter().any(|series| *series.symbol == **symbol) {
            let known = known_symbols(market);
            return Err(Failure::not_found(
                format!("--symbols {symbol}: no bars, expected some of {known}"),
                "",
            ));
        }
    }
    market.series.retain(|series| symbols.iter().any(|symbol| **symbol == *series.symbol));
    market.actions.retain(|action| symbols.iter().any(|symbol| **symbol == *action.symbol));
    Ok(())
}

/// The one timeframe of the bars, or the one that is wanted of several.
fn timeframe(market: &mut MarketData, options: &RunOptions) -> Result<Timeframe, Failure> {
    let present: std::collections::BTreeSet<Timeframe> =
        market.series.iter().map(|series| series.timeframe).collect();
    let wanted = options.format.timeframe.as_deref().and_then(|name| name.parse::<Timeframe>().ok());
    let names = || present.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
    let chosen = match (wanted, present.iter().next()) {
        (Some(wanted), _) if present.contains(&wanted) => wanted,
        (None, Some(only)) if present.len() == 1 => *only,
        (Some(wanted), _) => {
            return Err(Failure::not_found(
                format!("--timeframe {wanted}: there are bars of {}", names()),
                "",
            ));
        }
        (None, _) => {
            return Err(Failure::usage(format!("--timeframe: expected one of {}", names()), HELP));
        }
    };
    market.series.retain(|series| series.timeframe == chosen);
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;

    #[test]
    fn what_is_said_of_files_is_refused_where_there_are_none() {
        let checked = |more: &[&str]| check_of_files(&options(more)).map_err(|failure| failure.message);
        for (option, value) in
            [("--actions", "actions.csv"), ("--symbol", "SPY"), ("--timezone", "UTC"), ("--adjusted", "none")]
        {
            let refused = checked(&[option, value]).unwrap_err();
            assert!(refused.starts_with(&format!("{option} {value}: expected none without --bars; ")));
            assert_eq!(checked(&["--bars", "bars.csv", option, value]), Ok(()), "{option}");
        }
        assert_eq!(checked(&["--symbols", "SPY", "--timeframe", "1h"]), Ok(()));
    }

    #[test]
    fn the_timeframe_is_the_only_one_or_those_that_there_are_are_named() {
        assert_eq!(only(&[Timeframe::H1], &[]).unwrap(), Timeframe::H1);
        let several = only(&[Timeframe::H1, Timeframe::D1], &[]).unwrap_err();
        let words = "--timeframe: not stated, and the tape has bars of 1h, 1d: state one";
        assert_eq!((several.code, several.message.as_str()), (2, words));
        let none = only(&[], &["X".to_owned()]).unwrap_err();
        assert_eq!((none.code, none.message.as_str()), (3, "--symbols X: the tape has no bars of them"));
    }
}
