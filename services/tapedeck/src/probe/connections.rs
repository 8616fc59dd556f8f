//! Connections of the configuration that can be tested: vendors and brokers. Each is asked one small question, with the
//! key that it is asked with otherwise.

use std::time::Instant;

use domain::bar::Timeframe;
use vendors::{Adjustment, Ask, Cursor, NewsAsk};
use web::probe::Connection;

use crate::cli::{NewsVendor, Vendor};
use crate::config::{Config, Credential};
use crate::exit::Failure;
use crate::{source, trading};

/// What a vendor of prices or news is asked about.
const SYMBOL: &str = "SPY";
/// Days of it.
const DAYS: i64 = 10;
/// Pages of them at most: splits, dividends and bars have one each.
const PAGES_MAX: usize = 10;
const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
/// Name of an account's broker: this and the account's name.
const BROKER: &str = "broker.";

/// Vendors by their names here.
const VENDORS: [(&str, &str, Vendor); 3] = [
    ("yahoo", "Yahoo Finance", Vendor::Yahoo),
    ("alpaca", "Alpaca market data", Vendor::Alpaca),
    ("massive", "Massive", Vendor::Massive),
];
const NEWSAPI: &str = "newsapi";

fn unset(credentials: &[Credential<'_>]) -> Vec<String> {
    let unset = credentials.iter().filter(|credential| !credential.is_set());
    unset.map(|credential| credential.field.to_string()).collect()
}

/// Vendors, and the broker of each account at one outside.
pub fn all(config: &Config) -> Vec<Connection> {
    let sources = &config.source;
    let named = |name: &str, title: &str, url: &str, unset: Vec<String>| Connection {
        name: name.to_owned(),
        title: title.to_owned(),
        url: url.to_owned(),
        unset,
    };
    let mut all: Vec<Connection> = VENDORS
        .into_iter()
        .map(|(name, title, vendor)| match vendor {
            Vendor::Yahoo => named(name, title, &sources.yahoo.base_url, Vec::new()),
            Vendor::Alpaca => {
                let credentials = [sources.alpaca.key(), sources.alpaca.secret()];
                named(name, title, &sources.alpaca.base_url, unset(&credentials))
            }
            Vendor::Massive => named(name, title, &sources.massive.base_url, unset(&[sources.massive.key()])),
        })
        .collect();
    all.push(named(NEWSAPI, "NewsAPI", &sources.newsapi.base_url, unset(&[sources.newsapi.key()])));
    for (name, account) in config.account.iter().filter(|(_, account)| account.is_at_alpaca()) {
        let title = format!("Alpaca, account {name}, {}", account.wanted_mode().name());
        let credentials = unset(&account.broker_credentials(name));
        all.push(named(&format!("{BROKER}{name}"), &title, account.broker_url(), credentials));
    }
    all
}

/// Asks the vendor or broker `name`; answers what it told, or why it did not.
pub async fn test(config: &Config, name: &str) -> Result<String, String> {
    let words = |failure: Failure| failure.message;
    let asked = Instant::now();
    let found = if let Some(account) = name.strip_prefix(BROKER) {
        broker(config, account).await?
    } else if name == NEWSAPI {
        let vendor = source::news(NewsVendor::Newsapi, &config.source, None).map_err(words)?;
        let now_ns = runtime::now_ns();
        let ask = NewsAsk {
            symbol: SYMBOL.to_owned(),
            words: None,
            headlines: false,
            from_ns: now_ns - DAYS * DAY_NS,
            to_ns: now_ns,
        };
        let page = vendor.page(&ask, Cursor::default()).await.map_err(|error| error.to_string())?;
        format!("{} articles about {SYMBOL}", page.articles.len())
    } else {
        let vendor = VENDORS.into_iter().find(|(known, ..)| *known == name);
        let (.., vendor) =
            vendor.ok_or_else(|| format!("connection {name:?}: expected one of the page's"))?;
        bars(config, vendor).await?
    };
    Ok(format!("answered in {:.0} ms: {found}", asked.elapsed().as_secs_f64() * 1e3))
}

async fn bars(config: &Config, vendor: Vendor) -> Result<String, String> {
    let vendor = source::history(vendor, &config.source).map_err(|failure| failure.message)?;
    let now_ns = runtime::now_ns();
    let from_ns = now_ns - DAYS * DAY_NS;
    let ask = Ask {
        symbol: SYMBOL.to_owned(),
        timeframe: Timeframe::D1,
        from_ns,
        to_ns: now_ns,
        actions_from_ns: from_ns,
        bars: true,
        adjustment: Adjustment::Raw,
    };
    // Whether bars may be seen shows on the last page: splits and dividends are told before.
    let (mut bars, mut next) = (0, Some(Cursor::default()));
    for _ in 0..PAGES_MAX {
        let Some(at) = next.take() else { break };
        let page = vendor.page(&ask, at, now_ns).await.map_err(|error| error.to_string())?;
        bars += page.bars.len();
        next = page.next;
    }
    Ok(format!("{bars} daily bars of {SYMBOL} in the last {DAYS} days"))
}

async fn broker(config: &Config, name: &str) -> Result<String, String> {
    let account = config.account.get(name).filter(|account| account.is_at_alpaca());
    let account = account.ok_or_else(|| format!("account {name:?}: expected one at a broker outside"))?;
    let at =
        trading::alpaca_config(name, account, account.wanted_mode()).map_err(|failure| failure.message)?;
    let found = trading::account_at(name, &at).await.map_err(|error| error.to_string())?;
    let takes =
        found.blocked.map_or_else(|| "takes orders".to_owned(), |why| format!("takes no orders: {why}"));
    Ok(format!("account {}, equity {}, cash {}, {takes}", found.number, found.equity, found.cash))
}
