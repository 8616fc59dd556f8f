//! An operator's orders before there are any: asked for, or denied.
//!
//! A strategy's signals are wishes without a size, and their denials stand in `risk_decisions`. An operator's order is
//! an order from the start: its row shows that it was asked for, and why risk said no.

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, OrderSpec, RiskDecision, Side, Signal, Verdict};
use domain::order::OrderStage;
use event_log::Recorded;

use super::{Trading, state, tables};

impl Trading {
    /// Adds the rows of what an operator asks for with this event, or what risk denied with it; `asked` is the signal that
    /// a decision answers.
    pub(super) fn requests(&mut self, recorded: &Recorded, asked: Option<&Event>) {
        match (&recorded.event.body, asked.and_then(|asked| asked.body.as_ref())) {
            (Some(Body::Signal(signal)), _) => {
                self.rows_of(signal, &recorded.event, None, recorded.sequence);
            }
            (Some(Body::RiskDecision(decision)), Some(Body::Signal(signal)))
                if decision.verdict() != Verdict::Approved =>
            {
                if let Some(asked) = asked {
                    self.rows_of(signal, asked, Some(decision), recorded.sequence);
                }
            }
            _ => {}
        }
    }

    fn rows_of(&mut self, signal: &Signal, event: &Event, denied: Option<&RiskDecision>, sequence: u64) {
        if signal.strategy != contracts::MANUAL {
            return;
        }
        for (index, leg) in (0_u32..).zip(&signal.legs).filter(|(_, leg)| leg.replaces.is_empty()) {
            let side = match leg.intent() {
                Intent::Sell | Intent::EnterShort => Side::Sell,
                _ => Side::Buy,
            };
            let spec = OrderSpec {
                order_id: contracts::order_id(&event.id, index),
                account: denied.map_or(&signal.account, |denied| &denied.account).clone(),
                strategy: signal.strategy.clone(),
                symbol: leg.symbol.clone(),
                side: side.into(),
                order_type: leg.order_type,
                time_in_force: leg.time_in_force,
                quantity_e9: leg.quantity_e9.unwrap_or_default(),
                limit_price_e9: leg.limit_price_e9,
                stop_price_e9: leg.stop_price_e9,
                trail_price_e9: leg.trail_price_e9,
                trail_rate_e9: leg.trail_rate_e9,
                extended_hours: leg.extended_hours,
                notional_e9: leg.notional_e9,
                leg: index,
                ..OrderSpec::default()
            };
            let stage = if denied.is_some() { OrderStage::Denied } else { OrderStage::Requested };
            let reason =
                denied.map_or_else(String::new, |denied| format!("{}: {}", denied.rule, denied.reason));
            let cells = state::request(&spec, stage, event, &reason, sequence);
            self.push(&tables::ORDERS, cells);
        }
    }
}
