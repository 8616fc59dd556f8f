//! News about a symbol, with what a lexicon makes of each.

use askama::Template;
use projections::queries::{self, ArticleFilter, ArticleRow, QueryError, Turn};

use super::NEWS;
use super::company::web_address;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::Instant;

/// Articles that are listed.
const ROWS: u32 = 15;
/// From here on an article is good, and from its opposite on bad; between them it is neither. The lexicon's authors
/// advise it.
const CLEAR: f64 = 0.05;

/// An article as panels show it.
#[derive(Clone, Debug)]
pub struct Article {
    /// Sequence in REFERENCE.
    pub seq: u64,
    /// Headline.
    pub headline: String,
    /// Where it stands; `None` where what the source states is no address to follow.
    pub url: Option<String>,
    /// Who brought it out; where nobody says so, the source.
    pub publisher: String,
    /// When it came out.
    pub published: Instant,
    /// From −1 to +1 as text; empty when it is not known.
    pub sentiment: String,
    /// Class of its badge.
    pub badge: &'static str,
    /// In a word, for who does not see the colour.
    pub tone: &'static str,
    /// How late the source is; empty when it is not.
    pub delay: String,
}

#[derive(Template)]
#[template(path = "chart/news.html")]
struct NewsPanel<'a> {
    v: u64,
    symbol: &'a str,
    body: Body<Vec<Article>>,
}

/// Renders the news.
pub async fn news(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &NEWS, read(scope)).await;
    NewsPanel { v: scope.version, symbol: scope.symbol, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Vec<Article>>, QueryError> {
    let filter = ArticleFilter { symbol: Some(scope.symbol.to_owned()), ..ArticleFilter::default() };
    let rows = queries::articles(&scope.app.config.pool, &filter, Turn::Newest, ROWS).await?.rows;
    Ok((!rows.is_empty()).then(|| rows.iter().map(Article::of).collect()))
}

impl Article {
    /// The article of a row.
    pub fn of(row: &ArticleRow) -> Self {
        let (badge, tone) = match row.compound {
            Some(compound) if compound >= CLEAR => ("badge-gain", "good"),
            Some(compound) if compound <= -CLEAR => ("badge-loss", "bad"),
            Some(_) => ("badge-flat", "neutral"),
            None => ("badge-flat", "not known"),
        };
        let publisher = if row.publisher.is_empty() { &row.source } else { &row.publisher };
        Self {
            seq: row.sequence,
            headline: row.headline.clone(),
            url: web_address(&row.url),
            publisher: publisher.clone(),
            published: Instant(row.published_ns),
            sentiment: row
                .compound
                .map(|compound| format!("{compound:+.2}").replace('-', "−"))
                .unwrap_or_default(),
            badge,
            tone,
            delay: if row.delay == "none" { String::new() } else { row.delay.clone() },
        }
    }
}
