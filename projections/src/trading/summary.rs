//! One line per event, for lists of events and chains.

use contracts::v1::event::Body;
use contracts::v1::{BreakerKind, OrderSpec, Verdict};
use domain::money::{Amount, Price, Quantity};

use super::names::Named as _;

/// What an event is, in short.
pub(crate) struct Summary<'event> {
    /// Name of the body's type, for example `order_submitted`.
    pub kind: &'static str,
    /// Account concerned; empty where the event names none.
    pub account: &'event str,
    /// The event in words.
    pub text: String,
    /// The order concerned, for events of orders and fills.
    pub order_id: Option<&'event str>,
}

pub(super) fn plain<'event>(kind: &'static str, account: &'event str, text: String) -> Summary<'event> {
    Summary { kind, account, text, order_id: None }
}

fn of_order<'event>(kind: &'static str, order_id: &'event str, text: String) -> Summary<'event> {
    Summary { kind, account: "", text, order_id: Some(order_id) }
}

fn terms(order: &OrderSpec) -> String {
    let limit = order.limit_price_e9.map(|price| format!(" limit {}", Price(price))).unwrap_or_default();
    let stop = order.stop_price_e9.map(|price| format!(" stop {}", Price(price))).unwrap_or_default();
    let trail = order.trail_price_e9.map(|price| format!(" trailing {}", Price(price)));
    let trail =
        trail.or_else(|| order.trail_rate_e9.map(|rate| format!(" trailing {} of the price", Price(rate))));
    let trail = trail.unwrap_or_default();
    format!("{} {} {}{limit}{stop}{trail}", order.side().short(), Quantity(order.quantity_e9), order.symbol)
}

pub(super) fn because(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

fn scope(account: &str) -> &str {
    if account.is_empty() { "all accounts" } else { account }
}

/// The summary of a body.
pub(crate) fn of(body: &Body) -> Summary<'_> {
    match body {
        Body::Signal(signal) => {
            let legs: Vec<String> = signal
                .legs
                .iter()
                .map(|leg| format!("{} {}", leg.intent().short().replace('_', " "), leg.symbol))
                .collect();
            plain("signal", "", because(&legs.join(", "), &signal.reason))
        }
        Body::RiskDecision(decision) => {
            let text = match decision.verdict() {
                Verdict::Approved => {
                    let orders: Vec<String> = decision.orders.iter().map(terms).collect();
                    format!("approved {}", orders.join(", "))
                }
                Verdict::Shadowed => "shadowed".to_owned(),
                _ => because(&format!("denied {}", decision.rule), &decision.reason),
            };
            plain("risk_decision", &decision.account, text)
        }
        Body::GroupHandled(handled) => {
            let what = match (handled.done, handled.cancels.len(), handled.orders.len()) {
                (true, ..) if handled.open.is_empty() => "nothing is left open".to_owned(),
                (true, ..) => handled.open.clone(),
                // Stated, and others of the group are under way.
                (false, 0, 0) if !handled.open.is_empty() => handled.open.clone(),
                (false, cancels, orders) => format!("{cancels} to cancel, {orders} to order"),
            };
            let policy = handled.policy().short();
            let of = if handled.failure == "stopped" { "strategy" } else { "group" };
            let text = because(&format!("{of} {} {}, {policy}", handled.strategy, handled.failure), &what);
            plain("group_handled", &handled.account, text)
        }
        Body::InvariantBroken(broken) => {
            let how = if broken.mended { "holds again" } else { "broken" };
            let text = because(&format!("invariant {} {} {how}", broken.number, broken.name), &broken.detail);
            plain("invariant_broken", "", text)
        }
        Body::PositionTransferred(moved) => {
            let text = format!(
                "{} {} from {} to {}",
                Quantity(moved.quantity_e9),
                moved.symbol,
                moved.from_strategy,
                moved.to_strategy
            );
            plain("position_transferred", &moved.account, text)
        }
        Body::AccountMarked(mark) => {
            let equity = Amount::from_wire(mark.equity.as_ref());
            plain("account_marked", &mark.account, format!("equity {equity}"))
        }
        Body::AccountEntry(entry) => {
            let amount = Amount::from_wire(entry.amount.as_ref());
            let kind = entry.kind().short();
            plain("account_entry", &entry.account, format!("{kind} {amount} {}", entry.symbol))
        }
        Body::MarginCalled(call) => {
            let [equity, least] = [&call.equity, &call.requirement].map(|of| Amount::from_wire(of.as_ref()));
            plain("margin_called", &call.account, format!("margin call: equity {equity}, expected {least}"))
        }
        Body::MarginRestored(call) => {
            let equity = Amount::from_wire(call.equity.as_ref());
            plain("margin_restored", &call.account, format!("margin call met: equity {equity}"))
        }
        Body::AccountConfigured(config) => {
            let text = because(&format!("limits version {}", config.version), &config.reason);
            plain("account_configured", &config.account, text)
        }
        Body::TradingHalted(halt) if !halt.strategy.is_empty() => {
            let text = because(&format!("halted strategy {}", halt.strategy), &halt.reason);
            plain("trading_halted", &halt.account, text)
        }
        Body::TradingResumed(resume) if !resume.strategy.is_empty() => {
            let text = because(&format!("resumed strategy {}", resume.strategy), &resume.reason);
            plain("trading_resumed", &resume.account, text)
        }
        Body::TradingKilled(_)
        | Body::LimitsSet(_)
        | Body::BreakerTripped(_)
        | Body::BreakerReset(_)
        | Body::AlertRaised(_)
        | Body::RiskMeasured(_) => risk(body),
        Body::TradingHalted(halt) => {
            let text = because(&format!("halted {}", scope(&halt.account)), &halt.reason);
            plain("trading_halted", &halt.account, text)
        }
        Body::TradingResumed(resume) => {
            let text = because(&format!("resumed {}", scope(&resume.account)), &resume.reason);
            plain("trading_resumed", &resume.account, text)
        }
        Body::StrategyRegistered(strategy) => {
            let text = format!("{} registered on {}", strategy.strategy, strategy.account);
            plain("strategy_registered", &strategy.account, text)
        }
        Body::StrategyEnabled(strategy) => {
            let text = format!("{} enabled, {}", strategy.strategy, strategy.mode().short());
            plain("strategy_enabled", "", text)
        }
        Body::StrategyDisabled(strategy) => {
            let text = because(&format!("{} disabled", strategy.strategy), &strategy.reason);
            plain("strategy_disabled", "", text)
        }
        Body::StrategyRemoved(strategy) => {
            let text = because(&format!("{} removed", strategy.strategy), &strategy.reason);
            plain("strategy_removed", "", text)
        }
        Body::StrategyWarmed(strategy) => {
            plain("strategy_warmed", "", format!("{} warmed by {} bars", strategy.strategy, strategy.bars))
        }
        Body::ProjectionRequested(_) | Body::ProjectionFinished(_) => projection(body),
        Body::BacktestRequested(_)
        | Body::BacktestStarted(_)
        | Body::BacktestCancelRequested(_)
        | Body::BacktestFinished(_) => backtest(body),
        Body::BrokerAttached(_)
        | Body::BrokerReconciled(_)
        | Body::BrokerDiffered(_)
        | Body::LiveTradingConfirmed(_)
        | Body::LiveTradingRevoked(_) => super::at_broker::describe(body),
        _ => order(body),
    }
}

