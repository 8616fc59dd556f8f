//! What adapters make of history is what the market was.

use std::collections::BTreeSet;

use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use domain::money::{Price, Volume};
use serde_json::json;
use tapedeck_vendors::Settings;
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{self, Adjustment, Anchor};
use vendors::{Ask, Cursor, Offer, PageOfMany, Quoted, Refusal, Skipped, VendorError};

use crate::support::{ALL, Desk, ask};

/// A price of the market as it is told: to the tick by Yahoo, as it is by the others.
fn told(vendor: Vendor, price: i64) -> Price {
    let tick = if price >= 10_000 { 100 } else { 1 };
    let price = if vendor == Vendor::Yahoo { (price + tick / 2).div_euclid(tick) * tick } else { price };
    Price(price * 100_000)
}

/// The market's own bars, in the terms that are asked for.
fn was(desk: &Desk, ask: &vendors::Ask) -> Vec<Quoted> {
    let terms = match ask.adjustment {
        vendors::Adjustment::Raw => Adjustment::RAW,
        vendors::Adjustment::Split => Adjustment::SPLITS,
        vendors::Adjustment::Dividend => Adjustment { splits: false, dividends: true },
        vendors::Adjustment::All => Adjustment::ALL,
    };
    let frame = match ask.timeframe {
        Timeframe::D1 => market::Timeframe::Day,
        Timeframe::H1 => market::Timeframe::Hours(1),
        Timeframe::M15 => market::Timeframe::Minutes(15),
        Timeframe::M5 => market::Timeframe::Minutes(5),
        _ => market::Timeframe::Minutes(1),
    };
    let anchor = if desk.vendor == Vendor::Yahoo { Anchor::Open } else { Anchor::Clock };
    let span = (ask.from_ns, ask.to_ns - 1);
    let bars = desk.vendors.stand.market(|m| m.bars(&ask.symbol, (frame, anchor), span, terms));
    let price = |price| told(desk.vendor, price);
    bars.into_iter()
        .map(|bar| Quoted {
            start_ns: bar.start_ns,
            open: price(bar.open),
            high: price(bar.high),
            low: price(bar.low),
            close: price(bar.close),
            volume: Volume(bar.volume * 1_000),
        })
        .collect()
}

#[tokio::test]
async fn bars_are_the_raw_ones_of_the_market_across_splits() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        for (symbol, timeframe, from, to) in [
            // A split in ten on 2024-06-10, and one of twenty into one on 2025-03-03.
            ("NVDA", Timeframe::D1, "2024-05-20", "2024-06-28"),
            ("NVDA", Timeframe::H1, "2024-06-03", "2024-06-14"),
            ("PENY", Timeframe::D1, "2025-02-03", "2025-03-31"),
            ("AAPL", Timeframe::D1, "2020-08-03", "2020-09-30"),
            ("BRK.B", Timeframe::H1, "2025-12-01", "2025-12-12"),
            ("AAPL", Timeframe::M15, "2025-12-22", "2025-12-26"),
        ] {
            let ask = ask(symbol, timeframe, from, to);
            let found = desk.all(&ask).await.unwrap();
            let was = was(&desk, &ask);
            assert!(was.len() > 15, "{vendor:?} {symbol} {timeframe}: {} bars", was.len());
            assert_eq!(found.bars, was, "{vendor:?} {symbol} {timeframe}");
            assert_eq!(found.skipped, Skipped::default(), "{vendor:?} {symbol} {timeframe}");
        }
    }
}

