//! The trade block against `backtesting`, on its own runs and on made-up trades.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::money::{Amount, Price, Quantity};
use domain::performance::{EquityRow, Trade, TradeSide, TradeStatistics, cagr_calendar};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::reference;

const HOUR: i64 = 3_600_000_000_000;

fn measured(trades: &[Trade], rows: &[EquityRow]) -> BTreeMap<&'static str, Option<f64>> {
    let found = TradeStatistics::of(trades, rows);
    BTreeMap::from([
        ("count", Some(found.count as f64)),
        ("win_rate", found.win_rate),
        ("best", found.best),
        ("worst", found.worst),
        ("average", found.average),
        ("average_win", found.average_win),
        ("average_loss", found.average_loss),
        ("best_pct", found.best_pct),
        ("worst_pct", found.worst_pct),
        ("average_pct", found.average_pct),
        ("profit_factor", found.profit_factor),
        ("profit_factor_pct", found.profit_factor_pct),
        ("expectancy", found.expectancy),
        ("expectancy_pct", found.expectancy_pct),
        ("sqn", found.sqn),
        ("kelly", found.kelly),
        ("exposure_time", found.exposure_time),
        ("longest", found.longest_ns.map(|length| length as f64 / 1e9)),
        ("average_length", found.average_ns.map(|length| length / 1e9)),
    ])
}

/// Compares with a line `stats`; `cagr_calendar` is compared when it is given.
fn check(name: &str, line: &str, mut ours: BTreeMap<&'static str, Option<f64>>, cagr: Option<f64>) {
    if cagr.is_some() {
        ours.insert("cagr_calendar", cagr);
    }
    let mut pairs: BTreeMap<&str, &str> =
        line.split(' ').skip(1).map(|pair| pair.split_once('=').unwrap()).collect();
    for (metric, ours) in ours {
        let theirs = pairs.remove(metric).unwrap_or_else(|| panic!("the reference lacks {metric}"));
        let same = match (ours, theirs) {
            (None, "none") => true,
            (Some(_), "none") | (None, _) => false,
            (Some(ours), theirs) => {
                let theirs: f64 = theirs.parse().unwrap();
                (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0)
            }
        };
        assert!(same, "{name}: {metric} is {ours:?} instead of {theirs}");
    }
}

fn exact(text: &str) -> String {
    format!("{:.9}", text.parse::<f64>().unwrap())
}

fn rows(times: impl IntoIterator<Item = i64>) -> Vec<EquityRow> {
    // A bar's fills come before its row.
    let row = |time_ns| EquityRow {
        time_ns: time_ns + 1,
        equity: Amount(1),
        cash: Amount(1),
        exposure: Amount::ZERO,
    };
    times.into_iter().map(row).collect()
}

fn trade(entry_ns: i64, exit_ns: i64, size: f64, prices: [&str; 2], commission: &str, pnl: &str) -> Trade {
    Trade {
        strategy: "cross".into(),
        symbol: "GOOG".into(),
        side: if size > 0.0 { TradeSide::Long } else { TradeSide::Short },
        quantity: format!("{:.9}", size.abs()).parse::<Quantity>().unwrap(),
        entry_ns,
        entry_price: exact(prices[0]).parse::<Price>().unwrap(),
        exit_ns,
        exit_price: exact(prices[1]).parse::<Price>().unwrap(),
        commission: exact(commission).parse().unwrap(),
        pnl: exact(pnl).parse().unwrap(),
    }
}

#[test]
fn trades_of_its_own_runs_measure_the_same() {
    for (series, kind) in [("GOOG", "long"), ("GOOG", "both"), ("EURUSD", "both")] {
        let output = reference::python("trade_block.py", &["run", series, kind], "");
        let line = |kind: &str| output.lines().find(|line| line.starts_with(kind)).unwrap();
        let times: Vec<i64> = line("rows").split(' ').skip(1).map(|time| time.parse().unwrap()).collect();
        let equity: Vec<f64> = line("equity").split(' ').skip(1).map(|v| v.parse().unwrap()).collect();
        let trades: Vec<Trade> = output
            .lines()
            .filter(|line| line.starts_with("trade"))
            .map(|line| {
                let f: Vec<&str> = line.split(' ').collect();
                let (entry, exit) = (f[1].parse().unwrap(), f[2].parse().unwrap());
                trade(entry, exit, f[3].parse().unwrap(), [f[4], f[5]], f[6], f[7])
            })
            .collect();
        assert!(trades.len() > 40, "{series} {kind}: {} trades", trades.len());
        let days = (times[times.len() - 1] - times[0]) as f64 / (24 * HOUR) as f64;
        let cagr = cagr_calendar(equity[equity.len() - 1] / equity[0], days);
        assert!(cagr.is_some());
        check(&format!("{series} {kind}"), line("stats"), measured(&trades, &rows(times)), cagr);
    }
}

