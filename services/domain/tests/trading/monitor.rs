//! What the monitor measures, against numbers that `empyrical` gives for the same returns, and what it finds in them.

use contracts::v1::event::Body;
use contracts::v1::{
    BreakerKind, BreakerTripped, Money, OrderSpec, RiskGroup, RiskMeasured, Side, TradingState,
};
use domain::book::{Prices, Scope, mark};
use domain::calendar::Calendar;
use domain::money::{Amount, Quantity};
use domain::risk::monitor::{Sectors, drawdown, findings, measure};

use crate::scopes::{OTHER, World};
use crate::support::{ACCOUNT, STRATEGY, SYMBOL, amount, approval, fill, shares, spec, submitted};

/// Closes of 41 bars: 40 returns.
fn closes(around: f64, of: fn(u32) -> f64) -> Vec<f64> {
    (0..41).map(|bar| around + of(bar)).collect()
}

/// 400 shares of one symbol at 49.7 and 300 sold short of another one at 19.45, of 100,000.
fn world() -> World {
    let mut world = World::new();
    let first = closes(50.0, |bar| (f64::from(bar * 37 % 23) - 11.0) / 10.0);
    let second = closes(20.0, |bar| (f64::from(bar * 53 % 29) - 14.0) / 20.0);
    world.bars(&[(SYMBOL, &first), (OTHER, &second)]);
    world.hold(SYMBOL, 400);
    let at = world.prices.get(OTHER).unwrap().price;
    let short = OrderSpec {
        strategy: "other".to_owned(),
        symbol: OTHER.to_owned(),
        side: Side::Sell.into(),
        quantity_e9: shares("300").0,
        ..spec(&contracts::order_id("short", 0))
    };
    world.fold([approval(&short, at), submitted(&short), fill(&short, 1, shares("300"), at, "0")]);
    world.mark();
    world
}

fn measured(world: &World, sectors: &[(&str, &str)]) -> RiskMeasured {
    let mark = mark(&world.book, ACCOUNT, &world.prices, false).unwrap();
    let sectors: Sectors =
        sectors.iter().map(|(symbol, sector)| ((*symbol).to_owned(), (*sector).to_owned())).collect();
    measure(&world.book, &world.prices, &mark, &sectors)
}

/// Name, gross, net and share of each line.
fn lines(groups: &[RiskGroup]) -> Vec<(&str, String, String, i64)> {
    let money = |value: Option<&Money>| Amount::from_wire(value).to_string();
    let line = |group: &RiskGroup| {
        (money(group.gross_exposure.as_ref()), money(group.net_exposure.as_ref()), group.share_e9)
    };
    let mut lines = Vec::new();
    for group in groups {
        let (gross, net, share) = line(group);
        lines.push((group.name.as_str(), gross, net, share));
    }
    lines
}

