//! `tapedeck stream`: the streams of the tape against their definitions.

use event_log::definitions::{self, STREAMS};
use serde::Serialize;

use crate::cli::StreamCommand;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// One stream's counts.
#[derive(Debug, Serialize)]
struct Row {
    stream: &'static str,
    messages: u64,
    first_sequence: u64,
    last_sequence: u64,
    bytes: u64,
}

/// Lists, applies or compares.
pub async fn run(session: &Session, command: &StreamCommand, output: Output) -> Result<(), Failure> {
    match command {
        StreamCommand::List => list(session, output).await,
        StreamCommand::Apply => apply(session, output).await,
        StreamCommand::Diff => diff(session, output).await,
    }
}

async fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for file in STREAMS {
        let state = session.tape.state(file.name).await?;
        rows.push(Row {
            stream: file.name,
            messages: state.messages,
            first_sequence: state.first_sequence,
            last_sequence: state.last_sequence,
            bytes: state.bytes,
        });
    }
    if output.json {
        return output.document(&rows);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.stream.to_owned(),
                row.messages.to_string(),
                row.first_sequence.to_string(),
                row.last_sequence.to_string(),
                format!("{:.1}", row.bytes as f64 / 1e6),
            ]
        })
        .collect();
    output.table(&["STREAM", "MESSAGES", "FIRST", "LAST", "MB"], &cells);
    Ok(())
}

async fn apply(session: &Session, output: Output) -> Result<(), Failure> {
    let changes = definitions::apply(&session.jetstream).await?;
    if output.json {
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        return output.document(&changes);
    }
    for change in &changes {
        output.line(&change.to_string());
    }
    if changes.is_empty() {
        output.note("nothing was missing; a stream that differs is shown by `tapedeck stream diff`");
    }
    Ok(())
}

async fn diff(session: &Session, output: Output) -> Result<(), Failure> {
    let drifts = definitions::diff(&session.jetstream).await?;
    if output.json {
        output.document(&drifts)?;
    } else {
        for drift in &drifts {
            output.line(&drift.to_string());
        }
    }
    if drifts.is_empty() {
        return Ok(());
    }
    Err(Failure::other(format!("{} fields differ from the definitions", drifts.len())))
}
