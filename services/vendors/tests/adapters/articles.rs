//! What adapters make of articles is what was published.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Article, Script};
use vendors::{Cursor, NewsAsk, Refusal, VendorError};

use crate::office::{DAY, Office, all, answer};

const HOUR: i64 = 3_600_000_000_000;

/// Headlines of the market's articles about a symbol, published or changed before a time.
fn published(office: &Office, symbol: &str, from_ns: i64, to_ns: i64) -> BTreeSet<String> {
    office.vendors.stand.market(|market| {
        let about = |article: &&&Article| {
            article.symbols.iter().any(|of| of == symbol) && (from_ns..to_ns).contains(&article.created_ns)
        };
        market.articles().iter().filter(about).map(|article| article.headline.clone()).collect()
    })
}

fn headlines(all: &crate::office::All) -> BTreeSet<String> {
    all.articles.iter().map(|article| article.headline.clone()).collect()
}

#[tokio::test]
async fn alpaca_tells_every_article_of_a_span_in_pages_of_fifty() {
    let office = Office::of(Script { article_count: 1_500, ..Script::default() }).await;
    let source = office.news(Vendor::AlpacaData);
    let ask = office.ask("AAPL", 120);
    let found = all(&*source, &ask).await.unwrap();
    let published = published(&office, "AAPL", ask.from_ns, ask.to_ns - 60_000_000_000);
    assert!(
        published.len() > 100 && found.longest == 50,
        "{} in pages of {}",
        published.len(),
        found.longest
    );
    assert_eq!(headlines(&found), published);
    assert_eq!(found.articles.len(), published.len(), "each once");
    let article = &found.articles[0];
    assert_eq!((article.publisher.as_str(), article.author.as_str()), ("benzinga", "A. Writer"));
    assert!(!article.source_id.is_empty() && article.updated_ns > article.published_ns, "{article:?}");
    assert_eq!(source.delay(), Duration::ZERO);
}

#[tokio::test]
async fn text_comes_without_mark_up_and_what_has_no_headline_is_left_out() {
    let office = Office::new().await;
    let at_ns = office.now_ns - 30 * HOUR;
    let article = |id, headline: &str| Article {
        id,
        created_ns: at_ns + id,
        updated_ns: at_ns + id,
        headline: headline.to_owned(),
        summary: "<p>AT&amp;T  AAPL</p>".to_owned(),
        url: format!("https://news.example/{id}"),
        symbols: vec!["AAPL".into()],
        ..Article::default()
    };
    let articles = vec![article(1, "AAPL&#39;s day"), article(2, ""), article(3, "[Removed] AAPL")];
    let office = Office::of(Script { articles: Some(articles), ..Script::default() }).await;
    let found = all(&*office.news(Vendor::AlpacaData), &office.ask("AAPL", 3)).await.unwrap();
    assert_eq!(found.left_out, 1);
    assert_eq!(
        (found.articles[0].headline.as_str(), found.articles[0].summary.as_str()),
        ("AAPL's day", "AT&T AAPL")
    );
}

#[tokio::test]
async fn an_article_without_a_time_is_left_out_and_one_that_was_changed_has_one() {
    let office = Office::new().await;
    let body = json!({"news": [
        {"id": 1, "headline": "One", "created_at": null},
        {"id": 2, "headline": "Two", "updated_at": "2026-01-05T15:00:00Z"},
    ], "next_page_token": null});
    office.arm(Vendor::AlpacaData, "/v1beta1/news", 1, answer(200, &[], body));
    let found = all(&*office.news(Vendor::AlpacaData), &office.ask("AAPL", 3)).await.unwrap();
    assert_eq!((found.left_out, found.articles.len()), (1, 1));
    let article = &found.articles[0];
    assert_eq!((article.headline.as_str(), article.published_ns), ("Two", 1_767_625_200_000_000_000));
    assert_eq!(article.updated_ns, article.published_ns);
}

#[tokio::test]
async fn newsapi_need_not_say_how_many_articles_there_are() {
    let office = Office::of(Script { article_count: 3_000, ..Script::default() }).await;
    office.set(&json!({"news": {"days_back": 400}}));
    let (source, ask) = (office.news(Vendor::News), office.ask("AAPL", 300));
    let whole = all(&*source, &ask).await.unwrap();
    assert!(whole.articles.len() > 200, "{}", whole.articles.len());
    let merge = json!({"totalResults": null});
    office.arm(Vendor::News, "/v2/everything", 9, HttpFault::Patch { merge });
    assert_eq!(all(&*source, &ask).await.unwrap(), whole);
}

