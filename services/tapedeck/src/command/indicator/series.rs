//! Where the bars of an indicator come from: files, or the tape's read models.

use std::path::{Path, PathBuf};

use contracts::v1;
use domain::bar::{Bar, Timeframe};
use domain::corporate_action::CorporateAction;
use ingest::file::{self, Opened, ReadOptions, Rejected};
use projections::queries;
use sqlx::PgPool;

use crate::cli::Indicator;
use crate::command::import::read_options;
use crate::exit::Failure;
use crate::session::Session;

/// Rows read from a file at a time.
const CHUNK: usize = 10_000;
/// Bars read from the read model at a time.
const PART: u32 = 50_000;

/// Bars of one series, oldest first, and the actions of its symbol.
#[derive(Debug, Default)]
pub struct Chosen {
    pub bars: Vec<Bar>,
    pub actions: Vec<CorporateAction>,
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

impl Source {
    pub async fn tape(session: &Session) -> Result<Self, Failure> {
        Ok(Self::Tape(session.reader().await?))
    }

    /// The series that the options choose.
    pub async fn own(&self, options: &Indicator) -> Result<Chosen, Failure> {
        let symbol = options.format.symbol.as_deref();
        match self {
            Self::Files => choose(read_all(&options.bars, options)?, symbol, options),
            Self::Tape(pool) => {
                let symbol = symbol.ok_or_else(|| {
                    Failure::usage("--symbol is missing: expected a symbol, or --bars FILE", "tapedeck bars")
                })?;
                stored(pool, symbol, options).await
            }
        }
    }

