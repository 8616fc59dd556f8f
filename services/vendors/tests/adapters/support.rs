//! A stand-in, a clock that does not wait, and an adapter of each vendor between them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use tapedeck_vendors::Vendors;
use tapedeck_vendors::fault::{HttpFault, HttpRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use vendors::http::{Credentials, HttpConfig};
use vendors::{
    Action, Adjustment, Alpaca, Ask, Clock, Cursor, HistoricalBars, Massive, Page, Quoted, Skipped,
    Unapplied, VendorError, Yahoo,
};

/// A time that passes by sleeping alone; jitter is always the most.
#[derive(Debug)]
pub struct Counted {
    pub now_ns: AtomicI64,
    pub slept: Mutex<Duration>,
}

impl Counted {
    pub fn slept(&self) -> Duration {
        *self.slept.lock().unwrap()
    }
}

#[async_trait]
impl Clock for Counted {
    fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::SeqCst)
    }

    async fn sleep(&self, span: Duration) {
        self.now_ns.fetch_add(i64::try_from(span.as_nanos()).unwrap(), Ordering::SeqCst);
        *self.slept.lock().unwrap() += span;
    }

    fn jitter(&self, most: Duration) -> Duration {
        most
    }
}

/// The vendors that have history.
pub const ALL: [Vendor; 3] = [Vendor::Yahoo, Vendor::AlpacaData, Vendor::Massive];

/// One vendor at the stand-in.
pub struct Desk {
    pub vendors: Vendors,
    pub vendor: Vendor,
    pub clock: Arc<Counted>,
    pub adapter: Box<dyn HistoricalBars>,
    pub now_ns: i64,
}

impl Desk {
    pub async fn of(vendor: Vendor) -> Self {
        Self::with(vendor, tapedeck_vendors::KEY).await
    }

    /// An adapter that says `key`.
    pub async fn with(vendor: Vendor, key: &str) -> Self {
        let vendors = Vendors::start(Script::default()).await.unwrap();
        let now_ns = vendors.stand.market(|market| market.now_ns());
        let clock = Arc::new(Counted { now_ns: AtomicI64::new(now_ns), slept: Mutex::default() });
        let credentials = match vendor {
            Vendor::Yahoo => Credentials::None,
            Vendor::Massive => Credentials::Bearer(key.to_owned().into()),
            _ => Credentials::Alpaca {
                key: key.to_owned().into(),
                secret: tapedeck_vendors::SECRET.to_owned().into(),
            },
        };
        let http = HttpConfig {
            answer_timeout: Duration::from_millis(1_500),
            ..HttpConfig::new(vendors.addresses().http(vendor), credentials, 10_000)
        };
        let timer = Arc::clone(&clock);
        let adapter: Box<dyn HistoricalBars> = match vendor {
            Vendor::Yahoo => Box::new(Yahoo::new(http, timer).unwrap()),
            Vendor::Massive => Box::new(Massive::new(http, timer).unwrap()),
            _ => Box::new(Alpaca::new(http, "sip", timer).unwrap()),
        };
        Self { vendors, vendor, clock, adapter, now_ns }
    }

    /// The next requests under `path` meet a fault.
    pub fn arm(&self, path: &str, times: u32, fault: HttpFault) {
        let rule = HttpRule {
            vendor: self.vendor,
            method: None,
            path: path.into(),
            times,
            when: When::Before,
            fault,
        };
        self.vendors.stand.faults.on_request(rule);
    }

    /// Statuses of what was asked so far.
    pub fn statuses(&self) -> Vec<u16> {
        let requests = self.vendors.stand.ledger.requests(Some(self.vendor), "");
        requests.iter().map(|request| request.status).collect()
    }

    /// Everything of a span.
    pub async fn all(&self, ask: &Ask) -> Result<Everything, VendorError> {
        let mut all = Everything::default();
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            let Page { bars, actions, unapplied, skipped, next } =
                self.adapter.page(ask, at, self.now_ns).await?;
            all.longest = all.longest.max(bars.len());
            all.bars.extend(bars);
            all.actions.extend(actions);
            all.unapplied.extend(unapplied);
            all.skipped.add(skipped);
            all.pages += 1;
            cursor = next;
        }
        Ok(all)
    }
}

/// Pages put together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Everything {
    pub bars: Vec<Quoted>,
    pub actions: Vec<Action>,
    pub unapplied: Vec<Unapplied>,
    pub skipped: Skipped,
    pub pages: usize,
    pub longest: usize,
}

/// A span of whole dates, the last one counted in.
pub fn ask(symbol: &str, timeframe: Timeframe, from: &str, to: &str) -> Ask {
    let calendar = Calendar::xnys();
    let from_ns = calendar.start_of(from.parse().unwrap());
    let to: chrono::NaiveDate = to.parse().unwrap();
    let to_ns = calendar.start_of(to.succ_opt().unwrap());
    let adjustment = Adjustment::Raw;
    Ask { symbol: symbol.into(), timeframe, from_ns, to_ns, actions_from_ns: from_ns, bars: true, adjustment }
}
