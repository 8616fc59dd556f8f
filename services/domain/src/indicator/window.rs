//! The last values of a series, as many as an indicator needs.

use std::collections::VecDeque;

use super::{InvalidLength, MAX_LENGTH};
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// At most `capacity` values, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window<Value> {
    values: VecDeque<Value>,
    capacity: usize,
}

/// A window of prices.
pub(super) type PriceWindow = Window<Price>;

impl<Value: Copy> Window<Value> {
    /// An empty window; `length` is 1 to [`MAX_LENGTH`] and `extra` values are kept beyond it.
    pub(super) fn new(length: usize, extra: usize) -> Result<Self, InvalidLength> {
        if length == 0 || length > MAX_LENGTH {
            return Err(InvalidLength(length));
        }
        Ok(Self { values: VecDeque::with_capacity(length + extra), capacity: length + extra })
    }

    /// Adds the newest value and returns the one that falls out.
    pub(super) fn push(&mut self, value: Value) -> Option<Value> {
        let dropped = if self.is_full() { self.values.pop_front() } else { None };
        self.values.push_back(value);
        dropped
    }

    pub(super) fn is_full(&self) -> bool {
        self.values.len() == self.capacity
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Value> {
        self.values.iter().copied()
    }

    /// Oldest and newest value of a full window.
    pub(super) fn ends(&self) -> Option<(Value, Value)> {
        if self.is_full() { Some((*self.values.front()?, *self.values.back()?)) } else { None }
    }

    /// The newest value.
    pub(super) fn newest(&self) -> Option<Value> {
        self.values.back().copied()
    }

    /// Changes every value; an error leaves all of them as they were.
    pub(super) fn try_map<Error>(
        &mut self,
        change: impl FnMut(Value) -> Result<Value, Error>,
    ) -> Result<(), Error> {
        // A collected deque keeps no spare room, which the next bar would then have to allocate.
        let mut values = VecDeque::with_capacity(self.capacity);
        let changed: Vec<Value> = self.values.iter().copied().map(change).collect::<Result<_, _>>()?;
        values.extend(changed);
        self.values = values;
        Ok(())
    }
}

impl PriceWindow {
    /// Restates every price after a split; an error leaves all of them as they were.
    pub(super) fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.try_map(|price| ratio.adjust_price(price))
    }
}
