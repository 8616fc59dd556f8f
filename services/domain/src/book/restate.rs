//! A position worked out again: what a correction or a bust of one of its executions makes of it.
//!
//! An average cost has forgotten its fills, so it cannot be corrected in place. [`refold`] takes everything that ever
//! happened to one position and folds it anew, with the execution as it is now known. Whoever records the correction
//! states the outcome in the event; the fold checks that it neither makes nor loses money and takes it over.
//!
//! A split in between is applied in the proportion in which it changed the position as recorded; dividends and cash in
//! lieu stay what was paid.

use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, EntryKind, Event, FillBusted, FillCorrected, PositionStated, Side};

use super::{Book, Changes, FoldError, Lots, PositionKey, PositionState};
use crate::money::{Amount, Price, Quantity};
use crate::order::signed;

/// An execution as a correction leaves it; a quantity of zero is a bust.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Now {
    order_id: String,
    execution_id: String,
    quantity: Quantity,
    price: Price,
    commission: Amount,
}

/// The position `key` after all of `events` and then `correction` (a `FillCorrected` or a `FillBusted`), as if every
/// corrected execution had been right from the beginning. `events` are the fills, corrections, transfers and entries of
/// the position in the order of the tape; others are passed over.
pub fn refold(key: &PositionKey, events: &[Event], correction: &Body) -> Result<PositionStated, FoldError> {
    let mut now: Vec<Now> =
        events.iter().filter_map(|event| event.body.as_ref()).filter_map(corrected).collect();
    now.extend(corrected(correction));
    let mut folded = Folded {
        as_recorded: PositionState::new(key.clone()),
        position: PositionState::new(key.clone()),
        lots: Lots::default(),
    };
    for event in events {
        let at_ns = event.event_time.as_ref().and_then(contracts::from_timestamp).unwrap_or_default();
        match &event.body {
            Some(Body::Fill(fill)) if key.is_of(&fill.account, &fill.strategy, &fill.symbol) => {
                let known = now
                    .iter()
                    .rev()
                    .find(|now| now.order_id == fill.order_id && now.execution_id == fill.execution_id);
                let recorded = (
                    Quantity(fill.quantity_e9),
                    Price(fill.price_e9),
                    Amount::from_wire(fill.commission.as_ref()),
                );
                let right = known.map_or(recorded, |now| (now.quantity, now.price, now.commission));
                folded.trade(fill.side(), recorded, right, at_ns)?;
            }
            Some(Body::AccountEntry(entry)) if key.is_of(&entry.account, &entry.strategy, &entry.symbol) => {
                folded.entry(entry, at_ns)?;
            }
            Some(Body::PositionTransferred(moved))
                if moved.account == key.account && moved.symbol == key.symbol =>
            {
                let (quantity, cost) = (Quantity(moved.quantity_e9), Amount::from_wire(moved.cost.as_ref()));
                if moved.from_strategy == key.strategy {
                    folded.receive(Quantity(-quantity.0), -cost, at_ns)?;
                } else if moved.to_strategy == key.strategy {
                    folded.receive(quantity, cost, at_ns)?;
                }
            }
            _ => {}
        }
    }
    let Folded { position, lots, .. } = folded;
    Ok(PositionStated {
        quantity_e9: position.quantity.0,
        cost: position.cost.to_wire(),
        realized_pnl: position.realized_pnl.to_wire(),
        fees: position.fees.to_wire(),
        lots: lots.to_wire(),
        fifo_realized_pnl: lots.realized.to_wire(),
    })
}

fn corrected(body: &Body) -> Option<Now> {
    match body {
        Body::FillCorrected(event) => Some(Now {
            order_id: event.order_id.clone(),
            execution_id: event.execution_id.clone(),
            quantity: Quantity(event.quantity_e9),
            price: Price(event.price_e9),
            commission: Amount::from_wire(event.commission.as_ref()),
        }),
        Body::FillBusted(event) => Some(Now {
            order_id: event.order_id.clone(),
            execution_id: event.execution_id.clone(),
            quantity: Quantity::ZERO,
            price: Price(event.price_e9),
            commission: Amount::ZERO,
        }),
        _ => None,
    }
}

struct Folded {
    /// With every execution as first reported: splits state their outcome for this one.
    as_recorded: PositionState,
    position: PositionState,
    lots: Lots,
}

impl Folded {
    fn trade(
        &mut self,
        side: Side,
        recorded: (Quantity, Price, Amount),
        right: (Quantity, Price, Amount),
        at_ns: i64,
    ) -> Result<(), FoldError> {
        self.as_recorded.trade(signed(side, recorded.0), recorded.1)?;
        if right.0 != Quantity::ZERO {
            self.position.trade(signed(side, right.0), right.1)?;
            self.lots.trade(signed(side, right.0), right.1, at_ns);
        }
        self.position.add_fees(right.2)
    }

    fn receive(&mut self, quantity: Quantity, value: Amount, at_ns: i64) -> Result<(), FoldError> {
        self.as_recorded.receive(quantity, value)?;
        self.position.receive(quantity, value)?;
        self.lots.receive(quantity, value, at_ns);
        Ok(())
    }