#[tokio::test]
async fn a_vendor_tells_the_terms_that_it_makes_and_refuses_the_others() {
    use vendors::Adjustment::{All, Dividend, Raw, Split};
    for (vendor, makes) in [
        (Vendor::AlpacaData, &[Raw, Split, Dividend, All][..]),
        (Vendor::Massive, &[Raw, Split][..]),
        (Vendor::Yahoo, &[Raw][..]),
    ] {
        let desk = Desk::of(vendor).await;
        let raw = ask("NVDA", Timeframe::D1, "2024-05-20", "2024-06-28");
        for adjustment in [Raw, Split, Dividend, All] {
            let ask = Ask { adjustment, ..raw.clone() };
            let told = desk.all(&ask).await.map(|found| found.bars);
            if makes.contains(&adjustment) {
                assert_eq!(told.unwrap(), was(&desk, &ask), "{vendor:?} {adjustment:?}");
            } else {
                let error = told.unwrap_err().to_string();
                let expected = format!("no bars with the adjustment {}", adjustment.name());
                assert!(error.contains(&expected), "{vendor:?}: {error}");
            }
        }
    }
    // The split in ten is in the prices before it.
    let desk = Desk::of(Vendor::AlpacaData).await;
    let day = ask("NVDA", Timeframe::D1, "2024-06-07", "2024-06-07");
    let split = desk.all(&Ask { adjustment: Split, ..day.clone() }).await.unwrap().bars[0];
    assert_eq!(desk.all(&day).await.unwrap().bars[0].close, Price(split.close.0 * 10));
}

#[tokio::test]
async fn splits_and_dividends_are_in_the_terms_of_their_day() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        let action = |actions: &[vendors::Action]| -> Vec<(String, ActionKind, i64)> {
            let mut told: Vec<_> =
                actions.iter().map(|a| (a.ex_date.to_string(), a.kind, a.value_e9)).collect();
            told.sort();
            told
        };
        let year = desk.all(&ask("AAPL", Timeframe::D1, "2025-01-02", "2025-12-31")).await.unwrap();
        let quarters = ["2025-02-10", "2025-05-12", "2025-08-11", "2025-11-10"];
        let expected = quarters.map(|date| (date.to_owned(), ActionKind::Dividend, 260_000_000));
        assert_eq!(action(&year.actions), expected, "{vendor:?}");

        let split = desk.all(&ask("PENY", Timeframe::D1, "2025-02-03", "2025-03-31")).await.unwrap();
        let expected = [("2025-03-03".to_owned(), ActionKind::Split, 50_000_000)];
        assert_eq!(action(&split.actions), expected, "{vendor:?}");

        // A dividend before a later split, which a vendor that restates has cut in four.
        desk.vendors.stand.market(|market| {
            market.split(market::Split {
                symbol: "AAPL".into(),
                ex_date: "2025-12-15".parse().unwrap(),
                from: 1,
                to: 4,
            });
        });
        let last = desk.all(&ask("AAPL", Timeframe::D1, "2025-11-03", "2025-11-28")).await.unwrap();
        let expected = [("2025-11-10".to_owned(), ActionKind::Dividend, 260_000_000)];
        assert_eq!(action(&last.actions), expected, "{vendor:?}: the split lies after the span");
    }
}

#[tokio::test]
async fn a_long_span_comes_in_pages_of_bounded_length() {
    for (vendor, longest) in [(Vendor::AlpacaData, 100), (Vendor::Massive, 833)] {
        let desk = Desk::of(vendor).await;
        let settings = Settings::default().with(&json!({"alpaca_data": {"page_max": 100}})).unwrap();
        desk.vendors.stand.set(settings);
        let ask = ask("SPY", Timeframe::H1, "2025-02-03", "2025-12-31");
        let found = desk.all(&ask).await.unwrap();
        assert_eq!(found.bars, was(&desk, &ask), "{vendor:?}");
        assert!(found.pages > 2 && found.longest <= longest, "{vendor:?}: {} pages", found.pages);
    }
}

