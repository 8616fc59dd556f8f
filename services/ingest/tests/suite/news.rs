//! Articles on the tape: each once, whoever tells it; what its source changed is a revision.

use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, NewsArticle, Origin};
use contracts::{from_timestamp, to_timestamp};
use event_log::Tape;
use ingest::news::{NewsReport, Newsroom, list};
use ingest::status::articles;

use crate::support::memory;

const HOUR: i64 = 3_600_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

fn article(number: i64, headline: &str) -> NewsArticle {
    let at = to_timestamp(1_767_711_600_000_000_000 + number * HOUR);
    NewsArticle {
        source_article_id: number.to_string(),
        publisher: "Example News".into(),
        url: format!("https://news.example/{number}"),
        headline: headline.into(),
        summary: "Profit is great.".into(),
        published: Some(at),
        updated: Some(at),
        symbols: vec!["AAPL".into(), "MSFT".into()],
        ..NewsArticle::default()
    }
}

async fn take(tape: &Tape, source: &str, symbol: &str, told: Vec<NewsArticle>) -> NewsReport {
    let delay = if source == "newsapi" { DAY } else { Duration::ZERO };
    let mut room = Newsroom::open(tape, source, delay, symbol).await.unwrap();
    room.take(told, Origin::Backfill).await.unwrap();
    room.report()
}

fn counts(report: NewsReport) -> (u64, u64, u64) {
    (report.appended, report.revisions, report.duplicates)
}

async fn events(tape: &Tape) -> Vec<Event> {
    let stored = tape.stored_from("REFERENCE", ">", 1, 1_000).await.unwrap();
    stored.iter().map(|stored| stored.decode().unwrap()).collect()
}

fn told(event: &Event) -> &NewsArticle {
    let Some(Body::NewsArticle(article)) = &event.body else { panic!("{event:?}") };
    article
}

#[tokio::test]
async fn an_article_is_stored_once_with_sentiment_and_delay() {
    let tape = memory();
    let both = || vec![article(2, "Great day for Apple"), article(1, "Apple sued for fraud")];
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", both()).await), (2, 0, 0));
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", both()).await), (0, 0, 2));
    let events = events(&tape).await;
    assert_eq!(events.len(), 2);
    let [bad, good] = [&events[0], &events[1]];
    assert_eq!(told(bad).headline, "Apple sued for fraud", "in the order of time");
    let sentiment = |event| told(event).sentiment.clone().unwrap();
    assert_eq!(
        (sentiment(good).library.as_str(), sentiment(good).version.as_str()),
        ("vader-parity", "0.1.0")
    );
    assert!(sentiment(good).compound > sentiment(bad).compound);
    assert_eq!((told(good).delay.as_str(), told(good).origin()), ("none", Origin::Backfill));
    assert_eq!(good.event_time, told(good).published);
    assert_eq!((good.source.as_str(), good.id.len(), told(good).article_id.len()), ("alpaca", 32, 32));
}

#[tokio::test]
async fn another_source_adds_nothing_under_the_same_address_or_headline() {
    let tape = memory();
    take(&tape, "alpaca", "AAPL", vec![article(1, "Great day for Apple")]).await;
    let other = |url: &str, headline: &str, number| NewsArticle {
        source_article_id: String::new(),
        url: url.into(),
        ..article(number, headline)
    };
    let same = vec![
        other("http://www.news.example/1/?utm_source=feed", "Apple: great day", 1),
        other("https://elsewhere.example/x", "GREAT DAY FOR APPLE - Example News", 20),
        other("", "Great day for Apple!", 2),
    ];
    assert_eq!(counts(take(&tape, "newsapi", "AAPL", same).await), (0, 0, 3));
    // The same words on another day are another article.
    let later = vec![other("https://elsewhere.example/y", "Great day for Apple", 40)];
    assert_eq!(counts(take(&tape, "newsapi", "AAPL", later).await), (1, 0, 0));
    let events = events(&tape).await;
    let day_ns = i64::try_from(DAY.as_nanos()).unwrap();
    let time = |stamp: &Option<contracts::Timestamp>| from_timestamp(stamp.as_ref().unwrap()).unwrap();
    assert_eq!(time(&events[1].event_time), time(&told(&events[1]).published) + day_ns, "known a day later");
    assert_eq!(told(&events[1]).delay, "24h");
}

#[tokio::test]
async fn what_its_own_source_changed_is_a_revision() {
    let tape = memory();
    take(&tape, "alpaca", "AAPL", vec![article(1, "Apple to buy something")]).await;
    let changed = |headline: &str, hours: i64| NewsArticle {
        updated: Some(to_timestamp(1_767_711_600_000_000_000 + hours * HOUR)),
        url: "https://news.example/1-corrected".into(),
        ..article(1, headline)
    };
    let report = take(&tape, "alpaca", "AAPL", vec![changed("Apple not to buy anything", 2)]).await;
    assert_eq!(counts(report), (0, 1, 0));
    // Both versions, again and in any order: what is older than what is known changes nothing.
    let both = vec![changed("Apple not to buy anything", 2), article(1, "Apple to buy something")];
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", both).await), (0, 0, 2));
    // Only the time of the change differs: nothing to say.
    let report = take(&tape, "alpaca", "AAPL", vec![changed("Apple not to buy anything", 5)]).await;
    assert_eq!(counts(report), (0, 0, 1));
    let events = events(&tape).await;
    assert_eq!(events.len(), 2);
    assert_eq!(told(&events[0]).article_id, told(&events[1]).article_id);
    assert_eq!((told(&events[0]).revision, told(&events[1]).revision), (0, 1));
    assert_ne!(events[0].id, events[1].id);
    assert_eq!(events[1].event_time, told(&events[1]).updated, "not known before it was changed");
}

