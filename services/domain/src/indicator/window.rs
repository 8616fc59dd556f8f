//! The last prices of a series, as many as an indicator needs.

use std::collections::VecDeque;

use super::{InvalidLength, MAX_LENGTH};
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// At most `capacity` prices, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PriceWindow {
    prices: VecDeque<Price>,
    capacity: usize,
}

impl PriceWindow {
    /// An empty window; `length` is 1 to [`MAX_LENGTH`] and `extra` prices are kept beyond it.
    pub(super) fn new(length: usize, extra: usize) -> Result<Self, InvalidLength> {
        if length == 0 || length > MAX_LENGTH {
            return Err(InvalidLength(length));
        }
        Ok(Self { prices: VecDeque::with_capacity(length + extra), capacity: length + extra })
    }

    /// Adds the newest price and returns the one that falls out.
    pub(super) fn push(&mut self, price: Price) -> Option<Price> {
        let dropped = if self.is_full() { self.prices.pop_front() } else { None };
        self.prices.push_back(price);
        dropped
    }

    pub(super) fn is_full(&self) -> bool {
        self.prices.len() == self.capacity
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Price> {
        self.prices.iter().copied()
    }

    /// Oldest and newest price of a full window.
    pub(super) fn ends(&self) -> Option<(Price, Price)> {
        if self.is_full() { Some((*self.prices.front()?, *self.prices.back()?)) } else { None }
    }

    /// Restates every price after a split; an error leaves all of them as they were.
    pub(super) fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.prices = self.prices.iter().map(|price| ratio.adjust_price(*price)).collect::<Result<_, _>>()?;
        Ok(())
    }
}
