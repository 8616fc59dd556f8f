//! Circuit breakers: what a mark of an account trips, and what it ends.
//!
//! A breaker is stated with the limits of a scope, trips once and stays until somebody resets it; one of the same kind
//! that halts takes the place of one that lets reducing pass. Only that of the day's loss ends by itself, with the
//! session. Equity counts unrealised profit once: it is the mark's. The events come before the mark that shows the
//! reason, so that a decision of that instant knows them.
//!
//! Deliberately absent: what a tripped breaker stops (`super::guard`); a market that is silent altogether and read
//! models that lag, which no mark shows (the risk service's monitor).

use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, Breaker, BreakerKind, BreakerReset, BreakerState, BreakerTripped, MarkPrice, RiskTally,
    TradingState,
};

use crate::book::{Book, LimitSet};
use crate::calendar::Calendar;
use crate::money::{Amount, E9, Quantity};

/// Fewest closed trades of which a win rate says anything, and fewest answers of a broker.
pub const RATE_MIN: usize = 5;
/// Who ends the breaker of the day's loss.
const ACTOR: &str = "execution";

/// A breaker's name, as people write it.
#[must_use]
pub fn name(kind: BreakerKind) -> &'static str {
    match kind {
        BreakerKind::Unspecified => "stop",
        BreakerKind::DailyLoss => "daily_loss",
        BreakerKind::Drawdown => "drawdown",
        BreakerKind::ConsecutiveLosses => "consecutive_losses",
        BreakerKind::WinRate => "win_rate",
        BreakerKind::BrokerErrors => "broker_errors",
        BreakerKind::StaleData => "stale_data",
        BreakerKind::ProjectionLag => "projection_lag",
    }
}

/// Every kind of breaker.
pub const KINDS: [BreakerKind; 7] = [
    BreakerKind::DailyLoss,
    BreakerKind::Drawdown,
    BreakerKind::ConsecutiveLosses,
    BreakerKind::WinRate,
    BreakerKind::BrokerErrors,
    BreakerKind::StaleData,
    BreakerKind::ProjectionLag,
];

/// The kind that a name stands for.
#[must_use]
pub fn of_name(text: &str) -> Option<BreakerKind> {
    KINDS.into_iter().find(|kind| name(*kind) == text)
}

/// The name of what a stop lets strategies send, as programs read it. One that states nothing lets reducing pass.
#[must_use]
pub fn state_name(state: TradingState) -> &'static str {
    if state == TradingState::Halted { "halted" } else { "reduce_only" }
}

/// The most events that marking an account can add; 0 where no breaker is stated.
#[must_use]
pub fn most(book: &Book, account: &str) -> usize {
    let strategies = book.tallies().filter(|tally| tally.account == account).count();
    let stated = book.breakers_of(account).map(|set| set.limits.breakers.len()).sum::<usize>();
    // One more for the end of a day's loss.
    if stated == 0 { 0 } else { stated * (1 + strategies) + 1 }
}

/// What the mark of an account trips or ends, in order. A breaker that is tripped already adds nothing, but for one that
/// halts where what is tripped lets reducing pass.
#[must_use]
pub fn due(book: &Book, mark: &AccountMarked, calendar: &Calendar, event_ns: i64) -> Vec<Body> {
    let mut bodies = Vec::new();
    if mark.session_start && book.breakers_of(&mark.account).next().is_some() {
        bodies.extend(new_day(book, &mark.account));
    }
    for set in book.breakers_of(&mark.account) {
        for breaker in &set.limits.breakers {
            let kind = breaker.kind();
            let reached = match kind {
                BreakerKind::StaleData => {
                    let found = stale(mark, calendar, event_ns, breaker.most_e9);
                    found.map(|found| (String::new(), found)).into_iter().collect()
                }
                _ => reached(book, mark, set, breaker),
            };
            for (strategy, found) in reached {
                let place = bodies.iter().position(|body| tripped(body, &strategy, kind).is_some());
                let now = place.and_then(|place| tripped(&bodies[place], &strategy, kind));
                let ended = bodies.iter().any(|body| is_reset(body, kind));
                let before = active(book, &mark.account, &strategy, kind).filter(|_| !ended);
                if now.or(before).is_some_and(|standing| !is_stronger(breaker, standing)) {
                    continue;
                }
                // Of two that one mark trips, the stronger alone is said.
                if let Some(place) = place {
                    bodies.remove(place);
                }
                bodies.push(Body::BreakerTripped(found.event(&mark.account, strategy, set, breaker)));
            }
        }
    }
    bodies
}