#[tokio::test]
async fn newsapi_goes_on_by_time_beyond_what_it_gives_at_once() {
    let office = Office::of(Script { article_count: 3_000, ..Script::default() }).await;
    office.set(&json!({"news": {"days_back": 400}}));
    let source = office.news(Vendor::News);
    let ask = office.ask("AAPL", 300);
    let found = all(&*source, &ask).await.unwrap();
    let day_ns = i64::try_from(DAY.as_nanos()).unwrap();
    let published = published(&office, "AAPL", ask.from_ns, office.now_ns - day_ns + 1);
    assert!(published.len() > 200, "{}", published.len());
    assert_eq!(headlines(&found), published, "a day late, and none missing");
    assert!(!found.cut_off && found.longest == 100);
    assert!(found.articles.iter().all(|article| article.symbols == ["AAPL"] && article.source_id.is_empty()));
    assert_eq!(source.delay(), DAY);
    let statuses = office.statuses(Vendor::News, "");
    assert!(statuses.len() >= 3 && statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test]
async fn newsapi_leaves_out_what_was_taken_back_and_says_what_it_hides() {
    let office = Office::new().await;
    let at_ns = (office.now_ns - 48 * HOUR) / 1_000_000_000 * 1_000_000_000;
    let article = |id: i64| Article {
        id,
        created_ns: at_ns,
        updated_ns: at_ns,
        headline: if id == 7 { "[Removed]".to_owned() } else { format!("Report {id} about AAPL") },
        summary: "AAPL".to_owned(),
        url: format!("https://news.example/{id}"),
        symbols: vec!["AAPL".into()],
        ..Article::default()
    };
    // More of one second than an answer holds: what is before them cannot be asked for.
    let articles = (0..150).map(article).collect();
    let office = Office::of(Script { articles: Some(articles), ..Script::default() }).await;
    let found = all(&*office.news(Vendor::News), &office.ask("AAPL", 5)).await.unwrap();
    assert!(found.cut_off, "said, not hidden");
    assert_eq!(headlines(&found).len(), 100);

    let few = (0..20).map(article).collect();
    let office = Office::of(Script { articles: Some(few), ..Script::default() }).await;
    let found = all(&*office.news(Vendor::News), &office.ask("AAPL", 5)).await.unwrap();
    assert_eq!((found.articles.len(), found.left_out, found.cut_off), (19, 1, false));
}

#[tokio::test]
async fn newsapi_is_asked_for_words_and_for_headlines() {
    let office = Office::new().await;
    let source = office.news(Vendor::News);
    let ask = NewsAsk { words: Some("what moves MSFT".into()), ..office.ask("AAPL", 20) };
    let found = all(&*source, &ask).await.unwrap();
    assert!(!found.articles.is_empty());
    assert!(found.articles.iter().all(|a| a.headline.ends_with("MSFT") && a.symbols == ["AAPL"]));
    let ask = NewsAsk { headlines: true, ..office.ask("MSFT", 20) };
    let page = source.page(&ask, Cursor::default()).await.unwrap();
    assert!(!page.articles.is_empty() && page.next.is_none());
    assert_eq!(office.statuses(Vendor::News, "/v2/top-headlines"), [200]);
}

#[tokio::test]
async fn newsapis_refusal_with_a_status_that_says_success_is_one() {
    let office = Office::new().await;
    let source = office.news(Vendor::News);
    let body = json!({
        "status": "error", "code": "apiKeyInvalid", "message": format!("bad key {}", tapedeck_vendors::KEY),
    });
    office.arm(Vendor::News, "/v2/everything", 1, answer(200, &[], body));
    let error = all(&*source, &office.ask("AAPL", 10)).await.unwrap_err();
    assert_eq!(error.to_string(), "newsapi refuses (200): bad key ***");
    assert!(matches!(error, VendorError::Refused { kind: Refusal::Credentials, .. }), "{error:?}");
    all(&*source, &office.ask("AAPL", 10)).await.unwrap();
}

#[tokio::test]
async fn further_back_than_the_plan_and_a_longer_question_are_refused_in_the_vendors_words() {
    let office = Office::new().await;
    let error = all(&*office.news(Vendor::News), &office.ask("AAPL", 60)).await.unwrap_err();
    let VendorError::Refused { status: 426, message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("too far in the past"), "{message}");
    let ask = NewsAsk { words: Some("x".repeat(501)), ..office.ask("AAPL", 5) };
    let error = all(&*office.news(Vendor::News), &ask).await.unwrap_err();
    let VendorError::Refused { status: 400, kind: Refusal::Request, message, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(message, "q is longer than 500 characters.");
}
