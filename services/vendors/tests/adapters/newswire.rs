//! Alpaca's stream of news against the stand-in, with what goes wrong on it.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_vendors::fault::{StreamFault, StreamRule};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Article, Event, Script, What};
use tapedeck_vendors::{HangUp, KEY, SECRET, Vendors};
use vendors::http::{Credentials, HttpConfig};
use vendors::{
    Alpaca, Heard, LiveStream, NewsAsk, NewsSource as _, Refusal, StreamConfig, Told, VendorError, Wanted,
};

use crate::live::{MarketClock, is_live, until};
use crate::office::all;

const MINUTE: Duration = Duration::from_secs(60);
/// Time between two looks at whether a stream is silent.
const LOOKS: Duration = Duration::from_secs(10);

struct Desk {
    vendors: Vendors,
    packed: bool,
}

impl Desk {
    async fn new() -> Self {
        let script = Script { articles: Some(Vec::new()), ..Script::default() };
        Self { vendors: Vendors::start(script).await.unwrap(), packed: false }
    }

    fn clock(&self) -> Arc<MarketClock> {
        Arc::new(MarketClock(Arc::clone(&self.vendors.stand)))
    }

    fn now_ns(&self) -> i64 {
        self.vendors.stand.market(|market| market.now_ns())
    }

    fn stream(&self, key: &str) -> LiveStream<Told> {
        let config = StreamConfig {
            url: format!("{}/v1beta1/news", self.vendors.addresses().ws(Vendor::AlpacaData)),
            credentials: credentials(key),
            symbols: vec!["AAPL".into(), "BRK.B".into()],
            wanted: Wanted::default(),
            packed: self.packed,
            silence: MINUTE,
        };
        Alpaca::news_stream(config, self.clock()).unwrap()
    }

    /// Has an article come out, or change, a second ago.
    fn say(&self, id: i64, headline: &str, symbols: &[&str]) {
        let at_ns = self.now_ns() - 1_000_000_000;
        let article = Article {
            id,
            created_ns: at_ns - 5,
            updated_ns: at_ns,
            headline: headline.to_owned(),
            summary: "<p>More &amp; more</p>".to_owned(),
            url: format!("https://news.example/{id}"),
            symbols: symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
            ..Article::default()
        };
        let symbol = symbols.first().map(|symbol| (*symbol).to_owned()).unwrap_or_default();
        self.vendors.stand.say(Event { sequence: 0, at_ns: 0, symbol, what: What::News { article } });
    }

    fn arm(&self, fault: StreamFault) {
        let (vendor, kind) = (Vendor::AlpacaData, Some("n".to_owned()));
        let rule = StreamRule { vendor, path: "/v1beta1/news".into(), kind, after: 0, times: 1, fault };
        self.vendors.stand.faults.on_stream(rule);
    }

    /// What a page tells about a symbol.
    async fn asked(&self, symbol: &str) -> Vec<Told> {
        let url = self.vendors.addresses().http(Vendor::AlpacaData);
        let source =
            Alpaca::new(HttpConfig::new(url, credentials(KEY), 10_000), "sip", self.clock()).unwrap();
        let to_ns = self.now_ns();
        let ask = NewsAsk {
            symbol: symbol.to_owned(),
            words: None,
            headlines: false,
            from_ns: to_ns - 3_600_000_000_000,
            to_ns,
        };
        assert_eq!(source.delay(), Duration::ZERO);
        all(&source, &ask).await.unwrap().articles
    }
}

fn credentials(key: &str) -> Credentials {
    Credentials::Alpaca { key: key.to_owned().into(), secret: SECRET.to_owned().into() }
}

fn is_article(heard: &Heard<Told>) -> bool {
    matches!(heard, Heard::Told(_))
}

fn articles(heard: &[Heard<Told>]) -> Vec<Told> {
    let article = |heard: &Heard<Told>| match heard {
        Heard::Told(told) => Some(told.clone()),
        _ => None,
    };
    heard.iter().filter_map(article).collect()
}

#[tokio::test]
async fn an_article_is_told_as_it_comes_out_and_is_the_one_of_pages() {
    for packed in [false, true] {
        let desk = Desk { packed, ..Desk::new().await };
        let mut stream = desk.stream(KEY);
        until(&mut stream, is_live).await;
        desk.say(1, "About another one", &["MSFT"]);
        desk.say(2, "", &["AAPL"]);
        desk.say(3, "AAPL&#39;s day", &["MSFT", "AAPL"]);
        let told = articles(&until(&mut stream, is_article).await);
        assert_eq!(told, desk.asked("AAPL").await, "packed {packed}");
        let [article] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((article.headline.as_str(), article.summary.as_str()), ("AAPL's day", "More & more"));
        assert_eq!((article.source_id.as_str(), article.symbols.join(" ")), ("3", "MSFT AAPL".into()));
        assert_eq!(article.updated_ns, article.published_ns + 5, "to the nanosecond");
        desk.say(3, "AAPL's better day", &["AAPL"]);
        let told = articles(&until(&mut stream, is_article).await);
        assert_eq!((told[0].source_id.as_str(), told[0].headline.as_str()), ("3", "AAPL's better day"));
        let connections = desk.vendors.stand.ledger.connections();
        assert!(connections.iter().all(|connection| connection.binary == packed), "packed {packed}");
    }
}

