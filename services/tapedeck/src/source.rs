//! Vendors, made of the configuration and the credentials that it names.

use std::sync::Arc;
use std::time::Duration;

use vendors::http::{Credentials, HttpConfig};
use vendors::{
    Alpaca, AlpacaAssets, HistoricalBars, Massive, NewsApi, NewsSource, ReferenceData, StreamConfig,
    SystemClock, VendorError, Wanted, Yahoo, YahooCompany,
};

use crate::cli::{NewsVendor, Vendor};
use crate::config::SourcesConfig;
use crate::exit::Failure;

mod live;
mod news;
mod told;

pub use live::Streams;
pub use news::{Agency, article};
pub use told::quote;

/// The real clock, as vendors read it.
fn clock() -> Arc<SystemClock> {
    // Two processes do not wait alike.
    let seed = u64::from(std::process::id()) ^ runtime::now_ns().unsigned_abs();
    Arc::new(SystemClock::new(runtime::now_ns, seed))
}

fn yahoo(config: &SourcesConfig, url: &str) -> HttpConfig {
    HttpConfig::new(url, Credentials::None, config.yahoo.requests_per_minute)
}

fn alpaca_credentials(config: &SourcesConfig) -> Result<Credentials, Failure> {
    Ok(Credentials::Alpaca { key: config.alpaca.key().read()?, secret: config.alpaca.secret().read()? })
}

fn alpaca(config: &SourcesConfig, url: &str) -> Result<HttpConfig, Failure> {
    Ok(HttpConfig::new(url, alpaca_credentials(config)?, config.alpaca.requests_per_minute))
}

/// Alpaca's stream at a path, of what is told anyway; it owes nothing.
fn alpaca_stream(config: &SourcesConfig, path: &str, symbols: &[String]) -> Result<StreamConfig, Failure> {
    Ok(StreamConfig {
        url: format!("{}{path}", config.alpaca.stream_url),
        credentials: alpaca_credentials(config)?,
        symbols: symbols.to_vec(),
        wanted: Wanted::default(),
        packed: config.alpaca.stream_format == "msgpack",
        silence: Duration::MAX,
    })
}

fn massive(config: &SourcesConfig) -> Result<HttpConfig, Failure> {
    let credentials = Credentials::Bearer(config.massive.key().read()?);
    Ok(HttpConfig::new(&config.massive.base_url, credentials, config.massive.requests_per_minute))
}

/// The client of a vendor of history.
pub fn history(vendor: Vendor, config: &SourcesConfig) -> Result<Box<dyn HistoricalBars>, Failure> {
    let made: Result<Box<dyn HistoricalBars>, VendorError> = match vendor {
        Vendor::Yahoo => {
            Yahoo::new(yahoo(config, &config.yahoo.base_url), clock()).map(|client| Box::new(client) as _)
        }
        Vendor::Alpaca => {
            let http = alpaca(config, &config.alpaca.base_url)?;
            Alpaca::new(http, &config.alpaca.feed, clock()).map(|client| Box::new(client) as _)
        }
        Vendor::Massive => Massive::new(massive(config)?, clock()).map(|client| Box::new(client) as _),
    };
    made.map_err(failure)
}

/// The client of a vendor of facts.
pub fn reference(vendor: Vendor, config: &SourcesConfig) -> Result<Box<dyn ReferenceData>, Failure> {
    let made: Result<Box<dyn ReferenceData>, VendorError> = match vendor {
        Vendor::Yahoo => {
            let (http, front) =
                (yahoo(config, &config.yahoo.base_url), yahoo(config, &config.yahoo.cookie_url));
            YahooCompany::new(http, front, clock()).map(|client| Box::new(client) as _)
        }
        Vendor::Alpaca => AlpacaAssets::new(alpaca(config, &config.alpaca.assets_url)?, clock())
            .map(|client| Box::new(client) as _),
        Vendor::Massive => Massive::new(massive(config)?, clock()).map(|client| Box::new(client) as _),
    };
    made.map_err(failure)
}

/// The client of a vendor of news.
pub fn news(vendor: NewsVendor, config: &SourcesConfig) -> Result<Box<dyn NewsSource>, Failure> {
    let made: Result<Box<dyn NewsSource>, VendorError> = match vendor {
        NewsVendor::Alpaca => {
            let http = alpaca(config, &config.alpaca.base_url)?;
            Alpaca::new(http, &config.alpaca.feed, clock()).map(|client| Box::new(client) as _)
        }
        NewsVendor::Newsapi => {
            let newsapi = &config.newsapi;
            let credentials = Credentials::ApiKey(newsapi.key().read()?);
            let http = HttpConfig::new(&newsapi.base_url, credentials, newsapi.requests_per_minute);
            let delay = Duration::from_secs(u64::from(newsapi.delay_hours) * 3_600);
            NewsApi::new(http, delay, clock()).map(|client| Box::new(client) as _)
        }
    };
    made.map_err(failure)
}

/// A vendor's error as the command's.
pub fn failure(error: VendorError) -> Failure {
    use vendors::Refusal;
    let message = error.to_string();
    match error {
        VendorError::Transient { .. } | VendorError::Limited { .. } => Failure {
            hint: "the same command again later goes on".to_owned(),
            ..Failure::unreachable(message)
        },
        VendorError::Refused { kind: Refusal::Credentials, .. } | VendorError::Setup { .. } => {
            Failure::config(message)
        }
        VendorError::Refused { kind: Refusal::Unknown, .. } => Failure::not_found(message, ""),
        VendorError::Refused { kind: Refusal::Request, .. } | VendorError::Broken { .. } => {
            Failure::other(message)
        }
    }
}
