//! The newest articles, whatever they are about.

use askama::Template;
use projections::queries::{self, ArticleFilter, ArticleRow, QueryError, Turn};

use crate::pages::chart::news::Article;
use crate::pages::{Body, Rendering, Scope, Shown};

/// Articles that are listed.
const ARTICLES: usize = 8;
/// Rows that are read for them: an article has one for each symbol and source that tells it.
const ROWS: u32 = 80;
/// Symbols that are listed of an article.
const SYMBOLS: usize = 6;

/// An article with every symbol under which it stands.
#[derive(Clone, Debug)]
struct Told {
    article_id: String,
    article: Article,
    source: String,
    symbols: Vec<String>,
    /// Symbols that are not listed.
    more: usize,
}

#[derive(Template)]
#[template(path = "overview/news.html")]
struct NewsPanel {
    v: u64,
    body: Body<Vec<Told>>,
}

/// The newest articles.
pub async fn news(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::NEWS, read(scope)).await;
    NewsPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Vec<Told>>, QueryError> {
    let pool = &scope.app.config.pool;
    let rows = queries::articles(pool, &ArticleFilter::default(), Turn::Newest, ROWS).await?.rows;
    let told = Told::all(&rows);
    Ok((!told.is_empty()).then_some(told))
}

impl Told {
    /// Each article once, as the row that became known last tells it, in the order of the rows.
    fn all(rows: &[ArticleRow]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for row in rows {
            let known = all.iter().position(|told| told.article_id == row.article_id);
            let place = known.unwrap_or(all.len());
            if known.is_none() {
                all.push(Self {
                    article_id: row.article_id.clone(),
                    article: Article::of(row),
                    source: row.source.clone(),
                    symbols: Vec::new(),
                    more: 0,
                });
            }
            let symbols = &mut all[place].symbols;
            if !row.symbol.is_empty() && !symbols.contains(&row.symbol) {
                symbols.push(row.symbol.clone());
            }
        }
        all.truncate(ARTICLES);
        for told in &mut all {
            told.symbols.sort();
            told.more = told.symbols.len().saturating_sub(SYMBOLS);
            told.symbols.truncate(SYMBOLS);
        }
        all
    }
}
