//! The order aggregate: Events → Fold → Decisions → Queries.
//!
//! An order begins with a risk decision that approves its [`OrderSpec`], lives through the broker's
//! reports and ends filled, cancelled, rejected or expired. [`OrderState::evolve`] folds what is on the
//! tape; the functions of [`decide`] say which event, if any, a command or a broker's report adds;
//! [`phase`] says what the process manager has to do next; [`reconcile`] says which reports are missing when
//! the broker states how an order stands.
//!
//! An order whose terms are replaced stays one order: what is left to trade is counted once, whichever of the
//! broker's ids a fill bears. Its revisions are a chain of the broker's and the client's ids ([`Revision`]).
//!
//! Invariants: what is filled never exceeds the order's quantity; a command or a report repeated adds
//! nothing; an order that has ended still folds fills, corrections and busts that the broker reports late.
//!
//! Deliberately absent: the broker, the tape, the clock, and every effect on cash or positions (that is
//! [`crate::book`]'s).

pub mod correct;
pub mod decide;
mod fold;
pub mod group;
mod process;
mod reconcile;
mod replace;
mod report;
mod stage;
pub mod words;

use contracts::v1::{GroupKind, OrderSpec, OrderType, Side};
use serde::{Deserialize, Serialize};

pub use decide::Rejection;
pub use fold::EvolveError;
pub use group::GroupStage;
pub use process::{Phase, phase};
pub use reconcile::{BrokerTruth, Standing, reconcile};
pub use replace::{Replacement, Revision};
pub use report::{BrokerReport, Executed, Execution, Terms};
pub use stage::OrderStage;

use crate::money::{Amount, Price, Quantity};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OrderStatus {
    /// Approved by risk; nothing was sent.
    Approved,
    /// The intent is on the tape; whether the broker has the order is unknown until it answers.
    Submitted,
    /// The broker works the order.
    Accepted,
    /// The broker holds the order without working it.
    Suspended,
    /// Ended: everything was filled.
    Filled,
    /// Ended: cancelled; what was filled stays filled.
    Cancelled,
    /// Ended: the broker refused it.
    Rejected,
    /// Ended: its time in force is over.
    Expired,
}

impl OrderStatus {
    /// Every status, in the order in which an order may pass through them.
    pub const ALL: [Self; 8] = [
        Self::Approved,
        Self::Submitted,
        Self::Accepted,
        Self::Suspended,
        Self::Filled,
        Self::Cancelled,
        Self::Rejected,
        Self::Expired,
    ];

    /// The name that read models and pages use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Submitted => "submitted",
            Self::Accepted => "accepted",
            Self::Suspended => "suspended",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// The status a name stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the order is over. Only a late fill can still change it.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired)
    }
}

