//! What the monitor measures of an account at a mark, and what of it an operator should see.
//!
//! Exposure and drawdown are those of the mark; value at risk is historical (95 %, one bar), of positions as they
//! are, as `empyrical` defines both it and the mean beyond it. A sector is a symbol's profile's to name; that of a symbol
//! whose profile nobody knows is `unknown`, and says so.
//!
//! Deliberately absent: when it measures and what is raised already (the risk service's).

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::{AccountMarked, RiskGroup, RiskMeasured, TradingState};

use super::guard::VAR_TAIL;
use super::measure::held;
use super::scope_usage::scope_usage_at;
use super::{breaker, usage};
use crate::book::history::{RETURNS_MIN, correlation, quantile};
use crate::book::{Book, Prices, Scope};
use crate::calendar::Calendar;
use crate::money::{Amount, E9, Price, Quantity};

/// Bars that the monitor looks at.
const BARS: usize = 100;
/// Share of a limit from which on it is worth an alert, in thousandths.
const ALERT_PER_MILLE: i128 = 800;
/// Sector of a symbol whose profile nobody knows.
const UNKNOWN: &str = "unknown";

/// Sectors by symbol, as profiles name them.
pub type Sectors = BTreeMap<String, String>;

/// Something that an operator should see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Strategy; empty for the account.
    pub strategy: String,
    /// Stable name.
    pub kind: String,
    /// Value and threshold in words.
    pub detail: String,
}

/// Measures the account of `mark`, whose positions are those of `book`, with the returns that `prices` remember.
#[must_use]
pub fn measure(book: &Book, prices: &Prices, mark: &AccountMarked, sectors: &Sectors) -> RiskMeasured {
    let account = mark.account.as_str();
    let row = book.account(account);
    let equity = Amount::from_wire(mark.equity.as_ref());
    let gross = Amount::from_wire(mark.gross_exposure.as_ref());
    let peak = row.map_or(equity, |row| row.peak_with(equity));
    let of_mark: BTreeMap<&str, Price> =
        mark.prices.iter().map(|price| (price.symbol.as_str(), Price(price.price_e9))).collect();
    let held = held(book, account, &Scope::default());
    let value = |symbol: &str, quantity: Quantity| {
        Amount::notional(of_mark.get(symbol).copied().unwrap_or_default(), quantity)
    };
    let mut strategies: BTreeMap<&str, (Amount, Amount)> = BTreeMap::new();
    for position in book.positions_of(account).filter(|position| position.quantity != Quantity::ZERO) {
        let value = value(&position.key.symbol, position.quantity);
        add(strategies.entry(&position.key.strategy).or_default(), value);
    }
    let mut by_sector: BTreeMap<&str, (Amount, Amount)> = BTreeMap::new();
    let mut symbols: BTreeMap<&str, (Amount, Amount)> = BTreeMap::new();
    for (symbol, quantity) in &held {
        let value = value(symbol, *quantity);
        add(symbols.entry(symbol).or_default(), value);
        let sector = sectors.get(*symbol).map_or(UNKNOWN, String::as_str);
        add(by_sector.entry(sector).or_default(), value);
    }
    let (risk, shortfall, bars) = at_risk(&held, prices, &of_mark, equity);
    let pair = most_correlated(&held, prices);
    let fall = Amount(peak.0.saturating_sub(equity.0));
    RiskMeasured {
        account: account.to_owned(),
        equity: mark.equity,
        gross_exposure: mark.gross_exposure,
        net_exposure: mark.net_exposure,
        drawdown_e9: share_e9(fall, peak),
        peak_equity: peak.to_wire(),
        value_at_risk: risk,
        expected_shortfall: shortfall,
        bars,
        correlation: pair.as_ref().map(|(value, ..)| *value),
        correlated_first: pair.as_ref().map(|(_, first, _)| first.clone()).unwrap_or_default(),
        correlated_second: pair.map(|(.., second)| second).unwrap_or_default(),
        strategies: groups(strategies, gross),
        sectors: groups(by_sector, gross),
        symbols: groups(symbols, gross),
    }
}