#[tokio::test]
async fn what_has_not_ended_is_left_out() {
    // Half an hour after the open of 2026-01-06, which is the end of one of the clock's hours.
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        for timeframe in [Timeframe::H1, Timeframe::D1] {
            let found = desk.all(&ask("SPY", timeframe, "2026-01-05", "2026-01-06")).await.unwrap();
            let last = found.bars.last().unwrap();
            assert!(last.start_ns + timeframe.nanos() <= desk.now_ns, "{vendor:?} {timeframe}: {last:?}");
            // The clock's hour that ended just now is there, unless the vendor gives nothing that new.
            let today = last.start_ns > desk.now_ns - 12 * 3_600_000_000_000;
            assert_eq!(
                today,
                vendor == Vendor::Massive && timeframe == Timeframe::H1,
                "{vendor:?}: {last:?}"
            );
            let unfinished = found.skipped.unfinished;
            // Yahoo adds the present moment as a row of its own.
            let left_out = if today { 0..=0 } else { 1..=2 };
            assert!(left_out.contains(&unfinished), "{vendor:?} {timeframe}: {unfinished} left out");
        }
    }
}

#[tokio::test]
async fn recent_data_without_a_subscription_are_never_asked_for() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    desk.vendors.stand.set(Settings::default().with(&json!({"alpaca_data": {"sip": false}})).unwrap());
    let found = desk.all(&ask("SPY", Timeframe::M1, "2026-01-05", "2026-01-06")).await.unwrap();
    assert!(found.bars.len() >= 390 && desk.statuses().iter().all(|status| *status == 200));
}

#[tokio::test]
async fn nothing_is_no_mistake() {
    for (vendor, path, merges) in [
        (Vendor::Yahoo, "/v8", vec![]),
        (Vendor::AlpacaData, "/v2", vec![json!({"bars": {"AAPL": null}}), json!({"bars": null})]),
        (Vendor::Massive, "/v2", vec![json!({"results": null, "next_url": null})]),
    ] {
        let desk = Desk::of(vendor).await;
        // A weekend, and a symbol before its first day.
        for (symbol, from, to) in [("AAPL", "2025-12-20", "2025-12-21"), ("NEWC", "2025-03-03", "2025-03-07")]
        {
            let found = desk.all(&ask(symbol, Timeframe::D1, from, to)).await.unwrap();
            assert_eq!(found.bars, [], "{vendor:?} {symbol}");
        }
        for merge in merges {
            desk.arm(path, 1, HttpFault::Patch { merge });
            let found = desk.all(&ask("AAPL", Timeframe::D1, "2025-12-22", "2025-12-23")).await.unwrap();
            assert_eq!(found.bars, [], "{vendor:?}");
        }
    }
    let desk = Desk::of(Vendor::Yahoo).await;
    let empty = json!({"chart": {"result": [{"meta": {}, "indicators": {"quote": [{}]}}], "error": null}});
    desk.arm("/v8", 1, HttpFault::Answer { status: 200, headers: [].into(), body: empty });
    let found = desk.all(&ask("AAPL", Timeframe::D1, "2025-12-22", "2025-12-23")).await.unwrap();
    assert_eq!(found.bars, []);
}

#[tokio::test]
async fn a_symbol_that_yahoo_does_not_know_is_said() {
    let desk = Desk::of(Vendor::Yahoo).await;
    let error = desk.all(&ask("NOSUCH", Timeframe::D1, "2025-12-22", "2025-12-23")).await.unwrap_err();
    let VendorError::Refused { kind: Refusal::Unknown, message, .. } = error else { panic!("{error}") };
    assert!(message.contains("may be delisted"), "{message}");
}