/// Whether a breaker that is reached stops more than `standing`, in which one of its kind is tripped already.
#[must_use]
pub fn is_stronger(breaker: &Breaker, standing: TradingState) -> bool {
    breaker.halts && standing != TradingState::Halted
}

/// The state in which a breaker of `kind` is tripped; of an account where `strategy` is empty.
#[must_use]
pub fn active(book: &Book, account: &str, strategy: &str, kind: BreakerKind) -> Option<TradingState> {
    let tally = book.tally(account, strategy)?;
    tally.breakers.iter().find(|state| state.kind() == kind).map(BreakerState::state)
}

fn tripped(body: &Body, strategy: &str, kind: BreakerKind) -> Option<TradingState> {
    match body {
        Body::BreakerTripped(event) if event.strategy == strategy && event.kind() == kind => {
            Some(event.state())
        }
        _ => None,
    }
}

fn is_reset(body: &Body, kind: BreakerKind) -> bool {
    matches!(body, Body::BreakerReset(event) if event.kind() == kind)
}

/// The loss of a day counts for that day alone.
fn new_day(book: &Book, account: &str) -> Option<Body> {
    active(book, account, "", BreakerKind::DailyLoss).map(|_| {
        Body::BreakerReset(BreakerReset {
            account: account.to_owned(),
            kind: BreakerKind::DailyLoss.into(),
            actor: ACTOR.to_owned(),
            reason: "a new session".to_owned(),
            ..BreakerReset::default()
        })
    })
}

/// A value that reached its limit.
struct Reached {
    value_e9: i64,
    most_e9: i64,
    reason: String,
}

impl Reached {
    fn event(self, account: &str, strategy: String, set: &LimitSet, breaker: &Breaker) -> BreakerTripped {
        let state = if breaker.halts { TradingState::Halted } else { TradingState::ReduceOnly };
        BreakerTripped {
            account: account.to_owned(),
            strategy,
            kind: breaker.kind,
            state: state.into(),
            value_e9: self.value_e9,
            most_e9: self.most_e9,
            reason: self.reason,
            scope: Some(set.scope.to_wire()),
            limits_version: set.version,
        }
    }
}

/// Where a breaker of a set is reached: the strategy (empty for the account) and the value.
fn reached(book: &Book, mark: &AccountMarked, set: &LimitSet, breaker: &Breaker) -> Vec<(String, Reached)> {
    let account = &mark.account;
    let whole = |found: Option<Reached>| found.map(|found| (String::new(), found)).into_iter().collect();
    let tallies = || {
        let of_account = book.tallies().filter(move |tally| tally.account == *account);
        of_account.filter(|tally| !tally.strategy.is_empty() && set.scope.holds(&tally.strategy, ""))
    };
    let of_strategies = |found: fn(&RiskTally, i64) -> Option<Reached>| -> Vec<_> {
        tallies().filter_map(|tally| Some((tally.strategy.clone(), found(tally, breaker.most_e9)?))).collect()
    };
    match breaker.kind() {
        BreakerKind::DailyLoss => whole(daily_loss(book, mark, breaker.most_e9)),
        BreakerKind::Drawdown => whole(drawdown(book, mark, breaker.most_e9)),
        // Of a scope with a strategy its own row counts, of an account that of the account.
        BreakerKind::ConsecutiveLosses if !set.scope.strategy.is_empty() => of_strategies(losses),
        BreakerKind::ConsecutiveLosses => {
            whole(book.tally(account, "").and_then(|tally| losses(tally, breaker.most_e9)))
        }
        BreakerKind::WinRate => of_strategies(win_rate),
        BreakerKind::BrokerErrors => {
            whole(book.tally(account, "").and_then(|tally| refusals(tally, breaker.most_e9)))
        }
        BreakerKind::StaleData | BreakerKind::ProjectionLag | BreakerKind::Unspecified => Vec::new(),
    }
}

