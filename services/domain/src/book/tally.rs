//! What is remembered of an account and of each strategy on it, for breakers, stops and sizing: closed trades,
//! the broker's refusals, breakers that tripped, kill switches.
//!
//! A trade begins when a position leaves zero and closes when it is back or turns; its result is what the
//! position realised, fees paid and dividends included.
//!
//! What stops a scope is the strictest of what was said of it and not resumed, with its own author, reason and time: one
//! that lets more pass changes nothing. Deliberately absent: what follows from any of it.

use contracts::to_timestamp;
use contracts::v1::{
    BreakerKind, BreakerReset, BreakerState, BreakerTripped, Money, OpenTrade, RiskTally, TradingHalted,
    TradingKilled, TradingResumed, TradingState,
};

use super::{Book, Changes, Halt, PositionState, kill_state};
use crate::money::{Amount, Quantity};

/// Closed trades of which a strategy's win rate is measured.
pub const RECENT_TRADES: usize = 10;
/// Answers of the broker of which the share of refusals is measured.
pub const RECENT_ANSWERS: usize = 20;

/// A kill switch in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Kill {
    /// Event that pulled it.
    pub id: String,
    /// What was asked.
    pub ask: TradingKilled,
    /// Event time, UTC nanoseconds.
    pub since_ns: i64,
}

impl Kill {
    /// Whether what a strategy has on an account is meant.
    #[must_use]
    pub fn covers(&self, account: &str, strategy: &str) -> bool {
        covers(&self.ask.account, &self.ask.strategy, account, strategy)
    }
}

fn covers(of_account: &str, of_strategy: &str, account: &str, strategy: &str) -> bool {
    (of_account.is_empty() || of_account == account) && (of_strategy.is_empty() || of_strategy == strategy)
}

impl Book {
    /// What is remembered of a strategy on an account; of the account itself under the empty name.
    #[must_use]
    pub fn tally(&self, account: &str, strategy: &str) -> Option<&RiskTally> {
        self.tallies.get(&(account.to_owned(), strategy.to_owned()))
    }

    /// Everything that is remembered, by account and strategy.
    pub fn tallies(&self) -> impl Iterator<Item = &RiskTally> {
        self.tallies.values()
    }

    /// The kill switches in force, by account and strategy.
    pub fn kills(&self) -> impl Iterator<Item = Kill> {
        self.tallies.values().filter_map(|tally| {
            let since_ns = tally.killed_at.as_ref().and_then(contracts::from_timestamp).unwrap_or_default();
            Some(Kill { id: tally.kill_id.clone(), ask: tally.kill.clone()?, since_ns })
        })
    }

