//! One event on one line, for people.

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Money, OrderSpec, Side, Verdict};
use domain::money::{Amount, Price, Quantity, Volume};
use domain::risk::breaker;
use projections::Description;

/// Market time, what happened and to whom, in one line without the sequence.
pub fn summary(event: &Event) -> String {
    let Some(body) = event.body.as_ref() else { return "empty".to_owned() };
    match body {
        Body::Bar(bar) => format!(
            "bar {} {} open {} high {} low {} close {} volume {}",
            bar.symbol,
            bar.timeframe,
            Price(bar.open_e9),
            Price(bar.high_e9),
            Price(bar.low_e9),
            Price(bar.close_e9),
            Volume(bar.volume_e3)
        ),
        Body::BarRevision(revision) => {
            let bar = revision.bar.clone().unwrap_or_default();
            format!("revision {} {} close {}", bar.symbol, bar.timeframe, Price(bar.close_e9))
        }
        Body::CorporateAction(action) => format!(
            "{} {} {} on {}",
            action.kind().name(),
            action.symbol,
            Price(action.value_e9),
            action.ex_date
        ),
        Body::SessionChange(session) => {
            format!("session {} {} {}", session.exchange, session.date, word(session.phase().as_str_name()))
        }
        Body::QualityFinding(finding) => {
            format!("quality {} {}: {}", finding.symbol, finding.rule, finding.detail)
        }
        Body::Signal(signal) => {
            let legs: Vec<String> =
                signal.legs.iter().map(|leg| format!("{} {}", intent(leg.intent()), leg.symbol)).collect();
            format!("signal {} {} ({})", signal.strategy, legs.join(", "), signal.reason)
        }
        Body::RiskDecision(decision) => match decision.verdict() {
            Verdict::Approved => {
                let orders: Vec<String> = decision.orders.iter().map(order).collect();
                format!("approved {} {}", decision.strategy, orders.join(", "))
            }
            Verdict::Shadowed => format!("shadowed {}", decision.strategy),
            Verdict::Denied | Verdict::Unspecified => {
                let mut symbols: Vec<&str> =
                    decision.inputs.iter().map(|input| input.symbol.as_str()).collect();
                symbols.dedup();
                let symbols = symbols.join(", ");
                format!("denied {} {symbols} by {}: {}", decision.strategy, decision.rule, decision.reason)
            }
        },
        Body::Fill(fill) => format!(
            "fill {} {} {} at {} commission {} ({})",
            side(fill.side()),
            Quantity(fill.quantity_e9),
            fill.symbol,
            Price(fill.price_e9),
            money(fill.commission.as_ref()),
            fill.strategy
        ),
        Body::AccountMarked(mark) => format!(
            "mark {} equity {} cash {} exposure {}",
            mark.account,
            money(mark.equity.as_ref()),
            money(mark.cash.as_ref()),
            money(mark.gross_exposure.as_ref())
        ),
        Body::AccountEntry(entry) => format!(
            "{} {} {} {}",
            entry
                .kind()
                .as_str_name()
                .trim_start_matches("ENTRY_KIND_")
                .to_ascii_lowercase()
                .replace('_', " "),
            entry.account,
            entry.symbol,
            money(entry.amount.as_ref())
        ),
        Body::OrderSubmitted(submitted) => {
            let spec = submitted.order.clone().unwrap_or_default();
            format!("submitted {} [{}]", order(&spec), spec.order_id)
        }
        other => control(event, other),
    }
}

