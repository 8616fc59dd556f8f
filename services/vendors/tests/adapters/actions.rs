//! Corporate actions of every kind: what is a split or a dividend, and what is said of the others.

use std::collections::BTreeSet;

use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use serde_json::{Value, json};
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use vendors::{Action, Ask, Cursor, Unapplied};

use crate::support::{Desk, ask};

/// Puts an action on the stand-in's list.
fn told(desk: &Desk, kind: &str, fields: &Value) {
    let action = json!({"kind": kind, "process_date": "2025-11-17", "fields": fields});
    desk.vendors.stand.market(|market| market.act(serde_json::from_value(action).unwrap()));
}

fn paid(desk: &Desk, symbol: &str, ex_date: &str, amount: &str, capital_gain: bool) {
    let dividend =
        json!({"symbol": symbol, "ex_date": ex_date, "amount": amount, "capital_gain": capital_gain});
    desk.vendors.stand.market(|market| market.pay(serde_json::from_value(dividend).unwrap()));
}

fn of(symbol: &str) -> Ask {
    Ask { bars: false, ..ask(symbol, Timeframe::D1, "2025-11-12", "2025-11-19") }
}

fn words(unapplied: &[Unapplied]) -> Vec<&str> {
    unapplied.iter().map(|other| other.words.as_str()).collect()
}

fn dividend(ex_date: &str, value_e9: i64) -> Action {
    Action { ex_date: ex_date.parse().unwrap(), kind: ActionKind::Dividend, value_e9 }
}

#[tokio::test]
async fn alpacas_dividends_in_shares_are_splits_and_other_actions_are_named() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    told(&desk, "stock_dividends", &json!({"symbol": "AAPL", "rate": 0.05, "ex_date": "2025-11-14"}));
    told(&desk, "stock_dividends", &json!({"symbol": "MSFT", "rate": 0.5, "ex_date": "2025-12-01"}));
    told(
        &desk,
        "spin_offs",
        &json!({"source_symbol": "AAPL", "source_cusip": "1", "source_rate": 4, "new_symbol": "NEWS",
            "new_rate": 1, "ex_date": "2025-11-13", "payable_date": "2025-11-17"}),
    );
    told(&desk, "name_changes", &json!({"old_symbol": "MSFT", "new_symbol": "AAPL"}));
    told(
        &desk,
        "stock_and_cash_mergers",
        &json!({"acquirer_symbol": "SPY", "acquiree_symbol": "MSFT", "cash_rate": 3.25, "effective_date": "2025-11-18"}),
    );
    told(&desk, "worthless_removals", &json!({"symbol": "THIN"}));
    told(&desk, "kinds_to_come", &json!({"symbol": "MSFT", "ex_date": "2025-11-12"}));

    let found = desk.all(&of("AAPL")).await.unwrap();
    let split =
        |value_e9| Action { ex_date: "2025-11-14".parse().unwrap(), kind: ActionKind::Split, value_e9 };
    assert_eq!(found.actions, [split(1_050_000_000)], "of a share 1.05 of them");
    let expected = [
        "name_change of AAPL on 2025-11-17: new_symbol AAPL, old_symbol MSFT",
        "spin_off of AAPL on 2025-11-13: new_rate 1, new_symbol NEWS, source_rate 4, source_symbol AAPL",
    ];
    assert_eq!(words(&found.unapplied), expected);
    assert_eq!(found.unapplied[1].date.to_string(), "2025-11-13");

    // Of several symbols each has its own, a merger both companies'.
    let symbols = ["AAPL", "MSFT", "SPY", "THIN"].map(str::to_owned);
    let many = desk.adapter.of_many().unwrap();
    let page = many.page_of(&symbols, &of(""), Cursor::default(), desk.now_ns).await.unwrap();
    assert_eq!(page.actions, [("AAPL".to_owned(), split(1_050_000_000))]);
    let told: BTreeSet<&str> = page.unapplied.iter().map(|(_, other)| other.words.as_str()).collect();
    let merged = |symbol: &str| {
        format!(
            "stock_and_cash_merger of {symbol} on 2025-11-18: acquiree_symbol MSFT, acquirer_symbol SPY, cash_rate 3.25"
        )
    };
    let (one, other) = (merged("MSFT"), merged("SPY"));
    let expected = expected.into_iter().chain([
        "name_change of MSFT on 2025-11-17: new_symbol AAPL, old_symbol MSFT",
        "worthless_removal of THIN on 2025-11-17",
        "kinds_to_come of MSFT on 2025-11-12",
        one.as_str(),
        other.as_str(),
    ]);
    assert_eq!(told, expected.collect::<BTreeSet<&str>>());
    assert!(page.unapplied.iter().all(|(symbol, other)| other.words.contains(&format!("of {symbol} on"))));

    // A second split of a date has no place on the tape.
    let split_too = json!({"symbol": "AAPL", "ex_date": "2025-11-14", "from": 1, "to": 2});
    desk.vendors.stand.market(|market| market.split(serde_json::from_value(split_too).unwrap()));
    let found = desk.all(&of("AAPL")).await.unwrap();
    assert_eq!(found.actions, [split(2_000_000_000)]);
    let beside = "stock_dividend of AAPL on 2025-11-14: rate 0.05, beside a split";
    assert!(words(&found.unapplied).contains(&beside), "{:?}", found.unapplied);
}