fn add(sums: &mut (Amount, Amount), value: Amount) {
    sums.0.0 = sums.0.0.saturating_add(value.abs().0);
    sums.1.0 = sums.1.0.saturating_add(value.0);
}

/// Fall from the peak as a share of it; `None` without a peak above zero, of an account that never had any money: the
/// measurement then states 0.
#[must_use]
pub fn drawdown(measured: &RiskMeasured) -> Option<Quantity> {
    let peak = Amount::from_wire(measured.peak_equity.as_ref());
    (peak > Amount::ZERO).then_some(Quantity(measured.drawdown_e9))
}

fn share_e9(part: Amount, whole: Amount) -> i64 {
    if whole.0 <= 0 {
        return 0;
    }
    i64::try_from(part.0.saturating_mul(i128::from(E9)) / whole.0).unwrap_or(i64::MAX)
}

/// Lines, largest first.
fn groups(sums: BTreeMap<&str, (Amount, Amount)>, whole: Amount) -> Vec<RiskGroup> {
    let mut sums: Vec<_> = sums.into_iter().filter(|(_, (gross, _))| *gross != Amount::ZERO).collect();
    sums.sort_by_key(|(_, (gross, _))| std::cmp::Reverse(*gross));
    let group = |(name, (gross, net)): (&str, (Amount, Amount))| RiskGroup {
        name: name.to_owned(),
        gross_exposure: gross.to_wire(),
        net_exposure: net.to_wire(),
        share_e9: share_e9(gross, whole),
    };
    sums.into_iter().map(group).collect()
}

/// Value at risk and the mean beyond it as shares of equity, and the returns they are of.
fn at_risk(
    held: &BTreeMap<&str, Quantity>,
    prices: &Prices,
    of_mark: &BTreeMap<&str, Price>,
    equity: Amount,
) -> (Option<f64>, Option<f64>, u32) {
    let symbols: Vec<&str> = held.keys().copied().collect();
    let returns = prices.history().returns(&symbols, BARS);
    let bars = returns.first().map_or(0, Vec::len);
    let count = u32::try_from(bars).unwrap_or(u32::MAX);
    if bars < RETURNS_MIN || equity <= Amount::ZERO {
        return (None, None, count);
    }
    let mut changes = vec![0.0; bars];
    for (symbol, series) in symbols.iter().zip(&returns) {
        let (price, quantity) = (of_mark.get(symbol), held.get(symbol));
        let value = price.zip(quantity).map_or(0.0, |(price, held)| Amount::notional(*price, *held).to_f64());
        for (sum, change) in changes.iter_mut().zip(series) {
            *sum += value * change / equity.to_f64();
        }
    }
    let risk = quantile(&changes, VAR_TAIL).map(|change| -change);
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
    (risk, Some(shortfall), count)
}

/// The two positions whose returns go most together, as bets: against each other when one of them is short.
fn most_correlated(held: &BTreeMap<&str, Quantity>, prices: &Prices) -> Option<(f64, String, String)> {
    let symbols: Vec<(&str, Quantity)> = held.iter().map(|(symbol, quantity)| (*symbol, *quantity)).collect();
    let mut most: Option<(f64, String, String)> = None;
    for (index, (first, of_first)) in symbols.iter().enumerate() {
        for (second, of_second) in &symbols[index + 1..] {
            let returns = prices.history().returns(&[first, second], BARS);
            let [one, other] = returns.as_slice() else { continue };
            let Some(value) = correlation(one, other).filter(|_| one.len() >= RETURNS_MIN) else { continue };
            let value = if (of_first.0 > 0) == (of_second.0 > 0) { value } else { -value };
            if most.as_ref().is_none_or(|(known, ..)| value > *known) {
                most = Some((value, (*first).to_owned(), (*second).to_owned()));
            }
        }
    }
    most
}

