//! `tapedeck projection`: read models listed, folded, rebuilt and proved.

use std::time::Duration;

use projections::{Name, VerifyError, VerifyReport};
use serde::Serialize;

use crate::cli::ProjectionCommand;
use crate::command::fold::fold;
use crate::exit::Failure;
use crate::output::Output;
use crate::projector::Surroundings;
use crate::session::Session;

/// Lists, folds, rebuilds or verifies.
pub async fn run(session: &Session, command: &ProjectionCommand, output: Output) -> Result<(), Failure> {
    match command {
        ProjectionCommand::List => list(session, output).await,
        ProjectionCommand::Fold { name } => {
            Box::pin(fold(session, &named(name.as_deref())?, output)).await?;
            list(session, output).await
        }
        ProjectionCommand::Rebuild { name } => Box::pin(rebuild(session, parse(name)?, output)).await,
        ProjectionCommand::Verify { name } => {
            Box::pin(verify(session, &named(name.as_deref())?, output)).await
        }
    }
}

fn named(name: Option<&str>) -> Result<Vec<Name>, Failure> {
    match name {
        Some(name) => Ok(vec![parse(name)?]),
        None => Ok(Name::ALL.to_vec()),
    }
}

fn parse(name: &str) -> Result<Name, Failure> {
    name.parse().map_err(|error: projections::UnknownProjection| {
        Failure::not_found(error.to_string(), "tapedeck projection list")
    })
}

/// One projection's position.
#[derive(Debug, Serialize)]
pub struct Position {
    /// Name.
    pub name: String,
    /// Stream it folds.
    pub stream: String,
    /// Version of the fold.
    pub version: u32,
    /// Version of the fold that made the read model; absent where there is none yet.
    pub read_model_version: Option<u64>,
    /// Last sequence folded.
    pub position: u64,
    /// Last sequence it has to fold.
    pub head: u64,
    /// Messages of the stream between the two.
    pub lag: u64,
    /// How far a rebuild is that is underway beside it; absent when there is none.
    pub rebuild_sequence: Option<u64>,
    /// Where that rebuild has to arrive.
    pub rebuild_target: Option<u64>,
    /// Messages set aside.
    pub parked: u64,
    /// Why it does not go on; absent when it does.
    pub fault: Option<String>,
}

impl Position {
    /// Whether the read model is an older program's: it is built anew before anything is folded into it.
    pub fn is_outdated(&self) -> bool {
        self.read_model_version.is_some_and(|version| version < u64::from(self.version))
    }

    fn shown_version(&self) -> String {
        match self.read_model_version {
            Some(of_rows) if self.is_outdated() => format!("{of_rows} of {}", self.version),
            _ => self.version.to_string(),
        }
    }
}

/// Where every projection stands.
pub async fn positions(session: &Session) -> Result<Vec<Position>, Failure> {
    let pool = session.reader().await?;
    let heads = projections::heads(&session.tape).await?;
    let rows = projections::queries::projection_status(&pool, &heads)
        .await
        .map_err(|error| Failure::unreachable(error.to_string()))?;
    let mut positions = Vec::new();
    for name in Name::ALL {
        let row = rows.iter().find(|row| row.name == name.name());
        let position = row.map_or(0, |row| row.sequence);
        let head = heads.get(&name).copied().unwrap_or_default();
        positions.push(Position {
            name: name.name().to_owned(),
            stream: name.stream().to_owned(),
            version: name.version(),
            read_model_version: row.map(|row| row.version),
            position,
            head,
            lag: head.saturating_sub(position),
            rebuild_sequence: row.and_then(|row| row.rebuild_sequence),
            rebuild_target: row.and_then(|row| row.rebuild_target),
            parked: row.map_or(0, |row| row.parked),
            fault: row.and_then(|row| row.fault_reason.clone()),
        });
    }
    Ok(positions)
}

async fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let positions = positions(session).await?;
    if output.json {
        return output.document(&positions);
    }
    let rows: Vec<Vec<String>> = positions
        .iter()
        .map(|position| {
            vec![
                position.name.clone(),
                position.stream.clone(),
                position.shown_version(),
                position.position.to_string(),
                position.head.to_string(),
                position.lag.to_string(),
                position.parked.to_string(),
                position.fault.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output.table(&["PROJECTION", "STREAM", "VERSION", "POSITION", "HEAD", "LAG", "PARKED", "FAULT"], &rows);
    let outdated = positions.iter().filter(|position| position.is_outdated());
    let outdated: Vec<&str> = outdated.map(|position| position.name.as_str()).collect();
    if !outdated.is_empty() {
        let names = outdated.join(", ");
        output.note(&format!(
            "made by an older program: {names}; a projector, or `tapedeck projection fold`, builds them anew"
        ));
    }
    Ok(())
}

async fn rebuild(session: &Session, name: Name, output: Output) -> Result<(), Failure> {
    let pool = session.projector().await?;
    let started = std::time::Instant::now();
    let health = runtime::Health::default();
    let port = Surroundings::new(session.tape.clone(), health.clone());
    let interrupt = session.interrupt();
    let building = projections::rebuild(&pool, &session.tape, name, &port, &interrupt);
    tokio::pin!(building);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let outcome = loop {
        tokio::select! {
            outcome = &mut building => break outcome,
            _ = ticks.tick() => {
                if let Some(told) = health.all().get(crate::projector::SERVICE) {
                    output.progress(&told.detail);
                }
            }
        }
    };
    pool.close().await;
    let report = outcome.map_err(|error| {
        if session.interrupt().is_cancelled() {
            Failure::interrupted()
        } else {
            Failure::other(error.to_string())
        }
    })?;
    if output.json {
        return output.document(&report);
    }
    let seconds = started.elapsed().as_secs_f64();
    output.line(&format!(
        "{} rebuilt to {} from {} messages in {seconds:.2} s ({} set aside)",
        name.name(),
        report.sequence,
        report.messages,
        report.parked
    ));
    Ok(())
}

/// A verification as it is printed.
#[derive(Debug, Serialize)]
struct Verified {
    projection: String,
    sequence: u64,
    messages: u64,
    rows: u64,
    differences: u64,
    first_difference: Option<projections::Difference>,
    state_hash: String,
}

impl From<&VerifyReport> for Verified {
    fn from(report: &VerifyReport) -> Self {
        Self {
            projection: report.projection.name().to_owned(),
            sequence: report.sequence,
            messages: report.messages,
            rows: report.tables.iter().map(|table| table.rows).sum(),
            differences: report.differences(),
            first_difference: report.first.clone(),
            state_hash: report.state_hash.clone(),
        }
    }
}

async fn verify(session: &Session, names: &[Name], output: Output) -> Result<(), Failure> {
    let pool = session.projector().await?;
    let mut reports = Vec::new();
    for name in names {
        // One that was never run has no rows to prove and no checkpoint to prove them at.
        match projections::verify(&pool, &session.tape, *name).await {
            Ok(report) => reports.push(Verified::from(&report)),
            Err(error @ VerifyError::NoCheckpoint(_)) => output.note(&error.to_string()),
            Err(error @ (VerifyError::Unplaced(_) | VerifyError::TakenBack { .. })) => {
                let hint = format!("tapedeck projection rebuild {}", name.name());
                return Err(Failure::mismatch(error.to_string(), hint));
            }
            Err(error) => return Err(Failure::other(error.to_string())),
        }
    }
    pool.close().await;
    if output.json {
        output.document(&reports)?;
    } else {
        for report in &reports {
            output.line(&format!(
                "{}: {} rows at {} {} differences",
                report.projection, report.rows, report.sequence, report.differences
            ));
            output.line(&format!("  state hash {}", report.state_hash));
            if let Some(first) = &report.first_difference {
                output.line(&format!("  first: {first}"));
            }
        }
    }
    let differences: u64 = reports.iter().map(|report| report.differences).sum();
    if differences > 0 {
        return Err(Failure::mismatch(
            format!("{differences} rows are not what the fold of the tape gives"),
            "tapedeck projection rebuild NAME",
        ));
    }
    Ok(())
}
