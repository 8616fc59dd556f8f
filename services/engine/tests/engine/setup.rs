//! What the tests run: the configuration that a rehearsal has by default, and generated bars.

use chrono::NaiveDate;
use contracts::v1::{AccountKind, Costs, GroupPolicy, Parameter, RiskLimits, StrategyMode};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::{CorporateAction, Effect};
use domain::money::{Amount, E9, Price, Volume};
use domain::series::{BarSeries, DatedAction, MarketData};
use engine::{Account, Config, StrategyConfig};

/// The account of a rehearsal without a configuration file.
pub fn account() -> Account {
    Account {
        name: "paper".to_owned(),
        cash: money(100_000),
        limits: RiskLimits {
            max_position_fraction_e9: E9 / 4,
            max_exposure_fraction_e9: E9 / 2,
            max_order_value: money(100_000).to_wire(),
            max_daily_loss_fraction_e9: E9 / 20,
            price_collar_fraction_e9: E9 / 20,
            max_price_age_ms: 5_400_000,
            allow_short: false,
        },
        costs: Costs {
            commission_per_share_e9: E9 / 200,
            commission_rate_e9: 0,
            commission_minimum: money(1).to_wire(),
            slippage_rate_e9: E9 / 10_000,
            ..Costs::default()
        },
        kind: AccountKind::Unspecified,
    }
}

pub fn money(units: i64) -> Amount {
    Amount(i128::from(units) * i128::from(E9))
}

pub fn strategy(name: &str, kind: &str, parameters: &[(&str, &str)]) -> StrategyConfig {
    StrategyConfig {
        name: name.to_owned(),
        kind: kind.to_owned(),
        parameters: parameters
            .iter()
            .map(|(name, value)| Parameter { name: (*name).to_owned(), value: (*value).to_owned() })
            .collect(),
        symbols: Vec::new(),
        timeframe: None,
        sizing: domain::sizing::parse("fraction:0.1").expect("a sizing"),
        group_policy: GroupPolicy::Unspecified,
        mode: StrategyMode::Paper,
    }
}

pub fn config(strategies: Vec<StrategyConfig>) -> Config {
    Config {
        account: account(),
        strategies,
        calendar: Calendar::xnys(),
        finalize: false,
        from_ns: None,
        until_ns: None,
        limit_sets: Vec::new(),
        warm_up_more: 0,
        late: false,
    }
}

/// Hourly bars of `symbols` symbols on the exchange calendar, `bars` each: a random walk in whole cents.
pub fn market(symbols: usize, bars: usize, seed: u64) -> MarketData {
    generated(symbols, bars, seed, Timeframe::H1)
}

/// Bars of any length, as many to a session as it holds.
pub fn generated(symbols: usize, bars: usize, seed: u64, timeframe: Timeframe) -> MarketData {
    let calendar = Calendar::xnys();
    let first = NaiveDate::from_ymd_opt(2005, 1, 3).expect("a date");
    let sessions = calendar.sessions(first, calendar.last_date()).expect("known dates");
    let length = timeframe.nanos();
    let intervals = sessions.iter().flat_map(|session| {
        let starts = (0..).map(move |index| session.open_ns + index * length);
        starts.map(move |start| (start, start + length)).take_while(|(_, close)| *close <= session.close_ns)
    });
    let hours: Vec<(i64, i64)> = intervals.take(bars).collect();
    let series = (0..symbols).map(|index| {
        let mut state = seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 40).expect("24 bits") % 101 - 50
        };
        let mut last = 10_000;
        let bars: Vec<Bar> = hours
            .iter()
            .map(|&(start_ns, close_ns)| {
                let open = (last + draw() / 5).max(100);
                let close = (open + draw()).max(100);
                last = close;
                let cents = |cents: i64| Price(cents * (E9 / 100));
                let (low, high) = (open.min(close), open.max(close));
                Bar {
                    start_ns,
                    close_ns,
                    open: cents(open),
                    high: cents(high + 3),
                    low: cents((low - 3).max(1)),
                    close: cents(close),
                    volume: Volume(1_000_000),
                }
            })
            .collect();
        BarSeries::of("generated", &format!("S{index:02}"), timeframe, &bars)
    });
    MarketData { series: series.collect(), actions: Vec::new() }
}

/// Adds a split or a dividend at the opening of the session of `row`.
pub fn act(data: &mut MarketData, series: usize, row: usize, effect: Effect) {
    let calendar = Calendar::xnys();
    let date = calendar.date_of(data.series[series].close_ns.values()[row]);
    let action = CorporateAction { ex_date: date, effect };
    let session = action.effective_session(calendar).expect("a known date");
    let symbol = data.series[series].symbol.clone();
    let event_id = contracts::event_id(&format!("{symbol}/{date}/{effect:?}"), "test", 0);
    data.actions.push(DatedAction { symbol, event_ns: session.open_ns, event_id, action });
    data.actions.sort_by(|left, right| (left.event_ns, &left.symbol).cmp(&(right.event_ns, &right.symbol)));
}