/// What of a measurement is worth an alert: limits used by 80 % or more, breakers that tripped, a margin call. What is held
/// is worth its price of `last`, or where that has none, of the account's last mark; `calendar` is the tape's.
#[must_use]
pub fn findings(book: &Book, measured: &RiskMeasured, calendar: &Calendar, last: Prices) -> Vec<Finding> {
    let account = measured.account.as_str();
    let near = |used: Amount, most: Amount| {
        used > Amount::ZERO && used.0.saturating_mul(1_000) >= most.0.saturating_mul(ALERT_PER_MILLE)
    };
    let mut found = BTreeSet::new();
    for row in usage(book, account).into_iter().filter(|row| near(row.used, row.most)) {
        let of = if row.of.is_empty() { String::new() } else { format!(" by {}", row.of) };
        let detail = format!("{} of {} used{of}", row.used, row.most);
        found.insert(Finding { strategy: String::new(), kind: row.rule.name().to_owned(), detail });
    }
    for row in
        scope_usage_at(book, account, calendar, last).into_iter().filter(|row| near(row.used, row.most))
    {
        let of = if row.of.is_empty() { String::new() } else { format!(" by {}", row.of) };
        let (used, most) = (row.used_text(), row.most_text());
        let kind = match row.scope.symbol.as_str() {
            "" => row.limit.to_owned(),
            symbol => format!("{}/{symbol}", row.limit),
        };
        let detail = format!("{used} of {most} used{of} (limits of {})", row.scope);
        found.insert(Finding { strategy: row.scope.strategy.clone(), kind, detail });
    }
    found.extend(of_limits(book, measured));
    for tally in book.tallies().filter(|tally| tally.account == account) {
        for state in &tally.breakers {
            let kind = format!("breaker_{}", breaker::name(state.kind()));
            let word = if state.state() == TradingState::Halted { "halted" } else { "reduce-only" };
            let detail = format!("{word}: {}", state.reason);
            found.insert(Finding { strategy: tally.strategy.clone(), kind, detail });
        }
    }
    if book.account(account).is_some_and(|row| row.margin_call_ns.is_some()) {
        let detail = "equity is below the maintenance margin".to_owned();
        found.insert(Finding { strategy: String::new(), kind: "margin_call".to_owned(), detail });
    }
    found.into_iter().collect()
}

/// Measured values against limits of the account that no sum uses up: value at risk, correlation, drawdown.
fn of_limits(book: &Book, measured: &RiskMeasured) -> Vec<Finding> {
    let account = measured.account.as_str();
    let mut found = Vec::new();
    let mut say = |kind: &str, detail: String| {
        found.push(Finding { strategy: String::new(), kind: kind.to_owned(), detail });
    };
    let of_account = |set: &&crate::book::LimitSet| {
        let scope = &set.scope;
        let of = scope.account.is_empty() || scope.account == account;
        of && scope.strategy.is_empty() && scope.symbol.is_empty()
    };
    for set in book.limit_sets().filter(of_account) {
        let most = set.limits.max_var_e9.map(|most| Quantity(most).to_f64());
        if let (Some(most), Some(risk)) = (most, measured.value_at_risk)
            && risk >= most * 0.8
        {
            say("max_var", format!("value at risk is {risk:.4} of equity, the limit is {most}"));
        }
        let most = set.limits.max_correlation_e9.map(|most| Quantity(most).to_f64());
        if let (Some(most), Some(value)) = (most, measured.correlation)
            && value >= most
        {
            let (first, second) = (&measured.correlated_first, &measured.correlated_second);
            let detail = format!("{first} and {second} correlate {value:.4}, the limit is {most}");
            say("max_correlation", detail);
        }
        let of_fall = |limit: &&contracts::v1::Breaker| limit.kind() == contracts::v1::BreakerKind::Drawdown;
        if let Some(limit) = set.limits.breakers.iter().find(of_fall)
            && i128::from(measured.drawdown_e9) * 1_000 >= i128::from(limit.most_e9) * ALERT_PER_MILLE
            && measured.drawdown_e9 > 0
        {
            let (fall, most) = (Quantity(measured.drawdown_e9), Quantity(limit.most_e9));
            say("drawdown", format!("equity is {fall} below its peak, the limit is {most}"));
        }
    }
    found
}
