//! The universe: whether symbols are listed and told of.

use std::collections::BTreeMap;

use contracts::v1::{Listing, ListingState};
use domain::calendar::Calendar;
use serde::Serialize;
use sqlx::PgPool;

use super::QueryError;
use super::reading::read_all;

/// What is known of a symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SymbolStanding {
    /// Symbol.
    pub symbol: String,
    /// `listed`, `delisted`, `stale` (no bar for some sessions), `bars` (nobody stated a listing) or `unknown`.
    pub state: &'static str,
    /// Who stated the listing; empty where nobody did.
    pub source: String,
    /// Date since when it is listed no more; empty where it is, or where nobody said.
    pub delisted_on: String,
    /// Where it is listed; empty where nobody said.
    pub exchange: String,
    /// Close of the newest bar of any timeframe, UTC nanoseconds; null where there is none.
    pub last_close_ns: Option<i64>,
    /// Sessions that ended since.
    pub sessions_since: Option<u32>,
}

/// What symbols are measured against.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    /// The calendar of the tape.
    pub calendar: &'a Calendar,
    /// The present, UTC nanoseconds.
    pub now_ns: i64,
    /// Sessions without a bar after which a symbol is stale; 0 for never.
    pub stale_sessions: u32,
}

impl SymbolStanding {
    /// What to say of a symbol of which each source `stated` a listing last, in the order of their names.
    #[must_use]
    pub fn of(
        symbol: String,
        stated: &[(String, Listing)],
        last_close_ns: Option<i64>,
        standard: Standard<'_>,
    ) -> Self {
        let stated = ended(stated).or(stated.first());
        let stale = standard.stale_sessions;
        let sessions_since = last_close_ns.and_then(|close_ns| standard.sessions_since(close_ns));
        let state = match (stated, sessions_since) {
            (Some((_, listing)), _) if listing.state() == ListingState::Delisted => "delisted",
            (_, Some(since)) if stale > 0 && since >= stale => "stale",
            (Some((_, listing)), _) if listing.state() == ListingState::Listed => "listed",
            (_, Some(_)) => "bars",
            (_, None) => "unknown",
        };
        let (source, listing) = stated.cloned().unwrap_or_default();
        let Listing { delisted_on, exchange, .. } = listing;
        Self { symbol, state, source, delisted_on, exchange, last_close_ns, sessions_since }
    }
}

impl Standard<'_> {
    /// Sessions that ended since the one of a close.
    fn sessions_since(&self, close_ns: i64) -> Option<u32> {
        let Self { calendar, now_ns, .. } = *self;
        let sessions = calendar.sessions(calendar.date_of(close_ns - 1), calendar.date_of(now_ns)).ok()?;
        let since =
            sessions.iter().filter(|session| session.open_ns >= close_ns && session.close_ns <= now_ns);
        u32::try_from(since.count()).ok()
    }
}

/// Who says that the symbol has ended: one source is enough to look. One that says since when comes before one that does not.
fn ended(listings: &[(String, Listing)]) -> Option<&(String, Listing)> {
    let ended = listings.iter().filter(|(_, listing)| listing.state() == ListingState::Delisted);
    ended.min_by_key(|(_, listing)| listing.delisted_on.is_empty())
}

/// What the read models have of each symbol, in the order in which they are asked for.
pub async fn standings(
    pool: &PgPool,
    symbols: &[String],
    standard: Standard<'_>,
) -> Result<Vec<SymbolStanding>, QueryError> {
    let mut listings = listings(pool, symbols).await?;
    let closes = newest_closes(pool, symbols).await?;
    let standing = |symbol: &String| {
        let stated = listings.remove(symbol).unwrap_or_default();
        SymbolStanding::of(symbol.clone(), &stated, closes.get(symbol).copied(), standard)
    };
    Ok(symbols.iter().map(standing).collect())
}

/// What each source stated last of a symbol's listing, by symbol; by the source's name.
async fn listings(
    pool: &PgPool,
    symbols: &[String],
) -> Result<BTreeMap<String, Vec<(String, Listing)>>, QueryError> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (symbol, source) symbol, source, fact::text AS fact
         FROM reference.facts WHERE kind = 'listing' AND symbol = ANY($1)
         ORDER BY symbol, source, sequence DESC",
    )
    .bind(symbols)
    .fetch_all(pool)
    .await?;
    let mut listings: BTreeMap<String, Vec<(String, Listing)>> = BTreeMap::new();
    for (symbol, stated) in
        read_all(&rows, |row| Ok((row.text("symbol")?, (row.text("source")?, row.json("fact")?))))?
    {
        listings.entry(symbol).or_default().push(stated);
    }
    for stated in listings.values_mut() {
        stated.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    Ok(listings)
}

/// Close of the newest bar of any timeframe, by symbol.
async fn newest_closes(pool: &PgPool, symbols: &[String]) -> Result<BTreeMap<String, i64>, QueryError> {
    let rows = sqlx::query(
        "SELECT symbol, max(last_close_ns) AS close_ns FROM bars.series WHERE symbol = ANY($1) GROUP BY symbol",
    )
    .bind(symbols)
    .fetch_all(pool)
    .await?;
    let closes = read_all(&rows, |row| Ok((row.text("symbol")?, row.int("close_ns")?)))?;
    Ok(closes.into_iter().collect())
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