/// `part` of `whole` in 1e-9.
fn share_e9(part: Amount, whole: Amount) -> i64 {
    if whole.0 <= 0 {
        return 0;
    }
    let share = part.0.saturating_mul(i128::from(E9)) / whole.0;
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// A symbol that is held and has had no bar for too long while the session was open.
fn stale(mark: &AccountMarked, calendar: &Calendar, event_ns: i64, most_e9: i64) -> Option<Reached> {
    // The mark of the close is still the session's.
    let session = calendar.session_at(event_ns.saturating_sub(1)).ok().flatten()?;
    let age = |price: &MarkPrice| {
        let made_ns = price.time.as_ref().and_then(contracts::from_timestamp)?;
        Some((event_ns.saturating_sub(made_ns.max(session.open_ns)), price.symbol.clone()))
    };
    let (age_ns, symbol) = mark.prices.iter().filter_map(age).max()?;
    // A nanosecond is a billionth of a second: the unit is the breaker's.
    (age_ns >= most_e9).then(|| Reached {
        value_e9: age_ns,
        most_e9,
        reason: format!("{symbol} had no bar for {} s, the limit is {}", age_ns / E9, Quantity(most_e9)),
    })
}

fn daily_loss(book: &Book, mark: &AccountMarked, most_e9: i64) -> Option<Reached> {
    let row = book.account(&mark.account)?;
    // The mark that begins a session counts from the equity before it.
    let start = if mark.session_start { row.equity_baseline } else { row.day_start_equity };
    let lost = start.checked_sub(Amount::from_wire(mark.equity.as_ref()))?;
    // Of nothing there is no share: an account without money has lost none of it.
    (lost > Amount::ZERO && lost >= start.times_e9(most_e9)?).then(|| Reached {
        value_e9: share_e9(lost, start),
        most_e9,
        reason: format!("lost {lost} of {start} since the session began, the limit is {}", Quantity(most_e9)),
    })
}

fn drawdown(book: &Book, mark: &AccountMarked, most_e9: i64) -> Option<Reached> {
    let row = book.account(&mark.account)?;
    let equity = Amount::from_wire(mark.equity.as_ref());
    let peak = row.peak_with(equity);
    let fall = peak.checked_sub(equity)?;
    (fall > Amount::ZERO && fall >= peak.times_e9(most_e9)?).then(|| Reached {
        value_e9: share_e9(fall, peak),
        most_e9,
        reason: format!(
            "equity {equity} is {fall} below its peak {peak}, the limit is {}",
            Quantity(most_e9)
        ),
    })
}

fn losses(tally: &RiskTally, most_e9: i64) -> Option<Reached> {
    let count = i64::from(tally.consecutive_losses).saturating_mul(E9);
    (count >= most_e9).then(|| Reached {
        value_e9: count,
        most_e9,
        reason: format!(
            "{} closed trades in a row lost, the limit is {}",
            tally.consecutive_losses,
            Quantity(most_e9)
        ),
    })
}

/// The last trades of a strategy: too few winners, and a loss on average.
fn win_rate(tally: &RiskTally, least_e9: i64) -> Option<Reached> {
    let results: Vec<Amount> = tally.recent.iter().map(|result| Amount::from_wire(Some(result))).collect();
    let count = i64::try_from(results.len()).ok()?;
    let winners = i64::try_from(results.iter().filter(|result| **result > Amount::ZERO).count()).ok()?;
    let sum = results.iter().fold(Amount::ZERO, |sum, result| Amount(sum.0.saturating_add(result.0)));
    let rate_e9 = winners.saturating_mul(E9).checked_div(count)?;
    (results.len() >= RATE_MIN && rate_e9 < least_e9 && sum < Amount::ZERO).then(|| Reached {
        value_e9: rate_e9,
        most_e9: least_e9,
        reason: format!(
            "{winners} of the last {count} trades won, with {sum} in all; the least share is {}",
            Quantity(least_e9)
        ),
    })
}

fn refusals(tally: &RiskTally, most_e9: i64) -> Option<Reached> {
    let count = i64::try_from(tally.refusals.len()).ok()?;
    let refused = i64::try_from(tally.refusals.iter().filter(|refused| **refused).count()).ok()?;
    let rate_e9 = refused.saturating_mul(E9).checked_div(count)?;
    (tally.refusals.len() >= RATE_MIN && rate_e9 >= most_e9).then(|| Reached {
        value_e9: rate_e9,
        most_e9,
        reason: format!(
            "the broker refused {refused} of the last {count} requests, the limit is {}",
            Quantity(most_e9)
        ),
    })
}
