//! What strategies beside a run have of the articles of the tape whose bars it walks.

use std::sync::Arc;

use backtest::beside::copy_articles;
use contracts::v1::event::Body;
use contracts::v1::{Event, NewsArticle};
use contracts::{Subject, event_id, stream, to_timestamp};
use event_log::{Append, EventLog as _, Expect, MemoryLog, Tape};
use runtime::ExternalStrategy;

use crate::rehearsal::everything;

const SECOND_NS: i64 = 1_000_000_000;

/// A tape with an article about each of these symbols, known at these seconds.
async fn told(articles: &[(&str, i64)]) -> MemoryLog {
    let log = MemoryLog::new();
    for (number, (symbol, second)) in articles.iter().enumerate() {
        let article = NewsArticle {
            article_id: number.to_string(),
            symbol: (*symbol).to_owned(),
            ..NewsArticle::default()
        };
        let event = Event {
            id: event_id(&number.to_string(), "news", 0),
            event_time: Some(to_timestamp(second * SECOND_NS)),
            source: "test".to_owned(),
            body: Some(Body::NewsArticle(article)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).unwrap();
        log.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    }
    log
}

#[tokio::test]
async fn a_strategy_has_the_articles_that_it_reads_and_none_of_later() {
    let from: Tape = Arc::new(told(&[("SPY", 5), ("QQQ", 3), ("SPY", 4), ("SPY", 9), ("IBM", 4)]).await);
    let reads = |subjects: &[&str]| ExternalStrategy {
        name: "swing".to_owned(),
        account: "paper".to_owned(),
        subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
    };
    let copied = async |subjects: &[&str]| {
        let to = MemoryLog::new();
        let tape: Tape = Arc::new(to.clone());
        let count = copy_articles(&from, &tape, &[reads(subjects)], 5 * SECOND_NS).await.unwrap();
        let found = everything(&to, stream::REFERENCE).await;
        assert_eq!(found.len() as u64, count);
        // In the order in which they stand on the tape, as on that of a rehearsal.
        found.into_iter().map(|recorded| recorded.subject).collect::<Vec<_>>()
    };
    let spy = "news.article.SPY";
    assert_eq!(copied(&["market.bar.1h.SPY", spy]).await, [spy, spy]);
    assert_eq!(copied(&["market.bar.>", "news.article.>"]).await.len(), 4);
    assert!(copied(&["market.bar.>"]).await.is_empty());
}
