//! One leg against the policy, on plain numbers: no text, no allocation.
//!
//! The risk service and the research engine decide with the same code. A denial carries its numbers and is
//! put into words only where somebody reads it ([`Deny::reason`]).
//!
//! Deliberately absent: names, ids, prices of groups (`super::leg` makes the orders). What an order takes of position,
//! exposure, cash and margin is in `value`.

mod value;

use contracts::v1::{AccountKind, Intent, OrderType, RiskLimits, Side, SizingKind};

pub use super::deny::Deny;
use super::{Policy, SessionAnswer};
use crate::money::{Amount, E9, Price, Quantity};
use crate::order::signed;
use crate::sizing;

/// Initial margin of Regulation T: half of every position's value, in 1e-9.
pub const INITIAL_MARGIN_E9: i64 = E9 / 2;
/// Maintenance margin of long positions, in 1e-9 of their value.
pub const MAINTENANCE_LONG_E9: i64 = E9 / 4;
/// Maintenance margin of short positions, in 1e-9 of their value.
pub const MAINTENANCE_SHORT_E9: i64 = E9 * 3 / 10;

/// Equity that positions worth `gross` (absolute) and `net` (signed) must be covered by, rounded half to
/// even at 1e-9. `None` on overflow.
#[must_use]
pub fn maintenance(gross: Amount, net: Amount) -> Option<Amount> {
    let twice_long = gross.checked_add(net)?;
    let twice_short = gross.checked_sub(net)?;
    let long = twice_long.times_e9(MAINTENANCE_LONG_E9 / 2)?;
    long.checked_add(twice_short.times_e9(MAINTENANCE_SHORT_E9 / 2)?)
}

/// How a leg is to trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegTerms {
    /// What is wanted.
    pub intent: Intent,
    /// Type of its order.
    pub order_type: OrderType,
    /// Limit price of a limit or stop-limit order.
    pub limit: Option<Price>,
    /// Stop price of a stop or stop-limit order.
    pub stop: Option<Price>,
    /// Its share of the signal in 1e-9; of a target the share of equity wanted, negative for a short one.
    pub share_e9: i64,
    /// A fixed quantity.
    pub quantity: Option<Quantity>,
    /// Whether it is only what an amount comes to at the reference price.
    pub estimated: bool,
}

/// What a decision looks at: `RiskInput` as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegInput {
    /// Reference price; zero when there is none.
    pub price: Price,
    /// Its age.
    pub price_age_ms: i64,
    /// The strategy's position.
    pub strategy_position: Quantity,
    /// The account's net position.
    pub account_position: Quantity,
    /// Approved and unfilled of the strategy on the leg's side; of a target on both sides together.
    pub strategy_reserved: Quantity,
    /// Approved and unfilled of the account on the leg's side.
    pub account_reserved: Quantity,
    /// Equity of the last mark.
    pub equity: Option<Amount>,
    /// Cash.
    pub cash: Amount,
    /// Sum of absolute position values.
    pub gross_exposure: Amount,
    /// Value of open orders that may open exposure.
    pub reserved_exposure: Amount,
    /// Change of equity since the session began.
    pub day_pnl: Option<Amount>,
    /// Number of symbols that the strategy trades.
    pub strategy_symbols: u32,
    /// Whether a session takes or queues the order.
    pub session: SessionAnswer,
    /// New exposure is stopped.
    pub halted: bool,
    /// Equity is below the maintenance margin.
    pub margin_called: bool,
    /// Trading in the symbol is halted.
    pub symbol_halted: bool,
    /// What the sizing measured.
    pub measured: sizing::Measured,
}

/// What other legs of the same signal take, and free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    exposure: Amount,
    bought: Amount,
    freed: Amount,
}

impl Running {
    /// What the legs so far open, the present one among them.
    pub(super) fn exposure(&self) -> Amount {
        self.exposure
    }

    /// What legs of the same signal that only reduce will free.
    pub(super) fn freed(&self) -> Amount {
        self.freed
    }

