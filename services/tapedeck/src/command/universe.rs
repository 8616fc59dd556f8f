//! `tapedeck universe`: groups of symbols, and whether their symbols are listed and told of.

use std::collections::BTreeMap;

use contracts::v1::Listing;
use contracts::v1::event::Body;
use projections::queries::{Standard, SymbolStanding};

use super::market::market_ns;
use super::symbols::listed;
use crate::cli::{Global, UniverseCheck};
use crate::config::Universe;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

const HELP: &str = "tapedeck universe --help";

/// Lists the groups.
pub fn list(global: &Global, output: Output) -> Result<(), Failure> {
    let configuration = global.configuration()?;
    let groups = configuration.config.universe.groups()?;
    if output.json {
        return output.document(&groups);
    }
    let row = |(name, symbols): (&&str, &Vec<String>)| {
        vec![format!("@{name}"), symbols.len().to_string(), symbols.join(" ")]
    };
    output.table(&["GROUP", "SYMBOLS", ""], &groups.iter().map(row).collect::<Vec<_>>());
    if groups.is_empty() {
        output.note("no group: [universe] in the configuration, for example tech = [\"AAPL\", \"MSFT\"]");
    }
    Ok(())
}

/// Says what the tape has of each symbol.
pub async fn check(session: &Session, options: &UniverseCheck, output: Output) -> Result<(), Failure> {
    let symbols = wanted(&session.config.universe, &options.symbols)?;
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    let calendar = session.manifest.market()?.calendar();
    let stale_sessions = session.config.quality.stale_sessions;
    // Where a market of the past is played, now is where it stands.
    let now_ns = market_ns(session).await?.unwrap_or_else(runtime::now_ns);
    let standard = Standard { calendar, now_ns, stale_sessions };
    for series in ingest::status::status(&session.tape, calendar).await? {
        let newest_ns = newest.entry(series.symbol).or_insert(series.last_close_ns);
        *newest_ns = series.last_close_ns.max(*newest_ns);
    }
    let mut checked = Vec::with_capacity(symbols.len());
    for symbol in symbols {
        let last_close_ns = newest.get(&symbol).copied();
        checked.push(of_symbol(session, symbol, last_close_ns, standard).await?);
    }
    if output.json {
        output.document(&checked)?;
    } else {
        let header =
            ["SYMBOL", "STATE", "STATED BY", "EXCHANGE", "DELISTED ON", "LAST BAR", "SESSIONS SINCE"];
        output.table(&header, &checked.iter().map(cells).collect::<Vec<_>>());
    }
    let of = |state: &str| -> Vec<&str> {
        checked.iter().filter(|row| row.state == state).map(|row| row.symbol.as_str()).collect()
    };
    let (delisted, stale, unknown) = (of("delisted"), of("stale"), of("unknown"));
    if !unknown.is_empty() {
        let symbols = unknown.join(",");
        output.note(&format!(
            "the tape knows nothing of {symbols}: tapedeck reference fetch --source massive --symbols {symbols}"
        ));
    }
    let ended: Vec<&str> = delisted.into_iter().chain(stale).collect();
    if ended.is_empty() {
        return Ok(());
    }
    Err(Failure::condition(format!("ended, or no bar of late: {}", ended.join(", "))))
}

/// The symbols asked for, else those of every group.
fn wanted(universe: &Universe, asked: &[String]) -> Result<Vec<String>, Failure> {
    if !asked.is_empty() {
        return listed(asked, HELP);
    }
    let all: Vec<String> = universe.groups()?.into_values().flatten().collect();
    if all.is_empty() {
        let message = "--symbols: expected some, because the configuration has no groups";
        return Err(Failure::usage(message, HELP));
    }
    listed(&all, HELP)
}

/// Of one symbol; the tape itself, for what is not folded yet counts too.
async fn of_symbol(
    session: &Session,
    symbol: String,
    last_close_ns: Option<i64>,
    standard: Standard<'_>,
) -> Result<SymbolStanding, Failure> {
    let stated = ingest::reference::state(&session.tape, &symbol, i64::MAX).await?;
    let listings: Vec<(String, Listing)> = stated
        .into_iter()
        .filter_map(|stated| match stated.body {
            Body::Listing(listing) => Some((stated.source, listing)),
            _ => None,
        })
        .collect();
    Ok(SymbolStanding::of(symbol, &listings, last_close_ns, standard))
}

fn cells(row: &SymbolStanding) -> Vec<String> {
    let dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    vec![
        row.symbol.clone(),
        row.state.to_owned(),
        dash(&row.source),
        dash(&row.exchange),
        dash(&row.delisted_on),
        row.last_close_ns.map_or_else(|| "–".to_owned(), time),
        row.sessions_since.map_or_else(|| "–".to_owned(), |since| since.to_string()),
    ]
}
