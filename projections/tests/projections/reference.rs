//! The read model of facts and news: every event a row, any moment of the past to be shown.

use contracts::v1::event::Body;
use contracts::v1::*;
use contracts::{event_id, to_timestamp};
use projections::queries::{self, ArticleFilter, Turn};
use projections::{Name, rebuild, verify};
use tokio_util::sync::CancellationToken;

use crate::support::{HOUR, Outcome, START, World};

async fn append(world: &World, number: u32, time_ns: i64, source: &str, body: Body) {
    let event = Event {
        id: event_id("reference", "test", number),
        event_time: Some(to_timestamp(time_ns)),
        source: source.into(),
        body: Some(body),
        ..Event::default()
    };
    world.append(event, None).await;
}

fn profile(employees: i64) -> Body {
    let (symbol, name) = ("AAPL".to_owned(), "Apple \0 Inc.".to_owned());
    Body::CompanyProfile(CompanyProfile { symbol, name, employees: Some(employees), ..Default::default() })
}

fn statement(period: StatementPeriod, end: &str, value: &str) -> Body {
    Body::FinancialStatement(FinancialStatement {
        symbol: "AAPL".into(),
        period: period.into(),
        period_end: end.into(),
        currency: "USD".into(),
        items: vec![Figure { name: "total_revenue".into(), value: value.into() }],
    })
}

fn article(id: &str, symbol: &str, headline: &str, revision: u32) -> Body {
    Body::NewsArticle(NewsArticle {
        article_id: id.into(),
        symbol: symbol.into(),
        headline: headline.into(),
        published: Some(to_timestamp(START)),
        symbols: vec!["AAPL".into(), "MSFT".into()],
        sentiment: Some(Sentiment {
            library: "vader-parity".into(),
            version: "0.1.0".into(),
            compound: 0.6249,
            positive: 0.375,
            neutral: 0.625,
            ..Sentiment::default()
        }),
        delay: "none".into(),
        revision,
        ..NewsArticle::default()
    })
}

async fn script(world: &World) {
    append(world, 0, START, "yahoo", profile(5)).await;
    append(world, 1, START, "yahoo", statement(StatementPeriod::Annual, "2022-12-31", "10")).await;
    append(world, 2, START, "yahoo", statement(StatementPeriod::Annual, "2023-12-31", "11")).await;
    append(world, 3, START + HOUR, "yahoo", profile(6)).await;
    append(world, 4, START + HOUR, "yahoo", statement(StatementPeriod::Annual, "2023-12-31", "12")).await;
    append(world, 5, START, "alpaca", article("one", "AAPL", "First", 0)).await;
    append(world, 6, START + HOUR, "alpaca", article("one", "AAPL", "Corrected", 1)).await;
    append(world, 7, START, "alpaca", article("one", "MSFT", "First", 0)).await;
    append(world, 8, START + 2 * HOUR, "newsapi", article("two", "AAPL", "Second", 0)).await;
}

