//! Where the bars of an indicator come from: files, or the tape's read models.

use std::path::{Path, PathBuf};

use analytics::warnings::Warning;
use backtest::checks;
use contracts::v1;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::CorporateAction;
use domain::indicator::catalogue::Recorded;
use domain::series::BarSeries;
use ingest::file::{self, Opened, ReadOptions, Rejected};
use projections::queries;
use sqlx::PgPool;

use crate::cli::Indicator;
use crate::command::import::{check_order, hours, left_out, of_file, read_options};
use crate::command::market;
use crate::command::symbols::one;
use crate::exit::Failure;
use crate::session::Session;

/// Rows read from a file at a time.
const CHUNK: usize = 10_000;

/// Bars of one series, oldest first, and the actions of its symbol.
#[derive(Debug)]
pub struct Chosen {
    symbol: String,
    timeframe: Timeframe,
    bars: Vec<Bar>,
    actions: Vec<CorporateAction>,
    /// That rows of its files are left out, in words.
    left_out: Option<String>,
}

impl Chosen {
    /// What is to be said of rows of its files that are left out.
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// As an indicator walks it.
    pub fn recorded(&self) -> Recorded<'_> {
        Recorded { bars: &self.bars, actions: &self.actions }
    }

    /// A split that no action states, among the bars that figures from the first time until before the second depend
    /// on: those after `settled` bars depend on no older ones.
    pub fn unstated_split(
        &self,
        calendar: &Calendar,
        (from_ns, to_ns): (i64, i64),
        settled: Option<usize>,
    ) -> Option<Warning> {
        let first = self.bars.partition_point(|bar| bar.close_ns < from_ns);
        let first = settled.map_or(0, |settled| first.saturating_sub(settled));
        let series = BarSeries::of("", &self.symbol, self.timeframe, &self.bars[first..]);
        checks::of_series(&series, self.actions.iter(), calendar, Some(to_ns))
    }
}

/// Where bars come from.
pub enum Source {
    /// The files that the options name.
    Files,
    /// The read models of a tape.
    Tape(PgPool),
}

/// One series of a file.
struct Read {
    symbol: String,
    timeframe: Timeframe,
    bars: Vec<Bar>,
}

/// What files hold.
#[derive(Default)]
struct Found {
    series: Vec<Read>,
    rejected: Vec<Rejected>,
    /// Rows of the files, bars or not.
    read: u64,
}

impl Source {
    pub async fn tape(session: &Session) -> Result<Self, Failure> {
        Ok(Self::Tape(session.reader().await?))
    }

    /// The series that the options choose; of a tape as it was known before an instant where there is one.
    pub async fn own(&self, options: &Indicator, known_before_ns: Option<i64>) -> Result<Chosen, Failure> {
        let symbol = options.format.symbol.as_deref();
        match self {
            Self::Files => choose(read_all(&options.bars, options)?, symbol, options),
            Self::Tape(pool) => {
                let symbol = symbol.ok_or_else(|| {
                    Failure::usage("--symbol is missing: expected a symbol, or --bars FILE", "tapedeck bars")
                })?;
                stored(pool, symbol, options, known_before_ns).await
            }
        }
    }

    /// The second series: a file where there is one of that name, else a symbol.
    pub async fn other(
        &self,
        wanted: &str,
        options: &Indicator,
        known_before_ns: Option<i64>,
    ) -> Result<Chosen, Failure> {
        let path = PathBuf::from(wanted);
        if path.is_file() {
            return choose(read_all(&[path], options)?, None, options);
        }
        let symbol = &one("--against", wanted, "tapedeck indicator --help")?;
        match self {
            Self::Files => choose(read_all(&options.bars, options)?, Some(symbol), options),
            Self::Tape(pool) => stored(pool, symbol, options, known_before_ns).await,
        }
    }
}

fn read_all(paths: &[PathBuf], options: &Indicator) -> Result<Found, Failure> {
    let market = hours(options.calendar.as_deref(), "tapedeck indicator --help")?;
    let format = ReadOptions { market, ..read_options(&options.format)? };
    let mut found = Found::default();
    for path in paths {
        read_file(path, &format, &mut found)?;
    }
    check_order(&found.rejected, found.read, "tapedeck indicator --help")?;
    Ok(found)
}

