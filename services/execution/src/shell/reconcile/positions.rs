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
    /// Compares what the broker holds, and where everything is compared or something is not explained, what it has booked:
    /// asked for behind what it holds, so that the shares of a split come with the word of it.
    pub(super) async fn find_holdings(
        &mut self,
        account: &str,
        whole: bool,
        tallies: &mut Tallies,
    ) -> Result<(), Error> {
        let held = match self.broker.positions(account).await {
            Ok(held) => held,
            Err(error) => {
                self.unfinished(account, tallies, &error);
                None
            }
        };
        self.catch_up().await?;
        for unread in held.iter().flatten().filter_map(|position| position.unread.as_ref()) {
            let found = self.cannot_compare(account, unread).await?;
            tallies.entry(account.to_owned()).or_default().differences += u32::from(found);
        }
        let symbols = held.as_ref().map(|held| self.symbols(account, held)).unwrap_or_default();
        let mut open = Vec::new();
        if let Some(held) = held.as_ref().filter(|_| !is_unfinished(tallies, account)) {
            open.extend(symbols.iter().filter(|symbol| self.unexplained(account, symbol, held).is_some()));
        }
        if whole || !open.is_empty() {
            self.find_activities(account, tallies).await?;
        }
        // An order that was not answered, or one that changed meanwhile, may explain what is there.
        let Some(held) = held.filter(|_| !is_unfinished(tallies, account)) else { return Ok(()) };
        let tally = tallies.entry(account.to_owned()).or_default();
        tally.positions += u32::try_from(symbols.len()).unwrap_or(u32::MAX);
        // A split is there before the open, and here from the open on.
        open.retain(|symbol| !self.awaits_split(account, symbol));
        self.find_positions(account, &open, &held, tallies).await
    }

    /// States that the broker holds something that cannot be read; answers whether it is new. Everything else is compared all
    /// the same.
    async fn cannot_compare(&mut self, account: &str, what: &str) -> Result<bool, Error> {
        let differed = BrokerDiffered {
            account: account.to_owned(),
            kind: DifferenceKind::Position.into(),
            at_broker: "unreadable".to_owned(),
            on_tape: "not compared".to_owned(),
            resolution: DifferenceResolution::Alert.into(),
            detail: format!("{what}, so that it is not compared"),
            ..BrokerDiffered::default()
        };
        self.alert(differed).await
    }

    /// Symbols that the account holds, here or at the broker.
    fn symbols(&self, account: &str, held: &[BrokerPosition]) -> BTreeSet<String> {
        let own = self.machine.book().positions_of(account).map(|row| row.key.symbol.clone());
        own.chain(held.iter().map(|one| one.symbol.clone())).collect()
    }

    /// Records what the broker holds of `symbols` and no order of this tape explains, as `manual`. Nothing is recorded
    /// while an order in the symbol is open: its fills may be on their way. The book is looked at as it is now: what was
    /// asked for took its time.
    async fn find_positions(
        &mut self,
        account: &str,
        symbols: &[&String],
        held: &[BrokerPosition],
        tallies: &mut Tallies,
    ) -> Result<(), Error> {
        let steps: Vec<_> =
            symbols.iter().filter_map(|symbol| self.unexplained(account, symbol, held)).collect();
        let tally = tallies.entry(account.to_owned()).or_default();
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
        if at_broker.is_some_and(|position| position.unread.is_some()) {
            return None;
        }
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
            over: false,
        };
        Some((entry, differed))
    }
}

/// Whether something of the account could not be asked.
fn is_unfinished(tallies: &Tallies, account: &str) -> bool {
    tallies.get(account).is_some_and(|tally| tally.unfinished)
}

/// The part of a position's cost that `shares` of it have.
fn projected(cost: Amount, shares: Quantity, of: Quantity) -> Option<Amount> {
    let product = cost.0.checked_mul(i128::from(shares.0))?;
    (of != Quantity::ZERO).then(|| Amount(product / i128::from(of.0)))
}