#[tokio::test]
async fn a_lost_stream_is_made_again_and_what_it_did_not_tell_is_in_pages() {
    let desk = Desk::new().await;
    let mut stream = desk.stream(KEY);
    until(&mut stream, is_live).await;
    for (id, fault) in
        [(1, StreamFault::Cut), (2, StreamFault::Close { code: 1011, reason: "restart".into() })]
    {
        desk.arm(fault.clone());
        desk.say(id, "Not told", &["BRK.B"]);
        let told = until(&mut stream, is_live).await;
        assert!(told.iter().any(|heard| matches!(heard, Heard::Lost { .. })), "{fault:?}: {told:?}");
        assert_eq!(articles(&told), [], "{fault:?}");
    }
    assert_eq!(desk.asked("BRK.B").await.len(), 2);
    desk.vendors.stand.hang_up(HangUp { vendor: Vendor::AlpacaData, code: None });
    until(&mut stream, is_live).await;
    desk.say(3, "Told again", &["BRK.B"]);
    assert_eq!(articles(&until(&mut stream, is_article).await)[0].headline, "Told again");
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_is_named_and_the_stream_goes_on() {
    let desk = Desk::new().await;
    let mut stream = desk.stream(KEY);
    until(&mut stream, is_live).await;
    desk.arm(StreamFault::Garbage);
    desk.arm(StreamFault::Interject {
        message: serde_json::json!([{"T": "n", "headline": "x", "created_at": "soon"}]),
    });
    desk.say(1, "One", &["AAPL"]);
    desk.say(2, "Two", &["AAPL"]);
    let is_two = |heard: &Heard<Told>| matches!(heard, Heard::Told(told) if told.headline == "Two");
    let told = until(&mut stream, is_two).await;
    let wrong: Vec<&str> = told
        .iter()
        .filter_map(|heard| match heard {
            Heard::Unreadable(what) => Some(what.as_str()),
            _ => None,
        })
        .collect();
    assert!(wrong.iter().any(|what| what.starts_with("a frame of")), "{told:?}");
    assert!(wrong.contains(&"created_at: \"soon\" is no time"), "{told:?}");
    assert_eq!(articles(&told).len(), 2, "{told:?}");
}

#[tokio::test]
async fn a_wrong_key_ends_it_with_the_vendors_words() {
    let desk = Desk::new().await;
    let mut stream = desk.stream("planted-wrong-key");
    let told = until(&mut stream, |heard| matches!(heard, Heard::Refused(_))).await;
    let [Heard::Refused(error @ VendorError::Refused { status: 402, kind, message, .. })] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!((*kind, message.as_str()), (Refusal::Credentials, "auth failed"));
    assert!(!error.to_string().contains("planted"), "{error}");
}

/// Alpaca gives one place to each of its streams: that of news takes none from that of minutes.
#[tokio::test]
async fn a_place_that_is_taken_is_waited_for_and_minutes_have_another() {
    let desk = Desk::new().await;
    let config = StreamConfig {
        url: format!("{}/v2/sip", desk.vendors.addresses().ws(Vendor::AlpacaData)),
        credentials: credentials(KEY),
        symbols: vec!["AAPL".into()],
        wanted: Wanted::default(),
        packed: false,
        silence: MINUTE * 60,
    };
    let mut minutes = Alpaca::stream(config, desk.clock()).unwrap();
    until(&mut minutes, is_live).await;
    let mut first = desk.stream(KEY);
    until(&mut first, is_live).await;
    let mut second = desk.stream(KEY);
    let told = until(&mut second, |heard| matches!(heard, Heard::Lost { .. })).await;
    let Some(Heard::Lost { why, again_in }) = told.last() else { panic!("{told:?}") };
    assert!(why.contains("406") && *again_in >= Duration::from_secs(3), "{why}: {again_in:?}");
    drop(first);
    until(&mut second, is_live).await;
}

/// No news while the market is open are no reason to connect again.
#[tokio::test]
async fn silence_is_no_end() {
    let desk = Desk::new().await;
    let mut stream = desk.stream(KEY);
    until(&mut stream, is_live).await;
    for _ in 0..30 {
        desk.vendors.stand.advance(MINUTE);
    }
    let heard = tokio::time::timeout(LOOKS + LOOKS / 2, stream.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!(desk.vendors.stand.ledger.connections().len(), 1);
}
