//! When orders were approved, so that a rate can be limited: those of the last day.

use std::collections::VecDeque;

use contracts::from_timestamp;
use contracts::v1::{RiskDecision, RiskInput};
use serde::{Deserialize, Serialize};

use super::Scope;
use super::shared::Shared;

/// How long an approval counts: longer than any day of New York.
pub const APPROVALS_NS: i64 = 25 * 3_600 * 1_000_000_000;
/// Most approvals kept; at more than that a day, those of a whole day are not all known, and the oldest are
/// dropped.
pub const APPROVALS_MAX: usize = 200_000;

/// Orders of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// When it was decided, in market time, UTC nanoseconds: [`decided_ns`].
    pub decided_ns: i64,
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol of each order; exits that wait for their entry are not counted.
    pub symbols: Vec<String>,
}

/// Orders approved within a minute, an hour and a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Within 60 seconds.
    pub minute: u32,
    /// Within 3,600 seconds.
    pub hour: u32,
    /// Since the day began.
    pub day: u32,
}

/// The moment in market time that a decision's inputs were gathered at, UTC nanoseconds to the millisecond of a price's
/// age; `None` where no symbol had a price.
fn gathered_ns(inputs: &[RiskInput]) -> Option<i64> {
    inputs.iter().find_map(|input| {
        let price_ns = input.price_time.as_ref().and_then(from_timestamp)?;
        Some(price_ns.saturating_add(input.price_age_ms.saturating_mul(1_000_000)))
    })
}

/// When a decision of event time `event_ns` was made, in market time, UTC nanoseconds. A decision has the event time of its
/// signal, which after an outage may be long past: rates count orders by when they were let go.
#[must_use]
pub fn decided_ns(decision: &RiskDecision, event_ns: i64) -> i64 {
    gathered_ns(&decision.inputs).unwrap_or(event_ns)
}

/// Approvals of late, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Approvals {
    kept: VecDeque<Shared<Approval>>,
}

impl Approvals {
    pub fn of(rows: Vec<Approval>) -> Self {
        let mut approvals = Self::default();
        let mut rows = rows;
        rows.sort_by_key(|row| row.decided_ns);
        rows.into_iter().for_each(|row| approvals.push(row));
        approvals
    }

    pub fn rows(&self) -> Vec<Approval> {
        self.kept.iter().map(Shared::own).collect()
    }

    pub fn decided(&mut self, decision: &RiskDecision, event_ns: i64) {
        let counted = decision.orders.iter().filter(|order| order.parent_id.is_empty());
        let symbols: Vec<_> = counted.map(|order| order.symbol.clone()).collect();
        if !symbols.is_empty() {
            let (account, strategy) = (decision.account.clone(), decision.strategy.clone());
            let decided_ns = decided_ns(decision, event_ns);
            self.push(Approval { decided_ns, account, strategy, symbols });
        }
    }

    fn push(&mut self, approval: Approval) {
        let newest =
            self.kept.back().map_or(approval.decided_ns, |last| last.decided_ns.max(approval.decided_ns));
        self.kept.push_back(approval.into());
        let oldest = newest.saturating_sub(APPROVALS_NS);
        while self.kept.len() > APPROVALS_MAX || self.kept.front().is_some_and(|row| row.decided_ns < oldest)
        {
            self.kept.pop_front();
        }
    }

    pub fn rate(&self, account: &str, scope: &Scope, now_ns: i64, day_ns: i64) -> Rate {
        const SECOND: i64 = 1_000_000_000;
        let mut rate = Rate::default();
        // A clock may have been set back: all that is kept is looked at.
        for row in self.kept.iter().rev() {
            if row.account != account {
                continue;
            }
            let of = |symbol: &&String| scope.holds(&row.strategy, symbol);
            let orders = u32::try_from(row.symbols.iter().filter(of).count()).unwrap_or(u32::MAX);
            let age = now_ns.saturating_sub(row.decided_ns);
            let windows = [
                (&mut rate.minute, age < 60 * SECOND),
                (&mut rate.hour, age < 3_600 * SECOND),
                (&mut rate.day, row.decided_ns >= day_ns),
            ];
            for (count, within) in windows {
                *count = count.saturating_add(if within { orders } else { 0 });
            }
        }
        rate
    }
}
