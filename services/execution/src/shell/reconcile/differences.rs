//! Differences: settled by the report that was missing, and stated with what became of them.

use broker::Report;
use contracts::v1::event::Body;
use contracts::v1::{BrokerDiffered, DifferenceKind, DifferenceResolution};
use domain::money::Quantity;
use domain::order::{BrokerReport, OrderState};

use crate::shell::{Error, Shell};

impl Shell {
    /// Folds a report that was missing and states it; answers whether it was missing.
    pub(super) async fn settle(&mut self, order_id: &str, report: BrokerReport) -> Result<bool, Error> {
        self.catch_up().await?;
        let Some(before) = self.machine.book().order(order_id).cloned() else { return Ok(false) };
        // The answer to what this program asked for is no difference.
        let awaited = before.accepted_ns.is_none() && !matches!(report, BrokerReport::Filled(_))
            || matches!(report, BrokerReport::Accepted { .. }) && before.resolving == "submit";
        let mut differed = described(&before, &report);
        let told = Report { order_id: order_id.to_owned(), report };
        let step = self.unasked(told.clone());
        let refused = match self.machine.decide(&step) {
            Ok(None) => return Ok(false),
            Ok(Some(_)) => None,
            Err(error) => Some(error.to_string()),
        };
        self.take_unasked(vec![told]).await?;
        self.catch_up().await?;
        let after = self.machine.book().order(order_id).map_or(0, |order| order.last_sequence);
        if awaited && refused.is_none() {
            return Ok(false);
        }
        if after == before.last_sequence {
            differed.resolution = DifferenceResolution::Alert.into();
            differed.detail = refused.unwrap_or_else(|| "it could not be taken over".to_owned());
            return self.alert(differed).await;
        }
        let account = before.spec.account.clone();
        let key = format!("differed/{order_id}/{after}");
        self.note_of(&account, Body::BrokerDiffered(differed), &key).await?;
        Ok(true)
    }

    /// States something that nobody can settle here, once; answers whether it is new.
    pub(super) async fn alert(&mut self, differed: BrokerDiffered) -> Result<bool, Error> {
        let key = format!("{differed:?}");
        if !self.stated.insert(key) {
            return Ok(false);
        }
        tracing::warn!(
            account = differed.account,
            order_id = differed.order_id,
            "{} at the broker, {} here: {}",
            differed.at_broker,
            differed.on_tape,
            differed.detail
        );
        let which = match self.stated.len() {
            1 => "a difference with a broker".to_owned(),
            number => format!("{number} differences with brokers since the start, the last one"),
        };
        self.to_look_at =
            format!("to be looked at: {which} of account {}: {}", differed.account, differed.detail);
        let (account, order_id) = (differed.account.clone(), differed.order_id.clone());
        self.note_of(&account, Body::BrokerDiffered(differed), &format!("alert/{order_id}")).await?;
        Ok(true)
    }
}

pub(super) fn of_order(order: &OrderState, kind: DifferenceKind) -> BrokerDiffered {
    BrokerDiffered {
        account: order.spec.account.clone(),
        kind: kind.into(),
        symbol: order.spec.symbol.clone(),
        order_id: order.id().to_owned(),
        ..BrokerDiffered::default()
    }
}

/// The difference that a missing report settles.
fn described(order: &OrderState, report: &BrokerReport) -> BrokerDiffered {
    let stage = order.stage().name().to_owned();
    let of_tape = |id: &str| match order.execution(id) {
        Some(known) => format!("{} at {}", known.quantity, known.price),
        None => "nothing".to_owned(),
    };
    let (kind, at_broker, on_tape, resolution) = match report {
        BrokerReport::Filled(execution) => {
            let there = format!("{} at {}", execution.quantity, execution.price);
            (DifferenceKind::Fill, there, "nothing".to_owned(), DifferenceResolution::Adopted)
        }
        BrokerReport::Corrected { execution, .. } => {
            let there = format!("{} at {}", execution.quantity, execution.price);
            let here = of_tape(&execution.execution_id);
            (DifferenceKind::Fill, there, here, DifferenceResolution::Corrected)
        }
        BrokerReport::Busted { execution_id, .. } => {
            let here = of_tape(execution_id);
            (DifferenceKind::Fill, "nothing".to_owned(), here, DifferenceResolution::Corrected)
        }
        BrokerReport::Replaced(terms) => {
            let price = terms.limit.or(terms.stop).map(|price| format!(" at {price}")).unwrap_or_default();
            let there = format!("{}{price}", terms.quantity);
            let here = Quantity(order.spec.quantity_e9).to_string();
            (DifferenceKind::Order, there, here, DifferenceResolution::Adopted)
        }
        other => (DifferenceKind::Order, word(other).to_owned(), stage, DifferenceResolution::Corrected),
    };
    BrokerDiffered { at_broker, on_tape, resolution: resolution.into(), ..of_order(order, kind) }
}

const fn word(report: &BrokerReport) -> &'static str {
    match report {
        BrokerReport::Accepted { .. } | BrokerReport::Reopened { .. } => "accepted",
        BrokerReport::Rejected { .. } => "rejected",
        BrokerReport::Cancelled { .. } => "cancelled",
        BrokerReport::Expired { .. } => "expired",
        BrokerReport::Suspended { .. } => "suspended",
        BrokerReport::ReplaceRejected { .. } => "not replaced",
        BrokerReport::CancelRejected { .. } => "not cancelled",
        _ => "changed",
    }
}
