//! The service `news` on a tape in memory, its source a script: what is asked for and from where on, what the stream
//! tells, and what becomes of failures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::to_timestamp;
use contracts::v1::{NewsArticle, Origin};
use event_log::Tape;
use ingest::news::{
    AskError, Heard, NewsAgency, NewsConfig, NewsError, NewsPage, NewsPages, NewsWire, SERVICE, list, run,
};
use runtime::{ClockMode, Context, Health, HealthState, ServiceHealth, now_ns};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::memory;

const HOUR_NS: i64 = 3_600_000_000_000;
const WITHIN: Duration = Duration::from_secs(20);
/// So long that no second round begins by itself.
const LONG: Duration = Duration::from_secs(3_600);
/// Articles of one page.
const PAGE: usize = 2;

type Teller = mpsc::UnboundedSender<Vec<Heard>>;
/// A symbol and the span that it was asked for.
type Asked = (String, i64, i64);

/// What the source holds, tells and refuses.
#[derive(Clone, Default)]
struct Script {
    articles: Arc<Mutex<Vec<NewsArticle>>>,
    /// For the next questions; `None` never answers.
    failures: Arc<Mutex<VecDeque<Option<AskError>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    teller: Arc<Mutex<Option<Teller>>>,
    streamed: bool,
}

impl Script {
    fn streamed() -> Self {
        Self { streamed: true, ..Self::default() }
    }

    fn say(&self, heard: Heard) {
        self.teller.lock().unwrap().as_ref().unwrap().send(vec![heard]).unwrap();
    }

    fn tell(&self, article: NewsArticle) {
        self.say(Heard::Article(Box::new(article)));
    }

    fn holds(&self, article: NewsArticle) {
        self.articles.lock().unwrap().push(article);
    }