    /// Counts what the legs of targets that only reduce will free, whatever their place in the signal: all
    /// legs are sent together. Nothing for any other leg.
    pub fn expect(&mut self, input: &LegInput, terms: &LegTerms) {
        if terms.intent == Intent::Target
            && let Ok(Change { quantity, reducing: true, .. }) = target(input, terms)
            && let Some(freed) = self.freed.checked_add(Amount::notional(input.price, quantity))
        {
            self.freed = freed;
        }
    }
}

/// The order that a leg comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sized {
    /// Side.
    pub side: Side,
    /// Shares, positive.
    pub quantity: Quantity,
    /// Whether it only reduces the strategy's position.
    pub reducing: bool,
}

/// The order that serves a leg, or why there is none. `running` holds what earlier legs of its signal take.
pub fn decide_leg(
    policy: &Policy,
    input: &LegInput,
    terms: &LegTerms,
    running: &mut Running,
) -> Result<Sized, Deny> {
    let leg = Leg { policy, input, terms };
    match terms.intent {
        Intent::Exit => leg.exit(),
        Intent::Target => leg.target(running),
        Intent::Buy | Intent::Sell => leg.order(running),
        Intent::EnterLong | Intent::EnterShort | Intent::Unspecified => leg.enter(running),
    }
}

/// The side on which a leg trades, as far as its inputs say; the reserved shares of a leg are those on it.
#[must_use]
pub fn side_of(input: &LegInput, terms: &LegTerms) -> Side {
    match terms.intent {
        Intent::EnterLong | Intent::Buy => Side::Buy,
        Intent::EnterShort | Intent::Sell => Side::Sell,
        Intent::Target => target(input, terms).map_or(Side::Sell, |change| change.side),
        Intent::Exit if input.strategy_position < Quantity::ZERO => Side::Buy,
        Intent::Exit | Intent::Unspecified => Side::Sell,
    }
}

/// What stands between a strategy and its target.
struct Change {
    side: Side,
    quantity: Quantity,
    reducing: bool,
    /// Whether the target is a short position.
    short: bool,
}

/// The change that brings a strategy to its target: whole shares worth the wanted share of equity, less what
/// is held and under way.
fn target(input: &LegInput, terms: &LegTerms) -> Result<Change, Deny> {
    let held = input.strategy_position;
    let coming = held.checked_add(input.strategy_reserved).ok_or(Deny::Overflow)?;
    let want = if terms.share_e9 == 0 { Quantity::ZERO } else { wanted(input, terms)? };
    let change = want.checked_sub(coming).ok_or(Deny::Overflow)?;
    if change.0.abs() < E9 && !(want == Quantity::ZERO && change != Quantity::ZERO) {
        return Err(Deny::OnTarget { coming });
    }
    let side = if change > Quantity::ZERO { Side::Buy } else { Side::Sell };
    let opposite = held.0.signum() * change.0.signum() < 0;
    let within = want == Quantity::ZERO || want.0.signum() == held.0.signum();
    let reducing = opposite && within;
    // What is only under way cannot be sold; the next rebalancing sees what became of it.
    let quantity = if reducing { change.abs().min(held.abs()) } else { change.abs() };
    if !reducing && want == Quantity::ZERO {
        return Err(Deny::NoPosition { held, leaving: input.strategy_reserved.abs() });
    }
    Ok(Change { side, quantity, reducing, short: want < Quantity::ZERO })
}

fn wanted(input: &LegInput, terms: &LegTerms) -> Result<Quantity, Deny> {
    let price = worst_price(input, terms);
    if price.0 <= 0 {
        return Err(Deny::NoPrice);
    }
    let equity = input.equity.ok_or(Deny::NoMark)?;
    if equity <= Amount::ZERO {
        return Err(Deny::NoEquity { equity });
    }
    // Truncated towards zero: a position never exceeds its share.
    let budget = equity.0.checked_mul(terms.share_e9.into()).ok_or(Deny::Overflow)? / i128::from(E9);
    let whole = budget / i128::from(price.0) * i128::from(E9);
    i64::try_from(whole).map(Quantity).map_err(|_| Deny::Overflow)
}

