//! The simulated market: the same from the same seed, resumable anywhere, and market-like.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::v1::Origin;
use contracts::v1::event::Body;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use ingest::source::{Instant, SYMBOLS, SimulatedConfig, SimulatedSource, Source};
use proptest::prelude::*;

fn market(seed: u64, symbols: usize, timeframe: Timeframe) -> SimulatedSource {
    let from = NaiveDate::from_ymd_opt(2024, 1, 2).unwrap();
    SimulatedSource::new(SimulatedConfig { name: "demo".into(), seed, symbols, timeframe, from }).unwrap()
}

fn take(source: &mut SimulatedSource, count: usize) -> Vec<Instant> {
    std::iter::from_fn(|| source.next()).take(count).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_is_reproducible_and_resumes_at_any_instant(
        seed: u64, symbols in 1_usize..=10, skip in 0_usize..600, early in 0_i64..300_000_000_000,
    ) {
        let mut source = market(seed, symbols, Timeframe::M15);
        let all = take(&mut source, 700);
        prop_assert_eq!(&take(&mut market(seed, symbols, Timeframe::M15), 700), &all);
        let from = all[skip].ns;
        // An instant that lies between two of the source's continues with the later one.
        source.seek(if skip > 0 { (from - early).max(all[skip - 1].ns + 1) } else { from });
        prop_assert_eq!(&take(&mut source, 700 - skip), &all[skip..]);
        let mut fresh = market(seed, symbols, Timeframe::M15);
        fresh.seek(from);
        prop_assert_eq!(&take(&mut fresh, 700 - skip), &all[skip..]);
    }
}

#[test]
fn another_seed_is_another_market() {
    assert_ne!(take(&mut market(1, 3, Timeframe::M5), 20), take(&mut market(2, 3, Timeframe::M5), 20));
}

#[test]
fn years_of_it_are_like_a_market() {
    let mut source = market(7, SYMBOLS.len(), Timeframe::H1);
    let (mut splits, mut dividends, mut sessions, mut bars) = (0, 0, 0, 0_u64);
    let (mut last_ns, mut prices) = (i64::MIN, BTreeMap::<String, Vec<i64>>::new());
    let end = Calendar::xnys().start_of(NaiveDate::from_ymd_opt(2027, 1, 1).unwrap());
    while let Some(instant) = source.next().filter(|instant| instant.ns < end) {
        assert!(instant.ns > last_ns);
        last_ns = instant.ns;
        let size = u32::try_from(instant.events.len()).unwrap();
        for (position, (_, event)) in instant.events.iter().enumerate() {
            let place = event.instant.unwrap();
            assert_eq!((place.position as usize, place.size), (position, size));
            match &event.body {
                Some(Body::Bar(bar)) => {
                    bars += 1;
                    assert_eq!(bar.origin(), Origin::Rehearsal);
                    assert!(0 < bar.low_e9 && bar.low_e9 <= bar.open_e9.min(bar.close_e9));
                    assert!(bar.high_e9 >= bar.open_e9.max(bar.close_e9) && bar.volume_e3 > 0);
                    assert_eq!(
                        (bar.close_e9 % 10_000_000, bar.volume_e3 % 1_000),
                        (0, 0),
                        "cents, whole shares"
                    );
                    prices.entry(bar.symbol.clone()).or_default().push(bar.close_e9);
                }
                Some(Body::CorporateAction(action)) if action.kind == 1 => splits += 1,
                Some(Body::CorporateAction(_)) => dividends += 1,
                Some(Body::SessionChange(change)) if change.phase == 1 => sessions += 1,
                _ => {}
            }
        }
    }
    // 252 sessions in 2024, 250 in 2025, 251 in 2026; seven bars a day, fewer on early closes.
    assert_eq!(sessions, 753);
    assert_eq!(bars, 10 * (753 * 7 - early_closes() * 3));
    assert!((1..=40).contains(&splits), "{splits} splits");
    assert!((6 * 10..=6 * 13).contains(&dividends), "{dividends} dividends");
    for (symbol, closes) in prices {
        let (low, high) = (closes.iter().min().unwrap(), closes.iter().max().unwrap());
        assert!(*low > 1_000_000_000 && *high < 1_000_000_000_000, "{symbol} from {low} to {high}");
        let moves = closes.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(moves * 10 > closes.len() * 9, "{symbol} moves");
    }
}

fn early_closes() -> u64 {
    let date = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
    let sessions = Calendar::xnys().sessions(date(2024, 1, 2), date(2026, 12, 31)).unwrap();
    sessions.iter().filter(|session| session.early_close).count() as u64
}

#[test]
fn a_market_that_cannot_be_is_refused() {
    let config = |symbols, from| SimulatedConfig { symbols, from, ..SimulatedConfig::default() };
    let from = SimulatedConfig::default().from;
    let error = SimulatedSource::new(config(0, from)).err().unwrap().to_string();
    assert_eq!(error, "symbols 0, expected 1 to 10");
    assert!(SimulatedSource::new(config(11, from)).is_err());
    assert!(SimulatedSource::new(config(3, NaiveDate::from_ymd_opt(1990, 1, 2).unwrap())).is_err());
}