fn near(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

#[test]
fn value_at_risk_its_tail_and_the_correlation_are_those_of_the_same_returns() {
    let found = measured(&world(), &[]);
    assert_eq!(found.bars, 40);
    // empyrical.value_at_risk and conditional_value_at_risk of the book's returns, losses positive.
    near(found.value_at_risk, 0.007_134_201_066_260_475);
    near(found.expected_shortfall, 0.007_160_474_785_820_545);
    // numpy.corrcoef of both returns is 0.1627; one of the two is short.
    near(found.correlation, -0.162_686_593_758_245_46);
    assert_eq!((found.correlated_first.as_str(), found.correlated_second.as_str()), (SYMBOL, OTHER));
    assert_eq!(found.drawdown_e9, 0);
    // With too few bars nothing is said.
    let mut short = World::new();
    short.bars(&[(SYMBOL, &[50.0; 30])]);
    short.hold(SYMBOL, 100);
    let found = measured(&short, &[]);
    assert_eq!((found.bars, found.value_at_risk, found.expected_shortfall), (29, None, None));
}

#[test]
fn exposure_is_by_strategy_symbol_and_the_sector_that_a_profile_names() {
    let world = world();
    let line = |name, gross: &str, net: &str, share| (name, gross.to_owned(), net.to_owned(), share);
    let (long, short) = (773_089_636, 226_910_363);
    let found = measured(&world, &[(SYMBOL, "Technology"), (OTHER, "Energy")]);
    assert_eq!(
        lines(&found.sectors),
        [line("Technology", "19880", "19880", long), line("Energy", "5835", "-5835", short)]
    );
    assert_eq!(
        lines(&found.strategies),
        [line(STRATEGY, "19880", "19880", long), line("other", "5835", "-5835", short)]
    );
    assert_eq!(lines(&found.symbols).len(), 2);
    // Both in one sector net; one that nobody named is unknown.
    let found = measured(&world, &[(SYMBOL, "Technology"), (OTHER, "Technology")]);
    assert_eq!(lines(&found.sectors), [line("Technology", "25715", "14045", 1_000_000_000)]);
    let found = measured(&world, &[(OTHER, "Energy")]);
    assert_eq!(
        lines(&found.sectors).iter().map(|line| line.0).collect::<Vec<_>>(),
        ["unknown", "Energy"],
        "the largest first"
    );
}

fn kinds(world: &World) -> Vec<(String, String)> {
    let found = findings(&world.book, &measured(world, &[]), Calendar::xnys(), Prices::default());
    found.into_iter().map(|found| (found.strategy, found.kind)).collect()
}

#[test]
fn four_fifths_of_a_limit_are_a_finding_and_less_is_none() {
    let of = |kind: &str| vec![(String::new(), kind.to_owned())];
    let under = |scope: Scope, name: &str, value: &str| {
        let mut world = world();
        world.limit(scope, &[(name, value)]);
        kinds(&world)
    };
    let account = || Scope::new(ACCOUNT, "", "");
    // 0.71 % at risk; 25,715 of gross exposure; 19,880 in one symbol.
    assert_eq!(under(account(), "max_var", "0.0089"), of("max_var"));
    assert_eq!(under(account(), "max_var", "0.009"), []);
    assert_eq!(under(account(), "max_gross_exposure", "32143"), of("max_gross_exposure"));
    assert_eq!(under(account(), "max_gross_exposure", "32145"), []);
    assert_eq!(
        under(Scope::new(ACCOUNT, "", SYMBOL), "max_position_value", "20000"),
        of(&format!("max_position_value/{SYMBOL}"))
    );
    let strategy = Scope::new(ACCOUNT, STRATEGY, "");
    assert_eq!(
        under(strategy, "max_position_value", "20000"),
        [(STRATEGY.to_owned(), "max_position_value".to_owned())]
    );
    // A correlation is one only at its limit, and of bets: here it is -0.16.
    assert_eq!(under(account(), "max_correlation", "0.1"), []);
}

#[test]
fn without_a_peak_there_is_no_drawdown() {
    let found = measured(&world(), &[]);
    assert_eq!(drawdown(&found), Some(shares("0")), "it is at its peak");
    let empty = RiskMeasured { peak_equity: amount("0").to_wire(), ..found };
    assert_eq!(drawdown(&empty), None);
    assert_eq!(drawdown(&RiskMeasured::default()), None);
}

#[test]
fn a_fall_of_equity_and_a_breaker_are_findings() {
    let mut world = world();
    world.of_account(&[("breaker_drawdown", "0.1")]);
    assert_eq!(kinds(&world), []);
    // 400 shares lose 20.2 each: 8,080 of 100,000.
    world.now_ns += 3_600_000_000_000;
    world.bars(&[(SYMBOL, &[29.5])]);
    world.mark();
    let found = measured(&world, &[]);
    assert_eq!(Quantity(found.drawdown_e9), shares("0.0808"));
    assert_eq!(found.peak_equity, amount("100000").to_wire());
    // It is beyond the account's limit of a day too, which is 5 %.
    let fallen = ["daily_loss", "drawdown"].map(|kind| (String::new(), kind.to_owned()));
    assert_eq!(kinds(&world), fallen);
    world.fold([Body::BreakerTripped(BreakerTripped {
        account: ACCOUNT.to_owned(),
        strategy: STRATEGY.to_owned(),
        kind: BreakerKind::WinRate.into(),
        state: TradingState::ReduceOnly.into(),
        ..BreakerTripped::default()
    })]);
    let tripped = vec![(STRATEGY.to_owned(), "breaker_win_rate".to_owned())];
    assert_eq!(kinds(&world), [fallen.to_vec(), tripped].concat());
}
