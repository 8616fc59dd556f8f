//! What adapters make of facts is what the stand-in knows.

use contracts::v1::event::Body;
use contracts::v1::{FinancialStatement, ListingState, StatementPeriod};
use serde_json::json;
use tapedeck_vendors::ledger::Vendor;
use vendors::{Refusal, VendorError};

use crate::office::{FACTS, Office, listing};

#[tokio::test]
async fn yahoo_states_profile_statistics_holders_analysts_and_statements() {
    let office = Office::new().await;
    let (name, shares) = office.vendors.stand.market(|market| {
        let listing = market.listing("AAPL").unwrap();
        (listing.name.clone(), listing.shares)
    });
    let facts = office.facts(Vendor::Yahoo).facts("AAPL").await.unwrap();
    let [
        Body::CompanyProfile(profile),
        Body::KeyStatistics(statistics),
        Body::InstitutionalHolders(holders),
        Body::AnalystOpinions(analysts),
        statements @ ..,
    ] = facts.as_slice()
    else {
        panic!("{facts:?}");
    };
    assert_eq!(
        (profile.symbol.as_str(), &profile.name, profile.sector.as_str()),
        ("AAPL", &name, "Technology")
    );
    assert_eq!(profile.officers.len(), 2);
    let officer = &profile.officers[0];
    assert_eq!((officer.name.as_str(), officer.year_born), ("Ms. Ada Example", Some(1970)));
    assert_eq!(officer.total_pay, "16520856");
    assert_eq!(profile.officers[1].year_born, None, "what is not stated is not made up");

    let figure = |name: &str| statistics.figures.iter().find(|f| f.name == name).map(|f| f.value.as_str());
    assert_eq!(figure("shares_outstanding"), Some(shares.to_string().as_str()));
    assert_eq!(figure("beta"), Some("1.2"));
    assert_eq!(figure("peg_ratio"), None, "an empty object is no number");
    assert!(statistics.figures.is_sorted_by(|one, other| one.name < other.name));
    assert_eq!(statistics.most_recent_quarter.len(), 10);

    assert_eq!((holders.holders.len(), holders.institutions), (10, Some(6_900)));
    assert_eq!(holders.institutions_held, "0.62");
    assert_eq!(holders.holders[0].shares, (shares / 13).to_string());

    assert_eq!((analysts.strong_buy, analysts.buy, analysts.hold), (Some(5), Some(23), Some(15)));
    assert_eq!((analysts.sell, analysts.strong_sell, analysts.analysts), (Some(1), Some(2), Some(38)));
    assert_eq!(analysts.mean_advice, "2.1");

    let statements: Vec<&FinancialStatement> = statements
        .iter()
        .map(|body| match body {
            Body::FinancialStatement(statement) => statement,
            other => panic!("{other:?}"),
        })
        .collect();
    let ends = |period: StatementPeriod| {
        let of_period = statements.iter().filter(move |statement| statement.period() == period);
        of_period.map(|statement| statement.period_end.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(ends(StatementPeriod::Annual), ["2022-09-30", "2023-09-30", "2024-09-30", "2025-09-30"]);
    assert_eq!(ends(StatementPeriod::Quarterly).len(), 5);
    assert_eq!(ends(StatementPeriod::Trailing), ["2025-09-30"]);
    // An address that is longer than about two kilobytes is not answered.
    let asked = office.vendors.stand.ledger.requests(Some(Vendor::Yahoo), "/ws");
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.path.len() + asked.query.len() < 1_900), "{asked:?}");
    for statement in statements {
        assert_eq!((statement.items.len(), statement.currency.as_str()), (16, "USD"));
        let spent = statement.items.iter().find(|item| item.name == "capital_expenditure").unwrap();
        assert!(spent.value.starts_with('-'), "{spent:?}");
    }
}

