//! Streams of each vendor against the stand-in, with what goes wrong on them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use tapedeck_vendors::fault::{StreamFault, StreamRule};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Event, Script, What};
use tapedeck_vendors::{HangUp, KEY, SECRET, Settings, Vendors};
use vendors::http::{Credentials, HttpConfig};
use vendors::{
    Alpaca, Clock, Heard, LiveStream, MarketMessage, Massive, RecentMinutes, Refusal, StreamConfig,
    VendorError, Wanted,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Longest wait for anything.
const WITHIN: Duration = Duration::from_secs(20);
const BOTH: [Vendor; 2] = [Vendor::AlpacaData, Vendor::Massive];

/// The market's clock, and waits of the real one.
pub struct MarketClock(pub Arc<tapedeck_vendors::Stand>);

impl fmt::Debug for MarketClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MarketClock")
    }
}

#[async_trait]
impl Clock for MarketClock {
    fn now_ns(&self) -> i64 {
        self.0.market(|market| market.now_ns())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        most / 2
    }
}

struct Desk {
    vendors: Vendors,
    vendor: Vendor,
    /// In MessagePack, with quotes and trades.
    packed: bool,
}

impl Desk {
    async fn of(vendor: Vendor) -> Self {
        Self { vendors: Vendors::start(Script::default()).await.unwrap(), vendor, packed: false }
    }

    fn credentials(&self, key: &str) -> Credentials {
        match self.vendor {
            Vendor::Massive => Credentials::Bearer(key.to_owned().into()),
            _ => Credentials::Alpaca { key: key.to_owned().into(), secret: SECRET.to_owned().into() },
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(MarketClock(Arc::clone(&self.vendors.stand)))
    }

    fn stream(&self, key: &str, silence: Duration) -> LiveStream<MarketMessage> {
        let path = if self.vendor == Vendor::Massive { "/stocks" } else { "/v2/sip" };
        let config = StreamConfig {
            url: format!("{}{path}", self.vendors.addresses().ws(self.vendor)),
            credentials: self.credentials(key),
            symbols: vec!["AAPL".into(), "MSFT".into()],
            wanted: Wanted { quotes: self.packed, trades: self.packed },
            packed: self.packed,
            silence,
        };
        let clock = self.clock();
        let opened = match self.vendor {
            Vendor::Massive => Massive::stream(config, clock),
            _ => Alpaca::stream(config, clock),
        };
        opened.unwrap()
    }

    fn arm(&self, kind: &str, fault: StreamFault) {
        let kind = Some(kind.to_owned());
        let rule = StreamRule { vendor: self.vendor, path: String::new(), kind, after: 0, times: 1, fault };
        self.vendors.stand.faults.on_stream(rule);
    }

    fn minute_kind(&self) -> &'static str {
        if self.vendor == Vendor::Massive { "AM" } else { "b" }
    }
}

/// What is told until `is_last`, that included.
pub async fn until<T: fmt::Debug>(
    stream: &mut LiveStream<T>,
    is_last: impl Fn(&Heard<T>) -> bool,
) -> Vec<Heard<T>> {
    let mut all = Vec::new();
    let deadline = Instant::now() + WITHIN;
    while !all.iter().any(&is_last) {
        let left = deadline.saturating_duration_since(Instant::now());
        let heard = tokio::time::timeout(left, stream.next()).await;
        all.extend(heard.unwrap_or_else(|_| panic!("not told in time: {all:?}")));
    }
    all
}

pub fn is_live<T>(heard: &Heard<T>) -> bool {
    matches!(heard, Heard::Live)
}

fn is_minute(heard: &Heard<MarketMessage>) -> bool {
    matches!(heard, Heard::Told(MarketMessage::Minute(_)))
}

/// Symbol, seconds from the market's start, and whether it is a correction.
fn minutes(heard: &[Heard<MarketMessage>], start_ns: i64) -> Vec<(String, i64, bool)> {
    let minutes = heard.iter().filter_map(|heard| match heard {
        Heard::Told(MarketMessage::Minute(minute)) => Some(minute),
        _ => None,
    });
    let at = |ns: i64| (ns - start_ns) / 1_000_000_000;
    minutes.map(|told| (told.symbol.clone(), at(told.quoted.start_ns), told.revised)).collect()
}

