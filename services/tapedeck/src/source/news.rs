//! A vendor's news, asked for and streamed, behind the port of `ingest`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ingest::news::{AskError, Heard, NewsAgency, NewsPage, NewsPages, NewsWire};
use vendors::http::Credentials;
use vendors::{
    Alpaca, Cursor, LiveStream, NewsAsk, NewsSource, StreamConfig, SystemClock, VendorError, Wanted,
};

use super::told;
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
        let source = Arc::from(super::news(vendor, sources)?);
        let streamed = news.stream && vendor == NewsVendor::Alpaca;
        let stream = if streamed { Some(stream(news, sources)?) } else { None };
        Ok(Self { source, stream, clock: super::clock() })
    }
}

fn stream(news: &NewsSection, sources: &SourcesConfig) -> Result<StreamConfig, Failure> {
    let alpaca = &sources.alpaca;
    let (key, secret) = (alpaca.key().read()?, alpaca.secret().read()?);
    Ok(StreamConfig {
        url: format!("{}/v1beta1/news", alpaca.stream_url),
        credentials: Credentials::Alpaca { key, secret },
        symbols: news.symbols.clone(),
        wanted: Wanted::default(),
        packed: alpaca.stream_format == "msgpack",
        silence: Duration::MAX,
    })
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

struct Wire(LiveStream);

#[async_trait]
impl NewsWire for Wire {
    async fn next(&mut self) -> Vec<Heard> {
        self.0.next().await.into_iter().filter_map(told::news).collect()
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
        let page = self.source.page(&self.ask, at).await.map_err(told::ask_error)?;
        self.cursor = page.next;
        let articles = page.articles.into_iter().map(told::article).collect();
        Ok(Some(NewsPage { articles, cut_off: page.cut_off }))
    }
}