/// An order as the fold of its events. Plain data, so that it can be stored as a row and read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderState {
    /// Terms as approved; quantity and prices follow replacements and splits.
    pub spec: OrderSpec,
    /// Signal the order serves; empty for an operator's order.
    pub signal_id: String,
    /// Event that approved it (the risk decision), the cause of the order's submission.
    pub decision_id: String,
    /// First event of the chain.
    pub correlation_id: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// A cancel was asked for and the broker has not refused it.
    pub cancel_requested: bool,
    /// Event time at which the broker last refused to cancel it, UTC nanoseconds; none where it never did.
    pub cancel_refused_ns: Option<i64>,
    /// Shares filled so far, in the order's present terms.
    pub filled: Quantity,
    /// Number of fills so far, which is the number of the last fill.
    pub fills: u32,
    /// Σ price × quantity of the fills.
    pub filled_value: Amount,
    /// Commission and fees of the fills.
    pub commission: Amount,
    /// Executions already folded, so that a repeated report adds nothing and a correction finds what it corrects.
    pub executions: Vec<Executed>,
    /// Id the broker was given; empty before submission.
    pub client_order_id: String,
    /// Broker adapter; empty before submission.
    pub broker: String,
    /// Broker's own id; empty before it accepted.
    pub broker_order_id: String,
    /// Corporate action that last restated the order, so that the same one does it once; empty if none.
    pub adjusted_by: String,
    /// Price at which risk valued the order; zero when unknown.
    pub reference_price: Price,
    /// Last TRADING sequence under the order's filter; 0 while none of its own events is stored.
    pub last_sequence: u64,
    /// Event time of the approval, UTC nanoseconds.
    pub approved_ns: i64,
    /// Event time of the submission.
    pub submitted_ns: Option<i64>,
    /// Event time of the broker's acceptance: bars that begin before it cannot fill the order.
    pub accepted_ns: Option<i64>,
    /// When its stop was reached, UTC nanoseconds.
    pub triggered_ns: Option<i64>,
    /// Event time of the last fill, trigger or move of its stop, or of a fill in its group.
    pub worked_ns: Option<i64>,
    /// Best price since a trailing stop works, in the order's present terms.
    pub extreme: Option<Price>,
    /// Shares that its group lets it trade now, below zero while its entry still closes a position before it opens one; none
    /// where it stands alone.
    pub tradable: Option<Quantity>,
    /// Event time of the end.
    pub ended_ns: Option<i64>,
    /// Event time of the last event folded.
    pub updated_ns: i64,
    /// Why it ended or was suspended, in the broker's or the operator's words.
    pub reason: String,
    /// What was asked of the broker without an answer (`submit`, `cancel`, `replace`); empty when nothing was.
    pub resolving: String,
    /// New terms that risk approved and the broker has not answered.
    pub replace: Option<Replacement>,
    /// The highest revision that new terms were ever given, those included that were refused; 0 before any. No two requests
    /// share a number, so that neither answers nor client order ids of one are taken for those of another.
    pub asked_revision: u32,
    /// The revisions before the present one, oldest first.
    pub chain: Vec<Revision>,
    /// Where its group stands.
    pub group_stage: GroupStage,
}

impl OrderState {
    /// An order that risk has just approved.
    #[must_use]
    pub fn approved(spec: OrderSpec, reference_price: Price, approved_ns: i64) -> Self {
        Self {
            triggered_ns: None,
            worked_ns: None,
            extreme: None,
            tradable: crate::matching::tradable(&spec),
            spec,
            signal_id: String::new(),
            decision_id: String::new(),
            correlation_id: String::new(),
            status: OrderStatus::Approved,
            cancel_requested: false,
            cancel_refused_ns: None,
            filled: Quantity::ZERO,
            fills: 0,
            filled_value: Amount::ZERO,
            commission: Amount::ZERO,
            executions: Vec::new(),
            client_order_id: String::new(),
            broker: String::new(),
            broker_order_id: String::new(),
            adjusted_by: String::new(),
            reference_price,
            last_sequence: 0,
            approved_ns,
            submitted_ns: None,
            accepted_ns: None,
            ended_ns: None,
            updated_ns: approved_ns,
            reason: String::new(),
            resolving: String::new(),
            replace: None,
            asked_revision: 0,
            chain: Vec::new(),
            group_stage: GroupStage::None,
        }
    }

