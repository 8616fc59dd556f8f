//! The bars of one company in one session.

use domain::bar::{Bar, Timeframe};
use domain::calendar::Session;
use domain::money::{E9, Price, Volume};
use rand_chacha::ChaCha8Rng;

use super::market::{self, Move, cents, normal, whole};

const HOUR_NS: i64 = 3_600_000_000_000;
/// Smallest price, in cents.
const CENTS_MIN: i64 = 50;

/// The bars that a move makes, each interval that overlaps the session.
pub(super) fn bars(seed: u64, session: &Session, timeframe: Timeframe, each: &Move) -> Vec<Bar> {
    let mut rng = market::generator(seed, session, &format!("{}/path", each.symbol.symbol));
    let intervals = intervals(session, timeframe);
    let weights: Vec<f64> = intervals.iter().map(|(start, end)| weight(session, *start, *end)).collect();
    let total: f64 = weights.iter().sum();
    let shares: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let path = bridge(&mut rng, &shares, each.volatility, each.log_return);
    let mut before = each.open;
    intervals
        .iter()
        .zip(&shares)
        .zip(path)
        .map(|(((start_ns, close_ns), share), log)| {
            let after = each.open * log.exp();
            let reach = each.volatility * share.sqrt();
            let up = (0.5 * reach * normal(&mut rng).abs()).exp();
            let down = (-0.5 * reach * normal(&mut rng).abs()).exp();
            let (open, close) = (cents(before).max(CENTS_MIN), cents(after).max(CENTS_MIN));
            let high = cents(before.max(after) * up).max(open).max(close);
            let low = cents(before.min(after) * down).max(CENTS_MIN).min(open).min(close);
            let traded = each.volume * share * (0.3 * normal(&mut rng)).exp();
            before = after;
            Bar {
                start_ns: *start_ns,
                close_ns: *close_ns,
                open: price(open),
                high: price(high),
                low: price(low),
                close: price(close),
                volume: Volume(whole(traded).max(1) * 1_000),
            }
        })
        .collect()
}

fn price(cents: i64) -> Price {
    Price(cents * (E9 / 100))
}

/// Intervals of the timeframe, aligned to the clock, that overlap the session; a day is the session.
fn intervals(session: &Session, timeframe: Timeframe) -> Vec<(i64, i64)> {
    if timeframe == Timeframe::D1 {
        return vec![(session.open_ns, session.close_ns)];
    }
    let length = timeframe.nanos();
    let mut start = session.open_ns.div_euclid(length) * length;
    let mut intervals = Vec::new();
    while start < session.close_ns {
        intervals.push((start, start + length));
        start += length;
    }
    intervals
}

/// Activity of an interval: high at the opening and the close, low at noon.
fn weight(session: &Session, start_ns: i64, end_ns: i64) -> f64 {
    let (start, end) = (start_ns.max(session.open_ns), end_ns.min(session.close_ns));
    let length = (session.close_ns - session.open_ns) as f64;
    let middle = ((start + (end - start) / 2) - session.open_ns) as f64 / length;
    let from_noon = 2.0 * middle - 1.0;
    (0.45 + 1.65 * from_noon * from_noon) * (end - start) as f64 / HOUR_NS as f64
}

/// A Brownian path with the given shares of variance that ends at `target`.
fn bridge(rng: &mut ChaCha8Rng, shares: &[f64], volatility: f64, target: f64) -> Vec<f64> {
    let mut path = Vec::with_capacity(shares.len());
    let (mut at, mut elapsed) = (0.0, 0.0);
    for share in shares {
        at += volatility * share.sqrt() * normal(rng);
        elapsed += share;
        path.push((at, elapsed));
    }
    let miss = target - at;
    path.into_iter().map(|(at, elapsed)| at + elapsed * miss).collect()
}
