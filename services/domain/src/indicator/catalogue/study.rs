//! Any indicator behind one face: bars in, named figures out.

use std::fmt;

use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::indicator::{Indicator, PairIndicator, Values};

/// An indicator that was built from the catalogue.
pub trait Study: fmt::Debug + Send + Sync {
    /// Names of its figures.
    fn outputs(&self) -> &'static [&'static str];

    /// Bars needed before the first value.
    fn warm_up(&self) -> usize;

    /// Bars after which older ones matter no more, see [`Indicator::settled`].
    fn settled(&self) -> Option<usize>;

    /// Takes the next closed bar and, for an indicator over two series, the other one's bar of that instant.
    /// Without it such an indicator takes no step and has no values until the next pair.
    fn update(&mut self, bar: &Bar, against: Option<&Bar>);

    /// Writes the figures after the last bar, in the order of [`Study::outputs`]; `None` while warming up or
    /// where a figure is undefined.
    fn values(&self, out: &mut [Option<f64>]);

    /// Restates the past in shares after a split. An error leaves the indicator unchanged.
    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable>;

    /// The same for the other series.
    fn rescale_against(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable>;
}

/// An indicator over one series.
#[derive(Debug)]
struct One<I>(I);

/// An indicator over two.
#[derive(Debug)]
struct Two<I> {
    indicator: I,
    paired: bool,
}

fn put<V: Values>(value: Option<V>, out: &mut [Option<f64>]) {
    out.fill(None);
    if let Some(value) = value {
        value.put(out);
        // A quotient that leaves the range of floats is no figure.
        out.iter_mut().for_each(|figure| *figure = figure.filter(|figure| figure.is_finite()));
    }
}

impl<I> Study for One<I>
where
    I: Indicator<Value: Values> + fmt::Debug + Send + Sync,
{
    fn outputs(&self) -> &'static [&'static str] {
        I::Value::NAMES
    }

    fn warm_up(&self) -> usize {
        self.0.warm_up()
    }

    fn settled(&self) -> Option<usize> {
        self.0.settled()
    }

    fn update(&mut self, bar: &Bar, _against: Option<&Bar>) {
        self.0.update(bar);
    }

    fn values(&self, out: &mut [Option<f64>]) {
        put(self.0.value(), out);
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.0.rescale(ratio)
    }

    fn rescale_against(&mut self, _ratio: SplitRatio) -> Result<(), Unadjustable> {
        Ok(())
    }
}

impl<I> Study for Two<I>
where
    I: PairIndicator<Value: Values> + fmt::Debug + Send + Sync,
{
    fn outputs(&self) -> &'static [&'static str] {
        I::Value::NAMES
    }

    fn warm_up(&self) -> usize {
        self.indicator.warm_up()
    }

    fn settled(&self) -> Option<usize> {
        Some(self.indicator.warm_up())
    }

    fn update(&mut self, bar: &Bar, against: Option<&Bar>) {
        self.paired = against.is_some();
        if let Some(against) = against {
            self.indicator.update(bar, against);
        }
    }

    fn values(&self, out: &mut [Option<f64>]) {
        put(self.indicator.value().filter(|_| self.paired), out);
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.indicator.rescale(ratio)
    }

    fn rescale_against(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.indicator.rescale_against(ratio)
    }
}

/// What a row of the catalogue makes.
pub(super) type Built = Result<Box<dyn Study>, crate::indicator::InvalidLength>;

pub(super) fn one<I>(indicator: Result<I, crate::indicator::InvalidLength>) -> Built
where
    I: Indicator<Value: Values> + fmt::Debug + Send + Sync + 'static,
{
    Ok(Box::new(One(indicator?)))
}

pub(super) fn two<I>(indicator: Result<I, crate::indicator::InvalidLength>) -> Built
where
    I: PairIndicator<Value: Values> + fmt::Debug + Send + Sync + 'static,
{
    Ok(Box::new(Two { indicator: indicator?, paired: false }))
}
