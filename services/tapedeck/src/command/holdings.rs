//! `tapedeck positions` and `tapedeck account`: what is held and how accounts stand, now or as of a moment
//! of the past.

use std::sync::Arc;

use domain::money::Amount;
use event_log::LogError;
use projections::as_of::{AsOfError, Moment, Past, Timeline};
use projections::queries::{self, AccountRow, PositionRow};

use crate::cli::{AccountOptions, Positions};
use crate::command::control::check_account;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Lists positions.
pub async fn positions(session: &Session, options: &Positions, output: Output) -> Result<(), Failure> {
    let account = options.account.as_deref();
    let rows = match past(session, options.as_of.as_deref(), output).await? {
        Some(past) => past.positions(account, options.flat),
        None => {
            let pool = session.reader().await?;
            let rows = queries::positions(&pool, account, options.flat).await;
            pool.close().await;
            rows.map_err(|error| Failure::unreachable(error.to_string()))?
        }
    };
    if rows.is_empty() {
        check_account(session, account.unwrap_or_default()).await?;
    }
    if output.json {
        return output.document(&rows);
    }
    if rows.is_empty() {
        output.note("flat: nothing is held");
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(position).collect();
    output.table(
        &[
            "ACCOUNT",
            "STRATEGY",
            "SYMBOL",
            "QTY",
            "AVERAGE",
            "MARK",
            "UNREALISED",
            "REALISED",
            "FIFO UNREALISED",
            "FIFO REALISED",
            "FEES",
        ],
        &cells,
    );
    Ok(())
}

/// Lists accounts.
pub async fn accounts(session: &Session, options: &AccountOptions, output: Output) -> Result<(), Failure> {
    let rows = match past(session, options.as_of.as_deref(), output).await? {
        Some(past) => past.accounts(),
        None => {
            let pool = session.reader().await?;
            let rows = queries::accounts(&pool).await;
            pool.close().await;
            rows.map_err(|error| Failure::unreachable(error.to_string()))?
        }
    };
    let asked = options.account.as_deref();
    let wanted = |row: &AccountRow| asked.is_none_or(|account| *account == row.account);
    let rows: Vec<AccountRow> = rows.into_iter().filter(wanted).collect();
    if rows.is_empty() {
        check_account(session, asked.unwrap_or_default()).await?;
    }
    if output.json {
        return output.document(&rows);
    }
    if rows.is_empty() {
        output.note(&format!("nothing is known of {} yet", asked.unwrap_or("any account")));
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(account).collect();
    output.table(
        &[
            "ACCOUNT",
            "EQUITY",
            "CASH",
            "DAY P&L",
            "EXPOSURE",
            "REALISED",
            "UNREALISED",
            "FEES",
            "MARKED",
            "STATE",
        ],
        &cells,
    );
    Ok(())
}

/// The state of the moment asked for; `None` for the present.
async fn past(session: &Session, as_of: Option<&str>, output: Output) -> Result<Option<Arc<Past>>, Failure> {
    let Some(text) = as_of else { return Ok(None) };
    let hint = "--as-of seq:1200, or --as-of 2020-01-02T15:30:00Z";
    let moment: Moment = text.parse().map_err(|_| {
        Failure::usage(format!("--as-of {text:?}: expected seq:N or an instant (RFC 3339)"), hint)
    })?;
    of_moment(session, moment, hint, output).await.map(Some)
}

/// The state of a moment, and which one it is on stderr: of an instant after the tape's last the newest there is.
pub(super) async fn of_moment(
    session: &Session,
    moment: Moment,
    hint: &str,
    output: Output,
) -> Result<Arc<Past>, Failure> {
    let unreachable = |error: LogError| Failure::unreachable(error.to_string());
    let timeline = Timeline::kept_in(Arc::clone(&session.tape), Some(session.dir.books()));
    let past = timeline.at(moment).await.map_err(|error| match error {
        AsOfError::Future { .. } => Failure::usage(error.to_string(), hint),
        AsOfError::Tape(error) => unreachable(error),
    })?;
    let at = past.market_ns.map_or_else(String::new, |ns| format!(", market time {}", time(ns)));
    let is_after = matches!(moment, Moment::Instant(_)) && past.holds(moment).is_err();
    let is_end = is_after && past.sequence() >= timeline.head().await.map_err(unreachable)?;
    let end = if is_end { format!(": the tape ends there, before {moment}") } else { String::new() };
    output.note(&format!("as of event {} of TRADING{at}{end}", past.sequence()));
    Ok(past)
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn position(row: &PositionRow) -> Vec<String> {
    vec![
        row.account.clone(),
        row.strategy.clone(),
        row.symbol.clone(),
        row.quantity.to_string(),
        or_dash(row.average_cost),
        or_dash(row.mark_price),
        or_dash(row.unrealized_pnl),
        row.realized_pnl.to_string(),
        or_dash(row.fifo_unrealized_pnl),
        row.fifo_realized_pnl.to_string(),
        row.fees.to_string(),
    ]
}

/// What strategies may send, and why it is not everything.
fn state(row: &AccountRow) -> String {
    let state = row.state.replace('_', "-");
    match row.halt_reason.as_str() {
        "" => state,
        reason => format!("{state}: {reason}"),
    }
}

fn account(row: &AccountRow) -> Vec<String> {
    let amount = |value: Option<Amount>| or_dash(value);
    vec![
        row.account.clone(),
        amount(row.equity),
        row.cash.to_string(),
        amount(row.day_pnl),
        amount(row.gross_exposure),
        row.realized_pnl.to_string(),
        amount(row.unrealized_pnl),
        row.fees.to_string(),
        row.marked_ns.map_or_else(|| "–".to_owned(), time),
        state(row),
    ]
}
