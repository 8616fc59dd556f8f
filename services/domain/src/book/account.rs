//! Accounts: cash and what became of it, limits and costs, halts, the last mark.

use contracts::to_timestamp;
use contracts::v1::{AccountKind, Costs, MarkPrice, RiskLimits, TradingHalted, TradingKilled, TradingState};
use serde::{Deserialize, Serialize};

use super::{FoldError, Traded};
use crate::money::{Amount, Price};

/// Limits and costs as last configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountConfig {
    /// Version of the configuration.
    pub version: u64,
    /// Broker adapter.
    pub broker: String,
    /// Limits; `None` when the event stated none, upon which nothing may be opened.
    pub limits: Option<RiskLimits>,
    /// Costs in the simulated broker.
    pub costs: Costs,
    /// What it may do with borrowed money and shares.
    pub kind: AccountKind,
}

/// Trading is stopped: nothing may be opened, reducing stays possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Who stopped it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Event time of the halt, UTC nanoseconds.
    pub since_ns: i64,
    /// Halted where strategies send nothing at all; otherwise they may reduce.
    pub state: TradingState,
}

/// What a kill switch lets strategies send: nothing while it closes positions, otherwise they may reduce.
#[must_use]
pub fn kill_state(flatten: bool) -> TradingState {
    if flatten { TradingState::Halted } else { TradingState::ReduceOnly }
}

impl Halt {
    /// What was said to stop, of whatever scope.
    #[must_use]
    pub fn of(halt: &TradingHalted, since_ns: i64) -> Self {
        let (actor, reason, state) = (halt.actor.clone(), halt.reason.clone(), halt.state());
        Self { actor, reason, since_ns, state }
    }

    /// The stop that a kill switch is.
    #[must_use]
    pub fn of_kill(kill: &TradingKilled, since_ns: i64) -> Self {
        let (actor, reason, state) = (kill.actor.clone(), kill.reason.clone(), kill_state(kill.flatten));
        Self { actor, reason, since_ns, state }
    }

    /// Whether it goes on where `asked` is said of its scope, because that lets more pass. What is as strict takes its
    /// place.
    #[must_use]
    pub fn outlasts(&self, asked: TradingState) -> bool {
        self.state == TradingState::Halted && asked != TradingState::Halted
    }

    /// What is said of it where it outlasts what was asked; before it comes what is stopped.
    #[must_use]
    pub fn stays(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        let by = if self.actor.is_empty() { String::new() } else { format!(" (by {})", self.actor) };
        format!("stays halted{reason}{by}; asked for reduce-only")
    }
}

/// The last valuation of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Event time of the mark, UTC nanoseconds.
    pub event_ns: i64,
    /// Cash plus the market value of all positions.
    pub equity: Amount,
    /// Sum of absolute position values.
    pub gross_exposure: Amount,
    /// Sum of signed position values.
    pub net_exposure: Amount,
    /// Market value less cost basis.
    pub unrealized_pnl: Amount,
    /// Prices used, by symbol.
    pub prices: Vec<MarkPrice>,
}

/// An account as the fold of its events. Plain data, so that it can be stored as a row and read back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountState {
    /// Name.
    pub account: String,
    /// Limits and costs; `None` before the first configuration.
    pub config: Option<AccountConfig>,
    /// The account's own halt.
    pub halt: Option<Halt>,
    /// Event time since which its equity is below its maintenance margin.
    pub margin_call_ns: Option<i64>,
    /// Cash, negative when owed.
    pub cash: Amount,
    /// Gross realised profit and loss: before commissions, without dividends.
    pub realized_pnl: Amount,
    /// Commissions and fees paid.
    pub fees: Amount,
    /// Deposits less withdrawals.
    pub deposits: Amount,
    /// Dividends received less dividends paid on short positions.
    pub dividends: Amount,
    /// The last mark.
    pub mark: Option<Mark>,
    /// Last prices that a broker outside stated of holdings, by symbol, each with its event's time.
    pub told_prices: Vec<MarkPrice>,
    /// Equity of the last mark plus what was brought in since; before the first mark all that was.
    pub equity_baseline: Amount,
    /// Equity at which the present session began: that of the last mark before it, plus what was brought in since.
    pub day_start_equity: Amount,
    /// Value of fills since the last mark that opened exposure, which that mark does not hold.
    pub opened_since_mark: Amount,
    /// Highest equity of any mark, deposits since added; an operator's reset begins anew. `None` before the
    /// first mark.
    pub peak_equity: Option<Amount>,
}

impl AccountState {
    pub(super) fn new(account: &str) -> Self {
        Self { account: account.to_owned(), ..Self::default() }
    }

    /// Change of equity since the session began, as of the last mark; `None` before the first mark. What was brought in
    /// behind that mark is on both sides, or it would be a loss until the next one.
    #[must_use]
    pub fn day_pnl(&self) -> Option<Amount> {
        self.mark.as_ref()?;
        self.equity_baseline.checked_sub(self.day_start_equity)
    }

    /// The last price that a broker outside stated of a holding in `symbol`, and when, UTC nanoseconds.
    #[must_use]
    pub fn told_price(&self, symbol: &str) -> Option<(Price, i64)> {
        let told = self.told_prices.iter().find(|told| told.symbol == symbol)?;
        Some((Price(told.price_e9), told.time.as_ref().and_then(contracts::from_timestamp)?))
    }