fn risk(body: &Body) -> Summary<'_> {
    match body {
        Body::TradingKilled(kill) => {
            let flatten = if kill.flatten { ", positions to be closed" } else { "" };
            let of = if kill.strategy.is_empty() {
                scope(&kill.account).to_owned()
            } else {
                format!("strategy {}", kill.strategy)
            };
            plain(
                "trading_killed",
                &kill.account,
                because(&format!("kill switch of {of}{flatten}"), &kill.reason),
            )
        }
        Body::LimitsSet(limits) => {
            let of = domain::book::Scope::of(limits.scope.as_ref());
            let text = because(&format!("limits of {of}, version {}", limits.version), &limits.reason);
            plain("limits_set", limits.scope.as_ref().map_or("", |scope| &scope.account), text)
        }
        Body::BreakerTripped(event) => {
            let name = domain::risk::breaker::name(event.kind());
            let of = if event.strategy.is_empty() { "" } else { " of " };
            let text = because(&format!("breaker {name}{of}{} tripped", event.strategy), &event.reason);
            plain("breaker_tripped", &event.account, text)
        }
        Body::BreakerReset(event) => {
            let name = match event.kind() {
                BreakerKind::Unspecified => "every breaker",
                kind => domain::risk::breaker::name(kind),
            };
            let of = if event.strategy.is_empty() { "" } else { " of " };
            let text = because(&format!("{name}{of}{} reset", event.strategy), &event.reason);
            plain("breaker_reset", &event.account, text)
        }
        Body::AlertRaised(alert) => {
            let word = if alert.cleared { "over" } else { "alert" };
            plain("alert_raised", &alert.account, format!("{word}: {}: {}", alert.kind, alert.detail))
        }
        Body::RiskMeasured(measure) => {
            let gross = Amount::from_wire(measure.gross_exposure.as_ref());
            let equity = Amount::from_wire(measure.equity.as_ref());
            let percent = |fall: Quantity| format!("{} %", Quantity(fall.0.saturating_mul(100)));
            let drawdown = domain::risk::monitor::drawdown(measure).map_or("–".to_owned(), percent);
            let text = format!("gross exposure {gross} of equity {equity}, drawdown {drawdown}");
            plain("risk_measured", &measure.account, text)
        }
        _ => plain("other", "", String::new()),
    }
}

fn projection(body: &Body) -> Summary<'_> {
    match body {
        Body::ProjectionRequested(request) => {
            let task = request.task().name().unwrap_or("nothing");
            plain("projection_requested", "", format!("{task} of {} asked for", request.projection))
        }
        Body::ProjectionFinished(end) => {
            let task = end.task().name().unwrap_or("nothing");
            let outcome = crate::jobs::outcome(end.outcome());
            let text = because(&format!("{task} of {} {outcome}", end.projection), &end.detail);
            plain("projection_finished", "", text)
        }
        _ => plain("other", "", String::new()),
    }
}

