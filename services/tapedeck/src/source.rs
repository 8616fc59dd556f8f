//! Vendors, made of the configuration and the credentials that it names.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use contracts::to_timestamp;
use contracts::v1::SourceBreaker;
use vendors::http::{Client, Credentials, Guards, HttpConfig, Shared};
use vendors::{
    Alpaca, AlpacaAssets, ConsentPages, HistoricalBars, Massive, NewsApi, NewsSource, ReferenceData,
    StreamConfig, SystemClock, VendorError, Wanted, Yahoo, YahooCompany,
};

use crate::cli::{NewsVendor, Vendor};
use crate::config::SourcesConfig;
use crate::exit::Failure;

mod live;
mod news;
mod told;

pub use live::Streams;
pub use news::{Agency, article};
pub use told::{quote, unapplied};

/// The real clock, as vendors read it.
fn clock() -> Arc<SystemClock> {
    // Two processes do not wait alike.
    let seed = u64::from(std::process::id()) ^ runtime::now_ns().unsigned_abs();
    Arc::new(SystemClock::new(runtime::now_ns, seed))
}

/// Limits and breakers of this process. There is one of each for a source and a credential, whoever asks.
static GUARDS: LazyLock<Arc<Guards>> = LazyLock::new(Arc::default);

/// The limit and the breaker of whatever is asked, for a client that is listed as `client`, or as nothing.
pub fn shared(client: Option<Client>) -> Shared {
    Shared { guards: Arc::clone(&GUARDS), client }
}

/// The breakers of this process, as its heartbeats tell of them.
#[derive(Debug)]
pub struct Breakers;

impl runtime::Breakers for Breakers {
    fn of(&self, service: &str) -> Vec<SourceBreaker> {
        let told = GUARDS.breakers(service).into_iter();
        told.map(|told| SourceBreaker {
            source: told.vendor.to_owned(),
            account: told.client.account,
            client: told.client.purpose.to_owned(),
            state: told.breaker.state.name().to_owned(),
            until: told.breaker.until_ns.map(to_timestamp),
            failures: told.breaker.failures,
            last_failure: told.breaker.last_failure,
            last_failure_at: told.breaker.last_failure_ns.map(to_timestamp),
        })
        .collect()
    }
}

fn http(url: &str, credentials: Credentials, requests_per_minute: u32) -> HttpConfig {
    HttpConfig { shared: Some(shared(None)), ..HttpConfig::new(url, credentials, requests_per_minute) }
}

/// The same, listed among the clients of a service.
fn listed(http: HttpConfig, service: &'static str, purpose: &'static str) -> HttpConfig {
    let client = Client { service, purpose, account: String::new() };
    HttpConfig { shared: Some(shared(Some(client))), ..http }
}

fn yahoo(config: &SourcesConfig, url: &str) -> HttpConfig {
    http(url, Credentials::None, config.yahoo.requests_per_minute)
}

fn alpaca_credentials(config: &SourcesConfig) -> Result<Credentials, Failure> {
    Ok(Credentials::Alpaca { key: config.alpaca.key().read()?, secret: config.alpaca.secret().read()? })
}

fn alpaca(config: &SourcesConfig, url: &str) -> Result<HttpConfig, Failure> {
    Ok(http(url, alpaca_credentials(config)?, config.alpaca.requests_per_minute))
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
    Ok(http(&config.massive.base_url, credentials, config.massive.requests_per_minute))
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
            let consent = config.yahoo.accept_consent.then(|| ConsentPages {
                page: yahoo(config, &config.yahoo.consent_url),
                collect: yahoo(config, &config.yahoo.collect_url),
            });
            YahooCompany::new(http, front, consent, clock()).map(|client| Box::new(client) as _)
        }
        Vendor::Alpaca => AlpacaAssets::new(alpaca(config, &config.alpaca.assets_url)?, clock())
            .map(|client| Box::new(client) as _),
        Vendor::Massive => Massive::new(massive(config)?, clock()).map(|client| Box::new(client) as _),
    };
    made.map_err(failure)
}

/// The client of a vendor of news; that of a service is listed as such.
pub fn news(
    vendor: NewsVendor,
    config: &SourcesConfig,
    service: Option<&'static str>,
) -> Result<Box<dyn NewsSource>, Failure> {
    let of_service = |http: HttpConfig| match service {
        Some(service) => listed(http, service, "news"),
        None => http,
    };
    let made: Result<Box<dyn NewsSource>, VendorError> = match vendor {
        NewsVendor::Alpaca => {
            let http = of_service(alpaca(config, &config.alpaca.base_url)?);
            Alpaca::new(http, &config.alpaca.feed, clock()).map(|client| Box::new(client) as _)
        }
        NewsVendor::Newsapi => {
            let newsapi = &config.newsapi;
            let credentials = Credentials::ApiKey(newsapi.key().read()?);
            let http = of_service(http(&newsapi.base_url, credentials, newsapi.requests_per_minute));
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