#[tokio::test]
async fn massives_rows_without_a_price_are_counted() {
    let desk = Desk::of(Vendor::Massive).await;
    let results = json!([
        {"t": 1_765_170_000_000_i64, "o": null, "h": 2.0, "l": 1.0, "c": 1.5, "v": 10},
        {"t": 1_765_256_400_000_i64, "o": 1.5, "h": 2.0, "l": 1.0, "c": 1.5, "v": 10.25},
    ]);
    let body = json!({"status": "OK", "results": results});
    desk.arm("/v2/aggs", 1, HttpFault::Answer { status: 200, headers: [].into(), body });
    let found = desk.all(&ask("AAPL", Timeframe::D1, "2025-12-08", "2025-12-09")).await.unwrap();
    assert_eq!((found.bars.len(), found.skipped), (1, Skipped { empty: 1, ..Skipped::default() }));
    // Parts of shares are traded.
    assert_eq!((found.bars[0].open, found.bars[0].volume), (Price(1_500_000_000), Volume(10_250)));
}

#[tokio::test]
async fn alpacas_rows_without_a_price_are_counted() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let bars = json!([
        {"t": "2025-12-08T05:00:00Z", "o": null, "h": 2.0, "l": 1.0, "c": 1.5, "v": 10},
        {"t": "2025-12-09T05:00:00Z", "o": 1.5, "h": 2.0, "l": 1.0, "c": 1.5, "v": 10},
    ]);
    let body = json!({"bars": {"AAPL": bars}, "next_page_token": null});
    desk.arm("/v2/stocks/bars", 1, HttpFault::Answer { status: 200, headers: [].into(), body });
    let found = desk.all(&ask("AAPL", Timeframe::D1, "2025-12-08", "2025-12-09")).await.unwrap();
    assert_eq!((found.bars.len(), found.skipped), (1, Skipped { empty: 1, ..Skipped::default() }));
    assert_eq!(found.bars[0].open, Price(1_500_000_000));
}

#[tokio::test]
async fn empty_cells_are_counted_and_columns_of_other_length_are_refused() {
    let desk = Desk::of(Vendor::Yahoo).await;
    // 2025-12-22, 9:30, 10:30 and 11:30 in New York.
    let times = [1_766_413_800, 1_766_417_400, 1_766_421_000];
    let answer = |close: serde_json::Value| {
        let quote = json!({
            "open": [10.0, null, 10.5], "high": [11.0, null, 11.5], "low": [9.0, null, 9.5], "close": close,
            "volume": [100, null, 300],
        });
        let drawn = json!({"timestamp": times, "indicators": {"quote": [quote]}});
        let body = json!({"chart": {"result": [drawn], "error": null}});
        HttpFault::Answer { status: 200, headers: [].into(), body }
    };
    let span = ask("AAPL", Timeframe::H1, "2025-12-22", "2025-12-22");
    desk.arm("/v8", 1, answer(json!([10.25, null, 10.75])));
    let found = desk.all(&span).await.unwrap();
    assert_eq!((found.bars.len(), found.skipped.empty), (2, 1));
    assert_eq!(found.bars[1].close, Price(10_750_000_000));

    desk.arm("/v8", 1, answer(json!([10.25, null])));
    let error = desk.all(&span).await.unwrap_err();
    assert!(matches!(error, VendorError::Broken { .. }), "{error}");
    assert!(error.to_string().contains("indicators.quote.close: 2 cells for 3 times"), "{error}");
}