/// Entry and exit row, signed quantity, prices of both, commission.
type Made = (i64, i64, f64, f64, f64, f64);

fn check_made(name: &str, count: i64, made: &[Made]) {
    let mut input = String::new();
    let mut trades = Vec::new();
    for (entry, exit, size, entry_price, exit_price, commission) in made {
        writeln!(input, "{entry} {exit} {size} {entry_price} {exit_price} {commission}").unwrap();
        let pnl = size * (exit_price - entry_price) - commission;
        let prices = [entry_price.to_string(), exit_price.to_string()];
        let prices = prices.each_ref().map(String::as_str);
        let (commission, pnl) = (commission.to_string(), pnl.to_string());
        trades.push(trade(entry * HOUR, exit * HOUR, *size, prices, &commission, &pnl));
    }
    let output = reference::python("trade_block.py", &["measure", &count.to_string()], &input);
    let rows = rows((0..count).map(|row| row * HOUR));
    check(name, output.lines().last().unwrap(), measured(&trades, &rows), None);
}

#[test]
fn made_up_trades_measure_the_same() {
    check_made("one", 20, &[(1, 3, 10.0, 100.0, 110.0, 0.5)]);
    check_made("only wins", 20, &[(0, 3, 10.0, 100.0, 101.0, 1.0), (5, 9, -4.0, 100.0, 90.0, 0.5)]);
    let losses =
        [(0, 3, 10.0, 100.0, 99.0, 1.0), (3, 9, -4.0, 100.0, 105.0, 0.5), (8, 19, 1.0, 5.0, 4.0, 0.0)];
    check_made("only losses", 20, &losses);
    check_made("equal", 20, &[(0, 3, 10.0, 100.0, 101.0, 0.0), (4, 5, 10.0, 100.0, 101.0, 0.0)]);
    check_made("nothing won or lost", 20, &[(0, 3, 10.0, 100.0, 100.0, 0.0)]);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut made = Vec::new();
    for _ in 0..500 {
        let entry = random.random_range(0..900);
        let exit = entry + random.random_range(0..90);
        let size = f64::from(random.random_range(1..500)) * if random.random_bool(0.5) { 1.0 } else { -1.0 };
        let cents =
            |low: i32, high: i32, random: &mut ChaCha8Rng| f64::from(random.random_range(low..high)) / 100.0;
        let entry_price = cents(12_000, 20_000, &mut random);
        let exit_price = cents(8_000, 22_000, &mut random);
        made.push((entry, exit, size, entry_price, exit_price, cents(0, 500, &mut random)));
    }
    check_made("random", 1_000, &made);
}

#[test]
fn a_short_that_lost_more_than_everything_has_no_geometric_mean() {
    // The package says zero there, which would read as a result.
    let lost = trade(0, HOUR, -10.0, ["100", "250"], "0", "-1500");
    let found = TradeStatistics::of(&[lost], &rows([0, HOUR]));
    assert_eq!((found.average_pct, found.worst_pct), (None, Some(-1.5)));
}

#[test]
fn trades_that_all_bring_the_same_have_no_quality_number() {
    // The mean of equal floats may round: the deviation from it is no movement.
    for (count, pnl) in (2..40).flat_map(|count| [(count, "1000.1"), (count, "-0.7"), (count, "123456.789")])
    {
        let alike = vec![trade(0, HOUR, 10.0, ["100", "101"], "0", pnl); count];
        let found = TradeStatistics::of(&alike, &rows([0, HOUR]));
        assert_eq!((found.count, found.sqn), (count, None), "{count} times {pnl}");
    }
}

#[test]
fn nothing_is_measured_of_no_trades() {
    let found = TradeStatistics::of(&[], &rows([0, 1, 2]));
    assert_eq!(found, TradeStatistics { exposure_time: Some(0.0), ..TradeStatistics::default() });
    assert_eq!(TradeStatistics::of(&[], &[]), TradeStatistics::default());
}
