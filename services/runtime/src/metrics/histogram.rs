//! Histograms: how many observations fell below each bound, and their sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;

use super::{Description, Series, add_f64};

/// Bounds for latencies, in seconds: from a message in memory to a stalled server.
pub(crate) const LATENCY_BOUNDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.007_5, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0,
];

/// The instrument into which an exporter mirrors the observations of a family.
pub(crate) type Mirror = Arc<OnceLock<opentelemetry::metrics::Histogram<f64>>>;

/// A distribution of observations.
#[derive(Debug)]
pub struct Histogram {
    /// Per bound those at or below it and above the one before; last, those above all bounds.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
    mirror: Mirror,
    attributes: Vec<KeyValue>,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Upper bounds and how many observations are at or below each.
    pub below: Vec<(f64, u64)>,
    /// All observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Series for Histogram {
    type Shared = Mirror;

    fn new(mirror: &Mirror, description: &Description, labels: &[&str]) -> Self {
        let attributes = description.labels.iter().zip(labels);
        Self {
            counts: (0..=LATENCY_BOUNDS.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
            mirror: Arc::clone(mirror),
            attributes: attributes.map(|(&key, &value)| KeyValue::new(key, value.to_owned())).collect(),
        }
    }
}

impl Histogram {
    /// Takes in a latency.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        add_f64(&self.sum, seconds);
        if let Some(mirror) = self.mirror.get() {
            mirror.record(seconds, &self.attributes);
        }
    }

    /// What was observed so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut below = Vec::with_capacity(LATENCY_BOUNDS.len());
        for (bound, counted) in LATENCY_BOUNDS.iter().zip(&self.counts) {
            count += counted.load(Ordering::Relaxed);
            below.push((*bound, count));
        }
        count += self.counts[LATENCY_BOUNDS.len()].load(Ordering::Relaxed);
        Snapshot { below, count, sum: f64::from_bits(self.sum.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_fall_at_or_below_their_bound() {
        let description = Description { name: "t_seconds", help: "Test.", labels: &[] };
        let histogram = Histogram::new(&Mirror::default(), &description, &[]);
        for micros in [1_000, 1_001, 20_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        let at = |bound: f64| snapshot.below.iter().find(|(b, _)| (b - bound).abs() < 1e-12).unwrap().1;
        assert_eq!((at(0.000_5), at(0.001), at(0.002), at(10.0), snapshot.count), (0, 1, 2, 2, 3));
        assert!((snapshot.sum - 20.002_001).abs() < 1e-9);
    }
}