    /// Takes a price that a broker outside stated; one that is not positive changes nothing.
    pub(super) fn tell(&mut self, symbol: &str, price: Price, event_ns: i64) {
        if price.0 <= 0 {
            return;
        }
        let told =
            MarkPrice { symbol: symbol.to_owned(), price_e9: price.0, time: Some(to_timestamp(event_ns)) };
        match self.told_prices.binary_search_by(|known| known.symbol.as_str().cmp(symbol)) {
            Ok(place) => self.told_prices[place] = told,
            Err(place) => self.told_prices.insert(place, told),
        }
    }

    /// Gross exposure: that of the last mark, and what was opened since. `None` before the first mark.
    #[must_use]
    pub fn gross_exposure(&self) -> Option<Amount> {
        self.mark.as_ref()?.gross_exposure.checked_add(self.opened_since_mark)
    }

    /// The peak once the account was worth `equity`: before the first mark it is what was brought in.
    #[must_use]
    pub fn peak_with(&self, equity: Amount) -> Amount {
        self.peak_equity.unwrap_or(self.equity_baseline).max(equity)
    }

    /// How far equity is below its peak, as of the last mark.
    #[must_use]
    pub fn drawdown(&self) -> Option<Amount> {
        self.peak_equity?.checked_sub(self.mark.as_ref()?.equity)
    }

    pub(super) fn overflow(&self, field: &'static str) -> FoldError {
        FoldError::overflow(field, format!("account {}", self.account))
    }

    /// Adds `change` to cash.
    pub(super) fn add_cash(&mut self, change: Amount) -> Result<(), FoldError> {
        self.cash = self.cash.checked_add(change).ok_or_else(|| self.overflow("cash"))?;
        Ok(())
    }

    /// Takes a dividend, paid where it is negative.
    pub fn receive_dividend(&mut self, amount: Amount) -> Result<(), FoldError> {
        let dividends = self.dividends.checked_add(amount).ok_or_else(|| self.overflow("dividends"))?;
        self.add_cash(amount)?;
        self.dividends = dividends;
        Ok(())
    }

    /// A deposit moves the baselines too: money brought in is no profit.
    pub(super) fn deposit(&mut self, amount: Amount) -> Result<(), FoldError> {
        self.add_cash(amount)?;
        self.brought_in(amount, amount)
    }

    /// What was brought in, in whatever form: what it cost, and what it was worth then, which is no profit of the day.
    pub(super) fn brought_in(&mut self, cost: Amount, worth: Amount) -> Result<(), FoldError> {
        let add = |sum: Amount, more, field| sum.checked_add(more).ok_or_else(|| self.overflow(field));
        let deposits = add(self.deposits, cost, "deposits")?;
        let baseline = add(self.equity_baseline, worth, "equity_baseline")?;
        let day_start = add(self.day_start_equity, worth, "day_start_equity")?;
        let peak = self.peak_equity.map(|peak| add(peak, worth, "peak_equity")).transpose()?;
        self.peak_equity = peak;
        (self.deposits, self.equity_baseline, self.day_start_equity) = (deposits, baseline, day_start);
        Ok(())
    }

    /// A fee or interest of the account, negative when paid.
    pub(super) fn charge(&mut self, amount: Amount) -> Result<(), FoldError> {
        self.add_cash(amount)?;
        self.fees = self.fees.checked_sub(amount).ok_or_else(|| self.overflow("fees"))?;
        Ok(())
    }

    /// Takes a fill that did `traded` to a position.
    pub fn traded(&mut self, traded: Traded, commission: Amount) -> Result<(), FoldError> {
        let add = |sum: Amount, change, field| sum.checked_add(change).ok_or_else(|| self.overflow(field));
        let cash = add(add(self.cash, traded.cash, "cash")?, -commission, "cash")?;
        let fees = add(self.fees, commission, "fees")?;
        let realized = add(self.realized_pnl, traded.realized, "realized_pnl")?;
        let opened = add(self.opened_since_mark, traded.opened, "opened_since_mark")?;
        (self.cash, self.fees) = (cash, fees);
        (self.realized_pnl, self.opened_since_mark) = (realized, opened);
        Ok(())
    }

    /// As [`AccountState::marked`] with equity, gross and net exposure alone, in the memory of the last mark.
    pub fn valued(
        &mut self,
        event_ns: i64,
        (equity, gross, net): (Amount, Amount, Amount),
        session_start: bool,
    ) {
        if let Some(mark) = self.mark.as_mut() {
            (mark.event_ns, mark.equity) = (event_ns, equity);
            (mark.gross_exposure, mark.net_exposure) = (gross, net);
            if session_start {
                self.day_start_equity = self.equity_baseline;
            }
            self.equity_baseline = equity;
            self.opened_since_mark = Amount::ZERO;
            return;
        }
        let (unrealized_pnl, prices) = (Amount::ZERO, Vec::new());
        let (gross_exposure, net_exposure) = (gross, net);
        let mark = Mark { event_ns, equity, gross_exposure, net_exposure, unrealized_pnl, prices };
        self.marked(mark, session_start);
    }

    /// Takes a valuation; with `session_start` it is the first of an exchange session.
    pub fn marked(&mut self, mark: Mark, session_start: bool) {
        if session_start {
            self.day_start_equity = self.equity_baseline;
        }
        self.peak_equity = Some(self.peak_with(mark.equity));
        self.equity_baseline = mark.equity;
        self.opened_since_mark = Amount::ZERO;
        self.mark = Some(mark);
    }
}
