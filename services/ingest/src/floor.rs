//! The floor: how fast a rehearsal could be if nobody did any work.
//!
//! The messages of an instant depend on each other, so an instant takes at least its serial hops. They are
//! measured alone, on the same server, between two connections of this process:
//!
//! - a **stream hop**: an event is published to a stream (file storage, message id) and delivered to an
//!   ordered push consumer of the other side;
//! - a **market hop**: the same with as many events as an instant has, until the last is delivered;
//! - a **plain hop**: a message outside any stream.
//!
//! | Instant | Hops |
//! |---|---|
//! | with bars | market (bars → execution), stream (mark → strategy), plain (acknowledgement → clock) |
//! | without bars | 2 stream (session → execution, mark → clock) |
//! | with signals, more | 2 stream (signal stored, decision → execution), 3 plain (the question for the last signal and its answer, `clock.decide` → risk) |
//! | with orders, more | 2 stream (intent stored before the broker, its answer → clock) |
//! | with fills, more | 1 stream (fill stored before the mark) |
//!
//! Deliberately absent: the wait of risk for its read model, and all computing. They are what a rehearsal
//! may spend above the floor.

use std::time::Duration;

use contracts::v1::Origin;
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use event_log::{ConnectOptions, HopError, Hops, measure_hops};

use crate::clock::Progress;
use crate::event;
use crate::file::Series;

/// Time per hop, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Floor {
    /// One event from publisher to consumer.
    pub stream_hop_ns: u64,
    /// The events of an instant from publisher to consumer.
    pub market_hop_ns: u64,
    /// One plain message.
    pub plain_hop_ns: u64,
}

/// Round trips of each kind that are measured for a run, at least and at most. At most they take about three seconds where
/// the server syncs every write; a run of a few seconds is not followed by as many of measuring.
const ROUNDS_MIN: u32 = 100;
const ROUNDS_MAX: u32 = 1_000;
/// Of a run so long one more round trip is measured.
const ROUND_FOR: Duration = Duration::from_millis(40);

/// Measures the hops on the server that `options` name, for a run that took `elapsed`; `instant` is the number of events
/// of a market hop, that is of an ordinary instant.
pub async fn measure(options: &ConnectOptions, instant: u32, elapsed: Duration) -> Result<Floor, HopError> {
    let rounds = rounds(elapsed);
    let Hops { stream_ns, burst_ns, plain_ns } = measure_hops(options, example(), instant, rounds).await?;
    Ok(Floor { stream_hop_ns: stream_ns, market_hop_ns: burst_ns, plain_hop_ns: plain_ns })
}

/// Round trips that are measured for a run that took `elapsed`.
#[must_use]
pub fn rounds(elapsed: Duration) -> u32 {
    let rounds = elapsed.as_nanos() / ROUND_FOR.as_nanos();
    u32::try_from(rounds).unwrap_or(ROUNDS_MAX).clamp(ROUNDS_MIN, ROUNDS_MAX)
}

/// The bytes of an ordinary bar.
fn example() -> Vec<u8> {
    let price = Price(123_450_000_000);
    let bar = Bar {
        start_ns: 1_577_975_400_000_000_000,
        close_ns: 1_577_979_000_000_000_000,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume(1_000_000),
    };
    let series = Series { symbol: "FLOOR".to_owned(), timeframe: Timeframe::H1 };
    contracts::encode(&event::bar("floor", Origin::Rehearsal, &series, &bar))
}

/// A rehearsal's rate beside its floor's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Bars per second of the run.
    pub bars_per_second: f64,
    /// Bars per second if every instant took just its hops.
    pub floor_bars_per_second: f64,
    /// The first as a percentage of the second.
    pub percent_of_floor: f64,
}

impl Floor {
    /// The least time for the instants that `progress` counts.
    #[must_use]
    pub fn least(&self, progress: &Progress) -> Duration {
        let (stream, plain) = (self.stream_hop_ns, self.plain_hop_ns);
        let quiet = progress.instants - progress.instants_with_bars;
        let ns = progress.instants_with_bars * (self.market_hop_ns + stream + plain)
            + quiet * 2 * stream
            + progress.instants_with_signals * (2 * stream + 3 * plain)
            + progress.instants_with_orders * 2 * stream
            + progress.instants_with_fills * stream;
        Duration::from_nanos(ns)
    }

    /// Compares a run that took `elapsed` with its floor; `None` when nothing was played.
    #[must_use]
    pub fn compare(&self, progress: &Progress, elapsed: Duration) -> Option<Comparison> {
        let (elapsed, least) = (elapsed.as_secs_f64(), self.least(progress).as_secs_f64());
        if progress.bars == 0 || elapsed <= 0.0 || least <= 0.0 {
            return None;
        }
        let bars = progress.bars as f64;
        Some(Comparison {
            bars_per_second: bars / elapsed,
            floor_bars_per_second: bars / least,
            percent_of_floor: 100.0 * least / elapsed,
        })
    }
}
