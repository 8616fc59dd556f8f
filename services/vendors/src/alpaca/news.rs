//! Alpaca's news: by symbol, fifty at a time, in the order in which articles were changed. The stream of them, which
//! tells the same articles, is beside the stream of minutes (`live`).
//!
//! Deliberately absent: full texts, pictures.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;

use super::{Alpaca, NAME, at};
use crate::error::VendorError;
use crate::news::{NewsAsk, NewsPage, NewsSource, Told, plain};
use crate::port::Cursor;
use crate::wire;

#[derive(Deserialize)]
struct Answer {
    news: Option<Vec<Article>>,
    next_page_token: Option<String>,
}

/// An article, in a page and on the stream alike.
#[derive(Deserialize)]
pub(crate) struct Article {
    id: Option<i64>,
    headline: Option<String>,
    author: Option<String>,
    #[serde(default, deserialize_with = "at::optional")]
    created_at: Option<i64>,
    #[serde(default, deserialize_with = "at::optional")]
    updated_at: Option<i64>,
    summary: Option<String>,
    url: Option<String>,
    symbols: Option<Vec<String>>,
    source: Option<String>,
}

impl Article {
    /// The article as the product's own; `None` for one without a headline or a time.
    pub(crate) fn told(self) -> Option<Told> {
        let published_ns = self.created_at.or(self.updated_at)?;
        let headline = plain(&self.headline.unwrap_or_default());
        (!headline.is_empty()).then(|| Told {
            source_id: self.id.map(|id| id.to_string()).unwrap_or_default(),
            publisher: self.source.unwrap_or_default(),
            author: plain(&self.author.unwrap_or_default()),
            url: self.url.unwrap_or_default(),
            headline,
            summary: plain(&self.summary.unwrap_or_default()),
            published_ns,
            updated_ns: self.updated_at.unwrap_or_default().max(published_ns),
            symbols: self.symbols.unwrap_or_default(),
        })
    }
}

#[async_trait]
impl NewsSource for Alpaca {
    fn name(&self) -> &'static str {
        NAME
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    async fn page(&self, ask: &NewsAsk, cursor: Cursor) -> Result<NewsPage, VendorError> {
        let at = |ns: i64| DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true);
        // The vendor counts the end in.
        let (start, end) = (at(ask.from_ns), at(ask.to_ns - 1));
        let mut query = vec![
            ("symbols", ask.symbol.as_str()),
            ("start", &start),
            ("end", &end),
            ("sort", "asc"),
            ("limit", "50"),
            ("include_content", "false"),
        ];
        query.extend(cursor.token.as_deref().map(|token| ("page_token", token)));
        let body = self.http.get("/v1beta1/news", &query).await?;
        let answer: Answer = wire::decode(&self.http, &body)?;
        let mut page = NewsPage::default();
        for article in answer.news.unwrap_or_default() {
            match article.told() {
                Some(told) => page.articles.push(told),
                None => page.left_out += 1,
            }
        }
        if let Some(next) = answer.next_page_token {
            page.next = Some(Cursor { step: 0, token: Some(self.further(cursor.token.as_deref(), next)?) });
        }
        Ok(page)
    }
}