    /// The order's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.spec.order_id
    }

    /// Shares of the order not filled; it says nothing of whether they still can be. Of an order for an amount
    /// they are an estimate at its reference price, rounded down at 1e-9.
    #[must_use]
    pub fn unfilled(&self) -> Quantity {
        let Some(left) = self.unspent() else {
            return Quantity(self.spec.quantity_e9.saturating_sub(self.filled.0).max(0));
        };
        if left < CENT {
            return Quantity::ZERO;
        }
        let price = i128::from(self.reference_price.0.max(1));
        let shares = left.0.saturating_mul(i128::from(crate::money::E9)) / price;
        let shares = Quantity(i64::try_from(shares).unwrap_or(i64::MAX).max(1));
        self.most_left().map_or(shares, |most| shares.min(most))
    }

    /// Shares that are left of those that the simulated market trades at most of an order for an amount. A broker outside
    /// knows of no such bound.
    fn most_left(&self) -> Option<Quantity> {
        let most = crate::matching::reducing_most(&self.spec).filter(|_| self.broker == SIMULATED)?;
        Some(Quantity(most.0.saturating_sub(self.filled.0).max(0)))
    }

    /// What is left of the amount of an order that states one; `None` for an order for shares.
    #[must_use]
    pub fn unspent(&self) -> Option<Amount> {
        let notional = self.spec.notional_e9?;
        Some(Amount(i128::from(notional).saturating_sub(self.filled_value.0).max(0)))
    }

    /// The execution of this id, unless it was busted.
    #[must_use]
    pub fn execution(&self, execution_id: &str) -> Option<&Executed> {
        self.executions.iter().find(|executed| executed.id == execution_id)
    }

    /// Shares that count against limits: those that may still trade, under the present terms or under those that
    /// are being asked for, whichever are more.
    #[must_use]
    pub fn reserved_shares(&self) -> Quantity {
        let asked =
            self.replace.as_ref().map_or(0, |replace| replace.quantity.0.saturating_sub(self.filled.0));
        if self.status.is_ended() { Quantity::ZERO } else { Quantity(self.unfilled().0.max(asked)) }
    }

    /// Shares that the order may still trade: 0 once it has ended.
    #[must_use]
    pub fn remaining(&self) -> Quantity {
        if self.status.is_ended() { Quantity::ZERO } else { self.unfilled() }
    }

    /// Whether it only reduces a position, under the present terms and under those that are being asked for.
    #[must_use]
    pub fn only_reduces(&self) -> bool {
        self.spec.reducing && self.replace.as_ref().is_none_or(|replace| replace.reducing)
    }

    /// Whether it is an exit that only waits for a price: a stop, or one of a group. It is not on its way
    /// out, so that it does not keep the strategy from closing the position; the order that does takes its
    /// place.
    #[must_use]
    pub fn is_protective(&self) -> bool {
        let waits = matches!(
            self.spec.order_type(),
            OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop
        );
        self.only_reduces() && (waits || self.spec.group() != GroupKind::Unspecified)
    }

    /// The shares that count against limits, positive for a buy and negative for a sell.
    #[must_use]
    pub fn reserved_signed(&self) -> Quantity {
        signed(self.spec.side(), self.reserved_shares())
    }

    /// Average price of the fills; `None` before the first.
    #[must_use]
    pub fn average_price(&self) -> Option<Price> {
        let quantity = i128::from(self.filled.0);
        let scaled = self.filled_value.0.checked_mul(i128::from(crate::money::E9))?;
        let price = (quantity > 0).then(|| crate::money::div_half_even(scaled, quantity))?;
        i64::try_from(price).ok().map(Price)
    }

    /// Value at which the remaining shares are reserved: at the worse of limit and reference price for
    /// the buyer. Zero for an order that only reduces a position.
    #[must_use]
    pub fn reserved_value(&self) -> Amount {
        if self.only_reduces() {
            return Amount::ZERO;
        }
        let asked = self.replace.as_ref().map_or(0, Replacement::worst_price_e9);
        let limit = self.spec.limit_price_e9.unwrap_or_default().max(asked);
        let stop = self.spec.stop_price_e9.unwrap_or_default();
        Amount::notional(Price(self.reference_price.0.max(limit).max(stop)), self.reserved_shares())
    }

    /// The same with the sign of the side. What only reduces counts at its reference price, and not at all while it only
    /// waits for a price.
    #[must_use]
    pub fn reserved_net(&self) -> Amount {
        if self.is_protective() {
            return Amount::ZERO;
        }
        if self.only_reduces() {
            return Amount::notional(self.reference_price, self.reserved_signed());
        }
        let value = self.reserved_value();
        if self.spec.side() == Side::Sell { -value } else { value }
    }
}

/// Name on the tape of the broker that is a part of this program.
pub const SIMULATED: &str = "simulated";

/// The reason that an order shows while it is worked although the tape had seen its end.
pub const REOPENED: &str = "the broker works it after all";

/// The least that is paid: what is left of an amount below this is not traded any more.
pub const CENT: Amount = Amount(10_000_000);

/// `quantity` with the sign of `side`: positive when bought, negative when sold.
#[must_use]
pub fn signed(side: Side, quantity: Quantity) -> Quantity {
    match side {
        Side::Buy => quantity,
        Side::Sell => Quantity(quantity.0.saturating_neg()),
        Side::Unspecified => Quantity::ZERO,
    }
}
