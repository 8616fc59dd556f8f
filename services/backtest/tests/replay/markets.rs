//! Runs of markets that never rest, each on a tape of its own: what is replayed by is the calendar whose sessions the
//! tape holds.

use std::sync::Arc;
use std::time::Duration;

use analytics::Comparison;
use backtest::beside::{Desk, Watch};
use backtest::replay::{Problem, ReplayError, Report, replay, unwatched};
use backtest::{again, find};
use contracts::v1::event::Body;
use contracts::v1::{
    BacktestKind, BacktestRequest, BacktestStrategy, BacktestStretch, LimitsSet, Money, Parameter,
    TradeLimits,
};
use contracts::{Subject, event_id, stream};
use domain::bar::{Bar, Timeframe};
use domain::book::Scope;
use domain::calendar::Market;
use domain::money::{Price, Volume};
use domain::series::{BarSeries, MarketData};
use engine::{Config, Hash, OutsideError, Uncontrolled};
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded, Tape};
use tokio::task::block_in_place;

use crate::by_hand::options;
use crate::rehearsal::{copy, everything, rehearse};

const E9: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * E9;
/// 2020-01-03 and 2020-01-06 00:00 UTC.
const FRIDAY_NS: i64 = 1_578_009_600 * E9;
const MONDAY_NS: i64 = 1_578_268_800 * E9;
const HOURS: i64 = 96;

/// Nobody is waited for.
struct Alone;

