//! `tapedeck order place`, `order replace`, `order groups`: orders by hand, through risk.

use std::time::Duration;

use contracts::v1::Side;
use domain::money::{Price, Quantity};
use projections::queries::{self, DecisionFilter, DecisionRow};
use runtime::command::{self as commands, Asked, NewOrder, NewTerms, OrderError};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::cli::Place;
use crate::command::control::{caller, check_account, known_accounts};
use crate::command::order::{find, unreachable};
use crate::command::rows::check_limit;
use crate::exit::Failure;
use crate::home::TapeKind;
use crate::output::Output;
use crate::render::time;
use crate::services::clock_mode;
use crate::session::Session;

/// How long risk's answer is waited for.
const WAIT: Duration = Duration::from_secs(15);
/// How long the broker's answer is waited for after it.
const BROKER_WAIT: Duration = Duration::from_secs(5);
/// Time between two looks for it.
const LOOK: Duration = Duration::from_millis(100);

/// Asks for an order and says what risk answered.
pub async fn place(session: &Session, options: &Place, output: Output) -> Result<(), Failure> {
    let trail = options.trail.is_some() || options.trail_rate.is_some();
    let by_prices = commands::order_type_by_prices(options.limit.is_some(), options.stop.is_some(), trail);
    let order_type = options.order_type.as_deref().unwrap_or(by_prices);
    let (side, order_type, time_in_force) =
        commands::order_words(&options.side, order_type, &options.tif).map_err(failed)?;
    if let Some(qty) = options.qty.filter(|qty| qty.0 <= 0) {
        let message = format!("--qty {qty}: expected a number of shares above 0");
        return Err(Failure::usage(message, "tapedeck order place buy AAPL --qty 10"));
    }
    let account = account(session, options.account.as_deref()).await?;
    let price = |price: Option<Price>| price.map(|price| price.0);
    let order = NewOrder {
        account,
        symbol: options.symbol.clone(),
        side,
        order_type,
        time_in_force,
        quantity_e9: options.qty.map(|shares| shares.0),
        notional_e9: price(options.notional),
        limit_price_e9: price(options.limit),
        stop_price_e9: price(options.stop),
        trail_price_e9: price(options.trail),
        trail_rate_e9: price(options.trail_rate),
        take_profit_price_e9: price(options.take_profit),
        stop_loss_price_e9: price(options.stop_loss),
        extended_hours: options.extended_hours,
        reason: options.reason.clone(),
    };
    let clock = clock_mode(&session.manifest);
    let asked = commands::place_order(&session.tape, &caller(), clock, &order).await.map_err(failed)?;
    answer(session, &asked, options.no_wait, output).await
}

/// Asks for new terms and says what risk answered; the broker's answer follows on the tape.
pub async fn replace(
    session: &Session,
    id: &str,
    (qty, limit, stop): (Option<Quantity>, Option<Price>, Option<Price>),
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let order = find(session, id).await?.order;
    if order.ended {
        return Err(Failure::other(format!("order {id} has ended already: {}", order.status)));
    }
    if qty.is_none() && limit.is_none() && stop.is_none() {
        return Err(Failure::usage(
            "nothing to replace: expected --qty, --limit or --stop",
            format!("tapedeck order replace {id} --limit 10.50"),
        ));
    }
    let terms = NewTerms {
        order_id: order.order_id,
        account: order.account,
        symbol: order.symbol,
        side: if order.side == "sell" { Side::Sell } else { Side::Buy },
        quantity_e9: qty.map(|shares| shares.0),
        limit_price_e9: limit.map(|price| price.0),
        stop_price_e9: stop.map(|price| price.0),
        reason: reason.to_owned(),
    };
    let clock = clock_mode(&session.manifest);
    let asked = commands::replace_order(&session.tape, &caller(), clock, &terms).await.map_err(failed)?;
    answer(session, &asked, false, output).await
}

/// Lists what was done about groups and stopped strategies.
pub async fn groups(session: &Session, limit: u32, output: Output) -> Result<(), Failure> {
    check_limit(limit, "tapedeck order groups --limit 50")?;
    let pool = session.reader().await?;
    let rows = queries::groups_handled(&pool, None, limit).await.map_err(unreachable)?;
    if output.json {
        return output.document(&rows);
    }
    let header =
        ["TIME", "GROUP", "STRATEGY", "FAILURE", "ORDER", "POLICY", "CANCELS", "ORDERS", "DONE", "OPEN"];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                time(row.event_time_ns),
                row.group_id.clone(),
                row.strategy.clone(),
                row.failure.clone(),
                if row.failed_order_id.is_empty() { "–".to_owned() } else { row.failed_order_id.clone() },
                row.policy.clone(),
                row.cancels.len().to_string(),
                row.orders.len().to_string(),
                if row.done { "yes" } else { "no" }.to_owned(),
                if row.open.is_empty() { "nothing".to_owned() } else { row.open.clone() },
            ]
        })
        .collect();
    output.table(&header, &rows);
    Ok(())
}