fn headlines(rows: &[queries::ArticleRow]) -> Vec<&str> {
    rows.iter().map(|row| row.headline.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_and_articles_are_shown_as_of_any_moment() -> Outcome {
    let world = World::new().await;
    script(&world).await;
    world.catch_up(Name::Reference).await;
    let pool = &world.reader;
    let told = |rows: &[queries::FactRow]| -> Vec<String> {
        rows.iter().map(|row| format!("{} {} {}", row.kind, row.part, row.sequence)).collect()
    };
    let now = queries::facts(pool, "AAPL", None).await?;
    assert_eq!(told(&now), ["profile  4", "statement annual 2022-12-31 2", "statement annual 2023-12-31 5"]);
    let Some(Body::CompanyProfile(profile)) = now[0].body() else { panic!("{now:?}") };
    assert_eq!((profile.employees, profile.name.as_str()), (Some(6), "Apple \u{fffd} Inc."));
    let then = queries::facts(pool, "AAPL", Some(START + HOUR - 1)).await?;
    assert_eq!(told(&then), ["profile  1", "statement annual 2022-12-31 2", "statement annual 2023-12-31 3"]);
    assert!(queries::facts(pool, "AAPL", Some(START - 1)).await?.is_empty());
    let history = queries::fact_history(pool, "AAPL", Some("statement"), Turn::Newest, 2).await?;
    assert_eq!(told(&history.rows), ["statement annual 2023-12-31 5", "statement annual 2023-12-31 3"]);
    let older = history.older.map(Turn::Before).unwrap_or_default();
    let older = queries::fact_history(pool, "AAPL", Some("statement"), older, 2).await?;
    assert_eq!((told(&older.rows), older.older), (vec!["statement annual 2022-12-31 2".to_owned()], None));

    let of = |symbol: Option<&str>, to_ns| ArticleFilter {
        symbol: symbol.map(str::to_owned),
        to_ns,
        ..ArticleFilter::default()
    };
    let found = queries::articles(pool, &of(Some("AAPL"), None), Turn::Newest, 50).await?;
    assert_eq!(headlines(&found.rows), ["Second", "Corrected"]);
    let row = &found.rows[1];
    assert_eq!((row.compound, row.positive, row.revision), (Some(0.6249), Some(0.375), 1));
    assert_eq!((row.library.as_deref(), row.symbols.len()), (Some("vader-parity"), 2));
    // Before the correction was known the article was what it was.
    let found = queries::articles(pool, &of(Some("AAPL"), Some(START + 1)), Turn::Newest, 50).await?;
    assert_eq!(headlines(&found.rows), ["First"]);
    let found = queries::articles(pool, &of(None, None), Turn::Newest, 2).await?;
    assert_eq!(headlines(&found.rows), ["Second", "Corrected"]);
    let older = found.older.map(Turn::Before).unwrap_or_default();
    let rest = queries::articles(pool, &of(None, None), older, 2).await?;
    assert_eq!((headlines(&rest.rows), rest.rows[0].symbol.as_str()), (vec!["First"], "MSFT"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_are_a_fold_of_the_stream_and_what_is_no_fact_is_set_aside() -> Outcome {
    let world = World::new().await;
    script(&world).await;
    append(&world, 20, START, "yahoo", statement(StatementPeriod::Unspecified, "2023-12-31", "1")).await;
    append(&world, 21, START, "alpaca", article("", "AAPL", "No id", 0)).await;
    world.catch_up(Name::Reference).await;
    let reasons: Vec<String> =
        world.port.parked.lock().unwrap().iter().map(|poison| poison.reason.clone()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("`period`") && reasons[1].contains("`article_id`"), "{reasons:?}");

    let rows = world.rows("reference").await;
    let report = verify(&world.writer, &world.tape, Name::Reference).await?;
    assert_eq!(report.first, None);
    let cancel = CancellationToken::new();
    rebuild(&world.writer, &world.tape, Name::Reference, world.port.as_ref(), &cancel).await?;
    assert_eq!(world.rows("reference").await, rows);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbols_sector_is_that_of_its_newest_profile_that_names_one() -> Outcome {
    let world = World::new().await;
    let of = |symbol: &str, sector: &str| {
        let (symbol, sector) = (symbol.to_owned(), sector.to_owned());
        Body::CompanyProfile(CompanyProfile { symbol, sector, ..Default::default() })
    };
    append(&world, 0, START, "yahoo", of("AAPL", "Hardware")).await;
    append(&world, 1, START, "yahoo", of("XOM", "Energy")).await;
    append(&world, 2, START + HOUR, "other", of("AAPL", "Technology")).await;
    append(&world, 3, START + 2 * HOUR, "yahoo", of("AAPL", "")).await;
    append(&world, 4, START, "yahoo", of("SPY", "")).await;
    world.catch_up(Name::Reference).await;
    let sectors = queries::sectors(&world.reader).await?;
    let expected = [("AAPL", "Technology"), ("XOM", "Energy")];
    assert_eq!(sectors, expected.map(|(symbol, sector)| (symbol.to_owned(), sector.to_owned())));
    Ok(())
}