impl Watch for Alone {
    fn waiting(&mut self, _strategy: &str, _waited: Duration) -> Result<(), OutsideError> {
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Hours that go up and down, each opening at the close before it.
fn hours(first_ns: i64) -> MarketData {
    let price = |hour: i64| (100 + (hour % 16 - 8).abs()) * E9;
    let bar = |hour: i64| {
        let (open, close) = (price((hour - 1).max(0)), price(hour));
        let start_ns = first_ns + hour * HOUR_NS;
        Bar {
            start_ns,
            close_ns: start_ns + HOUR_NS,
            open: Price(open),
            high: Price(open.max(close)),
            low: Price(open.min(close)),
            close: Price(close),
            volume: Volume(1_000_000_000),
        }
    };
    let bars: Vec<Bar> = (0..HOURS).map(bar).collect();
    MarketData { series: vec![BarSeries::of("test", "WAVE", Timeframe::H1, &bars)], actions: Vec::new() }
}

/// A strategy whose orders are allowed while the market is open: each decision states how long it has been.
fn config(market: Market) -> Config {
    let request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies: vec![BacktestStrategy {
            kind: "sma_cross".into(),
            parameters: [("fast", "2"), ("slow", "5")]
                .map(|(name, value)| Parameter { name: name.into(), value: value.into() })
                .to_vec(),
            sizing: domain::sizing::parse("fixed:10"),
            ..BacktestStrategy::default()
        }],
        timeframe: "1h".into(),
        cash: Some(Money { units: 100_000, nanos: 0 }),
        ..BacktestRequest::default()
    };
    let request = domain::research::complete(request).unwrap();
    let limits = LimitsSet {
        scope: Some(Scope::new("paper", "", "").to_wire()),
        version: 1,
        limits: Some(TradeLimits { session_only: Some(true), ..TradeLimits::default() }),
        ..LimitsSet::default()
    };
    Config { limit_sets: vec![limits], ..backtest::plan::configure(&request, market.calendar()) }
}

/// A tape that a run of 96 hours was written to, and the run's chain hash.
async fn recorded(market: Market, first_ns: i64) -> (MemoryLog, String) {
    let log = MemoryLog::new();
    let tape: Tape = Arc::new(log.clone());
    let (config, data) = (config(market), hours(first_ns));
    let mut desk = Desk::open(&tape, &config, &data, Vec::new(), Box::new(Alone)).await.unwrap();
    let outcome = block_in_place(|| {
        engine::run_beside(&config, &data, &mut Hash::default(), &mut desk, &mut Uncontrolled)
    });
    let outcome = outcome.unwrap();
    assert!(outcome.counts.fills > 8, "{market}: {:?}", outcome.counts);
    (log, outcome.chain_hash.unwrap())
}

/// The tape, with its sessions under the name of the exchange.
async fn renamed(log: &MemoryLog) -> MemoryLog {
    let other = MemoryLog::new();
    for stream in [stream::MARKET, stream::TRADING] {
        for Recorded { subject, mut event, .. } in everything(log, stream).await {
            let subject = match &mut event.body {
                Some(Body::SessionChange(change)) => {
                    change.exchange = "XNYS".to_owned();
                    Subject::of(&["market", "session", "XNYS"])
                }
                _ => Subject::parse(&subject).unwrap(),
            };
            other.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
    }
    other
}

async fn replayed(log: &MemoryLog) -> Result<Report, ReplayError> {
    let tape: Tape = Arc::new(log.clone());
    Box::pin(replay(&tape, options(), |_, _| {})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_market_that_never_rests_follows_from_its_tape() {
    for (market, first_ns) in [(Market::TwentyFourFive, MONDAY_NS), (Market::TwentyFourSeven, FRIDAY_NS)] {
        let (log, hash) = recorded(market, first_ns).await;
        let report = replayed(&log).await.unwrap();
        assert!(report.divergence.is_none(), "{market}: {:#?}", report.divergence);
        assert_eq!(report.chain_hash, hash, "{market}");
        // By the hours of the exchange nobody could have traded so.
        let elsewhere = replayed(&renamed(&log).await).await.unwrap();
        assert!(elsewhere.divergence.is_some(), "{market}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_does_not_say_that_its_session_begins_is_found() {
    let (log, _) = recorded(Market::TwentyFourSeven, FRIDAY_NS).await;
    let mut sessions = 0;
    let log = copy(&log, |_, event| {
        if let Some(Body::AccountMarked(mark)) = &mut event.body
            && mark.session_start
        {
            sessions += 1;
            // That of Saturday.
            mark.session_start = sessions != 2;
        }
        true
    })
    .await;
    assert!(sessions > 2, "{sessions}");
    let found = replayed(&log).await.unwrap().divergence.unwrap();
    assert_eq!((found.kind.as_str(), found.problem), ("account_marked", Problem::Differs), "{found:#?}");
    assert!(found.fields.iter().any(|field| field.field.contains("sessionStart")), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_two_calendars_are_named() {
    let (log, _) = recorded(Market::TwentyFourSeven, FRIDAY_NS).await;
    let market = everything(&renamed(&log).await, stream::MARKET).await;
    let stray = market.into_iter().find(|recorded| recorded.subject == "market.session.XNYS").unwrap();
    let (subject, mut event) = (Subject::parse(&stray.subject).unwrap(), stray.event);
    event.id = event_id("stray", "test", 0);
    log.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    let error = replayed(&log).await.unwrap_err();
    let ReplayError::Calendar(names) = &error else { panic!("{error}") };
    assert_eq!(names.len(), 2, "{names:?}");
    let said = error.to_string();
    for words in ["24x7", "XNYS", "expected those of one of XNYS, 24x5, 24x7"] {
        assert!(said.contains(words), "{said}");
    }
}

/// The parity of a session.
async fn session(log: &MemoryLog, date: &str) -> Result<Comparison, String> {
    let tape: Tape = Arc::new(log.clone());
    let stretch = BacktestStretch { session: date.into(), ..BacktestStretch::default() };
    let kind = BacktestKind::Parity.into();
    let request = BacktestRequest { kind, stretch: Some(stretch), ..BacktestRequest::default() };
    let request = domain::research::complete(request).map_err(|error| error.to_string())?;
    let found = find(Arc::clone(&tape), None, request).await.map_err(|error| error.to_string())?;
    let compared = again(tape, options(), found, unwatched).await;
    compared.map(|(comparison, _)| comparison).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_compared_is_one_of_the_tapes_market() {
    let (always, _) = recorded(Market::TwentyFourSeven, FRIDAY_NS).await;
    let saturday = session(&always, "2020-01-04").await.unwrap();
    assert_eq!(saturday.verdict, "same", "{:#?}", saturday.first);
    assert!(saturday.recorded.fills > 0, "{:?}", saturday.recorded);

    let (week, _) = recorded(Market::TwentyFourFive, MONDAY_NS).await;
    let closed = "expected a day on which the exchange is open";
    let refused = session(&week, "2020-01-04").await.unwrap_err();
    assert_eq!(refused, format!("session \"2020-01-04\": {closed}"));
    let refused = session(&rehearse(60, 1).await, "2020-01-01").await.unwrap_err();
    assert_eq!(refused, format!("session \"2020-01-01\": {closed}"));
}
