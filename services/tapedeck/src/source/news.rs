//! A vendor's news, asked for and streamed, behind the port of `ingest`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::{to_timestamp, v1};
use ingest::news::{AskError, Heard, NewsAgency, NewsPage, NewsPages, NewsWire};
use vendors::{
    Alpaca, Cursor, LiveStream, NewsAsk, NewsSource, Refusal, StreamConfig, SystemClock, Told, VendorError,
};

use crate::cli::NewsVendor;
use crate::config::{NewsSection, SourcesConfig};
use crate::exit::Failure;

/// The configured source of news, with credentials that were read once.
pub struct Agency {
    source: Arc<dyn NewsSource>,
    /// Its stream, where it has one and it is wanted.
    stream: Option<StreamConfig>,
    clock: Arc<SystemClock>,
}

impl Agency {
    /// Reads the credentials; an error names what is missing.
    pub fn new(news: &NewsSection, sources: &SourcesConfig) -> Result<Self, Failure> {
        let vendor = news.vendor();
        let source = Arc::from(super::news(vendor, sources, Some(ingest::news::SERVICE))?);
        let streamed = news.stream && vendor == NewsVendor::Alpaca;
        let opened = || super::alpaca_stream(sources, "/v1beta1/news", &news.symbols);
        let stream = streamed.then(opened).transpose()?;
        Ok(Self { source, stream, clock: super::clock() })
    }
}

impl NewsAgency for Agency {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn delay(&self) -> Duration {
        self.source.delay()
    }

    fn wire(&self) -> Result<Option<Box<dyn NewsWire>>, String> {
        let Some(config) = &self.stream else { return Ok(None) };
        let opened = Alpaca::news_stream(config.clone(), Arc::clone(&self.clock) as _);
        opened.map(|stream| Some(Box::new(Wire(stream)) as _)).map_err(|error: VendorError| error.to_string())
    }

    fn ask(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Box<dyn NewsPages> {
        let symbol = symbol.to_owned();
        let ask = NewsAsk { symbol, words: None, headlines: false, from_ns, to_ns };
        Box::new(Pages { source: Arc::clone(&self.source), ask, cursor: Some(Cursor::default()) })
    }
}

struct Wire(LiveStream<Told>);

#[async_trait]
impl NewsWire for Wire {
    async fn next(&mut self) -> Vec<Heard> {
        self.0.next().await.into_iter().map(heard).collect()
    }
}

struct Pages {
    source: Arc<dyn NewsSource>,
    ask: NewsAsk,
    /// Where to go on; `None` after the last page.
    cursor: Option<Cursor>,
}

#[async_trait]
impl NewsPages for Pages {
    async fn next(&mut self) -> Result<Option<NewsPage>, AskError> {
        let Some(at) = self.cursor.take() else { return Ok(None) };
        let page = self.source.page(&self.ask, at).await.map_err(ask_error)?;
        self.cursor = page.next;
        let articles = page.articles.into_iter().map(article).collect();
        Ok(Some(NewsPage { articles, cut_off: page.cut_off }))
    }
}

/// What is heard of a stream of articles.
fn heard(heard: vendors::Heard<Told>) -> Heard {
    match heard {
        vendors::Heard::Live => Heard::Live,
        vendors::Heard::Told(told) => Heard::Article(Box::new(article(told))),
        vendors::Heard::Unreadable(what) => Heard::Unreadable(what),
        vendors::Heard::Lost { why, again_in } => Heard::Lost { why, again_in },
        vendors::Heard::Refused(error) => Heard::Refused(error.to_string()),
    }
}

/// An article as its event states it; what follows from the tape is left out.
pub fn article(told: Told) -> v1::NewsArticle {
    v1::NewsArticle {
        source_article_id: told.source_id,
        publisher: told.publisher,
        author: told.author,
        url: told.url,
        headline: told.headline,
        summary: told.summary,
        published: Some(to_timestamp(told.published_ns)),
        updated: Some(to_timestamp(told.updated_ns)),
        symbols: told.symbols,
        ..v1::NewsArticle::default()
    }
}

/// Why there is no page of articles.
fn ask_error(error: VendorError) -> AskError {
    let words = error.to_string();
    match error {
        VendorError::Transient { .. } | VendorError::Limited { .. } => AskError::Passing(words),
        VendorError::Refused { kind: Refusal::Credentials, .. } | VendorError::Setup { .. } => {
            AskError::Refused(words)
        }
        VendorError::Refused { kind: Refusal::Unknown | Refusal::Request, .. }
        | VendorError::Broken { .. } => AskError::Symbol(words),
    }
}
