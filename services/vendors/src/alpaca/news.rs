//! Alpaca's news: by symbol, fifty at a time, in the order in which articles were changed.
//!
//! Deliberately absent: full texts, pictures, the stream.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;

use super::{Alpaca, NAME};
use crate::error::VendorError;
use crate::news::{NewsAsk, NewsPage, NewsSource, Told, plain};
use crate::port::Cursor;
use crate::wire;

#[derive(Deserialize)]
struct Answer {
    news: Option<Vec<Article>>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Article {
    id: Option<i64>,
    headline: Option<String>,
    author: Option<String>,
    created_at: DateTime<chrono::Utc>,
    updated_at: Option<DateTime<chrono::Utc>>,
    summary: Option<String>,
    url: Option<String>,
    symbols: Option<Vec<String>>,
    source: Option<String>,
}

impl Alpaca {
    fn told(&self, article: Article) -> Result<Told, VendorError> {
        let ns = |time: DateTime<chrono::Utc>| {
            let ns = time.timestamp_nanos_opt();
            ns.ok_or_else(|| {
                self.http.broken(format!("news.created_at: {time}, expected a time of this century"))
            })
        };
        let published_ns = ns(article.created_at)?;
        Ok(Told {
            source_id: article.id.map(|id| id.to_string()).unwrap_or_default(),
            publisher: article.source.unwrap_or_default(),
            author: plain(&article.author.unwrap_or_default()),
            url: article.url.unwrap_or_default(),
            headline: plain(&article.headline.unwrap_or_default()),
            summary: plain(&article.summary.unwrap_or_default()),
            published_ns,
            updated_ns: article.updated_at.map_or(Ok(published_ns), ns)?.max(published_ns),
            symbols: article.symbols.unwrap_or_default(),
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
            let told = self.told(article)?;
            if told.headline.is_empty() {
                page.left_out += 1;
            } else {
                page.articles.push(told);
            }
        }
        let token = answer.next_page_token.filter(|token| Some(token) != cursor.token.as_ref());
        page.next = token.map(|token| Cursor { step: 0, token: Some(token) });
        Ok(page)
    }
}
