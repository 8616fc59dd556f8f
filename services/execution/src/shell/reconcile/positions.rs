//! Positions: what the broker holds and no order of this tape explains, and what that is worth where no bar says so.

use std::collections::BTreeSet;

use broker::BrokerPosition;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, BrokerDiffered, DifferenceKind, DifferenceResolution, EntryKind, HoldingPrice,
};
use domain::money::{Amount, Quantity};

use super::Tallies;
use crate::shell::{Error, Shell};
use crate::step::Step;

impl Shell {
    /// Records positions that the broker holds and that no order of this tape explains, as `manual`. Nothing is recorded
    /// while an order in the symbol is open: its fills may be on their way.
    pub(super) async fn find_positions(&mut self, account: &str, tallies: &mut Tallies) -> Result<(), Error> {
        let held = match self.broker.positions(account).await {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unfinished(account, tallies, &error);
                return Ok(());
            }
        };
        // An order that was not answered, or one that changed meanwhile, may explain what is there.
        if tallies.get(account).is_some_and(|tally| tally.unfinished) {
            return Ok(());
        }
        self.catch_up().await?;
        let book = self.machine.book();
        let own = book.positions_of(account).map(|row| row.key.symbol.clone());
        let symbols: BTreeSet<String> = own.chain(held.iter().map(|one| one.symbol.clone())).collect();
        let mut steps: Vec<_> =
            symbols.iter().filter_map(|symbol| self.unexplained(account, symbol, &held)).collect();
        if !steps.is_empty() {
            // A split is there before the open, and here from the open on.
            self.find_activities(account, tallies).await?;
            if tallies.get(account).is_some_and(|tally| tally.unfinished) {
                return Ok(());
            }
            // What was asked for took its time: the book is looked at as it is now.
            let due = symbols.iter().filter(|symbol| !self.awaits_split(account, symbol));
            steps = due.filter_map(|symbol| self.unexplained(account, symbol, &held)).collect();
        }
        let tally = tallies.entry(account.to_owned()).or_default();
        tally.positions += u32::try_from(symbols.len()).unwrap_or(u32::MAX);
        tally.differences += u32::try_from(steps.len()).unwrap_or(u32::MAX);
        for (entry, differed) in steps {
            let event_ns = self.known_ns(account);
            self.store_and_log(vec![Step::Found { entry, event_ns }]).await?;
            self.catch_up().await?;
            let key = format!("differed/{}", differed.symbol);
            self.note_of(account, Body::BrokerDiffered(differed), &key).await?;
        }
        self.catch_up().await?;
        let now_ns = self.known_ns(account);
        let news = held.iter().filter_map(|position| {
            let price = position.price?;
            let news = self.machine.is_news(account, &position.symbol, price, now_ns);
            news.then(|| HoldingPrice { symbol: position.symbol.clone(), price_e9: price.0 })
        });
        let prices = news.collect();
        tallies.entry(account.to_owned()).or_default().prices = prices;
        Ok(())
    }

    /// The entry that explains what is held of `symbol` at the broker, and the difference that it settles.
    fn unexplained(
        &self,
        account: &str,
        symbol: &str,
        held: &[BrokerPosition],
    ) -> Option<(AccountEntry, BrokerDiffered)> {
        let book = self.machine.book();
        let mut open = book.open_orders();
        if open.any(|order| {
            order.spec.account == account && order.spec.symbol == symbol && order.submitted_ns.is_some()
        }) {
            return None;
        }
        let at_broker = held.iter().find(|position| position.symbol == symbol);
        let there = at_broker.map_or(Quantity::ZERO, |position| position.quantity);
        let here = book.net_quantity(account, symbol);
        let more = there.checked_sub(here).filter(|more| *more != Quantity::ZERO)?;
        let average = at_broker.and_then(|position| projected(position.cost, more, there));
        let own = book.position(account, contracts::MANUAL, symbol);
        let leaves = own.filter(|own| own.quantity.0.signum() * more.0.signum() < 0);
        // Shares that are there no more take their cost with them.
        let cost = leaves
            .and_then(|own| own.cost_of_shares(Quantity(-more.0)).map(|cost| -cost))
            .or(average)
            .unwrap_or_default();
        // What is there no more was worth what it was last known to be.
        let last = self.machine.prices.get(symbol).map(|known| known.price);
        let price = at_broker.map_or(last, |position| position.price);
        let entry = AccountEntry {
            account: account.to_owned(),
            kind: EntryKind::External.into(),
            price_e9: price.map(|price| price.0),
            strategy: contracts::MANUAL.to_owned(),
            symbol: symbol.to_owned(),
            amount: cost.to_wire(),
            quantity_e9: more.0,
            reason: format!("the broker holds {there}, the tape {here}"),
            ..AccountEntry::default()
        };
        let differed = BrokerDiffered {
            account: account.to_owned(),
            kind: DifferenceKind::Position.into(),
            symbol: symbol.to_owned(),
            order_id: String::new(),
            at_broker: there.to_string(),
            on_tape: here.to_string(),
            resolution: DifferenceResolution::Adopted.into(),
            detail: format!("{more} attributed to {}", contracts::MANUAL),
        };
        Some((entry, differed))
    }
}

/// The part of a position's cost that `shares` of it have.
fn projected(cost: Amount, shares: Quantity, of: Quantity) -> Option<Amount> {
    let product = cost.0.checked_mul(i128::from(shares.0))?;
    (of != Quantity::ZERO).then(|| Amount(product / i128::from(of.0)))
}
