//! The canonical encoding of the dense loop's events, written from the last byte to the first.
//!
//! Backwards the length of a part is known when it has been written, so that every byte is written once, at its
//! place. The bytes are those that `prost` makes of the same event: fields in tag order, nothing that has its
//! default. What is alike in many events, the names, is encoded once ([`Pieces`]).
//!
//! Deliberately absent: fields that the dense loop never states.

use contracts::v1::{OrderType, Side, TimeInForce, Verdict};
use contracts::{ShortEventId, ShortId, ShortOrderId, frame};
use domain::matching::kernel::Filled;
use domain::money::{Amount, E9};
use domain::risk::SessionAnswer;
use domain::risk::kernel::{Deny, LegInput, Sized};

use super::chain::Wished;
use super::names::suffix;
use crate::run::BROKER;

// Tags of the bodies of `tapedeck.v1.Event`.
const SIGNAL: u32 = 40;
const RISK_DECISION: u32 = 41;
const ORDER_SUBMITTED: u32 = 50;
const ORDER_ACCEPTED: u32 = 51;
const ORDER_EXPIRED: u32 = 59;
const FILL: u32 = 70;

const VARINT: u32 = 0;
const EIGHT_BYTES: u32 = 1;
const BYTES: u32 = 2;

/// Bytes that grow towards their beginning.
#[derive(Debug, Default)]
pub(super) struct Backwards {
    bytes: Vec<u8>,
    at: usize,
}

impl Backwards {
    /// Begins anew, with nothing written.
    pub fn clear(&mut self) {
        self.at = self.bytes.len();
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Bytes written so far; the difference of two is the length of what lies between.
    fn length(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[cold]
    fn make_room(&mut self, wanted: usize) {
        let (length, room) = (self.length(), (self.bytes.len() * 2).max(1 << 16).max(wanted * 2));
        let mut bytes = vec![0; room + length];
        bytes[room..].copy_from_slice(self.written());
        (self.bytes, self.at) = (bytes, room);
    }

    #[inline]
    fn put(&mut self, piece: &[u8]) {
        if self.at < piece.len() {
            self.make_room(piece.len());
        }
        let from = self.at - piece.len();
        self.bytes[from..self.at].copy_from_slice(piece);
        self.at = from;
    }

    /// A piece of known length: no more than its moves.
    #[inline]
    fn put_all<const LENGTH: usize>(&mut self, piece: &[u8; LENGTH]) {
        if self.at < LENGTH {
            self.make_room(LENGTH);
        }
        self.at -= LENGTH;
        if let Some(place) = self.bytes[self.at..].first_chunk_mut() {
            *place = *piece;
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn varint(&mut self, mut value: u64) {
        if value < 0x80 {
            return self.put_all(&[value as u8]);
        }
        let length = (70 - value.leading_zeros() as usize) / 7;
        if self.at < length {
            self.make_room(length);
        }
        self.at -= length;
        for byte in &mut self.bytes[self.at..self.at + length - 1] {
            *byte = value as u8 | 0x80;
            value >>= 7;
        }
        self.bytes[self.at + length - 1] = value as u8;
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a field below 16 has a byte, one below 2048 has two"
    )]
    fn tag(&mut self, field: u32, wire: u32) {
        let tag = field << 3 | wire;
        if field < 16 {
            self.put_all(&[tag as u8]);
        } else {
            self.put_all(&[tag as u8 | 0x80, (tag >> 7) as u8]);
        }
    }

    /// The digits of an id.
    #[inline(always)]
    fn id<const LENGTH: usize>(&mut self, field: u32, id: &ShortId<LENGTH>) {
        self.put_all(id.bytes());
        self.varint(LENGTH as u64);
        self.tag(field, BYTES);
    }

    /// An integer; absent when it is 0. Negative ones are as wide as the wire has them.
    fn number(&mut self, field: u32, value: i64) {
        if value != 0 {
            self.varint(value.cast_unsigned());
            self.tag(field, VARINT);
        }
    }

    /// Bytes or text; absent when empty.
    fn text(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.put(value);
            self.varint(value.len() as u64);
            self.tag(field, BYTES);
        }
    }

    /// Puts the head of a message before it, which was written since `from`.
    fn enclose(&mut self, field: u32, from: usize) {
        self.varint((self.length() - from) as u64);
        self.tag(field, BYTES);
    }

    fn time(&mut self, field: u32, ns: i64) {
        let from = self.length();
        self.number(2, ns.rem_euclid(E9));
        self.number(1, ns.div_euclid(E9));
        self.enclose(field, from);
    }

    /// Money within what the wire holds.
    fn money(&mut self, field: u32, amount: Amount) {
        let from = self.length();
        if let Some(money) = amount.to_wire() {
            self.number(2, money.nanos.into());
            self.number(1, money.units);
            self.enclose(field, from);
        }
    }

    /// Puts what is before the body of an event before it, which was written since `from`, and the frame of both.
    fn event(&mut self, body: u32, from: usize, id: &ShortEventId, ns: i64) {
        self.enclose(body, from);
        self.time(2, ns);
        self.id(1, id);
        self.put_all(&frame(self.length() - from));
    }
}

/// Encoded names.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// By strategy: its name as the first field, and account and strategy as the first two.
    strategies: Vec<(Vec<u8>, Vec<u8>)>,
    /// By symbol: its name as the first field.
    symbols: Vec<Vec<u8>>,
    /// By strategy, then symbol: account, strategy and symbol as the second to the fourth.
    trios: Vec<Vec<u8>>,
    limits_version: u64,
}

fn piece(fields: &[(u32, &str)]) -> Vec<u8> {
    let mut bytes = Backwards::default();
    for &(field, text) in fields.iter().rev() {
        bytes.text(field, text.as_bytes());
    }
    bytes.written().to_vec()
}

impl Pieces {
    pub fn new(account: &str, strategies: &[&str], symbols: &[&str], limits_version: u64) -> Self {
        let of = |strategy: &&str| (piece(&[(1, strategy)]), piece(&[(1, account), (2, strategy)]));
        let trio = |strategy, symbol| piece(&[(2, account), (3, strategy), (4, symbol)]);
        let trios =
            strategies.iter().flat_map(|strategy| symbols.iter().map(|symbol| trio(strategy, symbol)));
        Self {
            strategies: strategies.iter().map(of).collect(),
            symbols: symbols.iter().map(|symbol| piece(&[(1, symbol)])).collect(),
            trios: trios.collect(),
            limits_version,
        }
    }