#[tokio::test]
async fn the_next_page_is_asked_of_the_address_that_is_configured() {
    let desk = Desk::of(Vendor::Massive).await;
    let merge = json!({"next_url": "https://elsewhere.invalid/v2/aggs/ticker/SPY/range/1/day/0/0?cursor=x"});
    desk.arm("/v2/aggs", 1, HttpFault::Patch { merge });
    let found = desk.all(&ask("SPY", Timeframe::D1, "2025-12-22", "2025-12-23")).await.unwrap();
    assert_eq!(found.bars.len(), 2);
    let asked =
        desk.vendors.stand.ledger.requests(Some(Vendor::Massive), "/v2/aggs/ticker/SPY/range/1/day/0/0");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn offers_say_what_there_is() {
    let yahoo = Desk::of(Vendor::Yahoo).await;
    assert_eq!(yahoo.adapter.offer(Timeframe::M30), Offer::Nothing);
    for timeframe in [Timeframe::M1, Timeframe::M15, Timeframe::H1] {
        let Offer::Days(days) = yahoo.adapter.offer(timeframe) else { panic!("{timeframe}") };
        // The stand-in holds to Yahoo's limits: what is offered is given.
        let first = domain::calendar::Calendar::xnys().date_of(yahoo.now_ns) - chrono::Days::new(days.into());
        let first = first.to_string();
        yahoo.all(&ask("SPY", timeframe, &first, "2026-01-06")).await.unwrap();
    }
}

/// Everything of a span of several symbols, asked for at once, and in how many pages.
async fn of_many(desk: &Desk, symbols: &[String], ask: &Ask) -> (PageOfMany, usize) {
    let vendor = desk.adapter.of_many().unwrap();
    let (mut all, mut pages) = (PageOfMany::default(), 0);
    let mut cursor = Some(Cursor::default());
    while let Some(at) = cursor {
        let page = vendor.page_of(symbols, ask, at, desk.now_ns).await.unwrap();
        assert!(page.bars.iter().map(|(_, bars)| bars.len()).sum::<usize>() <= 100);
        all.bars.extend(page.bars);
        all.actions.extend(page.actions);
        all.skipped.add(page.skipped);
        pages += 1;
        cursor = page.next;
    }
    (all, pages)
}

#[tokio::test]
async fn several_symbols_in_one_question_are_those_of_each_page_across_page() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    desk.vendors.stand.set(Settings::default().with(&json!({"alpaca_data": {"page_max": 100}})).unwrap());
    let symbols = ["AAPL", "BRK.B", "NOSUCH", "NVDA", "SPY"].map(str::to_owned);
    let span = ask("", Timeframe::H1, "2024-06-03", "2024-06-14");
    let (all, pages) = of_many(&desk, &symbols, &span).await;
    let asked = |path: &str| desk.vendors.stand.ledger.requests(Some(Vendor::AlpacaData), path).len();
    let rows = asked("/v2/stocks/bars");
    assert_eq!((asked("/v1/corporate-actions"), rows), (1, pages - 1));
    // A page ends in the midst of a symbol: there are more parts than symbols.
    assert!(rows > 2 && all.bars.len() > 4, "{rows} pages, {} parts", all.bars.len());
    let mut skipped = Skipped::default();
    for symbol in &symbols {
        let alone = desk.all(&Ask { symbol: symbol.clone(), ..span.clone() }).await.unwrap();
        let of = all.bars.iter().filter(|(of, _)| of == symbol).flat_map(|(_, bars)| bars);
        assert_eq!(of.copied().collect::<Vec<_>>(), alone.bars, "{symbol}");
        let of = all.actions.iter().filter(|(of, _)| of == symbol).map(|(_, action)| action.clone());
        assert_eq!(of.collect::<Vec<_>>(), alone.actions, "{symbol}");
        assert_eq!(alone.bars.is_empty(), symbol == "NOSUCH");
        skipped.add(alone.skipped);
    }
    assert_eq!(all.skipped, skipped);
    assert!(all.actions.iter().any(|(symbol, _)| symbol == "NVDA"), "{:?}", all.actions);
    for vendor in [Vendor::Yahoo, Vendor::Massive] {
        assert!(Desk::of(vendor).await.adapter.of_many().is_none(), "{vendor:?}");
    }
}

