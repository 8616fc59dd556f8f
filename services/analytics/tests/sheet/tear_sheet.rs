//! The numbers of a sheet belong together.

use analytics::monte_carlo::Settings;
use analytics::sheet::{Counts, RunFacts};
use analytics::warnings::Warning;
use analytics::{Benchmark, Input, TearSheet, view::View};
use domain::calendar::Calendar;
use domain::money::Amount;
use domain::performance::EquityRow;

use crate::run::{Run, date, run};

pub fn sheet_of(run: &Run) -> TearSheet {
    let mut input = Input::new(&run.trades, &run.equity, Calendar::xnys());
    input.facts =
        RunFacts { title: "weekly on SPY".to_owned(), kind: "backtest".to_owned(), ..RunFacts::default() };
    input.benchmark = Some(Benchmark { name: "SPY, bought and held", closes: &run.closes });
    input.counts = Counts { bars: 9, signals: 8, ambiguous_bars: 2, ..Counts::default() };
    input.monte_carlo = Some(Settings::default());
    TearSheet::of(input).unwrap()
}

/// What `returns` compound to.
fn compounded(returns: impl IntoIterator<Item = f64>) -> f64 {
    returns.into_iter().fold(1.0, |value, step| value * (1.0 + step)) - 1.0
}

#[test]
fn months_compound_to_years_and_years_to_the_whole() {
    let sheet = sheet_of(&run(1, "2018-03-05", "2022-08-10"));
    assert_eq!(sheet.years.iter().map(|row| row.year).collect::<Vec<_>>(), [2018, 2019, 2020, 2021, 2022]);
    for row in &sheet.years {
        let months = compounded(row.months.iter().flatten().copied());
        assert!((months - row.total.unwrap()).abs() < 1e-12, "{}: {months}", row.year);
    }
    // As shown, within the promised 0.01 %.
    let shown = |text: &str| text.replace('−', "-").parse::<f64>().unwrap() / 100.0;
    for year in View::of(&sheet).years {
        let months = year.months.iter().filter(|cell| !cell.text.is_empty()).map(|cell| shown(&cell.text));
        assert!((compounded(months) - shown(&year.total.text)).abs() < 1e-4, "{}", year.year);
    }
    assert!(sheet.years[0].months[1].is_none() && sheet.years[0].months[2].is_some(), "began in March");
    let all = compounded(sheet.years.iter().filter_map(|row| row.total));
    assert!((all - sheet.metric("total_return").unwrap()).abs() < 1e-12);
    let benchmark = compounded(sheet.years.iter().filter_map(|row| row.benchmark));
    let (first, last) = (sheet.daily.benchmark[0].unwrap(), sheet.daily.benchmark.last().unwrap().unwrap());
    assert!((benchmark - (last / first - 1.0)).abs() < 1e-9);
}

#[test]
fn columns_have_one_length_and_follow_from_each_other() {
    let made = run(2, "2019-01-02", "2020-12-31");
    let sheet = sheet_of(&made);
    let daily = &sheet.daily;
    let days = daily.dates.len();
    assert_eq!(days, made.closes.len());
    for length in [
        daily.equity.len(),
        daily.returns.len(),
        daily.drawdown.len(),
        daily.exposure.len(),
        daily.benchmark.len(),
        daily.times.len(),
        daily.cash.len(),
        daily.exposure_value.len(),
    ] {
        assert_eq!(length, days);
    }
    assert_eq!(sheet.histogram.as_ref().unwrap().counts.iter().sum::<usize>(), days);
    let rolling = sheet.rolling.as_ref().unwrap();
    assert_eq!((rolling.window, rolling.dates.len()), (126, days - 125));
    assert_eq!((rolling.sharpe.len(), rolling.volatility.len()), (rolling.dates.len(), rolling.dates.len()));
    let deepest = daily.drawdown.iter().flatten().copied().fold(0.0, f64::min);
    assert!((deepest - sheet.metric("max_drawdown").unwrap()).abs() < 1e-15);
    assert!((sheet.drawdowns[0].depth - deepest).abs() < 1e-15);
    assert_eq!(daily.equity.last(), sheet.span.final_equity.as_ref());
    assert_eq!(sheet.trades_total, made.trades.len());
    assert!(daily.exposure.iter().any(|share| share.unwrap() > 0.0));
    // The same money in the same hands: a benchmark of itself has beta one and no alpha.
    let own: Vec<_> =
        daily.dates.iter().copied().zip(daily.equity.iter().map(|v| v.parse().unwrap())).collect();
    let mut input = Input::new(&made.trades, &made.equity, Calendar::xnys());
    input.benchmark = Some(Benchmark { name: "itself", closes: &own });
    let itself = TearSheet::of(input).unwrap();
    assert!((itself.metric("beta").unwrap() - 1.0).abs() < 1e-12);
    assert!(itself.metric("alpha").unwrap().abs() < 1e-12);
    assert_eq!(itself.metric("information_ratio"), None);
}

