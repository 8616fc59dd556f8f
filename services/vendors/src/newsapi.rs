//! NewsAPI: every article that has some words, the newest first, and headlines of the moment.
//!
//! It knows no symbols, so that an article is about the symbol whose words were looked for. It gives a hundred
//! articles of a question on the plan for developers and refuses further pages, so that what comes next is asked for
//! by time: everything up to the oldest article seen. Deliberately absent: full texts, sources by name, other
//! languages than English.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::{Http, HttpConfig};
use crate::news::{NewsAsk, NewsPage, NewsSource, Told, plain};
use crate::port::Cursor;
use crate::wire;

const NAME: &str = "newsapi";
/// Articles of one answer.
const PAGE: usize = 100;

/// NewsAPI.
#[derive(Debug)]
pub struct NewsApi {
    http: Http,
    delay: Duration,
}

#[derive(Deserialize)]
struct Answer {
    status: Option<String>,
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "totalResults")]
    total: Option<u64>,
    articles: Option<Vec<Article>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Article {
    source: Option<Publisher>,
    author: Option<String>,
    title: Option<String>,
    description: Option<String>,
    url: Option<String>,
    published_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Publisher {
    name: Option<String>,
}

impl NewsApi {
    /// A client; `delay` is what the plan states.
    pub fn new(config: HttpConfig, delay: Duration, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        Ok(Self { http: Http::new(NAME, config, clock)?, delay })
    }

    async fn answer(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, VendorError> {
        let body = self.http.get(path, query).await?;
        let answer: Answer = wire::decode(&self.http, &body)?;
        if answer.status.as_deref() == Some("error") {
            // apiKeyMissing, apiKeyInvalid, apiKeyDisabled, apiKeyExhausted.
            let of_key = answer.code.is_some_and(|code| code.starts_with("apiKey"));
            let kind = if of_key { Refusal::Credentials } else { Refusal::Request };
            return Err(self.http.refused(kind, answer.message.as_deref().unwrap_or("no explanation")));
        }
        Ok(answer)
    }
}

/// An article; `None` for one that was taken back, or has no headline or time.
fn told(article: Article, symbol: &str) -> Option<Told> {
    let text = |text: Option<String>| plain(&text.unwrap_or_default());
    let headline = text(article.title);
    if headline.is_empty() || headline == "[Removed]" {
        return None;
    }
    let published_ns = article.published_at?.timestamp_nanos_opt()?;
    Some(Told {
        source_id: String::new(),
        publisher: article.source.and_then(|source| source.name).unwrap_or_default(),
        author: text(article.author),
        url: article.url.unwrap_or_default(),
        headline,
        summary: text(article.description),
        published_ns,
        updated_ns: published_ns,
        symbols: vec![symbol.to_owned()],
    })
}

#[async_trait]
impl NewsSource for NewsApi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn delay(&self) -> Duration {
        self.delay
    }

    async fn page(&self, ask: &NewsAsk, cursor: Cursor) -> Result<NewsPage, VendorError> {
        let at = |ns: i64| DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::Secs, true);
        let words = ask.words.clone().unwrap_or_else(|| format!("\"{}\"", ask.symbol));
        let size = PAGE.to_string();
        let from = at(ask.from_ns);
        let until = cursor.token.clone().unwrap_or_else(|| at(ask.to_ns - 1));
        let answer = if ask.headlines {
            self.answer("/v2/top-headlines", &[("q", &words), ("pageSize", &size)]).await?
        } else {
            let query = [
                ("q", words.as_str()),
                ("from", &from),
                ("to", &until),
                ("language", "en"),
                ("sortBy", "publishedAt"),
                ("pageSize", &size),
            ];
            self.answer("/v2/everything", &query).await?
        };
        let found = answer.articles.unwrap_or_default();
        // Where it does not say how many there are, a full answer may not be all.
        let more = answer.total.map_or(found.len() >= PAGE, |total| total > found.len() as u64);
        let oldest = found.iter().filter_map(|article| article.published_at).min();
        let mut page = NewsPage::default();
        for article in found {
            match told(article, &ask.symbol) {
                Some(article) => page.articles.push(article),
                None => page.left_out += 1,
            }
        }
        if more {
            // A hundred articles of one second hide what is before them.
            let next = oldest.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
            page.next = next
                .filter(|next| !ask.headlines && *next != until)
                .map(|next| Cursor { step: 0, token: Some(next) });
            page.cut_off = page.next.is_none();
        }
        Ok(page)
    }
}