#[tokio::test]
async fn another_article_of_one_source_is_no_revision_of_the_first() {
    let tape = memory();
    let headline = "12 stocks moving today";
    let page = "https://news.example/movers";
    let of = |number: i64, url: &str, summary: &str| NewsArticle {
        url: url.into(),
        summary: summary.into(),
        ..article(number, headline)
    };
    // The same headline hours later, the same page, no page at all: the source's own ids tell them apart.
    let told = || {
        vec![
            of(1, page, "In the morning."),
            of(5, "https://news.example/5", "At noon."),
            of(6, page, "In the evening."),
            of(7, "", "At night."),
            of(8, "", "Later."),
        ]
    };
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", told()).await), (5, 0, 0));
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", told()).await), (0, 0, 5));
    let events = events(&tape).await;
    let mut ids: Vec<&str> = events.iter().map(|event| self::told(event).article_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    // Each is revised for itself.
    let mut changed = of(1, page, "In the morning, corrected.");
    changed.updated = Some(to_timestamp(1_767_711_600_000_000_000 + 20 * HOUR));
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", vec![changed]).await), (0, 1, 0));
    let last = self::events(&tape).await;
    assert_eq!(self::told(&last[5]).article_id, self::told(&events[0]).article_id);
    // Listed again under another id, to the letter: nothing new.
    let again =
        vec![NewsArticle { source_article_id: "99".into(), ..of(5, "https://news.example/5", "At noon.") }];
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", again).await), (0, 0, 1));
}

#[tokio::test]
async fn a_source_without_ids_revises_by_address_alone() {
    let tape = memory();
    let of = |url: &str, summary: &str, hours: i64| NewsArticle {
        source_article_id: String::new(),
        url: url.into(),
        summary: summary.into(),
        ..article(hours, "Great day for Apple")
    };
    let first = vec![of("https://news.example/1", "Short.", 1)];
    assert_eq!(counts(take(&tape, "newsapi", "AAPL", first).await), (1, 0, 0));
    // Elsewhere under the same headline it is a copy, and never a change of the first.
    let copy = vec![of("https://elsewhere.example/x", "Other words.", 3)];
    assert_eq!(counts(take(&tape, "newsapi", "AAPL", copy).await), (0, 0, 1));
    let changed = vec![of("https://news.example/1/", "Longer.", 4)];
    assert_eq!(counts(take(&tape, "newsapi", "AAPL", changed).await), (0, 1, 0));
}

#[tokio::test]
async fn an_article_stands_under_each_symbol_that_was_asked_for() {
    let tape = memory();
    for symbol in ["AAPL", "MSFT", "BRK.B"] {
        assert_eq!(counts(take(&tape, "alpaca", symbol, vec![article(1, "One for all")]).await), (1, 0, 0));
    }
    let events = events(&tape).await;
    let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(events.iter().all(|event| told(event).article_id == told(&events[0]).article_id));
    let listed = list(&tape, Some("BRK.B"), None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].article.symbol.as_str()), (1, "BRK.B"));
    let all = list(&tape, None, None, 2).await.unwrap();
    assert_eq!(all.iter().map(|listed| listed.sequence).collect::<Vec<_>>(), [3, 2]);
    let rest = list(&tape, None, Some(2), 2).await.unwrap();
    assert_eq!(rest.iter().map(|listed| listed.sequence).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn the_status_counts_the_articles_of_each_source_and_symbol() {
    let tape = memory();
    assert_eq!(articles(&tape).await.unwrap(), []);
    take(&tape, "alpaca", "AAPL", vec![article(3, "Three"), article(1, "One")]).await;
    let changed = NewsArticle { updated: article(5, "").published, ..article(1, "One, corrected") };
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", vec![changed]).await), (0, 1, 0));
    take(&tape, "newsapi", "AAPL", vec![article(9, "Nine")]).await;
    take(&tape, "alpaca", "MSFT", vec![article(3, "Three")]).await;
    let found = articles(&tape).await.unwrap();
    let keys: Vec<_> = found.iter().map(|of| (of.source.as_str(), of.symbol.as_str(), of.articles)).collect();
    assert_eq!(keys, [("alpaca", "AAPL", 2), ("alpaca", "MSFT", 1), ("newsapi", "AAPL", 1)]);
    let at = |number: i64| from_timestamp(&article(number, "").published.unwrap()).unwrap();
    assert_eq!((found[0].first_published_ns, found[0].last_published_ns), (at(1), at(3)));
}

#[tokio::test]
async fn more_than_a_batch_is_stored_whole_and_only_once() {
    let tape = memory();
    let many = || (0..1_203).map(|number| article(number, &format!("Report {number}"))).collect::<Vec<_>>();
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", many()).await), (1_203, 0, 0));
    assert_eq!(counts(take(&tape, "alpaca", "AAPL", many()).await), (0, 0, 1_203));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_store_each_article_once() {
    for _ in 0..5 {
        let tape = memory();
        let look = |tape: Tape, source: &'static str| async move {
            let told = (0..700).map(|number| article(number, &format!("Report {number}"))).collect();
            take(&tape, source, "AAPL", told).await.appended
        };
        let one = tokio::spawn(look(tape.clone(), "alpaca"));
        let two = tokio::spawn(look(tape.clone(), "newsapi"));
        assert_eq!(one.await.unwrap() + two.await.unwrap(), 700);
        assert_eq!(tape.state("REFERENCE").await.unwrap().messages, 700);
    }
}