#[test]
fn json_reads_back_as_the_same_sheet() {
    let sheet = sheet_of(&run(3, "2020-01-02", "2021-12-31"));
    let text = sheet.to_json().unwrap();
    assert_eq!(serde_json::from_str::<TearSheet>(&text).unwrap(), sheet);
    assert_eq!(sheet_of(&run(3, "2020-01-02", "2021-12-31")).to_json().unwrap(), text, "the same twice");
}

#[test]
fn a_benchmark_with_gaps_is_compared_on_the_days_that_both_have() {
    let mut made = run(4, "2020-01-02", "2020-03-31");
    made.closes.retain(|(day, _)| *day != date("2020-02-03") && *day != date("2020-01-02"));
    let sheet = sheet_of(&made);
    let days = sheet.daily.dates.len();
    assert_eq!(
        sheet.benchmark.as_ref().unwrap().days,
        days - 3,
        "two closes lacking, and no close to start from"
    );
    assert_eq!(sheet.daily.benchmark.iter().filter(|value| value.is_none()).count(), 2);
}

#[test]
fn a_run_without_trades_says_why() {
    let none = |counts: Counts| {
        let mut input = Input::new(&[], &[], Calendar::xnys());
        input.counts = counts;
        TearSheet::of(input).unwrap()
    };
    let empty = none(Counts::default());
    assert_eq!(empty.no_trades, ["There were no bars for the symbols, timeframe and dates asked for."]);
    assert!(empty.statistics.values().flatten().all(|value| value.abs() < 1e-15), "{:?}", empty.statistics);
    let silent = none(Counts { bars: 1_000, ..Counts::default() });
    assert_eq!(silent.no_trades, ["The strategy gave no signal on 1000 bars."]);
    let denied = none(Counts {
        bars: 1_000,
        missing_bars: Some(7),
        signals: 12,
        denied: [("buying_power".to_owned(), 12)].into(),
        ..Counts::default()
    });
    assert_eq!(
        denied.no_trades,
        [
            "7 bars that the calendar expects are missing.",
            "12 of 12 signals were denied by the rule buying_power."
        ]
    );
    assert!(sheet_of(&run(5, "2020-01-02", "2020-03-31")).no_trades.is_empty());
}

#[test]
fn a_total_loss_is_measured_as_far_as_it_can_be() {
    let day = |date: &str, value: i128| {
        let close = Calendar::xnys().session(date.parse().unwrap()).unwrap().unwrap().close_ns;
        let equity = Amount(value * 1_000_000_000);
        EquityRow { time_ns: close, equity, cash: equity, exposure: Amount::ZERO }
    };
    let rows = [day("2020-01-02", 100), day("2020-01-03", 50), day("2020-01-06", 0), day("2020-01-07", 0)];
    let sheet = TearSheet::of(Input::new(&[], &rows, Calendar::xnys())).unwrap();
    assert_eq!((sheet.metric("total_return"), sheet.metric("max_drawdown")), (Some(-1.0), Some(-1.0)));
    assert_eq!((sheet.metric("sharpe"), sheet.metric("cagr")), (None, None));
    assert_eq!(sheet.daily.returns, [Some(-0.5), Some(-1.0), None]);
    let counted = |warning: &Warning| warning.text.starts_with("3 daily returns;");
    assert!(sheet.warnings.iter().any(counted), "{:?}", sheet.warnings);
    assert!(sheet.to_html().unwrap().contains("−100.00 %"));
}