    fn trio(&self, strategy: usize, symbol: usize) -> &[u8] {
        &self.trios[strategy * self.symbols.len() + symbol]
    }
}

/// Who trades what, when it became known, and under which id.
#[derive(Clone, Copy)]
pub(super) struct About<'chain> {
    pub pieces: &'chain Pieces,
    pub host: usize,
    pub symbol: usize,
    pub ns: i64,
    pub id: &'chain ShortEventId,
}

impl Backwards {
    pub fn signal(&mut self, about: About<'_>, wish: &Wished) {
        let from = self.length();
        self.text(4, wish.reason.as_bytes());
        for (name, value) in wish.indicators.iter().rev() {
            let inner = self.length();
            if *value != 0.0 {
                self.put_all(&value.to_le_bytes());
                self.tag(2, EIGHT_BYTES);
            }
            self.text(1, name.as_bytes());
            self.enclose(3, inner);
        }
        let leg = self.length();
        if let Some(quantity) = wish.quantity {
            self.varint(quantity.0.cast_unsigned());
            self.tag(8, VARINT);
        }
        self.number(7, wish.weight_e9);
        self.number(6, i32::from(TimeInForce::Day).into());
        self.number(3, i32::from(OrderType::Market).into());
        self.number(2, i32::from(wish.intent).into());
        self.put(&about.pieces.symbols[about.symbol]);
        self.enclose(2, leg);
        self.put(&about.pieces.strategies[about.host].0);
        self.event(SIGNAL, from, about.id, about.ns);
    }