#[tokio::test]
async fn minutes_are_told_as_they_end_and_are_those_of_history() {
    for vendor in BOTH {
        let desk = Desk::of(vendor).await;
        let start_ns = desk.clock().now_ns();
        let mut stream = desk.stream(KEY, MINUTE * 3);
        until(&mut stream, is_live).await;
        desk.vendors.stand.advance(MINUTE * 2);
        let mut told = Vec::new();
        while minutes(&told, start_ns).len() < 4 {
            told.extend(until(&mut stream, is_minute).await);
        }
        let expected = [("AAPL", 0), ("MSFT", 0), ("AAPL", 60), ("MSFT", 60)];
        let mut found = minutes(&told, start_ns);
        found.retain(|(_, _, revised)| !revised);
        assert_eq!(found.len(), 4, "{found:?}");
        for (symbol, at) in expected {
            assert!(found.contains(&(symbol.to_owned(), at, false)), "{vendor:?} {symbol} {at}: {found:?}");
        }
        let url = desk.vendors.addresses().http(vendor).to_owned();
        let http = HttpConfig::new(url, desk.credentials(KEY), 10_000);
        let history: Box<dyn RecentMinutes> = match vendor {
            Vendor::Massive => Box::new(Massive::new(http, desk.clock()).unwrap()),
            _ => Box::new(Alpaca::new(http, "sip", desk.clock()).unwrap()),
        };
        let symbols = ["AAPL".to_owned(), "MSFT".to_owned()];
        let now_ns = desk.clock().now_ns();
        let asked = history.minutes(&symbols, start_ns, now_ns, now_ns).await.unwrap();
        assert_eq!(asked.len(), 4, "{vendor:?}: {asked:?}");
        for (symbol, quoted) in asked {
            let is_it = |heard: &&Heard<MarketMessage>| {
                matches!(heard, Heard::Told(MarketMessage::Minute(told))
                if told.symbol == symbol && told.quoted.start_ns == quoted.start_ns)
            };
            // A correction comes last.
            let Some(Heard::Told(MarketMessage::Minute(minute))) = told.iter().rfind(is_it) else {
                panic!("{symbol}")
            };
            assert_eq!(minute.quoted, quoted, "{vendor:?} {symbol}");
        }
        assert!(history.minutes(&symbols, now_ns, now_ns, now_ns).await.unwrap().is_empty(), "an empty span");
    }
}

/// Without a subscription the newest quarter of an hour of the whole market is refused; a stream that is late by as much
/// goes on where that ends.
#[tokio::test]
async fn what_a_late_stream_missed_is_asked_for_as_far_as_it_is_free() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    desk.vendors.stand.set(Settings::default().with(&json!({"alpaca_data": {"sip": false}})).unwrap());
    let http = HttpConfig::new(desk.vendors.addresses().http(desk.vendor), desk.credentials(KEY), 10_000);
    let history = |feed: &str| Alpaca::new(http.clone(), feed, desk.clock()).unwrap();
    let (symbols, now_ns) = (["AAPL".to_owned()], desk.clock().now_ns());
    let minute_ns = 60_000_000_000;
    let from_ns = now_ns - 5 * minute_ns;
    let refused = history("sip").minutes(&symbols, from_ns, now_ns, now_ns).await.unwrap_err();
    assert!(refused.to_string().contains("recent SIP data"), "{refused}");
    // An outage of the last five minutes cost those of a quarter of an hour before.
    let found = history("delayed_sip").minutes(&symbols, from_ns, now_ns, now_ns).await.unwrap();
    let starts: Vec<i64> = found.iter().map(|(_, quoted)| (quoted.start_ns - now_ns) / minute_ns).collect();
    assert!(starts.len() > 3 && starts.iter().all(|at| (-21..-16).contains(at)), "{starts:?}");
    let asked = desk.vendors.stand.ledger.requests(Some(desk.vendor), "/v2/stocks/bars");
    assert!(asked.last().unwrap().query.contains("feed=sip"), "{:?}", asked.last());
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_subscribed_again() {
    for vendor in BOTH {
        let desk = Desk::of(vendor).await;
        let mut stream = desk.stream(KEY, MINUTE * 3);
        until(&mut stream, is_live).await;
        for fault in [StreamFault::Cut, StreamFault::Close { code: 1011, reason: "restart".into() }] {
            desk.arm(desk.minute_kind(), fault.clone());
            desk.vendors.stand.advance(MINUTE);
            let began = Instant::now();
            let told = until(&mut stream, is_live).await;
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
            let lost = told.iter().find_map(|heard| match heard {
                Heard::Lost { why, .. } => Some(why.clone()),
                _ => None,
            });
            let lost = lost.unwrap_or_else(|| panic!("{vendor:?} {fault:?}: {told:?}"));
            assert!(matches!(fault, StreamFault::Cut) || lost == "closed with 1011: restart", "{lost}");
            desk.vendors.stand.advance(MINUTE);
            until(&mut stream, is_minute).await;
        }
        desk.vendors.stand.hang_up(HangUp { vendor, code: None });
        until(&mut stream, is_live).await;
    }
}

