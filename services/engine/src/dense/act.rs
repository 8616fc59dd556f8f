//! Corporate actions in the dense loop: dividends, and splits that leave no fraction and meet no open order.
//!
//! Deliberately absent: fractions of shares, restated orders, what strategies wish for because of an action. The
//! general loop knows them.

use domain::corporate_action::{Effect, SplitRatio, dividend_cash};
use domain::money::{Price, Quantity};
use domain::series::DatedAction;

use super::{Dense, QUANTITY_MOST, Stop, known, require, whole, within};

impl<const CHAIN: bool> Dense<'_, CHAIN> {
    /// What actions do to positions and last prices.
    pub(super) fn act(&mut self, actions: &[DatedAction]) -> Result<(), Stop> {
        for (place, dated) in actions.iter().enumerate() {
            let Ok(symbol) = self.names.binary_search_by(|name| (**name).cmp(&dated.symbol)) else {
                continue;
            };
            match dated.action.effect {
                Effect::Dividend(per_share) => self.pay(symbol, per_share)?,
                Effect::Split(ratio) => {
                    // A price takes in the splits of one moment once.
                    let again = |other: &DatedAction| {
                        other.symbol == dated.symbol && matches!(other.action.effect, Effect::Split(_))
                    };
                    require(!actions[..place].iter().any(again))?;
                    self.split(symbol, ratio, dated.event_ns)?;
                }
            }
        }
        Ok(())
    }

    /// Tells the strategies.
    pub(super) fn tell_actions(&mut self, actions: &[DatedAction], live: bool) -> Result<(), Stop> {
        for action in actions {
            for host in &mut self.hosts {
                host.on_action(action, &mut self.wishes);
            }
        }
        if !live {
            self.wishes.clear();
        }
        require(self.wishes.is_empty())
    }

    fn pay(&mut self, symbol: usize, per_share: Price) -> Result<(), Stop> {
        for host in 0..self.hosts.len() {
            let place = self.holding(host, symbol);
            let position = &mut self.holdings[place].position;
            if position.quantity != Quantity::ZERO {
                let amount = dividend_cash(per_share, position.quantity);
                known(self.account.receive_dividend(amount).ok())?;
                known(position.add_dividend(amount).ok())?;
                require(within(amount) && within(self.account.cash) && within(self.account.dividends))?;
            }
        }
        Ok(())
    }

    fn split(&mut self, symbol: usize, ratio: SplitRatio, event_ns: i64) -> Result<(), Stop> {
        require(self.orders.open().all(|order| order.symbol != symbol))?;
        let mut net = Quantity::ZERO;
        for host in 0..self.hosts.len() {
            let place = self.holding(host, symbol);
            let holding = &mut self.holdings[place];
            if holding.position.quantity == Quantity::ZERO {
                continue;
            }
            let after = known(ratio.split_quantity(holding.position.quantity).ok())?;
            require(after.fraction == Quantity::ZERO && after.held.0.unsigned_abs() < QUANTITY_MOST)?;
            known(holding.position.split(after.held, Quantity::ZERO).ok())?;
            if let Some(lots) = holding.lots.as_mut() {
                lots.restate(after.held.0.abs());
            }
            net = known(net.checked_add(after.held))?;
            for &series in &self.series_of[symbol] {
                self.hosts[host].hold_at(series, after.held);
            }
        }
        let known_symbol = &mut self.symbols[symbol];
        (known_symbol.net, known_symbol.whole) = (net, whole(net));
        if known_symbol.price.0 > 0 {
            require(known_symbol.time_ns < event_ns)?;
            known_symbol.price = known(ratio.adjust_price(known_symbol.price).ok())?;
        }
        self.hold(symbol);
        Ok(())
    }
}
