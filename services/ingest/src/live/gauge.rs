//! What is counted of a live source, for people.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use contracts::to_timestamp;
use contracts::v1::SourceReported;
use runtime::metrics::{self, Counter, Histogram, metrics};

use crate::import::stream::Outcome;

/// Bars of which the lag is kept.
const LAGS_MAX: usize = 1_024;

/// How a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not connected yet.
    Connecting,
    /// Connected; what was missed is being asked for.
    CatchingUp,
    /// Telling.
    Live,
    /// The connection is gone and will be made again.
    Waiting,
    /// The vendor will not.
    Refused,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::CatchingUp => "catching_up",
            Self::Live => "live",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }
}

/// The series of a source among the metrics of the process.
#[derive(Debug)]
struct Series {
    live: Arc<metrics::Gauge>,
    lag: Arc<Histogram>,
    reconnects: Arc<Counter>,
    gaps: Arc<Counter>,
    gap_bars: Arc<Counter>,
    errors: Arc<Counter>,
}

impl Series {
    fn of(source: &str) -> Self {
        let (metrics, source) = (metrics(), &[source]);
        let series = Self {
            live: metrics.source_live.with(source),
            lag: metrics.source_lag.with(source),
            reconnects: metrics.source_reconnects.with(source),
            gaps: metrics.source_gaps.with(source),
            gap_bars: metrics.source_gap_bars.with(source),
            errors: metrics.source_errors.with(source),
        };
        series.live.set(0.0);
        series
    }
}

/// Counts since the start of the service.
#[derive(Debug)]
pub(super) struct Gauge {
    series: Series,
    pub(super) state: State,
    detail: String,
    /// When it came into the state.
    pub(super) since_ns: i64,
    pub(super) messages: u64,
    pub(super) quotes: u64,
    pub(super) trades: u64,
    stored: Outcome,
    lags_ns: VecDeque<i64>,
    connections: u64,
    gaps_filled: u64,
    gap_bars: u64,
    errors: u64,
    last_error: String,
}

impl Gauge {
    pub(super) fn new(source: &str, now_ns: i64) -> Self {
        Self {
            series: Series::of(source),
            state: State::Connecting,
            detail: String::new(),
            since_ns: now_ns,
            messages: 0,
            quotes: 0,
            trades: 0,
            stored: Outcome::default(),
            lags_ns: VecDeque::new(),
            connections: 0,
            gaps_filled: 0,
            gap_bars: 0,
            errors: 0,
            last_error: String::new(),
        }
    }

    /// Comes into a state; true when it is another one than before.
    pub(super) fn enter(&mut self, state: State, detail: impl Into<String>, now_ns: i64) -> bool {
        let detail = detail.into();
        if (self.state, &self.detail) == (state, &detail) {
            return false;
        }
        if self.state != state {
            self.since_ns = now_ns;
        }
        (self.state, self.detail) = (state, detail);
        self.series.live.set(f64::from(u8::from(state == State::Live)));
        true
    }

    /// What it waits for or suffers from; empty when well.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn connected(&mut self) {
        self.connections += 1;
        if self.connections > 1 {
            self.series.reconnects.increment();
        }
    }

    /// A span that the stream left out is filled.
    pub(super) fn filled(&mut self) {
        self.gaps_filled += 1;
        self.series.gaps.increment();
    }

    /// Bars came of asking for such a span.
    pub(super) fn gap_bars(&mut self, bars: u64) {
        self.gap_bars += bars;
        self.series.gap_bars.add(bars);
    }

    pub(super) fn failed(&mut self, what: impl Into<String>) {
        self.errors += 1;
        self.series.errors.increment();
        self.last_error = what.into();
    }

    pub(super) fn stored(&mut self, outcome: Outcome) {
        self.stored.bars += outcome.bars;
        self.stored.revisions += outcome.revisions;
        self.stored.duplicates += outcome.duplicates;
    }

    /// From a minute's end until its bar was stored.
    pub(super) fn lag(&mut self, lag_ns: i64) {
        if self.lags_ns.len() == LAGS_MAX {
            self.lags_ns.pop_front();
        }
        self.lags_ns.push_back(lag_ns);
        // A minute that ends by the vendor's clock before it does by this machine's has no lag.
        self.series.lag.observe(Duration::from_nanos(u64::try_from(lag_ns).unwrap_or(0)));
    }

    /// The report, but for what the service knows.
    pub(super) fn report(&self) -> SourceReported {
        let mut lags: Vec<i64> = self.lags_ns.iter().copied().collect();
        lags.sort_unstable();
        SourceReported {
            state: self.state.name().to_owned(),
            detail: self.detail.clone(),
            since: Some(to_timestamp(self.since_ns)),
            messages: self.messages,
            quotes: self.quotes,
            trades: self.trades,
            bars: self.stored.bars,
            revisions: self.stored.revisions,
            duplicates: self.stored.duplicates,
            lag_p50_ns: percentile(&lags, 50),
            lag_p99_ns: percentile(&lags, 99),
            reconnects: self.connections.saturating_sub(1),
            gaps_filled: self.gaps_filled,
            gap_bars: self.gap_bars,
            errors: self.errors,
            last_error: self.last_error.clone(),
            ..SourceReported::default()
        }
    }
}

/// The least value that so many per cent do not exceed.
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<i64> = (1..=200).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (Some(100), Some(198)));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn the_first_connection_is_no_reconnect_and_a_new_detail_is_no_new_state() {
        let mut gauge = Gauge::new("vendor", 1);
        gauge.connected();
        assert!(gauge.enter(State::Waiting, "gone", 2));
        assert!(gauge.enter(State::Waiting, "still gone", 3));
        assert!(!gauge.enter(State::Waiting, "still gone", 4));
        gauge.connected();
        let report = gauge.report();
        assert_eq!((report.reconnects, report.since), (1, Some(to_timestamp(2))));
    }

    #[test]
    fn what_a_report_counts_is_among_the_metrics() {
        let mut gauge = Gauge::new("counted", 1);
        gauge.connected();
        gauge.failed("gone");
        gauge.connected();
        gauge.filled();
        gauge.gap_bars(7);
        gauge.lag(40_000_000);
        gauge.lag(-1);
        let live = || {
            let text = metrics::exposition();
            text.lines().any(|line| line == "tapedeck_source_live{source=\"counted\"} 1")
        };
        assert!(!live());
        gauge.enter(State::Live, "", 2);
        assert!(live());
        let text = metrics::exposition();
        for (series, value) in [
            ("reconnects_total", "1"),
            ("gaps_total", "1"),
            ("gap_bars_total", "7"),
            ("errors_total", "1"),
            ("lag_seconds_count", "2"),
            ("lag_seconds_sum", "0.04"),
        ] {
            let line = format!("tapedeck_source_{series}{{source=\"counted\"}} {value}");
            assert!(text.lines().any(|told| told == line), "{line} in {text}");
        }
        gauge.enter(State::Waiting, "gone", 3);
        assert!(!live());
    }
}
