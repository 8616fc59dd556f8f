//! The risk policy: one answer to one signal, from inputs that stand in the answer.
//!
//! [`decide`] is a pure function of the signal, the policy that applied (strategy, sizing, limits) and the
//! inputs of each leg. The inputs are recorded in the decision, so that it can be derived again
//! ([`rederive`]) and audited.
//!
//! Invariants: it fails closed (a limit, a price or a mark that is missing denies); reducing a position
//! stays possible when trading or the symbol is halted, limits are missing, prices are old or the calendar has ended; a
//! signal of several legs is approved whole or denied whole; reservations count against every limit, always on the
//! side that makes it worse.
//!
//! An account of no stated kind spends only its cash, commission and slippage included, as a cash account does; where it
//! allows shorts, and on margin, half of everything held and opened must be covered by the equity (Regulation T).
//!
//! [`kernel`] decides one leg on plain numbers; the rest of this module gives names to what it says.
//!
//! Deliberately absent: the tape, the read model, clocks.

pub mod breaker;
mod deny;
pub mod fields;
pub mod kernel;
mod guard;
mod leg;
mod limits;
mod known;
mod measure;
pub mod monitor;
mod replace;
mod rule;
mod scope_usage;
mod session;
mod signal;
mod usage;
mod view;

use contracts::v1::{
    AccountKind, Costs, GroupPolicy, Intent, OrderSpec, RiskDecision, RiskInput, RiskLimits, Signal, Sizing,
    Verdict,
};

pub use known::is_read;
pub use limits::buying_power_only;
pub use rule::{Denial, Rule};
pub use scope_usage::{ScopeUsage, scope_usage};
pub use session::SessionAnswer;
pub use usage::{Usage, usage};
pub use view::view;

/// What a strategy may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not registered, or never enabled.
    NotEnabled,
    /// It was disabled.
    Disabled,
    /// It was stopped and goes on to manage what it holds: it may close, and open nothing.
    Closing,
    /// Its signals are recorded without orders.
    Shadow,
    /// Its signals are ordered.
    Active,
}

/// What applies to a signal, as configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// What the strategy may do.
    pub standing: Standing,
    /// How its entries are sized; `None` opens nothing.
    pub sizing: Option<Sizing>,
    /// Largest position per symbol that the strategy's own parameters allow, as a share of equity in 1e-9.
    pub position_cap_e9: Option<i64>,
    /// The account's limits; `None` opens nothing.
    pub limits: Option<RiskLimits>,
    /// What the account may do with borrowed money and shares.
    pub kind: AccountKind,
    /// The account's costs: what is bought with cash must be paid with them.
    pub costs: Costs,
    /// What becomes of the signal's orders when one of them fails.
    pub group: GroupPolicy,
}

/// Everything that a decision looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskView {
    /// Account the signal is for.
    pub account: String,
    /// What applies.
    pub policy: Policy,
    /// One input per leg, in the order of the legs; exactly what the decision records.
    ///
    /// `strategy_reserved_e9` and `account_reserved_e9` hold what is approved and unfilled on the side on
    /// which the leg would trade: what could add up with it. A price of 0 and an equity that is absent
    /// mean that there is none.
    pub inputs: Vec<RiskInput>,
}

/// Answers the signal with id `signal_id`.
#[must_use]
pub fn decide(signal_id: &str, signal: &Signal, view: &RiskView) -> RiskDecision {
    let mut cancels = Vec::new();
    let outcome = orders(signal_id, signal, view, &mut cancels);
    let shadow = view.policy.standing == Standing::Shadow;
    let (verdict, rule, reason, orders) = match outcome {
        Ok(orders) if shadow => (Verdict::Shadowed, "", shadow_reason(&orders), Vec::new()),
        Ok(orders) => (Verdict::Approved, "", String::new(), orders),
        Err(denial) => {
            let verdict = if shadow { Verdict::Shadowed } else { Verdict::Denied };
            (verdict, denial.rule.name(), denial.reason, Vec::new())
        }
    };
    if verdict != Verdict::Approved {
        cancels.clear();
    }
    RiskDecision {
        cancels,
        account: view.account.clone(),
        strategy: signal.strategy.clone(),
        signal_id: signal_id.to_owned(),
        verdict: verdict.into(),
        rule: rule.to_owned(),
        reason,
        orders,
        inputs: view.inputs.clone(),
    }
}

