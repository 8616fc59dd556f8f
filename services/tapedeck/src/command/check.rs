//! `tapedeck check`: the invariants over the whole tape, once.

use contracts::stream;
use domain::invariant::Invariant;

use crate::checker;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Folds the tape from its beginning, compares the read model, and says what holds.
pub async fn run(session: &Session, output: Output) -> Result<(), Failure> {
    let head = session.tape.state(stream::TRADING).await?.last_sequence;
    let mut reader = session.tape.read(stream::TRADING, &[], 1).await?;
    let pool = session.reader().await?;
    let findings = checker::once(reader.as_mut(), head, &pool).await;
    let findings = findings.map_err(|error| Failure::unreachable(error.to_string()))?;
    let found =
        |invariant: Invariant| findings.first.iter().find(|violation| violation.invariant == invariant);
    let state = |invariant: Invariant| match (found(invariant), invariant, findings.compared) {
        (Some(_), ..) => "broken",
        (None, Invariant::ReplayAgrees, _) => "not checked",
        (None, Invariant::ReadModelIsFold, None) => "not checked",
        (None, ..) => "holds",
    };
    let detail = |invariant: Invariant| match (found(invariant), invariant) {
        (Some(violation), _) => format!("at TRADING {}: {}", violation.sequence, violation.detail),
        (None, Invariant::ReplayAgrees) => "tapedeck replay --verify".to_owned(),
        (None, Invariant::ReadModelIsFold) => findings
            .compared
            .map_or("the read model cannot be read, or an older program made it".to_owned(), |at| {
                format!("at TRADING {at}")
            }),
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
        Some(violation) => Err(Failure::mismatch(violation.to_string())),
        None => Ok(()),
    }
}
