//! `tapedeck universe`: groups of symbols, and whether their symbols are listed and told of.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{Listing, ListingState};
use domain::calendar::Calendar;
use serde::Serialize;

use super::symbols::listed;
use crate::cli::{Global, UniverseCheck};
use crate::config::Universe;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

const HELP: &str = "tapedeck universe --help";

/// What the tape has of a symbol.
#[derive(Debug, Serialize)]
struct Checked {
    symbol: String,
    /// `listed`, `delisted`, `stale` (no bar for some sessions), `bars` (nobody stated a listing) or `unknown`.
    state: &'static str,
    /// Who stated the listing, and since when it is none.
    source: String,
    delisted_on: String,
    exchange: String,
    /// Close of the newest bar of any timeframe, and the sessions since.
    last_close_ns: Option<i64>,
    sessions_since: Option<u32>,
}

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
    let stale = session.config.quality.stale_sessions;
    // The tape itself, for what is not folded yet counts too.
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    let calendar = session.manifest.market()?.calendar();
    for series in ingest::status::status(&session.tape, calendar).await? {
        let newest_ns = newest.entry(series.symbol).or_insert(series.last_close_ns);
        *newest_ns = series.last_close_ns.max(*newest_ns);
    }
    let mut checked = Vec::with_capacity(symbols.len());
    for symbol in symbols {
        let last_close_ns = newest.get(&symbol).copied();
        checked.push(of_symbol(session, symbol, last_close_ns, stale).await?);
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

async fn of_symbol(
    session: &Session,
    symbol: String,
    last_close_ns: Option<i64>,
    stale: u32,
) -> Result<Checked, Failure> {
    let stated = ingest::reference::state(&session.tape, &symbol, i64::MAX).await?;
    let listings: Vec<(String, Listing)> = stated
        .into_iter()
        .filter_map(|stated| match stated.body {
            Body::Listing(listing) => Some((stated.source, listing)),
            _ => None,
        })
        .collect();
    let stated = ended(&listings).or(listings.first());
    let calendar = session.manifest.market()?.calendar();
    let sessions_since = last_close_ns.and_then(|close_ns| sessions_since(calendar, close_ns));
    let state = match (stated, sessions_since) {
        (Some((_, listing)), _) if listing.state() == ListingState::Delisted => "delisted",
        (_, Some(since)) if stale > 0 && since >= stale => "stale",
        (Some((_, listing)), _) if listing.state() == ListingState::Listed => "listed",
        (_, Some(_)) => "bars",
        (_, None) => "unknown",
    };
    let (source, listing) = stated.cloned().unwrap_or_default();
    Ok(Checked {
        symbol,
        state,
        source,
        delisted_on: listing.delisted_on,
        exchange: listing.exchange,
        last_close_ns,
        sessions_since,
    })
}

/// Who says that the symbol has ended: one source is enough to look. One that says since when comes before one that does not.
fn ended(listings: &[(String, Listing)]) -> Option<&(String, Listing)> {
    let ended = listings.iter().filter(|(_, listing)| listing.state() == ListingState::Delisted);
    ended.min_by_key(|(_, listing)| listing.delisted_on.is_empty())
}

/// Sessions that ended since the one of a close.
fn sessions_since(calendar: &Calendar, close_ns: i64) -> Option<u32> {
    let now_ns = runtime::now_ns();
    let sessions = calendar.sessions(calendar.date_of(close_ns - 1), calendar.date_of(now_ns)).ok()?;
    let since = sessions.iter().filter(|session| session.open_ns >= close_ns && session.close_ns <= now_ns);
    u32::try_from(since.count()).ok()
}

fn cells(row: &Checked) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_since_when_a_symbol_has_ended_comes_first() {
        let stated = |source: &str, state: ListingState, on: &str| {
            let listing = Listing { state: state.into(), delisted_on: on.to_owned(), ..Listing::default() };
            (source.to_owned(), listing)
        };
        let silent = stated("alpaca", ListingState::Delisted, "");
        let dated = stated("massive", ListingState::Delisted, "2024-06-03");
        let listed = stated("other", ListingState::Listed, "");
        let said = |all: &[(String, Listing)]| ended(all).map(|(source, _)| source.clone());
        assert_eq!(said(&[listed.clone(), silent.clone(), dated]).as_deref(), Some("massive"));
        assert_eq!(said(&[silent.clone(), listed.clone()]).as_deref(), Some("alpaca"));
        assert_eq!(said(&[listed]), None);
        let later = stated("later", ListingState::Delisted, "");
        assert_eq!(said(&[silent, later]).as_deref(), Some("alpaca"));
    }
}