#[tokio::test]
async fn a_wrong_key_ends_it_with_the_vendors_words() {
    for (vendor, words) in [(Vendor::AlpacaData, "auth failed"), (Vendor::Massive, "authentication failed")] {
        let desk = Desk::of(vendor).await;
        let mut stream = desk.stream("planted-wrong-key", MINUTE);
        let told = until(&mut stream, |heard| matches!(heard, Heard::Refused(_))).await;
        let [Heard::Refused(error @ VendorError::Refused { kind, message, .. })] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((*kind, message.as_str()), (Refusal::Credentials, words));
        assert!(!error.to_string().contains("planted"), "{error}");
        let more = tokio::time::timeout(Duration::from_secs(2), stream.next()).await;
        assert!(more.is_err(), "nothing is tried again: {more:?}");
        assert_eq!(desk.vendors.stand.ledger.connections().len(), 1);
    }
}

#[tokio::test]
async fn what_the_plan_lacks_ends_it_with_the_vendors_words() {
    let stream = json!({"alpaca_data": {"sip": false}, "massive": {"streams": false}});
    let symbols = json!({"alpaca_data": {"symbols_max": 1}});
    let (key, request) = (Refusal::Credentials, Refusal::Request);
    for (vendor, lacks, kind, words) in [
        (Vendor::AlpacaData, &stream, key, "insufficient subscription"),
        (Vendor::Massive, &stream, key, "Your plan doesn't include websocket access"),
        (Vendor::AlpacaData, &symbols, request, "symbol limit exceeded"),
    ] {
        let desk = Desk::of(vendor).await;
        desk.vendors.stand.set(Settings::default().with(lacks).unwrap());
        let mut stream = desk.stream(KEY, MINUTE);
        let told = until(&mut stream, |heard| matches!(heard, Heard::Refused(_))).await;
        let [Heard::Refused(VendorError::Refused { kind: told, message, .. })] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((*told, message.as_str()), (kind, words));
    }
}

#[tokio::test]
async fn a_place_that_is_taken_is_waited_for() {
    for vendor in BOTH {
        let desk = Desk::of(vendor).await;
        let mut first = desk.stream(KEY, MINUTE * 3);
        until(&mut first, is_live).await;
        let mut second = desk.stream(KEY, MINUTE * 3);
        let told = until(&mut second, |heard| matches!(heard, Heard::Lost { .. })).await;
        let Some(Heard::Lost { why, again_in }) = told.last() else { panic!("{told:?}") };
        assert!(why.contains("limit") || why.contains("406"), "{why}");
        assert!(*again_in >= Duration::from_secs(3), "{again_in:?}");
        drop(first);
        until(&mut second, is_live).await;
    }
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_is_named_and_the_stream_goes_on() {
    for vendor in BOTH {
        let desk = Desk::of(vendor).await;
        let mut stream = desk.stream(KEY, MINUTE * 3);
        until(&mut stream, is_live).await;
        desk.arm(desk.minute_kind(), StreamFault::Garbage);
        desk.vendors.stand.advance(MINUTE);
        let told = until(&mut stream, is_minute).await;
        let named =
            told.iter().any(|heard| matches!(heard, Heard::Unreadable(what) if what.contains("frame")));
        assert!(named, "{vendor:?}: {told:?}");
    }
}

/// A connection that is alive and tells nothing while the market is open is given up.
#[tokio::test]
async fn silence_while_the_market_is_open_is_an_end() {
    // Both at once: how a connection stands is looked at every few seconds.
    tokio::join!(silent(Vendor::AlpacaData), silent(Vendor::Massive));
}

async fn silent(vendor: Vendor) {
    let desk = Desk::of(vendor).await;
    let mut stream = desk.stream(KEY, MINUTE * 3);
    until(&mut stream, is_live).await;
    desk.arm(desk.minute_kind(), StreamFault::Mute);
    for _ in 0..5 {
        desk.vendors.stand.advance(MINUTE);
    }
    let told = until(&mut stream, |heard| matches!(heard, Heard::Lost { .. })).await;
    let silent = |heard: &Heard<MarketMessage>| match heard {
        Heard::Lost { why, .. } => why.contains("while the market is open"),
        _ => false,
    };
    assert!(told.iter().any(silent), "{told:?}");
    until(&mut stream, is_live).await;
}

#[tokio::test]
async fn a_halt_and_a_correction_are_told() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let mut stream = desk.stream(KEY, MINUTE * 3);
    until(&mut stream, is_live).await;
    let what = What::Status {
        code: "H".into(),
        message: "Trading Halt".into(),
        reason_code: "T12".into(),
        reason: "News pending".into(),
    };
    desk.vendors.stand.say(Event { sequence: 0, at_ns: 0, symbol: "AAPL".into(), what });
    let told = until(&mut stream, |heard| matches!(heard, Heard::Told(MarketMessage::Status(_)))).await;
    let Some(Heard::Told(MarketMessage::Status(status))) = told.last() else { panic!("{told:?}") };
    assert_eq!((status.symbol.as_str(), status.halted), ("AAPL", Some(true)));
    let start_ns = desk.clock().now_ns();
    let bar = json!({"start_ns": start_ns, "open": 10_000, "high": 10_000, "low": 9_000, "close": 9_500,
        "volume": 5, "trades": 1, "vwap": 9_500});
    let what = What::UpdatedBar { bar: serde_json::from_value(bar).unwrap() };
    desk.vendors.stand.say(Event { sequence: 0, at_ns: start_ns, symbol: "MSFT".into(), what });
    let told = until(&mut stream, is_minute).await;
    assert_eq!(minutes(&told, start_ns), [("MSFT".to_owned(), 0, true)]);
}