async fn answer(session: &Session, asked: &Asked, no_wait: bool, output: Output) -> Result<(), Failure> {
    let (state, reason) = match unacted(session) {
        // Nobody will answer: nothing is waited for.
        Some(why) => ("requested", why),
        None if no_wait => ("requested", String::new()),
        None => found_out(session, asked).await?,
    };
    if output.json {
        output.document(&serde_json::json!({
            "order_id": asked.order_id, "signal_id": asked.signal_id, "state": state, "reason": reason,
        }))?;
    } else {
        output.line(&asked.order_id);
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        output.note(&format!("{state}{why}"));
    }
    match state {
        "denied" => Err(Failure::condition(format!("denied by {reason}"))),
        "rejected" => Err(Failure::condition(format!("rejected: {reason}"))),
        _ => Ok(()),
    }
}

/// Why nobody acts upon what is asked for, where nobody runs the tape.
pub(super) fn unacted(session: &Session) -> Option<String> {
    session.is_among_commands().then(|| idle(&session.dir.name, session.manifest.kind))
}

/// The same of a tape of its kind.
fn idle(tape: &str, kind: TapeKind) -> String {
    let runs =
        format!("nobody runs tape {tape}, and nobody acts upon it until `tapedeck up --tape {tape}` does");
    match kind {
        TapeKind::Main | TapeKind::Demo => runs,
        TapeKind::Rehearsal => {
            format!("{runs}; behind the last of its recorded bars its clock stands for good")
        }
        TapeKind::Backtest => {
            format!(
                "tape {tape} holds the events of a backtest: its clock stands for good, and nobody acts upon it"
            )
        }
    }
}

/// What became of it within the time that one waits: risk's answer, and the broker's where that is a bad one.
async fn found_out(session: &Session, asked: &Asked) -> Result<(&'static str, String), Failure> {
    let pool = session.reader().await?;
    let until = Instant::now() + WAIT;
    let Some(decision) = decided(&pool, &asked.signal_id, until).await? else {
        let waited = WAIT.as_secs();
        let last = match session.manifest.kind {
            TapeKind::Rehearsal => "; behind the last of the recorded bars there is none",
            _ => "",
        };
        let reason = format!(
            "risk has not decided within {waited} s; it will with the next instant of this tape's clock{last}: \
             `tapedeck status` says what runs and what the clock waits for"
        );
        return Ok(("requested", reason));
    };
    if decision.verdict != "approved" {
        return Ok(("denied", format!("{}: {}", decision.rule, decision.reason)));
    }
    let until = until.min(Instant::now() + BROKER_WAIT);
    let turned_away = turned_away(&pool, &asked.order_id, until).await?;
    Ok(turned_away.unwrap_or(("approved", String::new())))
}

/// Risk's answer to a signal, if there is one until then.
async fn decided(pool: &PgPool, signal_id: &str, until: Instant) -> Result<Option<DecisionRow>, Failure> {
    let filter = DecisionFilter { signal_id: Some(signal_id.to_owned()), ..DecisionFilter::default() };
    while Instant::now() < until {
        let page = queries::risk_decisions(pool, &filter, None, 1).await.map_err(unreachable)?;
        if let Some(decision) = page.rows.into_iter().next() {
            return Ok(Some(decision));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}

/// What is bad about the broker's answer to an order, if it is known until then.
async fn turned_away(
    pool: &PgPool,
    order_id: &str,
    until: Instant,
) -> Result<Option<(&'static str, String)>, Failure> {
    // A request without an answer is asked after: what became of it may still be known in time.
    let mut unknown = None;
    while Instant::now() < until {
        let found = queries::order(pool, order_id).await.map_err(unreachable)?;
        let status = found.as_ref().map_or("", |found| found.order.status.as_str());
        match (status, &found) {
            ("rejected", Some(found)) => return Ok(Some(("rejected", found.order.reason.clone()))),
            ("unknown", Some(found)) => {
                let last = found.history.last().map(|event| event.detail.clone());
                unknown = Some(("unknown", last.unwrap_or_default()));
            }
            ("" | "approved" | "submitted", _) => {}
            _ => return Ok(None),
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(unknown)
}

/// The account that is stated, or the only one of the configuration.
async fn account(session: &Session, stated: Option<&str>) -> Result<String, Failure> {
    if let Some(stated) = stated {
        check_account(session, stated).await?;
        return Ok(stated.to_owned());
    }
    let mut configured = session.config.account.keys();
    if let (Some(only), None) = (configured.next(), configured.next()) {
        return Ok(only.clone());
    }
    let known = known_accounts(session).await?.into_iter().collect::<Vec<_>>().join(", ");
    Err(Failure::usage(
        format!("--account: not stated, expected one of {known}"),
        "tapedeck order place buy SPY --qty 1 --account paper",
    ))
}

fn failed(error: OrderError) -> Failure {
    match error {
        OrderError::Invalid { .. } => Failure::usage(error.to_string(), "tapedeck order place --help"),
        OrderError::NoMark(_) => Failure::other(error.to_string()),
        OrderError::Append(error) => error.into(),
        OrderError::Log(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_on_a_tape_that_nobody_runs_names_the_command_that_runs_it() {
        let runs = "nobody runs tape t, and nobody acts upon it until `tapedeck up --tape t` does";
        assert_eq!(idle("t", TapeKind::Main), runs);
        assert_eq!(idle("t", TapeKind::Demo), runs);
        let played = idle("t", TapeKind::Rehearsal);
        assert!(played.starts_with(runs) && played.ends_with("its clock stands for good"), "{played}");
        assert!(!idle("t", TapeKind::Backtest).contains("tapedeck up"));
    }
}