    /// The second series: a file where there is one of that name, else a symbol.
    pub async fn other(&self, wanted: &str, options: &Indicator) -> Result<Chosen, Failure> {
        let path = PathBuf::from(wanted);
        if path.is_file() {
            return choose(read_all(&[path], options)?, None, options);
        }
        match self {
            Self::Files => choose(read_all(&options.bars, options)?, Some(wanted), options),
            Self::Tape(pool) => stored(pool, wanted, options).await,
        }
    }
}

fn read_all(paths: &[PathBuf], options: &Indicator) -> Result<Vec<Read>, Failure> {
    let format = read_options(&options.format)?;
    let mut found = Vec::new();
    for path in paths {
        read_file(path, &format, &mut found)?;
    }
    Ok(found)
}

fn refuse(path: &Path, rejected: &Rejected) -> Failure {
    let Rejected { line, field, value, reason, .. } = rejected;
    Failure::usage(
        format!("{} line {line}: {field} {value:?}: {reason}", path.display()),
        "tapedeck import FILE",
    )
}

fn read_file(path: &Path, format: &ReadOptions, found: &mut Vec<Read>) -> Result<(), Failure> {
    let unreadable = |error: file::FileError| Failure::usage(error.to_string(), "tapedeck indicator --help");
    let Opened::Bars(mut bars) = file::open(path, format).map_err(unreadable)? else {
        let message = format!("--bars {}: expected bars, these are corporate actions", path.display());
        return Err(Failure::usage(message, "tapedeck indicator rsi --bars FILE --actions FILE"));
    };
    // A file numbers its own series; several files may hold parts of one.
    let mut places: Vec<usize> = Vec::new();
    while let Some(chunk) = bars.chunk(CHUNK).map_err(unreadable)? {
        if let Some(rejected) = chunk.rejected.first() {
            return Err(refuse(path, rejected));
        }
        for series in chunk.series {
            let same = |read: &Read| read.symbol == series.symbol && read.timeframe == series.timeframe;
            let place = found.iter().position(same).unwrap_or_else(|| {
                let file::Series { symbol, timeframe } = series.clone();
                found.push(Read { symbol, timeframe, bars: Vec::new() });
                found.len() - 1
            });
            places.push(place);
        }
        for row in chunk.rows {
            if let Some(read) = places.get(row.series).and_then(|place| found.get_mut(*place)) {
                read.bars.push(row.bar);
            }
        }
    }
    Ok(())
}

/// The one series that is meant; none or several are an error that names those there are.
fn choose(mut found: Vec<Read>, symbol: Option<&str>, options: &Indicator) -> Result<Chosen, Failure> {
    let known: Vec<String> = found.iter().map(|read| format!("{} {}", read.symbol, read.timeframe)).collect();
    let timeframe = read_options(&options.format)?.timeframe;
    found.retain(|read| symbol.is_none_or(|symbol| read.symbol.eq_ignore_ascii_case(symbol)));
    found.retain(|read| timeframe.is_none_or(|timeframe| read.timeframe == timeframe));
    let asked = symbol.map(|symbol| format!(" of {symbol}")).unwrap_or_default();
    if found.len() > 1 {
        let message =
            format!("the files hold {}: expected --symbol and --timeframe of one", known.join(", "));
        return Err(Failure::usage(message, "tapedeck indicator rsi --bars FILE --symbol AAPL"));
    }
    let Some(mut read) = found.pop() else {
        return Err(Failure::not_found(format!("no bars{asked}: the files hold {}", known.join(", ")), ""));
    };
    read.bars.sort_by_key(|bar| bar.close_ns);
    if let Some(pair) = read.bars.windows(2).find(|pair| pair[0].close_ns == pair[1].close_ns) {
        let close = crate::render::time(pair[0].close_ns);
        return Err(Failure::usage(format!("two files hold the bar{asked} that closes at {close}"), ""));
    }
    let actions =
        options.actions.as_deref().map_or(Ok(Vec::new()), |path| read_actions(path, &read.symbol))?;
    Ok(Chosen { bars: read.bars, actions })
}

fn read_actions(path: &Path, symbol: &str) -> Result<Vec<CorporateAction>, Failure> {
    let unreadable = |error: file::FileError| Failure::usage(error.to_string(), "tapedeck indicator --help");
    let Opened::Actions(file) = file::open(path, &ReadOptions::default()).map_err(unreadable)? else {
        let message = format!("--actions {}: expected columns symbol, ex_date, kind, value", path.display());
        return Err(Failure::usage(message, "tapedeck indicator --help"));
    };
    let all = file.read().map_err(unreadable)?;
    if let Some(rejected) = all.rejected.first() {
        return Err(refuse(path, rejected));
    }
    let own = all.actions.iter().filter(|action| action.symbol.eq_ignore_ascii_case(symbol));
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

/// All bars of a symbol on the tape, with its splits.
async fn stored(pool: &PgPool, symbol: &str, options: &Indicator) -> Result<Chosen, Failure> {
    let unreachable = |error: queries::QueryError| Failure::unreachable(error.to_string());
    let symbol = symbol.to_uppercase();
    let series = queries::series_of(pool, &symbol).await.map_err(unreachable)?;
    let asked = read_options(&options.format)?.timeframe;
    let timeframe = super::super::market::timeframe(asked, &symbol, &series, 0)?;
    let (mut parts, mut to_ns) = (Vec::new(), i64::MAX);
    loop {
        let part = queries::bars_between(pool, &symbol, timeframe, i64::MIN, to_ns, PART).await;
        let part = part.map_err(unreachable)?;
        let Some(first) = part.first() else { break };
        to_ns = first.close_ns;
        parts.push(part);
    }
    let bars = parts.iter().rev().flatten().map(queries::BarRow::bar).collect();
    let rows = queries::actions_between(pool, Some(&symbol), "0001-01-01", "9999-12-31", u64::MAX).await;
    let rows = rows.map_err(unreachable)?;
    let actions = rows.iter().map(|row| CorporateAction::from_wire(&row.wire()));
    let actions = actions.collect::<Result<_, _>>().map_err(|error| Failure::other(error.to_string()))?;
    Ok(Chosen { bars, actions })
}
