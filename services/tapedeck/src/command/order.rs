//! `tapedeck order`: listed, shown, cancelled; placing and replacing are [`super::place`]'s.

use contracts::v1::OrderSpec;
use domain::order::OrderStage;
use projections::queries::{self, Cursor, OrderDetail, OrderFilter, OrderRow, QueryError, Turn};
use runtime::command as commands;
use sqlx::PgPool;

use crate::cli::OrderCommand;
use crate::command::control::{caller, check_account};
use crate::command::place;
use crate::command::rows::check_limit;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// What [`cells`] shows.
pub(crate) const HEADER: [&str; 10] =
    ["TIME", "ORDER", "STRATEGY", "SYMBOL", "SIDE", "QTY", "TERMS", "FILLED", "PRICE", "STATUS"];

/// Lists, shows or cancels.
pub async fn run(session: &Session, command: &OrderCommand, output: Output) -> Result<(), Failure> {
    match command {
        OrderCommand::List { open, strategy, symbol, account, status, side, limit, before } => {
            check_limit(*limit, "tapedeck order list --limit 50")?;
            if let Some(status) = status
                && OrderStage::from_name(status).is_none()
            {
                let known: Vec<_> = OrderStage::ALL.iter().map(|stage| stage.name()).collect();
                return Err(Failure::usage(
                    format!("--status {status}: expected one of {}", known.join(", ")),
                    "tapedeck order list --status filled",
                ));
            }
            if let Some(side) = side.as_deref().filter(|side| !matches!(*side, "buy" | "sell")) {
                return Err(Failure::usage(
                    format!("--side {side}: expected buy or sell"),
                    "tapedeck order list --side buy",
                ));
            }
            check_account(session, account.as_deref().unwrap_or_default()).await?;
            let filter = OrderFilter {
                strategy: strategy.clone(),
                symbol: symbol.clone(),
                account: account.clone(),
                status: status.clone(),
                side: side.clone(),
                open: open.then_some(true),
                ..OrderFilter::default()
            };
            list(session, &filter, *before, *limit, output).await
        }
        OrderCommand::Show { id } => show(&find(session, id).await?, output),
        OrderCommand::Cancel { id, reason } => cancel(session, id, reason, output).await,
        OrderCommand::Place(options) => place::place(session, options, output).await,
        OrderCommand::Replace { id, qty, limit, stop, reason } => {
            place::replace(session, id, (*qty, *limit, *stop), reason, output).await
        }
        OrderCommand::Groups { limit } => place::groups(session, *limit, output).await,
    }
}

pub(crate) fn unreachable(error: QueryError) -> Failure {
    Failure::unreachable(error.to_string())
}

async fn list(
    session: &Session,
    filter: &OrderFilter,
    before: Option<Cursor>,
    limit: u32,
    output: Output,
) -> Result<(), Failure> {
    let pool = session.reader().await?;
    let page = queries::list_orders(&pool, filter, before.map_or(Turn::Newest, Turn::Before), limit)
        .await
        .map_err(unreachable)?;
    if let Some(strategy) = filter.strategy.as_deref().filter(|_| page.rows.is_empty()) {
        check_strategy(&pool, strategy).await?;
    }
    if output.json {
        return output.document(&page.rows);
    }
    let rows: Vec<Vec<String>> = page.rows.iter().map(cells).collect();
    output.table(&HEADER, &rows);
    if let Some(next) = page.older {
        output.note(&format!("more: --before {next}"));
    }
    Ok(())
}

/// Refuses a strategy that nobody ever registered, those removed included.
async fn check_strategy(pool: &PgPool, strategy: &str) -> Result<(), Failure> {
    let rows = queries::strategies(pool).await.map_err(unreachable)?;
    let known: Vec<&str> = rows.iter().map(|row| row.strategy.as_str()).chain([contracts::MANUAL]).collect();
    if known.contains(&strategy) {
        return Ok(());
    }
    let message = format!("strategy {strategy:?}: expected one of {}", known.join(", "));
    Err(Failure::not_found(message, "tapedeck strategy list"))
}

pub(crate) fn cells(order: &OrderRow) -> Vec<String> {
    vec![
        time(order.approved_ns),
        order.order_id.clone(),
        order.strategy.clone(),
        order.symbol.clone(),
        order.side.clone(),
        order.quantity.to_string(),
        terms(order),
        order.filled.to_string(),
        order.average_price.map_or_else(|| "–".to_owned(), |price| price.to_string()),
        order.status.clone(),
    ]
}