fn control(event: &Event, body: &Body) -> String {
    match body {
        Body::OrderAccepted(event) => format!("accepted [{}]", event.order_id),
        Body::OrderRejected(event) => format!("rejected [{}] {}", event.order_id, event.reason),
        Body::OrderCancelRequested(event) => {
            format!("cancel requested by {} [{}] {}", event.actor, event.order_id, event.reason)
        }
        Body::OrderCancelled(event) => format!("cancelled [{}] {}", event.order_id, event.reason),
        Body::OrderCancelRejected(event) => format!("cancel rejected [{}] {}", event.order_id, event.reason),
        Body::OrderReplaceRequested(event) => format!("replace requested [{}]", event.order_id),
        Body::OrderReplaced(event) => format!("replaced [{}]", event.order_id),
        Body::OrderReplaceRejected(event) => {
            format!("replace rejected [{}] {}", event.order_id, event.reason)
        }
        Body::OrderExpired(event) => format!("expired [{}] {}", event.order_id, event.reason),
        Body::OrderSuspended(event) => format!("suspended [{}] {}", event.order_id, event.reason),
        Body::OrderAdjusted(event) => {
            format!("adjusted [{}] to {}", event.order_id, Quantity(event.quantity_e9))
        }
        Body::OrderTriggered(event) => {
            format!("triggered [{}] at {}", event.order_id, Price(event.stop_price_e9))
        }
        Body::OrderTrailed(event) => {
            format!("trailed [{}] to {}", event.order_id, Price(event.stop_price_e9))
        }
        Body::OrderUnresolved(event) => {
            format!("no answer to {} [{}] {}", event.doing, event.order_id, event.problem)
        }
        Body::FillCorrected(event) => format!(
            "fill {} corrected [{}] to {} at {}",
            event.number,
            event.order_id,
            Quantity(event.quantity_e9),
            Price(event.price_e9)
        ),
        Body::FillBusted(event) => {
            format!("fill {} busted [{}] {}", event.number, event.order_id, event.reason)
        }
        Body::InvariantBroken(event) => {
            let how = if event.mended { "holds again" } else { "broken" };
            format!("invariant {} {} {how}: {}", event.number, event.name, event.detail)
        }
        Body::GroupHandled(event) => format!(
            "group {} of {} {}: {} cancels, {} orders{}{}",
            event.group_id,
            event.strategy,
            event.failure,
            event.cancels.len(),
            event.orders.len(),
            if event.done { ", done" } else { "" },
            if event.open.is_empty() { String::new() } else { format!("; {}", event.open) }
        ),
        Body::PositionTransferred(event) => format!(
            "{} {} from {} to {} on {}",
            Quantity(event.quantity_e9),
            event.symbol,
            event.from_strategy,
            event.to_strategy,
            event.account
        ),
        Body::MarginCalled(event) => format!(
            "margin call {} equity {} requirement {}",
            event.account,
            money(event.equity.as_ref()),
            money(event.requirement.as_ref())
        ),
        Body::MarginRestored(event) => format!(
            "margin restored {} equity {} requirement {}",
            event.account,
            money(event.equity.as_ref()),
            money(event.requirement.as_ref())
        ),
        Body::AccountConfigured(event) => format!("account {} version {}", event.account, event.version),
        Body::TradingHalted(event) => {
            let state = breaker::state_name(event.state()).replace('_', "-");
            format!("{state} {} by {}: {}", all(&event.account), event.actor, event.reason)
        }
        Body::TradingResumed(event) => {
            format!("resumed {} by {}: {}", all(&event.account), event.actor, event.reason)
        }
        Body::StrategyRegistered(event) => format!("strategy {} registered ({})", event.strategy, event.kind),
        Body::StrategyEnabled(event) => {
            format!("strategy {} enabled, {}", event.strategy, word(event.mode().as_str_name()))
        }
        Body::StrategyDisabled(event) => format!("strategy {} disabled {}", event.strategy, event.reason),
        Body::StrategyRemoved(event) => format!("strategy {} removed {}", event.strategy, event.reason),
        Body::StrategyWarmed(event) => {
            format!("strategy {} warmed with {} bars", event.strategy, event.bars)
        }
        Body::ProjectionRequested(event) => {
            let task = event.task().name().unwrap_or("nothing");
            format!("projection {} {task} asked for by {}", event.projection, event.actor)
        }
        Body::ProjectionFinished(event) => {
            let task = event.task().name().unwrap_or("nothing");
            let outcome = word(event.outcome().as_str_name());
            format!("projection {} {task} {outcome} {} {}", event.projection, event.state_hash, event.detail)
        }
        Body::BacktestRequested(event) => format!("backtest {} asked for by {}", event.run_id, event.actor),
        Body::BacktestStarted(event) => format!("backtest {} begun, attempt {}", event.run_id, event.attempt),
        Body::BacktestCancelRequested(event) => {
            format!("backtest {} to be cancelled, says {} {}", event.run_id, event.actor, event.reason)
        }
        Body::BacktestFinished(event) => {
            let outcome = word(event.outcome().as_str_name());
            format!("backtest {} {outcome} {} {}", event.run_id, event.result_hash, event.detail)
        }
        Body::LogRecord(record) => format!("{} {} {}", record.level, record.service, record.message),
        Body::Heartbeat(beat) => format!("heartbeat {} {} {}", beat.service, beat.state, beat.detail),
        Body::Audit(audit) => {
            format!("audit {} {} {} {}", audit.actor, audit.action, audit.target, audit.detail)
        }
        Body::Parked(parked) => {
            format!("parked by {} {} {}: {}", parked.service, parked.stream, parked.sequence, parked.reason)
        }
        Body::ParkedResolved(event) => format!("parked {} {}", event.parked_id, event.resolution),
        // Limits, breakers, the kill switch, the monitor: as the pages word them.
        _ => {
            let Description { kind, text } = projections::describe(event);
            format!("{} {text}", kind.replace('_', " "))
        }
    }
}

fn all(account: &str) -> &str {
    if account.is_empty() { "all accounts" } else { account }
}

/// The last word of a wire name: `SESSION_PHASE_OPENED` is `opened`.
fn word(name: &str) -> String {
    name.rsplit('_').next().unwrap_or(name).to_ascii_lowercase()
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
        Side::Unspecified => "?",
    }
}

fn intent(intent: Intent) -> &'static str {
    match intent {
        Intent::EnterLong => "enter long",
        Intent::EnterShort => "enter short",
        Intent::Exit => "exit",
        Intent::Target => "target",
        Intent::Buy => "buy",
        Intent::Sell => "sell",
        Intent::Unspecified => "?",
    }
}

fn order(order: &OrderSpec) -> String {
    format!("{} {} {}", side(order.side()), Quantity(order.quantity_e9), order.symbol)
}

fn money(money: Option<&Money>) -> String {
    Amount::from_wire(money).to_string()
}

/// UTC nanoseconds as RFC 3339, without a fraction where there is none.
pub fn time(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
