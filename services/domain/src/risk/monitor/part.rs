//! What is measured alike of an account, of its strategies and of its sectors: each is a part of what the account holds.
//!
//! Value at risk is historical (95 %, one bar), of positions as they are, as `empyrical` defines both it and the mean beyond
//! it, on returns at times that all symbols of the part have. Bars that closed behind the prices of the mark do not count: the
//! account was not valued at them. A symbol's returns are prepared once for all correlations; that of two symbols whose bars
//! are not of the same times is reckoned once, however many parts hold both.

use std::collections::BTreeMap;

use contracts::from_timestamp;
use contracts::v1::{AccountMarked, RiskGroup};

use super::share_e9;
use crate::book::history::{Centred, History, RETURNS_MIN, correlation, quantile};
use crate::book::{AccountState, Book, PositionState, Prices};
use crate::money::{Amount, Price, Quantity};
use crate::risk::guard::VAR_TAIL;

/// Bars that the monitor looks at.
const BARS: usize = 100;

/// Positions, netted by symbol, and what they brought so far.
#[derive(Debug, Default)]
pub(super) struct Part<'of> {
    held: BTreeMap<&'of str, Quantity>,
    pub result: Amount,
}

impl<'of> Part<'of> {
    /// Adds a position that has brought `result`.
    pub fn add(&mut self, position: &'of PositionState, result: Amount) {
        if position.quantity != Quantity::ZERO {
            let sum = self.held.entry(position.key.symbol.as_str()).or_default();
            sum.0 = sum.0.saturating_add(position.quantity.0);
        }
        self.result.0 = self.result.0.saturating_add(result.0);
    }
}

/// What is found of a part; shares are of the account's equity.
#[derive(Debug, Default)]
pub(super) struct Figures<'of> {
    /// Signed values of what is held, by symbol.
    pub values: BTreeMap<&'of str, Amount>,
    pub gross: Amount,
    pub net: Amount,
    pub value_at_risk: Option<f64>,
    pub expected_shortfall: Option<f64>,
    /// Returns that both are of.
    pub bars: u32,
    /// The largest correlation, and of which two symbols.
    pub correlation: Option<(f64, &'of str, &'of str)>,
    /// The largest position: its share in 1e-9, and its symbol.
    pub largest: Option<(i64, &'of str)>,
}

impl Figures<'_> {
    /// The largest correlation and its two symbols, as an event states them.
    pub fn pair(&self) -> (Option<f64>, String, String) {
        match self.correlation {
            Some((value, first, second)) => (Some(value), first.to_owned(), second.to_owned()),
            None => (None, String::new(), String::new()),
        }
    }

    /// The share of the largest position and its symbol, as an event states them.
    pub fn concentration(&self) -> (i64, String) {
        self.largest.map(|(share_e9, symbol)| (share_e9, symbol.to_owned())).unwrap_or_default()
    }
}

/// What the parts of an account are measured with.
pub(super) struct Gauge<'of> {
    prices: &'of Prices,
    row: Option<&'of AccountState>,
    of_mark: BTreeMap<&'of str, Price>,
    equity: Amount,
    gross: Amount,
    peak_equity: Amount,
    /// When the newest price of the mark was made.
    through_ns: i64,
    series: BTreeMap<&'of str, Series>,
    /// By pair of symbols whose bars are not of the same times; none of two that cannot be compared.
    correlations: BTreeMap<(&'of str, &'of str), Option<f64>>,
}

/// The last returns of a symbol, and the times of the closes that they are of.
struct Series {
    closes_ns: Vec<i64>,
    returns: Centred,
}

impl Series {
    fn of(history: &History, symbol: &str, through_ns: i64) -> Self {
        let closed = history.of(symbol).rev().map(|bar| bar.close_ns).skip_while(|at| *at > through_ns);
        let closes_ns = closed.take(BARS + 1).collect();
        let returns = history.returns_through(&[symbol], BARS, through_ns).pop().unwrap_or_default();
        Self { closes_ns, returns: Centred::of(&returns) }
    }
}

impl<'of> Gauge<'of> {
    pub fn new(book: &'of Book, prices: &'of Prices, mark: &'of AccountMarked) -> Self {
        let row = book.account(&mark.account);
        let equity = Amount::from_wire(mark.equity.as_ref());
        let times = mark.prices.iter().filter_map(|of| of.time.as_ref().and_then(from_timestamp));
        Self {
            prices,
            row,
            of_mark: mark.prices.iter().map(|of| (of.symbol.as_str(), Price(of.price_e9))).collect(),
            equity,
            gross: Amount::from_wire(mark.gross_exposure.as_ref()),
            peak_equity: row.map_or(equity, |row| row.peak_with(equity)),
            // A mark without prices is one of an account that holds nothing over all strategies.
            through_ns: times.max().unwrap_or(i64::MAX),
            series: BTreeMap::new(),
            correlations: BTreeMap::new(),
        }
    }

    /// The account's highest equity, and by how much it is below it.
    pub fn fall(&self) -> (Amount, Amount) {
        (self.peak_equity, Amount(self.peak_equity.0.saturating_sub(self.equity.0)))
    }

    /// The price of the mark. It has none of what several strategies hold against each other: that is the last one.
    fn price(&self, symbol: &str) -> Option<Price> {
        let of_mark = self.of_mark.get(symbol).copied();
        of_mark.or_else(|| self.prices.of_holding(self.row, symbol))
    }