    /// A strategy's own stops that hold on `account`.
    pub fn strategy_halts<'book>(
        &'book self,
        account: &'book str,
        strategy: &'book str,
    ) -> impl Iterator<Item = (&'book TradingHalted, i64)> {
        let stopped = self.tallies.values().filter_map(|tally| {
            let since = tally.halted_since.as_ref().and_then(contracts::from_timestamp);
            Some((tally.halt.as_ref()?, since.unwrap_or_default()))
        });
        stopped.filter(move |(halt, _)| covers(&halt.account, &halt.strategy, account, strategy))
    }

    /// Breakers in force for what `strategy` does on `account`.
    pub fn tripped<'book>(
        &'book self,
        account: &'book str,
        strategy: &'book str,
    ) -> impl Iterator<Item = &'book BreakerState> {
        let of = move |name| self.tally(account, name).into_iter().flat_map(|tally| &tally.breakers);
        of("").chain(of(strategy).filter(move |_| !strategy.is_empty()))
    }

    /// Whether a breaker of exactly this scope is in force: one of `kind`, or any where it is unspecified.
    #[must_use]
    pub fn has_tripped(&self, account: &str, strategy: &str, kind: BreakerKind) -> bool {
        let is = |state: &BreakerState| kind == BreakerKind::Unspecified || state.kind() == kind;
        self.tally(account, strategy).is_some_and(|tally| tally.breakers.iter().any(is))
    }

    /// Whether an order of a strategy may not be sent: one that opens while anything is stopped, any while it is
    /// halted. THE place where stops and breakers are read but for the decision itself, which records them.
    #[must_use]
    pub fn is_stopped(&self, account: &str, strategy: &str, reducing: bool) -> bool {
        let stops = |state: TradingState| !reducing || state == TradingState::Halted;
        self.halts_of(account).any(|halt| stops(halt.state))
            || self.strategy_halts(account, strategy).any(|(halt, _)| stops(halt.state()))
            || self.tripped(account, strategy).any(|breaker| stops(breaker.state()))
    }

    fn tally_row(&self, account: &str, strategy: &str) -> RiskTally {
        self.tally(account, strategy).cloned().unwrap_or_else(|| RiskTally {
            account: account.to_owned(),
            strategy: strategy.to_owned(),
            ..RiskTally::default()
        })
    }

    fn store_tally(&mut self, tally: RiskTally, changes: &mut Changes) {
        let key = (tally.account.clone(), tally.strategy.clone());
        changes.tallies.push(key.clone());
        self.tallies.insert(key, tally);
    }

    /// Takes what a fill did to a position.
    pub(super) fn tally_trade(
        &mut self,
        before: &PositionState,
        after: &PositionState,
        changes: &mut Changes,
    ) {
        let began = before.quantity == Quantity::ZERO && after.quantity != Quantity::ZERO;
        let turned = before.quantity.0.signum() * after.quantity.0.signum() < 0;
        let closed = turned || (before.quantity != Quantity::ZERO && after.quantity == Quantity::ZERO);
        if !began && !closed {
            return;
        }
        let key = &after.key;
        let mut tally = self.tally_row(&key.account, &key.strategy);
        let at = tally.open.iter().position(|open| open.symbol == key.symbol);
        let base = at.map(|at| tally.open.remove(at));
        if closed {
            let base = Amount::from_wire(base.as_ref().and_then(|open| open.base.as_ref()));
            let result = Amount(after.net_result().0.saturating_sub(base.0));
            close(&mut tally, result);
            let mut account = self.tally_row(&key.account, "");
            account.consecutive_losses =
                if result < Amount::ZERO { account.consecutive_losses.saturating_add(1) } else { 0 };
            self.store_tally(account, changes);
        }
        if began || turned {
            let base = if began { before.net_result() } else { after.net_result() };
            tally.open.push(OpenTrade { symbol: key.symbol.clone(), base: base.to_wire() });
        }
        self.store_tally(tally, changes);
    }

    /// Takes an answer of the broker on an order of `account`, where a breaker counts them.
    pub(super) fn tally_answer(&mut self, account: &str, refused: bool, changes: &mut Changes) {
        if !self.has_breaker(account, BreakerKind::BrokerErrors) {
            return;
        }
        let mut tally = self.tally_row(account, "");
        tally.refusals.push(refused);
        let more = tally.refusals.len().saturating_sub(RECENT_ANSWERS);
        tally.refusals.drain(..more);
        self.store_tally(tally, changes);
    }

    pub(super) fn breaker_tripped(&mut self, event: &BreakerTripped, event_ns: i64) -> Changes {
        let mut changes = Changes::default();
        let mut tally = self.tally_row(&event.account, &event.strategy);
        let halts = event.state() == TradingState::Halted;
        // It trips once; but one that halts takes the place of one that lets reducing pass.
        let stands = |known: &BreakerState| !halts || known.state() == TradingState::Halted;
        if tally.breakers.iter().any(|known| known.kind == event.kind && stands(known)) {
            return changes;
        }
        tally.breakers.retain(|known| known.kind != event.kind);
        tally.breakers.push(BreakerState {
            strategy: event.strategy.clone(),
            kind: event.kind,
            state: event.state,
            since: Some(to_timestamp(event_ns)),
            reason: event.reason.clone(),
        });
        self.store_tally(tally, &mut changes);
        changes
    }

    /// Ends breakers and measures anew from here: THE place where a peak goes down.
    pub(super) fn breaker_reset(&mut self, event: &BreakerReset) -> Changes {
        let mut changes = Changes::default();
        let all = event.kind() == BreakerKind::Unspecified;
        let ends = |kind: BreakerKind| all || event.kind() == kind;
        let mut tally = self.tally_row(&event.account, &event.strategy);
        tally.breakers.retain(|state| !ends(state.kind()));
        if ends(BreakerKind::ConsecutiveLosses) {
            tally.consecutive_losses = 0;
        }
        if ends(BreakerKind::WinRate) {
            tally.recent.clear();
        }
        if ends(BreakerKind::BrokerErrors) {
            tally.refusals.clear();
        }
        self.store_tally(tally, &mut changes);
        if ends(BreakerKind::Drawdown) && event.strategy.is_empty() {
            let mut account = self.account_row(&event.account);
            account.peak_equity = account.mark.as_ref().map(|mark| mark.equity);
            changes.accounts.extend(self.store_account(account).accounts);
        }
        changes
    }

    /// Stops an account, or all of them.
    pub(super) fn halted(&mut self, account: &str, halt: Halt) -> Changes {
        if self.is_outlasted(account, "", halt.state) {
            return Changes::default();
        }
        self.set_halt(account, Some(halt))
    }

    /// Stops a strategy on an account, or on all.
    pub(super) fn strategy_halted(&mut self, halt: &TradingHalted, event_ns: i64) -> Changes {
        let mut changes = Changes::default();
        if self.is_outlasted(&halt.account, &halt.strategy, halt.state()) {
            return changes;
        }
        let mut tally = self.tally_row(&halt.account, &halt.strategy);
        tally.halt = Some(halt.clone());
        tally.halted_since = Some(to_timestamp(event_ns));
        self.store_tally(tally, &mut changes);
        changes
    }

    /// Whether what is in force of exactly this scope goes on where `asked` is said of it.
    fn is_outlasted(&self, account: &str, strategy: &str, asked: TradingState) -> bool {
        self.own_halt(account, strategy).is_some_and(|halt| halt.outlasts(asked))
    }

    /// Ends what was stopped in exactly this scope, a kill switch included.
    pub(super) fn resumed(&mut self, resume: &TradingResumed) -> Changes {
        let mut changes = Changes::default();
        if self
            .tally(&resume.account, &resume.strategy)
            .is_some_and(|row| row.kill.is_some() || row.halt.is_some())
        {
            let mut tally = self.tally_row(&resume.account, &resume.strategy);
            (tally.halt, tally.halted_since) = (None, None);
            (tally.kill, tally.killed_at) = (None, None);
            tally.kill_id.clear();
            self.store_tally(tally, &mut changes);
        }
        changes
    }

    /// Pulls a kill switch: the stop takes effect here, what has to be cancelled and closed follows from it.
    pub(super) fn killed(&mut self, id: &str, kill: &TradingKilled, event_ns: i64) -> Changes {
        let mut changes = if kill.strategy.is_empty() {
            self.halted(&kill.account, Halt::of_kill(kill, event_ns))
        } else {
            let halt = TradingHalted {
                account: kill.account.clone(),
                actor: kill.actor.clone(),
                reason: kill.reason.clone(),
                strategy: kill.strategy.clone(),
                state: kill_state(kill.flatten).into(),
            };
            self.strategy_halted(&halt, event_ns)
        };
        // The switch is the request: everything open in its scope has to go.
        for order in self.orders.values_mut() {
            let spec = &order.spec;
            if covers(&kill.account, &kill.strategy, &spec.account, &spec.strategy) && !order.cancel_requested
            {
                changes.orders.push(spec.order_id.clone());
                order.cancel_requested = true;
            }
        }
        let mut tally = self.tally_row(&kill.account, &kill.strategy);
        // One that closes positions goes on with it.
        if kill.flatten || tally.kill.as_ref().is_none_or(|known| !known.flatten) {
            tally.kill = Some(kill.clone());
            id.clone_into(&mut tally.kill_id);
            tally.killed_at = Some(to_timestamp(event_ns));
            self.store_tally(tally, &mut changes);
        }
        changes
    }
}

fn close(tally: &mut RiskTally, result: Amount) {
    tally.closed_trades = tally.closed_trades.saturating_add(1);
    let add = |sum: Option<&Money>| Amount(Amount::from_wire(sum).0.saturating_add(result.abs().0)).to_wire();
    if result > Amount::ZERO {
        tally.winners = tally.winners.saturating_add(1);
        tally.won = add(tally.won.as_ref());
    } else if result < Amount::ZERO {
        tally.lost = add(tally.lost.as_ref());
    }
    tally.recent.extend(result.to_wire());
    let more = tally.recent.len().saturating_sub(RECENT_TRADES);
    tally.recent.drain(..more);
    tally.consecutive_losses =
        if result < Amount::ZERO { tally.consecutive_losses.saturating_add(1) } else { 0 };
}
