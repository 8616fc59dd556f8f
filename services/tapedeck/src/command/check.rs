//! `tapedeck check`: the invariants over the whole tape, once.

use contracts::stream;
use domain::invariant::{Invariant, Violation};
use projections::{Name, queries};
use sqlx::PgPool;

use crate::checker::{self, Outside};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::trading;

/// Folds the tape from its beginning, compares the read model and brokers outside, and says what holds.
pub async fn run(session: &Session, output: Output) -> Result<(), Failure> {
    let head = session.tape.state(stream::TRADING).await?.last_sequence;
    let mut reader = session.tape.read(stream::TRADING, &[], 1).await?;
    let pool = session.reader().await?;
    let calendar = session.manifest.market()?.calendar();
    let mut outside = Outside::new(trading::clients(&session.config, &session.manifest));
    let findings = checker::once(reader.as_mut(), head, &pool, calendar, &mut outside).await;
    let mut findings = findings.map_err(|error| Failure::unreachable(error.to_string()))?;
    if findings.compared.is_none() && findings.unread.is_none() {
        findings.first.extend(ahead_of(session, &pool).await?);
    }
    let found =
        |invariant: Invariant| findings.first.iter().find(|violation| violation.invariant == invariant);
    let state = |invariant: Invariant| match (found(invariant), invariant) {
        (Some(_), _) => "broken",
        (None, Invariant::ReplayAgrees) => "not checked",
        (None, Invariant::ReadModelIsFold) if findings.compared.is_none() => "not checked",
        // Half of it was looked at: the tape's.
        (None, Invariant::FillsAgree | Invariant::OrdersEnd) if !outside.unasked.is_empty() => "not checked",
        (None, _) => "holds",
    };
    let detail = |invariant: Invariant| match (found(invariant), invariant) {
        (Some(violation), _) => format!("at TRADING {}: {}", violation.sequence, violation.detail),
        (None, Invariant::NoEventLost) => "no gap, no id twice".to_owned(),
        (None, Invariant::FillsAgree) => format!("positions and fills on the tape; {}", at_brokers(&outside)),
        (None, Invariant::OrdersEnd) => format!("groups; {}", at_brokers(&outside)),
        (None, Invariant::ReplayAgrees) => "tapedeck replay --verify".to_owned(),
        (None, Invariant::ReadModelIsFold) => match (findings.compared, &findings.unread) {
            (Some(at), _) => format!("at TRADING {at}"),
            (None, Some(why)) => format!("the read model cannot be read: {why}"),
            (None, None) => "the read model is at another place, or another program made it".to_owned(),
        },
        (None, _) => String::new(),
    };
    if output.json {
        let rows: Vec<_> = Invariant::ALL
            .into_iter()
            .map(|invariant| {
                serde_json::json!({
                    "number": invariant.number(), "name": invariant.name(), "state": state(invariant),
                    "detail": detail(invariant),
                })
            })
            .collect();
        output.document(&serde_json::json!({ "sequence": findings.sequence, "invariants": rows }))?;
    } else {
        let rows: Vec<Vec<String>> = Invariant::ALL
            .into_iter()
            .map(|invariant| {
                vec![
                    invariant.number().to_string(),
                    invariant.name().to_owned(),
                    state(invariant).to_owned(),
                    detail(invariant),
                ]
            })
            .collect();
        output.table(&["#", "INVARIANT", "STATE", "DETAIL"], &rows);
        output.note(&format!("TRADING 1 to {}", findings.sequence));
    }
    match findings.first.first() {
        Some(violation) => {
            let hint = if violation.invariant == Invariant::ReadModelIsFold {
                "tapedeck projection rebuild trading".to_owned()
            } else {
                format!("tapedeck tail --from-seq {} --limit 1", violation.sequence)
            };
            Err(Failure::mismatch(violation.to_string(), hint))
        }
        None => Ok(()),
    }
}

/// A read model that stands behind the end of the tape has folded what the tape does not hold.
async fn ahead_of(session: &Session, pool: &PgPool) -> Result<Option<Violation>, Failure> {
    let rows = queries::checkpoints(pool).await.map_err(|error| Failure::unreachable(error.to_string()))?;
    let row = rows.into_iter().find(|row| row.name == Name::Trading.name());
    let end = session.tape.state(stream::TRADING).await?.last_sequence;
    let ahead = row.map(|row| row.sequence).filter(|at| *at > end);
    Ok(ahead.map(|at| {
        let detail = format!("the read model stands at {at}, expected at most {end}, where the tape ends");
        Violation::new(Invariant::ReadModelIsFold, end, detail)
    }))
}

/// What brokers outside were asked.
fn at_brokers(outside: &Outside) -> String {
    let unasked = outside.unasked.iter().map(|(account, why)| format!("broker of {account}: {why}"));
    let unasked: Vec<_> = unasked.collect();
    if !unasked.is_empty() {
        return unasked.join(", ");
    }
    if outside.is_any() {
        return format!("{} orders at brokers outside", outside.orders);
    }
    "no broker outside".to_owned()
}