/// Type with its prices, time in force and group: `stop 45 gtc bracket`.
fn terms(order: &OrderRow) -> String {
    let mut words = vec![order.order_type.replace('_', " ")];
    words.extend(order.limit_price.map(|limit| limit.to_string()));
    let is_said = order.order_type == "stop";
    let stop = |stop| if is_said { format!("{stop}") } else { format!("stop {stop}") };
    words.extend(order.stop_price.map(stop));
    words.extend(order.trail_price.map(|by| format!("by {by}")));
    words.extend(order.trail_rate.map(|rate| format!("by {rate} of the price")));
    words.push(order.time_in_force.clone());
    words.extend(order.extended_hours.then(|| "extended hours".to_owned()));
    words.extend(order.notional.map(|amount| format!("for {amount}")));
    words.extend(Some(order.group_kind.clone()).filter(|kind| !kind.is_empty() && kind != "unspecified"));
    words.join(" ")
}

pub(crate) async fn find(session: &Session, id: &str) -> Result<OrderDetail, Failure> {
    let pool = session.reader().await?;
    let found = queries::order(&pool, id).await.map_err(unreachable)?;
    found.ok_or_else(|| Failure::not_found(format!("no order {id:?}"), "tapedeck order list"))
}

fn show(detail: &OrderDetail, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(detail);
    }
    let order = &detail.order;
    output.line(&format!(
        "{} {} {} {} {}, {} of {} filled",
        output.paint("1", &order.order_id),
        order.side,
        order.quantity,
        order.symbol,
        terms(order),
        order.filled,
        order.quantity
    ));
    output.line(&format!(
        "  {} on {} for {}; commission {}",
        order.status, order.account, order.strategy, order.commission
    ));
    if !order.reason.is_empty() {
        output.line(&format!("  because {}", order.reason));
    }
    if !order.group_id.is_empty() {
        let parent = if order.parent_id.is_empty() { "–" } else { &order.parent_id };
        output.line(&format!("  group {}  waits for {parent}", order.group_id));
    }
    for revision in order.chain.iter().chain(&order.replacement) {
        let until =
            revision.replaced_ns.map_or_else(|| "asked for".to_owned(), |ns| format!("until {}", time(ns)));
        output.line(&format!(
            "  revision {} {} {} {}  client id {}  broker id {}  {until}",
            revision.revision,
            revision.quantity,
            revision.limit_price.map(|price| format!("limit {price}")).unwrap_or_default(),
            revision.stop_price.map(|price| format!("stop {price}")).unwrap_or_default(),
            revision.client_order_id,
            if revision.broker_order_id.is_empty() { "–" } else { &revision.broker_order_id },
        ));
    }
    if !order.group_stage.is_empty() {
        output.line(&format!("  its group is {}, policy {}", order.group_stage, order.group_policy));
    }
    if let Some(triggered_ns) = order.triggered_ns {
        output.line(&format!("  triggered {}", time(triggered_ns)));
    }
    output.line(&format!("  {}", ids(order)));
    for event in &detail.history {
        output.line(&format!(
            "{:>9}  {}  {}  {}  {}",
            event.sequence,
            time(event.event_time_ns),
            event.kind,
            event.status,
            event.detail
        ));
    }
    Ok(())
}

/// The ids behind an order, those that there are: one that risk denied never went to a broker.
fn ids(order: &OrderRow) -> String {
    let named = [
        ("signal", &order.signal_id),
        ("decision", &order.decision_id),
        ("client id", &order.client_order_id),
    ];
    let there = named.iter().filter(|(_, id)| !id.is_empty());
    there.map(|(name, id)| format!("{name} {id}")).collect::<Vec<_>>().join("  ")
}

async fn cancel(session: &Session, id: &str, reason: &str, output: Output) -> Result<(), Failure> {
    let detail = find(session, id).await?;
    let order = &detail.order;
    if order.ended {
        return Err(Failure::other(format!("order {id} has ended already: {}", order.status)));
    }
    if order.status == "requested" {
        return Err(Failure::other(format!("order {id} is only asked for: risk has not answered yet")));
    }
    // The aggregate is named by these five; the rest of the terms stay where they are, on the tape.
    let spec = OrderSpec {
        order_id: order.order_id.clone(),
        account: order.account.clone(),
        strategy: order.strategy.clone(),
        symbol: order.symbol.clone(),
        leg: u32::try_from(order.leg).unwrap_or_default(),
        ..OrderSpec::default()
    };
    commands::cancel_order(&session.tape, &caller(), &spec, reason).await?;
    if output.json {
        return output.document(&serde_json::json!({ "order_id": id, "state": "cancel_requested" }));
    }
    let why = place::unacted(session).map_or_else(String::new, |why| format!("; {why}"));
    output.note(&format!("cancel requested: {id}{why}"));
    Ok(())
}
