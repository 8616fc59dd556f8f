//! Checks that compare a run with a variant of itself.

use domain::money::Amount;
use domain::performance::Trade;

use super::{Kind, Warning};

/// Share of the profit that has to be left when signals come one bar later.
const KEPT_MIN: f64 = 0.5;

/// Look-ahead test. `run` makes a run with the data up to an instant, or with all of them (`None`), and returns
/// its closed trades. A strategy that sees nothing of the future makes the same trades up to the cut either way. Of bars the
/// cut is where the first one begins that is taken away, not where it closes: it may be traded at its open.
pub fn look_ahead<E>(
    cut_ns: i64,
    mut run: impl FnMut(Option<i64>) -> Result<Vec<Trade>, E>,
) -> Result<Option<Warning>, E> {
    let (all, cut) = (run(None)?, run(Some(cut_ns))?);
    let before = |trades: Vec<Trade>| -> Vec<Trade> {
        trades.into_iter().filter(|trade| trade.exit_ns < cut_ns).collect()
    };
    Ok(difference(&before(all), &before(cut)).map(|place| {
        let text = format!(
            "Trade {place} before the cut differs when the data after it are taken away: something sees the future."
        );
        Warning::new(Kind::LookAhead, text)
    }))
}

/// Delay test: what is left of a profit when the strategy sees every bar one bar late. Only look-ahead or a very
/// short edge is lost by that. `None` when there was no profit to lose.
#[must_use]
pub fn delay(on_time: &[Trade], late: &[Trade]) -> Option<Warning> {
    let profit = |trades: &[Trade]| {
        trades
            .iter()
            .map(|trade| trade.pnl)
            .fold(Amount::ZERO, |sum, pnl| Amount(sum.0.saturating_add(pnl.0)))
    };
    let (on_time, late) = (profit(on_time), profit(late));
    if on_time <= Amount::ZERO || late.to_f64() >= KEPT_MIN * on_time.to_f64() {
        return None;
    }
    let text = format!(
        "With bars one bar late the closed trades' profit goes from {on_time} to {late}; less than {:.0} % is left.",
        KEPT_MIN * 100.0
    );
    Some(Warning::new(Kind::DelaySensitive, text))
}

/// Warm-up test: `stated` are the trades after the stated warm-up, `longer` those of the same span after a longer
/// one. They are the same when the stated warm-up is enough.
#[must_use]
pub fn warm_up(stated: &[Trade], longer: &[Trade]) -> Option<Warning> {
    difference(stated, longer).map(|place| {
        let text = format!("Trade {place} differs when the strategy is warmed up for longer than it states.");
        Warning::new(Kind::WarmUp, text)
    })
}

/// Number of the first trade, from one, in which two runs differ.
fn difference(left: &[Trade], right: &[Trade]) -> Option<usize> {
    let common = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    (common < left.len().max(right.len())).then_some(common + 1)
}