/// What the vendor says beside minutes, in MessagePack; times keep their nanoseconds.
#[tokio::test]
async fn quotes_trades_and_days_are_told_in_messagepack() {
    let desk = Desk { packed: true, ..Desk::of(Vendor::AlpacaData).await };
    let mut stream = desk.stream(KEY, MINUTE * 3);
    until(&mut stream, is_live).await;
    let connections = desk.vendors.stand.ledger.connections();
    assert!(connections.iter().all(|connection| connection.binary), "it speaks MessagePack");
    let at_ns = desk.clock().now_ns() + 1;
    let say = |value: serde_json::Value| {
        let what: What = serde_json::from_value(value).unwrap();
        desk.vendors.stand.say(Event { sequence: 0, at_ns, symbol: "AAPL".into(), what });
    };
    let trade = json!({"id": 7, "at_ns": at_ns, "price": 1_876_300, "size": 40, "exchange": "V",
        "conditions": ["@"], "tape": "C"});
    let mut other = trade.clone();
    other["price"] = json!(1_875_000);
    say(
        json!({"kind": "quote", "quote": {"at_ns": at_ns, "bid": 1_876_200, "bid_size": 300, "ask": 1_876_400,
        "ask_size": 200, "tape": "C"}}),
    );
    say(json!({"kind": "trade", "trade": trade}));
    say(json!({"kind": "correction", "original": trade, "corrected": other}));
    say(json!({"kind": "cancel_error", "trade": trade, "action": "C"}));
    let bar = json!({"start_ns": at_ns, "open": 10_000, "high": 10_000, "low": 9_000, "close": 9_500, "volume": 5,
        "trades": 1, "vwap": 9_500});
    say(json!({"kind": "daily_bar", "bar": bar}));
    let told = until(&mut stream, |heard| matches!(heard, Heard::Told(MarketMessage::Day(_)))).await;
    let quote = told.iter().find_map(|heard| match heard {
        Heard::Told(MarketMessage::Quote(quote)) if quote.at_ns == at_ns => Some(quote),
        _ => None,
    });
    let quote = quote.unwrap_or_else(|| panic!("{told:?}"));
    let prices = (quote.bid.to_string(), quote.ask.to_string());
    assert_eq!(prices, ("187.62".to_owned(), "187.64".to_owned()));
    assert_eq!(
        (quote.bid_size.to_string(), quote.ask_size.to_string()),
        ("300".to_owned(), "200".to_owned())
    );
    let trade = told.iter().find_map(|heard| match heard {
        Heard::Told(MarketMessage::Trade(trade)) if trade.id == "7" => Some(trade),
        _ => None,
    });
    let trade = trade.unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(
        (trade.price.to_string(), trade.size.to_string(), trade.at_ns),
        ("187.63".into(), "40".into(), at_ns)
    );
    let amended: Vec<(&str, bool)> = told
        .iter()
        .filter_map(|heard| match heard {
            Heard::Told(MarketMessage::Amended(amended)) => Some((amended.words.as_str(), amended.cancelled)),
            _ => None,
        })
        .collect();
    let expected =
        [("trade 7 of 40 at 187.63 is 40 at 187.5", false), ("trade 7 of 40 at 187.63 was none", true)];
    assert_eq!(amended, expected);
    desk.vendors.stand.advance(MINUTE);
    assert!(until(&mut stream, is_minute).await.iter().all(|heard| !matches!(heard, Heard::Unreadable(_))));
}