    /// What a position brought so far, with what it is worth beyond its cost; without a price that is nothing.
    pub fn result(&self, position: &PositionState) -> Amount {
        let open = || {
            let quantity = position.total_quantity().filter(|quantity| *quantity != Quantity::ZERO)?;
            let value = Amount::notional(self.price(&position.key.symbol)?, quantity);
            value.checked_sub(position.cost_basis()?)
        };
        Amount(position.net_result().0.saturating_add(open().unwrap_or_default().0))
    }

    /// Measures a part.
    pub fn figures(&mut self, part: &Part<'of>) -> Figures<'of> {
        let mut found = Figures::default();
        for (symbol, quantity) in part.held.iter().filter(|(_, quantity)| **quantity != Quantity::ZERO) {
            let value = Amount::notional(self.price(symbol).unwrap_or_default(), *quantity);
            found.gross.0 = found.gross.0.saturating_add(value.abs().0);
            found.net.0 = found.net.0.saturating_add(value.0);
            found.values.insert(*symbol, value);
        }
        let largest = found.values.iter().max_by_key(|(_, value)| value.abs());
        found.largest = largest.map(|(symbol, value)| (share_e9(value.abs(), self.equity), *symbol));
        self.at_risk(&mut found);
        found.correlation = self.most_correlated(part);
        found
    }

    /// The line of a strategy or a sector whose result was never above `peak`.
    pub fn line(&mut self, name: &str, part: &Part<'of>, peak: Amount) -> RiskGroup {
        let found = self.figures(part);
        let fall = Amount(peak.0.saturating_sub(part.result.0));
        let (correlation, correlated_first, correlated_second) = found.pair();
        let (concentration_e9, concentrated) = found.concentration();
        RiskGroup {
            name: name.to_owned(),
            gross_exposure: found.gross.to_wire(),
            net_exposure: found.net.to_wire(),
            share_e9: share_e9(found.gross, self.gross),
            pnl: part.result.to_wire(),
            peak_pnl: peak.to_wire(),
            drawdown_e9: (self.peak_equity > Amount::ZERO).then(|| share_e9(fall, self.peak_equity)),
            value_at_risk: found.value_at_risk,
            expected_shortfall: found.expected_shortfall,
            bars: found.bars,
            correlation,
            correlated_first,
            correlated_second,
            concentration_e9,
            concentrated,
            sector: String::new(),
        }
    }

    /// Value at risk and the mean beyond it, and the returns they are of.
    fn at_risk(&self, found: &mut Figures<'of>) {
        let symbols: Vec<&str> = found.values.keys().copied().collect();
        let returns = self.prices.history().returns_through(&symbols, BARS, self.through_ns);
        let bars = returns.first().map_or(0, Vec::len);
        found.bars = u32::try_from(bars).unwrap_or(u32::MAX);
        if bars < RETURNS_MIN || self.equity <= Amount::ZERO {
            return;
        }
        let mut changes = vec![0.0; bars];
        for (value, series) in found.values.values().zip(&returns) {
            for (sum, change) in changes.iter_mut().zip(series) {
                *sum += value.to_f64() * change / self.equity.to_f64();
            }
        }
        found.value_at_risk = quantile(&changes, VAR_TAIL).map(|change| -change);
        changes.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a hundred values at most"
        )]
        let worst = ((changes.len() - 1) as f64 * VAR_TAIL) as usize + 1;
        #[expect(clippy::cast_precision_loss, reason = "a hundred values at most")]
        let shortfall = -changes[..worst].iter().sum::<f64>() / worst as f64;
        found.expected_shortfall = Some(shortfall);
    }

    /// The two positions whose returns go most together, as bets: against each other when one of them is short.
    fn most_correlated(&mut self, part: &Part<'of>) -> Option<(f64, &'of str, &'of str)> {
        let Self { prices, through_ns, series, correlations, .. } = self;
        let (history, through_ns) = (prices.history(), *through_ns);
        let held = || part.held.iter().filter(|(_, quantity)| **quantity != Quantity::ZERO);
        for (symbol, _) in held() {
            series.entry(*symbol).or_insert_with(|| Series::of(history, symbol, through_ns));
        }
        let bet = |(symbol, quantity): (&&'of str, &Quantity)| {
            let known = series.get(*symbol).filter(|series| series.closes_ns.len() > RETURNS_MIN)?;
            Some((*symbol, *quantity > Quantity::ZERO, known))
        };
        let bets: Vec<(&'of str, bool, &Series)> = held().filter_map(bet).collect();
        let mut most: Option<(f64, &'of str, &'of str)> = None;
        for (index, (first, first_is_long, one)) in bets.iter().copied().enumerate() {
            for (second, second_is_long, other) in bets[index + 1..].iter().copied() {
                let value = if one.closes_ns == other.closes_ns {
                    one.returns.correlation(&other.returns)
                } else {
                    let apart = || of_common_times(history, first, second, through_ns);
                    *correlations.entry((first, second)).or_insert_with(apart)
                };
                let Some(value) = value else { continue };
                let value = if first_is_long == second_is_long { value } else { -value };
                if most.is_none_or(|(known, ..)| value > known) {
                    most = Some((value, first, second));
                }
            }
        }
        most
    }
}

/// The correlation of two symbols over the times that both have.
fn of_common_times(history: &History, first: &str, second: &str, through_ns: i64) -> Option<f64> {
    let returns = history.returns_through(&[first, second], BARS, through_ns);
    let [one, other] = returns.as_slice() else { return None };
    correlation(one, other).filter(|_| one.len() >= RETURNS_MIN)
}
