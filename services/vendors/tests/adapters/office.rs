//! A stand-in, a clock that does not wait, and adapters of facts and news.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use contracts::v1::event::Body;
use tapedeck_vendors::fault::{HttpFault, HttpRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tapedeck_vendors::{Settings, Vendors};
use vendors::http::{Credentials, HttpConfig};
use vendors::{
    Alpaca, AlpacaAssets, ConsentPages, Cursor, Massive, NewsApi, NewsAsk, NewsSource, ReferenceData, Told,
    VendorError, YahooCompany,
};

use crate::support::Counted;

/// The vendors that state facts.
pub const FACTS: [Vendor; 3] = [Vendor::Yahoo, Vendor::AlpacaTrading, Vendor::Massive];
/// The vendors that have news.
pub const NEWS: [Vendor; 2] = [Vendor::AlpacaData, Vendor::News];
/// How late NewsAPI is.
pub const DAY: Duration = Duration::from_secs(86_400);

pub struct Office {
    pub vendors: Vendors,
    pub clock: Arc<Counted>,
    pub now_ns: i64,
    key: String,
}

impl Office {
    pub async fn new() -> Self {
        Self::of(Script::default()).await
    }

    pub async fn of(script: Script) -> Self {
        let vendors = Vendors::start(script).await.unwrap();
        let now_ns = vendors.stand.market(|market| market.now_ns());
        let clock = Arc::new(Counted { now_ns: AtomicI64::new(now_ns), slept: std::sync::Mutex::default() });
        Self { vendors, clock, now_ns, key: tapedeck_vendors::KEY.to_owned() }
    }

    /// The same with another key.
    pub fn with_key(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }

    pub fn set(&self, change: &serde_json::Value) {
        self.vendors.stand.set(Settings::default().with(change).unwrap());
    }

    fn http(&self, vendor: Vendor) -> HttpConfig {
        let key = self.key.clone();
        let credentials = match vendor {
            Vendor::Yahoo => Credentials::None,
            Vendor::Massive => Credentials::Bearer(key.into()),
            Vendor::News => Credentials::ApiKey(key.into()),
            _ => Credentials::Alpaca { key: key.into(), secret: tapedeck_vendors::SECRET.to_owned().into() },
        };
        HttpConfig {
            answer_timeout: Duration::from_millis(1_500),
            ..HttpConfig::new(self.vendors.addresses().http(vendor), credentials, 10_000)
        }
    }

    pub fn facts(&self, vendor: Vendor) -> Box<dyn ReferenceData> {
        let (http, clock) = (self.http(vendor), Arc::clone(&self.clock));
        match vendor {
            Vendor::Yahoo => Box::new(YahooCompany::new(http.clone(), http, None, clock).unwrap()),
            Vendor::Massive => Box::new(Massive::new(http, clock).unwrap()),
            _ => Box::new(AlpacaAssets::new(http, clock).unwrap()),
        }
    }

    /// Yahoo's, for a user who agrees to what it asks consent for.
    pub fn facts_with_consent(&self) -> YahooCompany {
        let (http, clock) = (self.http(Vendor::Yahoo), Arc::clone(&self.clock));
        let pages = ConsentPages { page: http.clone(), collect: http.clone() };
        YahooCompany::new(http.clone(), http, Some(pages), clock).unwrap()
    }

    pub fn news(&self, vendor: Vendor) -> Box<dyn NewsSource> {
        let (http, clock) = (self.http(vendor), Arc::clone(&self.clock));
        match vendor {
            Vendor::News => Box::new(NewsApi::new(http, DAY, clock).unwrap()),
            _ => Box::new(Alpaca::new(http, "sip", clock).unwrap()),
        }
    }

    /// The next requests to a vendor under `path` meet a fault.
    pub fn arm(&self, vendor: Vendor, path: &str, times: u32, fault: HttpFault) {
        let path = path.to_owned();
        let rule = HttpRule { vendor, method: None, path, times, when: When::Before, fault };
        self.vendors.stand.faults.on_request(rule);
    }

    /// Statuses of the requests to a vendor under `path`.
    pub fn statuses(&self, vendor: Vendor, path: &str) -> Vec<u16> {
        let requests = self.vendors.stand.ledger.requests(Some(vendor), path);
        requests.iter().map(|request| request.status).collect()
    }

    /// Articles of the last `days` about a symbol.
    pub fn ask(&self, symbol: &str, days: i64) -> NewsAsk {
        let day_ns = 86_400_000_000_000;
        NewsAsk {
            symbol: symbol.to_owned(),
            words: None,
            headlines: false,
            from_ns: self.now_ns - days * day_ns,
            to_ns: self.now_ns,
        }
    }
}

/// Articles of all pages.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct All {
    pub articles: Vec<Told>,
    pub left_out: u64,
    pub cut_off: bool,
    pub longest: usize,
}

/// Reads every page.
pub async fn all(source: &dyn NewsSource, ask: &NewsAsk) -> Result<All, VendorError> {
    let mut all = All::default();
    let mut cursor = Some(Cursor::default());
    while let Some(at) = cursor {
        let page = source.page(ask, at).await?;
        all.longest = all.longest.max(page.articles.len());
        all.articles.extend(page.articles);
        all.left_out += page.left_out;
        all.cut_off |= page.cut_off;
        cursor = page.next;
    }
    Ok(all)
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: serde_json::Value) -> HttpFault {
    let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    HttpFault::Answer { status, headers, body }
}

/// The one listing of a list of facts.
pub fn listing(facts: &[Body]) -> contracts::v1::Listing {
    let [Body::Listing(listing)] = facts else { panic!("one listing: {facts:?}") };
    listing.clone()
}