#[tokio::test]
async fn wrapped_numbers_and_missing_modules_are_read_as_such() {
    let office = Office::new().await;
    let yahoo = office.facts(Vendor::Yahoo);
    office.vendors.stand.market(|market| {
        let wrapped = json!({"fullTimeEmployees": {"raw": 164_000, "fmt": "164k"}, "sector": null});
        market.say_fact("AAPL", "assetProfile", wrapped);
        market.say_fact(
            "AAPL",
            "annualTotalRevenue",
            json!([null, {
            "asOfDate": "2025-09-30", "currencyCode": "USD", "reportedValue": {"raw": 5.5}
        }, {"asOfDate": "2024-09-30", "currencyCode": "USD", "reportedValue": {}}]),
        );
    });
    let facts = yahoo.facts("AAPL").await.unwrap();
    let Body::CompanyProfile(profile) = &facts[0] else { panic!("{facts:?}") };
    assert_eq!((profile.employees, profile.sector.as_str()), (Some(164_000), ""));
    let annual = facts.iter().find_map(|body| match body {
        Body::FinancialStatement(statement) if statement.period_end == "2025-09-30" => Some(statement),
        _ => None,
    });
    let revenue = annual.unwrap().items.iter().find(|item| item.name == "total_revenue").unwrap();
    assert_eq!(revenue.value, "5.5");
    // Yahoo writes a hyphen where others write a dot; the fact has the tape's symbol.
    let facts = yahoo.facts("BRK.B").await.unwrap();
    assert!(facts.iter().all(|body| {
        contracts::Subject::for_event(
            &contracts::v1::Event { body: Some(body.clone()), ..Default::default() },
            None,
        )
        .is_some_and(|subject| subject.as_str().ends_with(".BRK%2EB"))
    }));
    let asked = office.vendors.stand.ledger.requests(Some(Vendor::Yahoo), "/v10/finance/quoteSummary/BRK-B");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_row_that_is_null_is_passed_over_and_the_others_count() {
    let office = Office::new().await;
    let yahoo = office.facts(Vendor::Yahoo);
    office.vendors.stand.market(|market| {
        let officers = json!({"companyOfficers": [null, {"name": "Ms. Ada Example", "title": "CEO"}]});
        market.say_fact("AAPL", "assetProfile", officers);
        let owners = json!({"ownershipList": [null, {"organization": "Example Trust", "position": 5}]});
        market.say_fact("AAPL", "institutionOwnership", owners);
        market.say_fact("AAPL", "recommendationTrend", json!({"trend": [null, {"period": "0m", "buy": 3}]}));
    });
    let facts = yahoo.facts("AAPL").await.unwrap();
    let [
        Body::CompanyProfile(profile),
        _,
        Body::InstitutionalHolders(holders),
        Body::AnalystOpinions(analysts),
        ..,
    ] = facts.as_slice()
    else {
        panic!("{facts:?}");
    };
    let officers: Vec<&str> = profile.officers.iter().map(|officer| officer.name.as_str()).collect();
    assert_eq!(officers, ["Ms. Ada Example"]);
    let holders: Vec<&str> = holders.holders.iter().map(|holder| holder.organization.as_str()).collect();
    assert_eq!(holders, ["Example Trust"]);
    assert_eq!(analysts.buy, Some(3));
}

#[tokio::test]
async fn a_crumb_is_asked_for_once_and_again_when_it_no_longer_counts() {
    let office = Office::new().await;
    let yahoo = office.facts(Vendor::Yahoo);
    let crumbs = || office.statuses(Vendor::Yahoo, "/v1/test/getcrumb").len();
    let before = yahoo.facts("AAPL").await.unwrap();
    yahoo.facts("MSFT").await.unwrap();
    assert_eq!(crumbs(), 1);
    office.set(&json!({"yahoo": {"crumb": "another"}}));
    assert_eq!(yahoo.facts("AAPL").await.unwrap(), before);
    assert_eq!(crumbs(), 2);
    let refused = office.statuses(Vendor::Yahoo, "").into_iter().filter(|status| *status == 401).count();
    assert_eq!(refused, 1, "asked once with the old one");
}

#[tokio::test]
async fn what_is_listed_and_what_is_gone_is_told_apart() {
    let office = Office::new().await;
    for vendor in [Vendor::AlpacaTrading, Vendor::Massive] {
        let source = office.facts(vendor);
        let here = listing(&source.facts("BRK.B").await.unwrap());
        assert_eq!((here.symbol.as_str(), here.state()), ("BRK.B", ListingState::Listed), "{vendor:?}");
        let gone = listing(&source.facts("GONE").await.unwrap());
        assert_eq!(gone.state(), ListingState::Delisted, "{vendor:?}");
        if vendor == Vendor::Massive {
            let (listed, delisted) = office.vendors.stand.market(|market| {
                let delisted = market.listing("GONE").unwrap().delisted.unwrap();
                (market.listing("BRK.B").unwrap().listed, delisted)
            });
            assert_eq!((here.listed_on, gone.delisted_on), (listed.to_string(), delisted.to_string()));
            assert_eq!((here.exchange.as_str(), here.cik.len()), ("XNYS", 10));
        } else {
            assert_eq!((here.exchange.as_str(), here.tradable), ("NYSE", Some(true)));
            assert_eq!(gone.tradable, Some(false));
        }
    }
}

#[tokio::test]
async fn a_state_that_alpaca_words_otherwise_is_not_known_and_the_rest_holds() {
    for status in [json!("halted"), json!(null)] {
        let office = Office::new().await;
        let rule = json!({
            "vendor": "alpaca_trading", "path": "/v2/assets/AAPL", "fault": "answer", "status": 200,
            "body": {"symbol": "AAPL", "status": status, "tradable": true, "exchange": "NASDAQ"},
        });
        office.vendors.stand.faults.on_request(serde_json::from_value(rule).unwrap());
        let found = listing(&office.facts(Vendor::AlpacaTrading).facts("AAPL").await.unwrap());
        assert_eq!(found.state(), ListingState::Unspecified);
        assert_eq!((found.exchange.as_str(), found.tradable), ("NASDAQ", Some(true)));
    }
}

#[tokio::test]
async fn a_symbol_that_nobody_knows_is_unknown() {
    for vendor in FACTS {
        let office = Office::new().await;
        let error = office.facts(vendor).facts("NOSUCH").await.unwrap_err();
        let VendorError::Refused { kind: Refusal::Unknown, .. } = &error else {
            panic!("{vendor:?}: {error}")
        };
    }
}
