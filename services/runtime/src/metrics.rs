//! Metrics: counters, gauges and histograms of this process, by name and labels.
//!
//! One catalogue ([`metrics`]) holds every metric there is, so that names are stable and documented in one
//! place (`docs/telemetry.md`). A series is an atomic number; whoever counts often keeps its handle. The
//! catalogue is written as Prometheus text ([`exposition`]) and, where an exporter is configured, mirrored
//! into OpenTelemetry instruments.
//!
//! Deliberately absent: any reading of the tape or a database; whoever knows a number sets it.

mod catalogue;
mod histogram;
mod process;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use catalogue::AnyFamily;
pub use catalogue::{Metrics, metrics};
pub use histogram::Histogram;
pub(crate) use histogram::LATENCY_BOUNDS;
pub(crate) use process::{readings, started};
pub use text::exposition;

/// Series of one metric, at most: a label that takes ever new values must not fill the memory.
const SERIES_MAX: usize = 512;
/// Value of every label of whatever comes beyond.
const OVERFLOW: &str = "other";

/// What a metric is called and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Name, with its unit at the end.
    pub name: &'static str,
    /// Meaning, in one sentence.
    pub help: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// States the number.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the number; a negative one takes away.
    pub fn add(&self, difference: f64) {
        add_f64(&self.0, difference);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

fn add_f64(cell: &AtomicU64, difference: f64) {
    let add = |bits| Some((f64::from_bits(bits) + difference).to_bits());
    // The closure always answers, so the update always takes place.
    let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

/// What a family makes for a new combination of labels.
pub trait Series: Send + Sync + 'static {
    /// What all series of a family share.
    type Shared: Send + Sync;
    /// A series with nothing counted.
    fn new(shared: &Self::Shared, description: &Description, labels: &[&str]) -> Self;
}

impl Series for Counter {
    type Shared = ();
    fn new((): &(), _: &Description, _: &[&str]) -> Self {
        Self::default()
    }
}

impl Series for Gauge {
    type Shared = ();
    fn new((): &(), _: &Description, _: &[&str]) -> Self {
        Self::default()
    }
}

/// The values of a series' labels, and the series.
type Labelled<S> = (Vec<String>, Arc<S>);

/// One metric with its series.
#[derive(Debug)]
pub struct Family<S: Series> {
    /// What it is.
    pub description: Description,
    shared: S::Shared,
    series: RwLock<Vec<Labelled<S>>>,
}

impl<S: Series> Family<S> {
    fn new(description: Description, shared: S::Shared) -> Self {
        Self { description, shared, series: RwLock::default() }
    }

    /// The series with these values of the labels, in the order of their names.
    pub fn with(&self, labels: &[&str]) -> Arc<S> {
        debug_assert_eq!(labels.len(), self.description.labels.len(), "{}", self.description.name);
        if let Some(found) = find(&self.series.read().unwrap_or_else(PoisonError::into_inner), labels) {
            return found;
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let overflow: Vec<&str> = labels.iter().map(|_| OVERFLOW).collect();
        let labels = if series.len() < SERIES_MAX { labels } else { &overflow };
        if let Some(found) = find(&series, labels) {
            return found;
        }
        let made = Arc::new(S::new(&self.shared, &self.description, labels));
        series.push((labels.iter().map(|&label| label.to_owned()).collect(), Arc::clone(&made)));
        made
    }

    /// What all series share.
    pub(crate) fn shared(&self) -> &S::Shared {
        &self.shared
    }

    /// Every series, by the values of its labels.
    #[must_use]
    pub fn all(&self) -> Vec<Labelled<S>> {
        let mut all: Vec<_> = self.series.read().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Forgets the series that `keep` refuses: of things that are no more.
    pub fn retain(&self, keep: impl Fn(&[String]) -> bool) {
        self.series.write().unwrap_or_else(PoisonError::into_inner).retain(|(labels, _)| keep(labels));
    }
}

fn find<S>(series: &[Labelled<S>], labels: &[&str]) -> Option<Arc<S>> {
    let found = series.iter().find(|(known, _)| known.iter().eq(labels));
    found.map(|(_, series)| Arc::clone(series))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: Description = Description { name: "t_total", help: "Test.", labels: &["a", "b"] };

    #[test]
    fn a_series_is_found_again_and_counts() {
        let family = Family::<Counter>::new(DESCRIPTION, ());
        family.with(&["x", "y"]).increment();
        family.with(&["x", "y"]).add(2);
        family.with(&["x", "z"]).increment();
        let all: Vec<_> = family.all().into_iter().map(|(labels, counter)| (labels, counter.get())).collect();
        assert_eq!(all, [(vec!["x".into(), "y".into()], 3), (vec!["x".into(), "z".into()], 1)]);
        family.retain(|labels| labels[1] == "z");
        assert_eq!(family.all().len(), 1);
    }

    #[test]
    fn labels_without_end_are_bounded() {
        let family = Family::<Counter>::new(DESCRIPTION, ());
        for number in 0..2_000 {
            family.with(&[&number.to_string(), "y"]).increment();
        }
        assert_eq!(family.all().len(), SERIES_MAX + 1);
        assert_eq!(family.with(&[OVERFLOW, OVERFLOW]).get(), 2_000 - SERIES_MAX as u64);
    }

    #[test]
    fn a_gauge_goes_up_and_down() {
        let gauge = Gauge::default();
        gauge.set(2.5);
        gauge.add(-1.0);
        assert!((gauge.get() - 1.5).abs() < f64::EPSILON);
    }
}
