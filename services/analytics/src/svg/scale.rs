//! From values to places: axes with round ticks, and curves without more points than can be seen.

/// Points of a curve beyond which it is thinned.
const POINTS_MAX: usize = 1_200;

/// A vertical axis.
pub(super) struct Scale {
    lowest: f64,
    highest: f64,
    step: f64,
    bottom: f64,
    top: f64,
}

impl Scale {
    /// An axis over all `values` from place `bottom` to `top`; `None` without a value.
    pub(super) fn over(values: impl Iterator<Item = f64>, (bottom, top): (f64, f64)) -> Option<Self> {
        let extent = |bounds: Option<(f64, f64)>, value: f64| match bounds {
            Some((low, high)) => Some((low.min(value), high.max(value))),
            None => Some((value, value)),
        };
        let (low, high) = values.filter(|value| value.is_finite()).fold(None, extent)?;
        // A level line lies in the middle of an axis of its own size.
        let spread = if high > low { high - low } else { low.abs().max(1.0) };
        let step = round_step(spread / 4.0);
        let (lowest, highest) = ((low / step).floor() * step, (high / step).ceil() * step);
        let highest = if highest > lowest { highest } else { lowest + step };
        Some(Self { lowest, highest, step, bottom, top })
    }

    /// The place of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.bottom + (self.top - self.bottom) * (value - self.lowest) / (self.highest - self.lowest)
    }

    /// Round values from the lowest to the highest.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        let (lowest, step) = (self.lowest, self.step);
        let end = self.highest + step / 2.0;
        (0..32).map(move |tick| lowest + step * f64::from(tick)).take_while(move |tick| *tick < end)
    }
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let fits = steps.into_iter().find(|step| step * power >= rough * 0.999_999);
    fits.unwrap_or(10.0) * power
}

/// The values with their places; of a long series the lowest and highest of each part, in their order.
pub(super) fn thinned(values: &[Option<f64>]) -> Vec<(usize, Option<f64>)> {
    let all = || values.iter().copied().enumerate();
    if values.len() <= POINTS_MAX {
        return all().collect();
    }
    let part = values.len().div_ceil(POINTS_MAX / 2);
    let numbered: Vec<(usize, Option<f64>)> = all().collect();
    let mut kept = Vec::with_capacity(POINTS_MAX + 2);
    for chunk in numbered.chunks(part) {
        let known = || chunk.iter().filter_map(|(place, value)| Some((*place, (*value)?)));
        let low = known().min_by(|left, right| left.1.total_cmp(&right.1));
        let high = known().max_by(|left, right| left.1.total_cmp(&right.1));
        let (Some(low), Some(high)) = (low, high) else {
            kept.extend(chunk.first());
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        kept.push((first.0, Some(first.1)));
        if second.0 != first.0 {
            kept.push((second.0, Some(second.1)));
        }
    }
    // Where it ends is what a reader looks for.
    if kept.last().map(|(place, _)| *place) != numbered.last().map(|(place, _)| *place) {
        kept.extend(numbered.last());
    }
    kept
}
