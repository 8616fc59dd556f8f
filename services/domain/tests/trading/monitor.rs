//! What the monitor measures, against numbers that `empyrical` gives for the same returns, and what it finds in them.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, BreakerKind, BreakerReset, BreakerTripped, EntryKind, Money, OrderSpec,
    PositionTransferred, RiskGroup, RiskMeasured, Side, TradingState,
};
use domain::book::{Prices, Scope, mark};
use domain::calendar::Calendar;
use domain::money::{Amount, Quantity};
use domain::risk::monitor::{Before, Sectors, drawdown, findings, measure};

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
    measured_after(world, sectors, &Before::default())
}

fn measured_after(world: &World, sectors: &[(&str, &str)], before: &Before) -> RiskMeasured {
    let mark = mark(&world.book, ACCOUNT, &world.prices, false).unwrap();
    let sectors: Sectors =
        sectors.iter().map(|(symbol, sector)| ((*symbol).to_owned(), (*sector).to_owned())).collect();
    measure(&world.book, &world.prices, &mark, &sectors, before)
}

/// An hour later the symbol has another price.
fn moved(world: &mut World, close: f64) {
    world.now_ns += 3_600_000_000_000;
    world.bars(&[(SYMBOL, &[close])]);
    world.mark();
}

#[track_caller]
fn named<'of>(lines: &'of [RiskGroup], name: &str) -> &'of RiskGroup {
    lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("{name} is not in {lines:?}"))
}

/// What a line brought, the highest of it, and its drawdown.
#[track_caller]
fn result(lines: &[RiskGroup], name: &str) -> (String, String, Option<i64>) {
    let money = |value: Option<&Money>| Amount::from_wire(value).to_string();
    let line = named(lines, name);
    (money(line.pnl.as_ref()), money(line.peak_pnl.as_ref()), line.drawdown_e9)
}

