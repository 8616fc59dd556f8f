//! Facts about companies and listings, and news, now or as of a moment.

use contracts::v1::event::Body;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgPool, Postgres, QueryBuilder};

use super::QueryError;
use super::reading::{Reading, read_all};
use super::turn::{Cursor, Part, Turn, rows};

/// A fact as a source stated it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FactRow {
    /// Sequence in REFERENCE.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Symbol.
    pub symbol: String,
    /// `profile`, `statistics`, `statement`, `holders`, `analysts` or `listing`.
    pub kind: String,
    /// A statement's period and last day, such as `annual 2025-09-30`; empty for other kinds.
    pub part: String,
    /// Who stated it.
    pub source: String,
    /// When it was stated, UTC nanoseconds.
    pub event_time_ns: i64,
    /// The fact as its event states it, in proto3-JSON.
    #[schema(value_type = Object)]
    pub fact: Value,
}

impl FactRow {
    /// The fact as its event states it; `None` where the row holds something else.
    #[must_use]
    pub fn body(&self) -> Option<Body> {
        let fact = self.fact.clone();
        match self.kind.as_str() {
            "profile" => serde_json::from_value(fact).ok().map(Body::CompanyProfile),
            "statistics" => serde_json::from_value(fact).ok().map(Body::KeyStatistics),
            "statement" => serde_json::from_value(fact).ok().map(Body::FinancialStatement),
            "holders" => serde_json::from_value(fact).ok().map(Body::InstitutionalHolders),
            "analysts" => serde_json::from_value(fact).ok().map(Body::AnalystOpinions),
            "listing" => serde_json::from_value(fact).ok().map(Body::Listing),
            _ => None,
        }
    }
}

fn fact(row: Reading<'_>) -> Result<FactRow, sqlx::Error> {
    Ok(FactRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        symbol: row.text("symbol")?,
        kind: row.text("kind")?,
        part: row.text("part")?,
        source: row.text("source")?,
        event_time_ns: row.int("event_time_ns")?,
        fact: row.json("fact")?,
    })
}

/// What each source stated last of a symbol up to `as_of_ns`, counted in, or up to now; by kind, source and part.
pub async fn facts(pool: &PgPool, symbol: &str, as_of_ns: Option<i64>) -> Result<Vec<FactRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (kind, source, part)
                sequence, event_id, symbol, kind, part, source, event_time_ns, fact::text AS fact
         FROM reference.facts WHERE symbol = $1 AND event_time_ns <= $2
         ORDER BY kind, source, part, sequence DESC",
    )
    .bind(symbol)
    .bind(as_of_ns.unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, fact)?)
}

/// The sector of every symbol whose profile names one, by symbol; of several sources the one that was stated last.
pub async fn sectors(pool: &PgPool) -> Result<Vec<(String, String)>, QueryError> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (symbol) symbol, fact->>'sector' AS sector
         FROM reference.facts WHERE kind = 'profile' AND COALESCE(fact->>'sector', '') <> ''
         ORDER BY symbol, sequence DESC",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| Ok((row.text("symbol")?, row.text("sector")?)))?)
}

/// Everything that was ever stated of a symbol, of one kind or of all, what was stated last first.
pub async fn fact_history(
    pool: &PgPool,
    symbol: &str,
    kind: Option<&str>,
    turn: Turn,
    limit: u32,
) -> Result<Part<FactRow>, QueryError> {
    let mut statement = QueryBuilder::<Postgres>::new(
        "SELECT sequence, event_id, symbol, kind, part, source, event_time_ns, fact::text AS fact
         FROM reference.facts WHERE symbol = ",
    );
    statement.push_bind(symbol.to_owned());
    if let Some(kind) = kind {
        statement.push(" AND kind = ").push_bind(kind.to_owned());
    }
    let limit = rows(limit);
    turn.push(&mut statement, ("event_time_ns", "sequence"), limit);
    let found = statement.build().fetch_all(pool).await?;
    let place = |row: &FactRow| Cursor { time_ns: row.event_time_ns, sequence: row.sequence };
    Ok(turn.part(read_all(&found, fact)?, limit, place))
}