fn read_file(path: &Path, format: &ReadOptions, found: &mut Found) -> Result<(), Failure> {
    let unreadable = |error: file::FileError| Failure::usage(error.to_string(), "tapedeck indicator --help");
    // Symbol and timeframe are a choice among those of the files.
    let stated = ReadOptions { symbol: None, timeframe: None, ..format.clone() };
    file::check_stated(path, &stated).map_err(unreadable)?;
    // A file that does not say its symbol is named by it, as in a backtest.
    let symbol = format.symbol.clone().or_else(|| file::named(path));
    let format = &ReadOptions { symbol, ..format.clone() };
    let Opened::Bars(mut bars) = file::open(path, format).map_err(unreadable)? else {
        let message = format!("--bars {}: expected bars, these are corporate actions", path.display());
        return Err(Failure::usage(message, "tapedeck indicator rsi --bars FILE --actions FILE"));
    };
    // A file numbers its own series; several files may hold parts of one.
    let mut places: Vec<usize> = Vec::new();
    while let Some(chunk) = bars.chunk(CHUNK).map_err(unreadable)? {
        found.read += chunk.read;
        found.rejected.extend(of_file(path, chunk.rejected));
        for series in chunk.series {
            let same = |read: &Read| read.symbol == series.symbol && read.timeframe == series.timeframe;
            let place = found.series.iter().position(same).unwrap_or_else(|| {
                let file::Series { symbol, timeframe } = series.clone();
                found.series.push(Read { symbol, timeframe, bars: Vec::new() });
                found.series.len() - 1
            });
            places.push(place);
        }
        for row in chunk.rows {
            if let Some(read) = places.get(row.series).and_then(|place| found.series.get_mut(*place)) {
                read.bars.push(row.bar);
            }
        }
    }
    Ok(())
}

/// The one series that is meant; none or several are an error that names those there are.
fn choose(found: Found, symbol: Option<&str>, options: &Indicator) -> Result<Chosen, Failure> {
    let Found { series: mut found, mut rejected, .. } = found;
    // Of a series of which every row is left out nothing is there.
    found.retain(|read| !read.bars.is_empty());
    let known: Vec<String> = found.iter().map(|read| format!("{} {}", read.symbol, read.timeframe)).collect();
    let timeframe = read_options(&options.format)?.timeframe;
    found.retain(|read| symbol.is_none_or(|symbol| read.symbol == symbol));
    found.retain(|read| timeframe.is_none_or(|timeframe| read.timeframe == timeframe));
    let asked = symbol.map(|symbol| format!(" of {symbol}")).unwrap_or_default();
    if found.len() > 1 {
        let message =
            format!("the files hold {}: expected --symbol and --timeframe of one", known.join(", "));
        return Err(Failure::usage(message, "tapedeck indicator rsi --bars FILE --symbol AAPL"));
    }
    let Some(mut read) = found.pop() else {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let why = left_out(&rejected).map_or_else(String::new, |note| format!("; {note}"));
        return Err(Failure::not_found(format!("no bars{asked}: the files hold {known}{why}"), ""));
    };
    read.bars.sort_by_key(|bar| bar.close_ns);
    if let Some(pair) = read.bars.windows(2).find(|pair| pair[0].close_ns == pair[1].close_ns) {
        let close = crate::render::time(pair[0].close_ns);
        return Err(Failure::usage(format!("two files hold the bar{asked} that closes at {close}"), ""));
    }
    let actions = options.actions.as_deref();
    let actions = actions.map_or(Ok(Vec::new()), |path| read_actions(path, &read.symbol, &mut rejected))?;
    let left_out = left_out(&rejected);
    Ok(Chosen { symbol: read.symbol, timeframe: read.timeframe, bars: read.bars, actions, left_out })
}

/// The actions of a symbol; rows of the file that are none are added to those left out.
fn read_actions(
    path: &Path,
    symbol: &str,
    rejected: &mut Vec<Rejected>,
) -> Result<Vec<CorporateAction>, Failure> {
    let unreadable = |error: file::FileError| Failure::usage(error.to_string(), "tapedeck indicator --help");
    let Opened::Actions(file) = file::open(path, &ReadOptions::default()).map_err(unreadable)? else {
        let message = format!("--actions {}: expected columns symbol, ex_date, kind, value", path.display());
        return Err(Failure::usage(message, "tapedeck indicator --help"));
    };
    let all = file.read().map_err(unreadable)?;
    rejected.extend(of_file(path, all.rejected));
    let own = all.actions.iter().filter(|action| action.symbol == symbol);
    own.map(|action| {
        let wire = v1::CorporateAction {
            symbol: action.symbol.clone(),
            ex_date: action.ex_date.to_string(),
            kind: action.kind.into(),
            value_e9: action.value_e9,
            ..v1::CorporateAction::default()
        };
        CorporateAction::from_wire(&wire)
            .map_err(|error| Failure::usage(format!("{} line {}: {error}", path.display(), action.line), ""))
    })
    .collect()
}

/// All bars of a symbol on the tape, with its splits; those that were known before an instant where there is one.
async fn stored(
    pool: &PgPool,
    symbol: &str,
    options: &Indicator,
    known_before_ns: Option<i64>,
) -> Result<Chosen, Failure> {
    let series = queries::series_of(pool, symbol).await.map_err(market::unreachable)?;
    let asked = read_options(&options.format)?.timeframe;
    let timeframe = market::timeframe(asked, symbol, &series, 0)?;
    let whole = (i64::MIN, i64::MAX);
    let (bars, actions) = market::stored(pool, symbol, timeframe, whole, known_before_ns).await?;
    Ok(Chosen { symbol: symbol.to_owned(), timeframe, bars, actions, left_out: None })
}