/// The price at which the order is valued: the worst of reference, limit and stop.
pub(super) fn worst_price(input: &LegInput, terms: &LegTerms) -> Price {
    let stated = terms.limit.unwrap_or_default().max(terms.stop.unwrap_or_default());
    input.price.max(stated)
}

/// A limit that is a share of `equity`; one beyond every amount, as that of no limit may be, limits nothing.
fn most_of(equity: Amount, share_e9: i64) -> Amount {
    equity.times_e9(share_e9).unwrap_or(Amount(i128::MAX))
}

struct Leg<'view> {
    policy: &'view Policy,
    input: &'view LegInput,
    terms: &'view LegTerms,
}

impl Leg<'_> {
    /// Closes what the strategy holds and is not on its way out already. Only what makes the order
    /// impossible or absurd stops it.
    fn exit(&self) -> Result<Sized, Deny> {
        let held = self.input.strategy_position;
        let leaving = self.input.strategy_reserved;
        let left = held.checked_add(leaving).unwrap_or_default();
        if left.0.signum() != held.0.signum() || left == Quantity::ZERO {
            return Err(Deny::NoPosition { held, leaving: leaving.abs() });
        }
        self.check_reducing()?;
        let quantity = self.terms.quantity.map_or(left.abs(), |wanted| wanted.min(left.abs()));
        let side = if held < Quantity::ZERO { Side::Buy } else { Side::Sell };
        if self.terms.quantity.is_some() {
            self.check_parts(side, quantity)?;
        }
        Ok(Sized { side, quantity, reducing: true })
    }

    fn check_reducing(&self) -> Result<(), Deny> {
        if self.input.session != SessionAnswer::Unknown {
            self.check_session()?;
        }
        match &self.policy.limits {
            Some(limits) if self.input.price.0 > 0 => self.check_collar(limits),
            _ => Ok(()),
        }
    }

    fn enter(&self, running: &mut Running) -> Result<Sized, Deny> {
        let side = side_of(self.input, self.terms);
        self.check_not_held(side)?;
        if self.only_closes(side)? {
            return self.exit();
        }
        let (limits, equity) = self.check_opening()?;
        if side == Side::Sell {
            self.check_short(limits)?;
        }
        let mut quantity = self.size(side, equity)?;
        if self.terms.quantity.is_some() {
            self.check_parts(side, quantity)?;
        }
        let sizing = self.policy.sizing.filter(|sizing| sizing.kind() != SizingKind::Fixed);
        if self.terms.quantity.is_none()
            && let Some(sizing) = sizing
        {
            let lot_e9 = if sizing.lot_e9 == 0 { E9 } else { sizing.lot_e9 };
            quantity = self.leave_costs(side, quantity, lot_e9, equity, running)?;
        }
        self.open(limits, equity, side, quantity, running)
    }

    /// An operator's order: the stated quantity, whatever is held. What only closes is judged as an exit; what goes
    /// beyond that is judged as if all of it opened something.
    fn order(&self, running: &mut Running) -> Result<Sized, Deny> {
        let side = side_of(self.input, self.terms);
        let quantity = self.terms.quantity.ok_or(Deny::SizingMissing)?;
        let held = self.input.strategy_position;
        let left = self.coming()?;
        let closes = held.0.signum() * signed(side, Quantity(1)).0 < 0 && left.0.signum() == held.0.signum();
        if closes && quantity <= left.abs() {
            self.check_reducing()?;
            self.check_parts(side, quantity)?;
            return Ok(Sized { side, quantity, reducing: true });
        }
        let (limits, equity) = self.check_opening()?;
        if side == Side::Sell {
            self.check_short(limits)?;
        }
        self.check_parts(side, quantity)?;
        self.open(limits, equity, side, quantity, running)
    }

    fn target(&self, running: &mut Running) -> Result<Sized, Deny> {
        let change = target(self.input, self.terms)?;
        if change.reducing {
            self.check_reducing()?;
            return Ok(Sized { side: change.side, quantity: change.quantity, reducing: true });
        }
        let (limits, equity) = self.check_opening()?;
        if change.short {
            self.check_short(limits)?;
            if change.side == Side::Sell {
                self.check_parts(change.side, change.quantity)?;
            }
        }
        let quantity = self.leave_costs(change.side, change.quantity, E9, equity, running)?;
        self.open(limits, equity, change.side, quantity, running)
    }

    /// A short position is of whole shares, and so is a sale that opens one. What is bought back leaves whole ones, and how
    /// many an amount buys or sells is not known.
    fn check_parts(&self, side: Side, quantity: Quantity) -> Result<(), Deny> {
        let sells = side == Side::Sell;
        // Other orders that buy may never fill.
        let before = if sells { self.coming()? } else { self.input.strategy_position };
        let after = before.checked_add(signed(side, quantity)).ok_or(Deny::Overflow)?;
        if self.terms.estimated && before.min(after) < Quantity::ZERO {
            return Err(Deny::ShortByAmount { held: self.input.strategy_position });
        }
        let in_parts = |shares: Quantity| shares.whole() != shares;
        if after >= Quantity::ZERO {
            return Ok(());
        }
        if sells && in_parts(quantity) {
            return Err(Deny::ShortOfParts { quantity });
        }
        // Of parts that are short already whole shares may be bought back.
        if in_parts(after) && (sells || in_parts(quantity)) {
            return Err(Deny::ShortWithParts { after });
        }
        Ok(())
    }

    /// What must hold before anything is opened.
    fn check_opening(&self) -> Result<(&RiskLimits, Amount), Deny> {
        if self.input.halted {
            return Err(Deny::Halted);
        }
        if self.input.margin_called {
            return Err(Deny::MarginCall);
        }
        // Before the price, which grows old in a halt.
        if self.input.symbol_halted {
            return Err(Deny::SymbolHalted);
        }
        self.check_session()?;
        let limits = self.policy.limits.as_ref().ok_or(Deny::LimitsMissing)?;
        self.check_price(limits)?;
        self.check_collar(limits)?;
        Ok((limits, self.check_equity(limits)?))
    }

    fn open(
        &self,
        limits: &RiskLimits,
        equity: Amount,
        side: Side,
        quantity: Quantity,
        running: &mut Running,
    ) -> Result<Sized, Deny> {
        let value = Amount::notional(worst_price(self.input, self.terms), quantity);
        self.check_value(limits, equity, side, quantity, value, running)?;
        running.exposure = running.exposure.checked_add(value).ok_or(Deny::Overflow)?;
        if side == Side::Buy {
            running.bought = running.bought.checked_add(value).ok_or(Deny::Overflow)?;
        }
        Ok(Sized { side, quantity, reducing: false })
    }

    /// Whether all that can become of an entry is the end of a long position: the strategy would turn it into a short
    /// one, which the account does not allow. A leg among others goes through as a whole or not at all.
    fn only_closes(&self, side: Side) -> Result<bool, Deny> {
        let Some(limits) = self.policy.limits.as_ref().filter(|_| side == Side::Sell) else {
            return Ok(false);
        };
        let is_long = self.input.strategy_position > Quantity::ZERO && self.coming()? > Quantity::ZERO;
        Ok(is_long && self.terms.share_e9 == E9 && self.check_short(limits).is_err())
    }

    fn check_short(&self, limits: &RiskLimits) -> Result<(), Deny> {
        let allowed = limits.allow_short && self.policy.kind != AccountKind::Cash;
        if allowed { Ok(()) } else { Err(Deny::ShortNotAllowed) }
    }

    fn coming(&self) -> Result<Quantity, Deny> {
        let coming = self.input.strategy_position.checked_add(self.input.strategy_reserved);
        coming.ok_or(Deny::Overflow)
    }

    /// An entry without a quantity of its own wants a position to be there; one with a quantity adds it.
    fn check_not_held(&self, side: Side) -> Result<(), Deny> {
        let coming = self.coming()?;
        let same_side = match side {
            Side::Buy => coming > Quantity::ZERO,
            Side::Sell | Side::Unspecified => coming < Quantity::ZERO,
        };
        if same_side && self.terms.quantity.is_none() {
            return Err(Deny::AlreadyHeld { coming });
        }
        Ok(())
    }

    fn check_session(&self) -> Result<(), Deny> {
        match self.input.session {
            SessionAnswer::Accepts => Ok(()),
            SessionAnswer::Closed => Err(Deny::MarketClosed),
            SessionAnswer::Unknown => Err(Deny::NoCalendar),
        }
    }

    fn check_price(&self, limits: &RiskLimits) -> Result<(), Deny> {
        let (age_ms, most_ms) = (self.input.price_age_ms, limits.max_price_age_ms);
        if self.input.price.0 <= 0 {
            return Err(Deny::NoPrice);
        }
        if age_ms < 0 || age_ms > most_ms {
            return Err(Deny::StalePrice { age_ms, most_ms });
        }
        Ok(())
    }

    fn check_collar(&self, limits: &RiskLimits) -> Result<(), Deny> {
        let Some(limit) = self.terms.limit else { return Ok(()) };
        let reference = self.input.price;
        let distance = (i128::from(limit.0) - i128::from(reference.0)).abs();
        let allowed = i128::from(reference.0) * i128::from(limits.price_collar_fraction_e9);
        if distance * i128::from(E9) <= allowed {
            return Ok(());
        }
        Err(Deny::Collar { limit, collar: Quantity(limits.price_collar_fraction_e9), reference })
    }

    /// The account's equity, after the daily loss has been held against it.
    fn check_equity(&self, limits: &RiskLimits) -> Result<Amount, Deny> {
        let (Some(equity), Some(pnl)) = (self.input.equity, self.input.day_pnl) else {
            return Err(Deny::NoMark);
        };
        if equity <= Amount::ZERO {
            return Err(Deny::NoEquity { equity });
        }
        let start = equity.checked_sub(pnl).ok_or(Deny::Overflow)?;
        // Whoever began the day below nothing and is above it now has lost nothing.
        let most = most_of(start.max(Amount::ZERO), limits.max_daily_loss_fraction_e9);
        // At the limit it is reached: a limit of 0 allows nothing.
        if -pnl >= most { Err(Deny::DailyLoss { pnl, most }) } else { Ok(equity) }
    }

    /// Shares of the order: what the leg states, or the sized position plus what must be covered first.
    fn size(&self, side: Side, equity: Amount) -> Result<Quantity, Deny> {
        if let Some(stated) = self.terms.quantity {
            return Ok(stated);
        }
        let sizing = self.policy.sizing.as_ref().ok_or(Deny::SizingMissing)?;
        let price = worst_price(self.input, self.terms);
        let scope = sizing::Scope {
            share_e9: self.terms.share_e9,
            cap_e9: self.policy.position_cap_e9,
            symbols: self.input.strategy_symbols,
            measured: self.input.measured,
        };
        let sized = sizing::shares_in(sizing, scope, equity, price).map_err(Deny::Sizing)?;
        if sized <= Quantity::ZERO {
            return Err(Deny::SizeZero { price, equity });
        }
        // Opposite of the side when the strategy holds the other way and nothing covers it yet.
        let to_cover = match (side, self.coming()?) {
            (Side::Buy, coming) if coming < Quantity::ZERO => coming.abs(),
            (Side::Sell, coming) if coming > Quantity::ZERO => coming.abs(),
            _ => Quantity::ZERO,
        };
        sized.checked_add(to_cover).ok_or(Deny::Overflow)
    }
}