    /// The decision on the signal `signal`, made with the price of `price_ns`.
    pub fn decision(
        &mut self,
        about: About<'_>,
        signal: &ShortEventId,
        order: &ShortOrderId,
        (input, price_ns): (&LegInput, i64),
        decided: &Result<Sized, Deny>,
        symbol: &str,
    ) {
        let from = self.length();
        self.input(about, input, price_ns);
        match decided {
            Ok(sized) => {
                self.spec(7, about, order, sized);
                self.number(4, i32::from(Verdict::Approved).into());
            }
            Err(denied) => {
                self.text(6, denied.reason(symbol).as_bytes());
                self.text(5, denied.rule().name().as_bytes());
                self.number(4, i32::from(Verdict::Denied).into());
            }
        }
        self.id(3, signal);
        self.put(&about.pieces.strategies[about.host].1);
        self.event(RISK_DECISION, from, about.id, about.ns);
    }

    fn input(&mut self, about: About<'_>, input: &LegInput, price_ns: i64) {
        let from = self.length();
        self.number(21, (input.session == SessionAnswer::Unknown).into());
        self.number(20, input.strategy_symbols.into());
        self.number(16, (input.session == SessionAnswer::Accepts).into());
        self.number(15, about.pieces.limits_version.cast_signed());
        if let Some(day_pnl) = input.day_pnl {
            self.money(14, day_pnl);
        }
        self.money(13, input.reserved_exposure);
        self.money(12, input.gross_exposure);
        self.money(11, input.cash);
        if let Some(equity) = input.equity {
            self.money(10, equity);
        }
        self.number(9, input.account_reserved.0);
        self.number(8, input.strategy_reserved.0);
        self.number(7, input.account_position.0);
        self.number(6, input.strategy_position.0);
        self.number(5, input.price_age_ms);
        self.time(4, price_ns);
        self.number(3, input.price.0);
        self.put(&about.pieces.symbols[about.symbol]);
        self.enclose(8, from);
    }

    /// The terms of a market order for the day.
    fn spec(&mut self, field: u32, about: About<'_>, order: &ShortOrderId, sized: &Sized) {
        let from = self.length();
        self.number(12, sized.reducing.into());
        self.number(8, sized.quantity.0);
        self.number(7, i32::from(TimeInForce::Day).into());
        self.number(6, i32::from(OrderType::Market).into());
        self.number(5, i32::from(sized.side).into());
        self.put(about.pieces.trio(about.host, about.symbol));
        self.id(1, order);
        self.enclose(field, from);
    }

    pub fn submitted(&mut self, about: About<'_>, order: &ShortOrderId, sized: &Sized) {
        let from = self.length();
        self.text(3, BROKER.as_bytes());
        self.named(2, b"td-", order, b"");
        self.spec(1, about, order, sized);
        self.event(ORDER_SUBMITTED, from, about.id, about.ns);
    }

    /// Text around an order's id.
    fn named(&mut self, field: u32, before: &[u8], order: &ShortOrderId, after: &[u8]) {
        self.put(after);
        self.put_all(order.bytes());
        self.put(before);
        self.varint((before.len() + order.bytes().len() + after.len()) as u64);
        self.tag(field, BYTES);
    }

    pub fn accepted(&mut self, id: &ShortEventId, ns: i64, order: &ShortOrderId) {
        let from = self.length();
        self.named(2, b"sim-", order, b"");
        self.id(1, order);
        self.event(ORDER_ACCEPTED, from, id, ns);
    }

    pub fn expired(&mut self, id: &ShortEventId, ns: i64, order: &ShortOrderId, reason: &str) {
        let from = self.length();
        self.text(2, reason.as_bytes());
        self.id(1, order);
        self.event(ORDER_EXPIRED, from, id, ns);
    }

    /// A fill after which `left` of its order is open.
    pub fn fill(&mut self, about: About<'_>, order: &ShortOrderId, side: Side, filled: &Filled, left: i64) {
        let from = self.length();
        self.number(15, filled.ambiguous.into());
        self.number(13, filled.slippage.0);
        self.number(12, left);
        self.time(11, filled.executed_ns);
        self.named(10, b"sim-", order, suffix(filled.number).bytes());
        self.money(9, filled.commission);
        self.number(8, filled.price.0);
        self.number(7, filled.quantity.0);
        self.number(6, filled.number.into());
        self.number(5, i32::from(side).into());
        self.put(about.pieces.trio(about.host, about.symbol));
        self.id(1, order);
        self.event(FILL, from, about.id, about.ns);
    }
}
