//! The projection `reference`: facts about companies and listings, and news. Every event is one row; nothing is
//! remembered, and nothing is replaced, so that the rows hold the past as the stream does.

use async_trait::async_trait;
use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{NewsArticle, StatementPeriod};
use event_log::Recorded;
use serde::Serialize;

use crate::calendar::{event_time, origin, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, JSON, Kind, Rows, Table, column, decimal};

pub(crate) static TABLES: &[&Table] = &[&FACTS, &ARTICLES];

const NUMBER: Kind = Kind::Cast("double precision");

static FACTS: Table = Table {
    name: "facts",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("symbol", Kind::Text),
        column("kind", Kind::Text),
        column("part", Kind::Text),
        column("source", Kind::Text),
        column("fact", JSON),
        column("event_time_ns", Kind::Int),
    ],
};

static ARTICLES: Table = Table {
    name: "articles",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("article_id", Kind::Text),
        column("symbol", Kind::Text),
        column("source", Kind::Text),
        column("source_article_id", Kind::Text),
        column("publisher", Kind::Text),
        column("author", Kind::Text),
        column("url", Kind::Text),
        column("headline", Kind::Text),
        column("summary", Kind::Text),
        column("published_ns", Kind::Int),
        column("updated_ns", Kind::Int),
        column("symbols", JSON),
        column("library", Kind::Text),
        column("library_version", Kind::Text),
        column("compound", NUMBER),
        column("negative", NUMBER),
        column("neutral", NUMBER),
        column("positive", NUMBER),
        column("delay", Kind::Text),
        column("revision", Kind::Int),
        column("origin", Kind::Text),
        column("event_time_ns", Kind::Int),
    ],
};

/// The fold.
pub(crate) struct Reference {
    facts: Rows,
    articles: Rows,
}

impl Default for Reference {
    fn default() -> Self {
        Self { facts: Rows::new(&FACTS), articles: Rows::new(&ARTICLES) }
    }
}

impl Reference {
    fn fact(
        &mut self,
        recorded: &Recorded,
        (kind, part): (&str, String),
        symbol: &str,
        fact: &impl Serialize,
    ) -> Result<(), FoldError> {
        if symbol.is_empty() {
            return Err(FoldError::field("symbol", "empty, expected the symbol that the fact is about"));
        }
        let event = &recorded.event;
        self.facts.push(vec![
            recorded.sequence.into(),
            (&event.id).into(),
            symbol.into(),
            kind.into(),
            part.into(),
            (&event.source).into(),
            json("fact", fact)?,
            event_time(recorded)?.into(),
        ]);
        Ok(())
    }

    fn article(&mut self, recorded: &Recorded, article: &NewsArticle) -> Result<(), FoldError> {
        if article.article_id.is_empty() {
            return Err(FoldError::missing("article_id"));
        }
        let published = article.published.as_ref().and_then(from_timestamp);
        let published_ns = published.ok_or_else(|| FoldError::missing("published"))?;
        let updated_ns = article.updated.as_ref().and_then(from_timestamp).unwrap_or(published_ns);
        let sentiment = article.sentiment.as_ref();
        let number = |value: fn(&contracts::v1::Sentiment) -> f64| {
            let value = sentiment.map(value).filter(|value| value.is_finite());
            value.map_or(Cell::Null, decimal)
        };
        self.articles.push(vec![
            recorded.sequence.into(),
            (&recorded.event.id).into(),
            (&article.article_id).into(),
            (&article.symbol).into(),
            (&recorded.event.source).into(),
            (&article.source_article_id).into(),
            (&article.publisher).into(),
            (&article.author).into(),
            (&article.url).into(),
            (&article.headline).into(),
            (&article.summary).into(),
            published_ns.into(),
            updated_ns.into(),
            json("symbols", &article.symbols)?,
            sentiment.map(|sentiment| sentiment.library.as_str()).into(),
            sentiment.map(|sentiment| sentiment.version.as_str()).into(),
            number(|sentiment| sentiment.compound),
            number(|sentiment| sentiment.negative),
            number(|sentiment| sentiment.neutral),
            number(|sentiment| sentiment.positive),
            (&article.delay).into(),
            article.revision.into(),
            origin(article.origin()).into(),
            event_time(recorded)?.into(),
        ]);
        Ok(())
    }
}

/// JSON as Postgres takes it: it holds no NUL in text.
fn json(field: &'static str, value: &impl Serialize) -> Result<Cell, FoldError> {
    let text = serde_json::to_string(value).map_err(|error| FoldError::field(field, error.to_string()))?;
    Ok(Cell::Text(text.replace("\\u0000", "\\ufffd")))
}

#[async_trait]
impl Projection for Reference {
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let whole = || String::new();
        match recorded.event.body.as_ref() {
            Some(Body::CompanyProfile(fact)) => {
                self.fact(recorded, ("profile", whole()), &fact.symbol, fact)?;
            }
            Some(Body::KeyStatistics(fact)) => {
                self.fact(recorded, ("statistics", whole()), &fact.symbol, fact)?;
            }
            Some(Body::FinancialStatement(fact)) => {
                let period = match fact.period() {
                    StatementPeriod::Annual => "annual",
                    StatementPeriod::Quarterly => "quarterly",
                    StatementPeriod::Trailing => "trailing",
                    StatementPeriod::Unspecified => {
                        let expected = "unspecified, expected annual, quarterly or trailing";
                        return Err(FoldError::field("period", expected).into());
                    }
                };
                let part = format!("{period} {}", fact.period_end);
                self.fact(recorded, ("statement", part), &fact.symbol, fact)?;
            }
            Some(Body::InstitutionalHolders(fact)) => {
                self.fact(recorded, ("holders", whole()), &fact.symbol, fact)?;
            }
            Some(Body::AnalystOpinions(fact)) => {
                self.fact(recorded, ("analysts", whole()), &fact.symbol, fact)?;
            }
            Some(Body::Listing(fact)) => self.fact(recorded, ("listing", whole()), &fact.symbol, fact)?,
            Some(Body::NewsArticle(article)) => self.article(recorded, article)?,
            _ => {
                let expected = "of another type, expected a fact about a symbol or an article";
                return Err(FoldError::field("body", expected).into());
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        [&mut self.facts, &mut self.articles].map(taken).into()
    }
}
