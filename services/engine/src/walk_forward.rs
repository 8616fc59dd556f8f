//! Walk-forward tests: parameters chosen on one window are tried on the window that follows.
//!
//! Every out-of-sample window begins flat, with warm strategies and the equity at which the one before ended,
//! so that the joined equity is one that could have been had.

use domain::calendar::Session;
use domain::money::Amount;
use domain::performance::{EquityRow, Trade};
use domain::series::MarketData;

use crate::config::Config;
use crate::outcome::Outcome;
use crate::recorder::Nothing;
use crate::run::{Error, Uncontrolled, run};
use crate::space::{Point, configure};
use crate::sweep::{Search, best, sweep};
use crate::walk::session_range;

/// How the range is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folds {
    /// Every in-sample window starts at the range's start; otherwise it rolls.
    pub anchored: bool,
    /// Sessions of an in-sample window; of the first one when anchored.
    pub in_sample: usize,
    /// Sessions of an out-of-sample window; the last may be shorter.
    pub out_of_sample: usize,
}

/// One window and what it came to.
#[derive(Clone, Debug)]
pub struct Fold<Measured> {
    /// First and last session of the in-sample window.
    pub in_sample: (Session, Session),
    /// First and last session of the out-of-sample window.
    pub out_of_sample: (Session, Session),
    /// The combination that was best in sample; none where no trial had a score.
    pub chosen: Option<Point>,
    /// Its score in sample.
    pub in_sample_score: Option<f64>,
    /// Its score out of sample.
    pub out_of_sample_score: Option<f64>,
    /// What was measured out of sample.
    pub measured: Option<Measured>,
    /// Trades out of sample.
    pub trades: usize,
    /// Runs that could not be made.
    pub refused: usize,
}

/// What a walk-forward test comes to.
#[derive(Clone, Debug)]
pub struct WalkForward<Measured> {
    /// Windows in the order of time.
    pub folds: Vec<Fold<Measured>>,
    /// Out-of-sample equity, joined.
    pub equity: Vec<EquityRow>,
    /// Out-of-sample trades, in the order of their exits.
    pub trades: Vec<Trade>,
    /// Runs in all.
    pub runs: usize,
    /// Why the first of those could not be made that could not.
    pub refusal: Option<Error>,
}

/// Windows that the data do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldsError {
    /// A window has no session.
    #[error("windows of {in_sample} and {out_of_sample} sessions, expected at least one each")]
    Empty {
        /// In-sample sessions.
        in_sample: usize,
        /// Out-of-sample sessions.
        out_of_sample: usize,
    },
    /// The data are too short.
    #[error("the data hold {sessions} sessions, expected more than the {in_sample} of the first window")]
    TooShort {
        /// Sessions there are.
        sessions: usize,
        /// In-sample sessions.
        in_sample: usize,
    },
}

/// Why a walk-forward test has no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WalkForwardError {
    /// The windows do not fit.
    #[error(transparent)]
    Folds(#[from] FoldsError),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] Error),
}

/// First session of the in-sample window, first of the out-of-sample one and the end, as places.
fn windows(sessions: usize, folds: Folds) -> Result<Vec<(usize, usize, usize)>, FoldsError> {
    let Folds { anchored, in_sample, out_of_sample } = folds;
    if in_sample == 0 || out_of_sample == 0 {
        return Err(FoldsError::Empty { in_sample, out_of_sample });
    }
    if sessions <= in_sample {
        return Err(FoldsError::TooShort { sessions, in_sample });
    }
    let starts = (in_sample..sessions).step_by(out_of_sample);
    Ok(starts
        .map(|start| {
            let first = if anchored { 0 } else { start - in_sample };
            (first, start, (start + out_of_sample).min(sessions))
        })
        .collect())
}

/// Runs a walk-forward test.
pub fn walk_forward<Measured: Send>(
    config: &Config,
    data: &MarketData,
    folds: Folds,
    search: &Search<'_, impl Fn(&Config, &Outcome) -> (Option<f64>, Measured) + Sync>,
) -> Result<WalkForward<Measured>, WalkForwardError> {
    let inside = |session: &&Session| {
        config.from_ns.is_none_or(|from| session.close_ns > from)
            && config.until_ns.is_none_or(|until| session.open_ns < until)
    };
    let sessions: Vec<Session> =
        session_range(config.calendar, data).map_err(Error::from)?.iter().filter(inside).copied().collect();
    let mut result =
        WalkForward { folds: Vec::new(), equity: Vec::new(), trades: Vec::new(), runs: 0, refusal: None };
    let mut cash = config.account.cash;
    for (first, start, end) in windows(sessions.len(), folds)? {
        let bounds = |from: usize, to: usize| (sessions[from], sessions[to - 1]);
        let (learn, test) = (bounds(first, start), bounds(start, end));
        // A window ends where the next begins; a bar after its last close still belongs to it.
        let until = |end: usize| sessions.get(end).map(|next| next.open_ns).or(config.until_ns);
        let trials = sweep(&within(config, learn, until(start), config.account.cash), data, search)?;
        result.runs += trials.len();
        let refused = trials.iter().filter(|trial| trial.measured.is_err()).count();
        let first_refusal = || trials.iter().find_map(|trial| trial.measured.as_ref().err().cloned());
        result.refusal = result.refusal.or_else(first_refusal);
        let chosen = best(&trials);
        let mut fold = Fold {
            in_sample: learn,
            out_of_sample: test,
            chosen: chosen.map(|trial| trial.point.clone()),
            in_sample_score: chosen.and_then(|trial| trial.score),
            out_of_sample_score: None,
            measured: None,
            trades: 0,
            refused,
        };
        if let Some(point) = &fold.chosen {
            let config = configure(&within(config, test, until(end), cash), search.space, point);
            let outcome = run(&config, data, &mut Nothing, &mut Uncontrolled)?;
            let (score, measured) = (search.measure)(&config, &outcome);
            cash = outcome.final_equity();
            fold.trades = outcome.trades.len();
            fold.out_of_sample_score = score;
            fold.measured = Some(measured);
            result.equity.extend(outcome.equity);
            result.trades.extend(outcome.trades);
            result.runs += 1;
        }
        result.folds.push(fold);
    }
    Ok(result)
}

/// The configuration of one window. What is open at its end is closed there, as trades.
fn within(config: &Config, window: (Session, Session), until_ns: Option<i64>, cash: Amount) -> Config {
    let mut config = config.clone();
    config.from_ns = Some(window.0.open_ns);
    config.until_ns = until_ns;
    config.account.cash = cash;
    config.finalize = true;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_each_other() {
        let check = |anchored, in_sample, out_of_sample, expected: &[(usize, usize, usize)]| {
            let folds = Folds { anchored, in_sample, out_of_sample };
            assert_eq!(windows(10, folds).unwrap_or_default(), expected);
        };
        check(false, 4, 3, &[(0, 4, 7), (3, 7, 10)]);
        check(true, 4, 4, &[(0, 4, 8), (0, 8, 10)]);
        check(true, 10, 1, &[]);
        check(true, 0, 1, &[]);
    }
}
