//! Differences: settled by the report that was missing, and stated with what became of them.

use std::collections::BTreeSet;

use broker::Report;
use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{BrokerDiffered, DifferenceKind, DifferenceResolution};
use domain::money::Quantity;
use domain::order::{BrokerReport, OrderState};
use event_log::events_under;

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

    /// States something that nobody can settle here, once for as long as it stands; answers whether it is new.
    pub(super) async fn alert(&mut self, differed: BrokerDiffered) -> Result<bool, Error> {
        if !self.standing.find(&differed) {
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
        let (account, order_id) = (differed.account.clone(), differed.order_id.clone());
        self.note_of(&account, Body::BrokerDiffered(differed), &format!("alert/{order_id}")).await?;
        Ok(true)
    }

    /// Begins a comparison; the first one of a process reads what the tape says that stands.
    pub(super) async fn recall_standing(&mut self) -> Result<(), Error> {
        self.standing.found.clear();
        if self.standing.recalled {
            return Ok(());
        }
        let subject = "account.*.differed".to_owned();
        let all = events_under(&self.context.tape, stream::TRADING, &[subject], 1..=u64::MAX).await?;
        for recorded in all {
            if let Some(Body::BrokerDiffered(differed)) = recorded.event.body {
                self.standing.take(&differed);
            }
        }
        self.standing.recalled = true;
        Ok(())
    }

    /// Orders of which something stands. They are compared whenever everything is, however long ago they ended: what was not
    /// looked at is not over.
    pub(super) async fn orders_at_odds(&mut self) -> BTreeSet<String> {
        let order_ids = self.standing.orders(|account| self.broker.is_remote_for(account));
        for order_id in &order_ids {
            self.bring(order_id).await;
        }
        order_ids
    }

    /// States that what stood of an account is over, as far as a comparison of all of it did not find it.
    pub(super) async fn end_standing(&mut self, account: &str) -> Result<(), Error> {
        for differed in self.standing.gone(account) {
            // One that the read model did not bring was not compared.
            if !differed.order_id.is_empty() && self.machine.book().order(&differed.order_id).is_none() {
                continue;
            }
            let over = BrokerDiffered { over: true, ..differed };
            tracing::info!(account, order_id = over.order_id, "not found any more: {}", over.detail);
            self.standing.take(&over);
            let key = format!("over/{}", over.order_id);
            self.note_of(account, Body::BrokerDiffered(over), &key).await?;
        }
        Ok(())
    }
}

/// What nobody can settle here, as it is stated.
#[derive(Debug, Default)]
pub(in crate::shell) struct Unsettled {
    /// Whether it was read of the tape.
    recalled: bool,
    /// What stands, in the order in which it was stated.
    open: Vec<BrokerDiffered>,
    /// Cash that moved: it has moved, and is said once, although a list of the last days names it no more.
    moved: Vec<BrokerDiffered>,
    /// What the present comparison found.
    found: Vec<BrokerDiffered>,
}

impl Unsettled {
    /// Takes what the tape says of a difference.
    fn take(&mut self, differed: &BrokerDiffered) {
        if differed.resolution() != DifferenceResolution::Alert {
            return;
        }
        let stated = BrokerDiffered { over: false, ..differed.clone() };
        self.open.retain(|open| *open != stated);
        if differed.over {
            return;
        }
        if stated.kind() == DifferenceKind::Cash && !self.moved.contains(&stated) {
            self.moved.push(stated.clone());
        }
        self.open.push(stated);
    }

    /// Notes what a comparison found; answers whether it is to be stated.
    fn find(&mut self, differed: &BrokerDiffered) -> bool {
        if !self.found.contains(differed) {
            self.found.push(differed.clone());
        }
        let is_new = !self.open.contains(differed) && !self.moved.contains(differed);
        if is_new {
            self.take(differed);
        }
        is_new
    }

    /// Orders of which something stands, of the accounts that are `asked` of.
    fn orders(&self, asked: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let of_orders = self.open.iter().filter(|open| !open.order_id.is_empty() && asked(&open.account));
        of_orders.map(|open| open.order_id.clone()).collect()
    }

    /// What stood of an account and was not found.
    fn gone(&self, account: &str) -> Vec<BrokerDiffered> {
        let own = self.open.iter().filter(|open| open.account == account);
        own.filter(|open| !self.found.contains(open)).cloned().collect()
    }

    /// How many differences stand, and the last one; empty without any.
    pub(in crate::shell) fn words(&self) -> String {
        let Some(last) = self.open.last() else { return String::new() };
        let which = match self.open.len() {
            1 => "a difference with a broker".to_owned(),
            number => format!("{number} differences with brokers, the last one"),
        };
        format!("to be looked at: {which} of account {}: {}", last.account, last.detail)
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