fn backtest(body: &Body) -> Summary<'_> {
    match body {
        Body::BacktestRequested(event) => {
            plain("backtest_requested", "", format!("backtest {} asked for by {}", event.run_id, event.actor))
        }
        Body::BacktestStarted(event) => {
            let text = format!("backtest {} begun, attempt {}", event.run_id, event.attempt);
            plain("backtest_started", "", text)
        }
        Body::BacktestCancelRequested(event) => {
            let text = format!("cancelling of backtest {} asked for by {}", event.run_id, event.actor);
            plain("backtest_cancel_requested", "", because(&text, &event.reason))
        }
        Body::BacktestFinished(event) => {
            let outcome = crate::backtests::outcome_name(event.outcome()).unwrap_or("ended");
            plain(
                "backtest_finished",
                "",
                because(&format!("backtest {} {outcome}", event.run_id), &event.detail),
            )
        }
        _ => plain("other", "", String::new()),
    }
}

fn order(body: &Body) -> Summary<'_> {
    match body {
        Body::OrderSubmitted(submitted) => {
            let Some(order) = submitted.order.as_ref() else {
                return plain("order_submitted", "", String::new());
            };
            let text = format!("submitted {}", terms(order));
            Summary {
                kind: "order_submitted",
                account: &order.account,
                text,
                order_id: Some(&order.order_id),
            }
        }
        Body::Fill(fill) => Summary {
            kind: "fill",
            account: &fill.account,
            text: format!(
                "filled {} {} {} at {}",
                fill.side().short(),
                Quantity(fill.quantity_e9),
                fill.symbol,
                Price(fill.price_e9)
            ),
            order_id: Some(&fill.order_id),
        },
        Body::OrderAccepted(event) => of_order("order_accepted", &event.order_id, "accepted".to_owned()),
        Body::OrderRejected(event) => {
            of_order("order_rejected", &event.order_id, because("rejected", &event.reason))
        }
        Body::OrderCancelRequested(event) => {
            let text = because(&format!("cancel requested by {}", event.actor), &event.reason);
            of_order("order_cancel_requested", &event.order_id, text)
        }
        Body::OrderCancelled(event) => {
            of_order("order_cancelled", &event.order_id, because("cancelled", &event.reason))
        }
        Body::OrderCancelRejected(event) => {
            of_order("order_cancel_rejected", &event.order_id, because("cancel refused", &event.reason))
        }
        Body::OrderReplaceRequested(event) => {
            let quantity = event.quantity_e9.map(|shares| format!(", quantity {}", Quantity(shares)));
            let limit = event.limit_price_e9.map(|price| format!(", limit {}", Price(price)));
            let stop = event.stop_price_e9.map(|price| format!(", stop {}", Price(price)));
            let terms: String = [quantity, limit, stop].into_iter().flatten().collect();
            of_order(
                "order_replace_requested",
                &event.order_id,
                format!("replacement asked of the broker{terms}"),
            )
        }
        Body::OrderReplaced(event) => {
            let text = format!("replaced, quantity {}", Quantity(event.quantity_e9));
            of_order("order_replaced", &event.order_id, text)
        }
        Body::OrderReplaceRejected(event) => {
            of_order("order_replace_rejected", &event.order_id, because("replacement refused", &event.reason))
        }
        Body::OrderUnresolved(event) => {
            let text = because(&format!("no answer to {}", event.doing), &event.problem);
            of_order("order_unresolved", &event.order_id, text)
        }
        Body::FillCorrected(event) => {
            let [before, now] = [event.quantity_before_e9, event.quantity_e9].map(Quantity);
            let [was, is] = [event.price_before_e9, event.price_e9].map(Price);
            let text = format!("fill {} corrected from {before} at {was} to {now} at {is}", event.number);
            of_order("fill_corrected", &event.order_id, text)
        }
        Body::FillBusted(event) => of_order(
            "fill_busted",
            &event.order_id,
            because(&format!("fill {} busted", event.number), &event.reason),
        ),
        Body::OrderExpired(event) => {
            of_order("order_expired", &event.order_id, because("expired", &event.reason))
        }
        Body::OrderSuspended(event) => {
            of_order("order_suspended", &event.order_id, because("suspended", &event.reason))
        }
        Body::OrderAdjusted(event) => {
            let text = format!("adjusted to {} after a split", Quantity(event.quantity_e9));
            of_order("order_adjusted", &event.order_id, text)
        }
        Body::OrderTriggered(event) => {
            let text = format!("triggered at {}", Price(event.stop_price_e9));
            of_order("order_triggered", &event.order_id, text)
        }
        Body::OrderTrailed(event) => {
            let text = format!("stop trailed to {}", Price(event.stop_price_e9));
            of_order("order_trailed", &event.order_id, text)
        }
        _ => plain("unknown", "", String::new()),
    }
}