/// A denial for a reason that lies outside of the policy, for example [`Rule::StaleReadModel`].
#[must_use]
pub fn deny(signal_id: &str, signal: &Signal, view: &RiskView, rule: Rule, reason: &str) -> RiskDecision {
    RiskDecision {
        account: view.account.clone(),
        strategy: signal.strategy.clone(),
        signal_id: signal_id.to_owned(),
        verdict: Verdict::Denied.into(),
        rule: rule.name().to_owned(),
        reason: reason.to_owned(),
        orders: Vec::new(),
        inputs: view.inputs.clone(),
        cancels: Vec::new(),
    }
}

/// Derives a recorded decision again, from its own inputs and the policy that applied.
#[must_use]
pub fn rederive(decision: &RiskDecision, signal: &Signal, policy: &Policy) -> RiskDecision {
    let view =
        RiskView { account: decision.account.clone(), policy: *policy, inputs: decision.inputs.clone() };
    decide(&decision.signal_id, signal, &view)
}

/// Whether a signal does nothing but close: all that a strategy may do that was stopped and manages what it holds.
#[must_use]
pub fn only_closes(signal: &Signal) -> bool {
    signal.legs.iter().all(|leg| leg.intent() == Intent::Exit)
}

/// The orders of an approved signal, or why it is denied.
fn orders(
    signal_id: &str,
    signal: &Signal,
    view: &RiskView,
    cancels: &mut Vec<String>,
) -> Result<Vec<OrderSpec>, Denial> {
    signal::check_signal(signal, view)?;
    match view.policy.standing {
        Standing::NotEnabled => {
            let reason = format!("strategy {} is not enabled", signal.strategy);
            return Err(Denial::new(Rule::StrategyNotEnabled, reason));
        }
        Standing::Disabled => {
            let reason = format!("strategy {} is disabled", signal.strategy);
            return Err(Denial::new(Rule::StrategyDisabled, reason));
        }
        Standing::Closing if !only_closes(signal) => {
            let reason = format!("strategy {} is stopped: it may close, and open nothing", signal.strategy);
            return Err(Denial::new(Rule::StrategyDisabled, reason));
        }
        Standing::Closing | Standing::Shadow | Standing::Active => {}
    }
    let (mut running, mut guards) = (kernel::Running::default(), guard::Guards::default());
    let shares = signal::within_caps(signal::shares_e9(signal, view)?, signal, view);
    for ((leg, input), share_e9) in signal.legs.iter().zip(&view.inputs).zip(&shares) {
        running.expect(&leg::numbers(input), &leg::terms(leg, *share_e9));
    }
    let mut orders = Vec::with_capacity(signal.legs.len());
    let mut on_target = None;
    for ((leg, input), share_e9) in signal.legs.iter().zip(&view.inputs).zip(shares) {
        if !leg.replaces.is_empty() {
            let spec = replace::decide(view, leg, input, &mut running, &mut guards);
            orders.push(spec.map_err(|denial| denial.of_leg(input, signal.legs.len()))?);
            continue;
        }
        let context = leg::Leg { signal_id, strategy: &signal.strategy, view, leg, input, share_e9 };
        let outcome = context.decide(&mut running, &mut guards, &mut orders, cancels);
        match outcome.map_err(|denial| denial.of_leg(input, signal.legs.len()))? {
            leg::Done::Ordered => {}
            leg::Done::OnTarget(denial) => {
                on_target.get_or_insert(denial.of_leg(input, signal.legs.len()));
            }
        }
    }
    if orders.len() > 1 {
        for order in &mut orders {
            order.group_policy = view.policy.group.into();
        }
    }
    match on_target {
        Some(denial) if orders.is_empty() => Err(denial),
        _ => Ok(orders),
    }
}

fn shadow_reason(orders: &[OrderSpec]) -> String {
    let orders: Vec<_> = orders
        .iter()
        .map(|order| {
            let side = if order.side() == contracts::v1::Side::Buy { "buy" } else { "sell" };
            format!("{side} {} {}", crate::money::Quantity(order.quantity_e9), order.symbol)
        })
        .collect();
    format!("shadow mode: would {}", orders.join(", "))
}