fn stands(pnl: &str, peak: &str, drawdown_e9: i64) -> (String, String, Option<i64>) {
    (pnl.to_owned(), peak.to_owned(), Some(drawdown_e9))
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
fn bars_that_closed_behind_the_prices_of_the_mark_do_not_count() {
    let mut world = world();
    let of_then = mark(&world.book, ACCOUNT, &world.prices, false).unwrap();
    let at_then = |world: &World| {
        measure(&world.book, &world.prices, &of_then, &Sectors::default(), &Before::default())
    };
    let before = at_then(&world);
    // The market is read further than the mark: of both symbols together, then of one of them.
    for bars in [&[(SYMBOL, &[25.0][..]), (OTHER, &[40.0][..])][..], &[(SYMBOL, &[30.0][..])][..]] {
        world.now_ns += 3_600_000_000_000;
        world.bars(bars);
        assert_eq!(at_then(&world), before);
    }
    assert_eq!(measured(&world, &[]).bars, 41, "those that both have count at a mark behind them");
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

#[test]
fn strategies_and_sectors_are_measured_as_the_account_is() {
    let mut world = world();
    let found = measured(&world, &[(SYMBOL, "Technology"), (OTHER, "Energy")]);
    // empyrical.value_at_risk and conditional_value_at_risk of each position's returns by itself.
    for (lines, long, short) in
        [(&found.strategies, STRATEGY, "other"), (&found.sectors, "Technology", "Energy")]
    {
        let (long, short) = (named(lines, long), named(lines, short));
        near(long.value_at_risk, 0.003_585_571_142_284_572_6);
        near(long.expected_shortfall, 0.003_589_171_133_110_961);
        near(short.value_at_risk, 0.003_619_073_382_335_214_7);
        near(short.expected_shortfall, 0.003_627_979_274_611_398_7);
        assert_eq!((long.bars, long.correlation), (40, None), "there is one position");
        assert_eq!((long.concentration_e9, long.concentrated.as_str()), (shares("0.1988").0, SYMBOL));
        assert_eq!((short.concentration_e9, short.concentrated.as_str()), (shares("0.05835").0, OTHER));
    }
    assert_eq!((found.concentration_e9, found.concentrated.as_str()), (shares("0.1988").0, SYMBOL));
    assert_eq!(named(&found.symbols, OTHER).sector, "Energy");

    // The strategy is long in both, the account still short in one of them.
    world.hold(OTHER, 200);
    let found = measured(&world, &[(SYMBOL, "Technology"), (OTHER, "Technology")]);
    near(found.correlation, -0.162_686_593_758_245_4);
    let (strategy, sector) = (named(&found.strategies, STRATEGY), named(&found.sectors, "Technology"));
    near(strategy.correlation, 0.162_686_593_758_245_4);
    near(sector.correlation, -0.162_686_593_758_245_4);
    near(strategy.value_at_risk, 0.004_076_794_930_802_666);
    let pair = [&strategy.correlated_first, &strategy.correlated_second];
    assert_eq!(pair.map(String::as_str), [SYMBOL, OTHER]);
    assert_eq!(named(&found.strategies, "other").correlation, None);
}

#[test]
fn what_strategies_hold_against_each_other_is_theirs_and_not_the_accounts() {
    let mut world = world();
    world.hold(OTHER, 300);
    moved(&mut world, 49.7);
    let found = measured(&world, &[]);
    assert_eq!(lines(&found.symbols).len(), 1, "of the other one the account holds nothing");
    let line = |name, gross: &str, net: &str| (name, gross.to_owned(), net.to_owned());
    let lines: Vec<_> =
        lines(&found.strategies).into_iter().map(|(name, gross, net, _)| (name, gross, net)).collect();
    assert_eq!(lines, [line(STRATEGY, "25715", "25715"), line("other", "5835", "-5835")]);
    assert_eq!(result(&found.strategies, "other"), stands("0", "0", 0));
}

#[test]
fn a_strategy_falls_from_the_peak_of_its_own_result() {
    let mut world = world();
    moved(&mut world, 54.7);
    let risen = measured(&world, &[]);
    assert_eq!(result(&risen.strategies, STRATEGY), stands("2000", "2000", 0));
    moved(&mut world, 44.7);
    let fallen = measured_after(&world, &[], &Before::of(risen));
    // 4,000 of the account's highest equity, 102,000: it falls alone, so that the account falls as far.
    assert_eq!(result(&fallen.strategies, STRATEGY), stands("-2000", "2000", 39_215_686));
    assert_eq!(result(&fallen.sectors, "unknown"), stands("-2000", "2000", 39_215_686));
    assert_eq!(result(&fallen.strategies, "other"), stands("0", "0", 0));
    assert_eq!(fallen.drawdown_e9, 39_215_686);
    // Nobody who measures for the first time knows of the peak: it began with 0.
    assert_eq!(result(&measured(&world, &[]).strategies, STRATEGY), stands("-2000", "0", 19_607_843));

    // What it sold stays lost, and in sight.
    world.hold(SYMBOL, -400);
    let sold = measured_after(&world, &[], &Before::of(fallen));
    assert_eq!(result(&sold.strategies, STRATEGY), stands("-2000", "2000", 39_215_686));
    let line = named(&sold.strategies, STRATEGY);
    assert_eq!((line.value_at_risk, line.concentrated.as_str(), line.share_e9), (None, "", 0));

    // The account's peak begins anew, and with it those of its strategies and sectors.
    let reset = Body::BreakerReset(BreakerReset {
        account: ACCOUNT.to_owned(),
        kind: BreakerKind::Drawdown.into(),
        ..BreakerReset::default()
    });
    assert_eq!(Before::account_of(&reset), Some(ACCOUNT));
    world.fold([reset.clone()]);
    let mut before = Before::of(sold);
    before.take(&reset);
    let anew = measured_after(&world, &[], &before);
    assert_eq!(result(&anew.strategies, STRATEGY), stands("-2000", "-2000", 0));
    assert_eq!(result(&anew.sectors, "unknown"), stands("-2000", "-2000", 0));
    assert_eq!(anew.drawdown_e9, 0);
}

#[test]
fn what_changes_hands_is_nobodys_gain_or_loss() {
    let mut world = world();
    moved(&mut world, 54.7);
    let risen = measured(&world, &[]);
    moved(&mut world, 44.7);
    let handed = Body::PositionTransferred(PositionTransferred {
        account: ACCOUNT.to_owned(),
        symbol: SYMBOL.to_owned(),
        from_strategy: STRATEGY.to_owned(),
        to_strategy: "other".to_owned(),
        quantity_e9: shares("400").0,
        cost: amount("19880").to_wire(),
        ..PositionTransferred::default()
    });
    assert_eq!(Before::account_of(&handed), Some(ACCOUNT));
    world.fold([handed.clone()]);
    let mut before = Before::of(risen.clone());
    before.take(&handed);
    let found = measured_after(&world, &[], &before);
    assert_eq!(result(&found.strategies, "other"), stands("-2000", "-2000", 0));
    // It has no result any more, and holds nothing.
    assert!(found.strategies.iter().all(|line| line.name != STRATEGY), "{:?}", found.strategies);
    assert_eq!(result(&found.sectors, "unknown"), stands("-2000", "2000", 39_215_686), "it is where it was");

    // A profile that names another sector takes the result along.
    let found = measured_after(&world, &[(SYMBOL, "Technology")], &Before::of(risen.clone()));
    assert_eq!(result(&found.sectors, "Technology"), stands("-2000", "-2000", 0));
    assert_eq!(result(&found.sectors, "unknown"), stands("0", "0", 0));

    // Shares that were found were not won: the price here is above what they had cost.
    let shares_found = Body::AccountEntry(AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::External.into(),
        strategy: STRATEGY.to_owned(),
        symbol: SYMBOL.to_owned(),
        quantity_e9: shares("100").0,
        amount: amount("4000").to_wire(),
        ..AccountEntry::default()
    });
    world.fold([shares_found.clone()]);
    let mut before = Before::of(risen);
    before.take(&shares_found);
    let found = measured_after(&world, &[], &before);
    assert_eq!(result(&found.strategies, STRATEGY), stands("470", "470", 0));
    assert_eq!(result(&found.sectors, "unknown"), stands("-1530", "-1530", 0));
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
fn limits_of_a_strategy_are_held_against_what_the_strategy_holds() {
    let of = |kind: &str| vec![(STRATEGY.to_owned(), kind.to_owned())];
    let under = |scope: Scope, name: &str, value: &str| {
        let mut world = world();
        world.hold(OTHER, 200);
        world.limit(scope, &[(name, value)]);
        kinds(&world)
    };
    // 0.41 % at risk; the strategy is long in both symbols, which correlate 0.16, the account is not.
    for account in [ACCOUNT, ""] {
        let strategy = || Scope::new(account, STRATEGY, "");
        assert_eq!(under(strategy(), "max_var", "0.0050"), of("max_var"));
        assert_eq!(under(strategy(), "max_var", "0.0052"), []);
        assert_eq!(under(strategy(), "max_correlation", "0.16"), of("max_correlation"));
        assert_eq!(under(strategy(), "max_correlation", "0.17"), []);
    }
    assert_eq!(under(Scope::new(ACCOUNT, "", ""), "max_correlation", "0.16"), []);
    let idle = Scope::new(ACCOUNT, "idle", "");
    assert_eq!(under(idle, "max_var", "0.001"), [], "it holds nothing");
    assert_eq!(under(Scope::new("other", STRATEGY, ""), "max_var", "0.001"), [], "another account");
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
