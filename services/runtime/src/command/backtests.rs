//! Commands on backtests: asking for a run, asking for its end.

use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{BacktestCancelRequested, BacktestRequest, BacktestRequested};
use event_log::{AppendError, LogError, Tape};

use super::{Caller, control};

/// Why a command on a backtest was refused.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// There is no such run.
    #[error("no backtest {0:?} on this tape")]
    Unknown(String),
    /// It has ended.
    #[error("backtest {0} has ended already")]
    Ended(String),
    /// The event could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Longest id, in bytes; a longer one names nothing.
const ID_BYTES_MAX: usize = 64;

/// Asks for a run, or states one that `runner` does itself. Answers its id, which follows from the caller: the
/// same key asked twice is one run.
pub async fn request_backtest(
    tape: &Tape,
    caller: &Caller,
    request: BacktestRequest,
    runner: &str,
) -> Result<String, AppendError> {
    let run_id = caller.id("backtest");
    let body = Body::BacktestRequested(BacktestRequested {
        run_id: run_id.clone(),
        actor: caller.actor.clone(),
        request: Some(request),
        runner: runner.to_owned(),
    });
    control(tape, caller, "backtest_request", &run_id, "", body).await?;
    Ok(run_id)
}

/// Asks for the end of a run.
pub async fn cancel_backtest(
    tape: &Tape,
    caller: &Caller,
    run_id: &str,
    reason: &str,
) -> Result<(), BacktestError> {
    let there = async |event: &str| -> Result<bool, LogError> {
        let subject = Subject::backtest(run_id, event);
        Ok(tape.last_sequence(TRADING, subject.as_str()).await? > 0)
    };
    if run_id.is_empty() || run_id.len() > ID_BYTES_MAX || !there("requested").await? {
        return Err(BacktestError::Unknown(run_id.chars().take(ID_BYTES_MAX).collect()));
    }
    if there("finished").await? {
        return Err(BacktestError::Ended(run_id.to_owned()));
    }
    let body = Body::BacktestCancelRequested(BacktestCancelRequested {
        run_id: run_id.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
    });
    Ok(control(tape, caller, "backtest_cancel", run_id, reason, body).await?)
}