/// The days of symbols between two dates, asked for by date.
async fn by_date(desk: &Desk, symbols: &[&str], from: &str, to: &str) -> Vec<(String, Quoted)> {
    let vendor = desk.adapter.by_date().unwrap();
    let wanted: BTreeSet<String> = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
    let sessions = Calendar::xnys().sessions(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    let mut found = Vec::new();
    for session in sessions {
        let day = vendor.day(session.date, &wanted, desk.now_ns).await.unwrap();
        assert_eq!(day.skipped, Skipped::default(), "{}", session.date);
        found.extend(day.bars);
    }
    found
}

#[tokio::test]
async fn days_of_all_symbols_are_those_of_each() {
    let desk = Desk::of(Vendor::Massive).await;
    for (from, to) in [
        // Splits, one after the other; a session that closes early, between holidays; summer time.
        ("2024-06-03", "2024-06-14"),
        ("2025-02-24", "2025-03-14"),
        ("2025-11-24", "2025-12-01"),
    ] {
        let symbols = ["AAPL", "BRK.B", "NVDA", "PENY"];
        let found = by_date(&desk, &symbols, from, to).await;
        assert!(found.iter().all(|(symbol, _)| symbols.contains(&symbol.as_str())), "{found:?}");
        for symbol in symbols {
            let of_symbol = desk.all(&ask(symbol, Timeframe::D1, from, to)).await.unwrap().bars;
            assert!(of_symbol.len() > 4, "{symbol} {from}: {} bars", of_symbol.len());
            let of_dates: Vec<Quoted> =
                found.iter().filter(|(of, _)| of == symbol).map(|(_, bar)| *bar).collect();
            assert_eq!(of_dates, of_symbol, "{symbol} {from}");
        }
    }
    let asked = desk.vendors.stand.ledger.requests(Some(Vendor::Massive), "/v2/aggs/grouped");
    assert_eq!(asked.len(), 10 + 15 + 5, "one for each session");
    for vendor in [Vendor::Yahoo, Vendor::AlpacaData] {
        assert!(Desk::of(vendor).await.adapter.by_date().is_none(), "{vendor:?}");
    }
}

/// Splits and dividends of all symbols are those of each, in a list of a page or more.
#[tokio::test]
async fn actions_of_all_symbols_are_those_of_each() {
    let desk = Desk::of(Vendor::Massive).await;
    // Paid twice on one date, and by one that nobody asked for.
    for (symbol, ex_date) in [("AAPL", "2025-11-10"), ("SPY", "2025-11-12")] {
        let dividend = json!({"symbol": symbol, "ex_date": ex_date, "amount": "0.5", "special": true});
        desk.vendors.stand.market(|market| market.pay(serde_json::from_value(dividend).unwrap()));
    }
    let symbols = ["AAPL", "MSFT", "NVDA", "PENY"];
    let wanted: BTreeSet<String> = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
    let asked = || desk.vendors.stand.ledger.requests(Some(Vendor::Massive), "/v3/reference").len();
    for (from, to) in
        [("2024-06-03", "2026-01-06"), ("2025-11-11", "2025-11-20"), ("2024-01-02", "2024-01-31")]
    {
        let span = Ask { bars: false, ..ask("", Timeframe::D1, from, to) };
        let before = asked();
        let vendor = desk.adapter.by_date().unwrap();
        let found = vendor.actions(&wanted, span.actions_from_ns, span.to_ns).await.unwrap().actions;
        assert_eq!(asked() - before, 2, "one for the splits, one for the dividends");
        let mut expected = Vec::new();
        for symbol in symbols {
            let of_symbol = Ask { symbol: symbol.into(), ..span.clone() };
            let mut of_symbol = desk.all(&of_symbol).await.unwrap().actions;
            of_symbol.sort_by_key(|action| action.ex_date);
            expected.extend(of_symbol.into_iter().map(|action| (symbol.to_owned(), action)));
        }
        assert_eq!(found, expected, "{from}");
    }
    let span = ask("", Timeframe::D1, "2024-06-03", "2026-01-06");
    let vendor = desk.adapter.by_date().unwrap();
    let actions = async || vendor.actions(&wanted, span.actions_from_ns, span.to_ns).await;
    let all = actions().await.unwrap().actions;
    let of = |symbol: &str| -> Vec<i64> {
        all.iter().filter(|(of, _)| of == symbol).map(|(_, action)| action.value_e9).collect()
    };
    assert_eq!(of("AAPL").last(), Some(&760_000_000), "both of one date");
    assert_eq!((of("NVDA").len(), of("PENY").len(), of("SPY").len()), (1, 1, 0));
    // Further pages are asked for, and what nobody wants may be wrong.
    let page = |rows: serde_json::Value, next: &str| HttpFault::Patch {
        merge: json!({"results": rows, "next_url": format!("https://elsewhere.example{next}")}),
    };
    let date = "2025-06-02";
    let row = |symbol: &str, old: f64| json!({"ticker": symbol, "execution_date": date, "split_from": old, "split_to": 2});
    let next = "/v3/reference/splits?limit=1000";
    desk.arm("/v3/reference/splits", 1, page(json!([row("SPY", 0.0), row("MSFT", 1.0)]), next));
    let paged = actions().await.unwrap().actions;
    assert!(paged.iter().any(|(symbol, action)| symbol == "MSFT" && action.value_e9 == 2_000_000_000));
    assert!(paged.iter().any(|(symbol, _)| symbol == "NVDA"), "of the second page: {paged:?}");
    desk.arm("/v3/reference/splits", 1, page(json!([row("MSFT", 0.0)]), next));
    let error = actions().await.unwrap_err().to_string();
    assert!(error.contains("splits: 2 new for 0 old shares"), "{error}");
}

#[tokio::test]
async fn of_a_day_only_the_symbols_that_are_wanted_are_looked_at() {
    let desk = Desk::of(Vendor::Massive).await;
    let wanted = BTreeSet::from(["AAPL".to_owned()]);
    let date = "2025-12-22".parse().unwrap();
    let day = async || desk.adapter.by_date().unwrap().day(date, &wanted, desk.now_ns).await;
    let row = |symbol: &str, t: i64, close: f64| json!({"T": symbol, "t": t, "o": 1, "h": 2, "l": 1, "c": close, "v": 9});
    // 16:00 in New York, and a day later.
    let (closed, later) = (1_766_437_200_000_i64, 1_766_523_600_000_i64);
    let patch = |rows: serde_json::Value| HttpFault::Patch { merge: json!({"results": rows}) };
    desk.arm("/v2/aggs/grouped", 1, patch(json!([row("AAPL", closed, 1.5), row("MSFT", later, 1e300)])));
    let found = day().await.unwrap();
    assert_eq!(found.bars.len(), 1);
    assert_eq!(found.bars[0].1.start_ns, Calendar::xnys().start_of(date));
    desk.arm("/v2/aggs/grouped", 1, patch(json!([row("AAPL", later, 1.5)])));
    let error = day().await.unwrap_err().to_string();
    assert!(error.contains("results.t: 2025-12-23 among the bars of 2025-12-22, AAPL"), "{error}");
    desk.arm("/v2/aggs/grouped", 1, patch(serde_json::Value::Null));
    assert_eq!(day().await.unwrap(), vendors::Day::default(), "nothing was traded");
}

#[tokio::test]
async fn actions_alone_cost_no_request_for_bars() {
    for vendor in ALL {
        let desk = Desk::of(vendor).await;
        let whole = ask("AAPL", Timeframe::D1, "2025-11-03", "2025-11-28");
        let all = desk.all(&whole).await.unwrap();
        let asked = desk.statuses().len();
        let actions = desk.all(&Ask { bars: false, ..whole }).await.unwrap();
        assert!(actions.bars.is_empty() && !all.bars.is_empty(), "{vendor:?}");
        assert!(!actions.actions.is_empty(), "{vendor:?}");
        assert_eq!(actions.actions, all.actions, "{vendor:?}");
        let spared = usize::from(vendor != Vendor::Yahoo);
        assert_eq!(desk.statuses().len() - asked, asked - spared, "{vendor:?}");
    }
}
