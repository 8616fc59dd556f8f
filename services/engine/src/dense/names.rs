//! Ids of what the dense loop noted, made side by side.
//!
//! A bar's id makes its signal's, that the decision's and the order's, the decision's that of the submission, and
//! that those of what the broker says: as in `contracts::chain_id`, which the general loop calls.

use contracts::v1::OrderSpec;
use contracts::{ShortEventId, ShortOrderId, chain_id};
use domain::series::BarSeries;

use super::chain::{Decided, Expiring, Filling, Named};
use super::{Stop, known};
use crate::host::Host;
use crate::ids::{IdInput, short_ids};

/// What an order is named after and known by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ids {
    pub submitted: ShortEventId,
    pub order: ShortOrderId,
}

impl Ids {
    /// Those of the order that the wish at `place` of `host` leads to, had at the bar of `of` that closes at `ns`.
    pub fn of(host: &Host, of: &BarSeries, place: u32, ns: i64) -> Self {
        let bar = ShortEventId::bar(&of.source, &of.symbol, of.timeframe.name(), ns);
        let signal = ShortEventId::event(bar.as_str(), &host.handler, place);
        let decision = ShortEventId::event(signal.as_str(), chain_id::RISK, 0);
        let submitted = ShortEventId::event(decision.as_str(), chain_id::SUBMIT, 0);
        Self { submitted, order: ShortOrderId::order(signal.as_str(), 0) }
    }
}

/// Inputs of ids, each with a hole for what it is made of.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// By series.
    bars: Vec<IdInput>,
    /// By strategy.
    signals: Vec<IdInput>,
    rest: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    decision: IdInput,
    order: IdInput,
    submitted: IdInput,
    accepted: IdInput,
    expired: IdInput,
    fill: IdInput,
}

/// Where the order's id stands in the handler of a fill.
const FILL_ORDER: usize = chain_id::FILL.len() + EXECUTION.len();
const EXECUTION: &str = "sim-";
const ORDER_DIGITS: usize = 24;

impl Forms {
    pub fn new(hosts: &[Host], series: &[BarSeries]) -> Result<Self, Stop> {
        let bar = |of: &BarSeries| known(IdInput::bar(&of.source, &of.symbol, of.timeframe.name()));
        let event = |handler: &str| known(IdInput::event(handler, 0));
        let answer = |name| event(&format!("{}{name}", chain_id::EXECUTION));
        let hole = "0".repeat(ORDER_DIGITS);
        Ok(Self {
            bars: series.iter().map(bar).collect::<Result<_, _>>()?,
            signals: hosts.iter().map(|host| event(&host.handler)).collect::<Result<_, _>>()?,
            rest: Some(Rest {
                decision: event(chain_id::RISK)?,
                order: known(IdInput::order(OrderSpec::default().leg))?,
                submitted: event(chain_id::SUBMIT)?,
                accepted: answer("accepted")?,
                expired: answer("expired")?,
                fill: event(&format!("{}{EXECUTION}{hole}-0", chain_id::FILL))?,
            }),
        })
    }
}

/// What stands behind an order's id in the name of its execution.
pub(super) fn suffix(number: u32) -> SmallText {
    let mut text = SmallText::default();
    let mut left = number;
    loop {
        text.put(b'0' + u8::try_from(left % 10).unwrap_or_default());
        left /= 10;
        if left == 0 {
            break;
        }
    }
    text.put(b'-');
    text
}

/// A short text that is written from its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SmallText {
    bytes: [u8; 11],
    length: usize,
}

impl SmallText {
    fn put(&mut self, byte: u8) {
        self.length += 1;
        let place = self.bytes.len() - self.length;
        self.bytes[place] = byte;
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.length..]
    }
}

/// Ids, each at the place of what it is of.
#[derive(Debug, Default)]
pub(super) struct Made {
    inputs: Vec<IdInput>,
    bars: Vec<ShortEventId>,
    pub signals: Vec<ShortEventId>,
    pub decisions: Vec<ShortEventId>,
    pub orders: Vec<ShortOrderId>,
    pub submitted: Vec<ShortEventId>,
    pub accepted: Vec<ShortEventId>,
    pub fills: Vec<ShortEventId>,
    pub expired: Vec<ShortEventId>,
}

impl Made {
    pub fn make(
        &mut self,
        forms: &Forms,
        decided: &[Decided],
        others: &[Ids],
        fillings: &[Filling],
        expirings: &[Expiring],
    ) -> Result<(), Stop> {
        let rest = known(forms.rest)?;
        let inputs = &mut self.inputs;
        refill(inputs, decided.iter().map(|one| forms.bars[one.series].closing_at(one.ns)));
        short_ids(inputs, &mut self.bars);
        let signal = |(one, bar): (&Decided, _)| forms.signals[one.host].caused_by(bar).indexed(one.place);
        refill(inputs, decided.iter().zip(&self.bars).map(signal));
        short_ids(inputs, &mut self.signals);
        refill(inputs, self.signals.iter().map(|signal| rest.order.signalled_by(signal)));
        short_ids(inputs, &mut self.orders);
        refill(inputs, self.signals.iter().map(|signal| rest.decision.caused_by(signal)));
        short_ids(inputs, &mut self.decisions);
        refill(inputs, self.decisions.iter().map(|decision| rest.submitted.caused_by(decision)));
        short_ids(inputs, &mut self.submitted);
        refill(inputs, self.submitted.iter().map(|submitted| rest.accepted.caused_by(submitted)));
        short_ids(inputs, &mut self.accepted);
        let (orders, submitted) = (&self.orders, &self.submitted);
        let of = |order: Named| match order {
            Named::Noted(at) => (&submitted[at], &orders[at]),
            Named::Known(at) => (&others[at].submitted, &others[at].order),
        };
        let fill = |one: &Filling| {
            let (submitted, order) = of(one.order);
            let suffix = suffix(one.filled.number);
            let input = match suffix.bytes().len() {
                2 => rest.fill.handled_at(FILL_ORDER + ORDER_DIGITS, suffix.bytes()),
                _ => {
                    let number = one.filled.number;
                    let hole = "0".repeat(ORDER_DIGITS);
                    IdInput::event(&format!("{}{EXECUTION}{hole}-{number}", chain_id::FILL), 0)?
                }
            };
            Some(input.caused_by(submitted).handled_at(FILL_ORDER, order.bytes()))
        };
        inputs.clear();
        for one in fillings {
            inputs.push(known(fill(one))?);
        }
        short_ids(inputs, &mut self.fills);
        refill(inputs, expirings.iter().map(|one| rest.expired.caused_by(of(one.order).0)));
        short_ids(inputs, &mut self.expired);
        Ok(())
    }

    pub fn ids_of(&self, place: usize) -> Ids {
        Ids { submitted: self.submitted[place], order: self.orders[place] }
    }
}

fn refill(inputs: &mut Vec<IdInput>, with: impl Iterator<Item = IdInput>) {
    inputs.clear();
    inputs.extend(with);
}
