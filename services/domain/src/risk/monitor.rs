//! What the monitor measures of an account at a mark, of its strategies and of its sectors, and what of it an operator
//! should see.
//!
//! Exposure and drawdown of the account are those of the mark. A strategy and a sector have no equity of their own: theirs is
//! the fall of what they brought so far from the highest of it in any measurement, as a share of the account's peak equity.
//! A sector is a symbol's profile's to name; that of a symbol whose profile nobody knows is `unknown`, and says so.
//!
//! Deliberately absent: when it measures and what is raised already (the risk service's).

mod before;
mod part;

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::{AccountMarked, RiskGroup, RiskMeasured, TradingState};

use before::Peaks;
use part::{Figures, Gauge, Part};

use super::scope_usage::scope_usage_at;
use super::{breaker, usage};
use crate::book::{Book, LimitSet, Prices};
use crate::calendar::Calendar;
use crate::money::{Amount, E9, Quantity};

pub use before::Before;

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

/// Measures the account of `mark`, whose positions are those of `book`, with the returns that `prices` remember and the peaks
/// of `before`. Whatever strategies and sectors there are, positions are gone through once; for each of them that holds
/// something the bars of its symbols once, and the pairs of these.
#[must_use]
pub fn measure(
    book: &Book,
    prices: &Prices,
    mark: &AccountMarked,
    sectors: &Sectors,
    before: &Before,
) -> RiskMeasured {
    let account = mark.account.as_str();
    let mut gauge = Gauge::new(book, prices, mark);
    let mut whole = Part::default();
    let mut strategies: BTreeMap<&str, Part<'_>> = BTreeMap::new();
    let mut by_sector: BTreeMap<&str, Part<'_>> = BTreeMap::new();
    for position in book.positions_of(account) {
        let result = gauge.result(position);
        let sector = sector_of(sectors, &position.key.symbol);
        whole.add(position, result);
        strategies.entry(&position.key.strategy).or_default().add(position, result);
        by_sector.entry(sector).or_default().add(position, result);
    }
    let found = gauge.figures(&whole);
    let (peak, fall) = gauge.fall();
    let (correlation, correlated_first, correlated_second) = found.pair();
    let (concentration_e9, concentrated) = found.concentration();
    RiskMeasured {
        account: account.to_owned(),
        equity: mark.equity,
        gross_exposure: mark.gross_exposure,
        net_exposure: mark.net_exposure,
        drawdown_e9: share_e9(fall, peak),
        peak_equity: peak.to_wire(),
        value_at_risk: found.value_at_risk,
        expected_shortfall: found.expected_shortfall,
        bars: found.bars,
        correlation,
        correlated_first,
        correlated_second,
        strategies: lines(&mut gauge, &strategies, &before.strategies()),
        sectors: lines(&mut gauge, &by_sector, &before.sectors(sectors)),
        symbols: symbols(&found, sectors, Amount::from_wire(mark.gross_exposure.as_ref())),
        concentration_e9,
        concentrated,
    }
}

fn sector_of<'of>(sectors: &'of Sectors, symbol: &str) -> &'of str {
    sectors.get(symbol).map_or(UNKNOWN, String::as_str)
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

/// A line for each part that holds something or has a result, or had one; the one that holds most first.
fn lines<'of>(
    gauge: &mut Gauge<'of>,
    parts: &BTreeMap<&'of str, Part<'of>>,
    peaks: &Peaks<'_>,
) -> Vec<RiskGroup> {
    let mut lines = Vec::new();
    for (name, part) in parts {
        let line = gauge.line(name, part, peaks.of(name, part.result));
        let stated = [&line.gross_exposure, &line.pnl, &line.peak_pnl];
        if stated.into_iter().any(|amount| Amount::from_wire(amount.as_ref()) != Amount::ZERO) {
            lines.push(line);
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(Amount::from_wire(line.gross_exposure.as_ref())));
    lines
}

/// A line for each symbol of which something is held, largest first.
fn symbols(found: &Figures<'_>, sectors: &Sectors, whole: Amount) -> Vec<RiskGroup> {
    let mut values: Vec<_> = found.values.iter().filter(|(_, value)| **value != Amount::ZERO).collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.abs()));
    let line = |(symbol, value): (&&str, &Amount)| RiskGroup {
        name: (*symbol).to_owned(),
        gross_exposure: value.abs().to_wire(),
        net_exposure: value.to_wire(),
        share_e9: share_e9(value.abs(), whole),
        sector: sector_of(sectors, symbol).to_owned(),
        ..RiskGroup::default()
    };
    values.into_iter().map(line).collect()
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

/// What a scope without a symbol stands at: the account, or one of its strategies.
struct Standing<'of> {
    value_at_risk: Option<f64>,
    correlation: Option<f64>,
    pair: (&'of str, &'of str),
}

impl<'of> Standing<'of> {
    /// `None` of a strategy that never held anything.
    fn of(measured: &'of RiskMeasured, strategy: &str) -> Option<Self> {
        if strategy.is_empty() {
            let pair = (measured.correlated_first.as_str(), measured.correlated_second.as_str());
            let (value_at_risk, correlation) = (measured.value_at_risk, measured.correlation);
            return Some(Self { value_at_risk, correlation, pair });
        }
        let line = measured.strategies.iter().find(|line| line.name == strategy)?;
        let pair = (line.correlated_first.as_str(), line.correlated_second.as_str());
        Some(Self { value_at_risk: line.value_at_risk, correlation: line.correlation, pair })
    }
}

/// Measured values against limits that no sum uses up: value at risk, correlation, drawdown. Those of a strategy are held
/// against what the strategy itself holds.
fn of_limits(book: &Book, measured: &RiskMeasured) -> Vec<Finding> {
    let account = measured.account.as_str();
    let is_measured = |set: &&LimitSet| {
        (set.scope.account.is_empty() || set.scope.account == account) && set.scope.symbol.is_empty()
    };
    let mut found = Vec::new();
    for set in book.limit_sets().filter(is_measured) {
        let strategy = set.scope.strategy.as_str();
        let Some(standing) = Standing::of(measured, strategy) else { continue };
        let mut say = |kind: &str, detail: String| {
            found.push(Finding { strategy: strategy.to_owned(), kind: kind.to_owned(), detail });
        };
        let most = set.limits.max_var_e9.map(|most| Quantity(most).to_f64());
        if let (Some(most), Some(risk)) = (most, standing.value_at_risk)
            && risk >= most * 0.8
        {
            say("max_var", format!("value at risk is {risk:.4} of equity, the limit is {most}"));
        }
        let most = set.limits.max_correlation_e9.map(|most| Quantity(most).to_f64());
        if let (Some(most), Some(value)) = (most, standing.correlation)
            && value >= most
        {
            let (first, second) = standing.pair;
            let detail = format!("{first} and {second} correlate {value:.4}, the limit is {most}");
            say("max_correlation", detail);
        }
        // The breaker is of an account: none of a strategy can be stated.
        let of_fall = |limit: &&contracts::v1::Breaker| limit.kind() == contracts::v1::BreakerKind::Drawdown;
        if let Some(limit) = set.limits.breakers.iter().find(of_fall).filter(|_| strategy.is_empty())
            && i128::from(measured.drawdown_e9) * 1_000 >= i128::from(limit.most_e9) * ALERT_PER_MILLE
            && measured.drawdown_e9 > 0
        {
            let (fall, most) = (Quantity(measured.drawdown_e9), Quantity(limit.most_e9));
            say("drawdown", format!("equity is {fall} below its peak, the limit is {most}"));
        }
    }
    found
}