/// An article about a symbol.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ArticleRow {
    /// Sequence in REFERENCE.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// The same for every source and symbol under which the article is told.
    pub article_id: String,
    /// The symbol under which it stands.
    pub symbol: String,
    /// Who told it.
    pub source: String,
    /// Who brought it out.
    pub publisher: String,
    /// Who wrote it.
    pub author: String,
    /// Where it stands.
    pub url: String,
    /// Headline.
    pub headline: String,
    /// A few sentences.
    pub summary: String,
    /// When it came out, UTC nanoseconds.
    pub published_ns: i64,
    /// When its source last changed it, UTC nanoseconds.
    pub updated_ns: i64,
    /// Every symbol that the source names.
    pub symbols: Vec<String>,
    /// Library that computed the sentiment; null when there is none.
    pub library: Option<String>,
    /// Version of the library.
    pub library_version: Option<String>,
    /// Sentiment from -1 (bad) to 1 (good).
    pub compound: Option<f64>,
    /// Negative part of the text.
    pub negative: Option<f64>,
    /// Neutral part of the text.
    pub neutral: Option<f64>,
    /// Positive part of the text.
    pub positive: Option<f64>,
    /// How late the source is: `none`, or for example `24h`.
    pub delay: String,
    /// Times the source changed what it says.
    pub revision: u64,
    /// How it came onto the tape.
    pub origin: String,
    /// From when on it could be known, UTC nanoseconds.
    pub event_time_ns: i64,
}

fn article(row: Reading<'_>) -> Result<ArticleRow, sqlx::Error> {
    let number = |column: &str| row.exact_or_none::<f64>(column);
    Ok(ArticleRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        article_id: row.text("article_id")?,
        symbol: row.text("symbol")?,
        source: row.text("source")?,
        publisher: row.text("publisher")?,
        author: row.text("author")?,
        url: row.text("url")?,
        headline: row.text("headline")?,
        summary: row.text("summary")?,
        published_ns: row.int("published_ns")?,
        updated_ns: row.int("updated_ns")?,
        symbols: row.json("symbols")?,
        library: row.text_or_none("library")?,
        library_version: row.text_or_none("library_version")?,
        compound: number("compound")?,
        negative: number("negative")?,
        neutral: number("neutral")?,
        positive: number("positive")?,
        delay: row.text("delay")?,
        revision: row.sequence("revision")?,
        origin: row.text("origin")?,
        event_time_ns: row.int("event_time_ns")?,
    })
}

/// Which articles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArticleFilter {
    /// Symbol; all when `None`.
    pub symbol: Option<String>,
    /// What told them; all when `None`.
    pub source: Option<String>,
    /// Known at this time or later, UTC nanoseconds.
    pub from_ns: Option<i64>,
    /// Known before, UTC nanoseconds. A revision after it does not count.
    pub to_ns: Option<i64>,
}

/// Articles in their last revision, what became known last first.
pub async fn articles(
    pool: &PgPool,
    filter: &ArticleFilter,
    turn: Turn,
    limit: u32,
) -> Result<Part<ArticleRow>, QueryError> {
    let to_ns = filter.to_ns.unwrap_or(i64::MAX);
    let mut statement = QueryBuilder::<Postgres>::new(
        "SELECT sequence, event_id, article_id, symbol, source, publisher, author, url, headline, summary, published_ns,
                updated_ns, symbols::text AS symbols, library, library_version, compound::text AS compound,
                negative::text AS negative, neutral::text AS neutral, positive::text AS positive, delay, revision, origin,
                event_time_ns
         FROM reference.articles a WHERE true AND event_time_ns < ",
    );
    statement.push_bind(to_ns);
    statement.push(
        " AND NOT EXISTS (SELECT FROM reference.articles later WHERE later.article_id = a.article_id
              AND later.symbol = a.symbol AND later.sequence > a.sequence AND later.event_time_ns < ",
    );
    statement.push_bind(to_ns).push(")");
    if let Some(symbol) = &filter.symbol {
        statement.push(" AND symbol = ").push_bind(symbol.clone());
    }
    if let Some(source) = &filter.source {
        statement.push(" AND source = ").push_bind(source.clone());
    }
    if let Some(from_ns) = filter.from_ns {
        statement.push(" AND event_time_ns >= ").push_bind(from_ns);
    }
    let limit = rows(limit);
    turn.push(&mut statement, ("event_time_ns", "sequence"), limit);
    let found = statement.build().fetch_all(pool).await?;
    let place = |row: &ArticleRow| Cursor { time_ns: row.event_time_ns, sequence: row.sequence };
    Ok(turn.part(read_all(&found, article)?, limit, place))
}