#[tokio::test]
async fn a_row_of_alpacas_without_its_terms_is_named_and_keeps_nothing_from_the_others() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let dividend = json!({"symbol": "AAPL", "rate": 0.5, "special": true, "ex_date": null});
    told(&desk, "cash_dividends", &dividend);
    told(&desk, "forward_splits", &json!({"symbol": "AAPL", "old_rate": 1, "ex_date": "2025-11-13"}));
    told(&desk, "stock_dividends", &json!({"symbol": "AAPL", "rate": 0.05, "ex_date": "2025-11-14"}));
    let found = desk.all(&of("AAPL")).await.unwrap();
    let (ex_date, kind) = ("2025-11-14".parse().unwrap(), ActionKind::Split);
    assert_eq!(found.actions, [Action { ex_date, kind, value_e9: 1_050_000_000 }]);
    let expected = [
        "cash_dividend of AAPL on 2025-11-17: rate 0.5, special true",
        "forward_split of AAPL on 2025-11-13: old_rate 1",
    ];
    assert_eq!(words(&found.unapplied), expected);
}

/// Of all symbols' splits and dividends those that are wanted have to have their terms.
#[tokio::test]
async fn a_row_of_massives_without_its_terms_is_no_matter_of_the_other_symbols() {
    let desk = Desk::of(Vendor::Massive).await;
    let span = of("");
    let asked = async |symbol: &str| {
        let row = |ticker: &str| json!({"ticker": ticker, "execution_date": "2025-11-13", "split_to": 2});
        let merge = json!({"results": [row("SPY")]});
        desk.arm("/v3/reference/splits", 1, HttpFault::Patch { merge });
        let wanted = BTreeSet::from([symbol.to_owned()]);
        let by_date = desk.adapter.by_date().unwrap();
        by_date.actions(&wanted, span.actions_from_ns, span.to_ns).await
    };
    assert_eq!(asked("NVDA").await.unwrap().actions, []);
    let error = asked("SPY").await.unwrap_err().to_string();
    assert!(error.contains("splits.split_from: missing, SPY"), "{error}");
    let merge =
        json!({"results": [{"ticker": "SPY", "ex_dividend_date": "2025-11-13", "cash_amount": null}]});
    desk.arm("/v3/reference/dividends", 1, HttpFault::Patch { merge });
    let error = desk.all(&of("SPY")).await.unwrap_err().to_string();
    assert!(error.contains("dividends.cash_amount: missing, SPY"), "{error}");
}

#[tokio::test]
async fn massives_dividends_in_other_currencies_are_named_and_not_paid() {
    let desk = Desk::of(Vendor::Massive).await;
    let row =
        json!({"ticker": "SPY", "cash_amount": 0.5, "currency": "CAD", "ex_dividend_date": "2025-11-13"});
    let patch = || HttpFault::Patch { merge: json!({"results": [row]}) };
    desk.arm("/v3/reference/dividends", 1, patch());
    let found = desk.all(&of("SPY")).await.unwrap();
    assert_eq!(found.actions, []);
    let expected = ["dividend of SPY on 2025-11-13: 0.5 CAD, expected dollars"];
    assert_eq!(words(&found.unapplied), expected);

    desk.arm("/v3/reference/dividends", 1, patch());
    let (span, wanted) = (of(""), BTreeSet::from(["SPY".to_owned()]));
    let by_date = desk.adapter.by_date().unwrap();
    let told = by_date.actions(&wanted, span.actions_from_ns, span.to_ns).await.unwrap();
    assert_eq!(told.actions, []);
    let [(symbol, other)] = told.unapplied.as_slice() else { panic!("{told:?}") };
    assert_eq!((symbol.as_str(), other.words.as_str()), ("SPY", expected[0]));
}

/// Yahoo adds what a fund has gained to the dividend of the date, or does not, and does not say which.
#[tokio::test]
async fn what_a_fund_has_gained_is_paid_where_no_dividend_can_hold_it() {
    let desk = Desk::of(Vendor::Yahoo).await;
    paid(&desk, "SPY", "2025-11-13", "0.75", true);
    paid(&desk, "SPY", "2025-11-14", "0.25", false);
    paid(&desk, "SPY", "2025-11-14", "0.5", true);
    paid(&desk, "SPY", "2025-11-18", "0.5", false);
    paid(&desk, "SPY", "2025-11-18", "0.5", true);
    let found = desk.all(&of("SPY")).await.unwrap();
    let expected = [
        dividend("2025-11-13", 750_000_000),
        dividend("2025-11-14", 750_000_000),
        dividend("2025-11-18", 500_000_000),
    ];
    assert_eq!(found.actions, expected);
    let said = "capital gain of SPY on 2025-11-18: 0.5, the dividend of 0.5 may hold it already: it is not paid beside \
                that";
    assert_eq!(words(&found.unapplied), [said]);
}
