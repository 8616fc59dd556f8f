//! A made-up run: an account that trades one symbol on XNYS, once a week, for some years.

use chrono::NaiveDate;
use domain::calendar::Calendar;
use domain::money::{Amount, E9, Price, Quantity};
use domain::performance::{EquityRow, Trade, TradeSide};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub struct Run {
    pub equity: Vec<EquityRow>,
    pub trades: Vec<Trade>,
    pub closes: Vec<(NaiveDate, f64)>,
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn cents(value: i64) -> Amount {
    Amount(i128::from(value) * 10_000_000)
}

/// Hourly rows from `from` to `to`. A hundred shares are held from the first hour of every other week to its
/// last; each holding is a trade. Prices move by whole cents.
pub fn run(seed: u64, from: &str, to: &str) -> Run {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let sessions = Calendar::xnys().sessions(date(from), date(to)).unwrap();
    let (mut price, mut cash) = (10_000_i64, 10_000_000_i64);
    let mut made = Run { equity: Vec::new(), trades: Vec::new(), closes: Vec::new() };
    let mut open: Option<(i64, i64)> = None;
    for (day, session) in sessions.iter().enumerate() {
        for hour in 1..=6 {
            let time_ns = session.open_ns + (session.close_ns - session.open_ns) / 6 * hour;
            let time_ns = if hour == 6 { session.close_ns } else { time_ns };
            price = (price + random.random_range(-60..=62)).max(100);
            if day % 10 == 0 && hour == 1 && open.is_none() {
                cash -= 100 * price + 100;
                open = Some((time_ns - 1, price));
            }
            if day % 10 == 4
                && hour == 6
                && let Some((entry_ns, entry)) = open.take()
            {
                cash += 100 * price - 100;
                made.trades.push(Trade {
                    strategy: "weekly".into(),
                    symbol: "SPY".into(),
                    side: TradeSide::Long,
                    quantity: Quantity(100 * E9),
                    entry_ns,
                    entry_price: Price(entry * E9 / 100),
                    exit_ns: time_ns - 1,
                    exit_price: Price(price * E9 / 100),
                    commission: cents(200),
                    pnl: cents(100 * (price - entry) - 200),
                });
            }
            let exposure = if open.is_some() { 100 * price } else { 0 };
            made.equity.push(EquityRow {
                time_ns,
                equity: cents(cash + exposure),
                cash: cents(cash),
                exposure: cents(exposure),
            });
        }
        made.closes.push((session.date, price as f64 / 100.0));
    }
    made
}