    fn fails(&self, failures: impl IntoIterator<Item = Option<AskError>>) {
        self.failures.lock().unwrap().extend(failures);
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl NewsAgency for Script {
    fn name(&self) -> &'static str {
        "vendor"
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    fn wire(&self) -> Result<Option<Box<dyn NewsWire>>, String> {
        if !self.streamed {
            return Ok(None);
        }
        let (teller, told) = mpsc::unbounded_channel();
        *self.teller.lock().unwrap() = Some(teller);
        Ok(Some(Box::new(Told(told))))
    }

    fn ask(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Box<dyn NewsPages> {
        self.asked.lock().unwrap().push((symbol.to_owned(), from_ns, to_ns));
        let failure = self.failures.lock().unwrap().pop_front();
        let mut found = self.articles.lock().unwrap().clone();
        found.retain(|article| {
            let at_ns = article.updated.as_ref().and_then(contracts::from_timestamp).unwrap();
            article.symbols.iter().any(|of| of == symbol) && (from_ns..to_ns).contains(&at_ns)
        });
        Box::new(Answer { failure, found })
    }
}

struct Told(mpsc::UnboundedReceiver<Vec<Heard>>);

#[async_trait]
impl NewsWire for Told {
    async fn next(&mut self) -> Vec<Heard> {
        match self.0.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }
}

struct Answer {
    failure: Option<Option<AskError>>,
    found: Vec<NewsArticle>,
}

#[async_trait]
impl NewsPages for Answer {
    async fn next(&mut self) -> Result<Option<NewsPage>, AskError> {
        match self.failure.take() {
            Some(Some(error)) => return Err(error),
            Some(None) => std::future::pending().await,
            None => {}
        }
        if self.found.is_empty() {
            return Ok(None);
        }
        let rest = self.found.split_off(self.found.len().min(PAGE));
        let articles = std::mem::replace(&mut self.found, rest);
        Ok(Some(NewsPage { articles, cut_off: false }))
    }
}

/// The service under way on a tape.
struct Deck {
    tape: Tape,
    health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), NewsError>>,
}

impl Deck {
    fn start(tape: &Tape, script: &Script, every: Duration) -> Self {
        Self::on(ClockMode::Wall, tape, script, every)
    }

    fn on(clock: ClockMode, tape: &Tape, script: &Script, every: Duration) -> Self {
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let context =
            Context { tape: tape.clone(), clock, health: health.clone(), shutdown: shutdown.clone() };
        let config = NewsConfig { symbols: vec!["AAPL".into(), "MSFT".into()], every };
        let task = tokio::spawn(run(context, config, Arc::new(script.clone())));
        Self { tape: tape.clone(), health, shutdown, task }
    }

    fn says(&self) -> Option<ServiceHealth> {
        self.health.all().remove(SERVICE)
    }

    async fn is(&self, state: HealthState, words: &str) {
        let is = || self.says().is_some_and(|said| said.state == state && said.detail == words);
        eventually(|| async { is() }, || format!("{state:?} {words:?}, not {:?}", self.says())).await;
    }

    /// Waits for so many articles of a symbol, and answers headlines and origins, the newest first.
    async fn holds(&self, symbol: &str, count: usize) -> Vec<(String, Origin)> {
        let there = || async { list(&self.tape, Some(symbol), None, 100).await.unwrap().len() >= count };
        eventually(there, || format!("{count} articles about {symbol}")).await;
        let listed = list(&self.tape, Some(symbol), None, 100).await.unwrap();
        listed.into_iter().map(|listed| (listed.article.headline.clone(), listed.article.origin())).collect()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.task).await;
        ended.expect("it ends when it is told to").unwrap().unwrap();
        assert_eq!(self.health.all()[SERVICE].state, HealthState::Stopping);
    }
}

async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F, what: impl Fn() -> String) {
    let deadline = tokio::time::Instant::now() + WITHIN;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {}", what());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An article of some hours ago.
fn article(headline: &str, hours: i64, symbols: &[&str]) -> NewsArticle {
    let at = to_timestamp(now_ns() - hours * HOUR_NS);
    NewsArticle {
        source_article_id: headline.to_owned(),
        url: format!("https://news.example/{headline}"),
        headline: headline.to_owned(),
        published: Some(at),
        updated: Some(at),
        symbols: symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
        ..NewsArticle::default()
    }
}

const BOTH: [&str; 2] = ["AAPL", "MSFT"];

fn told(headline: &str, origin: Origin) -> (String, Origin) {
    (headline.to_owned(), origin)
}

/// How long before `to` a span begins, in hours.
fn hours((_, from_ns, to_ns): &Asked) -> i64 {
    (to_ns - from_ns + HOUR_NS / 2).div_euclid(HOUR_NS)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tape_lacks_is_asked_for_and_what_the_stream_tells_is_stored_at_once() {
    let (tape, script) = (memory(), Script::streamed());
    for (headline, hours) in [("too-old", 200), ("a", 160), ("b", 30), ("c", 2)] {
        script.holds(article(headline, hours, &BOTH));
    }
    let deck = Deck::start(&tape, &script, LONG);
    let backfill = Origin::Backfill;
    let expected = ["c", "b", "a"].map(|headline| told(headline, backfill));
    assert_eq!(deck.holds("MSFT", 3).await, expected);
    assert_eq!(deck.holds("AAPL", 3).await, expected, "each under its symbol");
    deck.is(HealthState::Starting, "vendor: connecting").await;
    assert_eq!(script.asked().iter().map(hours).collect::<Vec<_>>(), [168, 168], "seven days");

    // The stream stands: what came out before that is asked for.
    script.holds(article("missed", 0, &["AAPL"]));
    script.say(Heard::Live);
    assert_eq!(deck.holds("AAPL", 4).await[0], told("missed", backfill));
    deck.is(HealthState::Ready, "").await;
    let spans: Vec<i64> = script.asked()[2..].iter().map(hours).collect();
    assert_eq!(spans, [1, 1], "from where it was asked for last, an hour overlapping");

    let new = || article("new", 0, &["IBM", "MSFT", "AAPL", "MSFT"]);
    script.tell(new());
    script.tell(new());
    script.tell(article("of-another", 0, &["IBM"]));
    script.tell(article("newer", 0, &["MSFT"]));
    assert_eq!(deck.holds("MSFT", 5).await[..2], [told("newer", Origin::Live), told("new", Origin::Live)]);
    assert_eq!(deck.holds("AAPL", 5).await[0], told("new", Origin::Live));
    assert_eq!(list(&tape, None, None, 100).await.unwrap().len(), 3 + 3 + 1 + 2 + 1, "each once");
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_goes_on_from_the_newest_article_of_the_source() {
    let (tape, script) = (memory(), Script::default());
    script.holds(article("a", 60, &["AAPL"]));
    let deck = Deck::start(&tape, &script, LONG);
    deck.is(HealthState::Ready, "").await;
    deck.stop().await;
    script.holds(article("b", 80, &["AAPL"]));
    script.holds(article("c", 3, &["AAPL"]));
    let deck = Deck::start(&tape, &script, LONG);
    deck.is(HealthState::Ready, "").await;
    // A day before that of 60 hours ago; of the other symbol the tape has none.
    assert_eq!(script.asked()[2..].iter().map(hours).collect::<Vec<_>>(), [84, 168]);
    assert_eq!(deck.holds("AAPL", 3).await.len(), 3, "the one that was listed late too");
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_follow_each_other() {
    let (tape, script) = (memory(), Script::default());
    let deck = Deck::start(&tape, &script, Duration::from_millis(100));
    deck.is(HealthState::Ready, "").await;
    script.holds(article("later", 0, &["MSFT"]));
    assert_eq!(deck.holds("MSFT", 1).await, [told("later", Origin::Backfill)]);
    deck.stop().await;
}

/// A question that takes its time keeps nothing from the stream, and does not hold up the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_article_of_the_stream_does_not_wait_for_a_slow_answer() {
    let (tape, script) = (memory(), Script::streamed());
    script.fails([None]);
    let deck = Deck::start(&tape, &script, LONG);
    eventually(|| async { !script.asked().is_empty() }, || "it is asked".to_owned()).await;
    script.say(Heard::Live);
    script.tell(article("new", 0, &["AAPL"]));
    assert_eq!(deck.holds("AAPL", 1).await, [told("new", Origin::Live)]);
    deck.is(HealthState::Starting, "vendor: asking for what was missed").await;
    assert_eq!(script.asked().len(), 1);
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_told_and_asked_again() {
    let (tape, script) = (memory(), Script::default());
    script.holds(article("a", 5, &BOTH));
    script.fails([
        // The other symbol is asked for all the same.
        Some(AskError::Symbol("vendor refuses (426): too far back".into())),
    ]);
    let deck = Deck::start(&tape, &script, Duration::from_millis(400));
    deck.is(HealthState::Degraded, "vendor: AAPL: vendor refuses (426): too far back").await;
    assert_eq!(deck.holds("MSFT", 1).await.len(), 1);
    deck.is(HealthState::Ready, "").await;
    assert_eq!(deck.holds("AAPL", 1).await.len(), 1, "asked for again");
    for error in [
        AskError::Refused("vendor refuses (401): no such key".into()),
        AskError::Passing("vendor: no answer".into()),
    ] {
        let asked = script.asked().len();
        script.fails([Some(error.clone())]);
        deck.is(HealthState::Degraded, &format!("vendor: {error}")).await;
        let spans = script.asked().len() - asked;
        assert!(spans <= 3, "the round ends with it: {spans} questions");
        deck.is(HealthState::Ready, "").await;
    }
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_lost_or_refused_is_told_and_questions_go_on() {
    let (tape, script) = (memory(), Script::streamed());
    let deck = Deck::start(&tape, &script, Duration::from_millis(200));
    eventually(|| async { script.teller.lock().unwrap().is_some() }, || "it connects".to_owned()).await;
    script.say(Heard::Live);
    deck.is(HealthState::Ready, "").await;
    script.say(Heard::Unreadable("a frame of 3 bytes: no list".into()));
    script.say(Heard::Lost { why: "the connection ended".into(), again_in: Duration::from_millis(1_500) });
    deck.is(HealthState::Degraded, "vendor: the connection ended; again in 1.5 s").await;
    script.say(Heard::Live);
    deck.is(HealthState::Ready, "").await;
    script.say(Heard::Refused("vendor refuses (402): auth failed".into()));
    let words = "vendor: vendor refuses (402): auth failed; no stream until the next start";
    deck.is(HealthState::Degraded, words).await;
    script.holds(article("later", 0, &["AAPL"]));
    assert_eq!(deck.holds("AAPL", 1).await, [told("later", Origin::Backfill)]);
    deck.is(HealthState::Degraded, words).await;
    deck.stop().await;
}

/// What the tape cannot take is told, and stops nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_article_that_is_too_long_for_the_tape_is_left_out() {
    let (tape, script) = (memory(), Script::streamed());
    let long = |headline: &str, symbols: &[&str]| NewsArticle {
        summary: "x".repeat(2 << 20),
        ..article(headline, 1, symbols)
    };
    script.holds(long("long", &["AAPL"]));
    script.holds(article("short", 1, &["MSFT"]));
    let deck = Deck::start(&tape, &script, LONG);
    eventually(|| async { script.teller.lock().unwrap().is_some() }, || "it connects".to_owned()).await;
    assert_eq!(deck.holds("MSFT", 1).await.len(), 1);
    let told_of = || deck.says().is_some_and(|said| said.detail.contains("bytes long"));
    eventually(|| async { told_of() }, || format!("{:?}", deck.says())).await;
    script.tell(long("long-too", &["MSFT"]));
    script.tell(article("next", 0, &["MSFT"]));
    assert_eq!(deck.holds("MSFT", 2).await[0], told("next", Origin::Live));
    deck.stop().await;
}

#[tokio::test]
async fn a_tape_clock_has_no_news() {
    let deck = Deck::on(ClockMode::Tape, &memory(), &Script::default(), LONG);
    assert!(matches!(deck.task.await.unwrap(), Err(NewsError::TapeClock)));
}