    fn entry(&mut self, entry: &AccountEntry, at_ns: i64) -> Result<(), FoldError> {
        let amount = Amount::from_wire(entry.amount.as_ref());
        match entry.kind() {
            EntryKind::External => self.receive(Quantity(entry.quantity_e9), amount, at_ns),
            EntryKind::CashInLieu => {
                self.as_recorded.cash_in_lieu(amount)?;
                self.lots.cash_in_lieu(self.position.fraction, amount);
                self.position.cash_in_lieu(amount).map(drop)
            }
            EntryKind::Split => {
                let after = (Quantity(entry.quantity_after_e9), Quantity(entry.fraction_e9));
                let total = |position: &PositionState| position.total_quantity().unwrap_or_default().0;
                let (before, held) = (total(&self.as_recorded), total(&self.position));
                self.as_recorded.split(after.0, after.1)?;
                if before == 0 || held == 0 {
                    return Ok(());
                }
                let scaled = i128::from(held) * (i128::from(after.0.0) + i128::from(after.1.0));
                let scaled = i64::try_from(scaled / i128::from(before));
                let scaled =
                    Quantity(scaled.map_err(|_| FoldError::overflow("quantity", entry.symbol.clone()))?);
                let whole = if held == before { after.0 } else { scaled.whole() };
                self.position.split(whole, Quantity(scaled.0 - whole.0))?;
                self.lots.split(scaled);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What a correction changes, besides the position.
pub(super) struct Correction<'event> {
    pub order_id: &'event str,
    pub key: PositionKey,
    pub side: Side,
    pub before: (Quantity, Price, Amount),
    pub after: (Quantity, Price, Amount),
    pub stated: Option<&'event PositionStated>,
}

impl<'event> Correction<'event> {
    /// An execution that is known better now.
    pub fn of(event: &'event FillCorrected) -> Self {
        let before = Amount::from_wire(event.commission_before.as_ref());
        let after = Amount::from_wire(event.commission.as_ref());
        Self {
            order_id: &event.order_id,
            key: PositionKey::new(&event.account, &event.strategy, &event.symbol),
            side: event.side(),
            before: (Quantity(event.quantity_before_e9), Price(event.price_before_e9), before),
            after: (Quantity(event.quantity_e9), Price(event.price_e9), after),
            stated: event.position.as_ref(),
        }
    }

    /// An execution that never was.
    pub fn void(event: &'event FillBusted) -> Self {
        let (price, commission) = (Price(event.price_e9), Amount::from_wire(event.commission.as_ref()));
        Self {
            order_id: &event.order_id,
            key: PositionKey::new(&event.account, &event.strategy, &event.symbol),
            side: event.side(),
            before: (Quantity(event.quantity_e9), price, commission),
            after: (Quantity::ZERO, price, Amount::ZERO),
            stated: event.position.as_ref(),
        }
    }
}

impl Book {
    /// Folds a correction or a bust: the order, the position as it is stated, cash and fees.
    pub(super) fn restated(
        &mut self,
        correction: &Correction<'_>,
        sequence: u64,
        event_ns: i64,
        body: &Body,
    ) -> Result<Changes, FoldError> {
        let order_id = correction.order_id;
        let known = self.order(order_id);
        let known = known.ok_or_else(|| FoldError::OrderNotLoaded { order_id: order_id.to_owned() })?;
        let stated = correction.stated.ok_or_else(|| FoldError::field("position", "missing"))?;
        let mut order = known.clone();
        order.evolve(sequence, event_ns, body)?;
        let mut position = self.position_row(correction.key.clone());
        let mut account = self.account_row(&correction.key.account);
        let value = |(quantity, price, _): (Quantity, Price, Amount)| {
            Amount::notional(price, signed(correction.side, quantity))
        };
        let overflow = |field| FoldError::overflow(field, correction.key.to_string());
        let more =
            value(correction.after).checked_sub(value(correction.before)).ok_or_else(|| overflow("cash"))?;
        let fees = correction.after.2.checked_sub(correction.before.2).ok_or_else(|| overflow("fees"))?;
        let amount = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref());
        let (cost, realized) = (amount(&stated.cost), amount(&stated.realized_pnl));
        let (was_cost, was_realized) = (position.cost, position.realized_pnl);
        let change = cost.checked_sub(was_cost).ok_or_else(|| overflow("cost"))?;
        let profit = realized.checked_sub(was_realized).ok_or_else(|| overflow("realized_pnl"))?;
        if change.checked_sub(profit) != Some(more) {
            let problem =
                format!("{change} of cost and {profit} of profit for {more}: money that is made or lost");
            return Err(FoldError::field("position", problem));
        }
        position.quantity = Quantity(stated.quantity_e9);
        (position.cost, position.realized_pnl) = (cost, realized);
        position.fees = amount(&stated.fees);
        position.updated_ns = event_ns;
        account.add_cash(-more)?;
        account.add_cash(-fees)?;
        account.fees = account.fees.checked_add(fees).ok_or_else(|| overflow("fees"))?;
        account.realized_pnl =
            account.realized_pnl.checked_add(profit).ok_or_else(|| overflow("realized_pnl"))?;
        let mut changes = self.store_account(account);
        self.lots.insert(position.key.clone(), Lots::from_wire(stated));
        self.store_position(position, &mut changes);
        changes.orders.push(order_id.to_owned());
        self.admit(order);
        Ok(changes)
    }
}
